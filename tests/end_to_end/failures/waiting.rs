//! A signal while effects wait: none begins, and the exit code is that of the signal.

use std::fs::File;

use rustix::fs::{FlockOperation, flock};

use super::state;
use super::terminal::Terminal;
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
