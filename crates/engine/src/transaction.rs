//! A build whose outputs can be taken back, from when it holds the workspace until it is certain that
//! they stay: under `failure_strategy = "rollback"`, that is when its effects have come about too.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use schemars::JsonSchema;
use serde::Serialize;
use synth_core::{Concern, Diagnostic};

use crate::commit::undo::Undo;
use crate::commit::{Commit, CommitError, Exports, InPlace, Outputs, of_earlier_builds};
use crate::config::Pipeline;
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
    undo: Mutex<Option<Arc<Undo>>>,
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

    /// The log of what was put in place; none when nothing was.
    pub(crate) fn log(&self) -> Option<Arc<Undo>> {
        self.undo().clone()
    }

    /// Puts outputs in place, all of them or none: when it fails, whatever this build has put in place
    /// is taken back.
    pub(crate) fn commit(
        &self,
        outputs: &Outputs,
        targets: &[Exports],
    ) -> Result<Vec<Commit>, CommitError> {
        let begun = self.begin(outputs.root());
        let undo = begun.map_err(|error| CommitError {
            index: 0,
            problem: not_begun(&error),
        })?;
        let CommitError { index, problem } = match outputs.commit(targets, Some(undo.as_ref())) {
            Ok(commits) => return Ok(commits),
            Err(error) => error,
        };
        let also = match self.revert() {
            Ok(lost) => lost,
            Err(problem) => vec![problem],
        };
        outputs.look_again();
        let said = also.iter().flat_map(|also| {
            let causes = also.causes.iter().cloned();
            std::iter::once(also.message.clone()).chain(causes)
        });
        Err(CommitError {
            index,
            problem: said.fold(problem, Diagnostic::cause),
        })
    }

    fn begin(&self, root: &Path) -> io::Result<Arc<Undo>> {
        let mut undo = self.undo();
        if let Some(begun) = undo.as_ref() {
            return Ok(Arc::clone(begun));
        }
        let begun = Arc::new(Undo::begin(root)?);
        *undo = Some(Arc::clone(&begun));
        Ok(begun)
    }

    /// Takes note of the effects that begin now: what becomes of the outputs, should the build die, is
    /// for their journal to say.
    pub(crate) fn begin_effects(&self, build: &str) -> Result<(), Diagnostic> {
        let noted = self.log().map(|log| log.note_effects(build));
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
    /// When that can't be noted: then the next build takes it back.
    pub fn keep(&self) -> Result<(), Diagnostic> {
        let undo = self.undo().take();
        let kept = undo.map_or(Ok(()), |undo| undo.keep());
        self.lock().take();
        kept.map_err(|error| not_kept(&error))
    }

    /// Brings back what was there before the build, where its pipeline takes failures back, and the
    /// records of it; the report says so. What can't be brought back now is by the next build. Another
    /// build may hold the workspace then.
    pub fn take_back(&self, pipeline: &Pipeline, report: &mut BuildReport) {
        if self.log().is_some() {
            match self.revert() {
                Ok(lost) => report.diagnostics.extend(lost),
                Err(problem) => report.diagnostics.push(problem),
            }
            let (records, in_place) = (Records::of(&pipeline.root), InPlace::load(&pipeline.root));
            report.roll_back(|name| match pipeline.target(name) {
                Some(target) => of_earlier_builds(&pipeline.root, &records, &in_place, target),
                None => OutputsState::None,
            });
        }
        self.lock().take();
    }

    fn revert(&self) -> Result<Vec<Diagnostic>, Diagnostic> {
        let undo = self.undo().take();
        undo.map_or(Ok(Vec::new()), |undo| undo.undo())
    }

    fn lock(&self) -> MutexGuard<'_, Option<WorkspaceLock>> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn undo(&self) -> MutexGuard<'_, Option<Arc<Undo>>> {
        self.undo.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

/// Whether whoever asks puts other outputs in place, whatever comes of effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TakesOver {
    Yes,
    No,
}

/// Brings a build that has died to its end, when the workspace is held. Tells if outputs were taken
/// back.
pub(crate) fn settle(root: &Path, takes_over: TakesOver) -> Result<Option<Diagnostic>, Diagnostic> {
    let Some(undo) = Undo::left(root)? else {
        return Ok(None);
    };
    let fate = match undo.effects()? {
        Some(build) => fate(root, &build),
        None => Fate::TakenBack,
    };
    match fate {
        Fate::Open if takes_over == TakesOver::No => Ok(None),
        Fate::Kept | Fate::Open => {
            let kept = undo.keep();
            kept.map(|()| None).map_err(|error| not_kept(&error))
        }
        Fate::TakenBack => {
            let lost = undo.undo()?;
            let message = "a build that was ended in the middle was taken back: outputs are as they \
                           were before it";
            let told = Diagnostic::warning("rollback.finished", message);
            let said = lost.into_iter().map(|lost| lost.message);
            Ok(Some(said.fold(told, Diagnostic::cause)))
        }
    }
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

fn not_begun(error: &io::Error) -> Diagnostic {
    let help = store::advice(error).unwrap_or("check that `.synth` can be written");
    Diagnostic::error(
        "rollback.log",
        "no outputs are put in place: what was there before could not be kept",
    )
    .concerning(Concern::State)
    .caused_by(error)
    .help(help)
}

fn not_kept(error: &io::Error) -> Diagnostic {
    let message = "it can't be noted that the outputs stay: the next build would take them back";
    Diagnostic::error("rollback.log", message)
        .concerning(Concern::State)
        .caused_by(error)
        .help("check that `.synth` can be written, and build again")
}
