//! What is rare and still happens: odd names, links that lead nowhere, and commands that say or are
//! told too much.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

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

#[test]
fn an_argument_may_be_as_long_as_the_kernel_allows_and_no_longer() {
    /// Bytes of one argument, the end of the string among them (execve(2), "Limits on size of
    /// arguments and environment").
    const LONGEST: usize = 32 * 4096 - 1;
    let workspace = script("");
    let with_argument = |length: usize| {
        let argument = "x".repeat(length);
        workspace.write(
            "synth.toml",
            format!(
                "[targets.odd]\ntype = \"command\"\nsource_path = \"src\"\n\
                 command = [\"sh\", \"-c\", 'printf %s \"$1\" | wc -c > out', \"sh\", \"{argument}\"]\n\
                 outputs = [\"out\"]\noutput_path = \"dist/odd\"\n"
            ),
        );
        build(&workspace)
    };
    with_argument(LONGEST).succeeded();
    assert_eq!(workspace.read("dist/odd/out").trim(), LONGEST.to_string());
    let refused = with_argument(LONGEST + 1);
    assert_eq!(refused.output.status.code(), Some(1), "{refused}");
    assert!(
        refused.to_string().contains("Argument list too long"),
        "{refused}"
    );
    // What was there is still there.
    assert_eq!(workspace.read("dist/odd/out").trim(), LONGEST.to_string());
}

#[test]
fn a_log_of_64_mib_in_one_line_is_kept_whole_and_shown_in_part() {
    let workspace = script("head -c 67108864 /dev/zero | tr '\\0' x; exit 3");
    let run = build(&workspace);
    assert_eq!(run.output.status.code(), Some(1));
    let shown = run.output.stdout.len() + run.output.stderr.len();
    assert!(shown < 100_000, "{shown} bytes were shown");
    let logs = workspace.files(".synth/logs");
    let log = logs.iter().find(|path| path.ends_with(".log")).unwrap();
    let length = fs::metadata(workspace.path(".synth/logs").join(log))
        .unwrap()
        .len();
    assert!(length >= 64 << 20, "the log has {length} bytes");
}
