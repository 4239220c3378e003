//! What synth remembers of what it wrote: files as they were right after, and the records that
//! hold them.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::digest::digest_file;
use crate::records::{Records, Sort};
use crate::store::{StoreError, io_error};
use crate::tree::TreeEntry;

/// A file as it was right after it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Written {
    size: u64,
    modified_ns: i64,
    changed_s: i64,
    changed_ns: i64,
    inode: u64,
    mode: u32,
}

impl Written {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        Ok(Self::of_metadata(&fs::symlink_metadata(path)?))
    }

    /// Whether it is the same file, which somebody may have moved meanwhile.
    pub(super) fn is_same_file(&self, other: &Self) -> bool {
        let moved = Self {
            changed_s: other.changed_s,
            changed_ns: other.changed_ns,
            ..self.clone()
        };
        moved == *other
    }

    pub(super) fn of_metadata(metadata: &Metadata) -> Self {
        Self {
            size: metadata.len(),
            modified_ns: metadata.mtime_nsec() + metadata.mtime() * 1_000_000_000,
            changed_s: metadata.ctime(),
            changed_ns: metadata.ctime_nsec(),
            inode: metadata.ino(),
            mode: metadata.mode(),
        }
    }
}

/// What a file holds and whether it may be executed, or what a link says, as a text to compare.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Content(String);

impl Content {
    fn file(sha256: &str, executable: bool) -> Self {
        let mode = if executable { " x" } else { "" };
        Self(format!("{sha256}{mode}"))
    }

    fn link(to: &str) -> Self {
        Self(format!("-> {to}"))
    }

    /// Of a file or a link in a tree; none of a directory.
    pub(super) fn of_entry(entry: &TreeEntry) -> Option<Self> {
        match entry {
            TreeEntry::File(file) => Some(Self::file(&file.digest.sha256, file.executable)),
            TreeEntry::Symlink(to) => Some(Self::link(to)),
            TreeEntry::Directory(_) => None,
        }
    }
}

/// What is at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Present {
    Nothing,
    Leaf(Content),
    Directory,
    /// A device, a socket, a pipe.
    Other,
}

impl Present {
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        let metadata = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(Self::Nothing);
            }
            Err(error) => return Err(error),
        };
        Ok(if metadata.is_symlink() {
            Self::Leaf(Content::link(&fs::read_link(path)?.to_string_lossy()))
        } else if metadata.is_dir() {
            Self::Directory
        } else if metadata.is_file() {
            let executable = metadata.permissions().mode() & 0o111 != 0;
            Self::Leaf(Content::file(&digest_file(path)?.sha256, executable))
        } else {
            Self::Other
        })
    }
}

/// Reads a record; none when there is none, or none that can be read.
pub(super) fn read<T: DeserializeOwned>(records: &Records, sort: Sort, name: &str) -> Option<T> {
    serde_json::from_slice(&records.get(sort, name)?).ok()
}

/// Writes a record: the old one is there until the new one is.
pub(super) fn write<T: Serialize>(
    records: &Records,
    sort: Sort,
    name: &str,
    record: &T,
) -> Result<(), StoreError> {
    let text = serde_json::to_vec(record)
        .map_err(io::Error::other)
        .map_err(io_error("encoding the record of", Path::new(name)))?;
    records.put(sort, [(name, text.as_slice())])
}
