//! Kinds that fail where they should have answered: what that costs, and what it does not.

use std::sync::Arc;

use synth_core::{
    Action, BuildTarget, Concern, Detection, Diagnostic, Native, NativeOutcome, Phase, Plan,
    PlanContext, ProjectPath, Requirement, RunContext, TargetDescription, TargetSpec,
};
use synth_engine::{BuildOptions, LoadOptions, Pipeline, Project, Registry, TargetStatus};

use crate::workspace::{Script, Workspace, pipeline, statuses};

/// A kind that goes wrong in the way that its setting `fault` says.
struct Odd;

fn fault(target: &TargetSpec) -> &str {
    target.settings["fault"].as_str().unwrap_or_default()
}

impl BuildTarget for Odd {
    fn describe(&self) -> TargetDescription {
        TargetDescription {
            kind: "odd".into(),
            crate_name: "synth-target-odd".into(),
            version: semver::Version::new(1, 0, 0),
            description: "Goes wrong".into(),
            settings_schema: serde_json::json!({"properties": {"fault": {"type": "string"}}}),
            setting_aliases: Vec::new(),
        }
    }

    fn validate(&self, target: &TargetSpec, _: &dyn PlanContext) -> Vec<Diagnostic> {
        match fault(target) {
            "panic in validate" => panic!("no {}", "answer"),
            "not loaded" => vec![
                Diagnostic::error("plugin.interface", "the plugin can't be used")
                    .concerning(Concern::Environment),
            ],
            "missing tool" => vec![
                Diagnostic::error("tool.missing", "`cc` was not found")
                    .concerning(Concern::Environment),
            ],
            "thrown" => std::panic::resume_unwind(Box::new(
                Diagnostic::error("plugin.crashed", "the plugin crashed")
                    .concerning(Concern::Internal),
            )),
            _ => Vec::new(),
        }
    }

    fn requirements(&self, target: &TargetSpec, _: &dyn PlanContext) -> Vec<Requirement> {
        assert_ne!(fault(target), "panic in requirements");
        Vec::new()
    }

    fn plan(&self, target: &TargetSpec, _: &dyn PlanContext) -> Result<Plan, Vec<Diagnostic>> {
        let function = fault(target);
        let action = Action::new("act", Phase::Build, "act oddly", Native::new(function))
            .output_file("text", "text.txt");
        match function {
            "panic in plan" => panic!("no plan"),
            "no reason" => Err(Vec::new()),
            "broken plan" => Ok(Plan::default().action(action.after("nothing"))),
            _ => Ok(Plan::default()
                .action(action)
                .export("act", "text", "text.txt")),
        }
    }

    fn run(
        &self,
        action: &Native,
        context: &dyn RunContext,
    ) -> Result<NativeOutcome, Vec<Diagnostic>> {
        match action.function.as_str() {
            "panic in run" => panic!("no result"),
            "no reason to fail" => return Err(Vec::new()),
            "talks" => {
                let line = "x".repeat(1024 * 1024);
                for _ in 0..80 {
                    context.log(&line);
                }
            }
            _ => {}
        }
        std::fs::write(context.outputs().join("text.txt"), "odd").unwrap();
        Ok(NativeOutcome::quiet())
    }

    fn clean(&self, target: &TargetSpec) -> Vec<ProjectPath> {
        assert_ne!(fault(target), "panic in clean");
        Vec::new()
    }

    fn detect(&self, directory: &ProjectPath, _: &dyn PlanContext) -> Option<Detection> {
        panic!("nothing is seen in `{directory}`")
    }
}

fn registry() -> Registry {
    Registry::new().with(Arc::new(Script)).with(Arc::new(Odd))
}

/// An odd target, one that needs it, and one that does not.
fn workspace(strategy: &str, fault: &str) -> Workspace {
    let scripts = ["dependent | odd | true", "other | | echo > out/other.txt"];
    Workspace::new(&format!(
        "{}[targets.odd]\ntype = 'odd'\nfault = '{fault}'\n",
        pipeline(&format!("failure_strategy = '{strategy}'"), &scripts)
    ))
}

#[test]
fn a_fault_of_a_kind_costs_its_target_and_what_needs_it() {
    use TargetStatus::{Built, Failed, Skipped};
    for (fault, code, said) in [
        ("panic in validate", "internal.panic", "no answer (at "),
        ("panic in plan", "internal.panic", "no plan (at "),
        ("panic in run", "internal.panic", "no result (at "),
        ("thrown", "plugin.crashed", ""),
        ("not loaded", "plugin.interface", ""),
        ("no reason", "internal.kind.silent", ""),
        ("no reason to fail", "internal.kind.silent", ""),
        ("broken plan", "plan.broken", "`act` comes after `nothing`"),
    ] {
        let workspace = workspace("continue", fault);
        let report = workspace
            .try_build_of(&registry(), BuildOptions::default())
            .unwrap_or_else(|problems| panic!("{fault}: {problems:?}"));
        assert_eq!(
            statuses(&report),
            [("dependent", Skipped), ("other", Built), ("odd", Failed)],
            "{fault}"
        );
        assert!(!report.success);
        assert!(workspace.read("dist/other/other.txt").is_some(), "{fault}");
        let [problem] = &report.targets[2].diagnostics[..] else {
            panic!("{fault}: {:?}", report.targets[2].diagnostics);
        };
        assert_eq!(problem.code, code, "{fault}");
        assert_eq!(problem.target.as_deref(), Some("odd"), "{fault}");
        assert!(
            problem.causes.join("").contains(said),
            "{fault}: {problem:?}"
        );
        assert!(report.targets[0].diagnostics.is_empty(), "{fault}");
    }
}

#[test]
fn where_failures_stop_the_build_nothing_begins() {
    for strategy in ["stop_all", "rollback"] {
        for fault in ["panic in plan", "not loaded"] {
            let workspace = workspace(strategy, fault);
            let problems = workspace
                .try_build_of(&registry(), BuildOptions::default())
                .unwrap_err();
            assert_eq!(problems.len(), 1, "{problems:?}");
            // It stands at the `type` of the target whose kind it is.
            let place = serde_json::to_string(&problems[0].place).unwrap();
            assert!(place.contains("type = 'odd'"), "{place}");
            assert!(workspace.read("dist/other/other.txt").is_none());
        }
    }
}

#[test]
fn problems_of_the_project_stop_everything_and_are_told_with_the_faults() {
    for (fault, expected) in [
        ("panic in plan", vec!["script.invalid", "internal.panic"]),
        ("not loaded", vec!["script.invalid", "plugin.interface"]),
        ("missing tool", vec!["script.invalid", "tool.missing"]),
    ] {
        let workspace = workspace("continue", fault);
        let config = workspace.read("synth.toml").unwrap();
        let config = config.replace("true", "invalid");
        workspace.write("project/synth.toml", &config);
        let problems = workspace
            .try_build_of(&registry(), BuildOptions::default())
            .unwrap_err();
        let codes: Vec<&str> = problems.iter().map(|p| p.code.as_str()).collect();
        assert_eq!(codes, expected);
        assert!(workspace.read("dist/other/other.txt").is_none());
    }
    let problems = workspace("continue", "missing tool")
        .try_build_of(&registry(), BuildOptions::default())
        .unwrap_err();
    assert_eq!(problems[0].code, "tool.missing");
}

#[test]
fn other_commands_survive_a_kind_that_panics() {
    let load = |workspace: &Workspace, registry: &Registry| {
        Pipeline::load(&workspace.project(), &LoadOptions::default(), registry).unwrap()
    };
    for fault in ["panic in validate", "panic in requirements"] {
        let workspace = workspace("continue", fault);
        let report = synth_engine::check(&load(&workspace, &registry()), &registry());
        assert_eq!(report.diagnostics.len(), 1, "{:?}", report.diagnostics);
        assert_eq!(report.diagnostics[0].code, "internal.panic");
    }

    let workspace = workspace("continue", "panic in clean");
    workspace
        .try_build_of(&registry(), BuildOptions::default())
        .unwrap();
    let options = BuildOptions {
        store: Some(workspace.directory.path().join("the store")),
        ..BuildOptions::default()
    };
    let cleaned = synth_engine::clean(&load(&workspace, &registry()), &registry(), &options);
    assert_eq!(cleaned.unwrap_err()[0].code, "internal.panic");
    assert!(!workspace.project().join("dist/odd").exists());

    let problems = synth_engine::plan_pipeline(&load(&workspace, &registry()), &registry());
    assert!(problems.is_ok());

    let registry = registry();
    let detected = registry.kind("odd").unwrap().detect(
        &ProjectPath::root(),
        Project::at(workspace.project()).as_ref(),
    );
    assert_eq!(detected.unwrap_err().code, "internal.panic");
}

#[test]
fn a_kind_that_cannot_be_used_concerns_those_who_use_it() {
    let problem = Diagnostic::error(
        "plugin.architecture",
        "`libodd.so` can't be used as a plugin",
    )
    .concerning(Concern::Environment);
    let registry = Registry::new()
        .with(Arc::new(Script))
        .with_broken("odd", problem.clone());
    assert!(registry.contains("odd") && registry.kinds() == ["odd", "script"]);

    let alone = Workspace::new(&pipeline("", &["a | | true"]));
    assert!(
        alone
            .try_build_of(&registry, BuildOptions::default())
            .is_ok()
    );

    // Any settings are taken, as nobody can say which are right.
    let workspace = workspace("continue", "none");
    let config = workspace.read("synth.toml").unwrap();
    workspace.write(
        "project/synth.toml",
        &format!("{config}more = {{ a = [1] }}\n"),
    );
    let report = workspace
        .try_build_of(&registry, BuildOptions::default())
        .unwrap();
    assert_eq!(report.targets[1].status, TargetStatus::Built);
    assert_eq!(report.targets[2].diagnostics[0].code, problem.code);

    let pipeline = Pipeline::load(&workspace.project(), &LoadOptions::default(), &registry);
    let checked = synth_engine::check(&pipeline.unwrap(), &registry);
    assert_eq!(checked.diagnostics.len(), 1, "{:?}", checked.diagnostics);
}

#[test]
fn two_kinds_of_one_name_are_told() {
    let registry = registry().with_described(Arc::new(Odd), Odd.describe(), "other".into());
    let problems = workspace("stop_all", "none")
        .try_build_of(&registry, BuildOptions::default())
        .unwrap_err();
    assert_eq!(
        problems[0].message,
        "there are two target kinds `odd`: of synth-target-odd 1.0.0, and of synth-target-odd 1.0.0"
    );
    let chosen =
        registry
            .without("odd")
            .with_described(Arc::new(Odd), Odd.describe(), "other".into());
    let built = workspace("stop_all", "none").try_build_of(&chosen, BuildOptions::default());
    assert!(built.unwrap().success);
}

/// A kind that can't even say its name.
struct Nameless;

impl BuildTarget for Nameless {
    fn describe(&self) -> TargetDescription {
        panic!("no name")
    }

    fn validate(&self, _: &TargetSpec, _: &dyn PlanContext) -> Vec<Diagnostic> {
        Vec::new()
    }

    fn plan(&self, _: &TargetSpec, _: &dyn PlanContext) -> Result<Plan, Vec<Diagnostic>> {
        Ok(Plan::default())
    }

    fn run(&self, _: &Native, _: &dyn RunContext) -> Result<NativeOutcome, Vec<Diagnostic>> {
        Ok(NativeOutcome::quiet())
    }
}

#[test]
fn a_kind_without_a_name_is_told_where_a_kind_is_missing() {
    let registry = Registry::new()
        .with(Arc::new(Script))
        .with(Arc::new(Nameless));
    let alone = Workspace::new(&pipeline("", &["a | | true"]));
    assert!(
        alone
            .try_build_of(&registry, BuildOptions::default())
            .is_ok()
    );
    let problems = workspace("stop_all", "none")
        .try_build_of(&registry, BuildOptions::default())
        .unwrap_err();
    let codes: Vec<&str> = problems.iter().map(|p| p.code.as_str()).collect();
    assert_eq!(codes, ["internal.panic", "config.kind.unknown"]);
}

#[test]
fn an_action_that_never_stops_talking_fills_no_disk() {
    let workspace = workspace("stop_all", "talks");
    let report = workspace
        .try_build_of(&registry(), BuildOptions::default())
        .unwrap();
    assert!(report.success);
    let log = report.targets[2].actions[0].log.as_ref().unwrap();
    let length = workspace.project().join(log).metadata().unwrap().len();
    let limit = 64 * 1024 * 1024;
    assert!((limit - 2..limit + 200).contains(&length), "{length}");
}
