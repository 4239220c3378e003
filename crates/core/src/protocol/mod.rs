//! What is said between synth and a plugin: which questions there are, and the messages of each.
//! Nothing here knows how a message travels; a library's functions carry it as well as a pipe.
//!
//! A question is a method's name and a [`Message`](crate::Message) with its arguments; what comes
//! back is a [`Message`](crate::Message) with an [`Answer`]. While a method of the plugin is at
//! work it may ask its host in turn, through [`Ask`].
//!
//! # Compatibility
//!
//! The interface has a version of its own, [`INTERFACE_VERSION`](crate::INTERFACE_VERSION).
//!
//! - Within one major version, and 0 is one, methods and fields are only added. A field that is
//!   not there has its default, one that is not known is ignored, and a method that is not known
//!   is answered with [`Answer::Unknown`], for which every method has a fallback.
//! - A host therefore works with every plugin of an older interface of its major version.
//! - A plugin of a newer minor version works in an older host with what both know, unless its
//!   manifest says that it needs more: then it is refused with both versions named.
//! - Another major version is refused, with both versions named.

mod batch;
mod host;
mod plugin;
mod turn;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Diagnostic, Native, PlanError};

pub use batch::{
    Batch, BatchHost, Batching, Json, KnownAnswer, PrepareRequest, Prepared, TargetAnswer,
    TargetQuestion,
};
pub use host::{Channel, HostSide, PluginName, RemoteTarget};
pub use plugin::{answer, describe_panic};

/// The methods of a plugin: those of [`BuildTarget`](crate::BuildTarget).
pub mod method {
    /// `null` to a [`TargetDescription`](crate::TargetDescription).
    pub const DESCRIBE: &str = "describe";
    /// A [`TargetSpec`](crate::TargetSpec) to a list of [`Diagnostic`](crate::Diagnostic)s.
    pub const VALIDATE: &str = "validate";
    /// A [`TargetSpec`](crate::TargetSpec) to a list of [`Requirement`](crate::Requirement)s.
    pub const REQUIREMENTS: &str = "requirements";
    /// A [`TargetSpec`](crate::TargetSpec) to an [`Outcome`](super::Outcome) with a
    /// [`Plan`](crate::Plan).
    pub const PLAN: &str = "plan";
    /// A [`PrepareRequest`](super::PrepareRequest) to a list of
    /// [`TargetAnswer`](super::TargetAnswer)s, one for each target. Who does not know it validates
    /// and plans the targets one by one.
    pub const PREPARE: &str = "prepare";
    /// A [`RunRequest`](super::RunRequest) to an [`Outcome`](super::Outcome) with a
    /// [`NativeOutcome`](crate::NativeOutcome).
    pub const RUN: &str = "run";
    /// `null` to a list of [`Advice`](crate::Advice). Who does not know it has none.
    pub const ADVICE: &str = "advice";
    /// An [`EffectRequest`](crate::EffectRequest) to an [`Outcome`](super::Outcome) with a
    /// [`Presence`](crate::Presence). Who does not know it can't tell.
    pub const CHECK_EFFECT: &str = "check_effect";
    /// An [`EffectRequest`](crate::EffectRequest) to an [`Outcome`](super::Outcome) with a
    /// [`Receipt`](crate::Receipt).
    pub const APPLY_EFFECT: &str = "apply_effect";
    /// An [`EffectRequest`](crate::EffectRequest) to an [`Outcome`](super::Outcome) with `null`.
    pub const UNDO_EFFECT: &str = "undo_effect";
    /// A [`TargetSpec`](crate::TargetSpec) to a list of [`ProjectPath`](crate::ProjectPath)s.
    pub const CLEAN: &str = "clean";
    /// A [`ProjectPath`](crate::ProjectPath) to a [`Detection`](crate::Detection) or `null`.
    pub const DETECT: &str = "detect";
}

/// The methods of the host: those of [`PlanContext`](crate::PlanContext) while a plugin validates
/// and plans, those of [`RunContext`](crate::RunContext) while it runs.
pub mod host_method {
    /// A [`ProjectPath`](crate::ProjectPath) to a [`Read`](super::Read) with the bytes in Base64
    /// (RFC 4648, section 4).
    pub const READ: &str = "read";
    /// A [`ProjectPath`](crate::ProjectPath) to a [`Read`](super::Read) with a
    /// [`FileKind`](crate::FileKind) or `null`.
    pub const KIND: &str = "kind";
    /// [`SourceFiles`](crate::SourceFiles) to a [`Read`](super::Read) with a list of paths.
    pub const FILES: &str = "files";
    /// [`SourceFiles`](crate::SourceFiles) to a [`Read`](super::Read) with a list of paths.
    pub const DIRECTORIES: &str = "directories";
    /// A [`ProjectPath`](crate::ProjectPath) to a [`Read`](super::Read) with a text or `null`.
    pub const LINK: &str = "link";
    /// A [`ToolRequest`](crate::ToolRequest) to a [`FoundTool`](super::FoundTool).
    pub const TOOL: &str = "tool";
    /// A text. The answer is `null` and need not be waited for.
    pub const LOG: &str = "log";
    /// A text. The answer is `null` and need not be waited for.
    pub const PROGRESS: &str = "progress";
    /// A [`TargetQuestion`](super::TargetQuestion) to what its method gives: how one target of
    /// several that are prepared together asks.
    pub const FOR_TARGET: &str = "for_target";
    /// `null` to a truth value.
    pub const IS_CANCELLED: &str = "is_cancelled";
    /// A [`Process`](crate::Process) to a [`Ran`](super::Ran).
    pub const RUN_PROCESS: &str = "run_process";
}

/// What comes back for a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer<T> {
    /// The method's result.
    Done(T),
    /// The one asked has no such method: it is older.
    Unknown,
    /// The question can't be read.
    Malformed {
        /// Why.
        reason: String,
    },
    /// The method panicked.
    Panicked {
        /// The panic's message.
        message: String,
        /// File and line of the plugin's sources: `src/lib.rs:12`. Empty when not known.
        #[serde(default)]
        place: String,
    },
}

/// What a method results in that may fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome<T> {
    /// It succeeded.
    Success(T),
    /// It failed, for these reasons.
    Failure(Vec<Diagnostic>),
}

impl<T> From<Result<T, Vec<Diagnostic>>> for Outcome<T> {
    fn from(result: Result<T, Vec<Diagnostic>>) -> Self {
        match result {
            Ok(value) => Self::Success(value),
            Err(diagnostics) => Self::Failure(diagnostics),
        }
    }
}

impl<T> From<Outcome<T>> for Result<T, Vec<Diagnostic>> {
    fn from(outcome: Outcome<T>) -> Self {
        match outcome {
            Outcome::Success(value) => Ok(value),
            Outcome::Failure(diagnostics) => Err(diagnostics),
        }
    }
}

/// What the host found in the project.
pub type Read<T> = Result<T, PlanError>;

/// The tool that the host found.
pub type FoundTool = Result<crate::Tool, crate::ToolError>;

/// How a process ended, or why it did not run.
pub type Ran = Result<crate::ProcessOutcome, Diagnostic>;

/// A native action to run, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRequest {
    /// The function with its parameters.
    pub action: Native,
    /// [`RunContext::inputs`](crate::RunContext::inputs), absolute.
    pub inputs: PathBuf,
    /// [`RunContext::outputs`](crate::RunContext::outputs), absolute.
    pub outputs: PathBuf,
    /// [`RunContext::scratch`](crate::RunContext::scratch), absolute.
    pub scratch: PathBuf,
}

/// Asks the other side.
pub trait Ask {
    /// Puts a question, a method's name and a message, and gives the answer, a message.
    fn ask(&self, method: &str, request: &str) -> String;
}

impl<F: Fn(&str, &str) -> String> Ask for F {
    fn ask(&self, method: &str, request: &str) -> String {
        self(method, request)
    }
}

/// Writes a message. What can't be written as JSON is answered as such.
fn written<T: Serialize>(answer: Answer<T>) -> String {
    crate::Message::new(answer)
        .to_json()
        .unwrap_or_else(|error| {
            let malformed: Answer<()> = Answer::Malformed {
                reason: format!("the answer can't be written: {error}"),
            };
            // A text alone can always be written.
            crate::Message::new(malformed).to_json().unwrap_or_default()
        })
}

/// Answers a question: reads its arguments, calls, writes what came of it.
fn reply<Q, A>(request: &str, call: impl FnOnce(Q) -> A) -> String
where
    Q: for<'de> Deserialize<'de>,
    A: Serialize,
{
    match crate::Message::<Q>::from_json(request) {
        Ok(message) => written(Answer::Done(call(message.body))),
        Err(error) => written(Answer::<()>::Malformed {
            reason: reason(&error),
        }),
    }
}

/// An error with all that led to it.
fn reason(error: &dyn std::error::Error) -> String {
    let mut reason = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        reason = format!("{reason}: {error}");
        next = error.source();
    }
    reason
}

/// The answer of a side that panicked while it answered.
#[must_use]
pub fn panicked(payload: &(dyn std::any::Any + Send)) -> String {
    written(Answer::<()>::Panicked {
        message: describe_panic(payload),
        place: String::new(),
    })
}
