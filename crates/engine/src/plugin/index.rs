//! The index of plugin files: what was read from them, kept in the user's cache directory, so that
//! a library that has not changed costs one look at its metadata. It may be deleted or damaged at
//! any time; then the files are read again.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use synth_core::Manifest;

use super::{PluginFile, PluginFileError, permissions};

/// The form of the index. Another one is not read.
const INDEX_VERSION: u32 = 1;

/// A file that was changed this recently may be changed again without its times telling: it is
/// not kept.
const SETTLED: Duration = Duration::from_secs(2);

/// The index, as far as it was read or added to.
#[derive(Debug)]
pub(crate) struct Index {
    path: Option<PathBuf>,
    /// Read when the first library is looked up.
    known: Option<Contents>,
    changed: bool,
    /// How long ago a file has to have changed to be kept.
    settled: Duration,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            path: None,
            known: None,
            changed: false,
            settled: SETTLED,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Contents {
    version: u32,
    files: BTreeMap<PathBuf, Entry>,
}

impl Default for Contents {
    fn default() -> Self {
        Self {
            version: INDEX_VERSION,
            files: BTreeMap::new(),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    state: FileState,
    sha256: String,
    manifest: Manifest,
}

/// What tells that a file has not changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileState {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileState {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    fn age(&self, now: SystemTime) -> Duration {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let changed = u64::try_from(self.changed.0.max(self.modified.0)).unwrap_or_default();
        now.saturating_sub(Duration::from_secs(changed))
    }
}

impl Index {
    /// The index in a file; one that can't be read, or that others can write to, is empty.
    pub(crate) fn at(path: Option<PathBuf>) -> Self {
        Self {
            path,
            ..Self::default()
        }
    }

    /// Keeps files however young they are.
    #[cfg(test)]
    pub(crate) fn believe_settled(&mut self) {
        self.settled = Duration::ZERO;
    }

    /// A library's manifest and digest, from the index if the file has not changed since.
    pub(crate) fn plugin_file(&mut self, path: &Path) -> Result<PluginFile, PluginFileError> {
        let state = FileState::of(&fs::metadata(path)?);
        let index = self.path.as_deref();
        let known = self
            .known
            .get_or_insert_with(|| index.and_then(read).unwrap_or_default());
        if let Some(entry) = known.files.get(path)
            && entry.state == state
        {
            return Ok(PluginFile {
                path: path.to_owned(),
                manifest: entry.manifest.clone(),
                sha256: entry.sha256.clone(),
            });
        }
        let file = PluginFile::read(path)?;
        let after = FileState::of(&fs::metadata(path)?);
        if after == state && state.age(SystemTime::now()) >= self.settled {
            let entry = Entry {
                state,
                sha256: file.sha256.clone(),
                manifest: file.manifest.clone(),
            };
            known.files.insert(path.to_owned(), entry);
            self.changed = true;
        }
        Ok(file)
    }

    /// Keeps what was added. Where it can't be written, the next run reads the files again.
    pub(crate) fn save(&mut self) {
        let path = self.path.as_deref().filter(|_| self.changed);
        let (Some(path), Some(known)) = (path, &mut self.known) else {
            return;
        };
        known.files.retain(|path, _| path.exists());
        let write = || -> std::io::Result<()> {
            let directory = path.parent().unwrap_or(Path::new("/"));
            fs::create_dir_all(directory)?;
            let mut file = tempfile::NamedTempFile::new_in(directory)?;
            file.write_all(&serde_json::to_vec(known)?)?;
            file.persist(path)?;
            Ok(())
        };
        self.changed = write().is_err();
    }
}

fn read(path: &Path) -> Option<Contents> {
    // Digests in it are believed, so it has to be the user's own.
    permissions::check(path).ok()?.ok()?;
    let contents: Contents = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    (contents.version == INDEX_VERSION).then_some(contents)
}
