//! Hashing: bytes and files to [`Digest`]s, and digests to the Remote Execution API's messages.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use bazel_remote_apis::build::bazel::remote::execution::v2 as reapi;
use sha2::{Digest as _, Sha256};
use synth_core::Digest;

use crate::index::stamp::{Stamp, file_clock};

const BUFFER_BYTES: usize = 256 * 1024;

/// The digest of some bytes.
pub(crate) fn digest_bytes(bytes: &[u8]) -> Digest {
    finish(
        Sha256::new_with_prefix(bytes),
        u64::try_from(bytes.len()).unwrap_or(u64::MAX),
    )
}

/// The digest of a file's bytes.
pub(crate) fn digest_file(path: &Path) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let size = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    if size <= BUFFER_BYTES {
        let mut bytes = Vec::with_capacity(size + 1);
        file.read_to_end(&mut bytes)?;
        return Ok(digest_bytes(&bytes));
    }
    copy_and_digest(&mut file, &mut io::sink())
}

/// Copies everything, and gives the digest of what was copied.
pub(crate) fn copy_and_digest(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<Digest> {
    let mut hasher = Sha256::new();
    let mut size = 0;
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&buffer[..count]);
        to.write_all(&buffer[..count])?;
        size += u64::try_from(count).unwrap_or(u64::MAX);
    }
    Ok(finish(hasher, size))
}

fn finish(hasher: Sha256, size: u64) -> Digest {
    Digest {
        sha256: hex::encode(hasher.finalize()),
        size,
    }
}

/// As `build.bazel.remote.execution.v2.Digest`.
pub(crate) fn to_message(digest: &Digest) -> reapi::Digest {
    reapi::Digest {
        hash: digest.sha256.clone(),
        size_bytes: i64::try_from(digest.size).unwrap_or(i64::MAX),
    }
}

/// From `build.bazel.remote.execution.v2.Digest`; none when it is not a SHA-256.
pub(crate) fn from_message(message: &reapi::Digest) -> Option<Digest> {
    Digest::new(
        message.hash.clone(),
        u64::try_from(message.size_bytes).ok()?,
    )
    .ok()
}

/// A file's digest, with what tells later whether it still holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hashed {
    pub(crate) digest: Digest,
    /// Taken before the file was read.
    pub(crate) stamp: Stamp,
    /// Whether a change since then would show in the stamp.
    pub(crate) settled: bool,
}

/// Digests of files during one build: each file is hashed once, and not at all when it is as it
/// was when an earlier build hashed it.
#[derive(Debug, Default)]
pub(crate) struct FileDigests {
    known: Mutex<HashMap<PathBuf, Hashed>>,
    /// What earlier builds found, by stamps that were settled.
    earlier: RwLock<HashMap<PathBuf, (Stamp, Digest)>>,
}

impl FileDigests {
    /// The digest of a file, links followed.
    pub(crate) fn digest(&self, path: &Path) -> io::Result<Digest> {
        Ok(self.hashed(path)?.digest)
    }

    /// The digest of a file, links followed.
    pub(crate) fn hashed(&self, path: &Path) -> io::Result<Hashed> {
        if let Some(hashed) = self.known().get(path) {
            return Ok(hashed.clone());
        }
        let looked = file_clock();
        let stamp = Stamp::followed(path)?;
        self.hash(path, stamp, looked)
    }

    /// The same, with the metadata of the file, which is no link, taken after `looked`.
    pub(crate) fn hashed_file(
        &self,
        path: &Path,
        metadata: &Metadata,
        looked: i64,
    ) -> io::Result<Hashed> {
        if let Some(hashed) = self.known().get(path) {
            return Ok(hashed.clone());
        }
        self.hash(path, Stamp::of(metadata), looked)
    }

    fn hash(&self, path: &Path, stamp: Stamp, looked: i64) -> io::Result<Hashed> {
        let earlier = self.earlier.read().unwrap_or_else(PoisonError::into_inner);
        let known = earlier.get(path).filter(|(then, _)| *then == stamp);
        let digest = match known {
            Some((_, digest)) => digest.clone(),
            None => digest_file(path)?,
        };
        let hashed = Hashed {
            digest,
            stamp,
            settled: known.is_some() || stamp.is_settled(looked),
        };
        self.known().insert(path.to_owned(), hashed.clone());
        Ok(hashed)
    }

    /// What was found of a file in this build.
    pub(crate) fn found(&self, path: &Path) -> Option<Hashed> {
        self.known().get(path).cloned()
    }

    /// Takes over what an earlier build found.
    pub(crate) fn remember(&self, found: impl IntoIterator<Item = (PathBuf, (Stamp, Digest))>) {
        let mut earlier = self.earlier.write().unwrap_or_else(PoisonError::into_inner);
        earlier.extend(found);
    }

    fn known(&self) -> MutexGuard<'_, HashMap<PathBuf, Hashed>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hashes a file again whose stamp did not tell enough.
pub(crate) fn hash_again(path: &Path) -> io::Result<Hashed> {
    let looked = file_clock();
    let stamp = Stamp::followed(path)?;
    Ok(Hashed {
        digest: digest_file(path)?,
        stamp,
        settled: stamp.is_settled(looked),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_time_before_the_clock_was_set_back_is_hashed_every_time() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let metadata = file.as_file().metadata().unwrap();
        let an_hour_before = file_clock() - 3600 * 1_000_000_000;
        let digests = FileDigests::default();
        let hashed = digests.hashed_file(file.path(), &metadata, an_hour_before);
        assert!(!hashed.unwrap().settled);
    }

    #[test]
    fn a_file_that_was_changed_is_not_taken_for_what_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "one").unwrap();
        let digests = FileDigests::default();
        let first = digests.hashed(&path).unwrap();
        let next = FileDigests::default();
        next.remember([(path.clone(), (first.stamp, digest_bytes(b"believed")))]);
        assert_eq!(next.digest(&path).unwrap(), digest_bytes(b"believed"));
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "two").unwrap();
        let next = FileDigests::default();
        next.remember([(path.clone(), (first.stamp, digest_bytes(b"believed")))]);
        assert_eq!(next.digest(&path).unwrap(), digest_bytes(b"two"));
        assert_eq!(
            hash_again(&path).unwrap().digest,
            next.found(&path).unwrap().digest
        );
    }
}
