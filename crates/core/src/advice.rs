//! What to do about a failure that people meet: patterns that tell it, and the way out. Values
//! only; the engine looks for them when an action has failed.

use serde::{Deserialize, Serialize};

use crate::Network;

/// A failure that is known, and the way out of it.
///
/// What the groups of the pattern matched can be named in `message` and `help`, as `$1` or
/// `${name}`; a dollar sign itself is `$$`.
///
/// ```
/// use synth_core::Advice;
///
/// let advice = Advice::new(
///     "greet.nobody",
///     r"nobody is called (\S+)",
///     "`$1` is in no list of names",
/// )
/// .help("add `$1` to names.txt");
/// assert_eq!(advice.help.len(), 1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advice {
    /// A stable name, as that of a [`Diagnostic`](crate::Diagnostic): `python.module.missing`.
    pub code: String,
    /// A regular expression, in the syntax of the crate `regex`, for one line of the output or of
    /// what is said of the failure. Empty where the exit code tells enough.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pattern: String,
    /// The exit code that the process has to have ended with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Whether only actions are meant that may use the network, or only those that may not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// The fact, in one sentence without a final period, naming the thing.
    pub message: String,
    /// What to do; one suggestion an item.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub help: Vec<String>,
}

impl Advice {
    /// Of what a line of the output tells.
    pub fn new(
        code: impl Into<String>,
        pattern: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            code: code.into(),
            pattern: pattern.into(),
            exit_code: None,
            network: None,
            message: message.into(),
            help: Vec::new(),
        }
    }

    /// Adds a suggestion.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Of processes that ended with this exit code alone.
    #[must_use]
    pub fn exit_code(mut self, code: i32) -> Self {
        self.exit_code = Some(code);
        self
    }

    /// Of actions alone that may use the network, or that may not.
    #[must_use]
    pub fn network(mut self, network: Network) -> Self {
        self.network = Some(network);
        self
    }
}
