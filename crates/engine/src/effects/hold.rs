//! The processes of effects: each ends, with all that it has started, when synth does, and nobody
//! goes on with a publish before that.

use std::cell::OnceCell;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::event::{Event, Observer};
use crate::executor::process::{self, Command, Finished};
use crate::executor::{Stop, log_limit, run_open};
use crate::plugin::HostProgram;
use crate::sandbox::Client;

/// Held by whoever ends the processes of effects, as long as there are any.
fn lock_of(root: &Path) -> PathBuf {
    root.join(".synth/effects.lock")
}

/// Waits until no process is left of effects whose synth has died; false when that was cancelled.
pub(super) async fn until_alone(
    root: &Path,
    observer: &dyn Observer,
    cancel: &CancellationToken,
) -> io::Result<bool> {
    const INTERVAL: Duration = Duration::from_millis(5);
    let file = File::options()
        .append(true)
        .create(true)
        .open(lock_of(root))?;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
        if !told {
            observer.notify(&Event::WaitingForEffects);
            told = true;
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = cancel.cancelled() => return Ok(false),
        }
    }
}

/// Runs processes of effects.
pub(crate) struct Processes {
    lock: PathBuf,
    host: Option<HostProgram>,
    runtime: Handle,
    /// Started for the first of them.
    client: OnceCell<Option<Client>>,
}

impl Processes {
    pub(super) fn new(root: &Path, host: Option<HostProgram>, runtime: Handle) -> Self {
        Self {
            lock: lock_of(root),
            host,
            runtime,
            client: OnceCell::new(),
        }
    }

    /// Where processes are waited for.
    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Runs one to its end, to `deadline`, or until it is stopped.
    pub(super) fn run(
        &self,
        command: &Command,
        deadline: Instant,
        stop: &Stop,
    ) -> io::Result<Finished> {
        let start = || Client::start_open_holding(self.host.as_ref()?, &self.lock).ok();
        let running = async {
            match self.client.get_or_init(start) {
                Some(client) => run_open(client, command, None, deadline, stop).await,
                None => process::run(command, None, deadline, stop).await,
            }
        };
        let limited = log_limit::kept_short(&command.log, running);
        self.runtime.block_on(limited).0
    }
}
