//! Journals of a workspace, some of them damaged, many of them old.

use std::collections::BTreeMap;
use std::time::Duration;

use semver::Version;
use synth_core::{Effect, EffectPhase, EffectProcesses, Exec, ProjectPath, Receipt};

use super::super::journal::Journal;
use super::super::record::{JOURNAL_VERSION, Opened, Record};
use super::*;
use crate::FailureStrategy;

fn entry(id: &str, fingerprint: &str) -> Entry {
    let processes = EffectProcesses {
        apply: Exec::new(["apply"]),
        undo: Some(Exec::new(["undo"])),
        check: None,
    };
    Entry {
        target: "site".into(),
        source_path: ProjectPath::root(),
        kind: "command".into(),
        crate_name: "synth-target-command".into(),
        crate_version: Version::new(0, 1, 0),
        effect: Effect::new(id, EffectPhase::Publish, id, processes),
        depends: Vec::new(),
        fingerprint: fingerprint.into(),
    }
}

/// A publish that has ended: the effects with what was told of each.
fn published(root: &Path, build: &str, effects: &[(&str, Option<Receipt>)]) {
    let opened = Opened {
        version: JOURNAL_VERSION,
        build: build.into(),
        pipeline: "p".into(),
        strategy: FailureStrategy::StopAll,
        effects: effects.iter().map(|(id, _)| entry(id, build)).collect(),
        exports: BTreeMap::new(),
    };
    let mut journal = Journal::begin(root, opened).unwrap();
    for (effect, (_, receipt)) in effects.iter().enumerate() {
        if let Some(receipt) = receipt.clone() {
            journal.write(Record::Applying { effect }).unwrap();
            journal.write(Record::Applied { effect, receipt }).unwrap();
        }
    }
    journal.write(Record::Closed).unwrap();
}

fn applied() -> Option<Receipt> {
    Some(Receipt::default())
}

fn found() -> Option<Receipt> {
    Some(Receipt::already_there())
}

fn path_of(root: &Path, build: &str) -> PathBuf {
    journal::directory(root).join(build)
}

/// Changes a byte of the first record.
fn damage(root: &Path, build: &str) {
    let path = path_of(root, build);
    let mut bytes = fs::read(&path).unwrap();
    bytes[40] ^= 1;
    fs::write(&path, bytes).unwrap();
}

/// Removes the last record, which says that nothing is left to do.
fn cut(root: &Path, build: &str) {
    let path = path_of(root, build);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 30]).unwrap();
}

/// Makes a journal look as if it was written long ago.
fn age(root: &Path, build: &str) {
    let file = fs::File::options()
        .write(true)
        .open(path_of(root, build))
        .unwrap();
    let then = SystemTime::now() - Duration::from_secs(3600);
    file.set_modified(then).unwrap();
}

#[test]
fn a_damaged_journal_keeps_nobody_from_publishing_when_its_publish_has_ended() {
    type Harm = fn(&Path);
    let cases: [(&str, Harm, Option<&str>); 5] = [
        ("the newest", |root| damage(root, "3"), Some("3")),
        (
            "it says at its end that it has ended",
            |root| damage(root, "2"),
            None,
        ),
        (
            "another was written since",
            |root| {
                damage(root, "2");
                cut(root, "2");
                age(root, "2");
            },
            None,
        ),
        (
            "it may be one that was being rolled back",
            |root| {
                damage(root, "2");
                cut(root, "2");
                age(root, "1");
                age(root, "3");
            },
            Some("2"),
        ),
        (
            "nothing is left of it",
            |root| fs::write(path_of(root, "2"), "").unwrap(),
            None,
        ),
    ];
    for (case, harm, blocks) in cases {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        for build in ["1", "2", "3"] {
            published(root, build, &[("a", applied())]);
        }
        harm(root);
        match (Stories::read(root), blocks) {
            (Ok(stories), None) => {
                let unreadable = stories.told.iter().filter(|told| told.story.is_err());
                assert_eq!(stories.warnings().len(), unreadable.count(), "{case}");
            }
            (Err(problem), Some(build)) => {
                assert!(problem.message.contains(&format!("/{build}`")), "{case}");
            }
            (read, _) => panic!("{case}: {:?}", read.err()),
        }
    }
}

#[test]
fn what_a_damaged_journal_may_have_done_is_not_known() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    published(root, "1", &[("a", applied())]);
    published(root, "2", &[("b", applied())]);
    published(root, "3", &[("c", applied())]);
    let before = |root| {
        let before = Stories::read(root).unwrap().applied_before("now");
        let mut names: Vec<String> = before.into_keys().map(|(_, id)| id).collect();
        names.sort();
        names
    };
    assert_eq!(before(root), ["a", "b", "c"]);
    damage(root, "2");
    assert_eq!(before(root), ["c"]);

    let stories = Stories::read(root).unwrap();
    let code = |build| stories.to_roll_back(build).map(drop).map_err(|p| p.code);
    assert_eq!(code("1"), Err("effect.rollback.order".into()));
    assert_eq!(code("2"), Err("effect.journal.read".into()));
    assert_eq!(code("3"), Ok(()));
    assert_eq!(code("4"), Err("effect.rollback.unknown".into()));
}

#[test]
fn old_journals_are_removed_when_they_say_nothing_that_still_holds() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let name = |number: usize| format!("{number:04}");
    // The last that was heard of `once`, and of `never`, which was there before any.
    published(root, &name(0), &[("once", applied()), ("often", applied())]);
    published(root, &name(1), &[("never", found())]);
    for number in 2..KEPT + 10 {
        published(
            root,
            &name(number),
            &[("once", found()), ("often", applied())],
        );
    }
    fs::write(path_of(root, &name(2)), "").unwrap();
    let stories = Stories::read(root).unwrap();
    let before = stories.applied_before("now");
    stories.prune();
    let mut expected = vec![name(0)];
    expected.extend((10..KEPT + 10).map(name));
    assert_eq!(journal::names(root).unwrap(), expected);

    let stories = Stories::read(root).unwrap();
    assert_eq!(stories.applied_before("now"), before, "as much is known");
    let code = |build: &str| stories.to_roll_back(build).map(drop).map_err(|p| p.code);
    // What was between it and the others is not known any more.
    assert_eq!(code(&name(0)), Err("effect.rollback.old".into()));
    assert_eq!(code(&name(10)), Ok(()));
}

#[test]
fn publishes_that_changed_nothing_push_no_other_out() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    published(root, "0000", &[("a", applied())]);
    published(root, "0001", &[("a", applied())]);
    for number in 2..2 * KEPT {
        published(root, &format!("{number:04}"), &[("a", found())]);
    }
    Stories::read(root).unwrap().prune();
    let names = journal::names(root).unwrap();
    assert_eq!(names.len(), KEPT + 2);
    assert_eq!(names[..2], ["0000", "0001"]);
}
