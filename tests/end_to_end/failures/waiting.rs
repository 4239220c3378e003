//! A signal while effects wait, for others or for an answer: none begins, and the exit code is that of
//! the signal.

use std::fs::File;

use rustix::fs::{FlockOperation, flock};

use super::state;
use super::terminal::Terminal;
use crate::publishes::{self, pipeline, there};
use crate::workspace::Workspace;

fn project() -> Workspace {
    let workspace = Workspace::new();
    workspace.write(
        "synth.toml",
        "failure_strategy = \"rollback\"\n[targets.site]\ntype = \"static\"\n\
         source_path = \"web\"\npublish = { directory = \"../www\" }\n",
    );
    page(&workspace, "one");
    workspace
}

fn page(workspace: &Workspace, text: &str) {
    let page = format!("<!doctype html><html lang=en><title>Shop</title><p>{text}</p></html>");
    workspace.write("web/index.html", page);
}

#[test]
fn effects_that_wait_for_others_are_stopped_by_a_signal() {
    for arguments in [
        &["publish"][..],
        &["build", "--publish"],
        &["recover", "--undo"],
    ] {
        let workspace = project();
        workspace.build([""; 0]).succeeded();
        let before = state(&workspace, &["dist"]);
        if arguments[0] == "build" {
            page(&workspace, "two");
        }
        // As long as something that effects have started runs.
        let others = File::create(workspace.path(".synth/effects.lock")).unwrap();
        flock(&others, FlockOperation::LockExclusive).unwrap();
        let mut terminal = Terminal::run(&workspace, arguments);
        terminal.wait_until("word that it waits", |screen| {
            screen.contains("waiting for it to end")
        });
        terminal.types("\x03");
        let (status, screen) = terminal.end();
        assert_eq!(status.code(), Some(130), "{arguments:?}: {screen}");
        assert!(!workspace.beside("www").exists(), "{arguments:?}");
        assert_eq!(state(&workspace, &["dist"]), before, "{arguments:?}");

        drop(others);
        assert_eq!(workspace.synth(["recover"]).output.status.code(), Some(0));
        workspace.build(["--publish"]).succeeded();
    }
}

#[test]
fn the_question_whether_to_go_on_is_ended_by_a_signal() {
    let workspace = pipeline("stop_all");
    let config = publishes::config(&workspace, "stop_all");
    let irreversible = config
        .lines()
        .filter(|line| !line.starts_with("undo_command"));
    workspace.write("synth.toml", irreversible.collect::<Vec<_>>().join("\n"));
    workspace.build([""; 0]).succeeded();
    for (keys, code, expected) in [
        ("\x03", 130, ""),
        ("n\n", 2, ""),
        ("y\n", 0, "a=one b=one c=one"),
    ] {
        let mut terminal = Terminal::run(&workspace, &["publish"]);
        terminal.wait_until("the question", |screen| screen.contains("Go on?"));
        terminal.types(keys);
        let (status, screen) = terminal.end();
        assert_eq!(status.code(), Some(code), "{keys:?}: {screen}");
        assert_eq!(there(&workspace), expected, "{keys:?}");
    }
}
