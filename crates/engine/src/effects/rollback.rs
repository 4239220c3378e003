//! Undoing a publish that ended: the last one first, as far as later ones don't stand on it.

use std::fs;
use std::path::Path;

use synth_core::Diagnostic;

use super::copies::stage;
use super::journal::Journal;
use super::publish::{EffectOptions, begin, carry_out, clear_leftovers, worker};
use super::record::{Entry, Story};
use super::recover::refuse_unfinished;
use super::report::EffectsReport;
use super::run::{Remaining, undo_all};
use super::stories::{Stories, there};
use crate::Registry;

/// Undoes the effects of a build that ended; of the last that left something for `last`.
///
/// # Errors
/// When nothing was begun: there is no such build, or a later one stands on it.
pub fn rollback(
    root: &Path,
    registry: &Registry,
    build: &str,
    options: &EffectOptions<'_>,
) -> Result<EffectsReport, Vec<Diagnostic>> {
    let (state, _lock, told) = begin(root, options)?;
    let stories = Stories::read(root)?;
    refuse_unfinished(&stories)?;
    let build = stories.named(build);
    let (story, later) = stories.to_roll_back(build)?;
    if let Some((name, later)) = stands_on(story, &later) {
        return Err(vec![
            Diagnostic::error(
                "effect.rollback.order",
                format!("`{name}` was applied again by the later build {later}"),
            )
            .help(format!("`synth rollback {later}` first")),
        ]);
    }
    if let Some(problem) = nothing_of(story, &stories) {
        return Err(vec![problem]);
    }
    clear_leftovers(root);
    let (journal, _) = Journal::resume(root, build)?;
    let opened = journal.story().opened.clone();
    let worker = worker(root, &state, registry, options, opened.clone(), &stories);
    // Whoever undoes by what was published gets it if it is still there.
    if stage(root, &worker.stage, &opened, &options.stop).is_err() {
        let _ = fs::remove_dir_all(&worker.stage);
    }
    let mut report = carry_out(journal, worker, |journal, hand| {
        undo_all(journal, hand, Remaining::Told)
    });
    report.diagnostics.extend(told);
    Ok(report)
}

/// An effect of a build that a later one has applied too, and that one.
fn stands_on(story: &Story, later: &[&Story]) -> Option<(String, String)> {
    let ours = |other: &&Entry| {
        there(story).any(|entry| entry.target == other.target && entry.effect.id == other.effect.id)
    };
    later.iter().rev().find_map(|later| {
        let entry = there(later).find(ours)?;
        Some((entry.name(), later.opened.build.clone()))
    })
}

/// A build that changed nothing, because everything was there already.
fn nothing_of(story: &Story, stories: &Stories) -> Option<Diagnostic> {
    if there(story).next().is_some() {
        return None;
    }
    let build = &story.opened.build;
    let problem = Diagnostic::error(
        "effect.rollback.nothing",
        format!("build {build} has nothing that could be undone"),
    );
    Some(match stories.publisher_of(story) {
        Some(earlier) => problem.help(format!(
            "what it found there was published by {build}: `synth rollback {build}`",
            build = earlier.opened.build
        )),
        None => problem,
    })
}
