//! A directory with tens of thousands of files, and files of gigabytes.

use std::fs::{self, File, FileTimes};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use super::amount;
use super::pipeline::with_tools;
use crate::workspace::Workspace;

/// What synth may have of memory, however large a file is.
const MEMORY: u64 = 128 << 20;

/// Builds; the status of all targets, seconds, and bytes of memory at most.
fn built(workspace: &Workspace) -> (String, f64, u64) {
    let start = Instant::now();
    let (run, peak) = workspace.synth_measured(["build", "--format", "json"]);
    let seconds = start.elapsed().as_secs_f64();
    let run = run.succeeded();
    let report = run.json();
    let statuses: Vec<&str> = report["targets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|target| target["status"].as_str().unwrap())
        .collect();
    (statuses.join(" "), seconds, peak)
}

#[test]
fn a_directory_of_50_000_files_is_built_and_looked_after() {
    let count = amount("SYNTH_SOAK_FILES", 5_000);
    let workspace = with_tools(Workspace::new(), None);
    workspace.write(
        "synth.toml",
        "[targets.copy]\ntype = \"command\"\nsource_path = \"src\"\n\
         script = \"mkdir out; find . -path ./out -prune -o -name '*.txt' -exec cp -t out {} +\"\n\
         outputs = [\"out/**\"]\noutput_path = \"dist/copy\"\n",
    );
    fs::create_dir(workspace.path("src")).unwrap();
    let name = |index: u64| format!("{index:05}.txt");
    for index in 0..count {
        fs::write(
            workspace.path("src").join(name(index)),
            format!("{index}\n"),
        )
        .unwrap();
    }
    let mut figures = Vec::new();
    let mut build = |what: &str, expected: &str| {
        let (status, seconds, peak) = built(&workspace);
        assert_eq!(status, expected, "{what}");
        figures.push(format!("{what} {seconds:.1} s ({} MiB)", peak >> 20));
    };
    let left = |index: u64| fs::read_to_string(workspace.path("dist/copy/out").join(name(index)));
    build("first", "built");
    assert_eq!(workspace.files("dist/copy/out").len() as u64, count);
    build("nothing to do", "up_to_date");
    workspace.write("src/00007.txt", "x\n");
    build("one changed", "built");
    assert_eq!(left(7).unwrap(), "x\n");
    assert_eq!(left(8).unwrap(), "8\n");
    fs::remove_file(workspace.path("src/00008.txt")).unwrap();
    workspace.write(&format!("src/{}", name(count)), "new\n");
    build("one removed and one added", "built");
    assert!(left(8).is_err());
    assert_eq!(left(count).unwrap(), "new\n");
    assert_eq!(workspace.files("dist/copy/out").len() as u64, count);
    fs::remove_dir_all(workspace.path("dist")).unwrap();
    build("outputs deleted", "cached");
    assert_eq!(left(7).unwrap(), "x\n");
    println!("soak: {count} files: {}", figures.join(", "));
}

const LARGE: &str = r#"[targets.make]
type = "command"
source_path = "src"
script = "cp --sparse=always large made; printf made | dd of=made conv=notrunc status=none"
outputs = ["made"]
output_path = "dist/make"

[targets.use]
type = "command"
source_path = "src"
inputs = []
needs = ["make"]
script = "{ head -c 4 $SYNTH_OUT_MAKE/made; tail -c 4 $SYNTH_OUT_MAKE/made; wc -c < $SYNTH_OUT_MAKE/made; } > said"
outputs = ["said"]
output_path = "dist/use"
"#;

/// The last four bytes of a file.
fn end(path: &Path) -> String {
    let mut file = File::open(path).unwrap();
    file.seek(SeekFrom::End(-4)).unwrap();
    let mut end = String::new();
    file.read_to_string(&mut end).unwrap();
    end
}

#[test]
fn a_file_of_3_gib_goes_in_and_out_in_little_memory() {
    let mebibytes = amount("SYNTH_SOAK_LARGE_MIB", 256);
    let size = mebibytes << 20;
    let workspace = with_tools(Workspace::new(), None);
    workspace.write("synth.toml", LARGE);
    workspace.write("src/large", "");
    let (large, made) = (
        workspace.path("src/large"),
        workspace.path("dist/make/made"),
    );
    let file = File::options().write(true).open(&large).unwrap();
    file.set_len(size).unwrap();
    file.write_all_at(b"one\n", size - 4).unwrap();
    let mut figures = Vec::new();
    let mut build = |what: &str, expected: &str, ending: &str| {
        let (status, seconds, peak) = built(&workspace);
        assert_eq!(status, expected, "{what}");
        assert!(peak < MEMORY, "{what}: {peak} bytes of memory");
        assert_eq!(fs::metadata(&made).unwrap().len(), size, "{what}");
        assert_eq!(end(&made), ending, "{what}");
        assert_eq!(
            workspace.read("dist/use/said"),
            format!("made{ending}{size}\n")
        );
        figures.push(format!("{what} {seconds:.1} s ({} MiB)", peak >> 20));
    };
    build("first", "built built", "one\n");
    build("nothing to do", "up_to_date up_to_date", "one\n");
    fs::remove_dir_all(workspace.path("dist")).unwrap();
    build("outputs deleted", "cached cached", "one\n");
    // Room for what comes.
    fs::remove_dir_all(workspace.path("dist")).unwrap();
    let collect = ["cache", "gc", "--max-size", "0"];
    workspace.synth(collect).succeeded();
    // The same length and time.
    let modified = file.metadata().unwrap().modified().unwrap();
    let mut file = file;
    file.seek(SeekFrom::End(-4)).unwrap();
    file.write_all(b"two\n").unwrap();
    file.set_times(FileTimes::new().set_modified(modified))
        .unwrap();
    build("four bytes changed", "built built", "two\n");
    println!("soak: {mebibytes} MiB: {}", figures.join(", "));
}
