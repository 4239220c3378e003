//! What an execution has used of the machine: added up over its processes.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::process::{End, Finished};

/// What an execution has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Processor time of all its processes, and of a native function's own thread.
    pub(crate) cpu: Duration,
    /// For how long it ran, without what comes before and after: its directory, its outputs.
    pub(crate) wall: Duration,
    /// Of the largest of its processes; 0 when not known.
    pub(crate) peak_memory_bytes: u64,
    /// What its processes had to read from the disk; none when not known.
    pub(crate) read_bytes: Option<u64>,
    /// What its processes had written to the disk; none when not known.
    pub(crate) written_bytes: Option<u64>,
    /// The signal that ended the last of its processes, if one did.
    pub(crate) signal: Option<i32>,
}

/// Adds up what an execution uses, as its processes end.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    used: Mutex<Option<Usage>>,
    /// The command of the last process that failed, and its exit code.
    failed: Mutex<Option<(String, Option<i32>)>>,
}

impl Meter {
    /// A process has ended.
    pub(super) fn process(&self, finished: &Finished) {
        self.add(Usage {
            cpu: finished.cpu,
            peak_memory_bytes: finished.peak_memory_bytes,
            read_bytes: finished.read_bytes,
            written_bytes: finished.written_bytes,
            signal: match finished.end {
                End::Signalled(signal) => Some(signal),
                End::Exited(_) | End::TimedOut | End::Cancelled => None,
            },
            ..Usage::default()
        });
    }

    /// It ran for so long, and used so much processor time beside its processes.
    pub(super) fn ran(&self, wall: Duration, cpu: Duration) {
        self.add(Usage {
            cpu,
            wall,
            signal: self.usage().and_then(|used| used.signal),
            ..Usage::default()
        });
    }

    fn add(&self, used: Usage) {
        let mut sum = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = sum.get_or_insert_default();
        sum.cpu += used.cpu;
        sum.wall += used.wall;
        sum.peak_memory_bytes = sum.peak_memory_bytes.max(used.peak_memory_bytes);
        sum.read_bytes = added(sum.read_bytes, used.read_bytes);
        sum.written_bytes = added(sum.written_bytes, used.written_bytes);
        sum.signal = used.signal;
    }

    /// What was used so far; none when nothing has run.
    pub(crate) fn usage(&self) -> Option<Usage> {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A process with this command has failed.
    pub(super) fn failed(&self, command: String, end: End) {
        let code = match end {
            End::Exited(code) => Some(code),
            End::Signalled(_) | End::TimedOut | End::Cancelled => None,
        };
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        *failed = Some((command, code));
    }

    /// The command of the last process that failed.
    pub(crate) fn failed_command(&self) -> Option<String> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.as_ref().map(|(command, _)| command.clone())
    }

    /// The exit code of the last process that failed, if it exited.
    pub(super) fn failed_exit_code(&self) -> Option<i32> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.as_ref()?.1
    }
}

/// What is known of both together.
fn added(sum: Option<u64>, more: Option<u64>) -> Option<u64> {
    match (sum, more) {
        (Some(sum), Some(more)) => Some(sum.saturating_add(more)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_and_bytes_add_up_and_the_largest_process_and_the_last_end_count() {
        let meter = Meter::default();
        assert_eq!(meter.usage(), None);
        for (milliseconds, peak_memory_bytes, end) in [
            (20, 5, End::Signalled(11)),
            (30, 9, End::Exited(0)),
            (1, 0, End::Signalled(9)),
        ] {
            meter.process(&Finished {
                end,
                cpu: Duration::from_millis(milliseconds),
                peak_memory_bytes,
                read_bytes: (peak_memory_bytes > 0).then_some(512),
                written_bytes: None,
            });
        }
        meter.ran(Duration::from_millis(40), Duration::from_millis(2));
        let usage = Usage {
            cpu: Duration::from_millis(53),
            wall: Duration::from_millis(40),
            peak_memory_bytes: 9,
            read_bytes: Some(1024),
            written_bytes: None,
            signal: Some(9),
        };
        assert_eq!(meter.usage(), Some(usage));
    }
}
