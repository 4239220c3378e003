//! A random walk: after each step, what a build of the changed project leaves is what a build from
//! nothing leaves, and the reasons it gives are those that there are.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::changes::Changing;
use super::pipeline::{OUTPUTS, is_left, is_source, needs, project, with_tools};
use super::snapshot::{Snapshot, assert_same, differences, restore, snapshot};
use super::{amount, seed};
use crate::workspace::{Workspace, text};

#[test]
fn whatever_changes_a_build_leaves_what_one_from_nothing_leaves() {
    let seed = seed();
    let steps = amount("SYNTH_SOAK_STEPS", 25);
    let workspace = project();
    let mut walk = Walk {
        project: Changing::new(&workspace, seed),
        names: BTreeMap::new(),
        statuses: BTreeMap::new(),
    };
    walk.build("the first build");
    for step in 1..=steps {
        let before = walk.project.sources();
        let mut done = Vec::new();
        let mut names = Vec::new();
        // Mostly one change, so that explanations are put to the test.
        let changes = walk.project.random.choice([1, 1, 1, 2, 4]).unwrap();
        for _ in 0..changes {
            let change = walk.project.change();
            done.push(change.what);
            names.extend(change.names);
        }
        let after = walk.project.sources();
        names.extend(differences(&before, &after));
        for (target, _) in OUTPUTS.iter().chain(&[("checked", "")]) {
            let names = names.iter().cloned();
            walk.names.entry(target).or_default().extend(names);
        }
        walk.build(&format!("seed {seed}, step {step}: {}", done.join("; ")));
    }
    println!(
        "soak: seed {seed}, {steps} steps, targets by status {:?}",
        walk.statuses
    );
}

struct Walk<'a> {
    project: Changing<'a>,
    /// By target, what has changed since it succeeded last.
    names: BTreeMap<&'static str, BTreeSet<String>>,
    statuses: BTreeMap<String, u64>,
}

impl Walk<'_> {
    /// Builds, and builds from nothing; `context` is what leads to a failure.
    fn build(&mut self, context: &str) {
        println!("{context}");
        let workspace = self.project.workspace;
        let sources = self.project.sources();
        let report = build(workspace);
        let now = self.project.sources();
        let changed = differences(&sources, &now);
        assert_eq!(changed, [] as [String; 0], "{context}: sources changed");

        let nothing = with_tools(Workspace::new(), Some(workspace));
        restore(&nothing.root(), &Snapshot::new(), &sources);
        nothing.write("synth.toml", self.project.settings.config());
        let expected = build(&nothing);

        let failed = compare_ends(&report, &expected, context);
        let left = |workspace: &Workspace| {
            let mut left = snapshot(&workspace.root(), is_left);
            left.retain(|path, _| !failed.iter().any(|output| path.starts_with(output)));
            left
        };
        let (left, expected) = (left(workspace), left(&nothing));
        assert_same(&left, &expected, context);
        self.explained(&report, context);
        if failed.is_empty() {
            let again = workspace.synth(["build", "--explain"]);
            let told = again.to_string();
            assert!(
                told.contains("everything is up to date"),
                "{context}: built again: {told}"
            );
        }
    }

    /// Each target that was not up to date says why, and nothing that isn't so.
    fn explained(&mut self, report: &Value, context: &str) {
        let needs = needs();
        let mut moved = BTreeSet::new();
        for target in report["targets"].as_array().unwrap() {
            let (name, status) = (text(&target["name"]), text(&target["status"]));
            *self.statuses.entry(status.to_owned()).or_default() += 1;
            if status == "up_to_date" {
                self.names.remove(name);
                continue;
            }
            moved.insert(name);
            if status != "built" && status != "cached" {
                let problems = target["diagnostics"].as_array().unwrap().iter();
                let messages: Vec<_> = problems.map(|problem| &problem["message"]).collect();
                println!("  {name} {status} {messages:?}");
                continue;
            }
            let Some(names) = self.names.remove(name) else {
                continue;
            };
            let mut reasons: Vec<&str> = list(&target["reasons"]);
            for action in target["actions"].as_array().unwrap() {
                reasons.extend(list(&action["reasons"]));
            }
            let empty = Vec::new();
            let needed = needs.get(name).unwrap_or(&empty);
            let needs_moved = needed.iter().any(|needed| moved.contains(needed));
            assert!(
                needs_moved || !reasons.is_empty(),
                "{context}: {name} is {status} without a reason: {report:#}"
            );
            for reason in reasons {
                let known = names.iter().any(|name| reason.contains(name.as_str()))
                    || (reason.starts_with("and ") && reason.ends_with(" more differences"))
                    || (needs_moved && reason.contains("of the needed target"));
                assert!(
                    known,
                    "{context}: {name} is {status} because {reason}; {names:?}\n{report:#}"
                );
            }
        }
    }
}

fn list(value: &Value) -> Vec<&str> {
    let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().map(text).collect()
}

/// Outputs of the targets that ended in neither build: the same ones have to.
fn compare_ends(report: &Value, expected: &Value, context: &str) -> Vec<&'static str> {
    let ends = |report: &Value| -> BTreeMap<String, bool> {
        let targets = report["targets"].as_array().unwrap().iter();
        targets
            .map(|target| {
                let done = ["built", "cached", "up_to_date"].contains(&text(&target["status"]));
                (text(&target["name"]).to_owned(), done)
            })
            .collect()
    };
    let ends_now = ends(report);
    assert_eq!(
        ends_now,
        ends(expected),
        "{context}: {report:#}\n{expected:#}"
    );
    let failed = OUTPUTS.iter().filter(|(target, _)| !ends_now[*target]);
    failed.map(|(_, output)| *output).collect()
}

fn build(workspace: &Workspace) -> Value {
    workspace.build(["--explain"]).value
}

#[test]
fn a_source_is_told_from_an_output() {
    for (path, source) in [
        ("lib/a.txt", true),
        ("lib/gen", false),
        ("lib/gen/index", false),
        ("lib/general", true),
        ("dist", false),
        (".synth/lock", false),
        ("synth.toml", false),
    ] {
        assert_eq!(is_source(path), source, "{path}");
    }
}
