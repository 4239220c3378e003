//! A build with ten running children, two of them deaf to SIGTERM, is stopped on a terminal: nobody is
//! left, and outputs are as they were.

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::Instant;

use rustix::process::Signal;

use super::terminal::{PATIENCE, Terminal};
use super::{assert_nothing_temporary, state};
use crate::plugin_fixtures::with_command;
use crate::workspace::Workspace;

const CHILDREN: usize = 10;

/// With a child of its own; the first two, and theirs, hear nothing. Who has the last argument is
/// ready.
const SCRIPT: &str = r#"if grep -q end mode; then cat mode > "out-$1"; exit; fi
case "$1" in
0 | 1) trap '' TERM HUP INT ;;
esac
exec sh -c 'sleep 1000 & while :; do sleep 1; done' "ready-$1-$2"
"#;

fn project() -> Workspace {
    let workspace = with_command(Workspace::new());
    let unique = unique(&workspace);
    let targets = (0..CHILDREN).map(|index| {
        format!(
            "[targets.t{index}]\ntype = \"command\"\nsource_path = \"src\"\n\
             command = [\"sh\", \"run.sh\", \"{index}\", \"{unique}\"]\n\
             outputs = [\"out-{index}\"]\noutput_path = \"dist/t{index}\"\n\
             environment = {{ MARK = \"{unique}\" }}\n"
        )
    });
    workspace.write("synth.toml", targets.collect::<String>());
    workspace.write("src/run.sh", SCRIPT);
    workspace.write("src/mode", "end: first\n");
    workspace
}

/// A word that no other workspace's processes have anywhere.
fn unique(workspace: &Workspace) -> String {
    let beside = workspace.beside("x");
    let directory = beside.parent().unwrap().file_name().unwrap();
    directory.to_str().unwrap().to_owned()
}

/// Arguments of processes in whose arguments or variables a word is.
fn processes(word: &str) -> Vec<String> {
    let contains = |bytes: &[u8]| {
        bytes
            .windows(word.len())
            .any(|part| part == word.as_bytes())
    };
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|process| {
            let arguments = fs::read(process.path().join("cmdline")).ok()?;
            let variables = fs::read(process.path().join("environ")).unwrap_or_default();
            let is_one = contains(&arguments) || contains(&variables);
            is_one.then(|| String::from_utf8_lossy(&arguments).replace('\0', " "))
        })
        .collect()
}

/// Whether all children run and hear what they are going to hear.
fn all_run(word: &str) -> bool {
    let running = processes(word);
    let is_ready = |index: usize| {
        let ready = format!("ready-{index}-{word}");
        running.iter().any(|process| process.contains(&ready))
    };
    (0..CHILDREN).all(is_ready)
}

/// How a build is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Once,
    Twice,
    Terminate,
    CloseTerminal,
}

const STOPPING: &str = "once more to stop at once";

fn stop(mut terminal: Terminal, stop: Stop) -> i32 {
    let told = |screen: &str| screen.contains(STOPPING);
    match stop {
        Stop::Once => terminal.types("\x03"),
        Stop::Twice => {
            terminal.types("\x03");
            terminal.wait_until("word that it stops", told);
            terminal.types("\x03");
        }
        Stop::Terminate => terminal.signal(Signal::TERM),
        Stop::CloseTerminal => return terminal.hang_up().code().unwrap(),
    }
    let (status, screen) = terminal.end();
    assert!(told(&screen), "{screen}");
    status.code().unwrap()
}

#[test]
fn a_build_that_is_stopped_leaves_nobody_and_the_outputs_of_before() {
    for (how, sandbox, code) in [
        (Stop::Once, "strict", 130),
        (Stop::Once, "off", 130),
        (Stop::Twice, "strict", 130),
        (Stop::Twice, "off", 130),
        (Stop::Terminate, "strict", 143),
        (Stop::CloseTerminal, "off", 129),
    ] {
        let workspace = project();
        let unique = unique(&workspace);
        workspace.build([""; 0]).succeeded();
        let before = state(&workspace, &["dist"]);
        workspace.write("src/mode", "go on\n");
        let arguments = ["build", "-j", "10", "--sandbox", sandbox];
        let mut terminal = Terminal::run(&workspace, &arguments);
        terminal.wait_until("ten children", |_| all_run(&unique));

        let stopped = Instant::now();
        assert_eq!(stop(terminal, how), code, "{how:?} {sandbox}");
        if how == Stop::Twice {
            // Those who are deaf would have had five seconds.
            assert!(stopped.elapsed().as_secs() < 5, "{:?}", stopped.elapsed());
        }
        // A process that was killed still needs a moment to end.
        let mut left = BTreeSet::new();
        while stopped.elapsed() < PATIENCE {
            left = processes(&unique).into_iter().collect();
            if left.is_empty() {
                break;
            }
            thread::yield_now();
        }
        assert!(left.is_empty(), "{how:?} {sandbox}: {left:?}");
        assert_eq!(state(&workspace, &["dist"]), before, "{how:?} {sandbox}");

        workspace.write("src/mode", "end: second\n");
        workspace.build(["--sandbox", sandbox]).succeeded();
        for index in 0..CHILDREN {
            let output = workspace.read(&format!("dist/t{index}/out-{index}"));
            assert_eq!(output, "end: second\n");
        }
        assert_nothing_temporary(&workspace);
    }
}
