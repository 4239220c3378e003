//! Runs one action on its inputs and brings its outputs into the store. Knows neither the graph
//! nor the cache.

mod confined;
pub(crate) mod environment;
mod handover;
pub(crate) mod kept;
mod layout;
mod line_log;
mod local;
pub(crate) mod log_limit;
mod native;
mod outputs;
pub(crate) mod process;
mod undeclared;
mod usage;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use synth_core::{Action, Diagnostic};
use tokio_util::sync::CancellationToken;

use crate::jobserver::Share;
use crate::kind::Kind;
use crate::sandbox::Sandbox;
use crate::store::CachedAction;
use crate::tree::Tree;

pub(crate) use confined::run_open;
pub use handover::handover;
pub(crate) use local::{LocalExecutor, blocking};
pub(crate) use usage::{Meter, Usage};

/// An action with all that it needs to run.
pub(crate) struct Execution {
    pub(crate) action: Action,
    pub(crate) kind: Arc<Kind>,
    pub(crate) inputs: Tree,
    /// The log file.
    pub(crate) log: PathBuf,
    pub(crate) stop: Stop,
    pub(crate) sandbox: Arc<Sandbox>,
    /// Told what a native action is at.
    pub(crate) progress: Arc<dyn Fn(&str) + Send + Sync>,
    /// Is told what it uses.
    pub(crate) meter: Arc<Meter>,
    /// Called when its process has succeeded: what follows is synth's own work.
    pub(crate) ran: Arc<dyn Fn() + Send + Sync>,
    /// Where its processes take further jobs from.
    pub(crate) jobserver: Option<Arc<Share>>,
    /// Where its directory is kept when it fails, if it is.
    pub(crate) keep: Option<kept::Keep>,
}

/// How an execution is stopped from outside.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// Processes are asked to end, and given a moment.
    pub cancel: CancellationToken,
    /// They are ended at once.
    pub kill: CancellationToken,
}

/// How an execution ended.
pub(crate) enum Ended {
    /// Outputs checked and in the store.
    Succeeded(CachedAction),
    Failed {
        diagnostics: Vec<Diagnostic>,
        /// Of the process, when it was one that exited.
        exit_code: Option<i32>,
    },
    Cancelled,
}

impl Ended {
    pub(crate) fn failed(diagnostic: Diagnostic) -> Self {
        Self::Failed {
            diagnostics: vec![diagnostic],
            exit_code: None,
        }
    }
}

/// When an action is ended that does not say so itself: an hour.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3600);

/// The last bytes of a log, as text.
pub(crate) fn log_tail(log: &Path, most_bytes: u64) -> String {
    log_tail_from(log, 0, most_bytes)
}

/// The last bytes of what was written to a log after `start`, as text.
pub(crate) fn log_tail_from(log: &Path, start: u64, most_bytes: u64) -> String {
    let read = || {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(
            start.max(length.saturating_sub(most_bytes)),
        ))?;
        let mut bytes = Vec::new();
        // Somebody may still be writing.
        file.take(most_bytes).read_to_end(&mut bytes)?;
        std::io::Result::Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    // Of a log that can't be read there is nothing to show.
    read().unwrap_or_default()
}
