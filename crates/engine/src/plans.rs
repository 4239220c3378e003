//! Asks the target kinds: every problem of every target, and a plan for each target that has none.
//! Says which problems are a kind's own, so that they cost no other target.

use synth_core::{Concern, Diagnostic, Plan, PlanContext, TargetSpec};
use tokio_util::sync::CancellationToken;

use crate::Registry;
use crate::config::Pipeline;
use crate::kind::Kind;
use crate::plan_cache::{PlanCache, Planned};
use crate::plan_check::check;
use crate::project::Project;
use crate::recorded::{Dialogue, Recorder};

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

/// Asks for targets of a pipeline, in the given order, until it is cancelled. A plan that `cache`
/// knows is not asked for.
pub(crate) fn ask(
    pipeline: &Pipeline,
    targets: &[&TargetSpec],
    registry: &Registry,
    project: &Project,
    cache: Option<&PlanCache>,
    cancel: &CancellationToken,
) -> Vec<Answer> {
    let targets = targets.iter();
    targets
        .take_while(|_| !cancel.is_cancelled())
        .map(|target| {
            let planned = match registry.kind(&target.kind) {
                Some(kind) => planned(target, kind, project, cache, cancel),
                None => Err(vec![no_kind(target)]),
            };
            let locate = |problems: Vec<Diagnostic>| {
                let problems = problems.into_iter();
                problems
                    .map(|problem| located(pipeline, target, problem))
                    .collect()
            };
            match planned {
                Ok((Planned { warnings, mut plan }, dialogue)) => {
                    plan.warnings = locate(plan.warnings);
                    Answer {
                        problems: locate(warnings),
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
        })
        .collect()
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

fn planned(
    target: &TargetSpec,
    kind: &Kind,
    project: &Project,
    cache: Option<&PlanCache>,
    cancel: &CancellationToken,
) -> Result<(Planned, Option<Dialogue>), Vec<Diagnostic>> {
    let known = cache.and_then(|cache| cache.recall(target, kind, project));
    if let Some((Planned { warnings, plan }, dialogue)) = known
        && let Ok(plan) = check(target, kind.description(), plan)
    {
        return Ok((Planned { warnings, plan }, Some(dialogue)));
    }
    let context = Recorder::new(project, cancel);
    let mut problems = kind.validate(target, &context);
    if problems.iter().any(Diagnostic::is_error) {
        return Err(problems);
    }
    let plan = kind.plan(target, &context);
    match plan.and_then(|plan| check(target, kind.description(), plan)) {
        Ok(plan) => {
            let planned = Planned {
                warnings: problems,
                plan,
            };
            // A plan that was given up half way is none for the next build.
            let cache = cache.filter(|_| !cancel.is_cancelled());
            let dialogue = context.into_dialogue();
            if let (Some(cache), Some(dialogue)) = (cache, &dialogue) {
                cache.keep(target, kind, dialogue, &planned);
            }
            Ok((planned, dialogue))
        }
        Err(found) => {
            problems.extend(found);
            Err(problems)
        }
    }
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
