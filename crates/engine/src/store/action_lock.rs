//! One build at a time executes an action, of all that use the store: the others wait, and then
//! find its result.
//!
//! The lock is one byte of a file that all actions share, far beyond its end, at a place that the
//! action's digest names. It belongs to whoever opened the file (an open file description lock,
//! `fcntl(2)`), so it is free when its holder dies, and nothing is made or removed for it.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use synth_core::Digest;
use tokio_util::sync::CancellationToken;

use super::{LOCKS, Store};

/// An action that nobody else executes meanwhile.
#[derive(Debug)]
pub(crate) struct ActionLock {
    _file: File,
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
        let locks = store.root.join(LOCKS);
        let mut waiting = Some(waiting);
        loop {
            if let Some(file) = try_lock(&locks, action)? {
                return Ok(Some(Self { _file: file }));
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

fn open(path: &Path) -> io::Result<File> {
    File::options().append(true).create(true).open(path)
}

#[cfg(target_os = "linux")]
fn try_lock(locks: &Path, action: &Digest) -> io::Result<Option<File>> {
    use nix::errno::Errno;
    use nix::fcntl::{FcntlArg, fcntl};

    let file = open(&locks.join("actions"))?;
    let short = |value: i32| libc::c_short::try_from(value).map_err(io::Error::other);
    let byte = libc::flock {
        l_type: short(libc::F_WRLCK)?,
        l_whence: short(libc::SEEK_SET)?,
        l_start: place(action),
        l_len: 1,
        // Of a lock that belongs to no process.
        l_pid: 0,
    };
    match fcntl(&file, FcntlArg::F_OFD_SETLK(&byte)) {
        Ok(_) => Ok(Some(file)),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A byte of the largest file that there can be. Two actions with one byte wait for each other.
#[cfg(target_os = "linux")]
fn place(action: &Digest) -> i64 {
    const DIGITS: usize = 15;
    let digits = action.sha256.get(..DIGITS).unwrap_or_default();
    i64::from_str_radix(digits, 16).unwrap_or_default()
}

/// Elsewhere each action has a file.
#[cfg(not(target_os = "linux"))]
fn try_lock(locks: &Path, action: &Digest) -> io::Result<Option<File>> {
    use std::fs::TryLockError;

    let file = open(&locks.join(&action.sha256))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::digest_bytes;

    #[tokio::test]
    async fn an_action_is_locked_until_its_lock_is_dropped_and_others_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let (one, other) = (digest_bytes(b"one"), digest_bytes(b"other"));
        let go_on = CancellationToken::new();
        let held = ActionLock::hold(&store, &one, &go_on, || unreachable!()).await;
        let held = held.unwrap().unwrap();
        let second = ActionLock::hold(&store, &other, &go_on, || unreachable!()).await;
        assert!(second.unwrap().is_some());
        let waited = ActionLock::hold(&store, &one, &go_on, || go_on.cancel()).await;
        assert!(waited.unwrap().is_none());
        drop(held);
        let again = ActionLock::hold(&store, &one, &go_on, || unreachable!()).await;
        assert!(again.unwrap().is_some());
    }
}
