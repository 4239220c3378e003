//! Ctrl-C, SIGTERM and a closed terminal: once ends a build in good order, twice at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use synth_engine::CancellationToken;
use tokio::signal::unix::{SignalKind, signal};

use crate::exit;

/// How long a build may take to end its processes after the second signal.
const LAST_MOMENT: Duration = Duration::from_secs(2);

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
