//! A build without changes is known to be one by stamps alone; every change is seen.

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use synth_engine::TargetStatus::{self, Built, Cached, UpToDate};

use crate::workspace::{Workspace, pipeline, statuses};

fn workspace() -> Workspace {
    let workspace = Workspace::new(&pipeline(
        "",
        &[
            "a | | cat src/input.txt src/below/* > out/a.txt; ls -R src >> out/a.txt",
            "b | a | cat \"$SYNTH_OUT_A/a.txt\" > out/b.txt",
            "c | | echo c > out/c.txt",
        ],
    ));
    workspace.write("project/src/below/first.txt", "first");
    workspace.write("project/src/below/second.txt", "other");
    let config = fs::read_to_string(workspace.project().join("synth.toml")).unwrap();
    // `c` reads other sources than the two.
    let parts: Vec<&str> = config.rsplitn(2, "\"src\"").collect();
    workspace.write("project/other/file.txt", "");
    let config = format!("{}\"other\"{}", parts[1], parts[0]);
    workspace.write("project/synth.toml", &config);
    workspace
}

fn all(a: TargetStatus, b: TargetStatus, c: TargetStatus) -> Vec<(&'static str, TargetStatus)> {
    vec![("a", a), ("b", b), ("c", c)]
}

#[test]
fn a_build_without_changes_has_nothing_to_do() {
    let workspace = workspace();
    assert!(!workspace.is_known_to_be_up_to_date());
    assert_eq!(statuses(&workspace.build()), all(Built, Built, Built));
    assert!(workspace.is_known_to_be_up_to_date());
    let report = workspace.build();
    assert_eq!(statuses(&report), all(UpToDate, UpToDate, UpToDate));
    assert_eq!(report.targets[1].artifacts[0].path.as_str(), "dist/b/b.txt");
    assert!(!report.build.is_empty());
}

#[test]
fn every_change_is_seen() {
    let rewrite = |path: &Path, text: &str| {
        // Of the same size, in the same place, and as old as before.
        let modified = fs::metadata(path).unwrap().modified().unwrap();
        fs::write(path, text).unwrap();
        let file = File::options().write(true).open(path).unwrap();
        file.set_times(FileTimes::new().set_modified(modified))
            .unwrap();
    };
    type Change = (&'static str, Box<dyn Fn(&Path)>, [TargetStatus; 3]);
    let changes: Vec<Change> = vec![
        (
            "another text of the same length and time",
            Box::new(move |root| rewrite(&root.join("src/input.txt"), "two")),
            [Built, Built, UpToDate],
        ),
        (
            "a file more",
            Box::new(|root| fs::write(root.join("src/below/third.txt"), "").unwrap()),
            [Built, Built, UpToDate],
        ),
        (
            "a file less",
            Box::new(|root| fs::remove_file(root.join("src/below/first.txt")).unwrap()),
            [Built, Built, UpToDate],
        ),
        (
            "two files change places",
            Box::new(|root| {
                let below = root.join("src/below");
                fs::rename(below.join("first.txt"), below.join("aside")).unwrap();
                fs::rename(below.join("second.txt"), below.join("first.txt")).unwrap();
                fs::rename(below.join("aside"), below.join("second.txt")).unwrap();
            }),
            [Built, Built, UpToDate],
        ),
        (
            "a file becomes executable",
            Box::new(|root| {
                let path = root.join("src/input.txt");
                fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
            }),
            [Built, Built, UpToDate],
        ),
        (
            "a file becomes a link",
            Box::new(|root| {
                fs::remove_file(root.join("src/input.txt")).unwrap();
                symlink("below/first.txt", root.join("src/input.txt")).unwrap();
            }),
            [Built, Built, UpToDate],
        ),
        (
            "an output is gone",
            Box::new(|root| fs::remove_file(root.join("dist/c/c.txt")).unwrap()),
            [UpToDate, UpToDate, Cached],
        ),
        (
            "an output was changed",
            Box::new(move |root| rewrite(&root.join("dist/c/c.txt"), "x\n")),
            [UpToDate, UpToDate, Cached],
        ),
        (
            "something else is in an output directory",
            Box::new(|root| {
                fs::remove_file(root.join("dist/a/a.txt")).unwrap();
                symlink("nowhere", root.join("dist/a/a.txt")).unwrap();
            }),
            [Cached, UpToDate, UpToDate],
        ),
        (
            "a variable",
            Box::new(|root| {
                let path = root.join("synth.toml");
                let config = fs::read_to_string(&path).unwrap();
                let config = format!("{config}\n[targets.c.environment]\nA = \"b\"\n");
                fs::write(path, config).unwrap();
            }),
            [UpToDate, UpToDate, Built],
        ),
    ];
    for (name, change, expected) in changes {
        let workspace = workspace();
        workspace.build();
        assert!(workspace.is_known_to_be_up_to_date(), "{name}");
        change(&workspace.project());
        assert!(!workspace.is_known_to_be_up_to_date(), "{name}");
        let [a, b, c] = expected;
        assert_eq!(statuses(&workspace.build()), all(a, b, c), "{name}");
        assert!(workspace.is_known_to_be_up_to_date(), "{name}");
    }
}

#[test]
fn what_was_only_touched_is_not_built() {
    let workspace = workspace();
    workspace.build();
    workspace.write("project/src/input.txt", "one");
    assert!(!workspace.is_known_to_be_up_to_date());
    assert_eq!(
        statuses(&workspace.build()),
        all(UpToDate, UpToDate, UpToDate)
    );
    assert!(workspace.is_known_to_be_up_to_date());
}

#[test]
fn an_index_that_is_damaged_is_none() {
    let workspace = workspace();
    workspace.build();
    let index = workspace.project().join(".synth/index");
    let path = fs::read_dir(index).unwrap().next().unwrap().unwrap().path();
    let bytes = fs::read(&path).unwrap();
    for damaged in [&bytes[..bytes.len() / 2], b"", b"nonsense"] {
        fs::write(&path, damaged).unwrap();
        assert!(!workspace.is_known_to_be_up_to_date());
        assert_eq!(
            statuses(&workspace.build()),
            all(UpToDate, UpToDate, UpToDate)
        );
        assert!(workspace.is_known_to_be_up_to_date());
    }
}

#[test]
fn what_the_store_has_lost_is_made_again_for_those_that_need_it() {
    let workspace = workspace();
    workspace.build();
    fs::remove_dir_all(workspace.directory.path().join("the store")).unwrap();
    // Nothing is missing from the outputs.
    assert_eq!(
        statuses(&workspace.build()),
        all(UpToDate, UpToDate, UpToDate)
    );
    let path = workspace.project().join("dist/b/b.txt");
    fs::remove_file(path).unwrap();
    assert_eq!(statuses(&workspace.build()), all(Built, Built, UpToDate));
}

#[test]
fn the_next_build_looks_again_at_what_failed() {
    let workspace = Workspace::new(&pipeline(
        "failure_strategy = \"continue\"",
        &[
            "a | | cp src/input.txt out/a.txt",
            "b | | test -e src/there && echo > out/b",
        ],
    ));
    use TargetStatus::Failed;
    for _ in 0..2 {
        let report = workspace.build();
        assert_eq!(statuses(&report)[1], ("b", Failed));
        assert!(!workspace.is_known_to_be_up_to_date());
    }
    workspace.write("project/src/there", "");
    assert_eq!(statuses(&workspace.build()), [("a", Built), ("b", Built)]);
    assert!(workspace.is_known_to_be_up_to_date());
}
