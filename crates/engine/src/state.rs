//! The workspace's own state, `.synth/` beside synth.toml: the lock, the logs of the last builds,
//! the records of their plans and of what they put where. Never committed. Without it synth does
//! not know which outputs it wrote, and replaces none.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::event::{Event, Observer};
use crate::records::Records;

/// How many builds' logs are kept.
pub(crate) const KEPT_LOGS: usize = 20;

/// The state of one workspace.
#[derive(Clone, Debug)]
pub(crate) struct State {
    directory: PathBuf,
    records: Arc<Records>,
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
        let ignore = directory.join(".gitignore");
        if !ignore.exists() {
            fs::write(ignore, "*\n")?;
        }
        let records = Records::of(root);
        Ok(Self { directory, records })
    }

    /// What is remembered of targets.
    pub(crate) fn records(&self) -> &Records {
        &self.records
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

    /// The logs of a build.
    pub(crate) fn logs(&self, build: &str) -> Logs {
        Logs {
            all: self.directory.join("logs"),
            build: build.to_owned(),
            made: OnceLock::new(),
        }
    }

    /// Where it is kept what builds saw and left.
    pub(crate) fn index_directory(root: &Path) -> PathBuf {
        root.join(".synth/index")
    }

    /// Where the directories of actions that have failed are kept, when that is asked for.
    pub(crate) fn kept_directory(&self) -> PathBuf {
        self.directory.join("kept")
    }

    /// Where outputs are written before they are moved in among sources. Left over, when a build
    /// dies.
    pub(crate) fn staging_directory(&self) -> PathBuf {
        self.directory.join("staging")
    }
}

/// The logs of a build. Their directory is made for the first of them, so that what executes nothing
/// pushes out no logs of earlier builds.
#[derive(Debug)]
pub(crate) struct Logs {
    all: PathBuf,
    build: String,
    made: OnceLock<()>,
}

impl Logs {
    /// A log that is going to be written. Where the directory can't be made, nor can the log be
    /// written, and whoever writes it says so.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.made.get_or_init(|| {
            let _ = self.make();
        });
        self.path(name)
    }

    /// Where a log is, if there is one.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.all.join(&self.build).join(name)
    }

    /// Makes the directory and removes those of builds long past.
    fn make(&self) -> io::Result<()> {
        let logs = &self.all;
        let mut earlier: Vec<PathBuf> = fs::read_dir(logs)?
            .flatten()
            .map(|entry| entry.path())
            .collect();
        earlier.sort();
        let surplus = earlier.len().saturating_sub(KEPT_LOGS - 1);
        for path in &earlier[..surplus] {
            // Logs that can't be removed are in nobody's way.
            let _ = fs::remove_dir_all(path);
        }
        fs::create_dir_all(logs.join(&self.build))
    }
}
