//! Targets that may fail.

use std::fs;

use super::assert_nothing_temporary;
use crate::plugin_fixtures::with_command;
use crate::workspace::{Workspace, text};

const CONFIG: &str = r#"failure_strategy = "[STRATEGY]"
parallel_execution = false

[targets.docs]
type = "command"
source_path = "docs"
script = "exit 3"
outputs = ["out"]
output_path = "dist/docs"
allow_failure = true
publish = { directory = "../www/docs" }

[targets.search]
type = "command"
source_path = "search"
needs = ["docs"]
script = "cp text.txt out"
outputs = ["out"]
output_path = "dist/search"
publish = { directory = "../www/search" }

[targets.app]
type = "command"
source_path = "app"
script = "cp text.txt out"
outputs = ["out"]
output_path = "dist/app"
publish = { directory = "../www/app" }
"#;

fn project(strategy: &str) -> Workspace {
    let workspace = with_command(Workspace::new());
    workspace.write("synth.toml", CONFIG.replace("[STRATEGY]", strategy));
    for target in ["docs", "search", "app"] {
        workspace.write(&format!("{target}/text.txt"), "text");
    }
    workspace
}

#[test]
fn the_build_goes_on_and_succeeds_without_it() {
    for strategy in ["stop_all", "continue", "rollback"] {
        let workspace = project(strategy);
        let report = workspace.build(["--publish"]);
        assert_eq!(report.code, Some(0), "{strategy}");
        assert_eq!(report.value["success"], true);
        assert_eq!(report.value["partial"], true);
        assert_eq!(report.statuses(), "docs failed, search skipped, app built");
        for (target, allowed) in [("docs", true), ("search", true), ("app", false)] {
            let said = report.target(target)["failure_allowed"].as_bool();
            assert_eq!(said.unwrap_or_default(), allowed, "{target}");
        }
        assert_eq!(workspace.read("dist/app/out"), "text");
        assert!(!workspace.path("dist/search").exists());
        assert!(workspace.beside("www/app/current").exists());
        assert!(!workspace.beside("www/docs").exists());
        assert!(!workspace.beside("www/search").exists());
        let diagnostics = report.value["diagnostics"].as_array().unwrap();
        let left_out: Vec<&str> = diagnostics
            .iter()
            .filter(|problem| problem["code"] == "effect.left_out")
            .map(|problem| text(&problem["message"]))
            .collect();
        assert_eq!(
            left_out,
            [
                "effects of target `docs` are left out: it was not built, and may fail",
                "effects of target `search` are left out: it needs `docs`"
            ]
        );
        assert_nothing_temporary(&workspace);
        workspace.synth(["publish"]).succeeded();
    }
}

#[test]
fn a_failure_beside_it_counts_as_ever() {
    let workspace = project("continue");
    let config = workspace.read("synth.toml");
    let (first, app) = config.split_once("[targets.app]").unwrap();
    let app = app.replace("cp text.txt out", "exit 4");
    workspace.write("synth.toml", format!("{first}[targets.app]{app}"));
    let report = workspace.build([""; 0]);
    assert_eq!(report.code, Some(1));
    assert_eq!(report.statuses(), "docs failed, search skipped, app failed");
}

#[test]
fn what_needs_it_and_something_else_that_failed_is_no_success() {
    let workspace = project("continue");
    let config = workspace.read("synth.toml");
    let config = config.replace("needs = [\"docs\"]", "needs = [\"docs\", \"app\"]");
    let (first, app) = config.split_once("[targets.app]").unwrap();
    let app = app.replace("cp text.txt out", "exit 4");
    workspace.write("synth.toml", format!("{first}[targets.app]{app}"));
    let report = workspace.build([""; 0]);
    assert_eq!(report.code, Some(1));
    assert_eq!(report.statuses(), "docs failed, search skipped, app failed");
}

#[test]
fn outputs_that_can_not_be_put_in_place_are_a_failure_like_any_other() {
    let workspace = project("rollback");
    let config = workspace
        .read("synth.toml")
        .replace("exit 3", "cp text.txt out");
    workspace.write("synth.toml", config);
    workspace.build([""; 0]).succeeded();
    for target in ["docs", "search", "app"] {
        workspace.write(&format!("{target}/text.txt"), "new");
    }
    // It is there when the build begins to put its outputs in place, and not when it plans.
    let config = workspace.read("synth.toml");
    let config = config.replacen(
        "script = \"cp text.txt out\"",
        &format!(
            "script = \"cp text.txt out; touch '{}/dist/docs/mine'\"",
            workspace.root().display()
        ),
        1,
    );
    workspace.write("synth.toml", config);
    let report = workspace.build(["--sandbox", "off"]);
    assert_eq!(report.statuses(), "docs failed, search skipped, app built");
    assert_eq!(report.code, Some(0));
    assert_eq!(workspace.read("dist/docs/out"), "text");
    assert_eq!(workspace.read("dist/search/out"), "text");
    assert_eq!(workspace.read("dist/app/out"), "new");
    assert!(fs::exists(workspace.path("dist/docs/mine")).unwrap());
    assert_nothing_temporary(&workspace);
}

#[test]
fn a_summary_says_that_it_may() {
    let run = project("stop_all").synth(["build"]).succeeded();
    let told = String::from_utf8_lossy(&run.output.stdout);
    assert!(told.contains("failed (allowed)"), "{run}");
    assert!(told.contains("skipped (allowed)"), "{run}");
    assert!(
        told.contains("\n1 failed (allowed), 1 not built, 1 of 3"),
        "{run}"
    );
}
