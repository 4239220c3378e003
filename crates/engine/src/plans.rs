//! Asks the target kinds: every problem of every target first, then a plan for each, checked for
//! what the engine relies on.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;

use synth_core::{Action, Diagnostic, InputSource, Plan, PlanContext, TargetSpec};

use crate::Registry;
use crate::config::Pipeline;

/// Every problem that the kinds see in their targets.
#[must_use]
pub fn validate(
    pipeline: &Pipeline,
    registry: &Registry,
    context: &dyn PlanContext,
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for target in &pipeline.targets {
        let problems = match registry.target(&target.kind) {
            Some(kind) => guarded(target, "validate", || Ok(kind.validate(target, context)))
                .unwrap_or_else(|problems| problems),
            None => vec![no_kind(target)],
        };
        found.extend(
            problems
                .into_iter()
                .map(|problem| pipeline.locate(&target.name, problem)),
        );
    }
    found
}

/// The plan of every target, in the pipeline's order.
///
/// # Errors
/// Every problem that leaves a target without a plan.
pub(crate) fn plan(
    pipeline: &Pipeline,
    registry: &Registry,
    context: &dyn PlanContext,
) -> Result<Vec<Plan>, Vec<Diagnostic>> {
    let mut plans = Vec::new();
    let mut problems = Vec::new();
    for target in &pipeline.targets {
        let planned = match registry.target(&target.kind) {
            Some(kind) => guarded(target, "plan", || kind.plan(target, context)),
            None => Err(vec![no_kind(target)]),
        };
        match planned.and_then(|plan| check(target, plan)) {
            Ok(mut plan) => {
                plan.warnings = plan
                    .warnings
                    .into_iter()
                    .map(|warning| pipeline.locate(&target.name, warning))
                    .collect();
                plans.push(plan);
            }
            Err(found) => problems.extend(
                found
                    .into_iter()
                    .map(|problem| pipeline.locate(&target.name, problem)),
            ),
        }
    }
    if problems.is_empty() {
        Ok(plans)
    } else {
        Err(problems)
    }
}

/// Calls a kind, whose panic is a problem of its target and not the end of the build.
fn guarded<T>(
    target: &TargetSpec,
    method: &str,
    call: impl FnOnce() -> Result<T, Vec<Diagnostic>>,
) -> Result<T, Vec<Diagnostic>> {
    std::panic::catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| {
        Err(vec![
            Diagnostic::error(
                "internal.panic",
                format!("the target kind `{}` panicked in `{method}`", target.kind),
            )
            .concerning(synth_core::Concern::Internal)
            .help("this is a fault of the target kind: report it to its authors"),
        ])
    })
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

/// A plan as the scheduler needs it: unique names, references that lead somewhere.
fn check(target: &TargetSpec, plan: Plan) -> Result<Plan, Vec<Diagnostic>> {
    let mut reasons = Vec::new();
    let mut ids = BTreeSet::new();
    let mut outputs = BTreeSet::new();
    for action in &plan.actions {
        if !ids.insert(action.id.as_str()) {
            reasons.push(format!("two actions are called `{}`", action.id));
        }
        for output in &action.outputs {
            if !outputs.insert((action.id.as_str(), output.name.as_str())) {
                reasons.push(format!("`{}` has two outputs `{}`", action.id, output.name));
            }
        }
    }
    for action in &plan.actions {
        for after in &action.after {
            if !ids.contains(after.as_str()) {
                reasons.push(format!(
                    "`{}` comes after `{after}`, which is not there",
                    action.id
                ));
            }
        }
        for input in &action.inputs {
            match &input.from {
                InputSource::Output {
                    action: from,
                    output,
                } if !outputs.contains(&(from.as_str(), output.as_str())) => {
                    reasons.push(format!(
                        "`{}` takes `{output}` of `{from}`, which is not there",
                        action.id
                    ));
                }
                InputSource::Target { name } if !target.needs.contains(name) => {
                    reasons.push(format!(
                        "`{}` takes `{name}`, which is not needed",
                        action.id
                    ));
                }
                _ => {}
            }
        }
    }
    if let Some(id) = on_a_circle(&plan) {
        reasons.push(format!("`{id}` waits for itself"));
    }
    for export in &plan.exports {
        if !outputs.contains(&(export.action.as_str(), export.output.as_str())) {
            reasons.push(format!(
                "it exports `{}` of `{}`, which is not there",
                export.output, export.action
            ));
        }
    }
    if reasons.is_empty() {
        return Ok(plan);
    }
    let problem = Diagnostic::error(
        "plan.broken",
        format!("the plan of target `{}` can't be carried out", target.name),
    )
    .concerning(synth_core::Concern::Internal)
    .help("this is a fault of the target kind: report it to its authors");
    Err(vec![reasons.into_iter().fold(problem, Diagnostic::cause)])
}

/// An action that can never start, because it waits for one that waits for it.
fn on_a_circle(plan: &Plan) -> Option<&str> {
    let mut waiting: Vec<&Action> = plan.actions.iter().collect();
    loop {
        let open: BTreeSet<&str> = waiting.iter().map(|action| action.id.as_str()).collect();
        let count = waiting.len();
        waiting.retain(|action| befores(action).any(|before| open.contains(before)));
        if waiting.len() == count {
            return waiting.first().map(|action| action.id.as_str());
        }
    }
}

/// The actions of the same plan that an action waits for.
fn befores(action: &Action) -> impl Iterator<Item = &str> {
    let from_inputs = action.inputs.iter().filter_map(|input| match &input.from {
        InputSource::Output { action, .. } => Some(action.as_str()),
        _ => None,
    });
    from_inputs.chain(action.after.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use synth_core::{Native, Phase};

    use super::*;

    #[test]
    fn an_action_that_waits_for_itself_is_found() {
        let action = |id: &str| Action::new(id, Phase::Build, id, Native::new(id));
        let straight = Plan::default()
            .action(action("a"))
            .action(action("b").after("a"));
        assert_eq!(on_a_circle(&straight), None);
        let circle = straight
            .action(action("c").after("d"))
            .action(action("d").after("c"));
        assert_eq!(on_a_circle(&circle), Some("c"));
    }
}
