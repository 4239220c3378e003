//! What a kind says of itself: stable, usable by the engine, and the same in its crate's
//! `synth-target.json`.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::Value;

use super::{CrateIdentity, change, difference};
use crate::testkit::TestPipeline;
use crate::testkit::panics::catch;
use crate::{Diagnostic, KindDescription, TargetDescription};

/// The file beside Cargo.toml.
const FILE: &str = "synth-target.json";

/// Keys that every target has, whatever its kind.
const COMMON_KEYS: [&str; 9] = [
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

/// What the engine takes of the schema's top level: a kind's keys are put beside the common ones.
const SCHEMA_KEYS: [&str; 10] = [
    "$schema",
    "$defs",
    "$comment",
    "title",
    "description",
    "default",
    "type",
    "properties",
    "required",
    "additionalProperties",
];

/// How often `describe` is asked: an order that is that of a hash map shows.
const TIMES: usize = 8;

pub(super) fn check(kinds: &[&TestPipeline], identity: Option<&CrateIdentity>) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for pipeline in kinds {
        match descriptions(pipeline) {
            Err(finding) => findings.push(finding),
            Ok(description) => {
                findings.extend(kind_faults(&description));
                findings.extend(schema_faults(&description));
                findings.extend(alias_faults(&description));
                if let Some(identity) = identity {
                    findings.extend(identity_faults(&description, identity));
                }
            }
        }
    }
    findings
}

/// What `describe` says each time.
fn descriptions(pipeline: &TestPipeline) -> Result<TargetDescription, Diagnostic> {
    let ask = || {
        catch(|| pipeline.kind.describe())
            .map_err(|panic| finding("panics", "`describe` panicked").cause(panic))
    };
    let first = ask()?;
    // As text, so that the order of keys counts: it is the order of the documentation.
    let first_text = in_json(&first).to_string();
    for _ in 1..TIMES {
        let again = in_json(&ask()?);
        let text = again.to_string();
        if text != first_text {
            let how = change(&in_json(&first), &again);
            let how = if how.is_empty() {
                "the order of its keys".into()
            } else {
                how
            };
            return Err(finding(
                "changes",
                "`describe` does not give the same answer each time",
            )
            .cause(how)
            .help("build the description from constants: no counter, no clock, no hash map"));
        }
    }
    Ok(first)
}

fn in_json(description: &TargetDescription) -> Value {
    serde_json::to_value(description).unwrap_or_default()
}

fn kind_faults(description: &TargetDescription) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let kind = &description.kind;
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if kind.is_empty() || !kind.chars().all(is_plain) {
        let message = format!("the kind {kind:?} can't be a `type` in synth.toml");
        found.push(
            finding("kind", message).help("use lower-case letters, digits and `-`: `static-site`"),
        );
    }
    let line = &description.description;
    if line.trim().is_empty() || line.lines().count() != 1 {
        let message = format!("the description is not one line of text: {line:?}");
        found.push(finding("text", message).help("say what is built: `a Rust crate as binaries`"));
    }
    found
}

fn schema_faults(description: &TargetDescription) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let schema = &description.settings_schema;
    let derive = "derive `schemars::JsonSchema` for a struct and use `synth_core::settings_schema::<Settings>()`";
    let properties = schema.get("properties").and_then(Value::as_object);
    let is_object = schema.get("type").is_none_or(|kind| kind == "object");
    let (Some(properties), true) = (properties, is_object) else {
        // A struct without fields has no properties either.
        if is_object && schema.get("type").is_some() {
            return found;
        }
        let message = "`settings_schema` is not the schema of an object with `properties`";
        found.push(finding("schema", message).help(derive));
        return found;
    };
    for key in properties
        .keys()
        .filter(|key| COMMON_KEYS.contains(&key.as_str()))
    {
        let message = format!("the setting `{key}` has the name of a key that every target has");
        found.push(
            finding("schema.common", message)
                .help("rename it; the common keys are fields of `TargetSpec`"),
        );
    }
    let keys = schema
        .as_object()
        .into_iter()
        .flat_map(|schema| schema.keys());
    for key in keys.filter(|key| !SCHEMA_KEYS.contains(&key.as_str())) {
        let message = format!("`{key}` at the top of `settings_schema` is not looked at");
        found.push(finding("schema.ignored", message).help(
            "keys of a target are `properties`, `required` and `additionalProperties: false`: put alternatives into the schema of one setting, and check what must go together in `validate`",
        ));
    }
    let mut references = BTreeSet::new();
    references_of(schema, &mut references);
    for reference in references {
        let pointer = reference.strip_prefix('#');
        if pointer.is_none_or(|pointer| schema.pointer(pointer).is_none()) {
            let message = format!("`settings_schema` refers to `{reference}`, which is not in it");
            found.push(finding("schema.reference", message).help(derive));
        }
    }
    let required = schema.get("required").and_then(Value::as_array);
    for key in required.into_iter().flatten().filter_map(Value::as_str) {
        if !properties.contains_key(key) {
            let message = format!("the required setting `{key}` is none of the `properties`");
            found.push(finding("schema.required", message).help(derive));
        }
    }
    for (key, property) in properties {
        if !is_described(schema, property) {
            let message = format!("the setting `{key}` has no description");
            found.push(
                finding("schema.description", message)
                    .help("write a doc comment on its field: users and editors see it"),
            );
        }
    }
    found
}

fn is_described(schema: &Value, property: &Value) -> bool {
    let text = property.get("description").and_then(Value::as_str);
    if text.is_some_and(|text| !text.trim().is_empty()) {
        return true;
    }
    let reference = property.get("$ref").and_then(Value::as_str);
    let pointer = reference.and_then(|reference| reference.strip_prefix('#'));
    let target = pointer.and_then(|pointer| schema.pointer(pointer));
    target.is_some_and(|target| target.get("description").is_some())
}

fn references_of<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match value {
                    Value::String(reference) if key == "$ref" => {
                        found.insert(reference);
                    }
                    _ => references_of(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references_of(item, found)),
        _ => {}
    }
}

fn alias_faults(description: &TargetDescription) -> Vec<Diagnostic> {
    let properties = description.settings_schema.get("properties");
    let has = |key: &str| properties.is_some_and(|properties| properties.get(key).is_some());
    let mut found = Vec::new();
    for alias in &description.setting_aliases {
        let (other, setting) = (&alias.alias, &alias.setting);
        if !has(setting) {
            let message = format!("`{other}` is an alias of `{setting}`, which is no setting");
            found.push(finding("alias", message).help("name one of the schema's `properties`"));
        }
        if has(other) || COMMON_KEYS.contains(&other.as_str()) {
            let message = format!("the alias `{other}` of `{setting}` is a key of its own already");
            found.push(finding("alias", message).help("leave the alias out"));
        }
    }
    found
}

fn identity_faults(description: &TargetDescription, identity: &CrateIdentity) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let name = &description.crate_name;
    if *name != identity.name {
        let message = format!(
            "`describe` says that the crate is `{name}`, but it is `{}`",
            identity.name
        );
        let help = "write `crate_name: env!(\"CARGO_PKG_NAME\").into()`";
        found.push(finding("crate", message).help(help));
    }
    let version = description.version.to_string();
    if version != identity.version {
        let message = format!(
            "`describe` says that the crate's version is {version}, but it is {}",
            identity.version
        );
        let help = "parse `env!(\"CARGO_PKG_VERSION\")`: it is part of every cache key";
        found.push(finding("crate", message).help(help));
    }
    found
}

/// Compares the crate's file with what is said, and rewrites it where that is allowed.
pub(super) fn check_file(
    kinds: &[&TestPipeline],
    directory: &Path,
    may_write: bool,
) -> Vec<Diagnostic> {
    let [pipeline] = kinds else {
        let names: Vec<&str> = kinds.iter().map(|kind| kind.target.kind.as_str()).collect();
        let message = format!("the pipelines are of several kinds: {}", names.join(", "));
        return vec![
            finding("file.kinds", message)
                .help("a crate has one target kind: add the others with `TestPipeline::with`"),
        ];
    };
    let description = match catch(|| pipeline.kind.describe()) {
        Ok(description) => KindDescription::from(description),
        Err(panic) => return vec![finding("panics", "`describe` panicked").cause(panic)],
    };
    let path = directory.join(FILE);
    let what = match fs::read_to_string(&path) {
        Ok(text) => match serde_json::from_str::<KindDescription>(&text) {
            Ok(known) if known == description => return Vec::new(),
            Ok(known) => {
                let in_json = |value| serde_json::to_value(value).unwrap_or_default();
                let how = difference(
                    &in_json(&known),
                    &in_json(&description),
                    ["in the file", "in `describe`"],
                );
                finding(
                    "file.differs",
                    format!("{FILE} is not what `describe` says"),
                )
                .cause(how)
            }
            Err(error) => {
                finding("file.differs", format!("{FILE} is no description")).caused_by(&error)
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => finding(
            "file.missing",
            format!("there is no {FILE} beside Cargo.toml"),
        ),
        Err(error) => {
            return vec![
                finding("file.unreadable", format!("{FILE} can't be read")).caused_by(&error),
            ];
        }
    };
    if !may_write {
        return vec![what.help(format!(
            "run the tests where the variable `CI` is not set: they bring {FILE} up to date; then commit it"
        ))];
    }
    vec![match write(&path, &description) {
        Ok(()) => what.help(format!(
            "{FILE} was brought up to date: run the tests again, and commit it"
        )),
        Err(error) => what
            .help("it can't be brought up to date: see the cause")
            .caused_by(&error),
    }]
}

fn write(path: &Path, description: &KindDescription) -> io::Result<()> {
    let mut text = serde_json::to_string_pretty(description)?;
    text.push('\n');
    // Beside it first: a plugin that is being compiled reads the old one or the new one.
    let directory = path.parent().unwrap_or(Path::new("."));
    let beside = directory.join(format!(".{FILE}.{}", std::process::id()));
    fs::write(&beside, text)?;
    fs::rename(&beside, path)
}

fn finding(code: &str, message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(format!("conformance.description.{code}"), message)
}
