//! `[plugins]` and `plugin_dirs`: which libraries the kinds of a pipeline may come from. Read
//! before the rest of the file, because what the rest may say depends on the kinds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use semver::VersionReq;
use serde_json::Value;
use synth_core::Diagnostic;

use super::document::{Document, Entry, Node, NodeValue};
use super::schema::{self, IsolationSetting, PluginTable};
use super::shape;
use crate::plugin::{Isolation, PluginLimits, Source, is_kind};

/// The longest time limit that is kept as it is, a year: more does not fit every clock.
const LONGEST_SECONDS: u64 = 365 * 24 * 60 * 60;

/// The word that chooses the kind that synth brings, before a plugin for it.
const BUILTIN: &str = "builtin";

/// What a configuration says of plugins.
#[derive(Clone, Debug, Default)]
pub(crate) struct PluginConfig {
    /// The directory of synth.toml; none where there is no synth.toml.
    pub(crate) root: Option<PathBuf>,
    /// `plugin_dirs`.
    pub(crate) directories: Vec<ConfiguredDirectory>,
    /// `[plugins]`, by kind.
    pub(crate) choices: BTreeMap<String, Choice>,
    /// The kinds that targets are of.
    pub(crate) used: BTreeSet<String>,
    document: Option<Arc<Document>>,
}

/// One of `plugin_dirs`.
#[derive(Clone, Debug)]
pub(crate) struct ConfiguredDirectory {
    pub(crate) path: PathBuf,
    index: usize,
}

/// What `[plugins]` says of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The kind that synth brings.
    Builtin,
    /// A plugin.
    Plugin(Box<PluginRequest>),
}

/// Which plugin, and what it is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PluginRequest {
    pub(crate) version: VersionReq,
    pub(crate) crate_name: Option<String>,
    /// The library's file, absolute.
    pub(crate) path: Option<PathBuf>,
    pub(crate) source: Option<Source>,
    pub(crate) limits: PluginLimits,
}

impl Default for PluginRequest {
    fn default() -> Self {
        Self {
            version: VersionReq::STAR,
            crate_name: None,
            path: None,
            source: None,
            limits: PluginLimits::default(),
        }
    }
}

impl PluginConfig {
    /// What holds in a directory whose configuration file, if any, says nothing.
    pub(crate) fn without_file(root: &Path) -> Self {
        Self {
            root: Some(root.to_owned()),
            ..Self::default()
        }
    }

    /// What is asked of a kind's plugin, if one is asked for.
    pub(crate) fn request(&self, kind: &str) -> Option<&PluginRequest> {
        match self.choices.get(kind) {
            Some(Choice::Plugin(request)) => Some(request),
            _ => None,
        }
    }

    /// Puts a diagnostic at a kind's entry in `[plugins]`, or at a key of it; where the file has
    /// none, it stays as it is.
    pub(crate) fn locate(&self, kind: &str, key: Option<&str>, problem: Diagnostic) -> Diagnostic {
        let entry = self.document.as_ref().and_then(|document| {
            let entry = document.root.get("plugins")?.entry(kind)?;
            Some((document, entry))
        });
        let Some((document, entry)) = entry else {
            return problem;
        };
        let value = key.map_or(Some(&entry.value), |key| entry.value.get(key));
        let span = match value {
            // `greet = "^1.2"`, or the key that is meant.
            Some(value) if value.table().is_none() => &value.span,
            _ if entry.value.table().is_none() => &entry.value.span,
            _ => &entry.key_span,
        };
        document.place(problem, span)
    }

    /// Puts a diagnostic at one of `plugin_dirs`.
    pub(crate) fn locate_directory(
        &self,
        directory: &ConfiguredDirectory,
        problem: Diagnostic,
    ) -> Diagnostic {
        match &self.document {
            Some(document) => {
                let index = directory.index.to_string();
                let span = document.root.locate(&["plugin_dirs", &index]);
                document.place(problem, &span)
            }
            None => problem,
        }
    }
}

/// Reads what a configuration says of plugins. Problems of keys and values inside `[plugins]` are
/// told; that `plugins` is a table and `plugin_dirs` a list of texts is told with the whole file.
pub(crate) fn read(
    document: &Document,
    root: &Path,
    problems: &mut Vec<Diagnostic>,
) -> PluginConfig {
    // What it has to say of plugins, and nothing of thousands of targets.
    let own = Document {
        path: document.path.clone(),
        text: document.text.clone(),
        root: document
            .root
            .outline(&|path| matches!(path, ["targets", ..])),
    };
    let mut config = PluginConfig {
        root: Some(root.to_owned()),
        document: Some(Arc::new(own)),
        ..PluginConfig::default()
    };
    if let Some(NodeValue::List(items)) = document.root.get("plugin_dirs").map(|node| &node.value) {
        for (index, item) in items.iter().enumerate() {
            if let Some(text) = item.text() {
                config.directories.push(ConfiguredDirectory {
                    path: root.join(text),
                    index,
                });
            }
        }
    }
    let entries = document.root.get("plugins").and_then(Node::table);
    for entry in entries.into_iter().flatten() {
        if let Some(choice) = choice(document, entry, root, problems) {
            config.choices.insert(entry.key.clone(), choice);
        }
    }
    refuse_in_environments(document, problems);
    config.used = used_kinds(document);
    config
}

/// The kinds that targets are of, in each spelling of targets and of `type`.
fn used_kinds(document: &Document) -> BTreeSet<String> {
    let targets: Vec<&Node> = match document.root.get("targets").map(|node| &node.value) {
        Some(NodeValue::Table(entries)) => entries.iter().map(|entry| &entry.value).collect(),
        Some(NodeValue::List(items)) => items.iter().collect(),
        _ => Vec::new(),
    };
    let aliases = schema::COMMON_ALIASES.iter();
    let spellings: Vec<&str> = aliases
        .filter(|(_, key)| *key == "type")
        .map(|(alias, _)| *alias)
        .chain(["type"])
        .collect();
    targets
        .into_iter()
        .flat_map(|target| spellings.iter().filter_map(|key| target.get(key)?.text()))
        .map(ToOwned::to_owned)
        .collect()
}

fn choice(
    document: &Document,
    entry: &Entry,
    root: &Path,
    problems: &mut Vec<Diagnostic>,
) -> Option<Choice> {
    let kind = &entry.key;
    if !is_kind(kind) {
        let problem = Diagnostic::error(
            "config.plugins.kind",
            format!("`{}` can't be a target kind", kind.escape_debug()),
        )
        .help("`[plugins]` names kinds, as `type` does: lower-case letters, digits and `-`");
        problems.push(document.place(problem, &entry.key_span));
        return None;
    }
    if let Some(text) = entry.value.text() {
        if text == BUILTIN {
            return Some(Choice::Builtin);
        }
        let version = requirement(document, kind, text, &entry.value, problems)?;
        return Some(Choice::Plugin(Box::new(PluginRequest {
            version,
            ..PluginRequest::default()
        })));
    }
    // Neither a text nor a table: told with the shape of the whole file.
    entry.value.table()?;
    let name = format!("plugin `{kind}`");
    let violations = shape::check_shape(document, &entry.value, schema::plugin_schema(), &name);
    if !violations.is_empty() {
        problems.extend(violations);
        return None;
    }
    let table: PluginTable = serde_json::from_value(entry.value.to_json()).ok()?;
    if table.builtin == Some(true) {
        if entry.value.table().is_some_and(|keys| keys.len() > 1) {
            let problem = Diagnostic::error(
                "config.plugins.builtin",
                format!("plugin `{kind}` is to be `builtin`, which goes with no other key"),
            )
            .help(format!(
                "write `{kind} = \"builtin\"`, or leave `builtin` out"
            ));
            problems.push(document.place(problem, &entry.value.locate(&["builtin"])));
        }
        return Some(Choice::Builtin);
    }
    request(document, entry, table, root, problems).map(|request| Choice::Plugin(Box::new(request)))
}

fn request(
    document: &Document,
    entry: &Entry,
    table: PluginTable,
    root: &Path,
    problems: &mut Vec<Diagnostic>,
) -> Option<PluginRequest> {
    let node = |key: &str| entry.value.get(key).unwrap_or(&entry.value);
    let version = match &table.version {
        Some(text) => requirement(document, &entry.key, text, node("version"), problems)?,
        None => VersionReq::STAR,
    };
    let source = match table.source.as_deref().map(Source::parse) {
        None => None,
        Some(Ok(source)) => Some(source),
        Some(Err(reason)) => {
            let problem = Diagnostic::error(
                "config.plugins.source",
                format!("`source` of plugin `{}`: {reason}", entry.key),
            )
            .help(Source::FORMS);
            problems.push(document.place(problem, &node("source").span));
            return None;
        }
    };
    let mut limits = PluginLimits::default();
    if table.isolation == Some(IsolationSetting::None) {
        limits.isolation = Isolation::None;
    }
    if let Some(seconds) = table.timeout_seconds {
        limits.answer_timeout = Duration::from_secs(seconds.min(LONGEST_SECONDS));
    }
    if let Some(mebibytes) = table.memory_mb {
        limits.memory_bytes = mebibytes.saturating_mul(1024 * 1024);
    }
    Some(PluginRequest {
        version,
        crate_name: table.crate_name,
        path: table.path.map(|path| root.join(path)),
        source,
        limits,
    })
}

fn requirement(
    document: &Document,
    kind: &str,
    text: &str,
    node: &Node,
    problems: &mut Vec<Diagnostic>,
) -> Option<VersionReq> {
    match VersionReq::parse(text) {
        Ok(version) => Some(version),
        Err(error) => {
            let problem = Diagnostic::error(
                "config.plugins.version",
                format!("`{text}` is no version requirement for plugin `{kind}`"),
            )
            .cause(error.to_string())
            .help("write one as Cargo has them, such as `\"^1.2\"`, or `\"builtin\"`");
            problems.push(document.place(problem, &node.span));
            None
        }
    }
}

/// An environment is laid over the rest after the kinds are known, so it can't change them.
fn refuse_in_environments(document: &Document, problems: &mut Vec<Diagnostic>) {
    let environments = document.root.get("environments").and_then(Node::table);
    for environment in environments.into_iter().flatten() {
        for key in ["plugins", "plugin_dirs"] {
            if let Some(entry) = environment.value.entry(key) {
                let problem = Diagnostic::error(
                    "config.plugins.environment",
                    format!("`{key}` can't differ by environment"),
                )
                .help(format!(
                    "move it out of `[environments.{}]`",
                    environment.key
                ));
                problems.push(document.place(problem, &entry.key_span));
            }
        }
    }
}

/// The table of `[plugins]` as the schema for editors has it.
pub(super) fn entry_schema() -> Value {
    let mut table = schema::plugin_schema();
    if let Some(object) = table.as_object_mut() {
        object.remove("$schema");
        object.remove("$defs");
    }
    serde_json::json!({
        "anyOf": [
            {
                "type": "string",
                "description": "The versions that will do, such as `^1.2`; `builtin` for the kind that synth brings.",
            },
            table,
        ]
    })
}
