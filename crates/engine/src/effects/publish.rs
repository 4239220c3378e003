//! Publishing what was proven; and what all that is done to the world begins and ends with.

use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use synth_core::{Concern, Diagnostic, EffectPhase};
use tokio::runtime::Handle;

use super::copies::stage;
use super::gather::gather;
use super::hold::{self, Processes};
use super::journal::Journal;
use super::left_out::leave_out;
use super::record::{Entry, Opened, Standing};
use super::recover::refuse_unfinished;
use super::report::{EffectReport, EffectsReport, Unfinished, reported};
use super::run::{Doing, Hand, apply_all};
use super::stories::Stories;
use super::worker::Worker;
use crate::Registry;
use crate::build::{build_name, open_state, unusable};
use crate::config::Pipeline;
use crate::event::Observer;
use crate::executor::Stop;
use crate::plugin::HostProgram;
use crate::state::{State, WorkspaceLock};
use crate::transaction::{PendingOutputs, Transaction, pending, settle};

/// How effects are carried out.
pub struct EffectOptions<'a> {
    /// Where processes are waited for.
    pub runtime: Handle,
    /// How it is stopped.
    pub stop: Stop,
    /// The program that ends what is left of an effect; none lets that go on.
    pub host: Option<HostProgram>,
    /// The build that it follows, which holds the workspace; none when it is by itself.
    pub transaction: Option<&'a Transaction>,
    /// Is told when another build holds the workspace.
    pub observer: Arc<dyn Observer>,
    /// Is told what is done with which effect (`site: upload`), and what that does.
    pub tell: &'a dyn Fn(Doing, &str, &str),
    /// Asked before anything begins when some of it can't be undone.
    pub confirm: &'a dyn Fn(&[EffectReport]) -> bool,
}

/// The effects of these phases, in their order, as the last build has proven them; nothing is done.
///
/// # Errors
/// When a target was not proven; when a build is running, or one that was ended in the middle is still to
/// be taken back, and with it what it has proven.
pub fn planned_effects(
    pipeline: &Pipeline,
    phases: &[EffectPhase],
) -> Result<Vec<EffectReport>, Vec<Diagnostic>> {
    let state = open_state(&pipeline.root).map_err(crate::BuildError::into_diagnostics)?;
    if pending(&pipeline.root)? == Some(PendingOutputs::TakenBack) {
        let message =
            "a build is running, or was ended in the middle: what it has proven does not count";
        return Err(vec![
            Diagnostic::error("rollback.pending", message)
                .concerning(Concern::State)
                .help("`synth build` waits for it, or takes it back; then ask again"),
        ]);
    }
    let (pipeline, _) = leave_out(pipeline, &state);
    let opened = gather(&pipeline, &state, phases, String::new())?;
    let pending = |entry: &Entry| reported(entry, &Standing::Pending);
    Ok(opened.effects.iter().map(pending).collect())
}

/// Applies the effects of what the last build has proven: of those very bytes.
///
/// # Errors
/// When nothing was begun: a target was not proven, or is not what it was then; an earlier publish
/// is unfinished; the journal can't be written.
pub fn publish(
    pipeline: &Pipeline,
    registry: &Registry,
    phases: &[EffectPhase],
    options: &EffectOptions<'_>,
) -> Result<EffectsReport, Vec<Diagnostic>> {
    let root = &pipeline.root;
    let (state, _lock, told) = begin(root, options)?;
    let stories = Stories::read(root)?;
    refuse_unfinished(&stories)?;
    let build = build_name();
    let (pipeline, mut notes) = leave_out(pipeline, &state);
    notes.extend(told);
    notes.extend(stories.warnings());
    let opened = gather(&pipeline, &state, phases, build.clone())?;
    if opened.effects.is_empty() {
        return Ok(EffectsReport {
            build: String::new(),
            success: true,
            unfinished: false,
            effects: Vec::new(),
            diagnostics: notes,
        });
    }
    confirm(&opened, options)?;
    clear_leftovers(root);
    let worker = worker(root, &state, registry, options, opened.clone(), &stories);
    let begun = stage(root, &worker.stage, &opened, &options.stop).and_then(|()| {
        let transaction = options.transaction;
        let noted = transaction.map(|build| build.begin_effects(&opened.build));
        let journal = noted
            .unwrap_or(Ok(()))
            .and_then(|()| Journal::begin(root, opened));
        journal.map_err(|problem| vec![problem])
    });
    match begun {
        Ok(journal) => {
            let mut report = carry_out(journal, worker, apply_all);
            report.diagnostics.extend(notes);
            if !report.unfinished {
                stories.prune();
            }
            Ok(report)
        }
        Err(problems) => {
            let _ = fs::remove_dir_all(&worker.stage);
            Err(problems)
        }
    }
}

pub(super) fn carry_out(
    mut journal: Journal,
    mut worker: Worker<'_>,
    act: impl FnOnce(&mut Journal, &mut dyn Hand) -> Vec<Diagnostic>,
) -> EffectsReport {
    let mut said = act(&mut journal, &mut worker);
    if !journal.story().closed {
        let open = Unfinished::of(journal.story());
        let message = format!("build {} is unfinished", open.report.build);
        said.push(
            Diagnostic::error("effect.unfinished", message)
                .concerning(Concern::State)
                .help(open.advice()),
        );
    } else {
        // What was published is in the world now.
        let _ = fs::remove_dir_all(&worker.stage);
    }
    EffectsReport::of(journal.story(), said)
}

/// Holds the workspace, unless the build that this follows does, and brings one that has died to its
/// end: what is proven is what was before it. Tells if there was one.
pub(super) fn begin(
    root: &Path,
    options: &EffectOptions<'_>,
) -> Result<(State, Option<WorkspaceLock>, Option<Diagnostic>), Vec<Diagnostic>> {
    let state = open_state(root).map_err(crate::BuildError::into_diagnostics)?;
    let held = options
        .transaction
        .is_some_and(Transaction::holds_workspace);
    let state_of =
        |error: &std::io::Error| unusable(&root.join(".synth"), error).into_diagnostics();
    let (runtime, cancel) = (&options.runtime, &options.stop.cancel);
    let lock = match held {
        true => None,
        false => {
            let lock = runtime.block_on(state.lock(options.observer.as_ref(), cancel));
            Some(
                lock.map_err(|error| state_of(&error))?
                    .ok_or_else(cancelled)?,
            )
        }
    };
    let alone = runtime.block_on(hold::until_alone(root, options.observer.as_ref(), cancel));
    if !alone.map_err(|error| state_of(&error))? {
        return Err(cancelled());
    }
    if lock.is_none() {
        return Ok((state, None, None));
    }
    let told = settle(root)?.told;
    Ok((state, lock, told))
}

/// Asks before anything begins, if some of it can't be undone.
fn confirm(opened: &Opened, options: &EffectOptions<'_>) -> Result<(), Vec<Diagnostic>> {
    agreed(opened.effects.iter(), options)
}

pub(super) fn agreed<'a>(
    entries: impl Iterator<Item = &'a Entry>,
    options: &EffectOptions<'_>,
) -> Result<(), Vec<Diagnostic>> {
    let effects = entries.filter(|entry| !entry.effect.is_reversible());
    let irreversible: Vec<EffectReport> = effects
        .map(|entry| reported(entry, &Standing::Pending))
        .collect();
    let agreed = irreversible.is_empty() || (options.confirm)(&irreversible);
    go_on(&options.stop)?;
    if agreed {
        return Ok(());
    }
    let names: Vec<String> = irreversible
        .iter()
        .map(|effect| format!("`{}: {}`", effect.target, effect.id))
        .collect();
    Err(vec![
        Diagnostic::error(
            "effect.confirmation",
            format!(
                "{} can't be undone, and nobody has agreed",
                names.join(", ")
            ),
        )
        .help("nothing was begun; `--yes` agrees"),
    ])
}

/// Whether the user has not stopped it.
pub(super) fn go_on(stop: &Stop) -> Result<(), Vec<Diagnostic>> {
    match stop.cancel.is_cancelled() {
        true => Err(cancelled()),
        false => Ok(()),
    }
}

fn cancelled() -> Vec<Diagnostic> {
    let message = "it was stopped before anything was begun";
    vec![Diagnostic::error("effect.cancelled", message)]
}

/// Removes copies that nobody needs any more: of publishes that died before they began, or after
/// they ended. Nothing is unfinished.
pub(super) fn clear_leftovers(root: &Path) {
    let _ = fs::remove_dir_all(root.join(".synth/effects"));
}

pub(super) fn worker<'a>(
    root: &'a Path,
    state: &State,
    registry: &'a Registry,
    options: &EffectOptions<'a>,
    opened: Opened,
    stories: &Stories,
) -> Worker<'a> {
    let logs = state.logs(&opened.build);
    let before = stories.applied_before(&opened.build);
    Worker {
        root,
        stage: root.join(".synth/effects").join(&opened.build),
        logs,
        opened,
        registry,
        processes: Processes::new(root, options.host.clone(), options.runtime.clone()),
        stop: options.stop.clone(),
        before,
        tell: options.tell,
        last: Cell::default(),
    }
}
