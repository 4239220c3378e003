//! Every way through a journal with three effects, and what a crash at each record leaves.

use std::collections::BTreeSet;
use std::path::Path;

use semver::Version;
use synth_core::{Effect, EffectPhase, EffectProcesses, Exec, ProjectPath};

use super::super::journal;
use super::super::record::{EffectState, JOURNAL_VERSION, Opened};
use super::*;

/// A world in which effects are names.
#[derive(Debug, Default)]
struct World {
    there: BTreeSet<String>,
    done: Vec<String>,
    /// What fails: `apply c`, `undo a`.
    fails: BTreeSet<&'static str>,
    /// What is ended in its middle.
    crashes: BTreeSet<&'static str>,
    missing: BTreeSet<&'static str>,
    /// Whether it can be asked what is there.
    tells: bool,
    /// After so many acts the process is killed.
    dies_after: Option<usize>,
}

impl World {
    fn act(&mut self, act: &str, entry: &Entry) -> Result<(), Stopped> {
        let act = format!("{act} {}", entry.effect.id);
        if self.dies_after == Some(0) {
            return Err(Stopped::Interrupted);
        }
        if self.fails.contains(act.as_str()) {
            return Err(Stopped::Failed(vec![Diagnostic::error("test", act)]));
        }
        if self.crashes.contains(act.as_str()) {
            return Err(Stopped::Unclear(vec![Diagnostic::error("test", act)]));
        }
        self.done.push(act);
        Ok(())
    }

    /// The act has happened, and nobody hears of it.
    fn heard(&mut self) -> Result<(), Stopped> {
        let Some(left) = &mut self.dies_after else {
            return Ok(());
        };
        *left -= 1;
        match left {
            0 => Err(Stopped::Interrupted),
            _ => Ok(()),
        }
    }
}

impl Hand for World {
    fn check(&mut self, entry: &Entry) -> Result<Presence, Stopped> {
        Ok(match (self.tells, self.there.contains(&entry.effect.id)) {
            (false, _) => Presence::Unknown,
            (true, false) => Presence::Absent,
            (true, true) => Presence::Present(Receipt::default()),
        })
    }

    fn was_applied_before(&mut self, _: &Entry) -> bool {
        false
    }

    fn apply(&mut self, entry: &Entry) -> Result<Receipt, Stopped> {
        self.act("apply", entry)?;
        self.there.insert(entry.effect.id.clone());
        self.heard()?;
        Ok(Receipt::default())
    }

    fn again(&mut self, entry: &Entry, attempt: u32, _: &[Diagnostic]) -> bool {
        attempt < entry.effect.retry.attempts
    }

    fn undo(&mut self, entry: &Entry, _: Option<&Receipt>) -> Result<(), Stopped> {
        self.act("undo", entry)?;
        self.there.remove(&entry.effect.id);
        self.heard()
    }

    fn missing(&mut self, entry: &Entry) -> Option<Diagnostic> {
        let gone = self.missing.contains(entry.effect.id.as_str());
        gone.then(|| Diagnostic::error("test", format!("{} is gone", entry.effect.id)))
    }

    fn settled(&mut self, entry: &Entry, _: &Receipt) {
        self.done.push(format!("settled {}", entry.effect.id));
    }

    fn tell(&mut self, _: Doing, _: &Entry) {}
}

fn entry(id: &str, depends: &[usize]) -> Entry {
    let processes = EffectProcesses {
        apply: Exec::new(["apply"]),
        undo: (id != "irreversible").then(|| Exec::new(["undo"])),
        check: None,
    };
    Entry {
        target: "site".into(),
        source_path: ProjectPath::root(),
        kind: "command".into(),
        crate_name: "synth-target-command".into(),
        crate_version: Version::new(0, 1, 0),
        effect: Effect::new(id, EffectPhase::Publish, id, processes),
        depends: depends.to_vec(),
        fingerprint: id.into(),
    }
}

fn opened(strategy: FailureStrategy, effects: Vec<Entry>) -> Opened {
    Opened {
        version: JOURNAL_VERSION,
        build: "b".into(),
        pipeline: "p".into(),
        strategy,
        effects,
        exports: Default::default(),
    }
}

fn abc() -> Vec<Entry> {
    vec![entry("a", &[]), entry("b", &[0]), entry("c", &[])]
}

fn states(root: &Path) -> (Vec<EffectState>, bool) {
    let story = journal::read(&journal::directory(root).join("b"))
        .unwrap()
        .story;
    (
        story.standings.iter().map(Standing::state).collect(),
        story.closed,
    )
}

/// Publishes, with `fails` failing.
fn publish(
    strategy: FailureStrategy,
    effects: Vec<Entry>,
    world: &mut World,
) -> (Vec<EffectState>, bool) {
    let root = tempfile::tempdir().unwrap();
    let mut journal = Journal::begin(root.path(), opened(strategy, effects)).unwrap();
    apply_all(&mut journal, world);
    states(root.path())
}

use EffectState::{Applied, Failed, NotUndone, Pending, Undone};

#[test]
fn a_failure_is_answered_as_the_strategy_says() {
    let (stop, go_on, back) = (
        FailureStrategy::StopAll,
        FailureStrategy::Continue,
        FailureStrategy::Rollback,
    );
    for (strategy, fails, states, done) in [
        (
            stop,
            "",
            [Applied, Applied, Applied],
            "apply a, apply b, apply c, settled a, settled b, settled c",
        ),
        (stop, "apply b", [Applied, Failed, Pending], "apply a"),
        (
            go_on,
            "apply b",
            [Applied, Failed, Applied],
            "apply a, apply c",
        ),
        (go_on, "apply a", [Failed, Pending, Applied], "apply c"),
        (
            back,
            "apply c",
            [Undone, Undone, Failed],
            "apply a, apply b, undo b, undo a",
        ),
    ] {
        let mut world = World::default();
        world.fails.extend([fails]);
        let ended = publish(strategy, abc(), &mut world);
        assert_eq!(ended, (states.to_vec(), true), "{strategy:?} {fails}");
        assert_eq!(world.done.join(", "), done, "{strategy:?} {fails}");
    }
}

#[test]
fn an_undo_that_fails_stops_and_can_be_continued() {
    let root = tempfile::tempdir().unwrap();
    let opened = opened(FailureStrategy::Rollback, abc());
    let mut journal = Journal::begin(root.path(), opened).unwrap();
    let mut world = World::default();
    world.fails.extend(["apply c", "undo b"]);
    let ended = apply_all(&mut journal, &mut world);
    let said: Vec<String> = ended.into_iter().map(|d| d.message).collect();
    assert_eq!(said, ["apply c", "undo b"]);
    assert_eq!(
        states(root.path()),
        (vec![Applied, NotUndone, Failed], false)
    );

    world.fails.clear();
    let (mut journal, torn) = Journal::resume(root.path(), "b").unwrap();
    assert_eq!(torn, 0);
    let ended = undo_all(&mut journal, &mut world, Remaining::Told);
    assert!(ended.is_empty(), "{ended:?}");
    assert_eq!(states(root.path()), (vec![Undone, Undone, Failed], true));
    assert!(world.there.is_empty());
}

#[test]
fn what_is_needed_by_an_effect_that_stays_is_not_undone() {
    let back = FailureStrategy::Rollback;
    let irreversible = || {
        vec![
            entry("a", &[]),
            entry("irreversible", &[0]),
            entry("b", &[]),
            entry("c", &[]),
        ]
    };
    let mut world = World::default();
    world.fails.extend(["apply c"]);
    let ended = publish(back, irreversible(), &mut world);
    assert_eq!(ended, (vec![NotUndone, NotUndone, Undone, Failed], true));

    // A plugin may come back: the journal stays open.
    let mut world = World::default();
    world.fails.extend(["apply c"]);
    world.missing.extend(["b"]);
    let ended = publish(back, abc(), &mut world);
    assert_eq!(ended, (vec![NotUndone, NotUndone, Failed], false));
}

#[test]
fn killed_at_any_act_it_ends_in_the_state_that_is_asked_for() {
    for tells in [false, true] {
        for dies_after in 1..=3 {
            for finish in [true, false] {
                let root = tempfile::tempdir().unwrap();
                let opened = opened(FailureStrategy::StopAll, abc());
                let mut journal = Journal::begin(root.path(), opened).unwrap();
                let mut world = World {
                    tells,
                    dies_after: Some(dies_after),
                    ..World::default()
                };
                assert!(apply_all(&mut journal, &mut world).is_empty());
                assert!(!states(root.path()).1, "the journal stays open");
                world.dies_after = None;
                let (mut journal, _) = Journal::resume(root.path(), "b").unwrap();
                let (end, count) = match finish {
                    true => (apply_all(&mut journal, &mut world), 3),
                    false => (undo_all(&mut journal, &mut world, Remaining::Told), 0),
                };
                assert!(end.is_empty(), "{end:?}");
                assert_eq!(world.there.len(), count, "{tells} {dies_after} {finish}");
                assert!(states(root.path()).1);
            }
        }
    }
}

#[test]
fn what_may_have_happened_in_part_is_never_taken_for_nothing() {
    // The process of an effect crashes; or synth is killed, and the second attempt fails.
    for crashes in [true, false] {
        for strategy in [
            FailureStrategy::StopAll,
            FailureStrategy::Continue,
            FailureStrategy::Rollback,
        ] {
            let root = tempfile::tempdir().unwrap();
            let mut journal = Journal::begin(root.path(), opened(strategy, abc())).unwrap();
            let mut world = World::default();
            if crashes {
                world.crashes.extend(["apply b"]);
            } else {
                world.dies_after = Some(2);
            }
            let said = apply_all(&mut journal, &mut world);
            if !crashes {
                assert!(said.is_empty());
                world.dies_after = None;
                world.fails.extend(["apply b"]);
                journal = Journal::resume(root.path(), "b").unwrap().0;
                apply_all(&mut journal, &mut world);
            }
            let (states, closed) = states(root.path());
            if strategy == FailureStrategy::Rollback {
                assert_eq!((states, closed), (vec![Undone, Undone, Pending], true));
                assert!(world.there.is_empty());
                continue;
            }
            assert_eq!(states[..2], [Applied, Failed]);
            assert!(!closed, "{strategy:?} {crashes}");
            undo_all(&mut journal, &mut world, Remaining::Told);
            assert!(world.there.is_empty(), "{strategy:?} {crashes}");
        }
    }
}

#[test]
fn by_hand_is_only_what_could_not_be_undone() {
    let root = tempfile::tempdir().unwrap();
    let opened = opened(FailureStrategy::StopAll, abc());
    let mut journal = Journal::begin(root.path(), opened).unwrap();
    let mut world = World::default();
    apply_all(&mut journal, &mut world);
    world.fails.extend(["undo b"]);
    undo_all(&mut journal, &mut world, Remaining::Told);
    assert_eq!(
        states(root.path()),
        (vec![Applied, NotUndone, Undone], false)
    );
    world.there.remove("b");
    undo_all(&mut journal, &mut world, Remaining::ByHand);
    assert_eq!(states(root.path()), (vec![Undone, Undone, Undone], true));
    assert!(world.there.is_empty(), "a was undone by synth");
}

#[test]
fn what_was_there_before_is_left_there() {
    let root = tempfile::tempdir().unwrap();
    let opened = opened(FailureStrategy::Rollback, abc());
    let mut journal = Journal::begin(root.path(), opened).unwrap();
    let mut world = World {
        tells: true,
        there: ["a".to_owned()].into(),
        ..World::default()
    };
    world.fails.extend(["apply c"]);
    apply_all(&mut journal, &mut world);
    assert_eq!(
        states(root.path()),
        (vec![EffectState::AlreadyThere, Undone, Failed], true)
    );
    assert_eq!(world.done.join(", "), "apply b, undo b");
}

#[test]
fn a_journal_that_was_cut_is_read_up_to_its_last_record() {
    let root = tempfile::tempdir().unwrap();
    let opened = opened(FailureStrategy::StopAll, abc());
    let mut journal = Journal::begin(root.path(), opened).unwrap();
    apply_all(&mut journal, &mut World::default());
    let path = journal::directory(root.path()).join("b");
    let whole = std::fs::read(&path).unwrap();
    let first = whole.len() - 1;
    let mut ends = 0;
    for length in (1..=first).rev() {
        std::fs::write(&path, &whole[..length]).unwrap();
        match journal::read(&path) {
            Ok(found) => {
                ends += usize::from(found.torn_bytes == 0);
                assert!(!found.story.closed);
            }
            Err(error) => {
                assert_eq!(error.to_string(), "it holds no whole record");
                break;
            }
        }
    }
    assert_eq!(ends, 7, "all records but the last");

    let mut damaged = whole.clone();
    for at in [5, 30, whole.len() / 2] {
        damaged[at] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        let error = journal::read(&path).unwrap_err().to_string();
        assert!(error.starts_with("it is damaged at byte"), "{at}: {error}");
        damaged[at] ^= 1;
    }
    // A block that was not written before the power failed.
    let mut zeros = whole;
    zeros.extend([0; 4096]);
    std::fs::write(&path, &zeros).unwrap();
    assert_eq!(journal::read(&path).unwrap().torn_bytes, 4096);
}
