//! Blobs out of the store, each into a new file of its own.
//!
//! A damaged blob is never served. A small one is read, compared with its name and only then
//! written. A large one is compared once in a build; after that, while its inode, size and times are
//! as they were, it is copied by the kernel, where the file system can by sharing its blocks
//! (reflink). It is never a hard link: whoever writes to the file would write into the store.

use std::collections::HashMap;
use std::fs::{File, FileTimes, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use synth_core::Digest;

use super::{Store, StoreError, io_error};
use crate::digest::{copy_and_digest, digest_bytes, digest_file};
use crate::index::stamp::{Stamp, file_clock};

/// Files up to this size are read whole.
const SMALL_BYTES: u64 = 256 * 1024;

/// The time that every file has in an action's directory and among the outputs: 1980-01-01 UTC,
/// the first that a zip archive can hold.
pub(crate) const MODIFIED: Duration = Duration::from_secs(315_532_800);

/// Large blobs that have been compared with their names, as they were then.
#[derive(Debug, Default)]
pub(super) struct Verified(Mutex<HashMap<String, Stamp>>);

impl Verified {
    fn is(&self, digest: &Digest, stamp: &Stamp) -> bool {
        let verified = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        verified.get(&digest.sha256) == Some(stamp)
    }

    fn add(&self, digest: &Digest, stamp: Stamp) {
        let mut verified = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        verified.insert(digest.sha256.clone(), stamp);
    }
}

impl Store {
    /// Writes a blob to a new file, compared with its name.
    pub(crate) fn restore(
        &self,
        digest: &Digest,
        executable: bool,
        to: &Path,
    ) -> Result<(), StoreError> {
        let path = self.blob_path(digest);
        let mut from = File::open(&path).map_err(|error| self.not_read(digest, &path, error))?;
        if digest.size <= SMALL_BYTES {
            let bytes = read_small(&mut from, digest.size)
                .map_err(|error| self.not_read(digest, &path, error))?;
            if digest_bytes(&bytes) != *digest {
                return Err(self.quarantine(digest));
            }
            return write_new(to, executable, |file| file.write_all(&bytes));
        }
        let looked = file_clock();
        let stamp = |file: &File| {
            Ok(Stamp::of(
                &file.metadata().map_err(io_error("reading", &path))?,
            ))
        };
        let before = stamp(&from)?;
        let mut found = None;
        write_new(to, executable, |file| {
            if self.shared.verified.is(digest, &before) {
                return share(&from, file)
                    .then_some(())
                    .map_or_else(|| io::copy(&mut from, file).map(drop), Ok);
            }
            found = Some(if share(&from, file) {
                copy_and_digest(&mut from, &mut io::sink())?
            } else {
                copy_and_digest(&mut from, file)?
            });
            Ok(())
        })?;
        let is_right = found.as_ref().is_none_or(|found| found == digest);
        if !is_right || stamp(&from)? != before {
            return Err(self.quarantine(digest));
        }
        if found.is_some() && before.is_settled(looked) {
            self.shared.verified.add(digest, before);
        }
        Ok(())
    }
}

/// Copies a file of the project, which must still have its digest.
pub(super) fn copy_source(
    from: &PathBuf,
    digest: &Digest,
    executable: bool,
    to: &Path,
) -> Result<(), StoreError> {
    let mut source = File::open(from).map_err(io_error("reading", from))?;
    let changed = || StoreError::Changed(from.clone());
    if digest.size <= SMALL_BYTES {
        let bytes = read_small(&mut source, digest.size).map_err(io_error("reading", from))?;
        if digest_bytes(&bytes) != *digest {
            return Err(changed());
        }
        return write_new(to, executable, |file| file.write_all(&bytes));
    }
    let mut copied = None;
    write_new(to, executable, |file| {
        if !share(&source, file) {
            copied = Some(copy_and_digest(&mut source, file)?);
        }
        Ok(())
    })?;
    let copied = match copied {
        Some(copied) => copied,
        // What is shared is compared where nobody else writes.
        None => digest_file(to).map_err(io_error("reading", to))?,
    };
    (copied == *digest).then_some(()).ok_or_else(changed)
}

/// Reads a file that should have a size; of one that has more, enough to tell.
fn read_small(file: &mut File, size: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default() + 1);
    file.take(size + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Makes a file with its mode and the one time.
pub(super) fn write_new(
    to: &Path,
    executable: bool,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<(), StoreError> {
    let mode = if executable { 0o755 } else { 0o644 };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(to)
        .map_err(io_error("creating", to))?;
    write(&mut file).map_err(io_error("writing", to))?;
    let metadata = file.metadata().map_err(io_error("reading", to))?;
    // The process's mask, or the directory's, may have taken something away.
    if metadata.mode() & 0o7777 != mode {
        file.set_permissions(Permissions::from_mode(mode))
            .map_err(io_error("protecting", to))?;
    }
    let times = FileTimes::new().set_modified(SystemTime::UNIX_EPOCH + MODIFIED);
    file.set_times(times).map_err(io_error("dating", to))
}

/// Has two files share their blocks, where the file system can.
fn share(from: &File, to: &File) -> bool {
    #[cfg(target_os = "linux")]
    return rustix::fs::ioctl_ficlone(to, from).is_ok();
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (from, to);
        false
    }
}
