//! What is measured, and how often.

use std::time::Duration;

/// In the order in which it is measured: each finds what the one before has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scenario {
    /// Neither outputs nor what a tool remembers are there.
    Cold,
    /// Nothing has changed.
    Nothing,
    /// A source has changed.
    Changed,
    /// The outputs are not there; what a tool remembers is.
    Deleted,
}

impl Scenario {
    pub(crate) const ALL: [Self; 4] = [Self::Cold, Self::Nothing, Self::Changed, Self::Deleted];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Nothing => "no-op",
            Self::Changed => "one file changed",
            Self::Deleted => "outputs deleted",
        }
    }
}

/// How much is done for a figure.
pub(crate) struct Effort {
    /// The longest that one run may take.
    pub(crate) limit: Duration,
    /// No further round when the runs of all would then take longer.
    pub(crate) budget: Duration,
    quick: bool,
}

impl Effort {
    pub(crate) fn full() -> Self {
        Self {
            limit: Duration::from_secs(1200),
            budget: Duration::from_secs(100),
            quick: false,
        }
    }

    /// For a developer, who wants an answer within a minute.
    pub(crate) fn quick() -> Self {
        Self {
            limit: Duration::from_secs(120),
            budget: Duration::from_secs(12),
            quick: true,
        }
    }

    pub(crate) fn rounds(&self, scenario: Scenario) -> u32 {
        match (scenario, self.quick) {
            (Scenario::Cold, false) => 5,
            (Scenario::Cold, true) => 1,
            (_, false) => 10,
            (_, true) => 3,
        }
    }

    /// Runs in a round, of a command that takes this long.
    pub(crate) fn runs(&self, scenario: Scenario, one: Option<Duration>) -> u32 {
        const SHORT: Duration = Duration::from_secs(1);
        match scenario {
            Scenario::Nothing if one.is_some_and(|one| one < SHORT) => 5,
            _ => 1,
        }
    }
}
