//! What was there before a build, and where it is: what becomes of it when that is certain.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{LOG, Step, TAKEN, Undo, directory, log};
use crate::commit::is_staging;
use crate::work::remove_tree;

impl Undo {
    /// What was put in place stays; what was there before is removed.
    pub(crate) fn keep(&self) -> io::Result<()> {
        let steps = self.steps().unwrap_or_default();
        self.end(&steps)
    }

    /// Without the log it is over, whatever is left of the rest.
    pub(super) fn end(&self, steps: &[Step]) -> io::Result<()> {
        match fs::remove_file(self.directory.join(LOG)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.remove_asides(steps, |aside| !aside.starts_with(&self.directory));
        remove_tree(&self.directory);
        Ok(())
    }

    /// Removes what steps have left aside.
    pub(super) fn remove_asides(&self, steps: &[Step], chosen: impl Fn(&Path) -> bool) {
        let asides = asides(&self.root, steps);
        for aside in asides.filter(|aside| chosen(aside)) {
            remove(&aside);
            // It may be all that was in a directory that was made for it.
            let Some(parent) = aside.parent() else {
                continue;
            };
            let name = parent.file_name().unwrap_or_default();
            if is_staging(&name.to_string_lossy()) {
                remove_tree(parent);
            } else if parent.parent() == Some(&self.directory) {
                let _ = fs::remove_dir(parent);
            }
        }
    }

    /// Something that was there before, and of which no step tells where: the log is not all there.
    pub(super) fn nameless(&self, steps: &[Step]) -> Option<PathBuf> {
        let mut entries = fs::read_dir(&self.directory).ok()?.flatten();
        entries.find_map(|entry| {
            let path = entry.path();
            let is_taken = entry.file_name().to_string_lossy().starts_with(TAKEN);
            let named = || asides(&self.root, steps).any(|aside| aside == path);
            (is_taken && !named()).then_some(path)
        })
    }
}

/// Where something was put aside, by the steps.
fn asides(root: &Path, steps: &[Step]) -> impl Iterator<Item = PathBuf> {
    steps.iter().filter_map(|step| match step {
        Step::Move(step) => Some(root.join(&step.aside)),
        _ => None,
    })
}

/// What the log that is there names outside of the directory for it. None when it can't be read.
pub(in crate::commit) fn asides_elsewhere(root: &Path) -> Option<Vec<PathBuf>> {
    let directory = directory(root);
    let bytes = match fs::read(directory.join(LOG)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Some(Vec::new()),
        Err(_) => return None,
    };
    let steps = log::decoded(&bytes)?;
    let asides = asides(root, &steps);
    Some(
        asides
            .filter(|aside| !aside.starts_with(&directory))
            .collect(),
    )
}

/// A number that is in no name of what a build has put aside.
pub(super) fn next_name(root: &Path) -> u64 {
    let elsewhere = asides_elsewhere(root).unwrap_or_default();
    let entries = fs::read_dir(directory(root)).into_iter().flatten();
    let beside = entries.flatten().map(|entry| entry.path());
    let used = beside.chain(elsewhere).filter_map(|path| {
        let name = path.file_name()?.to_str()?;
        let (_, number) = name.rsplit_once('-').unwrap_or(("", name));
        number.parse().ok()
    });
    used.max().map_or(0, |used: u64| used.saturating_add(1))
}

/// Removes a file or a directory; what stays is in nobody's way.
fn remove(path: &Path) {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => remove_tree(path),
        Ok(_) => {
            let _ = fs::remove_file(path);
        }
        Err(_) => {}
    }
}
