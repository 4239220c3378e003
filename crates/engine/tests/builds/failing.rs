//! What stays of a build that fails, or of which nobody says that it stays.

use std::sync::Arc;

use synth_core::{
    Action, BuildTarget, Diagnostic, Native, NativeOutcome, Phase, Plan, PlanContext, Process,
    RunContext, TargetDescription, TargetSpec, ToolRequest,
};
use synth_engine::{BuildOptions, OutputsState, Registry, TargetStatus, Transaction};

use crate::workspace::{Workspace, pipeline, statuses};

/// A kind whose action is a function that starts a process, which fails.
struct Caller;

impl BuildTarget for Caller {
    fn describe(&self) -> TargetDescription {
        let schema = serde_json::json!({"type": "object"});
        TargetDescription::new("caller", "caller", "1.0.0", "Calls a program", schema)
    }

    fn validate(&self, _: &TargetSpec, _: &dyn PlanContext) -> Vec<Diagnostic> {
        Vec::new()
    }

    fn plan(&self, _: &TargetSpec, context: &dyn PlanContext) -> Result<Plan, Vec<Diagnostic>> {
        let shell = ToolRequest::named("sh").version_arguments::<String>([]);
        let shell = context.tool(&shell).unwrap();
        let action = Action::new("call", Phase::Build, "call a program", Native::new("call"))
            .tool(shell)
            .output_file("text", "text.txt");
        Ok(Plan::default()
            .action(action)
            .export("call", "text", "text.txt"))
    }

    fn run(&self, _: &Native, context: &dyn RunContext) -> Result<NativeOutcome, Vec<Diagnostic>> {
        let script = "echo \"$PWD\"; echo more >> \"$1\"; exit 5";
        let file = context.outputs().join("half").display().to_string();
        let process = Process {
            argv: ["sh", "-c", script, "sh", &file].map(Into::into).into(),
            working_directory: Default::default(),
            environment: [("MODE".into(), "a b".into())].into(),
            standard_output: None,
        };
        let outcome = context.run(&process).map_err(|problem| vec![problem])?;
        let message = format!("exit code {:?}", outcome.exit_code);
        Err(vec![Diagnostic::error("caller.failed", message)])
    }
}

#[test]
fn the_directory_of_a_function_is_kept_with_the_process_that_failed() {
    let config = "[targets.a]\ntype = \"caller\"\nsource_path = \"src\"\n";
    let workspace = Workspace::new(config);
    let options = BuildOptions {
        keep_failed: true,
        ..BuildOptions::default()
    };
    let registry = Registry::new().with(Arc::new(Caller));
    let report = workspace.try_build_of(&registry, options).unwrap();
    let kept = report.targets[0].actions[0].kept.as_ref().unwrap();
    assert_eq!(kept.directory, ".synth/kept/a/call");
    let half = format!("{}/outputs/half", kept.directory);
    assert_eq!(workspace.read(&half).as_deref(), Some("more\n"));
    let project = workspace.project().canonicalize().unwrap();
    let rerun = kept.rerun.as_ref().unwrap();
    let directory = project.join(&kept.directory);
    assert!(
        rerun.starts_with(&format!("cd '{}/scratch' && env -i ", directory.display())),
        "{rerun}"
    );
    assert!(rerun.contains(" 'MODE=a b' "), "{rerun}");
    let end = format!("sh '{}/outputs/half'", directory.display());
    assert!(rerun.ends_with(&end), "{rerun}");
}

fn config(text: &str) -> String {
    let head = "failure_strategy = \"rollback\"";
    let first = format!("a | | echo {text} > out/a.txt");
    pipeline(head, &[&first, "b | | echo b > out/b.txt"])
}

#[test]
fn what_nobody_keeps_is_taken_back_by_the_next_build() {
    let workspace = Workspace::new(&config("1"));
    assert!(workspace.build().success);
    workspace.write("project/synth.toml", &config("2"));
    let report = workspace.build_with(BuildOptions {
        transaction: Some(Arc::default()),
        ..BuildOptions::default()
    });
    assert!(report.success);
    assert_eq!(workspace.read("dist/a/a.txt").as_deref(), Some("2\n"));
    assert!(!workspace.is_known_to_be_up_to_date());
    workspace.write("project/synth.toml", &config("1"));
    let report = workspace.build();
    assert_eq!(report.diagnostics[0].code, "rollback.finished");
    assert!(
        statuses(&report)
            .iter()
            .all(|(_, status)| *status == TargetStatus::UpToDate),
        "{:?}",
        statuses(&report)
    );
    assert_eq!(workspace.read("dist/a/a.txt").as_deref(), Some("1\n"));
    assert!(workspace.build().diagnostics.is_empty());
}

#[test]
fn what_is_kept_stays() {
    let workspace = Workspace::new(&config("1"));
    let transaction = Arc::<Transaction>::default();
    let report = workspace.build_with(BuildOptions {
        transaction: Some(Arc::clone(&transaction)),
        ..BuildOptions::default()
    });
    assert!(report.success);
    transaction.keep().unwrap();
    assert!(workspace.is_known_to_be_up_to_date());
    assert!(workspace.build().diagnostics.is_empty());
    assert_eq!(workspace.read("dist/a/a.txt").as_deref(), Some("1\n"));
}

#[test]
fn what_is_taken_back_is_told_of_each_target() {
    let workspace = Workspace::new(&config("1"));
    assert!(workspace.build().success);
    let all = config("2") + &pipeline("", &["c | | echo c > out/c.txt"]);
    workspace.write("project/synth.toml", &all);
    let transaction = Arc::<Transaction>::default();
    let mut report = workspace.build_with(BuildOptions {
        transaction: Some(Arc::clone(&transaction)),
        ..BuildOptions::default()
    });
    assert!(report.success && !report.partial);
    transaction.take_back(&workspace.load().unwrap(), &mut report);
    let targets = report.targets.iter();
    let ended: Vec<_> = targets
        .map(|target| (target.status, target.outputs))
        .collect();
    assert_eq!(
        ended,
        [
            (TargetStatus::RolledBack, OutputsState::Earlier),
            (TargetStatus::UpToDate, OutputsState::Current),
            (TargetStatus::RolledBack, OutputsState::None),
        ]
    );
    assert!(!report.success);
    assert_eq!(workspace.read("dist/a/a.txt").as_deref(), Some("1\n"));
    assert_eq!(workspace.read("dist/c/c.txt"), None);
}

#[test]
fn a_target_may_fail_where_another_may_not() {
    use TargetStatus::{Built, Cancelled, Failed, RolledBack, Skipped};
    let targets = ["bad | | exit 1", "after | bad | true", "good | | true"];
    for (strategy, allowed, expected) in [
        ("stop_all", true, [Failed, Skipped, Built]),
        ("stop_all", false, [Failed, Skipped, Cancelled]),
        ("rollback", true, [Failed, Skipped, Built]),
        ("rollback", false, [Failed, Skipped, Cancelled]),
    ] {
        let head = format!("failure_strategy = \"{strategy}\"\nparallel_execution = false");
        let config = pipeline(&head, &targets);
        let allow = format!("[targets.bad]\nallow_failure = {allowed}");
        let workspace = Workspace::new(&config.replace("[targets.bad]", &allow));
        let report = workspace.build();
        let ended: Vec<_> = statuses(&report)
            .iter()
            .map(|(_, status)| *status)
            .collect();
        assert_eq!(ended, expected, "{strategy} {allowed}");
        assert_eq!(report.success, allowed, "{strategy}");
        assert!(!ended.contains(&RolledBack));
        let said: Vec<bool> = report.targets.iter().map(|t| t.failure_allowed).collect();
        assert_eq!(said, [allowed, allowed, false]);
    }
}

#[test]
fn what_needs_a_target_that_may_fail_and_one_that_may_not_may_not_fail() {
    let head = "failure_strategy = \"continue\"\nparallel_execution = false";
    let targets = [
        "may | | exit 1",
        "must | | exit 1",
        "both | may must | true",
        "after | both | true",
    ];
    let config = pipeline(head, &targets);
    let allow = "[targets.may]\nallow_failure = true";
    let workspace = Workspace::new(&config.replace("[targets.may]", allow));
    let report = workspace.build();
    let said: Vec<_> = report
        .targets
        .iter()
        .map(|target| (target.status, target.failure_allowed))
        .collect();
    assert_eq!(
        said,
        [
            (TargetStatus::Failed, true),
            (TargetStatus::Failed, false),
            (TargetStatus::Skipped, false),
            (TargetStatus::Skipped, false),
        ]
    );
}

#[test]
fn what_was_kept_stays_until_the_action_ends_by_itself() {
    let head = "failure_strategy = \"stop_all\"";
    let slow = "slow | | test -e stay || exit 1; sleep 1000";
    let fails = "fails | | test ! -e stay || exit 1";
    let workspace = Workspace::new(&pipeline(head, &[slow, fails]));
    let keep = || BuildOptions {
        keep_failed: true,
        jobs: std::num::NonZeroUsize::new(2),
        ..BuildOptions::default()
    };
    workspace.build_with(keep());
    let kept = workspace.project().join(".synth/kept/slow");
    assert!(kept.is_dir());
    workspace.write("project/src/stay", "");
    let report = workspace.build_with(keep());
    assert_eq!(statuses(&report)[0].1, TargetStatus::Cancelled);
    assert!(kept.is_dir(), "it was stopped, and says nothing");
}

#[test]
fn logs_are_pushed_out_by_builds_that_execute_something() {
    let workspace = Workspace::new(&pipeline("", &["a | | echo 1"]));
    let report = workspace.build();
    let log = report.targets[0].actions[0].log.clone().unwrap();
    for _ in 0..25 {
        assert!(workspace.build().success);
    }
    assert!(workspace.read(&log).is_some(), "{log}");
    let logs = std::fs::read_dir(workspace.project().join(".synth/logs")).unwrap();
    assert_eq!(logs.count(), 1);
}
