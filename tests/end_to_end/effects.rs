//! Publishing what was proven, taking it back, and what is unfinished after a crash.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::workspace::{Run, Workspace};

/// A site that is published into a directory beside the project.
fn site() -> Workspace {
    let workspace = Workspace::new();
    workspace.write(
        "synth.toml",
        "[targets.site]\ntype = \"static\"\nsource_path = \"web\"\n\
         publish = { directory = \"../www\", keep = 3 }\n",
    );
    page(&workspace, "one");
    workspace
}

fn page(workspace: &Workspace, text: &str) {
    let page = format!("<!doctype html><html lang=en><title>Shop</title><p>{text}</p></html>");
    workspace.write("web/index.html", page);
}

/// What visitors see.
fn shown(workspace: &Workspace) -> String {
    fs::read_to_string(workspace.beside("www/current/index.html")).unwrap_or_default()
}

fn code(run: &Run) -> i32 {
    run.output.status.code().unwrap()
}

/// Publishes; gives what became of the effects, and the name of the publish.
fn publish(workspace: &Workspace) -> (Vec<String>, String) {
    let report = workspace
        .synth(["publish", "--format", "json"])
        .succeeded()
        .json();
    let effects = report["effects"].as_array().unwrap().iter();
    let states = effects.map(|effect: &Value| effect["state"].as_str().unwrap().to_owned());
    (
        states.collect(),
        report["build"].as_str().unwrap().to_owned(),
    )
}

fn journal(workspace: &Workspace, build: &str) -> PathBuf {
    workspace.path(".synth/journal").join(build)
}

#[test]
fn what_was_proven_is_published_once_and_taken_back() {
    let workspace = site();
    let run = workspace.synth(["publish"]);
    assert_eq!(code(&run), 2, "nothing was built: {run}");
    workspace.build([""; 0]).succeeded();
    let (states, one) = publish(&workspace);
    assert_eq!(states, ["applied"]);
    assert_eq!(publish(&workspace).0, ["already_there"]);

    page(&workspace, "two");
    let report = workspace.build(["--publish"]).succeeded();
    assert_eq!(report.value["effects"][0]["state"], "applied");
    assert!(shown(&workspace).contains("two"));
    let two = report.value["effects_build"].as_str().unwrap();

    let run = workspace.synth(["rollback", &one]);
    assert_eq!(code(&run), 2, "a later one stands on it: {run}");
    workspace.synth(["rollback", two]).succeeded();
    assert!(shown(&workspace).contains("one"));
    // Of what was undone nothing is there: the last one is another.
    workspace.synth(["rollback", "last"]).succeeded();
    assert_eq!(shown(&workspace), "");
    let run = workspace.synth(["rollback", "last"]);
    assert_eq!(code(&run), 2, "{run}");
    assert!(run.to_string().contains("nothing is published"), "{run}");
}

#[test]
fn what_was_changed_since_the_build_is_not_published() {
    let workspace = site();
    workspace.build([""; 0]).succeeded();
    workspace.append("dist/site/index.html", "changed");
    let run = workspace.synth(["publish"]);
    assert_eq!(code(&run), 2, "{run}");
    assert!(run.to_string().contains("effect.changed"), "{run}");
    assert_eq!(shown(&workspace), "");
}

#[test]
fn a_journal_that_was_cut_is_finished_or_undone_before_anything_else_is_published() {
    for (how, text) in [("--finish", "two"), ("--undo", "one")] {
        let workspace = site();
        workspace.build([""; 0]).succeeded();
        publish(&workspace);
        page(&workspace, "two");
        workspace.build([""; 0]).succeeded();
        let (_, two) = publish(&workspace);
        // The last record says that nothing is left to do.
        let path = journal(&workspace, &two);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 5]).unwrap();

        for refused in [
            vec!["publish"],
            vec!["build", "--publish"],
            vec!["rollback", &two],
        ] {
            let run = workspace.synth(&refused);
            assert_eq!(code(&run), 4, "{refused:?}: {run}");
        }
        workspace.build([""; 0]).succeeded();
        assert_eq!(code(&workspace.synth(["recover"])), 5);
        workspace.synth(["recover", how]).succeeded();
        assert!(shown(&workspace).contains(text), "{how}");
        workspace.synth(["publish"]).succeeded();
    }
}

#[test]
fn a_journal_that_is_damaged_is_refused() {
    let workspace = site();
    workspace.build([""; 0]).succeeded();
    let (_, build) = publish(&workspace);
    let path = journal(&workspace, &build);
    let mut bytes = fs::read(&path).unwrap();
    bytes[40] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let run = workspace.synth(["publish"]);
    assert_eq!(code(&run), 4, "{run}");
    assert!(run.to_string().contains("it is damaged at byte 0"), "{run}");
    workspace.build([""; 0]).succeeded();
}

#[test]
fn a_damaged_journal_of_long_ago_is_told_and_in_nobodys_way() {
    let workspace = site();
    let mut builds = Vec::new();
    for text in ["one", "two", "three"] {
        page(&workspace, text);
        workspace.build([""; 0]).succeeded();
        builds.push(publish(&workspace).1);
    }
    let path = journal(&workspace, &builds[1]);
    let mut bytes = fs::read(&path).unwrap();
    bytes[40] ^= 1;
    fs::write(&path, &bytes).unwrap();

    let run = workspace.synth(["publish"]).succeeded();
    assert!(
        run.to_string().contains("warning[effect.journal.read]"),
        "{run}"
    );
    assert!(run.to_string().contains("move it away"), "{run}");
    for (build, problem) in [
        (&builds[0], "effect.rollback.order"),
        (&builds[1], "effect.journal.read"),
    ] {
        let run = workspace.synth(["rollback", build]);
        assert_eq!(code(&run), 4, "{run}");
        assert!(run.to_string().contains(problem), "{run}");
    }
    workspace.synth(["rollback", &builds[2]]).succeeded();
    assert!(shown(&workspace).contains("two"));
}
