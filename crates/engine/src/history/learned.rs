//! What earlier builds know of this one's actions: how long each took when it was executed last, and
//! what it used. Kept with the keys of each target.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::executor::Usage;
use crate::explain::TargetKeys;
use crate::target_report::milliseconds;

/// What an action is taken to last that was never executed.
const UNKNOWN_DURATION_MS: u64 = 1000;

/// What an action used when it was executed last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UsedBefore {
    /// Processor time.
    pub(crate) cpu_ms: u64,
    /// For how long it ran.
    pub(crate) wall_ms: u64,
    /// Of its largest process; 0 when not known.
    pub(crate) peak_memory_bytes: u64,
}

impl UsedBefore {
    pub(crate) fn of(usage: Usage) -> Self {
        Self {
            cpu_ms: milliseconds(usage.cpu),
            wall_ms: milliseconds(usage.wall),
            peak_memory_bytes: usage.peak_memory_bytes,
        }
    }
}

/// What is known of the actions of a build, by target and action.
#[derive(Debug, Default)]
pub(crate) struct History {
    durations_ms: HashMap<(usize, String), u64>,
    used: HashMap<(usize, String), UsedBefore>,
}

impl History {
    /// Takes what is known of a target's actions.
    pub(crate) fn add(&mut self, target: usize, record: TargetKeys) {
        let durations = record.durations.into_iter();
        self.durations_ms
            .extend(durations.map(|(id, took)| ((target, id), took)));
        let used = record.used.into_iter();
        self.used
            .extend(used.map(|(id, used)| ((target, id), used)));
    }

    /// How long an action is going to take.
    pub(crate) fn expected_ms(&self, target: usize, action: &str) -> u64 {
        let known = self.durations_ms.get(&(target, action.to_owned()));
        known.copied().unwrap_or(UNKNOWN_DURATION_MS)
    }

    /// What an action used, if that is known.
    pub(crate) fn used(&self, target: usize, action: &str) -> Option<UsedBefore> {
        self.used.get(&(target, action.to_owned())).copied()
    }

    /// Puts what is known of an action into its target's record: of its execution in this build, or of
    /// one before.
    pub(crate) fn write(
        &self,
        target: usize,
        action: &str,
        ran: Option<(u64, Option<UsedBefore>)>,
        record: &mut TargetKeys,
    ) {
        let before = (target, action.to_owned());
        let (took, used) = match ran {
            Some((took, used)) => (Some(took), used),
            None => (
                self.durations_ms.get(&before).copied(),
                self.used.get(&before).copied(),
            ),
        };
        record
            .durations
            .extend(took.map(|took| (action.to_owned(), took)));
        record
            .used
            .extend(used.map(|used| (action.to_owned(), used)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_executed_is_known_from_before() {
        let used = |cpu_ms| UsedBefore {
            cpu_ms,
            wall_ms: 5,
            peak_memory_bytes: 9,
        };
        let mut history = History::default();
        assert_eq!(history.expected_ms(0, "a"), UNKNOWN_DURATION_MS);
        history.add(
            0,
            TargetKeys {
                durations: [("a".to_owned(), 7), ("b".to_owned(), 8)].into(),
                used: [("a".to_owned(), used(1)), ("b".to_owned(), used(2))].into(),
                ..TargetKeys::default()
            },
        );
        assert_eq!(history.expected_ms(0, "a"), 7);
        assert_eq!(history.used(1, "a"), None);
        let mut record = TargetKeys::default();
        history.write(0, "a", Some((3, Some(used(4)))), &mut record);
        history.write(0, "b", None, &mut record);
        history.write(0, "c", None, &mut record);
        let durations: Vec<_> = record.durations.into_iter().collect();
        assert_eq!(durations, [("a".to_owned(), 3), ("b".to_owned(), 8)]);
        let known: Vec<_> = record.used.into_iter().collect();
        assert_eq!(
            known,
            [("a".to_owned(), used(4)), ("b".to_owned(), used(2))]
        );
    }
}
