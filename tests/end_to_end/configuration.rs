//! What a configuration can say: other spellings, JSON, environments, pipelines, and what happens
//! to the rest when a target fails.

use crate::workspace::Workspace;

const PAGE: &str = "<!doctype html><html lang=\"en\"><title>Shop</title><h1>Shop</h1></html>\n";

fn project(configuration: &str) -> Workspace {
    Workspace::with_files([
        ("synth.toml", configuration),
        ("web/index.html", PAGE),
        (
            "deploy/Dockerfile.prod",
            "FROM scratch\nARG VERSION\nLABEL version=$VERSION\n",
        ),
    ])
}

#[test]
fn the_spellings_of_the_python_module_are_understood() {
    let workspace = project(
        r#"
[[targets]]
name = "site"
type = "static"
source = "web"

[[targets]]
name = "image"
type = "docker"
source = "deploy"
dockerfile_path = "Dockerfile.prod"
build_args = { VERSION = "1.0.0" }
needs = ["site"]
"#,
    );
    let report = workspace.build([""; 0]).succeeded();
    assert_eq!(report.statuses(), "site built, image built");
}

#[test]
fn json_of_the_same_shape_is_understood() {
    let workspace = project("");
    workspace.write("other/index.html", PAGE.replace("Shop", "Other"));
    workspace.write(
        "pipeline.json",
        r#"{
            "name": "shop",
            "targets": [
                { "name": "site", "type": "static", "source": "web" },
                { "name": "other", "type": "static", "source_path": "other", "needs": ["site"] }
            ]
        }"#,
    );
    let report = workspace.build(["--config", "pipeline.json"]).succeeded();
    assert_eq!(report.statuses(), "site built, other built");
    assert_eq!(report.value["pipeline"], "shop");
}

const ENVIRONMENTS: &str = r#"
environment = "staging"

[targets.site]
type = "static"
source_path = "web"

[targets.image]
type = "docker"
source_path = "deploy"
dockerfile = "Dockerfile.prod"
build_args = { VERSION = "0" }

[environments.staging.targets.site]
output_path = "staging/site"

[environments.production.targets.image]
build_args = { VERSION = "1.0.0" }

[pipelines.release]
targets = ["image"]
environment = "production"
"#;

#[test]
fn an_environment_is_laid_over_the_rest() {
    let workspace = project(ENVIRONMENTS);
    let report = workspace.build([""; 0]).succeeded();
    assert_eq!(report.value["environment"], "staging");
    assert!(workspace.path("staging/site/index.html").exists());

    let report = workspace.build(["--environment", "production"]).succeeded();
    assert_eq!(report.value["environment"], "production");
    assert!(workspace.path("dist/site/index.html").exists());
}

#[test]
fn a_pipeline_is_a_choice_of_targets() {
    let workspace = project(ENVIRONMENTS);
    let report = workspace.build(["--pipeline", "release"]).succeeded();
    assert_eq!(report.statuses(), "image built");
    assert_eq!(report.value["environment"], "production");
}

/// A target that fails, one that needs it, one that has nothing to do with it.
fn failing(strategy: &str) -> Workspace {
    let workspace = project(&format!(
        r#"
failure_strategy = "{strategy}"
parallel_execution = false

[targets.good]
type = "static"
source_path = "web"

[targets.bad]
type = "static"
source_path = "broken"

[targets.after]
type = "static"
source_path = "web"
needs = ["bad"]

[targets.other]
type = "static"
source_path = "other"
"#
    ));
    workspace.write(
        "broken/index.html",
        "<!doctype html><title>x</title><a href=\"gone.html\">y</a>\n",
    );
    workspace.write("other/index.html", PAGE.replace("Shop", "Other"));
    workspace
}

#[test]
fn what_a_failure_does_to_the_rest_is_a_choice() {
    for (strategy, statuses, outputs) in [
        (
            "stop_all",
            "good built, bad failed, after skipped, other cancelled",
            &["good"][..],
        ),
        (
            "continue",
            "good built, bad failed, after skipped, other built",
            &["good", "other"],
        ),
        (
            "rollback",
            "good rolled_back, bad failed, after skipped, other cancelled",
            &[],
        ),
    ] {
        let workspace = failing(strategy);
        let report = workspace.build([""; 0]);
        assert_eq!(report.code, Some(1), "{strategy}");
        assert_eq!(report.statuses(), statuses, "{strategy}");
        for target in ["good", "bad", "after", "other"] {
            let exists = workspace.path("dist").join(target).exists();
            assert_eq!(exists, outputs.contains(&target), "{strategy}: {target}");
        }
    }
}
