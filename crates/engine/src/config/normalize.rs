//! Brings a configuration tree into its one form: other spellings renamed, `[[targets]]` keyed by
//! name, the environment's overrides laid over it. Reports what can't be brought there.

use std::collections::BTreeMap;

use synth_core::Diagnostic;

use super::document::{Document, Entry, Node, NodeValue};
use super::schema::COMMON_ALIASES;
use crate::Registry;

/// Renames, keys and checks what a schema can't say. `document.root` is changed in place.
pub(crate) fn normalize(document: &mut Document, registry: &Registry) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let nothing = Node {
        value: NodeValue::Table(Vec::new()),
        span: 0..0,
    };
    let mut root = std::mem::replace(&mut document.root, nothing);
    key_targets_by_name(document, &mut root, &mut problems);
    rename_target_keys(
        document,
        &mut root,
        registry,
        &BTreeMap::new(),
        &mut problems,
    );
    let kinds = kinds_of_targets(&root);
    if let Some(environments) = entry_mut(&mut root, "environments")
        && let Some(environments) = environments.table_mut()
    {
        for environment in environments {
            key_targets_by_name(document, &mut environment.value, &mut problems);
            let overrides = &mut environment.value;
            rename_target_keys(document, overrides, registry, &kinds, &mut problems);
        }
    }
    document.root = root;
    problems
}

/// Lays the tables of `overlay` over those of `base`, key by key; lists and scalars replace.
pub(crate) fn overlay(base: &mut Node, overlay: &Node) {
    match (&mut base.value, &overlay.value) {
        (NodeValue::Table(entries), NodeValue::Table(over)) => {
            for entry in over {
                match entries.iter_mut().find(|known| known.key == entry.key) {
                    Some(known) => self::overlay(&mut known.value, &entry.value),
                    None => entries.push(entry.clone()),
                }
            }
        }
        _ => *base = overlay.clone(),
    }
}

fn entry_mut<'a>(node: &'a mut Node, key: &str) -> Option<&'a mut Node> {
    let entries = node.table_mut()?;
    let entry = entries.iter_mut().find(|entry| entry.key == key)?;
    Some(&mut entry.value)
}

/// `[[targets]]` with a `name` each becomes `[targets.NAME]`.
fn key_targets_by_name(document: &Document, root: &mut Node, problems: &mut Vec<Diagnostic>) {
    let Some(targets) = entry_mut(root, "targets") else {
        return;
    };
    let NodeValue::List(items) = &mut targets.value else {
        return;
    };
    let mut keyed: Vec<Entry> = Vec::new();
    for mut item in std::mem::take(items) {
        let span = item.span.clone();
        let Some(entries) = item.table_mut() else {
            let problem = Diagnostic::error("config.type", "each item of `targets` is a table");
            problems.push(document.place(problem, &span));
            continue;
        };
        let position = entries.iter().position(|entry| entry.key == "name");
        let Some(name) = position.map(|index| entries.remove(index)) else {
            let problem =
                Diagnostic::error("config.required", "a target of `[[targets]]` has no `name`")
                    .help("add `name = \"..\"`");
            problems.push(document.place(problem, &span));
            continue;
        };
        let Some(text) = name.value.text() else {
            let problem = Diagnostic::error("config.type", "a target's `name` is a text");
            problems.push(document.place(problem, &name.value.span));
            continue;
        };
        let key = text.to_owned();
        if keyed.iter().any(|entry| entry.key == key) {
            let problem = Diagnostic::error(
                "config.targets.duplicate",
                format!("there are two targets of the name `{key}`"),
            )
            .help("give one of them another name");
            problems.push(document.place(problem, &name.value.span));
            continue;
        }
        keyed.push(Entry {
            key,
            key_span: name.value.span.clone(),
            value: item,
        });
    }
    targets.value = NodeValue::Table(keyed);
}

/// The kind of each target that says its own.
fn kinds_of_targets(root: &Node) -> BTreeMap<String, String> {
    let targets = root.get("targets").and_then(Node::table);
    let targets = targets.into_iter().flatten();
    targets
        .filter_map(|target| {
            let kind = target.value.get("type").and_then(Node::text)?;
            Some((target.key.clone(), kind.to_owned()))
        })
        .collect()
}

/// Renames what has another spelling. `kinds` are those of targets that don't say theirs here.
fn rename_target_keys(
    document: &Document,
    root: &mut Node,
    registry: &Registry,
    kinds: &BTreeMap<String, String>,
    problems: &mut Vec<Diagnostic>,
) {
    let Some(targets) = entry_mut(root, "targets").and_then(Node::table_mut) else {
        return;
    };
    for target in targets {
        let Some(entries) = target.value.table_mut() else {
            continue;
        };
        for (alias, key) in COMMON_ALIASES {
            rename(document, entries, alias, key, problems);
        }
        let own = entries
            .iter()
            .find(|entry| entry.key == "type")
            .and_then(|entry| entry.value.text())
            .map(ToOwned::to_owned);
        // Of a target whose kind nobody says, any kind's spelling is taken as meant.
        let kind = own.or_else(|| kinds.get(&target.key).cloned());
        for description in registry.descriptions() {
            if kind.as_ref().is_none_or(|kind| *kind == description.kind) {
                for alias in &description.setting_aliases {
                    rename(document, entries, &alias.alias, &alias.setting, problems);
                }
            }
        }
    }
}

fn rename(
    document: &Document,
    entries: &mut Vec<Entry>,
    alias: &str,
    key: &str,
    problems: &mut Vec<Diagnostic>,
) {
    let both = entries.iter().any(|entry| entry.key == key);
    let Some(entry) = entries.iter_mut().find(|entry| entry.key == alias) else {
        return;
    };
    if both {
        let problem = Diagnostic::error(
            "config.duplicate",
            format!("`{alias}` is another spelling of `{key}`, and both are set"),
        )
        .help(format!("keep `{key}` alone"));
        problems.push(document.place(problem, &entry.key_span));
        entries.retain(|entry| entry.key != alias);
    } else {
        key.clone_into(&mut entry.key);
    }
}
