//! The messages of released interfaces, kept as files: today's host and today's plugins read them,
//! and what they write still holds all that was in them. A message that was released never
//! changes its shape; only fields are added, and those have defaults.
//!
//! `SYNTH_UPDATE_MESSAGES=1` writes the files that are not there yet, and no others.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can't go on says so by ending"
)]

mod samples;

use std::fmt::Debug;
use std::fs;
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use synth_core::{INTERFACE_VERSION, Message};

/// One released message: what the file holds is this value.
struct Released {
    name: &'static str,
    check: Box<dyn Fn(&str)>,
    text: String,
}

impl Released {
    fn new<T>(name: &'static str, value: T) -> Self
    where
        T: Serialize + DeserializeOwned + PartialEq + Debug + 'static,
    {
        let mut text = serde_json::to_string_pretty(&Message::new(&value)).unwrap();
        text.push('\n');
        Self {
            name,
            check: Box::new(move |released| check(name, released, &value)),
            text,
        }
    }
}

fn directory(version: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/messages")
        .join(version)
}

/// The messages of a version that are kept.
fn kept(version: &str) -> Vec<String> {
    let files = fs::read_dir(directory(version)).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn messages_of_every_interface_are_read_and_written_as_they_were_released() {
    let messages = samples::all();
    let sample = |file: &str| {
        let mut messages = messages.iter();
        let found = messages.find(|message| format!("{}.json", message.name) == file);
        found.unwrap_or_else(|| panic!("{file} has no sample"))
    };
    for version in ["0.1", "0.2"] {
        for file in kept(version) {
            let released = fs::read_to_string(directory(version).join(&file)).unwrap();
            (sample(&file).check)(&released);
        }
    }
}

#[test]
fn every_message_of_this_interface_is_kept() {
    let version = format!("{}.{}", INTERFACE_VERSION.major, INTERFACE_VERSION.minor);
    let directory = directory(&version);
    let mut known = Vec::new();
    for message in samples::all() {
        let file = format!("{}.json", message.name);
        let path = directory.join(&file);
        if !path.exists() && std::env::var_os("SYNTH_UPDATE_MESSAGES").is_some() {
            fs::create_dir_all(&directory).unwrap();
            fs::write(&path, &message.text).unwrap();
        }
        known.push(file);
    }
    known.sort();
    assert_eq!(kept(&version), known);
}

fn check<T>(name: &str, released: &str, value: &T)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let read = |text: &str| Message::<T>::from_json(text);
    let message = read(released).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    assert_eq!(&message.body, value, "{name} is read as it was meant");

    let released: Value = serde_json::from_str(released).unwrap();
    let mut written = serde_json::to_value(Message::new(value)).unwrap();
    written["interface"] = released["interface"].clone();
    if let Err(problem) = holds(&written, &released, name) {
        panic!("what is written now has another shape: {problem}");
    }

    for place in structures(&released) {
        let mut newer = released.clone();
        newer["interface"] = json!("0.9.0");
        let object = newer.pointer_mut(&place).unwrap().as_object_mut().unwrap();
        object.insert("of_a_later_version".into(), json!({ "anything": [1] }));
        let message = read(&newer.to_string())
            .unwrap_or_else(|error| panic!("{name}, an unknown field at `{place}`: {error:?}"));
        assert_eq!(
            &message.body, value,
            "{name}, an unknown field at `{place}`"
        );
    }
}

/// Whether everything of `released` is in `written`; fields may have been added.
fn holds(written: &Value, released: &Value, at: &str) -> Result<(), String> {
    match (written, released) {
        (Value::Object(written), Value::Object(released)) => {
            released.iter().try_for_each(|(key, value)| {
                let place = format!("{at}/{key}");
                let own = written.get(key).ok_or(format!("{place} is gone"))?;
                holds(own, value, &place)
            })
        }
        (Value::Array(written), Value::Array(released)) => {
            if written.len() != released.len() {
                return Err(format!("{at} has another length"));
            }
            let mut pairs = written.iter().zip(released).enumerate();
            pairs.try_for_each(|(index, (own, value))| holds(own, value, &format!("{at}/{index}")))
        }
        (written, released) if written == released => Ok(()),
        (written, released) => Err(format!("{at} was {released} and is {written}")),
    }
}

/// Keys whose values have keys of the user's or the plugin's own choice, or are another message's.
const MAPS: [&str; 8] = [
    // A receipt's.
    "data",
    "question",
    "answer",
    "environment",
    "settings",
    "parameters",
    "settings_schema",
    "attributes",
];

/// Keys that choose one of several forms of a message.
const VARIANTS: [&str; 25] = [
    "processes",
    "directory",
    "present",
    "done",
    "malformed",
    "panicked",
    "success",
    "failure",
    "exec",
    "native",
    "source",
    "files",
    "output",
    "target",
    "inline",
    "Ok",
    "Err",
    "NotFound",
    "NotText",
    "Leaves",
    "Pattern",
    "Io",
    "Missing",
    "Broken",
    "body",
];

/// The places of objects whose fields the interface names.
fn structures(message: &Value) -> Vec<String> {
    fn walk(value: &Value, at: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(object) => {
                let choice =
                    object.len() == 1 && object.keys().all(|key| VARIANTS.contains(&key.as_str()));
                if !choice {
                    found.push(at.to_owned());
                }
                for (key, value) in object {
                    if !MAPS.contains(&key.as_str()) {
                        walk(value, &format!("{at}/{key}"), found);
                    }
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    walk(item, &format!("{at}/{index}"), found);
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(message, "", &mut found);
    found
}

#[test]
fn a_message_that_changed_its_shape_is_noticed() {
    let released = json!({ "a": [1, { "b": "c" }] });
    for (written, problem) in [
        (json!({ "a": [1, { "b": "c", "new": 1 }], "new": 2 }), None),
        (json!({ "renamed": [] }), Some("m/a is gone")),
        (json!({ "a": [1] }), Some("m/a has another length")),
        (
            json!({ "a": ["1", { "b": "c" }] }),
            Some("m/a/0 was 1 and is \"1\""),
        ),
        (
            json!({ "a": [1, { "b": null }] }),
            Some("m/a/1/b was \"c\" and is null"),
        ),
    ] {
        let found = holds(&written, &released, "m").err();
        assert_eq!(found.as_deref(), problem, "{written}");
    }
}
