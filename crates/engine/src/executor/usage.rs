//! What an execution has used of the machine: added up over its processes.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::process::Finished;

/// What an execution has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Processor time of all its processes, and of a native function's own thread.
    pub(crate) cpu: Duration,
    /// For how long it ran, without what comes before and after: its directory, its outputs.
    pub(crate) wall: Duration,
    /// Of the largest of its processes; 0 when not known.
    pub(crate) peak_memory_bytes: u64,
}

/// Adds up what an execution uses, as its processes end.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    used: Mutex<Option<Usage>>,
    /// The command of the last process that failed.
    failed: Mutex<Option<String>>,
}

impl Meter {
    /// A process has ended.
    pub(super) fn process(&self, finished: &Finished) {
        self.add(Usage {
            cpu: finished.cpu,
            wall: Duration::ZERO,
            peak_memory_bytes: finished.peak_memory_bytes,
        });
    }

    /// It ran for so long, and used so much processor time beside its processes.
    pub(super) fn ran(&self, wall: Duration, cpu: Duration) {
        self.add(Usage {
            cpu,
            wall,
            peak_memory_bytes: 0,
        });
    }

    fn add(&self, used: Usage) {
        let mut sum = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = sum.get_or_insert_default();
        sum.cpu += used.cpu;
        sum.wall += used.wall;
        sum.peak_memory_bytes = sum.peak_memory_bytes.max(used.peak_memory_bytes);
    }

    /// What was used so far; none when nothing has run.
    pub(crate) fn usage(&self) -> Option<Usage> {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A process with this command has failed.
    pub(super) fn failed(&self, command: String) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        *failed = Some(command);
    }

    /// The command of the last process that failed.
    pub(crate) fn failed_command(&self) -> Option<String> {
        let failed = self.failed.lock();
        failed.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::process::End;
    use super::*;

    #[test]
    fn time_adds_up_and_the_largest_process_counts() {
        let meter = Meter::default();
        assert_eq!(meter.usage(), None);
        for (milliseconds, peak_memory_bytes) in [(20, 5), (30, 9), (1, 0)] {
            meter.process(&Finished {
                end: End::Exited(0),
                cpu: Duration::from_millis(milliseconds),
                peak_memory_bytes,
            });
        }
        meter.ran(Duration::from_millis(40), Duration::from_millis(2));
        let usage = Usage {
            cpu: Duration::from_millis(53),
            wall: Duration::from_millis(40),
            peak_memory_bytes: 9,
        };
        assert_eq!(meter.usage(), Some(usage));
    }
}
