//! The store that all workspaces of a user share: blobs by their digest, and action results by
//! the digest of their action. Safe under concurrent builds: files appear whole, under their
//! final name, or not at all. What is removed again, and when, is told in [`usage`].
//!
//! A store that can't be written, because it is another user's or its disk is full, still serves
//! what it has.

mod action_cache;
mod action_lock;
mod cache;
mod collect;
mod loss;
mod materialize;
mod restore;
mod survey;
mod usage;
mod verify;

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use synth_core::{Concern, Digest};

pub(crate) use action_cache::{ActionOutputs, CachedAction, KeptTree};
pub(crate) use action_lock::ActionLock;
pub use cache::Cache;
pub use collect::{CacheLimits, Collected};
pub(crate) use loss::Loss;
use loss::Losses;
pub(crate) use materialize::{date_directories, materialize};
pub(crate) use restore::MODIFIED;
use restore::Verified;
pub use survey::{CacheStats, Count, Reclaimable};
use usage::Marks;
pub use verify::{DamagedBlob, Verification};

use crate::digest::{copy_and_digest, digest_bytes, digest_file};

/// The layout's version: a directory of its own, so that an older synth never reads a newer
/// layout.
const LAYOUT: &str = "v1";

/// Where blobs are, each in a directory of the first two digits of its name.
const BLOBS: &str = "cas";
/// Where action results are, likewise.
const ACTIONS: &str = "actions";
/// Where files are written before they move to their names.
const INCOMING: &str = "incoming";
/// Where actions run.
const WORK: &str = "work";
/// Where blobs go whose bytes are not what their names say.
const QUARANTINE: &str = "quarantine";
/// Where actions are locked while they are executed.
const LOCKS: &str = "locks";

/// A store on the local disk, as one build uses it.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    root: PathBuf,
    shared: Arc<Shared>,
}

/// What a build knows of the store.
#[derive(Debug)]
struct Shared {
    losses: Losses,
    marks: Marks,
    verified: Verified,
}

/// Why the store could not do something.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The system said no.
    #[error("{action} `{}`", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// A blob is not there.
    #[error("{0} is not in the store")]
    Missing(Digest),
    /// A blob's bytes are not what its name says. It has been moved aside.
    #[error("{0} was damaged in the store, and has been moved aside")]
    Damaged(Digest),
    /// A file of the project is not what it was when its digest was taken.
    #[error("`{}` was changed while it was being built", .0.display())]
    Changed(PathBuf),
}

impl StoreError {
    /// What a user can do about it, where there is something.
    pub(crate) fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Damaged(_) | Self::Missing(_) => Some("build again: what was lost is made anew"),
            Self::Changed(_) => Some("build again, without changing sources meanwhile"),
            Self::Io { source, .. } => advice(source),
        }
    }

    /// Whose concern it is.
    pub(crate) fn concern(&self) -> Concern {
        match self {
            Self::Changed(_) => Concern::Project,
            _ => Concern::State,
        }
    }
}

/// What a user can do when files can't be written.
pub(crate) fn advice(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(
            "make room on the disk; `synth cache gc --max-age 30d` removes what was not used for long",
        ),
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => Some(
            "make it writable for this user, or choose another directory for the store with XDG_CACHE_HOME",
        ),
        _ => None,
    }
}

/// Gives an I/O error its path.
pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io {
        action,
        path,
        source,
    }
}

impl Store {
    /// Opens a store, making its directories. One that can't be written is opened when there is
    /// something in it.
    ///
    /// # Errors
    /// When they can't be made.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        let root = directory.join(LAYOUT);
        for name in [BLOBS, ACTIONS, INCOMING, WORK, QUARANTINE, LOCKS] {
            if let Err(error) = fs::create_dir_all(root.join(name))
                && !root.join(BLOBS).is_dir()
            {
                return Err(error);
            }
        }
        Ok(Self {
            root,
            shared: Arc::new(Shared {
                losses: Losses::default(),
                marks: Marks::since_now(),
                verified: Verified::default(),
            }),
        })
    }

    /// Where actions run: on the store's own file system, so that outputs move in without a copy.
    pub(crate) fn work_directory(&self) -> PathBuf {
        self.root.join(WORK)
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        let shard = digest.sha256.get(..2).unwrap_or("00");
        self.root.join(BLOBS).join(shard).join(&digest.sha256)
    }

    /// Whether a blob is there, in its full length. It stays as long as the build lives.
    pub(crate) fn contains(&self, digest: &Digest) -> bool {
        let path = self.blob_path(digest);
        fs::metadata(&path).is_ok_and(|metadata| {
            metadata.is_file()
                && metadata.len() == digest.size
                && self.shared.marks.mark(&self.root, &path, &metadata)
        })
    }

    /// The same, without a mark that it is used.
    fn contains_unmarked(&self, digest: &Digest) -> bool {
        fs::metadata(self.blob_path(digest))
            .is_ok_and(|metadata| metadata.is_file() && metadata.len() == digest.size)
    }

    /// What was found damaged or missing since this was last asked.
    pub(crate) fn take_losses(&self) -> Vec<Loss> {
        self.shared.losses.take()
    }

    /// Whether something could not be done because of a blob that is damaged or missing.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.shared.losses.is_interrupted()
    }

    /// Stores some bytes.
    pub(crate) fn put_bytes(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = digest_bytes(bytes);
        if !self.contains(&digest) {
            self.put_new(&digest, &mut |file| file.write_all(bytes))?;
        }
        Ok(digest)
    }

    /// Moves a file in. It must not be written any more; it is gone from its place afterwards,
    /// or still there when the store had its bytes already.
    pub(crate) fn take_file(&self, path: &Path) -> Result<Digest, StoreError> {
        let digest = digest_file(path).map_err(io_error("reading", path))?;
        if self.contains(&digest) {
            return Ok(digest);
        }
        let to = self.blob_path(&digest);
        let metadata = fs::metadata(path).map_err(io_error("reading", path))?;
        if metadata.nlink() > 1 {
            // The same file has another name, where it may still be changed.
            return self.copy_in(&digest, path);
        }
        self.make_parent(&to)?;
        fs::set_permissions(path, Permissions::from_mode(0o444))
            .map_err(io_error("protecting", path))?;
        // Whatever time the file has been given: it is used now.
        usage::touch(path).map_err(io_error("dating", path))?;
        fs::rename(path, &to).map_err(io_error("moving into the store", path))?;
        Ok(digest)
    }

    fn copy_in(&self, digest: &Digest, path: &Path) -> Result<Digest, StoreError> {
        let mut copied = None;
        self.put_new(digest, &mut |to| {
            copied = Some(copy_and_digest(&mut File::open(path)?, to)?);
            Ok(())
        })?;
        if copied.as_ref() == Some(digest) {
            Ok(digest.clone())
        } else {
            Err(self.quarantine(digest))
        }
    }

    /// The bytes of a blob, compared with its name.
    pub(crate) fn read(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        let path = self.blob_path(digest);
        let bytes = fs::read(&path).map_err(|error| self.not_read(digest, &path, error))?;
        if digest_bytes(&bytes) == *digest {
            Ok(bytes)
        } else {
            Err(self.quarantine(digest))
        }
    }

    /// Moves a blob aside whose bytes are not what its name says.
    fn quarantine(&self, digest: &Digest) -> StoreError {
        let aside = self.root.join(QUARANTINE).join(&digest.sha256);
        let path = self.blob_path(digest);
        // Another build may have moved it aside and put the right bytes there meanwhile.
        if !digest_file(&path).is_ok_and(|now| now == *digest) {
            // When it can't be moved, the error says all the same that it is damaged.
            let moved = fs::rename(&path, &aside).is_ok();
            self.shared
                .losses
                .add(Loss::damaged(digest, moved.then_some(aside)));
        }
        StoreError::Damaged(digest.clone())
    }

    fn not_read(&self, digest: &Digest, path: &Path, error: io::Error) -> StoreError {
        match error.kind() {
            io::ErrorKind::NotFound => {
                self.shared.losses.add(Loss::missing(digest));
                StoreError::Missing(digest.clone())
            }
            _ if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => {
                self.quarantine(digest)
            }
            _ => io_error("reading", path)(error),
        }
    }

    fn put_new(
        &self,
        digest: &Digest,
        write: &mut dyn FnMut(&mut File) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        let to = self.blob_path(digest);
        self.write_whole(&to, write)
    }

    /// Writes a file beside and moves it to its name.
    fn write_whole(
        &self,
        to: &Path,
        write: &mut dyn FnMut(&mut File) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        let incoming = self.root.join(INCOMING);
        let mut file = tempfile::NamedTempFile::new_in(&incoming)
            .map_err(io_error("writing in", &incoming))?;
        write(file.as_file_mut()).map_err(io_error("writing", to))?;
        file.as_file()
            .set_permissions(Permissions::from_mode(0o444))
            .map_err(io_error("protecting", to))?;
        self.make_parent(to)?;
        file.persist(to)
            .map_err(|error| io_error("moving to", to)(error.error))?;
        Ok(())
    }

    fn make_parent(&self, path: &Path) -> Result<(), StoreError> {
        let parent = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(parent).map_err(io_error("creating", parent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_blob_is_never_served() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let digest = store.put_bytes(b"right").unwrap();
        let path = store.blob_path(&digest);
        fs::remove_file(&path).unwrap();
        fs::write(&path, b"wrong").unwrap();
        let to = directory.path().join("to");
        assert!(matches!(
            store.restore(&digest, false, &to),
            Err(StoreError::Damaged(_))
        ));
        assert!(
            !store.contains(&digest),
            "it is out of the way, so that it is made again"
        );
    }

    #[test]
    fn files_move_in_and_come_out() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let from = directory.path().join("from");
        fs::write(&from, b"bytes").unwrap();
        let digest = store.take_file(&from).unwrap();
        assert!(!from.exists());
        let to = directory.path().join("to");
        store.restore(&digest, false, &to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"bytes");
        assert!(matches!(
            store.read(&digest_bytes(b"unknown")),
            Err(StoreError::Missing(_))
        ));
    }
}
