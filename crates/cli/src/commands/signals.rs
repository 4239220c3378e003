//! Ctrl-C, SIGTERM and a closed terminal: once ends a build in good order, twice at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use synth_core::Diagnostic;
use synth_engine::{CancellationToken, Stop};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

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
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let exit_code = Arc::clone(&signals.exit_code);
        tokio::spawn(async move {
            loop {
                let code = tokio::select! {
                    _ = interrupt.recv() => exit::INTERRUPTED,
                    _ = terminate.recv() => exit::TERMINATED,
                    _ = hang_up.recv() => exit::HUNG_UP,
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
