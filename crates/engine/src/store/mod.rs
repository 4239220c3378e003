//! The store that all workspaces of a user share: blobs by their digest, and action results by
//! the digest of their action. Safe under concurrent builds: files appear whole, under their
//! final name, or not at all.

mod action_cache;
mod materialize;

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use synth_core::{Concern, Digest};

pub(crate) use action_cache::{ActionOutputs, CachedAction};
pub(crate) use materialize::materialize;

use crate::digest::{copy_and_digest, digest_bytes, digest_file};

/// The layout's version: a directory of its own, so that an older synth never reads a newer
/// layout.
const LAYOUT: &str = "v1";

/// A store on the local disk.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    root: PathBuf,
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
            Self::Io { .. } => None,
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
    /// Opens a store, making its directories.
    ///
    /// # Errors
    /// When they can't be made.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        let root = directory.join(LAYOUT);
        for name in ["cas", "actions", "incoming", "work", "quarantine"] {
            fs::create_dir_all(root.join(name))?;
        }
        Ok(Self { root })
    }

    /// Where actions run: on the store's own file system, so that outputs move in without a copy.
    pub(crate) fn work_directory(&self) -> PathBuf {
        self.root.join("work")
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        let shard = digest.sha256.get(..2).unwrap_or("00");
        self.root.join("cas").join(shard).join(&digest.sha256)
    }

    /// Whether a blob is there, in its full length.
    pub(crate) fn contains(&self, digest: &Digest) -> bool {
        fs::metadata(self.blob_path(digest))
            .is_ok_and(|metadata| metadata.is_file() && metadata.len() == digest.size)
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
        let bytes = fs::read(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StoreError::Missing(digest.clone()),
            _ => io_error("reading", &path)(error),
        })?;
        if digest_bytes(&bytes) == *digest {
            Ok(bytes)
        } else {
            Err(self.quarantine(digest))
        }
    }

    /// Writes a blob to a new file, compared with its name on the way.
    pub(crate) fn copy_to(&self, digest: &Digest, to: &Path) -> Result<(), StoreError> {
        let path = self.blob_path(digest);
        let mut from = File::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StoreError::Missing(digest.clone()),
            _ => io_error("reading", &path)(error),
        })?;
        let mut file = File::create_new(to).map_err(io_error("creating", to))?;
        let copied = copy_and_digest(&mut from, &mut file).map_err(io_error("writing", to))?;
        if copied == *digest {
            Ok(())
        } else {
            Err(self.quarantine(digest))
        }
    }

    fn quarantine(&self, digest: &Digest) -> StoreError {
        let aside = self.root.join("quarantine").join(&digest.sha256);
        // When it can't be moved, the error says all the same that it is damaged.
        let _ = fs::rename(self.blob_path(digest), aside);
        StoreError::Damaged(digest.clone())
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
        let incoming = self.root.join("incoming");
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
            store.copy_to(&digest, &to),
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
        store.copy_to(&digest, &to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"bytes");
        assert!(matches!(
            store.read(&digest_bytes(b"unknown")),
            Err(StoreError::Missing(_))
        ));
    }
}
