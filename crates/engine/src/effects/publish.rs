//! What a user asks of effects: to publish what was proven, to roll a publish back, and to go on
//! after a crash.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synth_core::{Concern, Diagnostic, EffectPhase, TargetSpec};
use tokio::runtime::Handle;

use super::journal::{self, Journal};
use super::left_out::leave_out;
use super::order::{Waiting, ordered};
use super::proved::{self, Proved};
use super::record::{EffectState, Entry, Exported, JOURNAL_VERSION, Opened, Standing, Story};
use super::run::{Doing, Ended, Hand, Remaining, apply_all, undo_all};
use super::staging::{self, StagingError};
use super::worker::Worker;
use crate::Registry;
use crate::build::{build_name, open_state, unusable};
use crate::config::Pipeline;
use crate::digest::digest_bytes;
use crate::event::Observer;
use crate::executor::Stop;
use crate::state::{State, WorkspaceLock};
use crate::transaction::{TakesOver, Transaction, settle};

/// How effects are carried out.
pub struct EffectOptions<'a> {
    /// Where processes are waited for.
    pub runtime: Handle,
    /// How it is stopped.
    pub stop: Stop,
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

/// An effect's part of a publish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EffectReport {
    /// The target.
    pub target: String,
    /// Its name in the target's plan.
    pub id: String,
    /// What it is for.
    pub phase: EffectPhase,
    /// What a person is told.
    pub description: String,
    /// Whether it can be undone.
    pub reversible: bool,
    /// What became of it.
    pub state: EffectState,
    /// Why it failed, or is still there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// A publish, its undoing or its recovery.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct EffectsReport {
    /// Its name, for `synth rollback`; empty when there was nothing to do.
    pub build: String,
    /// Whether everything has come about that was asked for.
    pub success: bool,
    /// Whether something is left for `synth recover`.
    pub unfinished: bool,
    /// The effects, in the order in which they are applied.
    pub effects: Vec<EffectReport>,
    /// What is to be said.
    #[serde(default)]
    pub diagnostics: Vec<Diagnostic>,
}

impl EffectsReport {
    fn of(story: &Story, diagnostics: Vec<Diagnostic>) -> Self {
        let success = story.closed && !diagnostics.iter().any(Diagnostic::is_error);
        let effects = story.opened.effects.iter().zip(&story.standings);
        Self {
            build: story.opened.build.clone(),
            success,
            unfinished: !story.closed,
            effects: effects
                .map(|(entry, standing)| reported(entry, standing))
                .collect(),
            diagnostics,
        }
    }
}

fn reported(entry: &Entry, standing: &Standing) -> EffectReport {
    let message = match standing {
        Standing::Failed(message)
        | Standing::UndoFailed(_, message)
        | Standing::Kept(_, message) => Some(message.clone()),
        _ => None,
    };
    EffectReport {
        target: entry.target.clone(),
        id: entry.effect.id.clone(),
        phase: entry.effect.phase,
        description: entry.effect.description.clone(),
        reversible: entry.effect.is_reversible(),
        state: standing.state(),
        message,
    }
}

/// The publish that a crash, or an undo that failed, has left unfinished.
///
/// # Errors
/// When a journal can't be read.
pub fn unfinished(root: &Path) -> Result<Option<EffectsReport>, Diagnostic> {
    let story = stories(root)?.into_iter().find(|story| !story.closed);
    Ok(story.map(|story| EffectsReport::of(&story, Vec::new())))
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
    let worker = worker(root, &state, registry, options, opened.clone())?;
    let staged = stage(root, &worker.stage, &opened);
    let noted = staged.and_then(|()| {
        let begun = options
            .transaction
            .map(|build| build.begin_effects(&opened.build));
        begun.unwrap_or(Ok(()))
    });
    let begun = noted.and_then(|()| Journal::begin(root, opened));
    let journal = match begun {
        Ok(journal) => journal,
        Err(problem) => {
            let _ = fs::remove_dir_all(&worker.stage);
            return Err(vec![problem]);
        }
    };
    let mut report = carry_out(journal, worker, apply_all);
    report.diagnostics.extend(notes);
    Ok(report)
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
    let (journal, _) = Journal::resume(root, build)?;
    let opened = journal.story().opened.clone();
    let worker = worker(root, &state, registry, options, opened.clone())?;
    // Whoever undoes by what was published gets it if it is still there.
    if stage(root, &worker.stage, &opened).is_err() {
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
    let Some(open) = unfinished(root)? else {
        return Ok(told.map(|told| EffectsReport {
            build: String::new(),
            success: true,
            unfinished: false,
            effects: Vec::new(),
            diagnostics: vec![told],
        }));
    };
    let (journal, torn_bytes) = Journal::resume(root, &open.build)?;
    let story = journal.story();
    let opened = story.opened.clone();
    let worker = worker(root, &state, registry, options, opened.clone())?;
    if recovery == Recovery::Finish {
        if story.turned_back {
            return Err(vec![
                Diagnostic::error(
                    "effect.recover.direction",
                    format!("build {} was being undone", open.build),
                )
                .help("`synth recover --undo` goes on with that; then publish again"),
            ]);
        }
        confirm(&opened, options)?;
        restage(root, &worker.stage, &opened)?;
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
    act: impl FnOnce(&mut Journal, &mut dyn Hand) -> Ended,
) -> EffectsReport {
    let mut ended = act(&mut journal, &mut worker);
    if !journal.story().closed {
        let build = &journal.story().opened.build;
        let how = match journal.story().turned_back {
            true => {
                "`synth recover --undo` goes on; after undoing it by hand, `synth recover --done-by-hand`"
            }
            false => "`synth recover --finish` goes on, `synth recover --undo` undoes it",
        };
        let message = format!("build {build} is unfinished");
        ended.diagnostics.push(
            Diagnostic::error("effect.unfinished", message)
                .concerning(Concern::State)
                .help(how),
        );
    } else {
        // What was published is in the world now.
        let _ = fs::remove_dir_all(&worker.stage);
    }
    EffectsReport::of(journal.story(), ended.diagnostics)
}

/// Holds the workspace, unless the build that this follows does, and brings one that has died to its
/// end: what is proven is what was before it. Tells if there was one.
fn begin(
    root: &Path,
    options: &EffectOptions<'_>,
) -> Result<(State, Option<WorkspaceLock>, Option<Diagnostic>), Vec<Diagnostic>> {
    let state = open_state(root).map_err(crate::BuildError::into_diagnostics)?;
    if options
        .transaction
        .is_some_and(Transaction::holds_workspace)
    {
        return Ok((state, None, None));
    }
    let lock = options
        .runtime
        .block_on(state.lock(options.observer.as_ref(), &options.stop.cancel))
        .map_err(|error| unusable(&root.join(".synth"), &error).into_diagnostics())?
        .ok_or_else(|| crate::BuildError::Cancelled.into_diagnostics())?;
    let told = settle(root, TakesOver::No)?;
    Ok((state, Some(lock), told))
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

/// Two halves of two publishes are no state that anybody asked for.
fn refuse_unfinished(root: &Path) -> Result<(), Diagnostic> {
    let Some(open) = unfinished(root)? else {
        return Ok(());
    };
    Err(Diagnostic::error(
        "effect.unfinished",
        format!("build {} has not finished what it published", open.build),
    )
    .concerning(Concern::State)
    .help("`synth recover --finish` applies what is missing, `synth recover --undo` undoes it"))
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

fn confirm(opened: &Opened, options: &EffectOptions<'_>) -> Result<(), Vec<Diagnostic>> {
    let effects = opened
        .effects
        .iter()
        .filter(|entry| !entry.effect.is_reversible());
    let irreversible: Vec<EffectReport> = effects
        .map(|entry| reported(entry, &Standing::Pending))
        .collect();
    if irreversible.is_empty() || (options.confirm)(&irreversible) {
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
        .help("nothing was published; `--yes` agrees"),
    ])
}

/// What is going to be done: the effects of targets that are all proven, in their order.
fn gather(
    pipeline: &Pipeline,
    state: &State,
    phases: &[EffectPhase],
    build: String,
) -> Result<Opened, Vec<Diagnostic>> {
    let mut proofs: BTreeMap<&str, Proved> = BTreeMap::new();
    let mut problems = Vec::new();
    for target in &pipeline.targets {
        match proved::find(state.records(), target) {
            Some(proof) => {
                proofs.insert(&target.name, proof);
            }
            None => problems.push(not_proved(target)),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let entries = entries(pipeline, &proofs, phases);
    let waiting: Vec<Waiting> = entries
        .iter()
        .map(|entry| Waiting {
            before: entry.depends.clone(),
            phase: entry.effect.phase,
            reversible: entry.effect.is_reversible(),
        })
        .collect();
    let order = ordered(&waiting).map_err(|index| {
        let name = entries.get(index).map(Entry::name).unwrap_or_default();
        let message = format!("the effect `{name}` waits for itself");
        vec![crate::kind::fault("plan.broken", message)]
    })?;
    let used = |name: &str| {
        let mut entries = entries.iter();
        entries.any(|e| e.target == name || e.effect.needs.iter().any(|need| need == name))
    };
    let exports: BTreeMap<String, Exported> = proofs
        .iter()
        .filter(|(name, _)| used(name))
        .map(|(name, proof)| ((*name).to_owned(), proof.exported.clone()))
        .collect();
    Ok(Opened {
        version: JOURNAL_VERSION,
        build,
        pipeline: pipeline.name.clone(),
        strategy: pipeline.failure_strategy,
        effects: in_order(entries, &order),
        exports,
    })
}

fn not_proved(target: &TargetSpec) -> Diagnostic {
    Diagnostic::error(
        "effect.not_proved",
        format!(
            "target `{}` was not built as synth.toml says it now",
            target.name
        ),
    )
    .help(format!(
        "`synth build` first; if it says that `{}` is up to date, `synth build --force {}`",
        target.name, target.name
    ))
}

/// The effects of these phases, each with those of the list that it needs.
fn entries(
    pipeline: &Pipeline,
    proofs: &BTreeMap<&str, Proved>,
    phases: &[EffectPhase],
) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for target in &pipeline.targets {
        let Some(proof) = proofs.get(target.name.as_str()) else {
            continue;
        };
        for effect in proof
            .effects
            .iter()
            .filter(|effect| phases.contains(&effect.phase))
        {
            let seen = std::iter::once(&target.name).chain(&effect.needs);
            let digests: Vec<&str> = seen
                .filter_map(|name| Some(proofs.get(name.as_str())?.exported.digest.as_str()))
                .collect();
            let identity = serde_json::to_vec(&(effect, digests)).unwrap_or_default();
            entries.push(Entry {
                target: target.name.clone(),
                source_path: target.source_path.clone(),
                kind: target.kind.clone(),
                crate_name: proof.crate_name.clone(),
                crate_version: proof.crate_version.clone(),
                effect: effect.clone(),
                depends: Vec::new(),
                fingerprint: digest_bytes(&identity).sha256,
            });
        }
    }
    let needed = needed(pipeline);
    let depends: Vec<Vec<usize>> = entries
        .iter()
        .map(|entry| {
            let before = |other: &Entry| {
                let same = other.target == entry.target;
                let named = entry.effect.after.contains(&other.effect.id);
                let earlier_phase = other.effect.phase < entry.effect.phase;
                let of_needed = needed
                    .get(entry.target.as_str())
                    .is_some_and(|needed| needed.contains(&other.target.as_str()));
                // A target is not deployed before those that it needs, nor published.
                of_needed || (same && (named || earlier_phase))
            };
            let others = entries.iter().enumerate();
            others
                .filter(|(_, other)| before(other))
                .map(|(index, _)| index)
                .collect()
        })
        .collect();
    for (entry, depends) in entries.iter_mut().zip(depends) {
        entry.depends = depends;
    }
    entries
}

/// What each target needs, and what that needs.
fn needed(pipeline: &Pipeline) -> HashMap<&str, Vec<&str>> {
    let direct: HashMap<&str, &[String]> = pipeline
        .targets
        .iter()
        .map(|target| (target.name.as_str(), target.needs.as_slice()))
        .collect();
    let mut all = HashMap::new();
    for name in direct.keys() {
        let mut found: Vec<&str> = Vec::new();
        let mut open = vec![*name];
        while let Some(next) = open.pop() {
            for need in direct.get(next).copied().unwrap_or_default() {
                if !found.contains(&need.as_str()) {
                    found.push(need);
                    open.push(need);
                }
            }
        }
        all.insert(*name, found);
    }
    all
}

/// The entries in their order, which their dependencies follow.
fn in_order(entries: Vec<Entry>, order: &[usize]) -> Vec<Entry> {
    let places: HashMap<usize, usize> = order
        .iter()
        .enumerate()
        .map(|(new, old)| (*old, new))
        .collect();
    let mut placed: Vec<(usize, Entry)> = entries
        .into_iter()
        .enumerate()
        .map(|(old, mut entry)| {
            entry.depends = entry
                .depends
                .iter()
                .filter_map(|d| places.get(d).copied())
                .collect();
            (places.get(&old).copied().unwrap_or(old), entry)
        })
        .collect();
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, entry)| entry).collect()
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
                Standing::Applied(_) => {
                    before.insert(key, entry.fingerprint.clone());
                }
                Standing::Pending => {}
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
        runtime: options.runtime.clone(),
        stop: options.stop.clone(),
        before,
        tell: options.tell,
    })
}

/// Copies what was proven.
fn stage(root: &Path, stage: &Path, opened: &Opened) -> Result<(), Diagnostic> {
    for (target, exported) in &opened.exports {
        let from = root.join(exported.place.as_str());
        let to = Worker::copy_of(stage, target);
        staging::copy(&from, &to, exported).map_err(|error| not_copied(target, &error))?;
    }
    Ok(())
}

/// As [`stage`], unless the copies of the build that died are whole.
fn restage(root: &Path, directory: &Path, opened: &Opened) -> Result<(), Diagnostic> {
    let mut exports = opened.exports.iter();
    if exports
        .all(|(target, exported)| staging::holds(&Worker::copy_of(directory, target), exported))
    {
        return Ok(());
    }
    if directory.exists() {
        let _ = fs::remove_dir_all(directory);
    }
    stage(root, directory, opened)
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
