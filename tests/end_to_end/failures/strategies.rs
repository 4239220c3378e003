//! One pipeline of six targets, one of which fails, under each of the three strategies; and what
//! `rollback` brings back when all is in place already.

use std::fs;

use super::{assert_nothing_temporary, state};
use crate::plugin_fixtures::with_command;
use crate::workspace::{Report, Workspace, text};

/// `made` leaves its outputs among its sources, all others in directories of their own.
const CONFIG: &str = r#"name = "six"
failure_strategy = "[STRATEGY]"
parallel_execution = false

[targets.base]
type = "command"
source_path = "base"
script = "mkdir sub; cp text.txt sub/out; chmod 750 sub/out; ln -s sub/out link"
outputs = ["sub/**", "link"]
output_path = "dist/base"

[targets.made]
type = "command"
source_path = "made"
needs = ["base"]
script = 'mkdir -p gen; cp text.txt gen/copy; if grep -q one text.txt; then mkdir gen/old; cp text.txt gen/old/x; ln -s copy gen/link; else cp text.txt gen/old; ln -s old gen/link; fi'
outputs = ["gen/**"]

[targets.bad]
type = "command"
source_path = "bad"
script = "cp text.txt out; sh ./check.sh"
outputs = ["out"]
output_path = "dist/bad"

[targets.after]
type = "command"
source_path = "after"
needs = ["bad"]
script = "cp text.txt out"
outputs = ["out"]
output_path = "dist/after"

[targets.late]
type = "command"
source_path = "late"
script = "cp text.txt out"
outputs = ["out"]
output_path = "dist/late"
publish = { directory = "../www" }

[targets.alone]
type = "command"
source_path = "alone"
script = "cp text.txt out"
outputs = ["out"]
output_path = "dist/alone"
publish = { directory = "../blocked" }
"#;

const TARGETS: [&str; 6] = ["base", "made", "bad", "after", "late", "alone"];

/// Where the text is that a target has built from.
const OUTPUTS: [&str; 6] = [
    "dist/base/link",
    "made/gen/copy",
    "dist/bad/out",
    "dist/after/out",
    "dist/late/out",
    "dist/alone/out",
];

fn project(strategy: &str) -> Workspace {
    let workspace = with_command(Workspace::new());
    workspace.write("synth.toml", CONFIG.replace("[STRATEGY]", strategy));
    workspace.write("bad/check.sh", "true\n");
    edit(&workspace, "one");
    workspace
}

fn edit(workspace: &Workspace, text: &str) {
    for target in TARGETS {
        workspace.write(&format!("{target}/text.txt"), text);
    }
}

/// Each target: how it ended, which outputs it has by what is said and by what is there.
fn table(workspace: &Workspace, report: &Report) -> String {
    let mut lines = Vec::new();
    for (name, output) in TARGETS.into_iter().zip(OUTPUTS) {
        let target = report.target(name);
        let outputs = target["outputs"].as_str().unwrap_or("current");
        let there = fs::read_to_string(workspace.path(output));
        let there = there.unwrap_or_else(|_| "-".to_owned());
        let status = text(&target["status"]);
        lines.push(format!("{name:<6} {status:<12} {outputs:<8} {there}"));
    }
    let partial = report.value["partial"].as_bool().unwrap_or_default();
    lines.push(format!(
        "exit {:?}, partial: {partial}",
        report.code.unwrap()
    ));
    lines.join("\n")
}

/// Builds, breaks `bad`, and builds again.
fn fails(strategy: &str) -> (Workspace, String) {
    let workspace = project(strategy);
    workspace.build([""; 0]).succeeded();
    let before = state(&workspace, &["dist", "made/gen"]);
    edit(&workspace, "two");
    workspace.write("bad/check.sh", "exit 7\n");
    let report = workspace.build([""; 0]);
    let table = table(&workspace, &report);
    if strategy == "rollback" {
        assert_eq!(state(&workspace, &["dist", "made/gen"]), before);
    }
    assert_nothing_temporary(&workspace);
    workspace.write("bad/check.sh", "true\n");
    workspace.build([""; 0]).succeeded();
    for output in OUTPUTS {
        assert_eq!(workspace.read(output), "two");
    }
    (workspace, table)
}

#[test]
fn one_of_six_targets_fails() {
    insta::assert_snapshot!(fails("stop_all").1, @r"
    base   built        current  two
    made   built        current  two
    bad    failed       earlier  one
    after  skipped      earlier  one
    late   cancelled    earlier  one
    alone  cancelled    earlier  one
    exit 1, partial: true
    ");
    insta::assert_snapshot!(fails("continue").1, @r"
    base   built        current  two
    made   built        current  two
    bad    failed       earlier  one
    after  skipped      earlier  one
    late   built        current  two
    alone  built        current  two
    exit 1, partial: true
    ");
    insta::assert_snapshot!(fails("rollback").1, @r"
    base   rolled_back  earlier  one
    made   rolled_back  earlier  one
    bad    failed       earlier  one
    after  skipped      earlier  one
    late   cancelled    earlier  one
    alone  cancelled    earlier  one
    exit 1, partial: false
    ");
}

#[test]
fn a_first_build_that_fails_leaves_nothing_or_what_it_has_built() {
    for (strategy, there) in [("stop_all", true), ("rollback", false)] {
        let workspace = project(strategy);
        workspace.write("bad/check.sh", "exit 7\n");
        let report = workspace.build([""; 0]);
        assert_eq!(report.code, Some(1));
        assert_eq!(report.target("bad")["outputs"], "none");
        assert_eq!(workspace.path("dist/base").exists(), there, "{strategy}");
        assert_eq!(workspace.path("made/gen").exists(), there, "{strategy}");
        assert_nothing_temporary(&workspace);
    }
}

#[test]
fn outputs_are_taken_back_with_the_effects_that_they_were_for() {
    let workspace = project("rollback");
    workspace.build([""; 0]).succeeded();
    let before = state(&workspace, &["dist", "made/gen"]);
    // No directory of releases can be made in a file.
    fs::write(workspace.beside("blocked"), "").unwrap();
    edit(&workspace, "two");
    let report = workspace.build(["--publish"]);
    insta::assert_snapshot!(table(&workspace, &report), @r"
    base   rolled_back  earlier  one
    made   rolled_back  earlier  one
    bad    rolled_back  earlier  one
    after  rolled_back  earlier  one
    late   rolled_back  earlier  one
    alone  rolled_back  earlier  one
    exit 1, partial: false
    ");
    let effects = report.value["effects"].as_array().unwrap();
    let states: Vec<&str> = effects.iter().map(|e| text(&e["state"])).collect();
    assert_eq!(states, ["undone", "failed"]);
    assert_eq!(state(&workspace, &["dist", "made/gen"]), before);
    assert_nothing_temporary(&workspace);

    // What was proven is what is there.
    fs::remove_file(workspace.beside("blocked")).unwrap();
    edit(&workspace, "one");
    let report = workspace.build([""; 0]).succeeded();
    assert_eq!(report.executed(), [] as [&str; 0]);
    assert!(
        !report.statuses().contains("built") && !report.statuses().contains("cached"),
        "what came back is known: {}",
        report.statuses()
    );
    assert_eq!(state(&workspace, &["dist", "made/gen"]), before);
    workspace.synth(["publish"]).succeeded();
    let published = workspace.beside("www/current/out");
    assert_eq!(fs::read_to_string(published).unwrap(), "one");

    edit(&workspace, "two");
    workspace.build(["--publish"]).succeeded();
    for output in OUTPUTS {
        assert_eq!(workspace.read(output), "two");
    }
    assert_nothing_temporary(&workspace);
}

#[test]
fn a_failure_is_told_with_what_is_there() {
    let workspace = project("continue");
    workspace.write("bad/check.sh", "exit 7\n");
    let run = workspace.synth(["build"]);
    let told = String::from_utf8_lossy(&run.output.stdout);
    let last: Vec<&str> = told.lines().rev().take(2).collect();
    assert_eq!(
        last[0], "partial: the outputs of bad, after are not there",
        "{run}"
    );
    assert!(
        last[1].starts_with("1 failed, 1 not built, 4 of 6"),
        "{run}"
    );

    let workspace = project("rollback");
    workspace.write("bad/check.sh", "exit 7\n");
    let run = workspace.synth(["build"]);
    let told = String::from_utf8_lossy(&run.output.stdout);
    let last = told.lines().next_back().unwrap();
    assert_eq!(
        last, "rolled back: all outputs are as they were before",
        "{run}"
    );
}
