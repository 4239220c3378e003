//! Checks a plan for what the engine relies on: unique names, references that lead somewhere, an
//! order in which every action can start.

use std::collections::BTreeSet;

use synth_core::{
    Diagnostic, EffectKind, InputSource, Plan, ProjectPath, Retry, TargetDescription, TargetSpec,
};

use crate::effects::journal::is_name;
use crate::effects::proved::DIRECTORY_EFFECT;
use crate::failure;
use crate::kind::fault;

/// A plan of `kind` as the scheduler needs it: unique names, references that lead somewhere, paths
/// that stay inside.
pub(crate) fn check(
    target: &TargetSpec,
    kind: &TargetDescription,
    plan: Plan,
) -> Result<Plan, Vec<Diagnostic>> {
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
            if let Err(error) = ProjectPath::parse(&output.path) {
                reasons.push(format!(
                    "output `{}` of `{}`: {error}",
                    output.name, action.id
                ));
            }
        }
    }
    for action in &plan.actions {
        reasons.extend(wrong_patterns(&action.id, &action.retry));
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
    reasons.extend(effect_problems(target, &plan));
    if let Some(id) = on_a_circle(actions(&plan)) {
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
    let message = format!("the plan of target `{}` can't be carried out", target.name);
    let problem = fault("plan.broken", message).cause(format!(
        "it was made by {} {}",
        kind.crate_name, kind.version
    ));
    Err(vec![reasons.into_iter().fold(problem, Diagnostic::cause)])
}

/// What is said of patterns of failures that are none.
fn wrong_patterns<'a>(id: &'a str, retry: &'a Retry) -> impl Iterator<Item = String> + 'a {
    retry.patterns.iter().filter_map(move |pattern| {
        let reason = failure::compile(pattern).err()?;
        Some(format!(
            "`{id}` is tried again after `{pattern}`, which is no pattern: {reason}"
        ))
    })
}

/// What keeps effects from being carried out.
fn effect_problems(target: &TargetSpec, plan: &Plan) -> Vec<String> {
    let mut reasons = Vec::new();
    let mut ids: BTreeSet<&str> = BTreeSet::new();
    ids.extend(target.publish.as_ref().map(|_| DIRECTORY_EFFECT));
    for effect in &plan.effects {
        reasons.extend(wrong_patterns(&effect.id, &effect.retry));
        // The name of its log, and of the directory it works in.
        if !is_name(&effect.id) {
            reasons.push(format!("`{}` can't be the name of an effect", effect.id));
        }
        if !ids.insert(&effect.id) {
            reasons.push(format!("two effects are called `{}`", effect.id));
        }
    }
    for effect in &plan.effects {
        let after = effect.after.iter();
        reasons.extend(
            after
                .filter(|after| !ids.contains(after.as_str()))
                .map(|after| {
                    let id = &effect.id;
                    format!("effect `{id}` comes after `{after}`, which is not there")
                }),
        );
        let needs = effect.needs.iter();
        reasons.extend(
            needs
                .filter(|need| !target.needs.contains(need))
                .map(|need| format!("effect `{}` takes `{need}`, which is not needed", effect.id)),
        );
        if let EffectKind::Processes(processes) = &effect.kind {
            let others = processes.undo.iter().chain(&processes.check);
            if others
                .chain([&processes.apply])
                .any(|exec| exec.argv.is_empty())
            {
                reasons.push(format!("effect `{}` runs nothing", effect.id));
            }
        }
    }
    if let Some(id) = on_a_circle(effects(plan)) {
        reasons.push(format!("effect `{id}` waits for itself"));
    }
    reasons
}

/// What waits, with what it waits for.
type Waiting<'a> = Vec<(&'a str, Vec<&'a str>)>;

/// One that can never start, because it waits for one that waits for it.
fn on_a_circle(mut waiting: Waiting<'_>) -> Option<&str> {
    loop {
        let open: BTreeSet<&str> = waiting.iter().map(|(id, _)| *id).collect();
        let count = waiting.len();
        waiting.retain(|(_, befores)| befores.iter().any(|before| open.contains(before)));
        if waiting.len() == count {
            return waiting.first().map(|(id, _)| *id);
        }
    }
}

/// The actions of a plan, with those of the same plan that each waits for.
fn actions(plan: &Plan) -> Waiting<'_> {
    let mut waiting = Vec::new();
    for action in &plan.actions {
        let from_inputs = action.inputs.iter().filter_map(|input| match &input.from {
            InputSource::Output { action, .. } => Some(action.as_str()),
            _ => None,
        });
        let after = action.after.iter().map(String::as_str);
        waiting.push((action.id.as_str(), from_inputs.chain(after).collect()));
    }
    waiting
}

/// The effects of a plan, with those of the same plan that each waits for: what is deployed is
/// published before.
fn effects(plan: &Plan) -> Waiting<'_> {
    let mut waiting = Vec::new();
    for effect in &plan.effects {
        let others = plan.effects.iter();
        let earlier = others.filter(|other| other.phase < effect.phase);
        let earlier = earlier.map(|other| other.id.as_str());
        let after = effect.after.iter().map(String::as_str);
        waiting.push((effect.id.as_str(), earlier.chain(after).collect()));
    }
    waiting
}

#[cfg(test)]
mod tests {
    use synth_core::{Action, Effect, EffectPhase, Native, Phase};

    use super::*;

    #[test]
    fn an_action_that_waits_for_itself_is_found() {
        let action = |id: &str| Action::new(id, Phase::Build, id, Native::new(id));
        let straight = Plan::default()
            .action(action("a"))
            .action(action("b").after("a"));
        assert_eq!(on_a_circle(actions(&straight)), None);
        let circle = straight
            .action(action("c").after("d"))
            .action(action("d").after("c"));
        assert_eq!(on_a_circle(actions(&circle)), Some("c"));
    }

    #[test]
    fn what_is_published_does_not_wait_for_what_is_deployed() {
        let effect = |id: &str, phase: EffectPhase, after: &str| Effect {
            after: vec![after.to_owned()],
            ..Effect::new(id, phase, id, Native::new(id))
        };
        for (push_after, expected) in [("none", None), ("roll", Some("push"))] {
            let mut plan = Plan::default();
            plan.effects
                .push(effect("push", EffectPhase::Publish, push_after));
            plan.effects
                .push(effect("roll", EffectPhase::Deploy, "none"));
            assert_eq!(on_a_circle(effects(&plan)), expected);
        }
    }
}
