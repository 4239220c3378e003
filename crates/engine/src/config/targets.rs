//! The tables of targets: kinds looked up, settings checked against the kind's schema.

use std::collections::{BTreeSet, HashMap};

use rayon::prelude::*;
use serde_json::Value;
use synth_core::{Diagnostic, ProjectPath, TargetDescription, TargetSpec};

use super::document::{self, Document, Node};
use super::schema::{self, COMMON_KEYS};
use super::shape::{Shape, wrong_schema};
use super::{list, nearest};
use crate::Registry;
use crate::plugin::is_kind;

/// Every target's table as far as it can be read; what is wrong with it goes to `problems`.
/// `unusable` are plugins that a kind nobody knows may be in.
pub(super) fn read(
    document: &Document,
    registry: &Registry,
    unusable: &[String],
    problems: &mut Vec<Diagnostic>,
) -> Vec<TargetSpec> {
    let entries = document.root.get("targets").and_then(Node::table);
    let entries = entries.into_iter().flatten();
    let entries: Vec<&document::Entry> = entries
        .filter(|entry| entry.value.table().is_some())
        .collect();
    let mut shapes: Shapes<'_> = HashMap::new();
    for entry in &entries {
        if let Some(description) = description(entry, registry) {
            shapes
                .entry(description.kind.as_str())
                .or_insert_with(|| Shape::new(schema::target_schema(description)));
        }
    }
    let reading = Reading {
        document,
        registry,
        unusable,
        shapes,
    };
    let read: Vec<(TargetSpec, Vec<Diagnostic>)> = entries
        .par_iter()
        .map(|entry| reading.target(entry))
        .collect();
    let mut targets = Vec::new();
    for (target, found) in read {
        targets.push(target);
        for problem in found {
            // What is said of kinds that could not say their names is said once.
            if !registry.faults().contains(&problem) || !problems.contains(&problem) {
                problems.push(problem);
            }
        }
    }
    targets
}

/// By kind: what a target's table has to look like; why nobody knows.
type Shapes<'a> = HashMap<&'a str, Result<Shape, String>>;

/// What is read, and what it is checked against.
struct Reading<'a> {
    document: &'a Document,
    registry: &'a Registry,
    unusable: &'a [String],
    shapes: Shapes<'a>,
}

impl Reading<'_> {
    /// A target as far as it can be read, with what is wrong with it.
    fn target(&self, entry: &document::Entry) -> (TargetSpec, Vec<Diagnostic>) {
        let document = self.document;
        let mut problems = Vec::new();
        let target = target_spec(document, &entry.key, &entry.value, &mut problems);
        let Some(kind) = entry.value.get("type") else {
            let problem = Diagnostic::error(
                "config.required",
                format!("target `{}` has no `type`", entry.key),
            )
            .help(format!("add `type = ..`: {}", list(&self.registry.kinds())));
            problems.push(document.place(problem, &entry.key_span));
            return (target, problems);
        };
        let Some(description) = description(entry, self.registry) else {
            let problem = unknown_kind(&entry.key, kind, self.registry, self.unusable);
            problems.push(document.place(problem, &kind.span));
            // It may be one of those that could not say their names.
            problems.extend(self.registry.faults().iter().cloned());
            return (target, problems);
        };
        problems.extend(hidden(document, entry, description));
        let name = format!("target `{}`", entry.key);
        let violations = match self.shapes.get(description.kind.as_str()) {
            Some(Ok(shape)) => shape.check(document, &entry.value, &name),
            Some(Err(cause)) => vec![wrong_schema(&name, cause)],
            None => Vec::new(),
        };
        problems.extend(violations.into_iter().map(|mut problem| {
            problem.target = Some(entry.key.clone());
            problem
        }));
        (target, problems)
    }
}

/// What the kind of a target says of itself, if it is known.
fn description<'a>(
    entry: &document::Entry,
    registry: &'a Registry,
) -> Option<&'a TargetDescription> {
    registry.description(entry.value.get("type")?.text()?)
}

/// A word about each key that is set and that the target's kind has too, under the name of one that
/// every target has: a plugin may be older than that one.
fn hidden<'a>(
    document: &'a Document,
    target: &'a document::Entry,
    kind: &'a TargetDescription,
) -> impl Iterator<Item = Diagnostic> + 'a {
    let own = kind.settings_schema.get("properties");
    let is_own = move |key: &&document::Entry| {
        COMMON_KEYS.contains(&key.key.as_str())
            && own.is_some_and(|own| own.get(&key.key).is_some())
    };
    let keys = target.value.table().into_iter().flatten().filter(is_own);
    keys.map(move |key| {
        let message = format!(
            "`{}` of target `{}` is the setting that every target has, and not that of type `{}`",
            key.key, target.key, kind.kind
        );
        let help = format!(
            "{} {} has one of the same name, which can't be set: look for a newer version of it",
            kind.crate_name, kind.version
        );
        let mut warning = Diagnostic::warning("config.kind.hidden", message).help(help);
        warning.target = Some(target.key.clone());
        document.place(warning, &key.key_span)
    })
}

/// The targets whose failure does not count.
pub(super) fn allowed_failures(document: &Document) -> BTreeSet<String> {
    let entries = document.root.get("targets").and_then(Node::table);
    let allowed = |entry: &&document::Entry| {
        let value = entry.value.get("allow_failure").map(Node::to_json);
        value == Some(Value::Bool(true))
    };
    let allowed = entries.into_iter().flatten().filter(allowed);
    allowed.map(|entry| entry.key.clone()).collect()
}

fn unknown_kind(target: &str, kind: &Node, registry: &Registry, unusable: &[String]) -> Diagnostic {
    let Some(kind) = kind.text() else {
        return Diagnostic::error(
            "config.type",
            format!("`type` of target `{target}` is a text"),
        );
    };
    // One that can't be used helps nobody.
    let usable = |kind: &&str| {
        registry
            .kind(kind)
            .is_some_and(|kind| kind.problem().is_none())
    };
    let kinds: Vec<&str> = registry.kinds().into_iter().filter(usable).collect();
    let problem = Diagnostic::error(
        "config.kind.unknown",
        format!("target `{target}` is of an unknown type `{kind}`"),
    );
    let problem = match nearest(kind, kinds.iter().copied()) {
        Some(near) => return problem.help(format!("did you mean `{near}`?")),
        None if kinds.is_empty() => problem,
        None => problem.help(format!("known types: {}", list(&kinds))),
    };
    let problem = if unusable.is_empty() {
        problem
    } else {
        problem.cause(format!(
            "plugins that can't be used: {}",
            unusable.join(", ")
        ))
    };
    if is_kind(kind) {
        problem.help(format!(
            "`synth plugin install synth-target-{kind}` installs a plugin for it"
        ))
    } else {
        problem
    }
}

/// A target as far as it can be read, so that its graph and paths are checked whatever else is
/// wrong with it.
fn target_spec(
    document: &Document,
    name: &str,
    node: &Node,
    problems: &mut Vec<Diagnostic>,
) -> TargetSpec {
    let text = |key: &str| node.get(key).and_then(Node::text);
    let mut path = |key: &str| match ProjectPath::parse(text(key)?) {
        Ok(path) => Some(path),
        Err(error) => {
            let mut problem = Diagnostic::error(
                "config.path",
                format!("`{key}` of target `{name}`: {error}"),
            )
            .help("paths are relative to synth.toml and stay below its directory");
            problem.target = Some(name.to_owned());
            problems.push(document.place(problem, &node.locate(&[key])));
            None
        }
    };
    let (source_path, output_path) = (path("source_path"), path("output_path"));
    let kind = text("type").unwrap_or_default();
    let mut target = TargetSpec::new(name, kind, source_path.unwrap_or_default());
    if let Some(output_path) = output_path {
        target = target.output_path(output_path);
    }
    let texts = |key: &str| match node.get(key).map(|node| &node.value) {
        Some(document::NodeValue::List(items)) => items
            .iter()
            .filter_map(|item| item.text().map(ToOwned::to_owned))
            .collect(),
        _ => Vec::new(),
    };
    target.dependencies = texts("dependencies");
    target.needs = texts("needs");
    for variable in node
        .get("environment")
        .and_then(Node::table)
        .into_iter()
        .flatten()
    {
        if let Some(value) = variable.value.text() {
            if variable.key.is_empty() || variable.key.contains(['=', '\0']) || value.contains('\0')
            {
                let mut problem = Diagnostic::error(
                    "config.environment",
                    format!(
                        "`{}` of target `{name}` can't be a variable",
                        variable.key.escape_debug()
                    ),
                )
                .help("a name is not empty and has no `=`; neither name nor value has a NUL");
                problem.target = Some(name.to_owned());
                problems.push(document.place(problem, &variable.key_span));
                continue;
            }
            target
                .environment
                .insert(variable.key.clone(), value.to_owned());
        }
    }
    if let Value::Object(settings) = node.to_json() {
        // One of another shape is reported when the shape is checked.
        let publish = settings.get("publish").cloned();
        target.publish = publish.and_then(|publish| serde_json::from_value(publish).ok());
        let retry = settings.get("retry").cloned();
        target.retry = retry.and_then(|retry| serde_json::from_value(retry).ok());
        target.settings = settings
            .into_iter()
            .filter(|(key, _)| !COMMON_KEYS.contains(&key.as_str()))
            .collect();
    }
    if let (Some(retry), Some(node)) = (&target.retry, node.get("retry")) {
        let of_target = format!("target `{name}`");
        let wrong = super::retry::problems(document, node, retry, &of_target);
        problems.extend(wrong.into_iter().map(|mut problem| {
            problem.target = Some(name.to_owned());
            problem
        }));
    }
    target
}
