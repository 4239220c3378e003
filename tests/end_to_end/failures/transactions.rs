//! A build under `rollback` and its effects, as one: after a failure, after a crash and with other builds
//! between that and `synth recover`.

use std::fs;

use super::assert_nothing_temporary;
use super::releases::{configure, crash, edit, mark, outputs, project, released, unmark, version};
use crate::workspace::{Report, Run, Workspace, text};

fn code(run: &Run) -> Option<i32> {
    run.output.status.code()
}

fn codes(report: &Report) -> Vec<&str> {
    let diagnostics = report.value["diagnostics"].as_array().unwrap();
    diagnostics.iter().map(|d| text(&d["code"])).collect()
}

fn effects(report: &Report) -> Vec<&str> {
    let effects = report.value["effects"].as_array().unwrap();
    effects
        .iter()
        .map(|effect| text(&effect["state"]))
        .collect()
}

#[test]
fn what_was_not_published_by_a_failure_is_by_the_next_build() {
    let workspace = project();
    // Only the setting of an effect is another one: outputs are the same.
    let config = workspace.read("synth.toml").replace("../www", "../www2");
    workspace.write("synth.toml", config);
    mark(&workspace, "fail", "");
    let up = workspace.beside("world");
    for entry in fs::read_dir(&up).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("up-") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    let report = workspace.build(["--publish"]);
    assert_eq!(effects(&report), ["undone", "failed"]);
    unmark(&workspace, "fail");
    let report = workspace.build(["--publish"]).succeeded();
    assert_eq!(effects(&report), ["applied", "applied"]);
    let site = fs::read_to_string(workspace.beside("www2/current/out")).unwrap();
    assert_eq!(site, "0");
    assert_nothing_temporary(&workspace);
}

#[test]
fn what_was_proven_before_a_build_that_failed_still_is() {
    let workspace = project();
    let before = outputs(&workspace);
    edit(&workspace, "1 broken");
    assert_eq!(workspace.build([""; 0]).code, Some(1));
    assert_eq!(outputs(&workspace), before);
    let run = workspace.synth(["publish"]).succeeded();
    assert!(run.to_string().contains("already there"), "{run}");
    edit(&workspace, "0");
    // It may fail, and is not left out as if it were not built.
    let config = workspace.read("synth.toml");
    let allowed = config.replace("\"dist/up\"\n", "\"dist/up\"\nallow_failure = true\n");
    workspace.write("synth.toml", allowed);
    edit(&workspace, "2");
    mark(&workspace, "fail", "");
    assert_eq!(workspace.build(["--publish"]).code, Some(1));
    unmark(&workspace, "fail");
    let report = workspace.build(["--publish"]).succeeded();
    assert_eq!(effects(&report), ["applied", "applied"]);
    assert!(!codes(&report).contains(&"effect.left_out"));
}

/// What comes between a crash and its recovery; the version that outputs have then.
type Between = fn(&Workspace) -> &'static str;

const BETWEEN: [(&str, Between); 6] = [
    ("nothing", |_| "1"),
    ("a build of the same", |workspace| {
        let report = workspace.build([""; 0]).succeeded();
        assert!(
            codes(&report).contains(&"rollback.open"),
            "{:?}",
            report.value
        );
        "1"
    }),
    ("builds of others", |workspace| {
        for version in ["2", "3", "4"] {
            edit(workspace, version);
            workspace.build([""; 0]).succeeded();
        }
        "4"
    }),
    ("a build that fails", |workspace| {
        edit(workspace, "2 broken");
        assert_eq!(workspace.build([""; 0]).code, Some(1));
        edit(workspace, "1");
        "1"
    }),
    ("one that stops at failures", |workspace| {
        configure(workspace, "stop_all");
        edit(workspace, "2");
        workspace.build([""; 0]).succeeded();
        configure(workspace, "rollback");
        "2"
    }),
    ("clean", |workspace| {
        let run = workspace.synth(["clean"]).succeeded();
        assert!(run.to_string().contains("rollback.open"), "{run}");
        "-"
    }),
];

#[test]
fn a_build_between_a_crash_and_its_recovery_does_not_decide_for_it() {
    for (what, between) in BETWEEN {
        let workspace = project();
        let (before, world) = (outputs(&workspace), released(&workspace));
        crash(&workspace, "1");
        assert_eq!(version(&workspace, what), "1");
        between(&workspace);
        let refused = workspace.synth(["build", "--publish"]);
        assert_eq!(code(&refused), Some(4), "{what}: {refused}");
        workspace.synth(["recover", "--undo"]).succeeded();
        assert_eq!(outputs(&workspace), before, "{what}");
        assert_eq!(released(&workspace), world, "{what}");
        assert_nothing_temporary(&workspace);
        // It is known, and proven.
        edit(&workspace, "0");
        workspace.synth(["publish"]).succeeded();
        assert_eq!(released(&workspace), world, "{what}");
        let report = workspace.build([""; 0]).succeeded();
        let statuses = report.statuses();
        assert!(
            !statuses.contains("built") && !statuses.contains("cached"),
            "{what}: {statuses}"
        );
        edit(&workspace, "5");
        workspace.build(["--publish"]).succeeded();
        assert_eq!(version(&workspace, what), "5");
        assert_nothing_temporary(&workspace);
    }
}

#[test]
fn outputs_of_builds_since_stay_when_a_crash_is_finished() {
    for (what, between) in BETWEEN {
        let workspace = project();
        crash(&workspace, "1");
        let there = between(&workspace);
        workspace.synth(["recover", "--finish"]).succeeded();
        let (current, up) = released(&workspace);
        assert_eq!((current.as_str(), up.len()), ("1", 2), "{what}");
        assert_eq!(version(&workspace, what), there, "{what}");
        assert_nothing_temporary(&workspace);
        edit(&workspace, "5");
        workspace.build(["--publish"]).succeeded();
        assert_eq!(version(&workspace, what), "5");
    }
}

#[test]
fn what_is_not_taken_back_is_not_said_to_be() {
    let workspace = project();
    edit(&workspace, "1");
    let mine = workspace.path("dist/base/mine");
    mark(&workspace, "touch", mine.to_str().unwrap());
    mark(&workspace, "fail", "");
    let run = workspace.synth(["build", "--publish"]);
    assert_eq!(code(&run), Some(1), "{run}");
    assert!(run.to_string().contains("rollback.not_ours"), "{run}");
    assert!(!run.to_string().contains("rolled back"), "{run}");
    assert_eq!(version(&workspace, "not taken back"), "1");
    // What was proven does not count, and what would be published is not known.
    let run = workspace.synth(["publish", "--dry-run"]);
    assert!(run.to_string().contains("rollback.pending"), "{run}");
    unmark(&workspace, "touch");
    fs::remove_file(&mine).unwrap();
    let run = workspace.synth(["clean"]).succeeded();
    assert!(run.to_string().contains("rollback.finished"), "{run}");
    workspace.write("dist/keep", "");
    unmark(&workspace, "fail");
    fs::remove_file(workspace.path("dist/keep")).unwrap();
    workspace.build(["--publish"]).succeeded();
    assert_eq!(version(&workspace, "in the end"), "1");
}

#[test]
fn outputs_that_can_not_follow_an_undo_are_told_with_it() {
    let workspace = project();
    let (before, world) = (outputs(&workspace), released(&workspace));
    crash(&workspace, "1");
    workspace.write("dist/site/mine", "mine");
    let run = workspace.synth(["recover", "--undo", "--format", "json"]);
    assert_eq!(code(&run), Some(4), "{run}");
    let report = run.json();
    assert_eq!(
        (&report["success"], &report["unfinished"]),
        (&false.into(), &false.into())
    );
    let states = report["effects"].as_array().unwrap();
    assert!(
        states.iter().all(|effect| effect["state"] == "undone"),
        "{report}"
    );
    assert!(
        report["diagnostics"]
            .to_string()
            .contains("rollback.not_ours")
    );
    assert_eq!(released(&workspace), world);
    fs::remove_file(workspace.path("dist/site/mine")).unwrap();
    let run = workspace.synth(["recover", "--undo"]).succeeded();
    assert!(run.to_string().contains("rollback.finished"), "{run}");
    assert_eq!(outputs(&workspace), before);
    assert_nothing_temporary(&workspace);
}

/// A build after which there is little room for the state, and another when there is room.
const BUILD_FULL: &str = r#"
mount -t tmpfs -o size=16m tmpfs ../full
cp -a .synth/. ../full/
mount --bind ../full .synth
there() { echo $(cat dist/base/link) $(cat made/gen/copy) $(cat dist/site/out) $(cat dist/up/out); }
for pages in $(seq 0 3 45); do
  printf 1$pages > src/version
  printf 1$pages > made/version
  free=$(df --output=avail -k .synth | tail -1)
  head -c $((free - 4 * pages))k /dev/zero > .synth/filler 2> ../told || true
  code=0
  "$@" build --format json > ../report 2>> ../told || code=$?
  echo "$code $(there)"
  rm .synth/filler
  "$@" build --format json > ../then 2>> ../told || cat ../report ../then
  echo "0 $(there)"
  cat ../report ../then | grep -e damaged -e rollback.lost || true
done
"#;

#[test]
fn outputs_are_of_one_build_however_little_room_there_is_for_the_state() {
    let workspace = project();
    fs::create_dir(workspace.beside("full")).unwrap();
    let run = workspace.synth_unshared("-Urm", BUILD_FULL, [""; 0]);
    let told = String::from_utf8_lossy(&run.output.stdout).into_owned();
    let mut last = "0".to_owned();
    let (mut failed, mut fitted) = (0, 0);
    for (at, line) in told.lines().enumerate() {
        let words: Vec<&str> = line.split(' ').collect();
        let [code, first, rest @ ..] = words.as_slice() else {
            panic!("{run}");
        };
        assert!(
            rest.len() == 3 && rest.iter().all(|one| one == first),
            "{run}"
        );
        if at % 2 == 0 {
            // A build that fails leaves what there was, one that does not what it has made.
            let is_new = *first != last;
            assert_eq!(is_new, *code == "0", "line {at}: {run}");
            failed += u32::from(!is_new);
            fitted += u32::from(is_new);
        }
        last = (*first).to_owned();
    }
    assert!(failed > 0 && fitted > 0, "{run}");
}
