//! What a user asks of effects: to publish what was proven, to roll a publish back, and to go on
//! after a crash.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use synth_core::{Concern, Diagnostic, EffectPhase};
use tokio::runtime::Handle;

use super::gather::gather;
use super::hold::{self, Processes};
use super::journal::{self, Journal};
use super::left_out::leave_out;
use super::record::{Entry, Opened, Standing, Story};
use super::report::{EffectReport, EffectsReport, Unfinished, reported};
use super::run::{Doing, Hand, Remaining, apply_all, undo_all};
use super::staging::{self, StagingError};
use super::worker::Worker;
use crate::Registry;
use crate::build::{build_name, open_state, unusable};
use crate::config::Pipeline;
use crate::event::Observer;
use crate::executor::Stop;
use crate::plugin::HostProgram;
use crate::state::{State, WorkspaceLock};
use crate::transaction::{TakesOver, Transaction, settle};

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

/// The publish that a crash, or an undo that failed, has left unfinished.
///
/// # Errors
/// When a journal can't be read; when a publish is running, of which nobody knows how it will end.
pub fn unfinished(root: &Path) -> Result<Option<Unfinished>, Vec<Diagnostic>> {
    if !journal::directory(root).is_dir() {
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
    Ok(open_one(root)?)
}

/// The same for who holds the workspace.
fn open_one(root: &Path) -> Result<Option<Unfinished>, Diagnostic> {
    let story = stories(root)?.into_iter().find(|story| !story.closed);
    Ok(story.as_ref().map(Unfinished::of))
}

/// The effects of these phases, in their order, as the last build has proven them; nothing is done.
///
/// # Errors
/// When a target was not proven.
pub fn planned_effects(
    pipeline: &Pipeline,
    phases: &[EffectPhase],
) -> Result<Vec<EffectReport>, Vec<Diagnostic>> {
    let state = open_state(&pipeline.root).map_err(crate::BuildError::into_diagnostics)?;
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
    refuse_unfinished(root)?;
    let build = build_name();
    let (pipeline, mut notes) = leave_out(pipeline, &state);
    notes.extend(told);
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
    let worker = worker(root, &state, registry, options, opened.clone())?;
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
            Ok(report)
        }
        Err(problems) => {
            let _ = fs::remove_dir_all(&worker.stage);
            Err(problems)
        }
    }
}

/// Undoes the effects of a build that ended.
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
    refuse_unfinished(root)?;
    let stories = stories(root)?;
    let Some(at) = stories.iter().position(|story| story.opened.build == build) else {
        let known: Vec<&str> = stories
            .iter()
            .rev()
            .map(|s| s.opened.build.as_str())
            .take(5)
            .collect();
        let problem = Diagnostic::error(
            "effect.rollback.unknown",
            format!("no build `{build}` has published anything"),
        );
        return Err(vec![match known.as_slice() {
            [] => problem,
            known => problem.help(format!("the last ones that did: {}", known.join(", "))),
        }]);
    };
    let (before, later) = stories.split_at(at + 1);
    if let Some(story) = before.last()
        && let Some((name, later)) = stands_on(story, later)
    {
        return Err(vec![
            Diagnostic::error(
                "effect.rollback.order",
                format!("`{name}` was applied again by the later build {later}"),
            )
            .help(format!("`synth rollback {later}` first")),
        ]);
    }
    if let Some(story) = before.last()
        && let Some(problem) = nothing_of(story, before)
    {
        return Err(vec![problem]);
    }
    clear_leftovers(root);
    let (journal, _) = Journal::resume(root, build)?;
    let opened = journal.story().opened.clone();
    let worker = worker(root, &state, registry, options, opened.clone())?;
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
    let Some(open) = open_one(root)? else {
        return Ok(told.map(|told| EffectsReport {
            build: String::new(),
            success: true,
            unfinished: false,
            effects: Vec::new(),
            diagnostics: vec![told],
        }));
    };
    let build = open.report.build;
    let (journal, torn_bytes) = Journal::resume(root, &build)?;
    let story = journal.story();
    let opened = story.opened.clone();
    let worker = worker(root, &state, registry, options, opened.clone())?;
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
    report.diagnostics.extend(settle(root, TakesOver::No)?);
    Ok(Some(report))
}

fn carry_out(
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
fn begin(
    root: &Path,
    options: &EffectOptions<'_>,
) -> Result<(State, Option<WorkspaceLock>, Option<Diagnostic>), Vec<Diagnostic>> {
    let state = open_state(root).map_err(crate::BuildError::into_diagnostics)?;
    let held = options
        .transaction
        .is_some_and(Transaction::holds_workspace);
    let cancelled = || crate::BuildError::Cancelled.into_diagnostics();
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
    let alone = runtime.block_on(hold::until_alone(root, cancel));
    if !alone.map_err(|error| state_of(&error))? {
        return Err(cancelled());
    }
    if lock.is_none() {
        return Ok((state, None, None));
    }
    let told = settle(root, TakesOver::No)?;
    Ok((state, lock, told))
}

/// All journals, the oldest first.
fn stories(root: &Path) -> Result<Vec<Story>, Diagnostic> {
    let directory = journal::directory(root);
    let names =
        journal::names(root).map_err(|error| journal::unreadable(&directory, &error.into()))?;
    let mut stories = Vec::new();
    for name in names {
        let path = directory.join(name);
        match journal::read(&path) {
            Ok(found) => stories.push(found.story),
            // It was begun and its first record not written: nothing followed.
            Err(journal::JournalError::Empty) => {}
            Err(error) => return Err(journal::unreadable(&path, &error)),
        }
    }
    Ok(stories)
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
        false => Ok(refuse_unfinished(root)?),
    }
}

/// Whether somebody builds or publishes in this workspace now.
fn is_running(state: &State, root: &Path) -> Result<bool, Vec<Diagnostic>> {
    let lock = state.try_lock(1);
    let lock = lock.map_err(|error| unusable(&root.join(".synth"), &error).into_diagnostics())?;
    Ok(lock.is_none())
}

/// Two halves of two publishes are no state that anybody asked for.
fn refuse_unfinished(root: &Path) -> Result<(), Diagnostic> {
    let Some(open) = open_one(root)? else {
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

/// An effect of a build that a later one has applied too, and that one.
fn stands_on(story: &Story, later: &[Story]) -> Option<(String, String)> {
    let ours = |target: &str, id: &str| {
        let effects = story.opened.effects.iter().zip(&story.standings);
        let mut ours = effects.filter(|(_, standing)| standing.may_be_there());
        ours.any(|(entry, _)| entry.target == target && entry.effect.id == id)
    };
    later.iter().rev().find_map(|later| {
        let effects = later.opened.effects.iter().zip(&later.standings);
        let mut applied = effects.filter(|(_, standing)| standing.may_be_there());
        let (entry, _) = applied.find(|(entry, _)| ours(&entry.target, &entry.effect.id))?;
        Some((entry.name(), later.opened.build.clone()))
    })
}

/// A build that changed nothing, because everything was there already.
fn nothing_of(story: &Story, stories: &[Story]) -> Option<Diagnostic> {
    if story.standings.iter().any(Standing::may_be_there) {
        return None;
    }
    let build = &story.opened.build;
    let ours = |entry: &Entry| {
        let mut effects = story.opened.effects.iter();
        effects.any(|ours| ours.target == entry.target && ours.effect.id == entry.effect.id)
    };
    let earlier = stories.iter().rev().find(|earlier| {
        let effects = earlier.opened.effects.iter().zip(&earlier.standings);
        let mut applied = effects.filter(|(_, standing)| standing.may_be_there());
        applied.any(|(entry, _)| ours(entry))
    });
    let problem = Diagnostic::error(
        "effect.rollback.nothing",
        format!("build {build} has nothing that could be undone"),
    );
    Some(match earlier {
        Some(earlier) => problem.help(format!(
            "what it found there was published by {build}: `synth rollback {build}`",
            build = earlier.opened.build
        )),
        None => problem,
    })
}

/// Asks before anything begins, if some of it can't be undone.
fn confirm(opened: &Opened, options: &EffectOptions<'_>) -> Result<(), Vec<Diagnostic>> {
    agreed(opened.effects.iter(), options)
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

fn agreed<'a>(
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
fn go_on(stop: &Stop) -> Result<(), Vec<Diagnostic>> {
    match stop.cancel.is_cancelled() {
        true => Err(crate::BuildError::Cancelled.into_diagnostics()),
        false => Ok(()),
    }
}

/// Removes copies that nobody needs any more: of publishes that died before they began, or after
/// they ended. Nothing is unfinished.
fn clear_leftovers(root: &Path) {
    let _ = fs::remove_dir_all(root.join(".synth/effects"));
}

fn worker<'a>(
    root: &'a Path,
    state: &State,
    registry: &'a Registry,
    options: &EffectOptions<'a>,
    opened: Opened,
) -> Result<Worker<'a>, Vec<Diagnostic>> {
    let logs = state
        .log_directory(&opened.build)
        .map_err(|error| unusable(&root.join(".synth"), &error).into_diagnostics())?;
    let mut before = HashMap::new();
    for story in stories(root)?
        .iter()
        .filter(|story| story.opened.build != opened.build)
    {
        for (entry, standing) in story.opened.effects.iter().zip(&story.standings) {
            let key = (entry.target.clone(), entry.effect.id.clone());
            match standing {
                // One that can't be undone is there as well as one that was not to be.
                Standing::Applied(receipt) | Standing::Kept(Some(receipt), _)
                    if !receipt.already_there =>
                {
                    before.insert(key, entry.fingerprint.clone());
                }
                // That it was found there says no more than who put it there.
                Standing::Applied(_) | Standing::Pending => {}
                // Nobody knows what is there.
                _ => {
                    before.remove(&key);
                }
            }
        }
    }
    Ok(Worker {
        root,
        stage: root.join(".synth/effects").join(&opened.build),
        logs,
        opened,
        registry,
        processes: Processes::new(root, options.host.clone(), options.runtime.clone()),
        stop: options.stop.clone(),
        before,
        tell: options.tell,
    })
}

/// Copies what was proven.
fn stage(root: &Path, stage: &Path, opened: &Opened, stop: &Stop) -> Result<(), Vec<Diagnostic>> {
    for (target, exported) in &opened.exports {
        go_on(stop)?;
        let from = root.join(exported.place.as_str());
        let to = Worker::copy_of(stage, target);
        staging::copy_synchronized(&from, &to, exported)
            .map_err(|error| vec![not_copied(target, &error)])?;
    }
    Ok(())
}

/// As [`stage`], where the copies of the build that died are not whole. They are replaced when
/// there are others.
fn restage(
    root: &Path,
    directory: &Path,
    opened: &Opened,
    stop: &Stop,
) -> Result<(), Vec<Diagnostic>> {
    const NEW: &str = "new";
    for (target, exported) in &opened.exports {
        go_on(stop)?;
        let to = Worker::copy_of(directory, target);
        if staging::holds(&to, exported) {
            continue;
        }
        let from = root.join(exported.place.as_str());
        let new = directory.join(NEW);
        let failed = |source: std::io::Error| {
            let path = to.display().to_string();
            vec![not_copied(target, &StagingError::Io { path, source })]
        };
        if new.exists() {
            fs::remove_dir_all(&new).map_err(failed)?;
        }
        staging::copy_synchronized(&from, &new, exported).map_err(|error| {
            let problem = not_copied(target, &error);
            vec![match error {
                StagingError::Changed(_) => {
                    problem.help("if that is gone for good, `synth recover --undo` is what is left")
                }
                StagingError::Io { .. } => problem,
            }]
        })?;
        if to.exists() {
            fs::remove_dir_all(&to).map_err(failed)?;
        }
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        fs::rename(&new, &to).map_err(failed)?;
    }
    Ok(())
}

fn not_copied(target: &str, error: &StagingError) -> Diagnostic {
    let problem = Diagnostic::error(
        "effect.changed",
        format!("what target `{target}` exports can't be published"),
    )
    .caused_by(error);
    match error {
        StagingError::Changed(_) => {
            problem.help("`synth build` first: only what it has proven is published")
        }
        StagingError::Io { source, .. } => problem
            .concerning(Concern::State)
            .help(crate::store::advice(source).unwrap_or("check that `.synth` can be written")),
    }
}
