//! Ctrl-C and SIGTERM: once ends a build in good order, twice at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use synth_engine::CancellationToken;
use tokio::signal::unix::{SignalKind, signal};

use crate::exit;

/// Which signal has come, as the exit code it stands for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signals {
    exit_code: Arc<AtomicU8>,
}

impl Signals {
    /// Listens from here on; the first signal cancels, a second one ends the process.
    /// `say` tells the user so.
    pub(crate) fn listen(
        cancel: CancellationToken,
        say: impl Fn(&str) + Send + 'static,
    ) -> std::io::Result<Self> {
        let signals = Self::default();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let exit_code = Arc::clone(&signals.exit_code);
        tokio::spawn(async move {
            loop {
                let code = tokio::select! {
                    _ = interrupt.recv() => exit::INTERRUPTED,
                    _ = terminate.recv() => exit::TERMINATED,
                };
                if exit_code.swap(code, Ordering::Relaxed) != 0 {
                    std::process::exit(i32::from(code));
                }
                say("stopping; once more to stop at once");
                cancel.cancel();
            }
        });
        Ok(signals)
    }

    /// The exit code of a build that a signal ended, if one did.
    pub(crate) fn exit_code(&self) -> Option<u8> {
        Some(self.exit_code.load(Ordering::Relaxed)).filter(|code| *code != 0)
    }
}
