//! `cache verify`: every blob compared with its name, every action result with the blobs it names.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use bazel_remote_apis::build::bazel::remote::execution::v2 as reapi;
use prost::Message as _;
use rayon::prelude::*;
use serde::Serialize;

use super::survey::{Count, Entry, Survey};
use super::{KeptTree, Store};
use super::{QUARANTINE, collect::Referenced};
use crate::digest::digest_file;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Blobs that were read.
    pub blobs: Count,
    /// Those whose bytes are not what their names say.
    pub damaged: Vec<DamagedBlob>,
    /// Action results that were read.
    pub actions: usize,
    /// Those that were dropped: they can't be read, or name a blob that is not there any more.
    pub dropped_actions: usize,
}

/// A blob that was damaged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct DamagedBlob {
    /// Its name: the SHA-256 that its bytes had.
    pub sha256: String,
    /// Where it has been moved.
    pub moved_to: PathBuf,
}

pub(super) fn verify(store: &Store, survey: &Survey) -> io::Result<Verification> {
    let found = Mutex::new(Verification::default());
    let lock = || found.lock().unwrap_or_else(PoisonError::into_inner);
    survey.blobs.par_iter().try_for_each(|blob| {
        let damaged = verify_blob(store, blob)?;
        let mut found = lock();
        found.blobs.add(blob);
        found.damaged.extend(damaged);
        io::Result::Ok(())
    })?;
    let trees = Mutex::new(HashMap::new());
    survey.actions.par_iter().try_for_each(|action| {
        let whole = is_whole(store, action, &trees)?;
        if !whole {
            remove(&action.path)?;
        }
        let mut found = lock();
        found.actions += 1;
        found.dropped_actions += usize::from(!whole);
        io::Result::Ok(())
    })?;
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.damaged.sort();
    Ok(found)
}

fn verify_blob(store: &Store, blob: &Entry) -> io::Result<Option<DamagedBlob>> {
    match digest_file(&blob.path) {
        Ok(digest) if digest.sha256 == blob.name => return Ok(None),
        // Removed meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
        // A sector that can't be read is damage as well.
        Ok(_) | Err(_) => {}
    }
    let aside = store.root.join(QUARANTINE).join(&blob.name);
    match fs::rename(&blob.path, &aside) {
        Ok(()) => Ok(Some(DamagedBlob {
            sha256: blob.name.clone(),
            moved_to: aside,
        })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether everything that an action result names is there.
fn is_whole(
    store: &Store,
    action: &Entry,
    trees: &Mutex<HashMap<KeptTree, bool>>,
) -> io::Result<bool> {
    let bytes = match fs::read(&action.path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
    };
    let Ok(message) = reapi::ActionResult::decode(bytes.as_slice()) else {
        return Ok(false);
    };
    let Some(named) = Referenced::by(&message) else {
        return Ok(false);
    };
    let there = |digest: &synth_core::Digest| store.contains_unmarked(digest);
    let is_tree_whole = |tree: &KeptTree| {
        let known = |trees: &Mutex<HashMap<KeptTree, bool>>| {
            let trees = trees.lock().unwrap_or_else(PoisonError::into_inner);
            trees.get(tree).copied()
        };
        known(trees).unwrap_or_else(|| {
            let files = Referenced::files_of(store, tree);
            let whole = files.is_some_and(|files| files.iter().all(there));
            let mut trees = trees.lock().unwrap_or_else(PoisonError::into_inner);
            trees.insert(tree.clone(), whole);
            whole
        })
    };
    Ok(named.files.iter().all(there) && named.trees.iter().all(is_tree_whole))
}

/// Removes a file; one that is gone already is removed.
pub(super) fn remove(path: &std::path::Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
