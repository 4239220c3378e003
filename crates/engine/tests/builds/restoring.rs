//! Outputs that are gone are put in place again from what the index and the store know, and the
//! report says what it says where there is no index.

use std::fs;

use synth_engine::TargetStatus::{Built, Cached, Failed, UpToDate};
use synth_engine::{BuildOptions, BuildReport, OutputsState, TargetReport};

use crate::workspace::{Workspace, pipeline, statuses};

/// Records of plans, and of what was proven.
const PLAN: i32 = 1;
const PROVED: i32 = 5;

/// A target that writes among its sources, of which it reads but one; `more` is added to its table.
fn generator(more: &str) -> String {
    format!(
        "[targets.gen]\ntype = \"script\"\nsource_path = \"gen\"\n{more}\n\
         inputs = [\"word.txt\"]\noutputs = [\"made/1.txt\", \"made/2.txt\"]\n\
         script = 'cd gen && mkdir -p made && tee made/1.txt < word.txt > made/2.txt'\n"
    )
}

fn workspace(strategy: &str) -> Workspace {
    let head = format!("failure_strategy = \"{strategy}\"");
    let targets = [
        "a | | cat src/input.txt > out/a.txt; echo said",
        "b | a | cat \"$SYNTH_OUT_A/a.txt\" > out/b.txt",
    ];
    let beside = generator("needs = [\"a\"]");
    let workspace = Workspace::new(&(pipeline(&head, &targets) + &beside));
    workspace.write("project/gen/word.txt", "word");
    workspace
}

const OUTPUTS: [&str; 4] = [
    "dist/a/a.txt",
    "dist/b/b.txt",
    "gen/made/1.txt",
    "gen/made/2.txt",
];

/// A target's report without what differs between two builds that do the same.
fn comparable(report: &TargetReport) -> serde_json::Value {
    let mut value = serde_json::to_value(report).unwrap();
    clear(&mut value);
    value
}

fn clear(value: &mut serde_json::Value) {
    const DIFFERENT: [&str; 2] = ["duration_ms", "started_us"];
    match value {
        serde_json::Value::Object(fields) => {
            fields.retain(|name, _| !DIFFERENT.contains(&name.as_str()));
            fields.values_mut().for_each(clear);
        }
        serde_json::Value::Array(values) => values.iter_mut().for_each(clear),
        _ => {}
    }
}

fn lose(workspace: &Workspace, paths: &[&str]) {
    for path in paths {
        let path = workspace.project().join(path);
        match path.is_dir() {
            true => fs::remove_dir_all(path).unwrap(),
            false => fs::remove_file(path).unwrap(),
        }
    }
}

/// Builds with the records of plans spoilt, which are made anew where they are asked for.
fn build_without_plans(workspace: &Workspace, name: &str) -> BuildReport {
    let plans = workspace.records(PLAN).into_iter();
    let plans: Vec<_> = plans.collect();
    assert_eq!(plans.len(), 3, "{name}");
    for (plan, _) in &plans {
        workspace.set_record(PLAN, plan, b"nonsense");
    }
    let report = workspace.build();
    for (plan, before) in plans {
        let mut now = workspace.records(PLAN).into_iter();
        let now = now.find(|(name, _)| *name == plan).unwrap().1;
        assert_eq!(now, b"nonsense", "{name}: `{plan}` was planned");
        workspace.set_record(PLAN, &plan, &before);
    }
    report
}

#[test]
fn who_has_only_lost_its_outputs_is_not_planned_and_the_report_is_the_same() {
    let losses: [&[&str]; 5] = [
        &["dist/a/a.txt"],
        &["dist/b"],
        &["dist"],
        &["gen/made/2.txt"],
        &["dist/a", "gen/made"],
    ];
    for strategy in ["stop_all", "continue", "rollback"] {
        for lost in losses {
            let name = format!("{strategy}, {lost:?}");
            let workspace = workspace(strategy);
            workspace.build();
            let outputs = || OUTPUTS.map(|path| workspace.read(path));
            let before = outputs();
            lose(&workspace, lost);
            let quick = build_without_plans(&workspace, &name);
            assert_eq!(outputs(), before, "{name}");
            assert!(workspace.is_known_to_be_up_to_date(), "{name}");
            lose(&workspace, lost);
            fs::remove_dir_all(workspace.project().join(".synth/index")).unwrap();
            let slow = workspace.build();
            assert_eq!(outputs(), before, "{name}");
            assert_eq!(statuses(&quick), statuses(&slow), "{name}");
            let both = quick.targets.iter().zip(&slow.targets);
            let both: Vec<_> = both.filter(|(quick, _)| quick.status == Cached).collect();
            assert!(!both.is_empty(), "{name}");
            for (quick, slow) in both {
                assert_eq!(comparable(quick), comparable(slow), "{name}");
            }
        }
    }
}

#[test]
fn what_needs_a_target_that_has_lost_its_outputs_is_built_from_the_store() {
    for strategy in ["stop_all", "rollback"] {
        let workspace = workspace(strategy);
        workspace.build();
        lose(&workspace, &["dist/a"]);
        let config = fs::read_to_string(workspace.project().join("synth.toml")).unwrap();
        let config = config.replace("> out/b.txt", "> out/b.txt; echo more >> out/b.txt");
        // Of another configuration, everything is looked at.
        workspace.write("project/synth.toml", &config);
        assert_eq!(statuses(&workspace.build())[1], ("b", Built));
        lose(&workspace, &["dist/a"]);
        workspace.write("project/gen/word.txt", "words");
        assert_eq!(
            statuses(&workspace.build()),
            [("a", Cached), ("b", UpToDate), ("gen", Built)]
        );
        assert_eq!(workspace.read("dist/a/a.txt").as_deref(), Some("one"));
        assert_eq!(workspace.read("gen/made/1.txt").as_deref(), Some("words"));
    }
}

#[test]
fn what_synth_did_not_write_is_not_replaced() {
    let workspace = workspace("continue");
    workspace.build();
    workspace.write("project/dist/a/mine.txt", "mine");
    let problems = workspace.try_build(BuildOptions::default()).unwrap_err();
    assert_eq!(problems[0].code, "output.not_ours");
    assert_eq!(
        workspace.read("dist/a/mine.txt").as_deref(),
        Some("mine"),
        "it is still there"
    );
}

#[test]
fn what_is_put_in_place_is_what_was_proven() {
    let random = "a | | cat /proc/sys/kernel/random/uuid > out/a.txt";
    let needs = "b | a | cat \"$SYNTH_OUT_A/a.txt\" > out/b.txt";
    let workspace = Workspace::new(&pipeline("sandbox = \"off\"", &[random, needs]));
    workspace.build();
    let (proofs, outputs) = (
        workspace.records(PROVED),
        ["dist/a/a.txt", "dist/b/b.txt"].map(|path| workspace.read(path)),
    );
    // It proves something else, and the index is as it was.
    workspace.build_with(BuildOptions {
        use_cache: false,
        ..BuildOptions::default()
    });
    assert_ne!(workspace.records(PROVED), proofs);
    let report = workspace.build();
    assert_eq!(statuses(&report), [("a", Cached), ("b", Cached)]);
    let now = ["dist/a/a.txt", "dist/b/b.txt"].map(|path| workspace.read(path));
    assert_eq!(now, outputs);
    assert_eq!(workspace.records(PROVED), proofs);
}

#[test]
fn what_can_not_be_put_in_place_is_not_proven_any_more() {
    let workspace = workspace("continue");
    workspace.build();
    let before = workspace.records(PROVED).len();
    lose(&workspace, &["dist/a", "dist/b", "gen/made"]);
    // Something of the user's is where `gen` has its directory.
    workspace.write("project/gen/made", "mine");
    let slow_too = ["", ".synth/index"];
    for index in slow_too {
        let path = workspace.project().join(index);
        if !index.is_empty() {
            fs::remove_dir_all(path).unwrap();
        }
        let report = workspace.build();
        assert_eq!(statuses(&report)[2], ("gen", Failed), "{index}");
        assert_eq!(report.targets[2].outputs, OutputsState::Earlier, "{index}");
        assert!(report.targets[2].artifacts.is_empty(), "{index}");
        assert_eq!(workspace.read("gen/made").as_deref(), Some("mine"));
        assert_eq!(workspace.records(PROVED).len(), before - 1, "{index}");
    }
    fs::remove_file(workspace.project().join("gen/made")).unwrap();
    let report = workspace.build();
    assert_eq!(
        statuses(&report),
        [("a", UpToDate), ("b", UpToDate), ("gen", Cached)]
    );
    assert_eq!(workspace.records(PROVED).len(), before);
}

/// How each target ended, or why no build began.
fn outcome(workspace: &Workspace) -> String {
    match workspace.try_build(BuildOptions::default()) {
        Ok(report) => format!("{:?}", statuses(&report)),
        Err(problems) => format!("{problems:?}"),
    }
}

#[test]
fn what_needs_what_can_not_be_put_in_place_is_skipped() {
    let targets = [
        "second | gen | echo second > out/second.txt",
        "third | second | echo third > out/third.txt",
        "fourth | second | cat src/input.txt > out/fourth.txt",
    ];
    let head = "failure_strategy = \"continue\"";
    let workspace = Workspace::new(&(pipeline(head, &targets) + &generator("")));
    workspace.write("project/gen/word.txt", "word");
    workspace.build();
    // Something of the user's is where `gen` has its directory; `second` is as it was.
    let break_it = || {
        lose(&workspace, &["gen/made", "dist/third"]);
        workspace.write("project/gen/made", "mine");
        workspace.write("project/src/input.txt", "two");
    };
    break_it();
    let quick = outcome(&workspace);
    lose(&workspace, &["gen/made"]);
    workspace.write("project/src/input.txt", "one");
    let repaired = workspace.build();
    assert!(repaired.success, "{repaired:?}");
    break_it();
    fs::remove_dir_all(workspace.project().join(".synth/index")).unwrap();
    let slow = outcome(&workspace);
    assert_eq!(quick, slow);
    assert!(quick.contains("Skipped"), "{quick}");
}
