//! The directories that actions run in: one for each build below the store, locked while the
//! build lives, and cleared away by the next build when it died.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// The directory of one build's actions. Removed when dropped.
#[derive(Debug)]
pub(crate) struct WorkDirectory {
    path: PathBuf,
    /// Held as long as the build lives.
    _lock: File,
}

const LOCK_NAME: &str = "lock";

impl WorkDirectory {
    /// Makes one below `parent`, and clears away those of builds that died.
    pub(crate) fn create(parent: &Path) -> io::Result<Self> {
        clear_abandoned(parent);
        let path = tempfile::Builder::new()
            .prefix("build-")
            .tempdir_in(parent)?
            .keep();
        let lock = File::create(path.join(LOCK_NAME))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self { path, _lock: lock })
    }

    /// Makes an empty directory for an action.
    pub(crate) fn make(&self, label: &str) -> io::Result<tempfile::TempDir> {
        tempfile::Builder::new()
            .prefix(&format!("{label}-"))
            .tempdir_in(&self.path)
    }
}

impl Drop for WorkDirectory {
    fn drop(&mut self) {
        // What can't be removed now is cleared away by the next build.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn clear_abandoned(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let path = entry.path();
        let abandoned = match File::open(path.join(LOCK_NAME)) {
            Ok(lock) => flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok(),
            // Between its making and its lock a directory is a moment old.
            Err(_) => entry
                .metadata()
                .and_then(|metadata| metadata.modified())
                .is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age.as_secs() > 60)),
        };
        if abandoned {
            let _ = fs::remove_dir_all(&path);
        }
    }
}
