//! What `cargo build --message-format=json` says (The Cargo Book, "External Tools"): what was
//! made, and what the compiler found.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;

/// What was said, in order.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    pub(crate) made: Vec<Made>,
    pub(crate) findings: Vec<Finding>,
}

/// Something that was made.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Made {
    package_id: String,
    target: MadeTarget,
    pub(crate) filenames: Vec<String>,
    /// The program, if it is one.
    pub(crate) executable: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct MadeTarget {
    kind: Vec<String>,
}

/// What the compiler found.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Finding {
    pub(crate) message: String,
    pub(crate) level: String,
    pub(crate) code: Option<Code>,
    #[serde(default)]
    pub(crate) spans: Vec<Span>,
    #[serde(default)]
    pub(crate) children: Vec<Finding>,
    /// As the compiler would have shown it.
    pub(crate) rendered: Option<String>,
}

/// A finding's number.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Code {
    pub(crate) code: String,
}

/// A place in a source file.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Span {
    pub(crate) file_name: String,
    pub(crate) is_primary: bool,
    pub(crate) line_start: u32,
    pub(crate) column_start: u32,
    #[serde(default)]
    pub(crate) text: Vec<SpanText>,
}

/// A line of a place.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct SpanText {
    pub(crate) text: String,
    pub(crate) highlight_start: u32,
    pub(crate) highlight_end: u32,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "reason")]
enum Message {
    #[serde(rename = "compiler-artifact")]
    Made(Made),
    #[serde(rename = "compiler-message")]
    Found { message: Finding },
    #[serde(other)]
    Other,
}

impl Messages {
    /// Reads what Cargo wrote to a file. Lines that are no messages are somebody else's.
    ///
    /// # Errors
    /// When the file can't be read.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let mut messages = Self::default();
        for line in BufReader::new(File::open(path)?).split(b'\n') {
            match serde_json::from_slice(&line?) {
                Ok(Message::Made(made)) => messages.made.push(made),
                Ok(Message::Found { message }) => messages.findings.push(message),
                Ok(Message::Other) | Err(_) => {}
            }
        }
        Ok(messages)
    }
}

impl Made {
    /// Whether it is a program that a package is made for, and not a test or a build script.
    pub(crate) fn is_binary(&self) -> bool {
        self.target.kind.iter().any(|kind| kind == "bin")
    }

    /// Whether it is a library that can be used without Cargo.
    pub(crate) fn is_library(&self) -> bool {
        let kinds = &mut self.target.kind.iter();
        kinds.any(|kind| matches!(kind.as_str(), "cdylib" | "staticlib"))
    }

    /// The name and the version of its package, from its identifier (The Cargo Book, "Package ID
    /// Specifications"): `path+file:///work/app#1.0.0` or `path+file:///work/dir#app@1.0.0`.
    pub(crate) fn package(&self) -> Option<(&str, &str)> {
        let (address, rest) = self.package_id.split_once('#')?;
        rest.split_once('@')
            .or_else(|| Some((address.rsplit('/').next()?, rest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_known_by_their_identifiers() {
        for (package_id, expected) in [
            ("path+file:///work/app#1.0.0", Some(("app", "1.0.0"))),
            (
                "path+file:///a%20b/dir#app@1.0.0-rc.1",
                Some(("app", "1.0.0-rc.1")),
            ),
            ("app 1.0.0 (path+file:///work/app)", None),
        ] {
            let made = Made {
                package_id: package_id.into(),
                target: MadeTarget { kind: Vec::new() },
                filenames: Vec::new(),
                executable: None,
            };
            assert_eq!(made.package(), expected, "{package_id}");
        }
    }
}
