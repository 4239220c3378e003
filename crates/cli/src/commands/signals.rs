//! Ctrl-C, SIGTERM and a closed terminal: once ends a build in good order, twice at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use synth_core::Diagnostic;
use synth_engine::{CancellationToken, Stop};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit;
use crate::render::progress::{Amount, Progress};

/// How long a build may take to end its processes after the second signal.
const LAST_MOMENT: Duration = Duration::from_secs(2);

/// A command from when it begins to its end, which signals can bring about: one that comes between two
/// parts of it, a build and its effects, ends it as well.
pub(crate) struct Stoppable {
    pub(crate) runtime: Runtime,
    pub(crate) stop: Stop,
    pub(crate) progress: Arc<Progress>,
    signals: Signals,
}

impl Stoppable {
    /// Listens from here on.
    pub(crate) fn begin(runtime: Runtime, amount: Amount) -> Result<Self, Vec<Diagnostic>> {
        let stop = Stop {
            cancel: CancellationToken::new(),
            kill: CancellationToken::new(),
        };
        let progress = Arc::new(Progress::new(amount));
        let teller = Arc::clone(&progress);
        let entered = runtime.enter();
        let (cancel, kill) = (stop.cancel.clone(), stop.kill.clone());
        let signals = Signals::listen(cancel, kill, move |text| teller.say(text));
        drop(entered);
        let signals = signals.map_err(|error| {
            vec![
                Diagnostic::error("internal", "signals can't be received")
                    .concerning(synth_core::Concern::Internal)
                    .caused_by(&error),
            ]
        })?;
        Ok(Self {
            runtime,
            stop,
            progress,
            signals,
        })
    }

    /// The exit code of the signal that has come, if one has.
    pub(crate) fn signal(&self) -> Option<u8> {
        self.signals.exit_code()
    }
}

/// Which signal has come, as the exit code it stands for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signals {
    exit_code: Arc<AtomicU8>,
}

impl Signals {
    /// Listens from here on. The first signal cancels, the second kills what runs, and the
    /// process ends soon after, whatever still holds it. `say` tells the user so.
    pub(crate) fn listen(
        cancel: CancellationToken,
        kill: CancellationToken,
        say: impl Fn(&str) + Send + 'static,
    ) -> std::io::Result<Self> {
        let signals = Self::default();
        let mut interrupt = heard(SignalKind::interrupt())?;
        let mut terminate = heard(SignalKind::terminate())?;
        let mut hang_up = heard(SignalKind::hangup())?;
        let exit_code = Arc::clone(&signals.exit_code);
        tokio::spawn(async move {
            loop {
                let code = tokio::select! {
                    () = next(&mut interrupt) => exit::INTERRUPTED,
                    () = next(&mut terminate) => exit::TERMINATED,
                    () = next(&mut hang_up) => exit::HUNG_UP,
                };
                if exit_code.swap(code, Ordering::Relaxed) == 0 {
                    say("stopping; once more to stop at once");
                    cancel.cancel();
                } else {
                    kill.cancel();
                    tokio::spawn(async move {
                        tokio::time::sleep(LAST_MOMENT).await;
                        std::process::exit(i32::from(code));
                    });
                }
            }
        });
        Ok(signals)
    }

    /// The exit code of a build that a signal ended, if one did.
    pub(crate) fn exit_code(&self) -> Option<u8> {
        Some(self.exit_code.load(Ordering::Relaxed)).filter(|code| *code != 0)
    }
}

/// A signal, unless whoever has started synth wants it to be ignored: `nohup`, or a shell that runs it in
/// the background.
fn heard(kind: SignalKind) -> std::io::Result<Option<Signal>> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    match is_ignored(&status, kind.as_raw_value()) {
        true => Ok(None),
        false => signal(kind).map(Some),
    }
}

/// Whether a process ignores a signal, as Linux tells (proc_pid_status(5), `SigIgn`).
fn is_ignored(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let bit = u32::try_from(signal - 1).ok();
    let bit = bit.and_then(|bit| 1_u64.checked_shl(bit));
    mask.zip(bit).is_some_and(|(mask, bit)| mask & bit != 0)
}

/// Waits for a signal; for ever, when it is ignored.
async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_ignored_when_its_bit_is_set() {
        let status = |mask: &str| format!("SigBlk:\tffff\nSigIgn:\t{mask}\nSigCgt:\tffff\n");
        for (mask, signal, expected) in [
            ("0000000000000001", 1, true),
            ("0000000000000001", 2, false),
            ("0000000000001006", 2, true),
            ("8000000000000000", 64, true),
            ("", 1, false),
            ("no number", 1, false),
        ] {
            assert_eq!(
                is_ignored(&status(mask), signal),
                expected,
                "{mask} {signal}"
            );
        }
        assert!(!is_ignored("", 1));
    }
}
