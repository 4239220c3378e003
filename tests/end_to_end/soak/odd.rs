//! What is rare and still happens: odd names, links that lead nowhere, and commands that say or are
//! told too much.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::pipeline::with_tools;
use crate::workspace::{Run, Workspace, assert_run};

/// A target in `src` that runs a script and leaves `out`.
fn script(script: &str) -> Workspace {
    let workspace = with_tools(Workspace::with_files([("src/a b.txt", "one\n")]), None);
    let config = "[targets.odd]\ntype = \"command\"\nsource_path = \"src\"\n\
                  outputs = [\"out\"]\noutput_path = \"dist/odd\"\n";
    workspace.write("synth.toml", format!("{config}script = '''{script}'''\n"));
    workspace
}

fn build(workspace: &Workspace) -> Run {
    workspace.synth(["build", "--quiet"])
}

#[test]
fn names_with_spaces_and_newlines_are_inputs_like_others() {
    let workspace =
        script("find . -type f -print0 | sort -z | tr '\\0' '|' > ../out; mv ../out out");
    workspace.write("src/two\nlines.txt", "two\n");
    build(&workspace).succeeded();
    assert_eq!(
        workspace.read("dist/odd/out"),
        "./a b.txt|./two\nlines.txt|"
    );
    workspace.write("src/two\nlines.txt", "three\n");
    let report = workspace.build([""; 0]).succeeded();
    assert_eq!(report.statuses(), "odd built");
}

#[test]
fn a_name_that_is_not_utf_8_is_told() {
    let workspace = script("echo > out");
    let name = OsStr::from_bytes(b"not \xff.txt");
    fs::write(workspace.path("src").join(name), "").unwrap();
    assert_run!(build(&workspace), @r#"
    exit code: 1
    ----- stderr -----
    error[input.unreadable]: an input of `run the script` can't be read
     |
     = note: `src` can't be read: the name "not \xFF.txt" in it is not UTF-8; rename it or exclude it

      action: run (build)
    "#);
}

#[test]
fn an_output_whose_name_is_not_utf_8_is_told() {
    let workspace = script("mkdir -p out; touch out/a \"out/not $(printf '\\377').txt\"");
    assert_run!(build(&workspace), @r#"
    exit code: 1
    ----- stderr -----
    error[execute.output.name]: the output `out` can't be kept: the name "not \xFF.txt" in it is not UTF-8
     |
     = help: have the command write another name, or name its outputs by patterns that leave it out

      action: run (build)
      command: cd project/src && /usr/bin/sh -euc 'mkdir -p out; touch out/a "out/not $(printf '"'\\377').txt\""
      log: .synth/logs/[BUILD]/odd.run.log
    "#);
    let config = workspace.read("synth.toml");
    workspace.write("synth.toml", config.replace("\"out\"", "\"out/a\""));
    assert_run!(build(&workspace), @r#"
    exit code: 1
    ----- stderr -----
    error[sandbox.write]: `run the script` left what is none of its outputs: `out/not �.txt`
     |
     = help: add `outputs = ["out/not �.txt"]` where it is a result, `scratch = ["out/not �.txt"]` where nobody needs it

      action: run (build)
      command: cd project/src && /usr/bin/sh -euc 'mkdir -p out; touch out/a "out/not $(printf '"'\\377').txt\""
      log: .synth/logs/[BUILD]/odd.run.log
    "#);
}

#[test]
fn links_that_lead_to_themselves_are_inputs_as_links() {
    let workspace = script("find . -type l -printf '%P %l|' | tr '|' '\\n' | sort > out");
    workspace.link("src/loop", "loop");
    workspace.link("src/self", ".");
    workspace.link("src/there", "back");
    workspace.link("src/back", "there");
    build(&workspace).succeeded();
    assert_eq!(
        workspace.read("dist/odd/out").trim(),
        "back there\nloop loop\nself .\nthere back"
    );
}

/// A target whose command counts the bytes of what it is told.
fn told(workspace: &Workspace, arguments: usize, length: usize) -> Run {
    let argument = format!(", \"{}\"", "x".repeat(length)).repeat(arguments);
    workspace.write(
        "synth.toml",
        format!(
            "[targets.odd]\ntype = \"command\"\nsource_path = \"src\"\n\
             command = [\"sh\", \"-c\", 'printf %s \"$@\" | wc -c > out', \"sh\"{argument}]\n\
             outputs = [\"out\"]\noutput_path = \"dist/odd\"\n"
        ),
    );
    // The kernel's limit for all of them is a quarter of the stack's.
    workspace.synth_unshared("--", "ulimit -s 8192\nexec \"$@\"", ["build", "-q"])
}

#[test]
fn arguments_may_be_as_long_as_the_kernel_allows_and_no_longer() {
    /// Bytes of one argument, the end of the string among them (execve(2), "Limits on size of
    /// arguments and environment").
    const LONGEST: usize = 32 * 4096 - 1;
    let workspace = script("");
    for (arguments, length, is_possible) in [
        (1, LONGEST, true),
        (1, LONGEST + 1, false),
        // 2 MiB together.
        (15, LONGEST, true),
        (16, LONGEST, false),
    ] {
        let run = told(&workspace, arguments, length);
        if is_possible {
            run.succeeded();
            let told = (arguments * length).to_string();
            assert_eq!(workspace.read("dist/odd/out").trim(), told);
            continue;
        }
        let before = workspace.read("dist/odd/out");
        insta::allow_duplicates! {
            assert_run!(run, @r#"
            exit code: 1
            ----- stderr -----
            error[execute.start]: `/usr/bin/sh` can't be started for `run sh -c printf %s "$@" | wc -c > out sh xxxxxxxxxxxxxxxxxxxxxx..`
             |
             = note: Argument list too long (os error 7)
             = help: the system limits the arguments and variables of a program, each and all together: pass a file that lists them (many programs take `@FILE`), have a script find them, or name directories instead of files

              action: run (build)
              log: .synth/logs/[BUILD]/odd.run.log
            "#);
        }
        // What was there is still there.
        assert_eq!(workspace.read("dist/odd/out"), before);
    }
}

/// The log of the last build.
fn log(workspace: &Workspace) -> PathBuf {
    let logs = workspace.files(".synth/logs");
    let log = logs.iter().rfind(|path| path.ends_with(".log")).unwrap();
    workspace.path(".synth/logs").join(log)
}

#[test]
fn a_log_of_64_mib_in_one_line_is_kept_whole_and_shown_in_part() {
    let workspace = script("head -c 67108864 /dev/zero | tr '\\0' x; exit 3");
    let run = build(&workspace);
    assert_eq!(run.output.status.code(), Some(1));
    let shown = run.output.stdout.len() + run.output.stderr.len();
    assert!(shown < 100_000, "{shown} bytes were shown");
    assert_eq!(fs::metadata(log(&workspace)).unwrap().len(), 64 << 20);
}

#[test]
fn of_a_log_of_2_gib_the_beginning_and_the_end_are_kept() {
    // In the sandbox and outside of it; by a command that ends well, and by one that does not.
    for (sandbox, end) in [("strict", "true"), ("off", "exit 3")] {
        let workspace = script(&format!(
            "echo first; head -c 2147483648 /dev/zero; echo; echo last; echo > out; {end}"
        ));
        let (run, peak) = workspace.synth_measured(["build", "-q", "--sandbox", sandbox]);
        assert_eq!(run.output.status.success(), end == "true", "{run}");
        let shown = run.output.stdout.len() + run.output.stderr.len();
        assert!(shown < 100_000, "{shown} bytes were shown");
        let log = fs::read(log(&workspace)).unwrap();
        assert!(log.len() <= (64 << 20) + 100, "{} bytes", log.len());
        assert!(log.starts_with(b"first\n\0"));
        assert!(log.ends_with(b"\0\nlast\n"));
        let cut = b"\n[the log was cut here: ";
        assert!(log[32 << 20..].starts_with(cut));
        assert!(peak < 128 << 20, "synth had {peak} bytes of memory");
        println!("soak: 2 GiB of log, {} MiB of memory", peak >> 20);
    }
}
