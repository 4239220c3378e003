//! A plan is made once: until its kind, its target or what it asked of the project is different.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Deserialize;
use synth_core::{
    Action, BuildTarget, Diagnostic, Native, NativeOutcome, Phase, Plan, PlanContext, ProjectPath,
    RunContext, SourceFiles, TargetDescription, TargetSpec, ToolRequest,
};
use synth_engine::{BuildOptions, BuildReport, Registry, TargetStatus};

use crate::workspace::{Workspace, statuses};

/// A kind that asks what its settings say, and counts how often it is asked itself.
#[derive(Default)]
struct Counting {
    validated: AtomicUsize,
    planned: AtomicUsize,
    run: AtomicUsize,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Settings {
    read: Vec<ProjectPath>,
    exists: Vec<ProjectPath>,
    link: Vec<ProjectPath>,
    files: Vec<String>,
    directories: Vec<String>,
    tool: Vec<String>,
    invalid: bool,
}

impl BuildTarget for Counting {
    fn describe(&self) -> TargetDescription {
        TargetDescription {
            kind: "counting".into(),
            crate_name: "synth-target-counting".into(),
            version: semver::Version::new(1, 0, 0),
            description: "Counts".into(),
            settings_schema: serde_json::json!({"additionalProperties": true}),
            setting_aliases: Vec::new(),
        }
    }

    fn validate(&self, target: &TargetSpec, context: &dyn PlanContext) -> Vec<Diagnostic> {
        self.validated.fetch_add(1, Ordering::SeqCst);
        let settings: Settings = target.settings_as().unwrap();
        for path in &settings.exists {
            context.exists(path);
        }
        if settings.invalid {
            return vec![Diagnostic::error("counting.invalid", "it is invalid")];
        }
        vec![Diagnostic::warning("counting.seen", "it was seen").at_setting(["type"])]
    }

    fn plan(
        &self,
        target: &TargetSpec,
        context: &dyn PlanContext,
    ) -> Result<Plan, Vec<Diagnostic>> {
        self.planned.fetch_add(1, Ordering::SeqCst);
        let settings: Settings = target.settings_as().unwrap();
        let below =
            |pattern: &String| SourceFiles::below(target.source_path.clone()).include([pattern]);
        for path in &settings.read {
            let _ = context.read_text(path);
        }
        for path in &settings.link {
            let _ = context.link(path);
        }
        for pattern in &settings.files {
            let _ = context.files(&below(pattern));
        }
        for pattern in &settings.directories {
            let _ = context.directories(&below(pattern));
        }
        for program in &settings.tool {
            let _ = context.tool(&ToolRequest::named("tool").program(program));
        }
        let action = Action::new("act", Phase::Build, "act", Native::new("act"))
            .output_file("text", "text.txt");
        let mut plan = Plan::default()
            .action(action)
            .export("act", "text", "text.txt");
        plan.warnings
            .push(Diagnostic::warning("counting.planned", "it was planned"));
        Ok(plan)
    }

    fn run(&self, _: &Native, context: &dyn RunContext) -> Result<NativeOutcome, Vec<Diagnostic>> {
        self.run.fetch_add(1, Ordering::SeqCst);
        std::fs::write(context.outputs().join("text.txt"), "text").unwrap();
        Ok(NativeOutcome::quiet())
    }
}

/// A workspace with one target, and the kind that counts.
struct Counted {
    workspace: Workspace,
    kind: Arc<Counting>,
    identity: &'static str,
}

impl Counted {
    fn new(settings: &str) -> Self {
        let counted = Self {
            workspace: Workspace::new(""),
            kind: Arc::default(),
            identity: "first",
        };
        counted.configure(settings);
        counted
    }

    fn configure(&self, settings: &str) {
        let config = format!("[targets.a]\ntype = 'counting'\nsource_path = 'src'\n{settings}\n");
        self.workspace.write("project/synth.toml", &config);
    }

    fn try_build(&self, options: BuildOptions) -> Result<BuildReport, Vec<Diagnostic>> {
        let kind = Arc::clone(&self.kind) as Arc<dyn BuildTarget>;
        let description = self.kind.describe();
        let registry = Registry::new().with_described(kind, description, self.identity.into());
        self.workspace.try_build_of(&registry, options)
    }

    /// Builds, and gives how often the kind was asked to validate and to plan.
    fn asked(&self) -> (usize, usize) {
        self.asked_with(BuildOptions::default())
    }

    fn asked_with(&self, options: BuildOptions) -> (usize, usize) {
        self.kind.validated.store(0, Ordering::SeqCst);
        self.kind.planned.store(0, Ordering::SeqCst);
        // The index of what was seen would ask nobody.
        let index = self.workspace.project().join(".synth/index");
        let _ = std::fs::remove_dir_all(index);
        let report = self.try_build(options).unwrap();
        assert!(report.success);
        // What it has to say is said, whoever says it.
        let codes = report.targets[0]
            .diagnostics
            .iter()
            .map(|p| p.code.as_str());
        assert_eq!(
            codes.collect::<Vec<_>>(),
            ["counting.planned", "counting.seen"]
        );
        (
            self.kind.validated.load(Ordering::SeqCst),
            self.kind.planned.load(Ordering::SeqCst),
        )
    }

    /// The records of plans.
    fn records(&self) -> Vec<Vec<u8>> {
        let records = self.workspace.records(PLANS).into_iter();
        records.map(|(_, record)| record).collect()
    }
}

/// The sort of the records of plans.
const PLANS: i32 = 1;

const KNOWN: (usize, usize) = (0, 0);
const MADE: (usize, usize) = (1, 1);

#[test]
fn a_build_in_which_nothing_changed_asks_no_kind() {
    for settings in [
        "",
        "read = ['src/input.txt', 'src/missing.txt', 'src/input.txt']",
        "files = ['**/*.txt']\ndirectories = ['*']\nexists = ['src', 'no']\nlink = ['src/input.txt']",
        "tool = ['sh', 'no such program']",
    ] {
        let counted = Counted::new(settings);
        assert_eq!(counted.asked(), MADE, "{settings}");
        assert_eq!(counted.asked(), KNOWN, "{settings}");
        // Outputs are put back from the cache by the engine alone.
        std::fs::remove_dir_all(counted.workspace.project().join("dist")).unwrap();
        assert_eq!(counted.asked(), KNOWN, "{settings}");
        assert_eq!(counted.kind.run.load(Ordering::SeqCst), 1, "{settings}");
        let uncached = BuildOptions {
            use_cache: false,
            ..BuildOptions::default()
        };
        assert_eq!(counted.asked_with(uncached), MADE, "{settings}");
        assert_eq!(counted.asked(), KNOWN, "{settings}");
    }
}

#[test]
fn a_different_answer_makes_a_new_plan() {
    let program = "#!/bin/sh\necho 1.0\n";
    for (settings, path, text, expected) in [
        ("read = ['src/input.txt']", "src/input.txt", "two", MADE),
        ("read = ['src/new.txt']", "src/new.txt", "there", MADE),
        ("read = ['src/input.txt']", "src/other.txt", "two", KNOWN),
        ("files = ['**/*.txt']", "src/below/new.txt", "", MADE),
        ("files = ['*.txt']", "src/below/new.txt", "", KNOWN),
        // A list has names, and no contents.
        ("files = ['*.txt']", "src/input.txt", "two", KNOWN),
        ("directories = ['*']", "src/below/new.txt", "", MADE),
        ("exists = ['src/new.txt']", "src/new.txt", "", MADE),
        ("link = ['src/link']", "src/new.txt", "", KNOWN),
        ("", "src/input.txt", "two", KNOWN),
        ("tool = ['TOOL']", "tool.sh", "#!/bin/sh\necho 2.0\n", MADE),
        ("tool = ['TOOL']", "src/input.txt", "two", KNOWN),
    ] {
        use std::os::unix::fs::PermissionsExt;
        let counted = Counted::new("");
        let tool = counted.workspace.project().join("tool.sh");
        std::fs::write(&tool, program).unwrap();
        std::fs::set_permissions(&tool, PermissionsExt::from_mode(0o755)).unwrap();
        counted.configure(&settings.replace("TOOL", tool.to_str().unwrap()));
        assert_eq!(counted.asked(), MADE);
        assert_eq!(counted.asked(), KNOWN);
        counted.workspace.write(&format!("project/{path}"), text);
        assert_eq!(counted.asked(), expected, "{settings}, {path}");
        assert_eq!(counted.asked(), KNOWN);
    }
}

#[test]
fn a_link_that_leads_elsewhere_makes_a_new_plan() {
    let counted = Counted::new("link = ['src/link']");
    let link = counted.workspace.project().join("src/link");
    for target in ["input.txt", "elsewhere"] {
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(target, &link).unwrap();
        assert_eq!(counted.asked(), MADE, "{target}");
        assert_eq!(counted.asked(), KNOWN, "{target}");
    }
}

#[test]
fn another_target_or_another_code_makes_a_new_plan() {
    let mut counted = Counted::new("");
    assert_eq!(counted.asked(), MADE);
    counted.configure("more = 1");
    assert_eq!(counted.asked(), MADE);
    counted.configure("more = 1\nenvironment = { A = 'b' }");
    assert_eq!(counted.asked(), MADE);
    counted.identity = "second";
    assert_eq!(counted.asked(), MADE);
    assert_eq!(counted.asked(), KNOWN);
    // Where its table stands is no part of a target.
    counted.workspace.write(
        "project/synth.toml",
        "\n\n[targets.a]\nenvironment = { A = 'b' }\nmore = 1\ntype = 'counting'\nsource_path = 'src'\n",
    );
    assert_eq!(counted.asked(), KNOWN);
    let report = counted.try_build(BuildOptions::default()).unwrap();
    assert_eq!(statuses(&report), [("a", TargetStatus::UpToDate)]);
    let shown = serde_json::to_string(&report.targets[0].diagnostics).unwrap();
    assert!(shown.contains(r#""line":6"#), "{shown}");
}

#[test]
fn errors_are_found_anew() {
    let counted = Counted::new("invalid = true");
    for times in [1, 2] {
        assert!(counted.try_build(BuildOptions::default()).is_err());
        assert_eq!(counted.kind.validated.load(Ordering::SeqCst), times);
        assert!(counted.records().is_empty());
    }
}

#[test]
fn a_record_that_is_damaged_old_or_foreign_is_none() {
    let foreign = Counted::new("foreign = true");
    assert_eq!(foreign.asked(), MADE);
    let foreign = foreign.records().remove(0);
    let counted = Counted::new("");
    assert_eq!(counted.asked(), MADE);
    let [good] = &counted.records()[..] else {
        panic!("one target has one record");
    };
    let replaced = |from: &str, to: &str| {
        let text = String::from_utf8(good.clone()).unwrap();
        assert!(text.contains(from), "{text}");
        text.replace(from, to).into_bytes()
    };
    for (what, bytes) in [
        ("empty", Vec::new()),
        ("cut off", good[..good.len() - 10].to_vec()),
        ("not text", vec![0xff; 100]),
        ("changed", replaced("\"act\"", "\"fact\"")),
        (
            "of another form",
            replaced("synth-plan-1 ", "synth-plan-0 "),
        ),
        ("of another target", foreign),
    ] {
        counted.workspace.set_record(PLANS, "a", &bytes);
        assert_eq!(counted.asked(), MADE, "{what}");
        assert_eq!(counted.asked(), KNOWN, "{what}");
    }
}

#[test]
fn a_database_that_is_damaged_is_begun_anew() {
    let counted = Counted::new("");
    assert_eq!(counted.asked(), MADE);
    let database = counted.workspace.project().join(".synth/records.db");
    std::fs::write(&database, "none ".repeat(2000)).unwrap();
    // Whose the outputs are is not known any more, so they would not be replaced.
    std::fs::remove_dir_all(counted.workspace.project().join("dist")).unwrap();
    assert_eq!(counted.asked(), MADE);
    assert_eq!(counted.asked(), KNOWN);
}
