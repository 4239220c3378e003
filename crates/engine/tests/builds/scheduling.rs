//! In which order, after which failure, and how often.

use std::sync::{Arc, Mutex};

use synth_engine::{BuildOptions, CancellationToken, Event, Observer, TargetStatus};

use crate::workspace::{Workspace, pipeline, statuses};

#[test]
fn each_failure_strategy_does_what_it_says() {
    use TargetStatus::{Built, Cancelled, Failed, RolledBack, Skipped};
    let targets = [
        "good | | echo good > out/good.txt",
        "bad | good | echo reason >&2; exit 7",
        "dependent | bad | true",
        "late | | echo late > out/late.txt",
    ];
    for (strategy, expected, good_is_there) in [
        (
            "stop_all",
            [
                ("good", Built),
                ("bad", Failed),
                ("dependent", Skipped),
                ("late", Cancelled),
            ],
            true,
        ),
        (
            "continue",
            [
                ("good", Built),
                ("bad", Failed),
                ("dependent", Skipped),
                ("late", Built),
            ],
            true,
        ),
        (
            "rollback",
            [
                ("good", RolledBack),
                ("bad", Failed),
                ("dependent", Skipped),
                ("late", Cancelled),
            ],
            false,
        ),
    ] {
        let head = format!("failure_strategy = \"{strategy}\"\nparallel_execution = false");
        let workspace = Workspace::new(&pipeline(&head, &targets));
        let report = workspace.build();
        assert_eq!(statuses(&report), expected, "{strategy}");
        assert!(!report.success);
        assert_eq!(
            workspace.read("dist/good/good.txt").is_some(),
            good_is_there,
            "{strategy}"
        );
        let failed = &report.targets[1].actions[0];
        assert_eq!(failed.exit_code, Some(7));
        assert_eq!(failed.last_lines, ["reason"]);
        let log = workspace.read(failed.log.as_ref().unwrap());
        assert_eq!(log.as_deref(), Some("reason\n"));
    }
}

#[test]
fn problems_of_targets_are_placed_in_the_configuration() {
    let workspace = Workspace::new(&pipeline("", &["a | | invalid"]));
    let problems = workspace.try_build(BuildOptions::default()).unwrap_err();
    let shown = serde_json::to_string(&problems[0].place).unwrap();
    assert!(shown.contains(r#""line":6"#), "{shown}");
    assert_eq!(problems[0].target.as_deref(), Some("a"));
}

/// Keeps the order in which actions start.
#[derive(Default)]
struct Starts(Mutex<Vec<String>>);

impl Observer for Starts {
    fn notify(&self, event: &Event) {
        if let Event::ActionStarted { target, .. } = event {
            self.0.lock().unwrap().push(target.clone());
        }
    }
}

#[test]
fn one_at_a_time_runs_in_a_stable_order() {
    let workspace = Workspace::new(&pipeline(
        "parallel_execution = false",
        &["z | | true", "b | a | true", "a | | true"],
    ));
    let starts = Arc::new(Starts::default());
    workspace.build_with(BuildOptions {
        observer: Arc::clone(&starts) as Arc<dyn Observer>,
        use_cache: false,
        ..BuildOptions::default()
    });
    assert_eq!(*starts.0.lock().unwrap(), ["z", "a", "b"]);
}

#[test]
fn an_action_that_may_be_retried_is() {
    let config = |attempts: u32| {
        let script = "n=$(cat \"$COUNT\" 2>/dev/null); echo \"1$n\" > \"$COUNT\"; [ \"$n\" = 1 ]";
        pipeline("", &[&format!("a | | {script}")]) + &format!("attempts = {attempts}\n")
    };
    for (attempts, expected) in [(1, TargetStatus::Failed), (2, TargetStatus::Built)] {
        let workspace = Workspace::new(&config(attempts));
        let count = workspace.directory.path().join("count");
        let text = format!(
            "environment = {{ COUNT = '{}' }}\nretry = {{ initial_delay_seconds = 0 }}\n",
            count.display()
        );
        workspace.write("project/synth.toml", &(config(attempts) + &text));
        assert_eq!(
            statuses(&workspace.build()),
            [("a", expected)],
            "{attempts} attempts"
        );
    }
}

#[test]
fn a_build_that_waits_for_another_attempt_can_be_cancelled() {
    let config = pipeline(
        "retry = { initial_delay_seconds = 3600, maximum_delay_seconds = 3600 }",
        &["a | | exit 7"],
    );
    let workspace = Workspace::new(&(config + "attempts = 2\n"));
    let cancel = CancellationToken::new();
    let report = workspace.build_with(BuildOptions {
        cancel: cancel.clone(),
        observer: Arc::new(CancelOnRetry(cancel)),
        ..BuildOptions::default()
    });
    assert_eq!(statuses(&report), [("a", TargetStatus::Cancelled)]);
    let action = &report.targets[0].actions[0];
    assert_eq!((action.attempts, action.flaky), (Some(1), false));
    assert_eq!(action.retries[0].reason, "exit code 7");
}

/// Cancels the build as soon as it waits for another attempt.
struct CancelOnRetry(CancellationToken);

impl Observer for CancelOnRetry {
    fn notify(&self, event: &Event) {
        if matches!(event, Event::ActionRetried { .. }) {
            self.0.cancel();
        }
    }
}

#[test]
fn a_build_that_waits_for_its_workspace_can_be_cancelled() {
    let workspace = Workspace::new(&pipeline("", &["a | | true"]));
    std::fs::create_dir(workspace.project().join(".synth")).unwrap();
    let lock = std::fs::File::create(workspace.project().join(".synth/lock")).unwrap();
    lock.lock().unwrap();
    let cancel = CancellationToken::new();
    let problems = workspace.try_build(BuildOptions {
        cancel: cancel.clone(),
        observer: Arc::new(CancelOnWait(cancel)),
        ..BuildOptions::default()
    });
    assert_eq!(problems.unwrap_err()[0].code, "build.cancelled");
}

/// Cancels the build as soon as it waits.
struct CancelOnWait(CancellationToken);

impl Observer for CancelOnWait {
    fn notify(&self, event: &Event) {
        if matches!(event, Event::WaitingForWorkspace) {
            self.0.cancel();
        }
    }
}
