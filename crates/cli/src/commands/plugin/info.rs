//! `synth plugin info`: what a plugin is, where it came from, and the settings of its targets.

use serde::Serialize;
use serde_json::Value;
use synth_core::{Manifest, TargetDescription};
use synth_engine::Registry;
use synth_engine::plugin::{FoundPlugin, Record};

use super::list::{PluginReport, report};
use super::{Outcome, Scene, is_file_name, isolation, print, print_json, state, table};
use crate::arguments::{Global, PluginInfoArguments, ReportFormat};
use crate::exit;

/// The JSON form.
#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    plugin: PluginReport<'a>,
    manifest: &'a Manifest,
}

pub(crate) fn run(global: &Global, arguments: &PluginInfoArguments, linked: &Registry) -> Outcome {
    let scene = Scene::new(global)?;
    let name = arguments.plugin.as_str();
    let found = match scene.find(name) {
        Ok(found) => found,
        Err(problems) => {
            // A kind that synth brings is asked about the same way.
            return match linked.description(name).filter(|_| !is_file_name(name)) {
                Some(description) if arguments.format == ReportFormat::Human => {
                    print(&built_in(description));
                    Ok(exit::SUCCESS)
                }
                _ => Err(problems),
            };
        }
    };
    let selections = scene.survey.selections(linked);
    let mut problems = Vec::new();
    let mut is_first = true;
    for found in &found {
        let Some(file) = &found.file else {
            problems.extend(found.problem.clone());
            continue;
        };
        let state = state(&scene.survey, found, selections.get(&found.kind));
        if arguments.format == ReportFormat::Json {
            print_json(&Report {
                version: 1,
                plugin: report(&scene.survey, found, &state),
                manifest: &file.manifest,
            })?;
            continue;
        }
        if !is_first {
            print("");
        }
        is_first = false;
        let words = state.words(scene.survey.uses(&found.kind));
        print(&about(&scene, found, &file.manifest, &file.sha256, words));
    }
    if is_first && !problems.is_empty() {
        return Err(problems);
    }
    Ok(exit::SUCCESS)
}

fn about(
    scene: &Scene,
    found: &FoundPlugin,
    manifest: &Manifest,
    sha256: &str,
    state: String,
) -> String {
    let Manifest {
        crate_name,
        version,
        interface,
        triple,
        rustc,
        target,
        ..
    } = manifest;
    let record = found.file.as_ref().and_then(Record::read);
    let mut facts = vec![
        ("plugin", format!("{crate_name} {version}")),
        ("interface", interface.to_string()),
        ("compiled", format!("for {triple} by {rustc}")),
        (
            "isolation",
            isolation(&scene.survey, &found.kind).to_owned(),
        ),
        ("state", state),
        ("library", found.path.display().to_string()),
        ("found in", found.origin.name().to_owned()),
    ];
    if let Some(record) = record {
        facts.push(("installed", format!("from {}", record.source)));
    }
    facts.push(("SHA-256", sha256.to_owned()));
    text(
        &target.kind,
        &target.description,
        facts,
        &target.settings_schema,
    )
}

fn built_in(description: &TargetDescription) -> String {
    let TargetDescription {
        kind,
        crate_name,
        version,
        description,
        settings_schema,
        ..
    } = description;
    let facts = vec![("built in", format!("{crate_name} {version}"))];
    text(kind, description, facts, settings_schema)
}

fn text(kind: &str, description: &str, facts: Vec<(&str, String)>, schema: &Value) -> String {
    let facts = facts
        .into_iter()
        .map(|(name, value)| [name.to_owned(), value]);
    let facts = table(["", ""], facts);
    let settings = settings(schema);
    if settings.is_empty() {
        return format!(
            "{kind}: {description}\n\n{facts}\n\nits targets have no settings of their own"
        );
    }
    let settings = table(["setting", "value", "default", "meaning"], settings);
    format!("{kind}: {description}\n\n{facts}\n\n{settings}")
}

/// The settings of a schema, a row each.
fn settings(schema: &Value) -> Vec<[String; 4]> {
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties
        .map(|(key, property)| {
            let default = match property.get("default") {
                _ if required.contains(&key.as_str()) => "required".to_owned(),
                None | Some(Value::Null) => String::new(),
                Some(value) => value.to_string(),
            };
            let meaning = property["description"].as_str().unwrap_or_default();
            [
                key.clone(),
                type_of(schema, property, 0),
                default,
                sentence(meaning),
            ]
        })
        .collect()
}

/// The first sentence of a description, on one line.
fn sentence(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.split_once(". ") {
        Some((first, _)) => first.to_owned(),
        None => line.trim_end_matches('.').to_owned(),
    }
}

/// What a value may be, in few words: `text`, `list of text`, `"fast" or "small"`.
fn type_of(root: &Value, schema: &Value, depth: usize) -> String {
    /// A schema that refers to itself ends here.
    const DEEPEST: usize = 6;
    if depth > DEEPEST {
        return "..".into();
    }
    let below = |schema: &Value| type_of(root, schema, depth + 1);
    if let Some(target) = schema["$ref"]
        .as_str()
        .and_then(|reference| root.pointer(reference.strip_prefix('#')?))
    {
        return below(target);
    }
    if let Some(constant) = schema.get("const") {
        return constant.to_string();
    }
    if let Some(options) = schema["enum"].as_array() {
        return either(options.iter().map(ToString::to_string));
    }
    for keyword in ["anyOf", "oneOf", "allOf"] {
        if let Some(variants) = schema[keyword].as_array() {
            let variants = variants.iter().filter(|one| one["type"] != "null");
            return either(variants.map(below));
        }
    }
    let names: Vec<&str> = match &schema["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    either(
        names
            .into_iter()
            .filter(|name| *name != "null")
            .map(|name| match name {
                "string" => "text".to_owned(),
                "boolean" => "true or false".to_owned(),
                "integer" => "whole number".to_owned(),
                "array" if schema["items"].is_object() => {
                    format!("list of {}", below(&schema["items"]))
                }
                "array" => "list".to_owned(),
                "object" if schema["additionalProperties"].is_object() => {
                    format!("table of {}", below(&schema["additionalProperties"]))
                }
                "object" => "table".to_owned(),
                other => other.to_owned(),
            }),
    )
}

fn either(words: impl Iterator<Item = String>) -> String {
    let mut words: Vec<String> = words.collect();
    words.dedup();
    words.join(" or ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_are_told_in_few_words() {
        let schema = json!({
            "$defs": { "Speed": { "enum": ["fast", "small"] } },
            "required": ["name"],
            "properties": {
                "name": { "type": "string", "description": "Who is greeted.\nOn one line. Never shown." },
                "times": { "type": ["integer", "null"], "default": 1 },
                "speed": { "anyOf": [{ "$ref": "#/$defs/Speed" }, { "type": "null" }] },
                "files": { "type": "array", "items": { "type": "string" }, "default": [] },
                "map": { "type": "object", "additionalProperties": { "type": "boolean" } },
            },
        });
        let rows: Vec<String> = settings(&schema)
            .iter()
            .map(|row| row.join(" | ").trim_end_matches([' ', '|']).to_owned())
            .collect();
        insta::assert_snapshot!(rows.join("\n"), @r#"
        name | text | required | Who is greeted
        times | whole number | 1
        speed | "fast" or "small"
        files | list of text | []
        map | table of true or false
        "#);
    }
}
