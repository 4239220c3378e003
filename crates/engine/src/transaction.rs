//! A build whose outputs can be taken back, from when it holds the workspace until it is certain that
//! they stay: under `failure_strategy = "rollback"`, that is when its effects have come about too.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use schemars::JsonSchema;
use serde::Serialize;
use synth_core::{Concern, Diagnostic, Severity, TargetSpec};

use crate::commit::undo::{self, Undo};
use crate::commit::{Commit, CommitError, Exports, InPlace, Outputs, of_earlier_builds};
use crate::config::{FailureStrategy, Pipeline};
use crate::effects::journal::{self, JournalError};
use crate::records::Records;
use crate::report::{BuildReport, OutputsState};
use crate::state::WorkspaceLock;
use crate::store;

/// A build and what follows it, as one: while it lasts, no other build holds the workspace. Of one that
/// is neither kept nor taken back, the next build takes back the outputs.
#[derive(Debug, Default)]
pub struct Transaction {
    lock: Mutex<Option<WorkspaceLock>>,
    steps: Mutex<Steps>,
}

/// What a build has put in place, where that can be taken back.
#[derive(Debug, Default)]
struct Steps {
    log: Option<Arc<Undo>>,
    /// Whether the log is that of effects of which nobody knows what becomes of them: what this build
    /// does comes behind.
    follows_open: bool,
    /// The effects that have begun after the build, if they have.
    effects: bool,
    /// Why what was put in place could not be taken back.
    stuck: Option<Diagnostic>,
}

impl Transaction {
    /// Holds the workspace until the end.
    pub(crate) fn hold(&self, lock: WorkspaceLock) {
        *self.lock() = Some(lock);
    }

    /// Whether it holds the workspace.
    pub(crate) fn holds_workspace(&self) -> bool {
        self.lock().is_some()
    }

    /// Takes note of the log of effects that are unfinished, where they are: what was there before them
    /// stays aside, and so does what was there before this build.
    pub(crate) fn follow(&self, open: Option<Undo>) {
        let mut steps = self.steps();
        steps.follows_open = open.is_some();
        steps.log = open.map(Arc::new);
    }

    /// The log, when what is done now is to be written to it.
    pub(crate) fn log(&self) -> Option<Arc<Undo>> {
        self.steps().log.clone()
    }

    /// Puts outputs in place, all of them or none: when it fails, whatever this build has put in place
    /// is taken back.
    pub(crate) fn commit(
        &self,
        outputs: &Outputs,
        targets: &[Exports],
    ) -> Result<Vec<Commit>, CommitError> {
        let undo = self.begin(outputs.root());
        let undo = undo.map_err(|problem| CommitError { index: 0, problem })?;
        let CommitError { index, problem } = match outputs.commit(targets, Some(undo.as_ref())) {
            Ok(commits) => return Ok(commits),
            Err(error) => error,
        };
        let also = match self.revert() {
            Ok(lost) => lost,
            Err(problem) => vec![problem],
        };
        outputs.look_again();
        Err(CommitError {
            index,
            problem: with_causes(problem, &also),
        })
    }

    fn begin(&self, root: &Path) -> Result<Arc<Undo>, Diagnostic> {
        let mut steps = self.steps();
        if let Some(problem) = &steps.stuck {
            return Err(problem.clone());
        }
        if let Some(begun) = &steps.log {
            return Ok(Arc::clone(begun));
        }
        let begun = Arc::new(Undo::begin(root).map_err(|error| undo::not_begun(&error))?);
        steps.log = Some(Arc::clone(&begun));
        Ok(begun)
    }

    /// Takes note of the effects that begin now: what becomes of the outputs, should the build die, is
    /// for their journal to say.
    pub(crate) fn begin_effects(&self, build: &str) -> Result<(), Diagnostic> {
        let mut steps = self.steps();
        let noted = steps.log.as_ref().map(|log| log.note_effects(build));
        steps.effects = true;
        noted.unwrap_or(Ok(())).map_err(|error| {
            let help = store::advice(&error).unwrap_or("check that `.synth` can be written");
            Diagnostic::error("rollback.log", "no effect begins: that can't be noted")
                .concerning(Concern::State)
                .caused_by(&error)
                .help(help)
        })
    }

    /// What was put in place stays. Another build may hold the workspace now.
    ///
    /// # Errors
    /// When that can't be noted: then the next build takes it back. After effects that have come about
    /// it does not, and what is said is a warning.
    pub fn keep(&self) -> Result<(), Diagnostic> {
        let steps = std::mem::take(&mut *self.steps());
        let kept = match (steps.log, steps.follows_open) {
            (None, _) => Ok(()),
            (Some(log), true) => log.stay(),
            (Some(log), false) => log.keep(),
        };
        self.lock().take();
        kept.map_err(|error| match steps.effects {
            true => Diagnostic {
                severity: Severity::Warning,
                ..not_over(&error)
            },
            false => not_kept(&error),
        })
    }

    /// Ends a build that has failed: where its pipeline takes failures back, what was there before it
    /// comes back, and the records of it; the report says so, and what could not be brought back. That
    /// is tried again by the next build. Another build may hold the workspace then.
    pub fn take_back(&self, pipeline: &Pipeline, report: &mut BuildReport) {
        if pipeline.failure_strategy != FailureStrategy::Rollback {
            report.diagnostics.extend(self.keep().err());
            return;
        }
        if let Some(log) = self.log() {
            let still = match self.revert() {
                Ok(lost) => {
                    report.diagnostics.extend(lost);
                    Some((Vec::new(), false))
                }
                Err(problem) => {
                    report.diagnostics.push(problem);
                    log.still_in_place()
                }
            };
            let (records, in_place) = (Records::of(&pipeline.root), InPlace::load(&pipeline.root));
            report.roll_back(|name| match (pipeline.target(name), &still) {
                (_, None | Some((_, true))) => OutputsState::Current,
                (Some(target), Some((there, _))) if is_of(target, there) => OutputsState::Current,
                (Some(target), _) => of_earlier_builds(&pipeline.root, &records, &in_place, target),
                (None, _) => OutputsState::None,
            });
        }
        self.lock().take();
    }

    /// Ends a build of which there is no report. Gives what is to be said of what could not be brought
    /// back.
    pub(crate) fn give_up(&self, pipeline: &Pipeline) -> Vec<Diagnostic> {
        let ended = match pipeline.failure_strategy {
            FailureStrategy::Rollback => self.revert(),
            _ => self.keep().map(|()| Vec::new()),
        };
        self.lock().take();
        ended.unwrap_or_else(|problem| vec![problem])
    }

    fn revert(&self) -> Result<Vec<Diagnostic>, Diagnostic> {
        let mut steps = self.steps();
        let Some(log) = steps.log.clone() else {
            return Ok(Vec::new());
        };
        let reverted = match steps.follows_open {
            true => log.undo_unsettled().map(Option::unwrap_or_default),
            false => log.undo(),
        };
        if reverted.is_ok() && !steps.follows_open {
            steps.log = None;
        }
        steps.stuck = reverted.as_ref().err().cloned();
        reverted
    }

    fn lock(&self) -> MutexGuard<'_, Option<WorkspaceLock>> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn steps(&self) -> MutexGuard<'_, Steps> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether something of a target is among places.
fn is_of(target: &TargetSpec, places: &[String]) -> bool {
    let source = target.source_path.as_str();
    let below = |place: &String| match target.source_path.is_root() {
        true => true,
        false => place
            .strip_prefix(source)
            .is_some_and(|rest| rest.starts_with('/')),
    };
    places
        .iter()
        .any(|place| *place == target.output_path.as_str() || below(place))
}

/// A problem, with what else was said.
fn with_causes(problem: Diagnostic, also: &[Diagnostic]) -> Diagnostic {
    let said = also.iter().flat_map(|also| {
        let causes = also.causes.iter().cloned();
        std::iter::once(also.message.clone()).chain(causes)
    });
    said.fold(problem, Diagnostic::cause)
}

/// What is still to be done about the outputs of a build that was ended in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PendingOutputs {
    /// They follow its effects: when these are finished they stay, when they are undone they are as
    /// before it.
    FollowEffects,
    /// They are going to be as before it.
    TakenBack,
}

/// What is to be done about the outputs of a build that has died, when nobody builds.
pub(crate) fn pending(root: &Path) -> Result<Option<PendingOutputs>, Diagnostic> {
    let Some(undo) = Undo::left(root)? else {
        return Ok(None);
    };
    let build = undo.effects()?;
    Ok(
        match build.map_or(Fate::TakenBack, |build| fate(root, &build)) {
            Fate::Kept => None,
            Fate::Open => Some(PendingOutputs::FollowEffects),
            Fate::TakenBack => Some(PendingOutputs::TakenBack),
        },
    )
}

/// What comes of the outputs of a build that has died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Its effects came about: it had only to say so.
    Kept,
    /// It is for `synth recover` to decide.
    Open,
    /// They are as before the build.
    TakenBack,
}

/// What became of a build that has died.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// What is to be said, if outputs were taken back.
    pub(crate) told: Option<Diagnostic>,
    /// The log of what was done before effects that are unfinished.
    pub(crate) open: Option<Undo>,
}

impl Settled {
    /// What a build is to say of it.
    pub(crate) fn told(&self) -> Vec<Diagnostic> {
        let open = self.open.as_ref().map(|_| {
            let message = "an earlier build has not finished what it published: what was there before \
                           it stays aside";
            Diagnostic::warning("rollback.open", message)
                .help("`synth recover` says what is left to do")
        });
        self.told.iter().cloned().chain(open).collect()
    }
}

/// Brings a build that has died to its end, when the workspace is held: what it has put in place stays
/// where its effects have come about, and is taken back where none have begun. Where they are
/// unfinished, that is for `synth recover` to decide; of a build that has died since, it is taken back.
pub(crate) fn settle(root: &Path) -> Result<Settled, Diagnostic> {
    let Some(undo) = Undo::left(root)? else {
        undo::clear(root);
        return Ok(Settled::default());
    };
    let fate = match undo.effects()? {
        Some(build) => fate(root, &build),
        None => Fate::TakenBack,
    };
    if fate == Fate::TakenBack {
        let told = Some(taken_back(undo.undo()?));
        return Ok(Settled { told, open: None });
    }
    let told = undo.undo_unsettled()?.map(taken_back);
    let open = match fate {
        Fate::Open => Some(undo),
        _ => {
            undo.keep().map_err(|error| not_over(&error))?;
            None
        }
    };
    Ok(Settled { told, open })
}

fn taken_back(lost: Vec<Diagnostic>) -> Diagnostic {
    let message =
        "a build that was ended in the middle was taken back: outputs are as they were before it";
    let told = Diagnostic::warning("rollback.finished", message);
    let said = lost.into_iter().map(|lost| lost.message);
    said.fold(told, Diagnostic::cause)
}

/// What a journal tells of the effects that the outputs were for.
fn fate(root: &Path, build: &str) -> Fate {
    match journal::read(&journal::directory(root).join(build)) {
        Ok(found) if !found.story.closed => Fate::Open,
        Ok(found) if found.story.turned_back => Fate::TakenBack,
        Ok(_) => Fate::Kept,
        // It was going to begin, and did not.
        Err(JournalError::Empty) => Fate::TakenBack,
        Err(JournalError::Io(error)) if error.kind() == io::ErrorKind::NotFound => Fate::TakenBack,
        Err(_) => Fate::Open,
    }
}

/// Effects have come about, and the log of what was there before is still there.
fn not_over(error: &io::Error) -> Diagnostic {
    let message = "what was there before the build can't be removed: the next build tries again";
    Diagnostic::error("rollback.log", message)
        .concerning(Concern::State)
        .caused_by(error)
        .help("check that `.synth` can be written; outputs and effects stay as they are")
}

fn not_kept(error: &io::Error) -> Diagnostic {
    let message = "it can't be noted that the outputs stay: the next build would take them back";
    Diagnostic::error("rollback.log", message)
        .concerning(Concern::State)
        .caused_by(error)
        .help("check that `.synth` can be written, and build again")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A build that has put something in place, and can't remove the log of it.
    fn stuck(effects: bool) -> (tempfile::TempDir, Transaction) {
        let directory = tempfile::tempdir().unwrap();
        let transaction = Transaction::default();
        transaction.begin(directory.path()).unwrap();
        if effects {
            transaction.begin_effects("build").unwrap();
        }
        let log = directory.path().join(".synth/undo/log");
        fs::remove_file(&log).unwrap();
        fs::create_dir(&log).unwrap();
        (directory, transaction)
    }

    #[test]
    fn outputs_that_may_not_stay_are_an_error_unless_their_effects_have_come_about() {
        for (effects, severity) in [(false, Severity::Error), (true, Severity::Warning)] {
            let (_directory, transaction) = stuck(effects);
            let problem = transaction.keep().unwrap_err();
            assert_eq!(
                (problem.code.as_str(), problem.severity),
                ("rollback.log", severity)
            );
        }
    }

    #[test]
    fn nothing_is_put_in_place_beside_what_could_not_be_taken_back() {
        let (directory, transaction) = stuck(false);
        let problem = transaction.revert().unwrap_err();
        assert_eq!(problem.code, "rollback.log");
        let again = transaction.begin(directory.path()).unwrap_err();
        assert_eq!(again.message, problem.message);
        fs::remove_dir(directory.path().join(".synth/undo/log")).unwrap();
        fs::write(directory.path().join(".synth/undo/log"), "").unwrap();
        assert!(transaction.revert().unwrap().is_empty());
        transaction.begin(directory.path()).unwrap();
    }

    #[test]
    fn the_next_build_removes_what_one_left_that_was_over() {
        let directory = tempfile::tempdir().unwrap();
        let left = directory.path().join(".synth/undo/0/outputs");
        fs::create_dir_all(&left).unwrap();
        let settled = settle(directory.path()).unwrap();
        assert!(settled.told().is_empty());
        assert!(!directory.path().join(".synth/undo").exists());
    }
}
