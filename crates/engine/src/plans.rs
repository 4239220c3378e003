//! Asks the target kinds: every problem of every target, and a plan for each target that has none.
//! Says which problems are a kind's own, so that they cost no other target.

use rayon::prelude::*;
use synth_core::{Concern, Diagnostic, Plan, PlanContext, TargetSpec};
use tokio_util::sync::CancellationToken;

use crate::Registry;
use crate::batches::{Asking, Outcome};
use crate::config::Pipeline;
use crate::failure;
use crate::kind::Kind;
use crate::plan_cache::{PlanCache, Planned};
use crate::plan_check::check;
use crate::project::Project;
use crate::recorded::Dialogue;

/// What a target's kind has to say of it, each problem at its place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    /// Problems, and warnings beside those of the plan.
    pub(crate) problems: Vec<Diagnostic>,
    /// None when one of the problems is an error.
    pub(crate) plan: Option<Plan>,
    /// What was asked of the project for it; none when that can't be relied on.
    pub(crate) dialogue: Option<Dialogue>,
}

/// Asks for targets of a pipeline, until it is cancelled; the answers are in the given order. A plan
/// that `cache` knows is not asked for.
pub(crate) fn ask(
    pipeline: &Pipeline,
    targets: &[&TargetSpec],
    registry: &Registry,
    project: &Project,
    cache: Option<&PlanCache>,
    cancel: &CancellationToken,
) -> Vec<Answer> {
    let mut outcomes: Vec<Option<Outcome>> = targets
        .par_iter()
        .map(|target| match registry.kind(&target.kind) {
            _ if cancel.is_cancelled() => None,
            Some(kind) => recalled(target, kind, project, cache?).map(Ok),
            None => Some(Err(vec![no_kind(target)])),
        })
        .collect();
    for (kind, places) in unanswered(targets, registry, &outcomes) {
        let asking = Asking {
            kind,
            project,
            cache,
            cancel,
        };
        let asked = places.iter().filter_map(|place| targets.get(*place));
        let asked: Vec<&TargetSpec> = asked.copied().collect();
        for (place, outcome) in places.into_iter().zip(asking.ask(&asked)) {
            if let Some(unknown) = outcomes.get_mut(place) {
                *unknown = Some(outcome);
            }
        }
    }
    let known = targets.iter().zip(outcomes);
    known
        .map_while(|(target, outcome)| Some(answer(pipeline, target, outcome?)))
        .collect()
}

/// The plan of an earlier build that is still the one that the kind would make.
fn recalled(
    target: &TargetSpec,
    kind: &Kind,
    project: &Project,
    cache: &PlanCache,
) -> Option<(Planned, Option<Dialogue>)> {
    let (Planned { warnings, plan }, dialogue) = cache.recall(target, kind, project)?;
    let plan = check(target, kind.description(), plan).ok()?;
    Some((Planned { warnings, plan }, Some(dialogue)))
}

/// The places of targets without an outcome, by their kinds, in the given order.
fn unanswered<'a>(
    targets: &[&TargetSpec],
    registry: &'a Registry,
    outcomes: &[Option<Outcome>],
) -> Vec<(&'a Kind, Vec<usize>)> {
    let mut kinds: Vec<(&str, &Kind, Vec<usize>)> = Vec::new();
    let targets = targets.iter().zip(outcomes).enumerate();
    for (place, (target, _)) in targets.filter(|(_, (_, outcome))| outcome.is_none()) {
        let name = target.kind.as_str();
        match kinds.iter_mut().find(|(known, _, _)| *known == name) {
            Some((_, _, places)) => places.push(place),
            None => {
                let kind = registry
                    .kind(name)
                    .map(|kind| (name, kind.as_ref(), vec![place]));
                kinds.extend(kind);
            }
        }
    }
    let kinds = kinds.into_iter();
    kinds.map(|(_, kind, places)| (kind, places)).collect()
}

/// What came of a target, each problem at its place.
fn answer(pipeline: &Pipeline, target: &TargetSpec, outcome: Outcome) -> Answer {
    let locate = |problems: Vec<Diagnostic>| {
        let problems = problems.into_iter();
        problems
            .map(|problem| located(pipeline, target, problem))
            .collect()
    };
    match outcome {
        Ok((Planned { warnings, mut plan }, dialogue)) => {
            plan.warnings = locate(plan.warnings);
            let mut problems: Vec<Diagnostic> = locate(warnings);
            let settings = pipeline.retry_of(target);
            let idle = failure::has_no_effect(target, &plan, &settings);
            problems.extend(locate(idle.into_iter().collect()));
            Answer {
                problems,
                plan: Some(plan),
                dialogue,
            }
        }
        Err(problems) => Answer {
            problems: locate(problems),
            plan: None,
            dialogue: None,
        },
    }
}

/// Every problem that the kinds see in their targets.
#[must_use]
pub fn validate(
    pipeline: &Pipeline,
    registry: &Registry,
    context: &dyn PlanContext,
) -> Vec<Diagnostic> {
    let targets = pipeline.targets.iter();
    targets
        .flat_map(|target| {
            let problems = match registry.kind(&target.kind) {
                Some(kind) => kind.validate(target, context),
                None => vec![no_kind(target)],
            };
            let problems = problems.into_iter();
            problems.map(|problem| located(pipeline, target, problem))
        })
        .collect()
}

/// Whether a problem is a fault of a kind's code or of the library it is in, and not the project's
/// to mend: everything internal, and a library that can't be used on this machine (`plugin.…`).
/// Where failures don't stop the build, such a target fails alone. A tool that is missing is no
/// such fault, nor is anything that a kind finds wrong with its target.
pub(crate) fn is_fault_of_kind(problem: &Diagnostic) -> bool {
    match problem.concern {
        Concern::Internal => true,
        Concern::Environment => problem.code.starts_with("plugin."),
        _ => false,
    }
}

/// A problem at its place in the configuration: that of a kind at the target's `type`, unless it
/// has a place of its own.
pub(crate) fn located(pipeline: &Pipeline, target: &TargetSpec, problem: Diagnostic) -> Diagnostic {
    let problem = if is_fault_of_kind(&problem) && problem.place.is_none() {
        problem.at_setting(["type"])
    } else {
        problem
    };
    pipeline.locate(&target.name, problem)
}

fn no_kind(target: &TargetSpec) -> Diagnostic {
    Diagnostic::error(
        "config.kind.unknown",
        format!(
            "target `{}` is of an unknown type `{}`",
            target.name, target.kind
        ),
    )
}
