//! Hashing: bytes and files to [`Digest`]s, and digests to the Remote Execution API's messages.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use bazel_remote_apis::build::bazel::remote::execution::v2 as reapi;
use sha2::{Digest as _, Sha256};
use synth_core::Digest;

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
    copy_and_digest(&mut File::open(path)?, &mut io::sink())
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

/// Digests of the project's files during one build: each file is hashed once.
#[derive(Debug, Default)]
pub(crate) struct FileDigests {
    known: Mutex<HashMap<PathBuf, Digest>>,
}

impl FileDigests {
    pub(crate) fn digest(&self, path: &Path) -> io::Result<Digest> {
        let known = || {
            self.known
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner())
        };
        if let Some(digest) = known().get(path) {
            return Ok(digest.clone());
        }
        let digest = digest_file(path)?;
        known().insert(path.to_owned(), digest.clone());
        Ok(digest)
    }
}
