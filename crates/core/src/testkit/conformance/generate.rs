//! Makes up settings from a schema: such as it allows, and such as nobody expects. The same ones
//! in every run.

use serde_json::{Map, Number, Value, json};

/// Places of a schema are looked at so deep.
const MOST_DEPTH: usize = 5;

/// Texts that a schema may allow and that code stumbles over.
const TEXTS: [&str; 44] = [
    "a",
    "name",
    "src/main.txt",
    "1.0.0",
    "",
    " ",
    "\n",
    "a b",
    "a\nb",
    "a\r\nb",
    "\t",
    "\u{0}",
    "\u{7}\u{1b}[31mred",
    "é",
    "日本語",
    "a\u{301}\u{200d}🦀",
    "\u{202e}abc",
    "\u{feff}a",
    "ß\u{130}",
    "..",
    "../outside",
    "a/../../b",
    "/etc/passwd",
    "/",
    ".",
    "./",
    "a//b/",
    "~/x",
    "C:\\x",
    "a\\b",
    "-rf",
    "--help",
    "*",
    "**/*",
    "[",
    "{a",
    "a:b@c",
    "a=b",
    "$HOME ${x} $(x) `x`",
    "\"'",
    "%s%n",
    "https://host/p?q#f",
    "99999999999999999999",
    "null",
];

/// Values of every type, most of them wrong wherever they are put.
fn odd_values() -> Vec<Value> {
    let mut deep = json!("deep");
    for _ in 0..60 {
        deep = json!([{ "a": deep }]);
    }
    let mut values = vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(-1e300),
        json!(u64::MAX),
        json!(i64::MIN),
        json!([]),
        json!([null]),
        json!([["a"], "a", 1]),
        json!({}),
        json!({ "": "" }),
        json!({ "a": { "b": [1] } }),
        deep,
        json!("é".repeat(50_000)),
        json!(vec!["a"; 5_000]),
    ];
    values.extend(TEXTS.iter().map(|text| json!(text)));
    values
}

/// Settings to try.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) settings: Map<String, Value>,
    /// The schema allows them, as far as it is understood here.
    pub(super) fits: bool,
}

/// Makes up settings for a schema.
pub(super) struct Generator<'a> {
    schema: &'a Value,
    random: fastrand::Rng,
}

impl<'a> Generator<'a> {
    pub(super) fn new(schema: &'a Value) -> Self {
        Self {
            schema,
            // Any number would do, if it is the same one each time.
            random: fastrand::Rng::with_seed(1980),
        }
    }

    /// About `most` settings: half of them such as the schema allows, half not.
    pub(super) fn attempts(&mut self, base: &Map<String, Value>, most: usize) -> Vec<Attempt> {
        let mut attempts = self.one_by_one(base);
        for _ in attempts.len()..most / 2 {
            if let Some(Value::Object(settings)) = self.sample(self.schema, 0) {
                attempts.push(Attempt {
                    settings,
                    fits: true,
                });
            }
        }
        attempts.truncate(most / 2);
        let mut wrong = self.wrong(base);
        self.random.shuffle(&mut wrong);
        wrong.truncate(most.saturating_sub(attempts.len()));
        attempts.extend(wrong);
        attempts
    }

    /// Each setting alone in some of its values, beside those of the base.
    fn one_by_one(&mut self, base: &Map<String, Value>) -> Vec<Attempt> {
        const VALUES: usize = 8;
        let mut attempts = Vec::new();
        let properties = self.schema.get("properties").and_then(Value::as_object);
        for (key, property) in properties.into_iter().flatten() {
            let mut known = Vec::new();
            for _ in 0..VALUES {
                let Some(value) = self.sample(property, 1) else {
                    break;
                };
                if !known.contains(&value) {
                    known.push(value.clone());
                    let mut settings = base.clone();
                    settings.insert(key.clone(), value);
                    attempts.push(Attempt {
                        settings,
                        fits: true,
                    });
                }
            }
        }
        self.random.shuffle(&mut attempts);
        attempts
    }

    /// Odd values at every place, keys that are missing, keys that nobody knows.
    fn wrong(&self, base: &Map<String, Value>) -> Vec<Attempt> {
        let mut found = vec![Map::new()];
        for key in base.keys() {
            let mut settings = base.clone();
            settings.remove(key);
            found.push(settings);
        }
        for key in ["", "unknown", "é", "a.b", "\u{0}"] {
            let mut settings = base.clone();
            settings.insert(key.into(), json!(1));
            found.push(settings);
        }
        let mut places = Vec::new();
        self.places(self.schema, &mut Vec::new(), &mut places);
        for place in &places {
            for value in odd_values() {
                let mut settings = Value::Object(base.clone());
                put(&mut settings, place, value);
                if let Value::Object(settings) = settings {
                    found.push(settings);
                }
            }
        }
        found
            .into_iter()
            .map(|settings| Attempt {
                settings,
                fits: false,
            })
            .collect()
    }

    /// Where the schema has values: keys and items, from the top down.
    fn places(&self, schema: &'a Value, path: &mut Vec<Step>, found: &mut Vec<Vec<Step>>) {
        if path.len() >= MOST_DEPTH {
            return;
        }
        let mut below = |step: Step, schema: &'a Value| {
            path.push(step);
            if !found.contains(path) {
                found.push(path.clone());
                self.places(schema, path, found);
            }
            path.pop();
        };
        let mut nested = Vec::new();
        for schema in self.variants(schema, 0) {
            let properties = schema.get("properties").and_then(Value::as_object);
            for (key, property) in properties.into_iter().flatten() {
                nested.push((Step::Key(key.clone()), property));
            }
            if let Some(items) = schema.get("items") {
                nested.push((Step::Item, items));
            }
            if let Some(values @ Value::Object(_)) = schema.get("additionalProperties") {
                nested.push((Step::Key("é b".into()), values));
            }
        }
        for (step, schema) in nested {
            below(step, schema);
        }
    }

    /// A schema with its references followed and its alternatives apart.
    fn variants(&self, schema: &'a Value, depth: usize) -> Vec<&'a Value> {
        let mut found = vec![schema];
        if depth >= MOST_DEPTH {
            return found;
        }
        found.extend(
            self.referred(schema)
                .into_iter()
                .flat_map(|schema| self.variants(schema, depth + 1)),
        );
        for keyword in ["anyOf", "oneOf", "allOf"] {
            let variants = schema.get(keyword).and_then(Value::as_array);
            for variant in variants.into_iter().flatten() {
                found.extend(self.variants(variant, depth + 1));
            }
        }
        found
    }

    fn referred(&self, schema: &Value) -> Option<&'a Value> {
        let reference = schema.get("$ref")?.as_str()?;
        self.schema.pointer(reference.strip_prefix('#')?)
    }

    /// A value that a schema allows; none where it is not understood well enough.
    fn sample(&mut self, schema: &'a Value, depth: usize) -> Option<Value> {
        if depth > 2 * MOST_DEPTH {
            return None;
        }
        if let Some(target) = self.referred(schema) {
            return self.sample(target, depth + 1);
        }
        if let Some(value) = schema.get("const") {
            return Some(value.clone());
        }
        for keyword in ["enum", "anyOf", "oneOf", "allOf"] {
            let Some(options) = schema.get(keyword).and_then(Value::as_array) else {
                continue;
            };
            let option = options.get(self.random.usize(..options.len().max(1)))?;
            return match keyword {
                "enum" => Some(option.clone()),
                "allOf" if options.len() > 1 => None,
                _ => self.sample(option, depth + 1),
            };
        }
        let kind = match schema.get("type") {
            Some(Value::String(kind)) => kind.as_str(),
            Some(Value::Array(kinds)) => kinds
                .get(self.random.usize(..kinds.len().max(1)))?
                .as_str()?,
            // Anything is allowed.
            _ => {
                let values = odd_values();
                return values.get(self.random.usize(..values.len())).cloned();
            }
        };
        match kind {
            "null" => Some(Value::Null),
            "boolean" => Some(Value::Bool(self.random.bool())),
            "integer" | "number" => self.number(schema),
            "string" => self.text(schema),
            "array" => self.list(schema, depth),
            "object" => self.object(schema, depth),
            _ => None,
        }
    }

    fn number(&mut self, schema: &Value) -> Option<Value> {
        let limit = |key: &str| schema.get(key).and_then(Value::as_i64);
        let least = limit("minimum").unwrap_or(-1_000_000);
        let most = limit("maximum").unwrap_or(4_000_000_000).max(least);
        if schema.get("multipleOf").is_some() || schema.get("exclusiveMinimum").is_some() {
            return None;
        }
        let choices = [
            least,
            most,
            0.clamp(least, most),
            1.clamp(least, most),
            self.random.i64(least..=most),
        ];
        let choice = choices[self.random.usize(..choices.len())];
        Some(Value::Number(Number::from(choice)))
    }

    fn text(&mut self, schema: &Value) -> Option<Value> {
        // What a pattern or a format allows is not known here; examples are.
        if schema.get("pattern").is_some() || schema.get("format").is_some() {
            let known = schema.get("examples").and_then(|list| list.get(0));
            return known.or_else(|| schema.get("default")).cloned();
        }
        let limit = |key: &str| {
            let limit = schema.get(key).and_then(Value::as_u64);
            limit.and_then(|limit| usize::try_from(limit).ok())
        };
        let (least, most) = (limit("minLength"), limit("maxLength"));
        let fits = |text: &&str| {
            let length = text.chars().count();
            least.is_none_or(|least| length >= least) && most.is_none_or(|most| length <= most)
        };
        let fitting: Vec<&str> = TEXTS.into_iter().filter(fits).collect();
        let choice = fitting.get(self.random.usize(..fitting.len().max(1)))?;
        Some(json!(choice))
    }

    fn list(&mut self, schema: &'a Value, depth: usize) -> Option<Value> {
        let limit = |key: &str| schema.get(key).and_then(Value::as_u64);
        let least = limit("minItems").unwrap_or(0);
        let most = limit("maxItems").unwrap_or(least + 3).max(least);
        let length = self.random.u64(least..=most.min(least + 3));
        let mut items: Vec<Value> = Vec::new();
        for _ in 0..length {
            let item = match schema.get("items") {
                Some(items) => self.sample(items, depth + 1)?,
                None => json!("a"),
            };
            let must_differ = schema.get("uniqueItems") == Some(&Value::Bool(true));
            if !(must_differ && items.contains(&item)) {
                items.push(item);
            }
        }
        (u64::try_from(items.len()).ok()? >= least).then_some(Value::Array(items))
    }

    fn object(&mut self, schema: &'a Value, depth: usize) -> Option<Value> {
        let required = schema.get("required").and_then(Value::as_array);
        let is_required =
            |key: &str| required.is_some_and(|keys| keys.iter().any(|required| required == key));
        let mut object = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object);
        for (key, property) in properties.into_iter().flatten() {
            if is_required(key) {
                object.insert(key.clone(), self.sample(property, depth + 1)?);
            } else if self.random.u8(..3) == 0
                && let Some(value) = self.sample(property, depth + 1)
            {
                object.insert(key.clone(), value);
            }
        }
        if let Some(values @ Value::Object(_)) = schema.get("additionalProperties") {
            for _ in 0..self.random.usize(..3) {
                let key = TEXTS[self.random.usize(..TEXTS.len())];
                object.insert(key.into(), self.sample(values, depth + 1)?);
            }
        }
        Some(Value::Object(object))
    }
}

/// A step down into a value.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Item,
}

/// Puts a value at a place, making what is above it.
fn put(into: &mut Value, place: &[Step], value: Value) {
    let Some((step, rest)) = place.split_first() else {
        *into = value;
        return;
    };
    match step {
        Step::Key(key) => {
            if !into.is_object() {
                *into = json!({});
            }
            if let Value::Object(object) = into {
                put(
                    object.entry(key.clone()).or_insert(Value::Null),
                    rest,
                    value,
                );
            }
        }
        Step::Item => {
            if !matches!(into, Value::Array(items) if !items.is_empty()) {
                *into = json!([null]);
            }
            if let Value::Array(items) = into {
                put(&mut items[0], rest, value);
            }
        }
    }
}

/// Values that are a little less than this one, the least first.
pub(super) fn smaller(value: &Value) -> Vec<Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Bool(false) => vec![Value::Null],
        Value::Bool(true) => vec![Value::Null, json!(false)],
        Value::Number(number) if number.as_i64() == Some(0) => vec![Value::Null],
        Value::Number(_) => vec![Value::Null, json!(0)],
        Value::String(text) => smaller_texts(text),
        Value::Array(items) => {
            let mut found = vec![Value::Null, json!([])];
            let half = items.len() / 2;
            if half > 0 {
                found.push(json!(items[..half]));
                found.push(json!(items[half..]));
            }
            for (index, item) in items.iter().enumerate().take(8) {
                let mut without = items.clone();
                without.remove(index);
                found.push(Value::Array(without));
                for less in smaller(item) {
                    let mut with = items.clone();
                    with[index] = less;
                    found.push(Value::Array(with));
                }
            }
            found.retain(|candidate| candidate != value);
            found
        }
        Value::Object(object) => {
            let mut found = vec![Value::Null];
            found.extend(smaller_objects(object).into_iter().map(Value::Object));
            found
        }
    }
}

fn smaller_texts(text: &str) -> Vec<Value> {
    if text.is_empty() {
        return vec![Value::Null];
    }
    let half = text.floor_char_boundary(text.len() / 2);
    let first = text.chars().next().map_or(0, char::len_utf8);
    let last = text.char_indices().next_back().map_or(0, |(at, _)| at);
    let mut found = vec![Value::Null, json!("")];
    for part in [&text[..half], &text[half..], &text[first..], &text[..last]] {
        if !part.is_empty() && part.len() < text.len() {
            found.push(json!(part));
        }
    }
    found
}

/// Tables with one key less than this one, or one item less in a list of it.
pub(super) fn fewer(object: &Map<String, Value>) -> Vec<Map<String, Value>> {
    let keys = object.len();
    let mut found = smaller_objects(object);
    found.truncate(keys);
    for (key, value) in object {
        for index in 0..value.as_array().map_or(0, Vec::len).min(8) {
            let mut with = object.clone();
            if let Some(Value::Array(items)) = with.get_mut(key) {
                items.remove(index);
            }
            found.push(with);
        }
    }
    found
}

/// Tables that are a little less than this one.
pub(super) fn smaller_objects(object: &Map<String, Value>) -> Vec<Map<String, Value>> {
    let mut found = Vec::new();
    for key in object.keys() {
        let mut without = object.clone();
        without.remove(key);
        found.push(without);
    }
    for (key, value) in object {
        for less in smaller(value) {
            let mut with = object.clone();
            with.insert(key.clone(), less);
            found.push(with);
        }
    }
    found
}
