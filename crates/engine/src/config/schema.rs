//! The shape of synth.toml as types, from which the JSON Schema for editors and for checking is
//! generated. The keys that a target kind adds come from the kind itself.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use synth_core::{DirectoryPublish, RetrySettings, TargetDescription};

use super::plugins;
use crate::Registry;

/// What happens to the rest of the pipeline when a target fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureStrategy {
    /// Running actions are ended and no further ones started.
    #[default]
    StopAll,
    /// Everything that doesn't depend on the failure is still built.
    Continue,
    /// As `stop_all`, and all outputs, and effects, are as they were before.
    Rollback,
}

/// How actions are kept to what they declare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SandboxMode {
    /// They see and write nothing else, and one that tries fails.
    #[default]
    Strict,
    /// Nothing is kept from them; what they write beside is told.
    Warn,
    /// Neither.
    Off,
}

/// How actions are kept to what they declare: in one word, or with what they see beside.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum SandboxSetting {
    /// How.
    Mode(SandboxMode),
    /// How, and what all actions may read.
    Table(SandboxTable),
}

/// How actions are kept to what they declare, and what all of them may read beside.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SandboxTable {
    /// How; `strict` when it is not set.
    pub(crate) mode: Option<SandboxMode>,
    /// Files and directories of this machine that all actions may read: absolute, or below the
    /// home directory (`~/.rustup`).
    pub(crate) read: Vec<String>,
}

/// One `synth.toml`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PipelineTable {
    /// The pipeline's name, for reports. The directory's name when it is not set.
    pub(crate) name: Option<String>,
    /// Selects the overrides of `[environments.NAME]`.
    pub(crate) environment: Option<String>,
    /// Whether targets are built in parallel; `false` runs one action at a time, in a stable
    /// order.
    pub(crate) parallel_execution: Option<bool>,
    /// What happens to the rest when a target fails.
    pub(crate) failure_strategy: Option<FailureStrategy>,
    /// How actions are kept to what they declare.
    pub(crate) sandbox: Option<SandboxSetting>,
    /// Which failures are tried again, and when: of actions whose failures pass by themselves.
    #[schemars(with = "RetrySettings")]
    pub(crate) retry: Option<RetrySettings>,
    /// Who is told how the build ended.
    pub(crate) notifications: NotificationsTable,
    /// Directories with plugins, relative to synth.toml.
    pub(crate) plugin_dirs: Vec<String>,
    /// Plugins that bring target kinds, by kind.
    pub(crate) plugins: BTreeMap<String, Value>,
    /// The targets, by name.
    pub(crate) targets: BTreeMap<String, Value>,
    /// Overrides, by environment: the same keys as the pipeline, laid over it.
    pub(crate) environments: BTreeMap<String, Value>,
    /// Named choices of targets, for `synth build --pipeline NAME`.
    pub(crate) pipelines: BTreeMap<String, PipelineChoiceTable>,
}

/// Who is told how the build ended.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NotificationsTable {
    /// Channels for a build that succeeded.
    pub(crate) on_success: Vec<String>,
    /// Channels for a build that failed.
    pub(crate) on_failure: Vec<String>,
}

/// Which plugin brings a kind, and what it is allowed.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PluginTable {
    /// The versions that will do, such as `^1.2`; any when it is not set.
    pub(crate) version: Option<String>,
    /// The crate, where it is not `synth-target-KIND`.
    #[serde(rename = "crate")]
    pub(crate) crate_name: Option<String>,
    /// The library's file, relative to synth.toml, instead of looking for one in the plugin
    /// directories.
    pub(crate) path: Option<String>,
    /// Where `synth plugin install` gets it: `crates.io`, `path+DIR`, `git+URL?tag=NAME` or
    /// `https://..#sha256=DIGEST`.
    pub(crate) source: Option<String>,
    /// Where its code runs.
    pub(crate) isolation: Option<IsolationSetting>,
    /// How many seconds it may take to check or to plan a target; 60 when it is not set.
    #[schemars(range(min = 1))]
    pub(crate) timeout_seconds: Option<u64>,
    /// How much memory its process may use, in MiB; 2048 when it is not set.
    #[schemars(range(min = 64))]
    pub(crate) memory_mb: Option<u64>,
    /// Whether the kind that synth brings is to be used before any plugin for it.
    pub(crate) builtin: Option<bool>,
}

/// Where a plugin's code runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum IsolationSetting {
    /// In a process of its own.
    Process,
    /// In synth's own process.
    None,
}

/// A named choice of targets.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PipelineChoiceTable {
    /// The targets to build; what they need is built too.
    #[schemars(length(min = 1))]
    pub(crate) targets: Vec<String>,
    /// Selects another environment.
    #[serde(default)]
    pub(crate) environment: Option<String>,
    /// Overrides the pipeline's own.
    #[serde(default)]
    pub(crate) failure_strategy: Option<FailureStrategy>,
    /// Overrides the pipeline's own.
    #[serde(default)]
    pub(crate) parallel_execution: Option<bool>,
}

/// The keys that every target has, whatever its kind.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct TargetTable {
    /// The target's kind.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The directory of the sources, relative to synth.toml; its own directory when it is not
    /// set.
    pub(crate) source_path: Option<String>,
    /// The directory that the outputs are put into, relative to synth.toml; `dist/NAME` when it
    /// is not set.
    pub(crate) output_path: Option<String>,
    /// Packages that the target depends on, in the words of its kind.
    pub(crate) dependencies: Vec<String>,
    /// Variables that the target's processes see.
    pub(crate) environment: BTreeMap<String, String>,
    /// Targets that are built before this one and whose outputs it may use.
    pub(crate) needs: Vec<String>,
    /// The directory of releases that `synth publish` puts the outputs into.
    pub(crate) publish: Option<DirectoryPublish>,
    /// Which failures of the target's actions are tried again, and when; goes before the
    /// pipeline's own.
    #[schemars(with = "RetrySettings")]
    pub(crate) retry: Option<RetrySettings>,
    /// Whether the build succeeds when this target fails. What needs it is not built then.
    pub(crate) allow_failure: bool,
}

/// The names of the keys that every target has.
pub(crate) const COMMON_KEYS: [&str; 9] = [
    "type",
    "source_path",
    "output_path",
    "dependencies",
    "environment",
    "needs",
    "publish",
    "retry",
    "allow_failure",
];

/// Other spellings of the common keys, as codomyrmex's `build_synthesis` has them.
pub(crate) const COMMON_ALIASES: [(&str, &str); 2] =
    [("source", "source_path"), ("build_type", "type")];

/// The schema of a whole file, every target an open object.
pub(crate) fn pipeline_schema() -> Value {
    let mut schema = synth_core::settings_schema::<PipelineTable>();
    let object = json!({ "type": "object" });
    for map in ["targets", "environments"] {
        schema["properties"][map]["additionalProperties"] = object.clone();
    }
    // What is inside a plugin's table is checked table by table.
    schema["properties"]["plugins"]["additionalProperties"] =
        json!({ "type": ["string", "object"] });
    schema
}

/// The schema of one table of `[plugins]`.
pub(crate) fn plugin_schema() -> Value {
    synth_core::settings_schema::<PluginTable>()
}

/// The schema of one target's table: the common keys and its kind's own.
pub(crate) fn target_schema(description: &TargetDescription) -> Value {
    let mut schema = synth_core::settings_schema::<TargetTable>();
    schema["properties"]["type"] = json!({
        "description": "The target's kind.",
        "const": description.kind,
    });
    let kind = &description.settings_schema;
    merge_object(&mut schema, &own_settings(kind), "properties");
    merge_object(&mut schema, kind, "$defs");
    let mut required = vec![json!("type")];
    if let Some(own) = kind.get("required").and_then(Value::as_array) {
        required.extend(own.iter().cloned());
    }
    schema["required"] = Value::Array(required);
    // Only a kind that says so itself takes keys that it does not name.
    let others = kind.get("additionalProperties").cloned();
    schema["additionalProperties"] = others.unwrap_or(Value::Bool(false));
    schema["title"] = json!(description.kind);
    schema["description"] = json!(description.description);
    schema
}

/// The kind's schema without what has the name of a common key, which is what is meant by it.
fn own_settings(kind: &Value) -> Value {
    let mut own = kind.clone();
    if let Some(Value::Object(properties)) = own.get_mut("properties") {
        properties.retain(|key, _| !COMMON_KEYS.contains(&key.as_str()));
    }
    own
}

fn merge_object(into: &mut Value, from: &Value, key: &str) {
    let Some(Value::Object(from)) = from.get(key) else {
        return;
    };
    let Some(into) = into.as_object_mut() else {
        return;
    };
    let entry = into.entry(key).or_insert_with(|| Value::Object(Map::new()));
    if let Some(object) = entry.as_object_mut() {
        for (name, value) in from {
            object.insert(name.clone(), value.clone());
        }
    }
}

/// The JSON Schema (2020-12) of synth.toml for editors, with the keys of every registered kind.
#[must_use]
pub fn editor_schema(registry: &Registry) -> Value {
    let mut schema = pipeline_schema();
    let mut variants = Vec::new();
    let mut definitions = Map::new();
    for description in registry.descriptions() {
        let mut target = target_schema(description);
        if let Some(object) = target.as_object_mut() {
            object.remove("$schema");
            // `$ref`s point at the root of the document, so definitions move there.
            if let Some(Value::Object(own)) = object.remove("$defs") {
                definitions.extend(own);
            }
        }
        variants.push(target);
    }
    schema["title"] = json!("synth.toml");
    schema["properties"]["targets"]["additionalProperties"] = json!({ "oneOf": variants });
    schema["properties"]["plugins"]["additionalProperties"] = plugins::entry_schema();
    if let Some(Value::Object(own)) = plugin_schema().get("$defs").cloned() {
        definitions.extend(own);
    }
    if let Some(Value::Object(own)) = schema.get("$defs").cloned() {
        definitions.extend(own);
    }
    schema["$defs"] = Value::Object(definitions);
    schema
}
