//! Programs that actions run: what a target asks for, what was found, and what a user is told
//! when it was not.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Digest;

/// A program to look for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ToolRequest {
    /// The name that actions call it by.
    pub name: String,
    /// What is looked for: a file name, found through the user's `PATH`, or an absolute path.
    pub program: String,
    /// Arguments that make it say its version, run once with the user's own environment. Empty:
    /// it is not asked. An exit code other than 0 is [`ToolError::Broken`].
    #[serde(default)]
    pub version_arguments: Vec<String>,
}

impl ToolRequest {
    /// A program of that name on the `PATH`, asked for its version with `--version`.
    pub fn named(name: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            program: name.clone(),
            name,
            version_arguments: vec!["--version".into()],
        }
    }

    /// Another program (file name or absolute path) under this name.
    #[must_use]
    pub fn program(mut self, program: impl Into<String>) -> Self {
        self.program = program.into();
        self
    }

    /// Other arguments to ask with.
    #[must_use]
    pub fn version_arguments<S: Into<String>>(
        mut self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Self {
        self.version_arguments = arguments.into_iter().map(Into::into).collect();
        self
    }
}

/// A program that was found. Part of the cache key of every action that declares it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tool {
    /// The name that actions call it by.
    pub name: String,
    /// The executable, absolute.
    pub path: PathBuf,
    /// What it printed when asked for its version, trimmed (standard output, or standard error
    /// when that was empty). Empty when it was not asked.
    #[serde(default)]
    pub version_output: String,
    /// The digest of the executable's bytes.
    pub digest: Digest,
}

impl Tool {
    /// The first dotted number in `version_output`: `28.2.2` of `Docker version 28.2.2, build..`.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version_output
            .split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+')))
            .map(|word| word.strip_prefix('v').unwrap_or(word))
            .find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'))
    }
}

/// Why a program can't be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum ToolError {
    /// Nothing of that name.
    #[error("`{program}` was not found")]
    Missing {
        /// What was looked for.
        program: String,
    },
    /// It is there, but does not say its version.
    #[error("`{program}` is there but does not work: {reason}")]
    Broken {
        /// What was run.
        program: String,
        /// Its exit and the last thing it said.
        reason: String,
    },
}

/// A tool that a target needs, for `synth check`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// The program.
    pub tool: ToolRequest,
    /// The lowest version that does, when there is one: `20.10`.
    #[serde(default)]
    pub minimum_version: Option<String>,
    /// What the target does with it: `builds wheels and sdists`.
    pub purpose: String,
    /// How to get it: a command, or where to read.
    pub how_to_get: String,
    /// The target builds without it, in another way.
    #[serde(default)]
    pub optional: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_tools_say() {
        for (said, version) in [
            ("Docker version 28.2.2, build e6534b4", Some("28.2.2")),
            ("uv 0.9.1 (2026-01-01)", Some("0.9.1")),
            ("v20.20.2", Some("20.20.2")),
            (
                "hugo v0.111.3+extended linux/amd64",
                Some("0.111.3+extended"),
            ),
            ("no version", None),
        ] {
            let tool = Tool {
                name: "tool".into(),
                path: "/bin/tool".into(),
                version_output: said.into(),
                digest: Digest::new("0".repeat(64), 0).unwrap(),
            };
            assert_eq!(tool.version(), version, "{said}");
        }
    }
}
