//! What builds that died have left where outputs are written.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use synth_core::ProjectPath;

use super::{EARLIER, Outputs, is_staging, staging_prefix, undo};

impl Outputs {
    /// Removes what a build that died has left beside output directories, and aside of others; not what
    /// may have to come back.
    pub(crate) fn clear_leftovers(&self, output_paths: &[ProjectPath]) {
        let _ = fs::remove_dir_all(self.state.staging_directory());
        let Some(asides) = undo::asides_elsewhere(&self.root) else {
            return;
        };
        // Many are beside each other: each directory is looked at once.
        let parents: BTreeSet<PathBuf> = output_paths
            .iter()
            .map(|path| {
                let to = self.directory(path);
                to.parent().unwrap_or(&self.root).to_owned()
            })
            .collect();
        for parent in parents {
            self.clear_leftovers_in(&parent, output_paths, &asides);
        }
    }

    fn clear_leftovers_in(&self, parent: &Path, output_paths: &[ProjectPath], asides: &[PathBuf]) {
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let is_kept = || asides.iter().any(|aside| aside.starts_with(entry.path()));
            if !is_staging(&name) || is_kept() {
                continue;
            }
            let of = |path: &&ProjectPath| {
                let to = self.directory(path);
                to.parent() == Some(parent) && name.starts_with(&staging_prefix(&to))
            };
            let Some(path) = output_paths.iter().find(of) else {
                continue;
            };
            let to = self.directory(path);
            let earlier = entry.path().join(EARLIER);
            if !to.exists() && earlier.is_dir() {
                // It died between taking the earlier outputs away and moving the new ones in.
                let _ = fs::rename(earlier, &to);
            }
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
