//! What is different from the last build is named: the file, the variable, the tool, the kind, the
//! output.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use synth_core::{
    Action, BuildTarget, Diagnostic, Exec, InputSource, Native, NativeOutcome, Phase, Plan,
    PlanContext, RunContext, SourceFiles, TargetDescription, TargetSpec, ToolRequest,
};
use synth_engine::{BuildOptions, BuildReport, Registry};

use crate::workspace::{Script, Workspace, pipeline};

/// A kind of some version whose targets run the tool that they name.
struct Versioned(u64);

impl BuildTarget for Versioned {
    fn describe(&self) -> TargetDescription {
        TargetDescription {
            kind: "versioned".into(),
            crate_name: "synth-target-versioned".into(),
            version: semver::Version::new(self.0, 0, 0),
            description: "Runs a tool".into(),
            settings_schema: serde_json::json!({
                "type": "object",
                "properties": {"tool": {"type": "string"}},
            }),
            setting_aliases: Vec::new(),
        }
    }

    fn validate(&self, _: &TargetSpec, _: &dyn PlanContext) -> Vec<Diagnostic> {
        Vec::new()
    }

    fn plan(
        &self,
        target: &TargetSpec,
        context: &dyn PlanContext,
    ) -> Result<Plan, Vec<Diagnostic>> {
        let program = target.settings["tool"].as_str().unwrap();
        let request = ToolRequest::named("maker").program(program);
        let tool = context.tool(&request).map_err(|error| {
            vec![Diagnostic::error("tool.missing", "no maker").caused_by(&error)]
        })?;
        let exec = Exec::new(["maker", "out/made.txt"]).variables(target.environment.clone());
        let sources = SourceFiles::below(target.source_path.clone());
        let action = Action::new("make", Phase::Build, "make it", exec)
            .input("src", InputSource::Source(sources))
            .tool(tool)
            .output_directory("out", "out");
        Ok(Plan::default().action(action).export("make", "out", ""))
    }

    fn run(&self, _: &Native, _: &dyn RunContext) -> Result<NativeOutcome, Vec<Diagnostic>> {
        Ok(NativeOutcome::quiet())
    }
}

fn write_tool(workspace: &Workspace, version: &str) {
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = --version ]; then echo maker {version}; else echo made > \"$1\"; fi\n"
    );
    workspace.write("tool/maker", &script);
    let path = workspace.directory.path().join("tool/maker");
    fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
}

fn reasons(report: &BuildReport) -> String {
    let mut lines = Vec::new();
    for target in &report.targets {
        let of_actions = target.actions.iter().flat_map(|action| &action.reasons);
        for reason in target.reasons.iter().chain(of_actions) {
            lines.push(format!("{}: {reason}", target.name));
        }
    }
    lines.join("\n")
}

fn build(workspace: &Workspace, version: u64) -> String {
    let registry = Registry::new().with(Arc::new(Versioned(version)));
    let report = workspace.try_build_of(&registry, BuildOptions::default());
    let shown = reasons(&report.unwrap());
    let directory = workspace.directory.path().to_str().unwrap().to_owned();
    let shown = shown.replace(&directory, "[dir]");
    // Digests of the script differ with nothing that is of interest here.
    let hex = |c: char| c.is_ascii_hexdigit();
    let words = shown.split(' ').map(|word| match word.split_once(':') {
        Some((digest, size)) if digest.len() == 64 && digest.chars().all(hex) => {
            format!("[digest]:{}", size.len())
        }
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn what_is_different_is_named() {
    let workspace = Workspace::new("");
    let config = |variable: &str| {
        format!(
            "[targets.a]\ntype = \"versioned\"\nsource_path = \"src\"\ntool = '{}'\nenvironment = {{ MODE = \"{variable}\" }}\n",
            workspace.directory.path().join("tool/maker").display()
        )
    };
    write_tool(&workspace, "1.0");
    workspace.write("project/synth.toml", &config("fast"));
    insta::assert_snapshot!(build(&workspace, 1), @"a: no earlier build of it is known");
    insta::assert_snapshot!(build(&workspace, 1), @"");

    workspace.write("project/src/input.txt", "two");
    workspace.write("project/src/new.txt", "");
    insta::assert_snapshot!(build(&workspace, 1), @"
    a: `src/input.txt` has changed
    a: `src/new.txt` is new
    ");

    workspace.write("project/synth.toml", &config("slow"));
    insta::assert_snapshot!(build(&workspace, 1), @"a: the variable `MODE` was `fast`, and is `slow`");

    write_tool(&workspace, "1.1");
    insta::assert_snapshot!(build(&workspace, 1), @"a: the tool `maker` was `maker 1.0`, and is `maker 1.1`");

    insta::assert_snapshot!(build(&workspace, 2), @"a: the crate of the target kind was `synth-target-versioned@1.0.0`, and is `synth-target-versioned@2.0.0`");

    fs::remove_file(workspace.project().join("dist/a/made.txt")).unwrap();
    insta::assert_snapshot!(build(&workspace, 2), @"a: the output `dist/a/made.txt` is gone");

    fs::remove_dir_all(workspace.directory.path().join("the store")).unwrap();
    fs::remove_file(workspace.project().join("dist/a/made.txt")).unwrap();
    insta::assert_snapshot!(build(&workspace, 2), @"
    a: the output `dist/a/made.txt` is gone
    a: its result is not in the cache
    ");
}

#[test]
fn what_comes_from_a_needed_target_is_named_by_it() {
    let workspace = Workspace::new(&pipeline(
        "",
        &[
            "a | | cp src/input.txt out/a.txt",
            "b | a | cat \"$SYNTH_OUT_A/a.txt\" > out/b.txt",
        ],
    ));
    workspace.build();
    let config = fs::read_to_string(workspace.project().join("synth.toml")).unwrap();
    let config = config.replace("cp src", "cat src/* src");
    let config = config.replace("input.txt out", "input.txt >> out");
    workspace.write("project/synth.toml", &config);
    insta::assert_snapshot!(reasons(&workspace.build()), @"
    a: the command was `sh -c cp src/input.txt out/a.txt`, and is `sh -c cat src/* src/input.txt >> out/a.txt`
    b: `a.txt` of the needed target `a` has changed
    ");
}

#[test]
fn what_would_be_done_is_told_without_doing_it() {
    let workspace = Workspace::new(&pipeline(
        "",
        &[
            "a | | cp src/input.txt out/a.txt",
            "b | a | cat \"$SYNTH_OUT_A/a.txt\" > out/b.txt",
        ],
    ));
    let explain = |workspace: &Workspace| {
        let registry = Registry::new().with(Arc::new(Script));
        let options = BuildOptions {
            store: Some(workspace.directory.path().join("the store")),
            ..BuildOptions::default()
        };
        let pipeline = workspace.load().unwrap();
        let explained = tokio::runtime::Runtime::new()
            .unwrap()
            .block_on(synth_engine::explain(&pipeline, &registry, &options));
        let lines = explained.unwrap().into_iter().map(|explanation| {
            format!(
                "{} {:?}: {}",
                explanation.target,
                explanation.outlook,
                explanation.reasons.join("; ")
            )
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(explain(&workspace), @"
    a Executed: no earlier build of it is known
    b Open: it needs `a`, which is to be built first
    ");
    assert!(!Path::new(&workspace.project().join("dist")).exists());
    workspace.build();
    insta::assert_snapshot!(explain(&workspace), @"
    a UpToDate: 
    b UpToDate:
    ");
    workspace.write("project/src/input.txt", "two");
    insta::assert_snapshot!(explain(&workspace), @"
    a Executed: `src/input.txt` has changed
    b Open: it needs `a`, which is to be built first
    ");
    workspace.build();
    fs::remove_dir_all(workspace.project().join("dist/b")).unwrap();
    insta::assert_snapshot!(explain(&workspace), @"
    a UpToDate: 
    b Restored: the output `dist/b/b.txt` is gone
    ");
}

#[test]
fn an_action_that_leaves_something_else_each_time_is_found() {
    let workspace = Workspace::new(&pipeline(
        "failure_strategy = \"continue\"",
        &[
            "a | | cp src/input.txt out/a.txt",
            "b | | od -An -N8 -x /dev/urandom > out/b.txt",
        ],
    ));
    let verify = BuildOptions {
        verify_reproducible: true,
        ..BuildOptions::default()
    };
    workspace.build();
    let report = workspace.build_with(verify);
    let problems = report.all_diagnostics().map(|problem| {
        let target = problem.target.as_deref().unwrap_or_default();
        format!("{target}: {}: {}", problem.code, problem.message)
    });
    insta::assert_snapshot!(problems.collect::<Vec<_>>().join("\n"), @"b: reproducible.differs: `run the script` does not leave the same when it is executed again");
}
