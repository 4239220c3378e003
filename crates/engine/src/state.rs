//! The workspace's own state, `.synth/` beside synth.toml: the lock, the logs of the last builds
//! and what they put where. Never committed, and safe to delete.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::event::{Event, Observer};

/// How many builds' logs are kept.
const KEPT_LOGS: usize = 20;

/// The state of one workspace.
#[derive(Clone, Debug)]
pub(crate) struct State {
    directory: PathBuf,
}

/// Held by a build for as long as it runs.
#[derive(Debug)]
pub(crate) struct WorkspaceLock {
    _file: File,
}

impl State {
    /// The state below a project's root; makes its directory.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        let directory = root.join(".synth");
        fs::create_dir_all(directory.join("logs"))?;
        fs::create_dir_all(directory.join("outputs"))?;
        let ignore = directory.join(".gitignore");
        if !ignore.exists() {
            fs::write(ignore, "*\n")?;
        }
        Ok(Self { directory })
    }

    /// Waits until no other build holds the workspace.
    pub(crate) fn lock(&self, observer: &dyn Observer) -> io::Result<WorkspaceLock> {
        let file = File::create(self.directory.join("lock"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                observer.notify(&Event::WaitingForWorkspace);
                file.lock()?;
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        Ok(WorkspaceLock { _file: file })
    }

    /// Makes the directory of a build's logs and removes those of builds long past.
    pub(crate) fn log_directory(&self, build: &str) -> io::Result<PathBuf> {
        let logs = self.directory.join("logs");
        let mut earlier: Vec<PathBuf> = fs::read_dir(&logs)?
            .flatten()
            .map(|entry| entry.path())
            .collect();
        earlier.sort();
        let surplus = earlier.len().saturating_sub(KEPT_LOGS - 1);
        for path in &earlier[..surplus] {
            // Logs that can't be removed are in nobody's way.
            let _ = fs::remove_dir_all(path);
        }
        let directory = logs.join(build);
        fs::create_dir_all(&directory)?;
        Ok(directory)
    }

    /// Where it is kept what a target's outputs are.
    pub(crate) fn output_record(&self, target: &str) -> PathBuf {
        self.directory
            .join("outputs")
            .join(format!("{target}.json"))
    }
}
