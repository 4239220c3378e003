//! What makes a plan one that can be carried out: names that are unique, references that lead
//! somewhere, paths that stay inside.

use std::collections::BTreeSet;
use std::path::Path;

use super::patterns;
use crate::{
    Action, ActionKind, Exec, InputSource, Output, OutputKind, Plan, ProjectPath, ROOT, TargetSpec,
};

/// Everything that keeps a plan from being carried out.
pub(super) fn faults(plan: &Plan, target: &TargetSpec) -> Vec<String> {
    let mut found = Vec::new();
    let mut ids = BTreeSet::new();
    let mut outputs = BTreeSet::new();
    for action in &plan.actions {
        if action.id.is_empty() {
            found.push("an action has an empty id".into());
        }
        if !ids.insert(action.id.as_str()) {
            found.push(format!("two actions are called `{}`", action.id));
        }
        for output in &action.outputs {
            if !outputs.insert((action.id.as_str(), output.name.as_str())) {
                found.push(format!("`{}` has two outputs `{}`", action.id, output.name));
            }
        }
    }
    for action in &plan.actions {
        let reasons = action_faults(action, target, &ids, &outputs).into_iter();
        found.extend(reasons.map(|reason| format!("`{}` {reason}", action.id)));
    }
    if let Some(id) = on_a_circle(plan) {
        found.push(format!("`{id}` waits for itself"));
    }
    for export in &plan.exports {
        if !outputs.contains(&(export.action.as_str(), export.output.as_str())) {
            found.push(format!(
                "it exports the output `{}` of `{}`, which no action declares",
                export.output, export.action
            ));
        }
        if let Err(error) = ProjectPath::parse(&export.path) {
            found.push(format!("it exports to a wrong place: {error}"));
        }
    }
    for rule in &plan.artifacts {
        if let Some(error) = patterns::fault(std::slice::from_ref(&rule.pattern)) {
            found.push(format!("its artifacts `{}`: {error}", rule.kind));
        }
    }
    for warning in plan.warnings.iter().filter(|warning| warning.is_error()) {
        found.push(format!(
            "its warning `{}` is an error: give it back as `Err` instead",
            warning.code
        ));
    }
    // Said once of the same action, however often it holds.
    let mut seen = BTreeSet::new();
    found.retain(|fault: &String| seen.insert(fault.clone()));
    found
}

fn action_faults(
    action: &Action,
    target: &TargetSpec,
    ids: &BTreeSet<&str>,
    outputs: &BTreeSet<(&str, &str)>,
) -> Vec<String> {
    let mut found = Vec::new();
    for after in &action.after {
        if !ids.contains(after.as_str()) {
            found.push(format!("comes after `{after}`, which is not there"));
        }
    }
    for input in &action.inputs {
        if let Err(error) = ProjectPath::parse(&input.at) {
            found.push(format!("has an input at a wrong place: {error}"));
        }
        match &input.from {
            InputSource::Output {
                action: from,
                output,
            } if !outputs.contains(&(from.as_str(), output.as_str())) => {
                found.push(format!(
                    "takes the output `{output}` of `{from}`, which no action declares"
                ));
            }
            InputSource::Target { name } if !target.needs.contains(name) => found.push(format!(
                "takes the outputs of target `{name}`, which the target does not need"
            )),
            InputSource::Source(files) => {
                let faults = [&files.include, &files.exclude];
                let faults = faults.into_iter().filter_map(|list| patterns::fault(list));
                found.extend(faults.map(|error| format!("takes {error}")));
            }
            InputSource::Files { root, paths } => {
                let wrong = paths.iter().filter_map(|path| root.join(path).err());
                found.extend(wrong.map(|error| format!("takes a file that can't be: {error}")));
            }
            _ => {}
        }
    }
    found.extend(output_faults(&action.outputs));
    let mut tools = BTreeSet::new();
    for tool in &action.tools {
        if !tools.insert(tool.name.as_str()) {
            found.push(format!("has two tools `{}`", tool.name));
        }
        if !tool.path.is_absolute() {
            found.push(format!("has a tool with a relative path, `{}`", tool.name));
        }
    }
    if let ActionKind::Exec(exec) = &action.kind {
        found.extend(exec_faults(exec, &tools));
    }
    if action.timeout_seconds == Some(0) {
        found.push("has a timeout of 0 s, after which it is ended".into());
    }
    if action.retry.attempts == 0 {
        found.push("is tried 0 times; 1 means once".into());
    }
    found
}

/// Outputs at wrong places, or at those of others: what one takes, the other would miss.
fn output_faults(outputs: &[Output]) -> Vec<String> {
    let mut found = Vec::new();
    let mut places: Vec<(ProjectPath, &Output)> = Vec::new();
    for output in outputs {
        let at = match ProjectPath::parse(&output.path) {
            Ok(at) => at,
            Err(error) => {
                found.push(format!("has an output at a wrong place: {error}"));
                continue;
            }
        };
        if output.kind == OutputKind::File && at.is_root() {
            found.push(format!("has a file `{}` without a path", output.name));
        }
        if output.kind == OutputKind::File && !output.patterns.is_empty() {
            found.push(format!("has patterns for `{}`, one file", output.name));
        }
        if let Some(error) = patterns::fault(&output.patterns) {
            found.push(format!("has an output `{}`: {error}", output.name));
        }
        for (other_at, other) in &places {
            let apart = at.strip_prefix(other_at).is_none() && other_at.strip_prefix(&at).is_none();
            let chosen = !output.patterns.is_empty() || !other.patterns.is_empty();
            if !apart && (at == *other_at || !chosen) {
                found.push(format!(
                    "leaves its outputs `{}` and `{}` in one place: `{at}`",
                    other.name, output.name
                ));
            }
        }
        places.push((at, output));
    }
    found
}

fn exec_faults(exec: &Exec, tools: &BTreeSet<&str>) -> Vec<String> {
    let mut found = Vec::new();
    match exec.argv.first().map(String::as_str) {
        None | Some("") => found.push("has no program: its argument vector is empty".into()),
        Some(program) if Path::new(program).is_absolute() => found.push(format!(
            "runs `{program}`, which nothing declares: find it with `PlanContext::tool` and add it with `Action::tool`"
        )),
        Some(program) if !program.contains('/') && !program.contains(ROOT) => {
            if !tools.contains(program) {
                found.push(format!(
                    "runs `{program}`, which is none of its tools: find it with `PlanContext::tool` and add it with `Action::tool`"
                ));
            }
        }
        Some(_) => {}
    }
    if exec.argv.iter().any(|argument| argument.contains('\0')) {
        found.push("has an argument with a NUL byte".into());
    }
    if let Err(error) = ProjectPath::parse(&exec.working_directory) {
        found.push(format!("starts in a wrong place: {error}"));
    }
    for (name, value) in &exec.environment {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            found.push(format!("sets a variable that can't be: {name:?}"));
        }
    }
    found
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
pub(super) fn befores(action: &Action) -> impl Iterator<Item = &str> {
    let from_inputs = action.inputs.iter().filter_map(|input| match &input.from {
        InputSource::Output { action, .. } => Some(action.as_str()),
        _ => None,
    });
    from_inputs.chain(action.after.iter().map(String::as_str))
}
