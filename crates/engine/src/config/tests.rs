//! What users see of a configuration that is wrong, and what is made of one that is right.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use synth_core::{
    BuildTarget, Diagnostic, Native, NativeOutcome, Place, Plan, PlanContext, RunContext,
    SettingAlias, TargetDescription, TargetSpec, settings_schema,
};

use super::*;

/// Settings of every shape.
#[derive(Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// A text.
    #[serde(default)]
    dockerfile: Option<String>,
    /// A choice.
    #[serde(default)]
    engine: Option<Engine>,
    /// A truth value.
    #[serde(default)]
    tests: Option<bool>,
    /// A map.
    #[serde(default)]
    build_args: std::collections::BTreeMap<String, String>,
    /// One or the other.
    #[serde(default)]
    command: Option<Command>,
}

#[derive(Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Engine {
    Auto,
    Embedded,
}

#[derive(Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
enum Command {
    Shell(String),
    Arguments(Vec<String>),
}

struct Kind;

impl BuildTarget for Kind {
    fn describe(&self) -> TargetDescription {
        TargetDescription {
            kind: "docker".into(),
            crate_name: "kind".into(),
            version: semver::Version::new(1, 0, 0),
            description: String::new(),
            settings_schema: settings_schema::<Settings>(),
            setting_aliases: vec![SettingAlias {
                alias: "dockerfile_path".into(),
                setting: "dockerfile".into(),
            }],
        }
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

fn load_as(
    name: &str,
    text: impl AsRef<[u8]>,
    options: &LoadOptions,
) -> Result<Pipeline, Vec<Diagnostic>> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join(name), text).unwrap();
    for source in ["api", "web"] {
        std::fs::create_dir(directory.path().join(source)).unwrap();
    }
    let registry = Registry::new().with(Arc::new(Kind));
    Pipeline::load(directory.path(), options, &registry)
}

fn load(text: &str) -> Result<Pipeline, Vec<Diagnostic>> {
    load_as("synth.toml", text, &LoadOptions::default())
}

/// Each problem as `line:column-length message (help)`.
fn problems(result: Result<Pipeline, Vec<Diagnostic>>) -> String {
    let problems = result
        .map(|pipeline| pipeline.warnings)
        .unwrap_or_else(|problems| problems);
    let lines: Vec<String> = problems
        .iter()
        .map(|problem| {
            let place = match &problem.place {
                Some(Place::File {
                    position: Some(at), ..
                }) => {
                    format!("{}:{}-{} ", at.line, at.column, at.length)
                }
                _ => String::new(),
            };
            let help: Vec<String> = problem
                .help
                .iter()
                .map(|help| format!(" ({help})"))
                .collect();
            format!(
                "{place}[{}] {}{}",
                problem.code,
                problem.message,
                help.concat()
            )
        })
        .collect();
    lines.join("\n")
}

#[test]
fn every_problem_of_a_file_is_reported_in_one_run() {
    let text = r#"
name = 7
failure_stategy = "continue"
[targets.api]
type = "docker"
source_path = "nowhere"
dockerfil = "Dockerfile"
tests = "yes"
engine = "embeded"
command = 3
needs = ["wb"]
build_args = { A = 1 }
[targets.web]
type = "dokcer"
[targets.out]
type = "docker"
source_path = "web"
output_path = "../out"
[targets.none]
source_path = "web"
"#;
    insta::assert_snapshot!(problems(load(text)), @"
    2:8-1 [config.type] `name` of `synth.toml` is a number, but a text was expected
    3:1-15 [config.unknown_key] `synth.toml` has an unknown key `failure_stategy` (did you mean `failure_strategy`?)
    6:15-9 [config.source.missing] the source directory of target `api` does not exist: `nowhere` (paths are relative to synth.toml)
    7:1-9 [config.unknown_key] target `api` has an unknown key `dockerfil` (did you mean `dockerfile`?)
    8:9-5 [config.type] `tests` of target `api` is a text, but a truth value (true or false) was expected
    9:10-9 [config.value] `engine` of target `api` can't be `embeded`; it is one of `auto` and `embedded` (did you mean `embedded`?)
    10:11-1 [config.type] `command` of target `api` is a number, but a text or a list was expected
    11:10-4 [config.needs.unknown] target `api` needs `wb`, which is no target (targets: `web`, `out` and `none`)
    12:20-1 [config.type] `build_args.A` of target `api` is a number, but a text was expected
    14:8-8 [config.kind.unknown] target `web` is of an unknown type `dokcer` (did you mean `docker`?)
    18:15-8 [config.path] `output_path` of target `out`: `../out` leaves the project's directory (paths are relative to synth.toml and stay below its directory)
    19:10-4 [config.required] target `none` has no `type` (add `type = ..`: `docker`)
    ");
}

#[test]
fn the_graph_and_the_paths_are_checked() {
    let text = r#"
[targets.a]
type = "docker"
source_path = "api"
needs = ["b", "apii"]
output_path = "dist/a"
[targets.b]
type = "docker"
source_path = "api"
needs = ["a"]
output_path = "dist/a/b"
[targets.c]
type = "docker"
source_path = "api"
output_path = "api"
[targets.d]
type = "docker"
source_path = "missing"
"#;
    insta::assert_snapshot!(problems(load(text)), @"
    5:9-13 [config.needs.cycle] targets need each other in a circle: `a` needs `b` needs `a` (take one of these out of `needs`)
    5:15-6 [config.needs.unknown] target `a` needs `apii`, which is no target (targets: `b`, `c` and `d`)
    11:15-10 [config.output.shared] targets `a` and `b` write to one place: `dist/a` and `dist/a/b` (give each target an `output_path` of its own)
    15:15-5 [config.output.over_source] target `c` would put its outputs over the sources of `a`: `output_path` is `api`, `source_path` is `api` (the output directory is replaced as a whole: give it a place of its own, such as `dist/NAME`)
    18:15-9 [config.source.missing] the source directory of target `d` does not exist: `missing` (paths are relative to synth.toml)
    ");
}

#[test]
fn syntax_errors_are_placed() {
    let broken = "name = \"a\n[targets.x]\ntype = \n";
    insta::assert_snapshot!(problems(load(broken)), @r#"
    1:10-0 [config.syntax] `synth.toml` is not valid TOML: invalid basic string, expected `"`
    3:8-0 [config.syntax] `synth.toml` is not valid TOML: string values must be quoted, expected literal string
    "#);
    let json = load_as(
        "synth.json",
        "{\"name\": \"a\",, }",
        &LoadOptions {
            config: Some("synth.json".into()),
            ..LoadOptions::default()
        },
    );
    insta::assert_snapshot!(problems(json), @"1:14-1 [config.syntax] `synth.json` is not valid JSON: Unexpected token in object");
    let latin = load_as(
        "synth.toml",
        b"name = \"caf\xe9\"\n",
        &LoadOptions::default(),
    );
    insta::assert_snapshot!(problems(latin), @"1:12-0 [config.encoding] `synth.toml` is not UTF-8 text: byte 11 is wrong (save the file as UTF-8)");
    for empty in ["", "# nothing\n", "name = \"a\"\n", "[targets]\n"] {
        assert!(
            problems(load(empty)).contains("describes no targets"),
            "{empty:?}"
        );
    }
}

#[test]
fn the_spellings_of_the_python_module_are_understood() {
    let toml = r#"
[[targets]]
name = "image"
type = "docker"
source = "api"
dockerfile_path = "Dockerfile.prod"
"#;
    let json = r#"{"targets": [{"name": "image", "type": "docker", "source": "api",
        "dockerfile_path": "Dockerfile.prod"}]}"#;
    for (name, text) in [("synth.toml", toml), ("synth.json", json)] {
        let pipeline = load_as(name, text, &LoadOptions::default()).unwrap();
        let target = pipeline.target("image").unwrap();
        assert_eq!(target.source_path.as_str(), "api");
        assert_eq!(target.settings["dockerfile"], "Dockerfile.prod");
        assert_eq!(target.output_path.as_str(), "dist/image");
    }
    let twice = "[[targets]]\nname = \"a\"\ntype = \"docker\"\nsource = \"api\"\nsource_path = \"web\"\n\
                 [[targets]]\nname = \"a\"\ntype = \"docker\"\n[[targets]]\ntype = \"docker\"\n";
    insta::assert_snapshot!(problems(load(twice)), @r#"
    4:1-6 [config.duplicate] `source` is another spelling of `source_path`, and both are set (keep `source_path` alone)
    7:8-3 [config.targets.duplicate] there are two targets of the name `a` (give one of them another name)
    9:1-11 [config.required] a target of `[[targets]]` has no `name` (add `name = ".."`)
    "#);
}

#[test]
fn environments_and_pipelines_are_laid_over() {
    let text = r#"
environment = "development"
failure_strategy = "continue"
[targets.api]
type = "docker"
source_path = "api"
build_args = { LEVEL = "debug", KEPT = "yes" }
[targets.web]
type = "docker"
source_path = "web"
[environments.development]
[environments.production.targets.api]
build_args = { LEVEL = "info" }
[pipelines.release]
targets = ["api"]
environment = "production"
failure_strategy = "rollback"
"#;
    let plain = load(text).unwrap();
    assert_eq!(plain.environment.as_deref(), Some("development"));
    assert_eq!(plain.targets[0].settings["build_args"]["LEVEL"], "debug");
    let release = LoadOptions {
        pipeline: Some("release".into()),
        ..LoadOptions::default()
    };
    let release = load_as("synth.toml", text, &release).unwrap();
    assert_eq!(release.targets.len(), 1);
    assert_eq!(release.environment.as_deref(), Some("production"));
    assert_eq!(release.failure_strategy, FailureStrategy::Rollback);
    assert_eq!(release.targets[0].settings["build_args"]["LEVEL"], "info");
    assert_eq!(release.targets[0].settings["build_args"]["KEPT"], "yes");
    let unknown = LoadOptions {
        environment: Some("producton".into()),
        pipeline: Some("releas".into()),
        ..LoadOptions::default()
    };
    insta::assert_snapshot!(problems(load_as("synth.toml", text, &unknown)), @"
    [config.pipelines.unknown] there is no `[pipelines.releas]` (did you mean `release`?)
    [config.environments.unknown] there is no `[environments.producton]` (did you mean `production`?)
    ");
}

#[test]
fn the_design_s_own_example_is_understood() {
    let text = r#"
name = "storefront"
environment = "production"
parallel_execution = true
failure_strategy = "rollback"
[notifications]
on_success = ["slack", "email"]
on_failure = ["slack", "pagerduty"]
[targets.api]
type = "docker"
source_path = "api"
output_path = "dist/api"
dependencies = ["requests", "fastapi"]
environment = { PYTHON_VERSION = "3.11" }
"#;
    insta::assert_snapshot!(problems(load(text)), @"6:1-15 [config.notifications.unsupported] `notifications` is read but not acted on: this version sends none");
}

#[test]
fn what_only_fails_later_is_told_at_once() {
    for (text, code) in [
        (
            "[targets.a]\ntype = \"docker\"\nsource_path = \"api\"\n[pipelines.none]\ntargets = []\n",
            "config.value",
        ),
        (
            "[targets.a]\ntype = \"docker\"\nsource_path = \"api\"\noutput_path = \".synth/outputs\"\n",
            "config.output.state",
        ),
        (
            "[targets.a]\ntype = \"docker\"\nsource_path = \"api\"\n[targets.a.environment]\nA = \"\\u0000\"\n",
            "config.environment",
        ),
        (
            "[targets.a]\ntype = \"docker\"\nsource_path = \"api\"\n[targets.a.environment]\n\"A=B\" = \"c\"\n",
            "config.environment",
        ),
        (
            "[targets.s-b]\ntype = \"docker\"\nsource_path = \"api\"\n[targets.s_b]\ntype = \"docker\"\n\
             source_path = \"api\"\n[targets.c]\ntype = \"docker\"\nsource_path = \"api\"\nneeds = [\"s-b\", \"s_b\"]\n",
            "config.needs.variable",
        ),
    ] {
        let shown = problems(load(text));
        assert!(shown.contains(&format!("[{code}]")), "{code} in {shown:?}");
    }
}

#[test]
fn an_output_directory_behind_a_link_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["api", "real"] {
        std::fs::create_dir(directory.path().join(name)).unwrap();
    }
    std::os::unix::fs::symlink("real", directory.path().join("link")).unwrap();
    let text = "[targets.a]\ntype = \"docker\"\nsource_path = \"api\"\noutput_path = \"link/a\"\n";
    std::fs::write(directory.path().join("synth.toml"), text).unwrap();
    let registry = Registry::new().with(Arc::new(Kind));
    let result = Pipeline::load(directory.path(), &LoadOptions::default(), &registry);
    assert!(problems(result).contains("[config.output.link]"));
}

#[test]
fn overrides_are_spelled_as_the_kind_of_their_target_spells_them() {
    let problem = Diagnostic::error("plugin.unreadable", "it can't be read");
    let registry = Registry::new()
        .with(Arc::new(Kind))
        .with_broken("other", problem);
    let directory = tempfile::tempdir().unwrap();
    let text = "[targets.a]\ntype = 'docker'\n[targets.b]\ntype = 'other'\n\
                [environments.e.targets.a]\ndockerfile_path = 'x'\n\
                [environments.e.targets.b]\ndockerfile_path = 'x'\n";
    std::fs::write(directory.path().join("synth.toml"), text).unwrap();
    let options = LoadOptions {
        environment: Some("e".into()),
        ..LoadOptions::default()
    };
    let pipeline = Pipeline::load(directory.path(), &options, &registry).unwrap();
    assert_eq!(pipeline.targets[0].settings["dockerfile"], "x");
    assert_eq!(pipeline.targets[1].settings["dockerfile_path"], "x");
}

/// A plugin that is older than the keys that every target has.
struct Older;

impl BuildTarget for Older {
    fn describe(&self) -> TargetDescription {
        let settings = serde_json::json!({
            "type": "object",
            "properties": { "publish": { "type": "boolean" }, "level": { "type": "integer" } },
            "additionalProperties": false,
        });
        TargetDescription::new("older", "older", "1.0.0", "", settings)
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
fn a_key_of_every_target_goes_before_a_setting_of_the_kind() {
    let load = |publish: &str| {
        let directory = tempfile::tempdir().unwrap();
        let text = format!("[targets.a]\ntype = \"older\"\nlevel = 1\n{publish}");
        std::fs::write(directory.path().join("synth.toml"), text).unwrap();
        let registry = Registry::new().with(Arc::new(Older));
        Pipeline::load(directory.path(), &LoadOptions::default(), &registry)
    };
    assert_eq!(problems(load("")), "");
    let pipeline = load("publish = { directory = \"../www\" }\n").unwrap();
    assert!(pipeline.targets[0].publish.is_some());
    insta::assert_snapshot!(problems(Ok(pipeline)), @"4:1-7 [config.kind.hidden] `publish` of target `a` is the setting that every target has, and not that of type `older` (older 1.0.0 has one of the same name, which can't be set: look for a newer version of it)");
    insta::assert_snapshot!(problems(load("publish = true\n")), @"");
}
