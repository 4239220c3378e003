//! The workspace's own state, `.synth/` beside synth.toml: the lock, the logs of the last builds,
//! their plans and what they put where. Never committed. Without it synth does not know which outputs it wrote,
//! and replaces none.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use synth_core::ProjectPath;
use tokio_util::sync::CancellationToken;

use crate::digest::digest_bytes;
use crate::event::{Event, Observer};

/// How many builds' logs are kept.
const KEPT_LOGS: usize = 20;

/// How the records of what is among the sources begin.
const IN_PLACE: &str = "in-place.";

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
        fs::create_dir_all(directory.join("plans"))?;
        fs::create_dir_all(directory.join("keys"))?;
        let ignore = directory.join(".gitignore");
        if !ignore.exists() {
            fs::write(ignore, "*\n")?;
        }
        Ok(Self { directory })
    }

    /// Waits until no other build holds the workspace; none when it was cancelled meanwhile.
    pub(crate) async fn lock(
        &self,
        observer: &dyn Observer,
        cancel: &CancellationToken,
    ) -> io::Result<Option<WorkspaceLock>> {
        /// How often it is looked whether the other build has ended.
        const INTERVAL: Duration = Duration::from_millis(50);
        let file = File::create(self.directory.join("lock"))?;
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(WorkspaceLock { _file: file })),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
            if !told {
                observer.notify(&Event::WaitingForWorkspace);
                told = true;
            }
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = cancel.cancelled() => return Ok(None),
            }
        }
    }

    /// Holds the workspace if no build does, or stops doing so while it is tried so many times.
    pub(crate) fn try_lock(&self, attempts: u32) -> io::Result<Option<WorkspaceLock>> {
        const INTERVAL: Duration = Duration::from_millis(5);
        let file = File::create(self.directory.join("lock"))?;
        for attempt in 1.. {
            match file.try_lock() {
                Ok(()) => return Ok(Some(WorkspaceLock { _file: file })),
                Err(TryLockError::WouldBlock) if attempt < attempts => {
                    std::thread::sleep(INTERVAL);
                }
                Err(TryLockError::WouldBlock) => break,
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Ok(None)
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

    /// Where it is kept what builds saw and left.
    pub(crate) fn index_directory(root: &Path) -> PathBuf {
        root.join(".synth/index")
    }

    /// Where the keys of a target's actions are kept.
    pub(crate) fn keys_record(&self, target: &str) -> PathBuf {
        let name = digest_bytes(target.as_bytes()).sha256;
        self.directory.join("keys").join(name)
    }

    /// Where a target's plan is kept.
    pub(crate) fn plan_record(&self, target: &str) -> PathBuf {
        let name = digest_bytes(target.as_bytes()).sha256;
        self.directory.join("plans").join(format!("{name}.json"))
    }

    /// Where outputs are written before they are moved in among sources. Left over, when a build
    /// dies.
    pub(crate) fn staging_directory(&self) -> PathBuf {
        self.directory.join("staging")
    }

    /// Where it is kept what a target has put among its sources.
    pub(crate) fn in_place_record(&self, target: &str) -> PathBuf {
        let name = digest_bytes(target.as_bytes()).sha256;
        let name = format!("{IN_PLACE}{name}.json");
        self.directory.join("outputs").join(name)
    }

    /// All such records of the workspace at a root, which need not have any state.
    pub(crate) fn in_place_records(root: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(root.join(".synth/outputs"));
        let entries = entries.into_iter().flatten().flatten();
        entries
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(IN_PLACE))
            .map(|entry| entry.path())
            .collect()
    }

    /// Where it is kept what was written to an output directory. By the directory and not by the
    /// target, so that a target that writes elsewhere for a while still knows its own.
    pub(crate) fn output_record(&self, output_path: &ProjectPath) -> PathBuf {
        let name = digest_bytes(output_path.as_str().as_bytes()).sha256;
        self.directory.join("outputs").join(format!("{name}.json"))
    }
}
