//! Whole builds through the public interface, with a kind whose targets are shell scripts.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of a test fail it where they stand"
)]

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Deserialize;
use synth_core::{
    Action, BuildTarget, Diagnostic, Exec, InputSource, Native, NativeOutcome, Phase, Plan,
    PlanContext, RunContext, SourceFiles, TargetDescription, TargetSpec, ToolRequest,
};
use synth_engine::{
    BuildOptions, BuildReport, CancellationToken, Event, LoadOptions, Observer, Pipeline, Registry,
    TargetStatus,
};

/// A target whose `script` leaves its outputs in `out`.
struct Script;

#[derive(Deserialize)]
struct Settings {
    script: String,
    #[serde(default)]
    timeout: Option<u64>,
    #[serde(default = "once")]
    attempts: u32,
}

fn once() -> u32 {
    1
}

impl BuildTarget for Script {
    fn describe(&self) -> TargetDescription {
        TargetDescription {
            kind: "script".into(),
            crate_name: "script".into(),
            version: semver::Version::new(1, 0, 0),
            description: "Runs a script".into(),
            settings_schema: serde_json::json!({
                "type": "object",
                "properties": {
                    "script": {"type": "string"},
                    "timeout": {"type": "integer"},
                    "attempts": {"type": "integer"},
                },
                "required": ["script"],
            }),
            setting_aliases: Vec::new(),
        }
    }

    fn validate(&self, target: &TargetSpec, _: &dyn PlanContext) -> Vec<Diagnostic> {
        if target.settings["script"] == "invalid" {
            return vec![Diagnostic::error("script.invalid", "no script").at_setting(["script"])];
        }
        Vec::new()
    }

    fn plan(
        &self,
        target: &TargetSpec,
        context: &dyn PlanContext,
    ) -> Result<Plan, Vec<Diagnostic>> {
        let settings: Settings = target.settings_as().map_err(|problem| vec![problem])?;
        let shell = ToolRequest::named("sh").version_arguments::<String>([]);
        let shell = context.tool(&shell).map_err(|error| {
            vec![Diagnostic::error("tool.missing", "no shell").caused_by(&error)]
        })?;
        let exec = Exec::new(["sh", "-c", &settings.script]).variables(target.environment.clone());
        let sources = SourceFiles::below(target.source_path.clone());
        let mut action = Action::new("run", Phase::Build, "run the script", exec)
            .input("src", InputSource::Source(sources))
            .output_directory("out", "out")
            .tool(shell);
        for name in &target.needs {
            let from = InputSource::Target { name: name.clone() };
            action = action.input(format!("needs/{name}"), from);
        }
        if let Some(seconds) = settings.timeout {
            action = action.timeout_seconds(seconds);
        }
        action.retry.attempts = settings.attempts;
        Ok(Plan::default()
            .action(action)
            .export("run", "out", "")
            .artifact("file", "*.txt"))
    }

    fn run(&self, _: &Native, _: &dyn RunContext) -> Result<NativeOutcome, Vec<Diagnostic>> {
        Ok(NativeOutcome::quiet())
    }
}

/// A workspace with a store of its own, in a directory whose name has a space.
struct Workspace {
    directory: tempfile::TempDir,
}

impl Workspace {
    fn new(config: &str) -> Self {
        let directory = tempfile::Builder::new().prefix("a b").tempdir().unwrap();
        let workspace = Self { directory };
        workspace.write("project/synth.toml", config);
        workspace.write("project/src/input.txt", "one");
        workspace
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn project(&self) -> std::path::PathBuf {
        self.directory.path().join("project")
    }

    fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.project().join(path)).ok()
    }

    fn load(&self) -> Result<Pipeline, Vec<Diagnostic>> {
        let registry = Registry::new().with(Arc::new(Script));
        Pipeline::load(&self.project(), &LoadOptions::default(), &registry)
    }

    fn build(&self) -> BuildReport {
        self.build_with(BuildOptions::default())
    }

    fn build_with(&self, options: BuildOptions) -> BuildReport {
        self.try_build(options)
            .unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    fn build_with_store(&self, store: &Path) -> BuildReport {
        self.build_with(BuildOptions {
            store: Some(store.to_owned()),
            ..BuildOptions::default()
        })
    }

    fn try_build(&self, options: BuildOptions) -> Result<BuildReport, Vec<Diagnostic>> {
        let registry = Registry::new().with(Arc::new(Script));
        let own = self.directory.path().join("the store");
        let options = BuildOptions {
            store: Some(options.store.unwrap_or(own)),
            ..options
        };
        tokio::runtime::Runtime::new()
            .unwrap()
            .block_on(synth_engine::build(&self.load()?, &registry, &options))
            .map_err(synth_engine::BuildError::into_diagnostics)
    }
}

fn statuses(report: &BuildReport) -> Vec<(&str, TargetStatus)> {
    let targets = report.targets.iter();
    targets
        .map(|target| (target.name.as_str(), target.status))
        .collect()
}

/// A pipeline of script targets, each `name | needs | script`.
fn pipeline(head: &str, targets: &[&str]) -> String {
    let mut text = format!("{head}\n");
    for target in targets {
        let mut parts = target.splitn(3, '|').map(str::trim);
        let (name, needs, script) = (parts.next(), parts.next(), parts.next());
        let needs: Vec<String> = needs
            .unwrap()
            .split_whitespace()
            .map(|need| format!("{need:?}"))
            .collect();
        text.push_str(&format!(
            "[targets.{}]\ntype = \"script\"\nsource_path = \"src\"\nneeds = [{}]\nscript = '''{}'''\n",
            name.unwrap(),
            needs.join(", "),
            script.unwrap()
        ));
    }
    text
}

#[test]
fn results_are_built_once_and_restored_from_the_cache() {
    let workspace = Workspace::new(&pipeline(
        "",
        &[
            "a | | cp src/input.txt out/a.txt",
            "b | a | cat \"$SYNTH_OUT_A/a.txt\" src/input.txt > out/b.txt",
        ],
    ));
    use TargetStatus::{Built, Cached, UpToDate};
    let first = workspace.build();
    assert_eq!(statuses(&first), [("a", Built), ("b", Built)]);
    assert_eq!(workspace.read("dist/b/b.txt").unwrap(), "oneone");
    assert_eq!(first.targets[1].artifacts[0].path.as_str(), "dist/b/b.txt");
    assert_eq!(
        statuses(&workspace.build()),
        [("a", UpToDate), ("b", UpToDate)]
    );

    std::fs::remove_dir_all(workspace.project().join("dist/a")).unwrap();
    assert_eq!(
        statuses(&workspace.build()),
        [("a", Cached), ("b", UpToDate)]
    );

    // An output that was tampered with is put right.
    workspace.write("project/dist/b/b.txt", "wrong!");
    assert_eq!(
        statuses(&workspace.build()),
        [("a", UpToDate), ("b", Cached)]
    );
    assert_eq!(workspace.read("dist/b/b.txt").unwrap(), "oneone");

    workspace.write("project/src/input.txt", "two");
    assert_eq!(statuses(&workspace.build()), [("a", Built), ("b", Built)]);
    workspace.write("project/src/input.txt", "one");
    assert_eq!(statuses(&workspace.build()), [("a", Cached), ("b", Cached)]);

    let uncached = BuildOptions {
        use_cache: false,
        ..BuildOptions::default()
    };
    assert_eq!(
        statuses(&workspace.build_with(uncached)),
        [("a", Built), ("b", Built)]
    );
}

#[test]
fn each_failure_strategy_does_what_it_says() {
    use TargetStatus::{Built, Cancelled, Failed, Skipped};
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
                ("good", Cancelled),
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
fn a_failed_build_leaves_the_earlier_outputs() {
    let config = |script: &str| pipeline("", &[&format!("a | | {script}")]);
    let workspace = Workspace::new(&config("echo 1 > out/a.txt"));
    workspace.build();
    workspace.write("project/synth.toml", &config("echo 2 > out/a.txt; exit 1"));
    assert!(!workspace.build().success);
    assert_eq!(workspace.read("dist/a/a.txt").as_deref(), Some("1\n"));
}

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

#[test]
fn what_synth_did_not_write_is_never_replaced() {
    let workspace = Workspace::new(&pipeline("", &["a | | echo a > out/a.txt"]));
    workspace.write("project/dist/a/precious.txt", "mine");
    let problems = workspace.try_build(BuildOptions::default()).unwrap_err();
    assert_eq!(problems[0].code, "output.not_ours");
    assert!(
        problems[0].message.contains("`precious.txt`"),
        "{}",
        problems[0].message
    );
    assert_eq!(
        workspace.read("dist/a/precious.txt").as_deref(),
        Some("mine")
    );
    std::fs::remove_file(workspace.project().join("dist/a/precious.txt")).unwrap();
    assert!(workspace.build().success);
    workspace.write("project/dist/a/added.txt", "mine");
    assert!(workspace.try_build(BuildOptions::default()).is_err());
    let registry = Registry::new().with(Arc::new(Script));
    let cleaned = synth_engine::clean(
        &workspace.load().unwrap(),
        &registry,
        &BuildOptions {
            store: Some(workspace.directory.path().join("the store")),
            ..BuildOptions::default()
        },
    );
    assert_eq!(cleaned.unwrap_err()[0].code, "output.not_ours");
}

#[test]
fn an_output_that_is_not_left_is_a_failure() {
    let workspace = Workspace::new(&pipeline("", &["a | | rm -r out"]));
    let report = workspace.build();
    assert_eq!(
        report.targets[0].diagnostics[0].message,
        "`run the script` succeeded but left no directory `out`"
    );
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
fn two_builds_of_one_workspace_take_turns() {
    let workspace = Arc::new(Workspace::new(&pipeline(
        "",
        &["a | | sleep 0.2; date +%N > out/a.txt"],
    )));
    let builds: Vec<_> = (0..3)
        .map(|_| {
            let workspace = Arc::clone(&workspace);
            std::thread::spawn(move || workspace.build())
        })
        .collect();
    let executed = builds
        .into_iter()
        .map(|build| build.join().unwrap())
        .filter(|report| report.targets[0].status == TargetStatus::Built)
        .count();
    assert_eq!(executed, 1);
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
        let text = format!("environment = {{ COUNT = '{}' }}\n", count.display());
        workspace.write("project/synth.toml", &(config(attempts) + &text));
        assert_eq!(
            statuses(&workspace.build()),
            [("a", expected)],
            "{attempts} attempts"
        );
    }
}

#[test]
fn what_other_targets_leave_is_never_a_source() {
    let workspace = Workspace::new("");
    let config = |environment: &str| {
        format!(
            "[targets.a]\ntype = 'script'\nsource_path = '.'\n\
             script = 'find src | sort > out/a.txt'\n\
             [targets.b]\ntype = 'script'\nsource_path = 'src'\nscript = 'echo > out/b.txt'\n{environment}"
        )
    };
    workspace.write("project/synth.toml", &config(""));
    workspace.build();
    let alone = workspace.read("dist/a/a.txt").unwrap();
    assert!(!alone.contains("b.txt"), "{alone}");
    // Neither the outputs of a target that is not built now, nor what a build that died has left.
    workspace.write("project/dist/.b.synth-Xyz/outputs/b.txt", "");
    workspace.write("project/.git/config", "");
    let registry = Registry::new().with(Arc::new(Script));
    let options = BuildOptions {
        store: Some(workspace.directory.path().join("the store")),
        ..BuildOptions::default()
    };
    let pipeline = workspace.load().unwrap().select(&["a".into()]).unwrap();
    let report = tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(synth_engine::build(&pipeline, &registry, &options))
        .unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(statuses(&report), [("a", TargetStatus::UpToDate)]);
    assert!(!workspace.project().join("dist/.b.synth-Xyz").exists());
}

#[test]
fn a_store_inside_the_project_is_no_source() {
    let workspace = Workspace::new("");
    workspace.write(
        "project/synth.toml",
        "[targets.a]\ntype = 'script'\nsource_path = '.'\nscript = 'find src > out/a.txt'\n",
    );
    let build = || workspace.build_with_store(&workspace.project().join(".cache/synth"));
    assert_eq!(statuses(&build()), [("a", TargetStatus::Built)]);
    assert_eq!(statuses(&build()), [("a", TargetStatus::UpToDate)]);
}

#[test]
fn an_output_behind_a_link_is_refused() {
    let workspace = Workspace::new("");
    let outside = workspace.directory.path().join("outside");
    workspace.write("outside/precious.txt", "mine");
    let script = format!("rm -r out; ln -s \"{}\" out", outside.display());
    workspace.write(
        "project/synth.toml",
        &pipeline("", &[&format!("a | | {script}")]),
    );
    let report = workspace.build();
    assert_eq!(report.targets[0].diagnostics[0].code, "execute.output.link");
    assert!(outside.join("precious.txt").exists());
}

#[test]
fn hard_links_and_protected_directories_are_kept_apart() {
    use std::os::unix::fs::PermissionsExt;
    let workspace = Workspace::new("");
    let user = workspace.directory.path().join("user.txt");
    workspace.write("user.txt", "mine");
    let script = format!(
        "ln \"{}\" out/user.txt; echo 1 > out/x.txt; chmod 755 out/x.txt; \
         for i in 1 2 3 4 5; do ln out/x.txt out/$i.txt; done; \
         mkdir out/deep; echo > out/deep/y.txt; chmod 500 out/deep",
        user.display()
    );
    workspace.write(
        "project/synth.toml",
        &pipeline("", &[&format!("a | | {script}")]),
    );
    assert!(workspace.build().success);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    for name in ["x", "1", "2", "3", "4", "5"] {
        let path = workspace.project().join(format!("dist/a/{name}.txt"));
        assert_eq!(mode(&path), 0o755, "{name}");
    }
    assert_ne!(mode(&user), 0o444, "the user's own file stays as it was");
    std::fs::write(&user, "changed").unwrap();
    std::fs::remove_dir_all(workspace.project().join("dist")).unwrap();
    assert_eq!(statuses(&workspace.build()), [("a", TargetStatus::Cached)]);
    assert_eq!(workspace.read("dist/a/user.txt").as_deref(), Some("mine"));
}

#[test]
fn environments_with_outputs_of_their_own_take_turns() {
    let workspace = Workspace::new("");
    let config = |output: &str| {
        pipeline("", &["a | | echo a > out/a.txt"]) + &format!("output_path = '{output}'\n")
    };
    for output in ["dist/dev", "dist/production", "dist/dev"] {
        workspace.write("project/synth.toml", &config(output));
        assert!(workspace.build().success, "{output}");
    }
}

#[test]
fn rollback_replaces_all_outputs_or_none() {
    let config = |text: &str| {
        pipeline(
            "failure_strategy = \"rollback\"",
            &[
                &format!("a | | echo {text} > out/a.txt"),
                // A file appears among the outputs of `b` while it is built.
                &format!("b | a | echo {text} > out/b.txt; [ {text} = 1 ] || echo > \"$PRECIOUS\""),
            ],
        )
    };
    let workspace = Workspace::new(&config("1"));
    let precious = workspace.project().join("dist/b/precious.txt");
    let variable = format!("environment = {{ PRECIOUS = '{}' }}\n", precious.display());
    for (text, success) in [("1", true), ("2", false)] {
        workspace.write("project/synth.toml", &(config(text) + &variable));
        assert_eq!(workspace.build().success, success, "{text}");
    }
    assert_eq!(workspace.read("dist/a/a.txt").as_deref(), Some("1\n"));
    assert!(precious.exists());
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
