//! Says what is different from the last build: the key of an action, compared with the one that it
//! had when its outputs were made. Both are the messages themselves whose digest is the key, so
//! that nothing can be in the one and not in the other.

use std::collections::{BTreeMap, BTreeSet};

use bazel_remote_apis::build::bazel::remote::execution::v2 as reapi;
use prost::Message as _;
use serde::{Deserialize, Serialize};
use synth_core::{Action, Input, InputSource};

use crate::history::UsedBefore;
use crate::key::Key;
use crate::records::{Records, Sort};
use crate::tree::{Tree, TreeEntry};

/// More differences of one action are counted.
const MOST_SHOWN: usize = 10;

/// Longer values are cut.
const MOST_CHARACTERS: usize = 120;

/// The keys of a target's actions, as its last successful build had them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TargetKeys {
    pub(crate) target: String,
    /// By action: its key, encoded.
    pub(crate) actions: BTreeMap<String, KeyBytes>,
    /// By action: how long it took when it was executed last, in milliseconds.
    pub(crate) durations: BTreeMap<String, u64>,
    /// By action: what it used then. Written behind the rest, where records of before there was any
    /// end.
    #[serde(skip)]
    pub(crate) used: BTreeMap<String, UsedBefore>,
}

/// A key as Protocol Buffers messages (proto3, "Encoding").
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyBytes {
    command: Vec<u8>,
    platform: Vec<u8>,
    inputs: Vec<u8>,
}

impl KeyBytes {
    pub(crate) fn of(key: &Key) -> Self {
        Self {
            command: key.command.encode_to_vec(),
            platform: key.platform.encode_to_vec(),
            inputs: key.inputs.encode_to_vec(),
        }
    }

    fn key(&self) -> Option<Key> {
        Some(Key {
            command: reapi::Command::decode(self.command.as_slice()).ok()?,
            platform: reapi::Platform::decode(self.platform.as_slice()).ok()?,
            inputs: reapi::Tree::decode(self.inputs.as_slice()).ok()?,
        })
    }
}

impl TargetKeys {
    /// What was kept of a target; nothing where that can't be read.
    pub(crate) fn read(records: &Records, target: &str) -> Self {
        let record = records.get(Sort::Keys, target);
        record
            .and_then(|record| Self::decode(&record))
            .unwrap_or_default()
    }

    fn decode(record: &[u8]) -> Option<Self> {
        let (mut keys, rest): (Self, _) = postcard::take_from_bytes(record).ok()?;
        keys.used = postcard::from_bytes(rest).unwrap_or_default();
        Some(keys)
    }

    fn encode(&self) -> Option<Vec<u8>> {
        let record = postcard::to_allocvec(self).ok()?;
        postcard::to_extend(&self.used, record).ok()
    }

    /// Keeps those of several targets for the next build, which says less when they can't be kept.
    pub(crate) fn keep(all: &[Self], records: &Records) {
        let encoded: Vec<(&str, Vec<u8>)> = all
            .iter()
            .filter_map(|keys| Some((keys.target.as_str(), keys.encode()?)))
            .filter(|(target, keys)| records.get(Sort::Keys, target).as_ref() != Some(keys))
            .collect();
        let encoded = encoded.iter();
        let _ = records.put(
            Sort::Keys,
            encoded.map(|(target, keys)| (*target, keys.as_slice())),
        );
    }

    /// What is different for an action now, one sentence each: nothing when the key is the same.
    pub(crate) fn differences(&self, action: &Action, now: &Key) -> Vec<String> {
        let Some(before) = self.actions.get(&action.id) else {
            return vec![match self.actions.is_empty() {
                true => "no earlier build of it is known".to_owned(),
                false => format!("`{}` is a new step of it", action.description),
            }];
        };
        let Some(before) = before.key() else {
            return vec!["what is known of the earlier build can't be read".to_owned()];
        };
        let mut found = Vec::new();
        commands(&before.command, &now.command, &mut found);
        properties(&before.platform, &now.platform, &mut found);
        files(action, &before.inputs, &now.inputs, &mut found);
        if found.is_empty() && before != *now {
            found.push("its outputs are other ones".to_owned());
        }
        let more = found.len().saturating_sub(MOST_SHOWN);
        found.truncate(MOST_SHOWN);
        if more > 0 {
            found.push(format!("and {more} more differences"));
        }
        found
    }
}

fn commands(before: &reapi::Command, now: &reapi::Command, found: &mut Vec<String>) {
    if before.arguments != now.arguments {
        let (before, now) = (before.arguments.join(" "), now.arguments.join(" "));
        found.push(change("the command", Some(&before), Some(&now)));
    }
    if before.working_directory != now.working_directory {
        let (before, now) = (&before.working_directory, &now.working_directory);
        found.push(change("the working directory", Some(before), Some(now)));
    }
    let variables = |command: &reapi::Command| -> BTreeMap<String, String> {
        let variables = command.environment_variables.iter();
        variables
            .map(|variable| (variable.name.clone(), variable.value.clone()))
            .collect()
    };
    let (before, now) = (variables(before), variables(now));
    for name in keys(&before, &now) {
        let (before, now) = (before.get(&name), now.get(&name));
        if before != now {
            let what = format!("the variable `{name}`");
            found.push(change(&what, before, now));
        }
    }
}

fn properties(before: &reapi::Platform, now: &reapi::Platform, found: &mut Vec<String>) {
    let map = |platform: &reapi::Platform| -> BTreeMap<String, String> {
        let properties = platform.properties.iter();
        properties
            .map(|property| (property.name.clone(), property.value.clone()))
            .collect()
    };
    let (before, now) = (map(before), map(now));
    for name in keys(&before, &now) {
        let (before, now) = (before.get(&name), now.get(&name));
        if before == now {
            continue;
        }
        if let (Some(tool), Some(before), Some(now)) =
            (name.strip_prefix("synth.tool."), before, now)
        {
            found.push(tools(tool, before, now));
            continue;
        }
        let what = match name.as_str() {
            "synth.crate" => "the crate of the target kind".to_owned(),
            "synth.interface" => "the version of synth's interface".to_owned(),
            "synth.network" => "access to the network".to_owned(),
            "synth.sandbox" => "the sandbox".to_owned(),
            "ISA" => "the processor".to_owned(),
            "OSFamily" => "the operating system".to_owned(),
            name => match (
                name.strip_prefix("synth.tool."),
                name.strip_prefix("synth.output."),
            ) {
                (Some(tool), _) => format!("the tool `{tool}`"),
                (_, Some(output)) => format!("the output `{output}`"),
                _ => format!("`{name}`"),
            },
        };
        found.push(change(&what, before, now));
    }
}

/// What is different of a tool: where it is, what it says it is, or its file alone.
fn tools(name: &str, before: &str, now: &str) -> String {
    let part = |text: &str, index: usize| text.splitn(3, '\n').nth(index).map(ToOwned::to_owned);
    let what = format!("the tool `{name}`");
    for index in [2, 0] {
        let (before, now) = (part(before, index), part(now, index));
        if before != now {
            return change(&what, before.as_ref(), now.as_ref());
        }
    }
    let path = part(now, 0).unwrap_or_default();
    format!("{what} is another one in the same place: `{path}`")
}

fn files(action: &Action, before: &reapi::Tree, now: &reapi::Tree, found: &mut Vec<String>) {
    let (Some(before), Some(now)) = (Tree::from_message(before), Tree::from_message(now)) else {
        return;
    };
    let (before, now) = (contents(&before), contents(&now));
    for path in keys(&before, &now) {
        if before.get(&path) == now.get(&path) {
            continue;
        }
        if let Some(step) = step(action, &path) {
            let sentence = format!("its step `{step}` left something else");
            if !found.contains(&sentence) {
                found.push(sentence);
            }
            continue;
        }
        let shown = origin(action, &path);
        let sentence = match (before.get(&path), now.get(&path)) {
            (Some(before), Some(now))
                if before.trim_end_matches(EXECUTABLE) == now.trim_end_matches(EXECUTABLE) =>
            {
                let word = if now.ends_with(EXECUTABLE) {
                    "now"
                } else {
                    "no longer"
                };
                format!("{shown} is {word} executable")
            }
            (Some(_), Some(_)) => format!("{shown} has changed"),
            (None, _) => format!("{shown} is new"),
            (_, None) => format!("{shown} is gone"),
        };
        found.push(sentence);
    }
}

/// Marks the content of an executable file.
const EXECUTABLE: &str = " x";

/// Everything in a tree by its path, as a text to compare.
fn contents(tree: &Tree) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (path, entry) in tree.leaves() {
        let content = match entry {
            TreeEntry::File(file) if file.executable => {
                format!("{}{EXECUTABLE}", file.digest.sha256)
            }
            TreeEntry::File(file) => file.digest.sha256.clone(),
            TreeEntry::Symlink(to) => format!("-> {to}"),
            TreeEntry::Directory(_) => continue,
        };
        found.insert(path, content);
    }
    for path in tree.empty_directories() {
        found.insert(format!("{path}/"), String::new());
    }
    found
}

/// The input that a path of the input root belongs to, and where it is in that.
fn input<'a>(action: &'a Action, path: &str) -> Option<(&'a Input, String)> {
    let below = |at: &str| {
        let rest = match at.trim_matches('/') {
            "" | "." => Some(path),
            at => path
                .strip_prefix(at)
                .and_then(|rest| rest.strip_prefix('/').or((rest.is_empty()).then_some(rest))),
        };
        rest.map(ToOwned::to_owned)
    };
    let inputs = action.inputs.iter();
    inputs
        .filter_map(|input| Some((input, below(&input.at)?)))
        .max_by_key(|(input, _)| input.at.len())
}

/// The step of the same target that a path comes from.
fn step<'a>(action: &'a Action, path: &str) -> Option<&'a str> {
    match &input(action, path)?.0.from {
        InputSource::Output { action, .. } => Some(action),
        _ => None,
    }
}

/// What a path of the input root is to the user.
fn origin(action: &Action, path: &str) -> String {
    let Some((input, rest)) = input(action, path) else {
        return format!("`{path}`");
    };
    match &input.from {
        InputSource::Source(files) => source(&files.root, &rest),
        InputSource::Files { root, .. } => source(root, &rest),
        InputSource::Target { name } => format!("`{rest}` of the needed target `{name}`"),
        _ => format!("`{path}`, which the target kind writes,"),
    }
}

fn source(root: &synth_core::ProjectPath, rest: &str) -> String {
    match root.join(rest) {
        Ok(path) => format!("`{path}`"),
        Err(_) => format!("`{rest}`"),
    }
}

fn keys(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> BTreeSet<String> {
    before.keys().chain(now.keys()).cloned().collect()
}

fn change(what: &str, before: Option<&String>, now: Option<&String>) -> String {
    match (before, now) {
        (Some(before), Some(now)) => {
            let (before, now) = shown(before, now);
            format!("{what} was `{before}`, and is `{now}`")
        }
        (None, Some(now)) => format!("{what} is new: `{}`", cut(now)),
        (Some(before), None) => format!("{what} is gone: it was `{}`", cut(before)),
        (None, None) => what.to_owned(),
    }
}

/// Two values so far that the first difference can be seen.
fn shown(before: &str, now: &str) -> (String, String) {
    if before.chars().count().max(now.chars().count()) <= MOST_CHARACTERS {
        return (before.to_owned(), now.to_owned());
    }
    /// What is shown before the difference.
    const CONTEXT: usize = 30;
    let same = before.chars().zip(now.chars());
    let same = same.take_while(|(before, now)| before == now).count();
    let start = same.saturating_sub(CONTEXT);
    let part = |text: &str| {
        let rest: String = text.chars().skip(start).collect();
        let dots = if start > 0 { ".." } else { "" };
        format!("{dots}{}", cut(&rest))
    };
    (part(before), part(now))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MOST_CHARACTERS) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_before_there_was_usage_is_read() {
        let before = TargetKeys {
            target: "a".to_owned(),
            actions: [("run".to_owned(), KeyBytes::default())].into(),
            durations: [("run".to_owned(), 7)].into(),
            ..TargetKeys::default()
        };
        let record = postcard::to_allocvec(&before).unwrap();
        assert_eq!(TargetKeys::decode(&record), Some(before.clone()));
        let used = UsedBefore {
            cpu_ms: 300,
            wall_ms: 200,
            peak_memory_bytes: 1 << 33,
        };
        let now = TargetKeys {
            used: [("run".to_owned(), used)].into(),
            ..before
        };
        let record = now.encode().unwrap();
        assert_eq!(TargetKeys::decode(&record), Some(now));
    }
}
