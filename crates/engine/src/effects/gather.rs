//! What a publish is going to do: the effects of targets that are all proven, each with what it
//! waits for, in their order.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use synth_core::{Diagnostic, Effect, EffectPhase, TargetSpec};

use super::order::{Waiting, ordered};
use super::proved::{self, Proved};
use super::record::{Entry, Exported, JOURNAL_VERSION, Opened};
use crate::config::Pipeline;
use crate::digest::digest_bytes;
use crate::state::State;

/// What is going to be done: the effects of targets that are all proven, in their order.
pub(super) fn gather(
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
    for (name, proof) in &proofs {
        let built_from =
            |need: &String| proofs.get(need.as_str()).map(|need| &need.exported.digest);
        let other = proof.needs.iter().find(|(need, digest)| {
            let now = built_from(need);
            now.is_some_and(|now| now != *digest)
        });
        problems.extend(other.map(|(need, _)| not_together(name, need)));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let entries = chosen(entries(pipeline, &proofs), phases);
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

/// A target was built with what another one does not export any more.
fn not_together(target: &str, need: &str) -> Diagnostic {
    Diagnostic::error(
        "effect.not_together",
        format!("target `{target}` was built with another `{need}` than the last one"),
    )
    .help(format!("`synth build {target}` first"))
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

/// All effects, each with those of the list that it comes after.
fn entries(pipeline: &Pipeline, proofs: &BTreeMap<&str, Proved>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for target in &pipeline.targets {
        let Some(proof) = proofs.get(target.name.as_str()) else {
            continue;
        };
        for effect in &proof.effects {
            let seen = std::iter::once(&target.name).chain(&effect.needs);
            let digests: Vec<&str> = seen
                .filter_map(|name| Some(proofs.get(name.as_str())?.exported.digest.as_str()))
                .collect();
            entries.push(Entry {
                target: target.name.clone(),
                source_path: target.source_path.clone(),
                kind: target.kind.clone(),
                crate_name: proof.crate_name.clone(),
                crate_version: proof.crate_version.clone(),
                effect: effect.clone(),
                depends: Vec::new(),
                fingerprint: fingerprint(effect, &digests),
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

/// What tells an effect from another one of its name: what it does, and to which bytes. Not with
/// which release of a tool, nor how long it may take.
fn fingerprint(effect: &Effect, digests: &[&str]) -> String {
    let does = (&effect.id, effect.phase, &effect.kind, digests);
    let does = serde_json::to_vec(&does).unwrap_or_default();
    digest_bytes(&does).sha256
}

/// The effects of these phases, and what they come after that is published: what is deployed has
/// been published before.
fn chosen(entries: Vec<Entry>, phases: &[EffectPhase]) -> Vec<Entry> {
    let mut wanted: BTreeSet<usize> = BTreeSet::new();
    let asked = |(_, entry): &(usize, &Entry)| phases.contains(&entry.effect.phase);
    let asked = entries.iter().enumerate().filter(asked);
    let mut open: Vec<usize> = asked.map(|(index, _)| index).collect();
    while let Some(index) = open.pop() {
        let Some(entry) = entries.get(index).filter(|_| wanted.insert(index)) else {
            continue;
        };
        let published = entry.depends.iter().filter(|before| {
            let before = entries.get(**before);
            before.is_some_and(|before| before.effect.phase == EffectPhase::Publish)
        });
        open.extend(published);
    }
    let order: Vec<usize> = wanted.into_iter().collect();
    in_order(entries, &order)
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

/// Entries at their new places, with their dependencies among them; those without a place are left
/// out.
fn in_order(entries: Vec<Entry>, order: &[usize]) -> Vec<Entry> {
    let places: HashMap<usize, usize> = order
        .iter()
        .enumerate()
        .map(|(new, old)| (*old, new))
        .collect();
    let mut placed: Vec<(usize, Entry)> = entries
        .into_iter()
        .enumerate()
        .filter_map(|(old, mut entry)| {
            let depends = entry.depends.iter();
            entry.depends = depends.filter_map(|d| places.get(d).copied()).collect();
            Some((*places.get(&old)?, entry))
        })
        .collect();
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, entry)| entry).collect()
}
