//! What a crash, or an undo that failed, has left: told, finished or undone. Until then nothing else
//! is done to the world.

use std::path::Path;

use synth_core::{Concern, Diagnostic};

use super::copies::restage;
use super::journal::{self, Journal};
use super::publish::{EffectOptions, agreed, begin, carry_out, worker};
use super::record::{Standing, Story};
use super::report::{EffectsReport, Unfinished};
use super::run::{Remaining, apply_all, undo_all};
use super::stories::Stories;
use crate::Registry;
use crate::build::{open_state, unusable};
use crate::commit::undo;
use crate::state::State;
use crate::transaction::{pending, settle};

/// What is done with what a crash has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// What is missing is applied.
    Finish,
    /// What was applied is undone.
    Undo,
    /// The user has undone by hand what is left.
    DoneByHand,
}

/// What a crash, or an undo that failed, has left unfinished.
///
/// # Errors
/// When a journal, or the log of outputs, can't be read; when a build or a publish is running, of which
/// nobody knows how it will end.
pub fn unfinished(root: &Path) -> Result<Option<Unfinished>, Vec<Diagnostic>> {
    if !journal::directory(root).is_dir() && !undo::is_left(root) {
        return Ok(None);
    }
    let state = open_state(root).map_err(crate::BuildError::into_diagnostics)?;
    if is_running(&state, root)? {
        let message = "synth is at work in this workspace";
        return Err(vec![
            Diagnostic::error("effect.running", message)
                .concerning(Concern::State)
                .help("ask again when it has ended"),
        ]);
    }
    let stories = Stories::read(root)?;
    let outputs = pending(root)?;
    Ok(match stories.open() {
        Some(open) => Some(Unfinished {
            outputs,
            ..Unfinished::of(open)
        }),
        None => outputs.map(Unfinished::of_outputs),
    })
}

/// Goes on with what a crash, or an undo that failed, has left; none when there is nothing.
///
/// # Errors
/// When nothing was begun.
pub fn recover(
    root: &Path,
    registry: &Registry,
    recovery: Recovery,
    options: &EffectOptions<'_>,
) -> Result<Option<EffectsReport>, Vec<Diagnostic>> {
    let (state, _lock, told) = begin(root, options)?;
    let stories = Stories::read(root)?;
    let Some(open) = stories.open() else {
        return Ok(told.map(|told| EffectsReport {
            build: String::new(),
            success: true,
            unfinished: false,
            effects: Vec::new(),
            diagnostics: vec![told],
        }));
    };
    let build = open.opened.build.clone();
    let (journal, torn_bytes) = Journal::resume(root, &build)?;
    let story = journal.story();
    let opened = story.opened.clone();
    let worker = worker(root, &state, registry, options, opened.clone(), &stories);
    if recovery == Recovery::Finish {
        if story.turned_back {
            return Err(vec![
                Diagnostic::error(
                    "effect.recover.direction",
                    format!("build {build} was being undone"),
                )
                .help("`synth recover --undo` goes on with that; then publish again"),
            ]);
        }
        let still = |standing: &Standing| !matches!(standing, Standing::Applied(_));
        confirm_those(story, still, options)?;
        restage(root, &worker.stage, &opened, &options.stop)?;
    }
    if recovery == Recovery::DoneByHand && !story.turned_back {
        return Err(vec![
            Diagnostic::error(
                "effect.recover.direction",
                format!("build {build} is not being undone: nothing of it is to be done by hand"),
            )
            .help("`synth recover --finish` or `synth recover --undo`"),
        ]);
    }
    let mut report = match recovery {
        Recovery::Finish => carry_out(journal, worker, apply_all),
        Recovery::Undo => carry_out(journal, worker, |journal, hand| {
            undo_all(journal, hand, Remaining::Told)
        }),
        Recovery::DoneByHand => carry_out(journal, worker, |journal, hand| {
            undo_all(journal, hand, Remaining::ByHand)
        }),
    };
    if torn_bytes > 0 {
        let message =
            format!("the journal's last record was cut off ({torn_bytes} bytes) and was dropped");
        report
            .diagnostics
            .push(Diagnostic::warning("effect.journal.torn", message));
    }
    // The outputs of the build that they were for follow its effects.
    match settle(root) {
        Ok(settled) => report.diagnostics.extend(settled.told),
        Err(problem) => {
            report.success = false;
            report.diagnostics.push(problem);
        }
    }
    Ok(Some(report))
}

/// Whether a publish may begin, as far as that is known before a build: one that is running now may
/// have ended by then.
///
/// # Errors
/// When an earlier publish is unfinished, or nobody knows.
pub fn check_unfinished(root: &Path) -> Result<(), Vec<Diagnostic>> {
    let state = open_state(root).map_err(crate::BuildError::into_diagnostics)?;
    match is_running(&state, root)? {
        true => Ok(()),
        false => Ok(refuse_unfinished(&Stories::read(root)?)?),
    }
}

/// Whether somebody builds or publishes in this workspace now.
fn is_running(state: &State, root: &Path) -> Result<bool, Vec<Diagnostic>> {
    let lock = state.try_lock(1);
    let lock = lock.map_err(|error| unusable(&root.join(".synth"), &error).into_diagnostics())?;
    Ok(lock.is_none())
}

/// Two halves of two publishes are no state that anybody asked for.
pub(super) fn refuse_unfinished(stories: &Stories) -> Result<(), Diagnostic> {
    let Some(open) = stories.open().map(Unfinished::of) else {
        return Ok(());
    };
    Err(Diagnostic::error(
        "effect.unfinished",
        format!(
            "build {} has not finished what it published",
            open.report.build
        ),
    )
    .concerning(Concern::State)
    .help(format!("{}; `synth build` alone works", open.advice())))
}

/// The same for those that stand in a way.
fn confirm_those(
    story: &Story,
    choose: impl Fn(&Standing) -> bool,
    options: &EffectOptions<'_>,
) -> Result<(), Vec<Diagnostic>> {
    let effects = story.opened.effects.iter().zip(&story.standings);
    let chosen = effects.filter(|(_, standing)| choose(standing));
    agreed(chosen.map(|(entry, _)| entry), options)
}
