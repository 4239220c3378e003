//! `cache gc`: removes what was not used for the longest time. Builds may run meanwhile, see
//! [`super::usage`].

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use bazel_remote_apis::build::bazel::remote::execution::v2 as reapi;
use prost::Message as _;
use serde::Serialize;
use synth_core::Digest;

use super::survey::{Count, Entry, Survey};
use super::usage::{Gate, seconds, whole_seconds};
use super::verify::remove;
use super::{KeptTree, Store};
use crate::digest::{digest_bytes, from_message};
use crate::tree::{Tree, TreeEntry};

/// How many files are removed before builds have their turn.
const STEP: usize = 200;

/// What is to be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheLimits {
    /// Nothing beyond so many bytes, if there is a limit.
    pub max_bytes: Option<u64>,
    /// Nothing that was not used for longer, if there is a limit.
    pub max_age: Option<Duration>,
}

/// What was removed, or would be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Collected {
    /// Blobs.
    pub blobs: Count,
    /// Action results.
    pub actions: Count,
    /// Blobs that had been moved aside, and what builds that died were writing.
    pub leftovers: Count,
    /// What is beyond the limits and was spared, for a running build may use it.
    pub spared: Count,
    /// What remains.
    pub remaining: Count,
}

pub(super) fn collect(
    store: &Store,
    survey: &Survey,
    limits: &CacheLimits,
    now: SystemTime,
    dry_run: bool,
) -> io::Result<Collected> {
    let mut collection = Collection {
        root: &store.root,
        dry_run,
        spared: Count::default(),
    };
    let beyond = beyond(survey, limits, now);
    let is_beyond = |entry: &&Entry| beyond.contains(entry.path.as_path());
    // A result without its blobs is of no use; so it goes first.
    let blobs: Vec<&Entry> = survey.blobs.iter().filter(is_beyond).collect();
    let going: HashSet<&str> = blobs.iter().map(|blob| blob.name.as_str()).collect();
    let actions: Vec<&Entry> = survey
        .actions
        .iter()
        .filter(|action| is_beyond(action) || names_any(store, action, &going))
        .collect();
    let day_ago = seconds(now) - whole_seconds(Duration::from_hours(24));
    let incoming = survey.incoming.iter().filter(|file| file.used < day_ago);
    let leftovers: Vec<&Entry> = survey.quarantined.iter().chain(incoming).collect();
    let mut collected = Collected {
        actions: collection.remove(&actions)?,
        blobs: collection.remove(&blobs)?,
        leftovers: collection.remove(&leftovers)?,
        ..Collected::default()
    };
    collected.spared = collection.spared;
    let all = survey.blobs.iter().chain(&survey.actions);
    let mut whole = Count::default();
    all.for_each(|entry| whole.add(entry));
    let gone = |one: Count, other: Count| Count {
        files: one.files.saturating_sub(other.files),
        bytes: one.bytes.saturating_sub(other.bytes),
    };
    collected.remaining = gone(gone(whole, collected.blobs), collected.actions);
    Ok(collected)
}

/// The blobs and action results that are beyond the limits.
fn beyond<'a>(survey: &'a Survey, limits: &CacheLimits, now: SystemTime) -> HashSet<&'a Path> {
    let too_old = limits.max_age.map_or(i64::MIN, |age| {
        seconds(now).saturating_sub(whole_seconds(age))
    });
    let mut all: Vec<&Entry> = survey.blobs.iter().chain(&survey.actions).collect();
    all.sort_by(|one, other| (other.used, &other.path).cmp(&(one.used, &one.path)));
    let mut bytes: u64 = 0;
    let mut full = false;
    let mut beyond = HashSet::new();
    for entry in all {
        bytes = bytes.saturating_add(entry.bytes);
        // What was used before something that is too much is not kept in its stead.
        full |= limits.max_bytes.is_some_and(|most| bytes > most);
        if full || entry.used < too_old {
            beyond.insert(entry.path.as_path());
        }
    }
    beyond
}

/// Whether an action result names any of the blobs, or can't be read.
fn names_any(store: &Store, action: &Entry, blobs: &HashSet<&str>) -> bool {
    if blobs.is_empty() {
        return false;
    }
    let Ok(bytes) = fs::read(&action.path) else {
        return false;
    };
    let message = reapi::ActionResult::decode(bytes.as_slice()).ok();
    let Some(named) = message.as_ref().and_then(Referenced::by) else {
        return true;
    };
    let is_named = |digest: &Digest| blobs.contains(digest.sha256.as_str());
    named.files.iter().any(is_named)
        || named.trees.iter().any(|tree| {
            is_named(&tree.digest())
                || Referenced::files_of(store, tree).is_none_or(|files| files.iter().any(is_named))
        })
}

/// The blobs that an action result names.
pub(super) struct Referenced {
    pub(super) files: Vec<Digest>,
    pub(super) trees: Vec<KeptTree>,
}

impl Referenced {
    /// None when it has names that are none.
    pub(super) fn by(message: &reapi::ActionResult) -> Option<Self> {
        let files = message.output_files.iter();
        let trees = message.output_directories.iter();
        Some(Self {
            files: files
                .map(|file| from_message(file.digest.as_ref()?))
                .collect::<Option<_>>()?,
            trees: trees
                .map(|tree| KeptTree::of(message, tree))
                .collect::<Option<_>>()?,
        })
    }

    /// The files of a tree; none when it is not there, or not as it should be.
    pub(super) fn files_of(store: &Store, tree: &KeptTree) -> Option<Vec<Digest>> {
        let bytes = match tree {
            KeptTree::Inline(bytes) => bytes.clone(),
            KeptTree::Blob(digest) => {
                let bytes = fs::read(store.blob_path(digest)).ok()?;
                (digest_bytes(&bytes) == *digest).then_some(bytes)?
            }
        };
        let tree = Tree::from_message(&reapi::Tree::decode(bytes.as_slice()).ok()?)?;
        let leaves = tree.leaves().into_iter();
        let digests = leaves.filter_map(|(_, entry)| match entry {
            TreeEntry::File(file) => Some(file.digest.clone()),
            _ => None,
        });
        Some(digests.collect())
    }
}

/// Removes files in short steps.
struct Collection<'a> {
    root: &'a Path,
    dry_run: bool,
    spared: Count,
}

impl Collection<'_> {
    fn remove(&mut self, entries: &[&Entry]) -> io::Result<Count> {
        let mut removed = Count::default();
        for step in entries.chunks(STEP) {
            let gate = Gate::close(self.root)?;
            let spared = gate.spared(self.root)?;
            for entry in step {
                // It may have been used since it was listed.
                let used = match fs::metadata(&entry.path) {
                    Ok(metadata) => metadata.mtime(),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                };
                if used != entry.used || spared.is_some_and(|spared| used >= spared) {
                    self.spared.add(entry);
                    continue;
                }
                if !self.dry_run {
                    remove(&entry.path)?;
                }
                removed.add(entry);
            }
        }
        Ok(removed)
    }
}
