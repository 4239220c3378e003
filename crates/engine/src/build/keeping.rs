//! What a build keeps for what comes after it: what it has proven, and what it saw and left.

use std::collections::{HashMap, HashSet};

use synth_core::{Concern, Diagnostic};

use super::Ran;
use crate::config::{FailureStrategy, Pipeline};
use crate::effects::proved;
use crate::index::stamp::wait_for_the_next_tick;
use crate::index::{self, Built, Earlier, Gathering, Unchanged};
use crate::options::BuildOptions;
use crate::records::Sort;
use crate::schedule::{PlannedTarget, Workshop};
use crate::store::{self, StoreError};
use crate::tree::Tree;

/// Keeps what a build has proven, and what it saw and left. Where failures are taken back, one that has
/// failed has replaced nothing, and what was proven before still is.
pub(super) fn keep(
    pipeline: &Pipeline,
    options: &BuildOptions,
    workshop: &Workshop,
    (targets, ran): (&[PlannedTarget], &mut Ran),
    earlier: Option<&Earlier>,
) {
    let rolls_back = pipeline.failure_strategy == FailureStrategy::Rollback;
    if rolls_back && !ran.succeeded() {
        return;
    }
    if let Err(problem) = note_proofs(workshop, targets, ran) {
        ran.faults.push(problem);
        return;
    }
    let kept = keep_proofs(workshop, targets, ran);
    if kept.is_err() || !ran.faults.is_empty() {
        // Who finds that nothing is to be done would not prove it again.
        let _ = index::forget(&pipeline.root);
    } else if let Some(earlier) = earlier.filter(|_| options.use_cache) {
        keep_index(pipeline, options, workshop, targets, ran, earlier);
    }
}

/// Takes note of what was proven before, where what the build has done can be taken back.
fn note_proofs(
    workshop: &Workshop,
    targets: &[PlannedTarget],
    ran: &Ran,
) -> Result<(), Diagnostic> {
    let Some(log) = workshop.transaction.log() else {
        return Ok(());
    };
    let reports = ran.reports.iter();
    let succeeded = reports.filter(|report| report.status.is_success());
    let succeeded: HashSet<&str> = succeeded.map(|report| report.name.as_str()).collect();
    let is_known = |target: &&PlannedTarget| {
        target.settled.is_some() && succeeded.contains(target.spec.name.as_str())
    };
    for target in targets.iter().filter(|target| !is_known(target)) {
        let noted = log.note(Sort::Proved, &proved::name(&target.spec));
        noted.map_err(|error| {
            let help = store::advice(&error).unwrap_or("check that `.synth` can be written");
            let message = "it can't be noted what was proven before";
            Diagnostic::error("rollback.log", message)
                .concerning(Concern::State)
                .caused_by(&error)
                .help(help)
        })?;
    }
    Ok(())
}

/// Keeps what the build has proven for a publish that follows. Of a target that is settled it is
/// known. When that can't be kept, a publish says that there was no build.
fn keep_proofs(
    workshop: &Workshop,
    targets: &[PlannedTarget],
    ran: &Ran,
) -> Result<(), StoreError> {
    let (mut proved, mut not_proved) = (Vec::new(), Vec::new());
    let trees: HashMap<&str, &Tree> = targets
        .iter()
        .zip(&ran.trees)
        .filter_map(|(target, tree)| Some((target.spec.name.as_str(), tree.as_ref()?)))
        .collect();
    let reports = ran.reports.iter();
    let succeeded: HashSet<&str> = reports
        .filter(|report| report.status.is_success())
        .map(|report| report.name.as_str())
        .collect();
    for (target, tree) in targets.iter().zip(&ran.trees) {
        let succeeded = succeeded.contains(target.spec.name.as_str());
        match tree {
            _ if target.settled.is_some() && succeeded => {}
            Some(tree) if succeeded && ran.faults.is_empty() => {
                let spec = &target.spec;
                let needs = spec.needs.iter().filter_map(|need| {
                    let tree = trees.get(need.as_str())?;
                    Some((need.clone(), tree.digest().sha256))
                });
                let needs = needs.collect();
                let found = proved::Proved::of(spec, &target.kind, &target.plan, tree, needs);
                proved.push((spec, found));
            }
            _ => not_proved.push(&target.spec),
        }
    }
    proved::keep(workshop.state.records(), &proved, &not_proved)
}

/// Keeps what the build saw and left for the next one.
fn keep_index(
    pipeline: &Pipeline,
    options: &BuildOptions,
    workshop: &Workshop,
    targets: &[PlannedTarget],
    ran: &Ran,
    earlier: &Earlier,
) {
    // What was written until now is not taken for what is written later.
    wait_for_the_next_tick();
    let common = options.watched.facts(&pipeline.root);
    let (Some(common), Some(root)) = (common, pipeline.root.to_str()) else {
        return;
    };
    if ran.reports.len() != targets.len() {
        return;
    }
    let built = built(workshop, targets, ran);
    let unchanged = unchanged(targets, ran);
    let gathering = Gathering {
        project: &workshop.project,
        outputs: &workshop.outputs,
    };
    let known = earlier.contents();
    let mut contents = index::gather(&gathering, common, &built, known, &unchanged);
    let order: HashMap<&str, usize> = targets
        .iter()
        .enumerate()
        .map(|(index, target)| (target.spec.name.as_str(), index))
        .collect();
    contents
        .entries
        .sort_by_key(|entry| order.get(entry.name.as_ref()).copied());
    contents.pipeline = pipeline.name.as_str().into();
    contents.environment = pipeline.environment.as_deref().map(Into::into);
    contents.diagnostics = serde_json::to_string(&pipeline.warnings)
        .unwrap_or_default()
        .into();
    contents.root = root.into();
    contents.targets = targets.len();
    contents.places = targets.iter().map(place).collect();
    earlier.keep(&contents);
}

/// The targets that were built, and succeeded.
fn built<'a>(workshop: &Workshop, targets: &'a [PlannedTarget], ran: &'a Ran) -> Vec<Built<'a>> {
    let all = targets.iter().zip(&ran.reports).zip(&ran.trees);
    let built =
        all.filter(|((target, report), _)| target.settled.is_none() && report.status.is_success());
    let built = built.filter_map(|((target, report), tree)| {
        Some(Built {
            spec: &target.spec,
            plan: &target.plan,
            dialogue: target.dialogue.as_ref(),
            exports: workshop.store.keep_tree(tree.as_ref()?).ok()?,
            report,
        })
    });
    built.collect()
}

/// The targets that the earlier index spoke for, as far as their outputs are in place.
fn unchanged<'a>(targets: &'a [PlannedTarget], ran: &Ran) -> Vec<Unchanged<'a>> {
    let all = targets.iter().zip(&ran.reports);
    let unchanged = all.filter_map(|(target, report)| {
        let settled = target.settled.as_ref()?;
        let restored = settled.missing.as_ref().map(|_| settled.place.in_place);
        report.status.is_success().then_some(Unchanged {
            spec: &target.spec,
            restored,
        })
    });
    unchanged.collect()
}

fn place(target: &PlannedTarget) -> index::Place<'_> {
    let place = target.place();
    let patterns = place.patterns;
    index::Place {
        name: target.spec.name.as_str().into(),
        in_place: place.in_place,
        patterns: patterns.map(|patterns| patterns.into_iter().map(Into::into).collect()),
    }
}
