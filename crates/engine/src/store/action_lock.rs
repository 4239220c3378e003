//! One build at a time executes an action, of all that use the store: the others wait, and then
//! find its result.
//!
//! The lock is a file of the action's name, locked by `flock` as long as the action is executed: so
//! it is free when its holder dies. Whoever is done removes the file while it holds the lock;
//! whoever gets the lock of a file that has been removed tries again.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use synth_core::Digest;
use tokio_util::sync::CancellationToken;

use super::{LOCKS, Store};

/// An action that nobody else executes meanwhile.
#[derive(Debug)]
pub(crate) struct ActionLock {
    path: PathBuf,
    _file: File,
}

impl Drop for ActionLock {
    fn drop(&mut self) {
        // A file that stays is in nobody's way.
        let _ = fs::remove_file(&self.path);
    }
}

impl ActionLock {
    /// Waits until nobody else executes an action. None when that is cancelled.
    ///
    /// # Errors
    /// When nothing can be locked: the store can't be written.
    pub(crate) async fn hold(
        store: &Store,
        action: &Digest,
        cancel: &CancellationToken,
        waiting: impl FnOnce(),
    ) -> io::Result<Option<Self>> {
        /// How often it is tried: as fast as a person could tell the difference.
        const INTERVAL: Duration = Duration::from_millis(10);
        let path = store.root.join(LOCKS).join(&action.sha256);
        let mut waiting = Some(waiting);
        loop {
            if let Some(file) = try_lock(&path)? {
                return Ok(Some(Self { path, _file: file }));
            }
            if let Some(waiting) = waiting.take() {
                waiting();
            }
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = cancel.cancelled() => return Ok(None),
            }
        }
    }
}

fn try_lock(path: &Path) -> io::Result<Option<File>> {
    let file = File::options().append(true).create(true).open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // Whoever held it before may have removed it since it was opened.
    let held = file.metadata()?;
    let named = fs::metadata(path).ok();
    let same = named.is_some_and(|named| (named.dev(), named.ino()) == (held.dev(), held.ino()));
    Ok(same.then_some(file))
}
