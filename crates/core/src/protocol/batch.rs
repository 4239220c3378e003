//! Several targets that are validated and planned with one call, and the answers that the host
//! gives before it is asked: what goes over, and what each side does for it.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Answer, Outcome};
use crate::{Diagnostic, Plan, PlanContext, TargetSpec};

/// How a kind is best asked for the plans of several targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Batching {
    /// Each target by itself, on all processors.
    #[default]
    None,
    /// Several with each call, and calls on all processors.
    Parallel,
    /// Several with each call, one call after the other.
    Serial,
}

/// Targets of one kind to validate and plan, as the host has them.
pub struct Batch<'a> {
    /// The targets.
    pub targets: &'a [&'a TargetSpec],
    /// What they are likely to ask, whichever asks it, with the answers.
    pub answers: &'a [KnownAnswer],
    /// The host of each.
    pub host: &'a dyn BatchHost,
}

/// What the host does for the targets of a batch.
pub trait BatchHost {
    /// What it shows a target, by its place in [`Batch::targets`]; none for a place beyond.
    fn context(&self, target: usize) -> Option<&dyn PlanContext>;

    /// A target has used answers of [`Batch::answers`], in this order. Gives whether there are
    /// such answers, and such a target.
    fn used(&self, target: usize, answers: &[u32]) -> bool;

    /// Whether the plans are no longer wanted.
    fn is_cancelled(&self) -> bool;
}

/// What a kind says of one target of a batch.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// What [`BuildTarget::validate`](crate::BuildTarget::validate) gives.
    pub problems: Vec<Diagnostic>,
    /// What [`BuildTarget::plan`](crate::BuildTarget::plan) gives; none when one of the problems is
    /// an error.
    pub plan: Option<Result<Plan, Vec<Diagnostic>>>,
}

/// A [`Batch`] as it goes over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrepareRequest<'a> {
    /// Answers to questions that may be asked. A question that is not among them is asked as ever.
    #[serde(default)]
    pub answers: Cow<'a, [KnownAnswer]>,
    /// The targets.
    pub targets: Vec<Cow<'a, TargetSpec>>,
}

/// What the host answers to a question, before it is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KnownAnswer {
    /// One of [`host_method`](super::host_method).
    pub method: String,
    /// The question that this answers, and no other.
    pub question: Json,
    /// The method's result.
    pub answer: Json,
}

/// What a plugin says of one target of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetAnswer {
    /// What [`method::VALIDATE`](super::method::VALIDATE) is answered with.
    pub validate: Answer<Vec<Diagnostic>>,
    /// What [`method::PLAN`](super::method::PLAN) is answered with; none when the target has an
    /// error.
    #[serde(default)]
    pub plan: Option<Answer<Outcome<Plan>>>,
    /// Which answers the target has used since it last asked something itself, in this order, by
    /// their places in [`PrepareRequest::answers`].
    #[serde(default)]
    pub used: Vec<u32>,
}

/// A question that one target of a batch asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetQuestion {
    /// Its place in [`PrepareRequest::targets`].
    pub target: u32,
    /// Which answers it has used since the last such question, in this order.
    #[serde(default)]
    pub used: Vec<u32>,
    /// One of [`host_method`](super::host_method).
    pub method: String,
    /// That method's argument.
    pub question: Json,
}

/// A value inside a message, as the text that it is written as: compared as text where it is a
/// question, and read by nobody but who knows its type.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

impl Json {
    /// Writes a value.
    ///
    /// # Errors
    /// When it has a map with keys that are not texts.
    pub fn of(value: &impl Serialize) -> Result<Self, serde_json::Error> {
        serde_json::value::to_raw_value(value).map(Self)
    }

    /// Reads the value.
    ///
    /// # Errors
    /// When it is of another type.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.text())
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.get()
    }
}

/// Whether it is the same value, however it is written.
impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        let value = |json: &Self| json.read::<serde_json::Value>().ok();
        self.text() == other.text() || value(self) == value(other)
    }
}
