//! What is left when something fails, or is stopped: of outputs, of effects, of temporary files, and
//! of processes.

mod allowed;
mod crash;
mod kept;
pub(crate) mod releases;
mod signals;
mod strategies;
mod terminal;
mod transactions;
mod waiting;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use walkdir::WalkDir;

use crate::workspace::Workspace;

/// Everything below paths of the project: modes, times, links and contents.
fn state(workspace: &Workspace, paths: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for path in paths {
        for entry in WalkDir::new(workspace.path(path)).sort_by_file_name() {
            let entry = entry.unwrap();
            let metadata = entry.path().symlink_metadata().unwrap();
            let relative = entry.path().strip_prefix(workspace.root()).unwrap();
            let content = if metadata.is_symlink() {
                format!("-> {}", fs::read_link(entry.path()).unwrap().display())
            } else if metadata.is_dir() {
                "/".to_owned()
            } else {
                fs::read_to_string(entry.path()).unwrap()
            };
            // Of directories among the sources the time tells of what was done in them.
            let modified = match metadata.is_dir() {
                true => 0,
                false => metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec(),
            };
            let mode = metadata.permissions().mode();
            let relative = relative.display();
            found.push(format!("{relative} {mode:o} {modified} {content:?}"));
        }
    }
    found
}

/// Whether nothing temporary is left, in the project or in the store.
fn assert_nothing_temporary(workspace: &Workspace) {
    for directory in ["staging", "undo"] {
        let left = workspace.path(".synth").join(directory);
        let entries = fs::read_dir(&left).into_iter().flatten().count();
        assert_eq!(entries, 0, "in {}", left.display());
    }
    let staged: Vec<_> = WalkDir::new(workspace.root())
        .into_iter()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with('.') && name.contains(".synth-"))
        .collect();
    assert_eq!(staged, [] as [String; 0]);
    let work = workspace.cache().join("synth/v1/work");
    let left: Vec<_> = fs::read_dir(work)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name != "lock")
        .collect();
    assert_eq!(left, [] as [&str; 0], "directories of actions");
}
