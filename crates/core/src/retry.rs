//! Which failures pass by themselves: what a kind says of an action, and what the user says of a
//! pipeline or a target. When one does, and how long is waited, is the engine's.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How often an action is run, and which of its failures may pass by themselves.
///
/// A kind that allows several attempts and says no more means every failure but a time-out. A
/// compile error does not pass, so an action that compiles is better left with one attempt.
///
/// ```
/// use synth_core::Retry;
///
/// let retry = Retry::of_network().pattern("E50[0-9]").exit_code(75);
/// assert_eq!(retry.attempts, 3);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// How often it is run at the most; 1 for no second try.
    pub attempts: u32,
    /// Whether trouble of the network that the engine knows passes: a name that is not found, a
    /// connection that is refused or lost, a server that is busy.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub network: bool,
    /// Exit codes of failures that pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exit_codes: Vec<i32>,
    /// Regular expressions, in the syntax of the crate `regex`: a failure passes when one of them
    /// matches a line of its output.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<String>,
    /// Whether it is tried again when its time was up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub timeouts: bool,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 1,
            network: false,
            exit_codes: Vec::new(),
            patterns: Vec::new(),
            timeouts: false,
        }
    }
}

impl Retry {
    /// How often an action is run whose failures may pass, unless it is said.
    pub const ATTEMPTS: u32 = 3;

    /// So many attempts, whatever the failure.
    #[must_use]
    pub fn attempts(attempts: u32) -> Self {
        Self {
            attempts,
            ..Self::default()
        }
    }

    /// Of an action that fetches: trouble of the network passes, nothing else.
    #[must_use]
    pub fn of_network() -> Self {
        Self {
            network: true,
            ..Self::attempts(Self::ATTEMPTS)
        }
    }

    /// Takes an exit code for trouble that passes.
    #[must_use]
    pub fn exit_code(mut self, code: i32) -> Self {
        self.exit_codes.push(code);
        self
    }

    /// Takes a line of the output for trouble that passes.
    #[must_use]
    pub fn pattern(mut self, pattern: impl Into<String>) -> Self {
        self.patterns.push(pattern.into());
        self
    }

    /// Whether it says which failures pass.
    #[must_use]
    pub fn names_failures(&self) -> bool {
        self.network || self.timeouts || !self.exit_codes.is_empty() || !self.patterns.is_empty()
    }
}

/// What the user says of retries: of all actions of a pipeline, or of a target's. What is not set
/// is as the kind has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RetrySettings {
    /// How often an action is run at the most whose failure may pass by itself; 1 for no second
    /// try. 3 unless its kind says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub attempts: Option<u32>,
    /// Seconds until the second attempt; 1 when it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86400))]
    pub initial_delay_seconds: Option<Thousandths>,
    /// No delay is longer, in seconds; 60 when it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86400))]
    pub maximum_delay_seconds: Option<Thousandths>,
    /// By what each delay is longer than the one before; 2 when it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub multiplier: Option<Thousandths>,
    /// By what part of itself a delay is shortened or lengthened at random, from 0 to 1; 0.2 when
    /// it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub jitter: Option<Thousandths>,
    /// Exit codes of failures that pass by themselves, beside those that the kind knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(range(min = 1, max = 255)))]
    pub exit_codes: Vec<i32>,
    /// Regular expressions: a failure passes by itself when one of them matches a line of its
    /// output. Beside those that the kind knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(length(min = 1)))]
    pub patterns: Vec<String>,
    /// Whether an action is tried again when its time was up; `false` unless its kind says
    /// otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<bool>,
}

impl RetrySettings {
    /// These, and of `base` what they don't say. Exit codes and patterns are those of both.
    #[must_use]
    pub fn over(&self, base: &Self) -> Self {
        let both = |own: &[String], base: &[String]| [own, base].concat();
        Self {
            attempts: self.attempts.or(base.attempts),
            initial_delay_seconds: self.initial_delay_seconds.or(base.initial_delay_seconds),
            maximum_delay_seconds: self.maximum_delay_seconds.or(base.maximum_delay_seconds),
            multiplier: self.multiplier.or(base.multiplier),
            jitter: self.jitter.or(base.jitter),
            exit_codes: [self.exit_codes.as_slice(), &base.exit_codes].concat(),
            patterns: both(&self.patterns, &base.patterns),
            timeouts: self.timeouts.or(base.timeouts),
        }
    }
}

/// A number that is not negative, to three decimals: `0.25`. Exact, so that it can be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Thousandths(u64);

impl Thousandths {
    /// From so many thousandths.
    #[must_use]
    pub const fn new(thousandths: u64) -> Self {
        Self(thousandths)
    }

    /// How many thousandths it is.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// As a number of seconds.
    #[must_use]
    pub const fn seconds(self) -> Duration {
        Duration::from_millis(self.0)
    }

    /// What is beyond three decimals is left off; none of a number that can't be one.
    fn of(number: f64) -> Option<Self> {
        let milliseconds = Duration::try_from_secs_f64(number).ok()?.as_millis();
        Some(Self(u64::try_from(milliseconds).ok()?))
    }
}

impl Serialize for Thousandths {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.seconds().as_secs_f64())
    }
}

impl<'de> Deserialize<'de> for Thousandths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(deserializer)?;
        Self::of(number).ok_or_else(|| serde::de::Error::custom("a number from 0 on was expected"))
    }
}

impl JsonSchema for Thousandths {
    fn schema_name() -> Cow<'static, str> {
        "Number".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_decimals() {
        for (text, thousandths) in [
            ("0", Some(0)),
            ("1", Some(1000)),
            ("0.25", Some(250)),
            ("1.1", Some(1100)),
            ("0.0019", Some(1)),
            ("-1", None),
            ("1e300", None),
        ] {
            let read: Option<Thousandths> = serde_json::from_str(text).ok();
            assert_eq!(read, thousandths.map(Thousandths::new), "{text}");
            let Some(read) = read else { continue };
            let written = serde_json::to_string(&read).unwrap();
            assert_eq!(serde_json::from_str::<Thousandths>(&written).unwrap(), read);
        }
    }

    #[test]
    fn what_a_target_says_goes_before_what_the_pipeline_says() {
        let base = RetrySettings {
            attempts: Some(5),
            jitter: Some(Thousandths::new(0)),
            exit_codes: vec![75],
            ..RetrySettings::default()
        };
        let own = RetrySettings {
            attempts: Some(2),
            exit_codes: vec![7],
            patterns: vec!["lost".into()],
            ..RetrySettings::default()
        };
        let expected = RetrySettings {
            attempts: Some(2),
            exit_codes: vec![7, 75],
            patterns: vec!["lost".into()],
            ..base.clone()
        };
        assert_eq!(own.over(&base), expected);
    }
}
