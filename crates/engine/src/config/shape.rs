//! Checks a configuration tree against a JSON Schema and says each violation in the user's words,
//! at its place, with the nearest known key or value.

use jsonschema::Validator;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::paths::LocationSegment;
use serde_json::Value;
use synth_core::{Concern, Diagnostic};

use super::document::{Document, Node};

/// A JSON Schema, compiled once for all that is checked against it.
pub(crate) struct Shape {
    schema: Value,
    validator: Validator,
}

impl Shape {
    /// Compiles a schema.
    ///
    /// # Errors
    /// What is wrong with the schema.
    pub(crate) fn new(schema: Value) -> Result<Self, String> {
        match jsonschema::validator_for(&schema) {
            Ok(validator) => Ok(Self { schema, validator }),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// That the schema of `name` is none.
pub(crate) fn wrong_schema(name: &str, cause: &str) -> Diagnostic {
    Diagnostic::error(
        "kind.schema",
        format!("the settings schema of {name} is wrong"),
    )
    .concerning(Concern::Internal)
    .cause(cause.to_owned())
    .help("this is a fault of the target kind: report it to its authors")
}

/// Everything in `node` that `schema` does not allow. `name` is what messages call the node:
/// `synth.toml`, or `target `api``.
pub(crate) fn check_shape(
    document: &Document,
    node: &Node,
    schema: Value,
    name: &str,
) -> Vec<Diagnostic> {
    match Shape::new(schema) {
        Ok(shape) => shape.check(document, node, name),
        Err(cause) => vec![wrong_schema(name, &cause)],
    }
}

impl Shape {
    /// Everything in `node` that the schema does not allow.
    pub(crate) fn check(&self, document: &Document, node: &Node, name: &str) -> Vec<Diagnostic> {
        let Self { schema, validator } = self;
        let instance = node.to_json();
        let mut problems = Vec::new();
        for error in validator.iter_errors(&instance) {
            let path: Vec<String> = error
                .instance_path()
                .iter()
                .map(|segment| match segment {
                    LocationSegment::Property(key) => key.to_string(),
                    LocationSegment::Index(index) => index.to_string(),
                })
                .collect();
            describe(
                document,
                node,
                schema,
                name,
                &path,
                error.instance(),
                error.kind(),
                &mut problems,
            );
        }
        problems
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "one violation with all that its wording needs"
)]
fn describe(
    document: &Document,
    node: &Node,
    schema: &Value,
    name: &str,
    path: &[String],
    instance: &Value,
    kind: &ValidationErrorKind,
    problems: &mut Vec<Diagnostic>,
) {
    let span = node.locate(path);
    let subject = if path.is_empty() {
        name.to_owned()
    } else {
        format!("`{}` of {name}", path.join("."))
    };
    let problem = match kind {
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            for key in unexpected {
                problems.push(unknown_key(document, node, schema, path, &subject, key));
            }
            return;
        }
        ValidationErrorKind::Required { property } => {
            let key = property.as_str().unwrap_or_default();
            Diagnostic::error("config.required", format!("{subject} has no `{key}`"))
                .help(format!("add `{key} = ..`"))
        }
        ValidationErrorKind::Enum { options } => {
            let options: Vec<String> = options
                .as_array()
                .into_iter()
                .flatten()
                .map(text_of)
                .collect();
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            not_an_option(&subject, instance, &options)
        }
        ValidationErrorKind::Constant { expected_value } => {
            not_an_option(&subject, instance, &[&text_of(expected_value)])
        }
        ValidationErrorKind::Type { kind } => Diagnostic::error(
            "config.type",
            format!(
                "{subject} is {}, but {} was expected",
                type_of(instance),
                expected(kind)
            ),
        ),
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            alternatives(&subject, instance, path, context)
        }
        ValidationErrorKind::Minimum { limit } => Diagnostic::error(
            "config.value",
            format!("{subject} is {instance}; the least is {limit}"),
        ),
        ValidationErrorKind::Maximum { limit } => Diagnostic::error(
            "config.value",
            format!("{subject} is {instance}; the most is {limit}"),
        ),
        ValidationErrorKind::MinLength { .. } | ValidationErrorKind::MinItems { .. } => {
            Diagnostic::error("config.value", format!("{subject} is empty"))
        }
        _ => Diagnostic::error(
            "config.value",
            format!("{subject} has a value that is not allowed"),
        )
        .cause(format!(
            "`{instance}` violates `{}` of the schema",
            kind.keyword()
        )),
    };
    problems.push(document.place(problem, &span));
}

fn unknown_key(
    document: &Document,
    node: &Node,
    schema: &Value,
    path: &[String],
    subject: &str,
    key: &str,
) -> Diagnostic {
    let known = known_keys(schema, path);
    let mut diagnostic = Diagnostic::error(
        "config.unknown_key",
        format!("{subject} has an unknown key `{key}`"),
    );
    diagnostic = match nearest(key, known.iter().map(String::as_str)) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
        None if known.is_empty() => diagnostic,
        None => {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            diagnostic.help(format!("known keys: {}", list(&known)))
        }
    };
    let mut parent = node;
    for segment in path {
        if let Some(below) = parent.get(segment) {
            parent = below;
        }
    }
    let span = parent
        .entry(key)
        .map_or_else(|| node.locate(path), |entry| entry.key_span.clone());
    document.place(diagnostic, &span)
}

/// The keys that the schema has at `path`, looking through references and alternatives.
fn known_keys(schema: &Value, path: &[String]) -> Vec<String> {
    let mut places = vec![schema];
    for segment in path {
        places = places
            .into_iter()
            .flat_map(|place| resolved(schema, place))
            .filter_map(|place| {
                place
                    .get("properties")
                    .and_then(|properties| properties.get(segment))
                    .or_else(|| place.get("additionalProperties"))
                    .or_else(|| place.get("items"))
            })
            .collect();
    }
    let mut keys: Vec<String> = places
        .into_iter()
        .flat_map(|place| resolved(schema, place))
        .filter_map(|place| place.get("properties").and_then(Value::as_object))
        .flat_map(|properties| properties.keys().cloned())
        .collect();
    keys.sort();
    keys.dedup();
    keys
}

fn resolved<'a>(root: &'a Value, place: &'a Value) -> Vec<&'a Value> {
    let mut found = vec![place];
    if let Some(reference) = place.get("$ref").and_then(Value::as_str)
        && let Some(target) = reference
            .strip_prefix('#')
            .and_then(|pointer| root.pointer(pointer))
    {
        found.extend(resolved(root, target));
    }
    for keyword in ["anyOf", "oneOf", "allOf"] {
        if let Some(variants) = place.get(keyword).and_then(Value::as_array) {
            found.extend(variants.iter().flat_map(|variant| resolved(root, variant)));
        }
    }
    found
}

/// What a value could have been, gathered from alternatives within alternatives.
#[derive(Default)]
struct Alternatives {
    types: Vec<String>,
    options: Vec<String>,
    reasons: Vec<String>,
}

impl Alternatives {
    fn gather(&mut self, context: &[Vec<jsonschema::ValidationError<'static>>], depth: usize) {
        for error in context.iter().flatten() {
            let here = error.instance_path().iter().count() <= depth;
            match error.kind() {
                ValidationErrorKind::AnyOf { context }
                | ValidationErrorKind::OneOfNotValid { context }
                    if here =>
                {
                    self.gather(context, depth);
                }
                ValidationErrorKind::Type { kind } if here => self.types.push(expected(kind)),
                ValidationErrorKind::Enum { options } if here => {
                    let options = options.as_array().into_iter().flatten();
                    self.options.extend(options.map(text_of));
                }
                ValidationErrorKind::Constant { expected_value } if here => {
                    self.options.push(text_of(expected_value));
                }
                _ => self.reasons.push(error.to_string()),
            }
        }
    }
}

fn text_of(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), ToOwned::to_owned)
}

/// Of several alternatives: the values or types that were expected, else what is wrong below.
fn alternatives(
    subject: &str,
    instance: &Value,
    path: &[String],
    context: &[Vec<jsonschema::ValidationError<'static>>],
) -> Diagnostic {
    let mut found = Alternatives::default();
    found.gather(context, path.len());
    found.types.retain(|name| name != "null");
    found.types.dedup();
    let options: Vec<&str> = found.options.iter().map(String::as_str).collect();
    if !options.is_empty() && instance.is_string() {
        return not_an_option(subject, instance, &options);
    }
    if found.reasons.is_empty() {
        let mut expected = found.types;
        if !options.is_empty() {
            expected.push(format!("one of {}", list(&options)));
        }
        let (is, expected) = (type_of(instance), expected.join(" or "));
        return Diagnostic::error(
            "config.type",
            format!("{subject} is {is}, but {expected} was expected"),
        );
    }
    found.reasons.into_iter().fold(
        Diagnostic::error(
            "config.value",
            format!("{subject} has a value that is not allowed"),
        ),
        Diagnostic::cause,
    )
}

fn not_an_option(subject: &str, instance: &Value, options: &[&str]) -> Diagnostic {
    let value = text_of(instance);
    let diagnostic = Diagnostic::error(
        "config.value",
        format!(
            "{subject} can't be `{value}`; it is one of {}",
            list(options)
        ),
    );
    match nearest(&value, options.iter().copied()) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
        None => diagnostic,
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value (true or false)",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

fn expected(kind: &TypeKind) -> String {
    let words = |name: &str| {
        match name {
            "boolean" => "a truth value (true or false)",
            "integer" => "a whole number",
            "number" => "a number",
            "string" => "a text",
            "array" => "a list",
            "object" => "a table",
            _ => "null",
        }
        .to_owned()
    };
    match kind {
        TypeKind::Single(single) => words(&single.to_string()),
        TypeKind::Multiple(several) => {
            let names: Vec<String> = several
                .iter()
                .map(|one| words(&one.to_string()))
                .filter(|name| name != "null")
                .collect();
            names.join(" or ")
        }
    }
}

/// The known word that is most likely meant, if one is near enough.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|known| (strsim::jaro_winkler(word, known), known))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

/// `a`, `b` and `c`, each in backticks.
pub(crate) fn list(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => format!("`{one}`"),
        [first @ .., last] => {
            let first: Vec<String> = first.iter().map(|word| format!("`{word}`")).collect();
            format!("{} and `{last}`", first.join(", "))
        }
    }
}
