//! What processes see, and that they end.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use synth_engine::{BuildOptions, CancellationToken, Event, Observer, TargetStatus};

use crate::workspace::{Workspace, pipeline, statuses};

/// Cancels the build as soon as an action runs.
struct CancelOnStart(CancellationToken);

impl Observer for CancelOnStart {
    fn notify(&self, event: &Event) {
        if matches!(event, Event::ActionStarted { .. }) {
            self.0.cancel();
        }
    }
}

#[test]
fn a_cancelled_build_ends_its_processes() {
    let workspace = Workspace::new(&pipeline(
        "",
        &["deaf | | trap '' TERM; sleep 600 & sleep 600"],
    ));
    let cancel = CancellationToken::new();
    let report = workspace.build_with(BuildOptions {
        cancel: cancel.clone(),
        observer: Arc::new(CancelOnStart(cancel)),
        ..BuildOptions::default()
    });
    assert_eq!(statuses(&report), [("deaf", TargetStatus::Cancelled)]);
    assert!(processes_below(workspace.directory.path()).is_empty());
}

/// The processes that work below a directory.
fn processes_below(directory: &Path) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| std::fs::read_link(entry.path().join("cwd")).ok())
        .filter(|cwd| cwd.starts_with(directory))
        .map(|cwd| cwd.display().to_string())
        .collect()
}

#[test]
fn when_actions_began_how_they_ended_and_what_they_come_after_is_reported() {
    let signalled = pipeline("", &["a | | printf one > out/a.txt", "b | a | kill -9 $$"]);
    let workspace = Workspace::new(&signalled);
    let report = workspace.build();
    let [a, b] = report.targets.as_slice() else {
        panic!("{report:?}");
    };
    assert_eq!(a.needs, [] as [String; 0]);
    assert_eq!(b.needs, ["a"]);
    let killed = &b.actions[0];
    assert_eq!((killed.signal, killed.exit_code), (Some(9), None));
    assert_eq!((a.actions[0].signal, killed.executed_ms), (None, None));
    assert!(a.actions[0].started_us.unwrap() < killed.started_us.unwrap());
    let took = a.actions[0].executed_ms;
    assert!(took.is_some());
    // A result of the cache tells how long that took.
    std::fs::remove_dir_all(workspace.project().join("dist")).unwrap();
    let again = workspace.build();
    assert_eq!(again.targets[0].status, TargetStatus::Cached);
    assert_eq!(again.targets[0].actions[0].executed_ms, took);
}

#[test]
fn what_hangs_is_ended_and_what_is_left_behind_goes_too() {
    let hanging = pipeline("", &["slow | | sleep 600"]) + "timeout = 1\n";
    let report = Workspace::new(&hanging).build();
    assert_eq!(statuses(&report), [("slow", TargetStatus::Failed)]);
    let problem = &report.targets[0].diagnostics[0];
    assert_eq!(problem.code, "build.timeout");
    assert_eq!(problem.message, "`run the script` was ended after 1 s");
    assert!(Duration::from_millis(report.duration_ms) < Duration::from_secs(300));

    let workspace = Workspace::new(&pipeline("", &["daemon | | sleep 600 & echo > out/a.txt"]));
    assert!(workspace.build().success);
    assert!(processes_below(workspace.directory.path()).is_empty());
}

#[test]
fn actions_see_only_what_is_declared() {
    let config = pipeline(
        "",
        &[
            "env | | env | cut -d= -f1 | sort > out/env.txt; ls -A . >> out/env.txt; ls -A \"$HOME\"",
        ],
    ) + "environment = { EXTRA = \"1\" }\n";
    let workspace = Workspace::new(&config);
    assert!(workspace.build().success);
    let seen = workspace.read("dist/env/env.txt").unwrap();
    // A shell adds PWD, SHLVL and _ by itself.
    let seen: Vec<&str> = seen
        .lines()
        .filter(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name))
        .collect();
    assert_eq!(
        seen.join(" "),
        "EXTRA HOME LANG PATH SOURCE_DATE_EPOCH TMPDIR TZ out src"
    );
}
