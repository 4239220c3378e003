//! What is in the store: listed, counted, weighed.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rayon::prelude::*;
use serde::Serialize;

use super::usage::{seconds, whole_seconds};
use super::{ACTIONS, BLOBS, INCOMING, QUARANTINE};

/// A file of the store.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Its name: for blobs and action results a digest.
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    /// When it was last used, in seconds since 1970.
    pub(super) used: i64,
}

/// Everything in the store.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) blobs: Vec<Entry>,
    pub(super) actions: Vec<Entry>,
    /// Blobs that were moved aside.
    pub(super) quarantined: Vec<Entry>,
    /// What is being written, or was when its writer died.
    pub(super) incoming: Vec<Entry>,
}

impl Survey {
    pub(super) fn of(root: &Path) -> io::Result<Self> {
        Ok(Self {
            blobs: sharded(&root.join(BLOBS))?,
            actions: sharded(&root.join(ACTIONS))?,
            quarantined: listed(&root.join(QUARANTINE))?,
            incoming: listed(&root.join(INCOMING))?,
        })
    }
}

/// The files in the directories of a directory, whose names are digests.
fn sharded(directory: &Path) -> io::Result<Vec<Entry>> {
    let shards: Vec<PathBuf> = match fs::read_dir(directory) {
        Ok(entries) => entries
            .map(|entry| Ok(entry?.path()))
            .collect::<io::Result<_>>()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    let found: Vec<Vec<Entry>> = shards
        .par_iter()
        .filter(|shard| shard.is_dir())
        .map(|shard| listed(shard))
        .collect::<io::Result<_>>()?;
    let is_digest = |entry: &Entry| {
        entry.name.len() == 64 && entry.name.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    Ok(found.into_iter().flatten().filter(is_digest).collect())
}

/// The files in a directory.
fn listed(directory: &Path) -> io::Result<Vec<Entry>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let metadata = match entry.metadata() {
            Ok(metadata) if metadata.is_file() => metadata,
            Ok(_) => continue,
            // It was removed, or moved to its name, meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        found.push(Entry {
            name: entry.file_name().to_string_lossy().into_owned(),
            path: entry.path(),
            bytes: metadata.len(),
            used: metadata.mtime(),
        });
    }
    Ok(found)
}

/// Files, and what they weigh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// How many.
    pub files: usize,
    /// All their bytes.
    pub bytes: u64,
}

impl Count {
    pub(super) fn add(&mut self, entry: &Entry) {
        self.files += 1;
        self.bytes += entry.bytes;
    }

    fn of(entries: &[Entry]) -> Self {
        let mut count = Self::default();
        for entry in entries {
            count.add(entry);
        }
        count
    }
}

/// What `cache gc --max-age` would free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Reclaimable {
    /// Not used for so many days.
    pub days: u64,
    /// Blobs and action results.
    pub count: Count,
}

/// What is in a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CacheStats {
    /// The store's directory.
    pub directory: PathBuf,
    /// Contents of files, and trees.
    pub blobs: Count,
    /// Results of actions.
    pub actions: Count,
    /// Blobs that were found damaged, and moved aside.
    pub quarantined: Count,
    /// All of it, in bytes.
    pub bytes: u64,
    /// When what was not used for the longest time was last used, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest: Option<i64>,
    /// When something was last used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest: Option<i64>,
    /// What is not used for so and so long.
    pub reclaimable: Vec<Reclaimable>,
}

impl CacheStats {
    pub(super) fn of(directory: &Path, survey: &Survey, now: SystemTime) -> Self {
        let (blobs, actions) = (Count::of(&survey.blobs), Count::of(&survey.actions));
        let quarantined = Count::of(&survey.quarantined);
        let all = || survey.blobs.iter().chain(&survey.actions);
        let used = || all().map(|entry| entry.used);
        let reclaimable = |days: u64| {
            let limit = seconds(now) - whole_seconds(Duration::from_hours(24 * days));
            let old: Vec<Entry> = all().filter(|entry| entry.used < limit).cloned().collect();
            Reclaimable {
                days,
                count: Count::of(&old),
            }
        };
        Self {
            directory: directory.to_owned(),
            blobs,
            actions,
            quarantined,
            bytes: blobs.bytes + actions.bytes + quarantined.bytes,
            oldest: used().min(),
            newest: used().max(),
            reclaimable: [7, 30, 90].map(reclaimable).to_vec(),
        }
    }
}
