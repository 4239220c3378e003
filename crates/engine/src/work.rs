//! The directories that actions run in: one for each build below the store, locked while the
//! build lives, and cleared away by the next build when it died.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use rustix::fs::{FlockOperation, flock};

/// The directory of one build's actions. Removed when dropped.
#[derive(Debug)]
pub(crate) struct WorkDirectory {
    path: PathBuf,
    /// How many directories there have been.
    count: AtomicU64,
    /// Held as long as the build lives.
    _lock: File,
}

/// The name of a lock: that of a build's directory, held while it lives, and that of all.
pub(crate) const LOCK_NAME: &str = "lock";

impl WorkDirectory {
    /// Makes one below `parent`, and clears away those of builds that died.
    pub(crate) fn create(parent: &Path) -> io::Result<Self> {
        // Between its making and its lock a directory looks abandoned: one build at a time.
        let gate = File::create(parent.join(LOCK_NAME))?;
        flock(&gate, FlockOperation::LockExclusive)?;
        clear_abandoned(parent);
        let path = tempfile::Builder::new()
            .prefix("build-")
            .tempdir_in(parent)?
            .keep();
        let lock = File::create(path.join(LOCK_NAME))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self {
            path,
            count: AtomicU64::default(),
            _lock: lock,
        })
    }

    /// Makes an empty directory for an action, to be removed by [`remove_tree`].
    pub(crate) fn make(&self) -> io::Result<PathBuf> {
        let name = self.count.fetch_add(1, Ordering::Relaxed).to_string();
        let path = self.path.join(name);
        fs::create_dir(&path).map(|()| path)
    }
}

impl Drop for WorkDirectory {
    fn drop(&mut self) {
        remove_tree(&self.path);
    }
}

fn clear_abandoned(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let path = entry.path();
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let abandoned = match File::open(path.join(LOCK_NAME)) {
            Ok(lock) => flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok(),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if abandoned {
            remove_tree(&path);
        }
    }
}

/// When the oldest build began that is still running; none when there is none. To be asked while
/// the lock of the directory is held.
pub(crate) fn running_since(parent: &Path) -> io::Result<Option<SystemTime>> {
    let mut oldest: Option<SystemTime> = None;
    for entry in fs::read_dir(parent)? {
        let Ok(lock) = File::open(entry?.path().join(LOCK_NAME)) else {
            continue;
        };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            let began = lock.metadata()?.modified()?;
            oldest = Some(oldest.map_or(began, |oldest| oldest.min(began)));
        }
    }
    Ok(oldest)
}

/// Removes a directory with everything below it, directories that are protected against writing
/// too. What can't be removed now is cleared away by the next build.
pub(crate) fn remove_tree(path: &Path) {
    if fs::remove_dir_all(path).is_ok() {
        return;
    }
    for entry in walkdir::WalkDir::new(path) {
        // A directory has to be opened up before what is below it can be listed.
        if let Ok(entry) = entry
            && entry.file_type().is_dir()
        {
            let _ = fs::set_permissions(entry.path(), Permissions::from_mode(0o700));
        }
    }
    let _ = fs::remove_dir_all(path);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_that_died_are_cleared_away_and_those_that_live_are_not() {
        let parent = tempfile::tempdir().unwrap();
        let living = WorkDirectory::create(parent.path()).unwrap();
        let dead = parent.path().join("build-dead");
        fs::create_dir_all(dead.join("protected/below")).unwrap();
        fs::set_permissions(dead.join("protected"), Permissions::from_mode(0o500)).unwrap();
        let second = WorkDirectory::create(parent.path()).unwrap();
        assert!(!dead.exists());
        assert!(living.path.exists() && second.path.exists());
        let path = living.path.clone();
        drop(living);
        assert!(!path.exists());
    }
}
