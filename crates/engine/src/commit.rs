//! Puts a target's outputs into its output directory: written beside it, then moved in at once,
//! so that a build that fails or dies leaves the earlier ones whole. Keeps a record of what it
//! wrote, and never replaces what it did not write.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::{Deserialize, Serialize};
use synth_core::{Diagnostic, TargetSpec};

use crate::state::State;
use crate::store::{Store, StoreError, io_error, materialize};
use crate::tree::Tree;

/// Puts outputs in place.
#[derive(Clone, Debug)]
pub(crate) struct Outputs {
    root: PathBuf,
    state: State,
    store: Store,
}

/// What was written for a target.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Record {
    output_path: String,
    /// The digest of the tree that was written.
    #[serde(default)]
    tree: String,
    /// Its files and links.
    #[serde(default)]
    files: BTreeMap<String, Written>,
    /// Paths that are about to be written: a build that dies in between has written either.
    #[serde(default)]
    pending: BTreeSet<String>,
}

/// A file as it was right after it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    size: u64,
    modified_ns: i64,
    changed_s: i64,
    changed_ns: i64,
    inode: u64,
    mode: u32,
}

impl Written {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(path)?;
        Ok(Self {
            size: metadata.len(),
            modified_ns: metadata.mtime_nsec() + metadata.mtime() * 1_000_000_000,
            changed_s: metadata.ctime(),
            changed_ns: metadata.ctime_nsec(),
            inode: metadata.ino(),
            mode: metadata.mode(),
        })
    }
}

impl Outputs {
    pub(crate) fn new(root: &Path, state: State, store: Store) -> Self {
        Self {
            root: root.to_owned(),
            state,
            store,
        }
    }

    /// Removes what a build that died has left beside a target's output directory.
    pub(crate) fn clear_leftovers(&self, target: &TargetSpec) {
        let to = self.directory(target);
        clear_staging(to.parent().unwrap_or(&self.root), &staging_prefix(&to));
    }

    /// Why a target's output directory must not be replaced, if there is a reason.
    pub(crate) fn check(&self, target: &TargetSpec) -> Option<Diagnostic> {
        let foreign = self.foreign(target).ok()?;
        let first = foreign.first()?;
        let others = match foreign.len() - 1 {
            0 => String::new(),
            count => format!(" and {count} more"),
        };
        Some(
            Diagnostic::error(
                "output.not_ours",
                format!(
                    "`{}` holds files that synth did not write: `{first}`{others}",
                    target.output_path
                ),
            )
            .at_setting(["output_path"])
            .help("the output directory is replaced as a whole: move them away, or choose another `output_path`; if an earlier build wrote them, remove the directory"),
        )
    }

    /// Whether a target's outputs are in place.
    pub(crate) fn is_current(&self, target: &TargetSpec, tree: &Tree) -> bool {
        let record = self.record(target);
        if record.tree != tree.digest().sha256 || !record.pending.is_empty() {
            return false;
        }
        let directory = self.directory(target);
        let Ok(present) = list(&directory) else {
            return false;
        };
        present.iter().eq(record.files.keys())
            && record.files.iter().all(|(path, written)| {
                Written::of(&directory.join(path)).is_ok_and(|now| now == *written)
            })
    }

    /// Writes a tree to the target's output directory.
    pub(crate) fn commit(&self, target: &TargetSpec, tree: &Tree) -> Result<(), Diagnostic> {
        if let Some(problem) = self.check(target) {
            return Err(problem);
        }
        self.replace(target, tree).map_err(|error| {
            let problem = Diagnostic::error(
                "output.commit",
                format!(
                    "the outputs of target `{}` can't be put into `{}`",
                    target.name, target.output_path
                ),
            )
            .concerning(synth_core::Concern::State)
            .caused_by(&error);
            match error {
                StoreError::Damaged(_) | StoreError::Missing(_) => {
                    problem.help("build again: what was lost is made anew")
                }
                _ => problem,
            }
        })
    }

    /// Removes a target's outputs; what synth did not write is left. Tells whether there were any.
    pub(crate) fn remove(&self, target: &TargetSpec) -> Result<bool, Diagnostic> {
        if let Some(problem) = self.check(target) {
            return Err(problem);
        }
        let directory = self.directory(target);
        let removed = match fs::remove_dir_all(&directory) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => {
                return Err(Diagnostic::error(
                    "output.remove",
                    format!("`{}` can't be removed", target.output_path),
                )
                .concerning(synth_core::Concern::State)
                .caused_by(&error));
            }
        };
        // Without outputs, a record that stays behind says nothing wrong.
        let _ = fs::remove_file(self.state.output_record(&target.name));
        // The directory above goes too when it is empty, unless it is the project's.
        if let Some(parent) = directory.parent()
            && parent != self.root
        {
            let _ = fs::remove_dir(parent);
        }
        Ok(removed)
    }

    fn directory(&self, target: &TargetSpec) -> PathBuf {
        self.root.join(target.output_path.as_str())
    }

    fn record(&self, target: &TargetSpec) -> Record {
        let read = fs::read(self.state.output_record(&target.name));
        let record: Option<Record> = read
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        record
            .filter(|record| record.output_path == target.output_path.as_str())
            .unwrap_or_default()
    }

    fn write_record(&self, target: &TargetSpec, record: &Record) -> Result<(), StoreError> {
        let path = self.state.output_record(&target.name);
        let directory = path.parent().unwrap_or(&self.root);
        let error = || io_error("writing", &path);
        let file = tempfile::NamedTempFile::new_in(directory).map_err(error())?;
        serde_json::to_writer(&file, record)
            .map_err(|problem| error()(io::Error::other(problem)))?;
        file.persist(&path)
            .map_err(|problem| error()(problem.error))?;
        Ok(())
    }

    /// Files in the output directory that no build of this target has written.
    fn foreign(&self, target: &TargetSpec) -> io::Result<Vec<String>> {
        let record = self.record(target);
        let present = list(&self.directory(target))?;
        Ok(present
            .into_iter()
            .filter(|path| !record.files.contains_key(path) && !record.pending.contains(path))
            .collect())
    }

    fn replace(&self, target: &TargetSpec, tree: &Tree) -> Result<(), StoreError> {
        let to = self.directory(target);
        let parent = to.parent().unwrap_or(&self.root);
        fs::create_dir_all(parent).map_err(io_error("creating", parent))?;
        let staging = tempfile::Builder::new()
            .prefix(&staging_prefix(&to))
            .tempdir_in(parent)
            .map_err(io_error("creating a directory in", parent))?;
        let new = staging.path().join("outputs");
        fs::create_dir(&new).map_err(io_error("creating", &new))?;
        materialize(&self.store, tree, &new)?;
        let mut record = self.record(target);
        record.output_path = target.output_path.as_str().to_owned();
        record.pending = list(&new)
            .map_err(io_error("reading", &new))?
            .into_iter()
            .collect();
        self.write_record(target, &record)?;
        move_in(&new, &to)?;
        let mut files = BTreeMap::new();
        for path in record.pending {
            let written = Written::of(&to.join(&path)).map_err(io_error("reading", &to))?;
            files.insert(path, written);
        }
        self.write_record(
            target,
            &Record {
                output_path: record.output_path,
                tree: tree.digest().sha256,
                files,
                pending: BTreeSet::new(),
            },
        )
    }
}

/// Moves a directory to its name, in exchange for what has that name.
fn move_in(new: &Path, to: &Path) -> Result<(), StoreError> {
    if fs::symlink_metadata(to).is_err() {
        return fs::rename(new, to).map_err(io_error("moving to", to));
    }
    match renameat_with(CWD, new, CWD, to, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(()),
        // Not every file system can exchange: then there is a moment without outputs.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            let aside = new.with_extension("earlier");
            fs::rename(to, &aside).map_err(io_error("moving aside", to))?;
            fs::rename(new, to).map_err(|error| {
                // Nothing is lost: what was there goes back.
                let _ = fs::rename(&aside, to);
                io_error("moving to", to)(error)
            })
        }
        Err(error) => Err(io_error("moving to", to)(error.into())),
    }
}

fn staging_prefix(to: &Path) -> String {
    format!(".{}.synth-", to.file_name().unwrap_or_default().display())
}

/// Removes what builds that died have left beside an output directory.
fn clear_staging(parent: &Path, prefix: &str) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Files and links below a directory, sorted; none when it is not there.
fn list(directory: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in walkdir::WalkDir::new(directory) {
        match entry {
            Ok(entry) if entry.file_type().is_dir() => {}
            Ok(entry) => {
                let relative = entry.path().strip_prefix(directory).unwrap_or(entry.path());
                found.push(relative.to_string_lossy().into_owned());
            }
            Err(error) => match error.io_error().map(io::Error::kind) {
                Some(io::ErrorKind::NotFound) => {}
                _ => return Err(error.into()),
            },
        }
    }
    found.sort();
    Ok(found)
}
