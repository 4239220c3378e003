//! A configuration file as a tree in which every value and key knows its place in the text. Reads
//! TOML and JSON into the same tree; what the values mean is left to the rest of `config`.

use std::ops::Range;

use serde_json::{Map, Value};
use synth_core::{Diagnostic, TextPosition};

/// A value with the bytes it was read from.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) value: NodeValue,
    pub(crate) span: Range<usize>,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(crate) enum NodeValue {
    /// A text, number, truth value or null.
    Scalar(Value),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Range<usize>,
    pub(crate) value: Node,
}

impl Node {
    pub(crate) fn table(&self) -> Option<&Vec<Entry>> {
        match &self.value {
            NodeValue::Table(entries) => Some(entries),
            _ => None,
        }
    }

    pub(crate) fn table_mut(&mut self) -> Option<&mut Vec<Entry>> {
        match &mut self.value {
            NodeValue::Table(entries) => Some(entries),
            _ => None,
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.table()?.iter().find(|entry| entry.key == key)
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            NodeValue::Scalar(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// Itself with tables and lists that are empty where `is_left_out` says so, by the keys that lead there.
    pub(crate) fn outline(&self, is_left_out: &dyn Fn(&[&str]) -> bool) -> Self {
        self.outlined(&mut Vec::new(), is_left_out)
    }

    fn outlined<'a>(
        &'a self,
        path: &mut Vec<&'a str>,
        is_left_out: &dyn Fn(&[&str]) -> bool,
    ) -> Self {
        let value = match &self.value {
            NodeValue::Table(_) if is_left_out(path) => NodeValue::Table(Vec::new()),
            NodeValue::List(_) if is_left_out(path) => NodeValue::List(Vec::new()),
            NodeValue::Table(entries) => {
                let mut kept = Vec::with_capacity(entries.len());
                for entry in entries {
                    path.push(&entry.key);
                    kept.push(Entry {
                        key: entry.key.clone(),
                        key_span: entry.key_span.clone(),
                        value: entry.value.outlined(path, is_left_out),
                    });
                    path.pop();
                }
                NodeValue::Table(kept)
            }
            whole => whole.clone(),
        };
        Self {
            value,
            span: self.span.clone(),
        }
    }

    /// The value without its places.
    pub(crate) fn to_json(&self) -> Value {
        match &self.value {
            NodeValue::Scalar(value) => value.clone(),
            NodeValue::List(items) => items.iter().map(Node::to_json).collect(),
            NodeValue::Table(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), entry.value.to_json()))
                .collect::<Map<_, _>>()
                .into(),
        }
    }

    /// The place of the value at `path`, or of the nearest value above it that is there.
    pub(crate) fn locate<S: AsRef<str>>(&self, path: &[S]) -> Range<usize> {
        let mut node = self;
        let mut span = self.span.clone();
        for segment in path {
            let segment = segment.as_ref();
            let below = match &node.value {
                NodeValue::Table(_) => node.get(segment),
                NodeValue::List(items) => segment.parse().ok().and_then(|i: usize| items.get(i)),
                NodeValue::Scalar(_) => None,
            };
            let Some(below) = below else { break };
            node = below;
            span = below.span.clone();
        }
        span
    }
}

/// A configuration file that was read.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    /// As shown to the user.
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) root: Node,
}

impl Document {
    /// Reads TOML 1.0 or, for a path that ends in `.json`, JSON (RFC 8259). Every syntax error
    /// is reported.
    pub(crate) fn parse(path: &str, bytes: Vec<u8>) -> Result<Self, Vec<Diagnostic>> {
        let text = String::from_utf8(bytes).map_err(|error| vec![not_text(path, &error)])?;
        // A byte order mark, as some editors write it, is not part of the text.
        let text = match text.strip_prefix('\u{feff}') {
            Some(rest) => rest.to_owned(),
            None => text,
        };
        let is_json = path.to_ascii_lowercase().ends_with(".json");
        let parsed = if is_json {
            json_tree(&text)
        } else {
            toml_tree(&text)
        };
        match parsed {
            Ok(root) => Ok(Self {
                path: path.to_owned(),
                text,
                root,
            }),
            Err(problems) => Err(problems
                .into_iter()
                .map(|(message, span)| {
                    let format = if is_json { "JSON" } else { "TOML" };
                    let diagnostic = Diagnostic::error(
                        "config.syntax",
                        format!("`{path}` is not valid {format}: {message}"),
                    );
                    diagnostic.at_span(path, &text, &span)
                })
                .collect()),
        }
    }

    /// Puts a diagnostic at a place of this file.
    pub(crate) fn place(&self, diagnostic: Diagnostic, span: &Range<usize>) -> Diagnostic {
        diagnostic.at_span(self.path.as_str(), &self.text, span)
    }
}

fn not_text(path: &str, error: &std::string::FromUtf8Error) -> Diagnostic {
    let offset = error.utf8_error().valid_up_to();
    let before = error.as_bytes().get(..offset).unwrap_or_default();
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before
        .iter()
        .rev()
        .take_while(|byte| **byte != b'\n')
        .count()
        + 1;
    let position = TextPosition {
        line: to_u32(line),
        column: to_u32(column),
        length: 0,
    };
    Diagnostic::error(
        "config.encoding",
        format!("`{path}` is not UTF-8 text: byte {offset} is wrong"),
    )
    .at(path, position, None)
    .help("save the file as UTF-8")
}

fn to_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

type Problems = Vec<(String, Range<usize>)>;

fn toml_tree(text: &str) -> Result<Node, Problems> {
    let (table, errors) = toml::de::DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(errors
            .iter()
            .map(|error| {
                let message = error.message().trim().replace('\n', ", ");
                (message, error.span().unwrap_or_default())
            })
            .collect());
    }
    let mut problems = Vec::new();
    let root = toml_table(table.get_ref(), 0..text.len(), &mut problems);
    if problems.is_empty() {
        Ok(root)
    } else {
        Err(problems)
    }
}

fn toml_table(table: &toml::de::DeTable<'_>, span: Range<usize>, problems: &mut Problems) -> Node {
    let entries = table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            key_span: key.span(),
            value: toml_value(value, problems),
        })
        .collect();
    Node {
        value: NodeValue::Table(entries),
        span,
    }
}

fn toml_value(value: &toml::Spanned<toml::de::DeValue<'_>>, problems: &mut Problems) -> Node {
    use toml::de::DeValue;
    let span = value.span();
    let scalar = match value.get_ref() {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Boolean(truth) => Value::from(*truth),
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(integer) => Value::from(integer),
            Err(_) => {
                problems.push(("the number is too large".into(), span.clone()));
                Value::Null
            }
        },
        DeValue::Float(float) => float
            .as_str()
            .parse::<f64>()
            .map_or(Value::Null, Value::from),
        DeValue::Datetime(moment) => Value::from(moment.to_string()),
        DeValue::Array(items) => {
            let items = items.iter().map(|item| toml_value(item, problems));
            return Node {
                value: NodeValue::List(items.collect()),
                span,
            };
        }
        DeValue::Table(table) => return toml_table(table, span, problems),
    };
    Node {
        value: NodeValue::Scalar(scalar),
        span,
    }
}

fn json_tree(text: &str) -> Result<Node, Problems> {
    let options = jsonc_parser::ParseOptions {
        allow_comments: false,
        allow_loose_object_property_names: false,
        allow_trailing_commas: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let parsed =
        jsonc_parser::parse_to_ast(text, &jsonc_parser::CollectOptions::default(), &options)
            .map_err(|error| {
                let range = error.range();
                vec![(error.kind().to_string(), range.start..range.end)]
            })?;
    let Some(value) = parsed.value else {
        // An empty file is an empty pipeline, as in TOML.
        return Ok(Node {
            value: NodeValue::Table(Vec::new()),
            span: 0..text.len(),
        });
    };
    let mut problems = Vec::new();
    let root = json_value(&value, &mut problems);
    if problems.is_empty() {
        Ok(root)
    } else {
        Err(problems)
    }
}

fn json_value(value: &jsonc_parser::ast::Value<'_>, problems: &mut Problems) -> Node {
    use jsonc_parser::ast::Value as Json;
    use jsonc_parser::common::Ranged;
    let range = value.range();
    let span = range.start..range.end;
    let value = match value {
        Json::StringLit(text) => NodeValue::Scalar(Value::from(text.value.as_ref())),
        Json::NumberLit(number) => match serde_json::from_str(number.value) {
            Ok(number) => NodeValue::Scalar(number),
            Err(error) => {
                problems.push((error.to_string(), span.clone()));
                NodeValue::Scalar(Value::Null)
            }
        },
        Json::BooleanLit(truth) => NodeValue::Scalar(Value::from(truth.value)),
        Json::NullKeyword(_) => NodeValue::Scalar(Value::Null),
        Json::Array(array) => NodeValue::List(
            array
                .elements
                .iter()
                .map(|item| json_value(item, problems))
                .collect(),
        ),
        Json::Object(object) => {
            let mut entries: Vec<Entry> = Vec::new();
            for property in &object.properties {
                let name_range = property.name.range();
                let key = property.name.as_str().to_owned();
                let key_span = name_range.start..name_range.end;
                if entries.iter().any(|entry| entry.key == key) {
                    problems.push((format!("the key `{key}` is there twice"), key_span.clone()));
                }
                entries.push(Entry {
                    key,
                    key_span,
                    value: json_value(&property.value, problems),
                });
            }
            NodeValue::Table(entries)
        }
    };
    Node { value, span }
}
