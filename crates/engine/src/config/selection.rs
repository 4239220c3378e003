//! What is selected: the environment whose overrides are laid over the file, and the choice of
//! targets that `[pipelines.NAME]` is.

use serde_json::Value;
use synth_core::Diagnostic;

use super::document::{self, Document, Node};
use super::schema::PipelineChoiceTable;
use super::{LoadOptions, list, nearest, normalize};

/// Lays the selected environment over the tree and returns the selected `[pipelines.NAME]`.
pub(super) fn select(
    document: &mut Document,
    options: &LoadOptions,
    problems: &mut Vec<Diagnostic>,
) -> Option<PipelineChoiceTable> {
    let choice = options
        .pipeline
        .as_ref()
        .and_then(|name| select_choice(document, name, problems));
    let own = document.root.get("environment");
    let asked = options.environment.clone().or_else(|| {
        choice
            .as_ref()
            .and_then(|choice| choice.environment.clone())
    });
    let name = asked
        .clone()
        .or_else(|| own.and_then(Node::text).map(ToOwned::to_owned))?;
    let environments = document.root.get("environments").and_then(Node::table);
    let known: Vec<&str> = environments
        .into_iter()
        .flatten()
        .map(|entry| entry.key.as_str())
        .collect();
    let selected = document
        .root
        .get("environments")
        .and_then(|environments| environments.get(&name))
        .cloned();
    match selected {
        Some(over) => normalize::overlay(&mut document.root, &over),
        // A name without any `[environments]` is a label and overrides nothing.
        None if known.is_empty() && asked.is_none() => {}
        None => {
            let problem = Diagnostic::error(
                "config.environments.unknown",
                format!("there is no `[environments.{name}]`"),
            );
            let problem = match nearest(&name, known.iter().copied()) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None if known.is_empty() => problem.help(format!("add `[environments.{name}]`")),
                None => problem.help(format!("environments: {}", list(&known))),
            };
            let span = document.root.locate(&["environment"]);
            problems.push(if asked.is_none() {
                document.place(problem, &span)
            } else {
                problem
            });
        }
    }
    if let Some(entries) = document.root.table_mut() {
        // The choice that was made is the pipeline's environment from here on.
        let value = Node {
            value: document::NodeValue::Scalar(Value::from(name)),
            span: 0..0,
        };
        match entries.iter_mut().find(|entry| entry.key == "environment") {
            Some(entry) => entry.value.value = value.value,
            None => entries.push(document::Entry {
                key: "environment".into(),
                key_span: 0..0,
                value,
            }),
        }
    }
    choice
}

fn select_choice(
    document: &Document,
    name: &str,
    problems: &mut Vec<Diagnostic>,
) -> Option<PipelineChoiceTable> {
    let pipelines = document.root.get("pipelines");
    match pipelines.and_then(|pipelines| pipelines.get(name)) {
        // A wrong shape is reported with that of the whole file.
        Some(node) => serde_json::from_value(node.to_json()).ok(),
        None => {
            let known: Vec<&str> = pipelines
                .and_then(Node::table)
                .into_iter()
                .flatten()
                .map(|entry| entry.key.as_str())
                .collect();
            let problem = Diagnostic::error(
                "config.pipelines.unknown",
                format!("there is no `[pipelines.{name}]`"),
            );
            problems.push(match nearest(name, known.iter().copied()) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None if known.is_empty() => problem.help(format!("add `[pipelines.{name}]`")),
                None => problem.help(format!("pipelines: {}", list(&known))),
            });
            None
        }
    }
}
