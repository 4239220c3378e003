//! Puts targets' outputs into their output directories: written beside them, then moved in at
//! once, so that a build that fails or dies leaves the earlier ones whole. Keeps a record of what
//! it wrote, and replaces no file that is not in it; one that it wrote is replaced even if it was
//! changed since.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::{Deserialize, Serialize};
use synth_core::{Concern, Diagnostic, ProjectPath, TargetSpec};

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

/// What was written to an output directory.
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

/// Outputs that are written and not yet in place.
struct Staged {
    /// Removed, with what was replaced, when it is dropped.
    _directory: tempfile::TempDir,
    new: PathBuf,
    to: PathBuf,
    files: BTreeSet<String>,
    tree: String,
}

/// What is inside the staging directory: the new outputs, and, where a file system can't
/// exchange, the earlier ones for a moment.
const NEW: &str = "outputs";
const EARLIER: &str = "earlier";

/// Why one of several targets' outputs can't be put in place.
pub(crate) struct CommitError {
    /// Its place among those that were to be committed.
    pub(crate) index: usize,
    pub(crate) problem: Diagnostic,
}

impl Outputs {
    pub(crate) fn new(root: &Path, state: State, store: Store) -> Self {
        Self {
            root: root.to_owned(),
            state,
            store,
        }
    }

    /// Removes what a build that died has left beside an output directory.
    pub(crate) fn clear_leftovers(&self, output_path: &ProjectPath) {
        let to = self.directory(output_path);
        let prefix = staging_prefix(&to);
        let parent = to.parent().unwrap_or(&self.root);
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            if !entry.file_name().to_string_lossy().starts_with(&prefix) {
                continue;
            }
            let earlier = entry.path().join(EARLIER);
            if !to.exists() && earlier.is_dir() {
                // It died between taking the earlier outputs away and moving the new ones in.
                let _ = fs::rename(earlier, &to);
            }
            let _ = fs::remove_dir_all(entry.path());
        }
    }

    /// Why a target's output directory must not be replaced, if there is a reason.
    pub(crate) fn check(&self, target: &TargetSpec) -> Option<Diagnostic> {
        let path = &target.output_path;
        let foreign = match self.foreign(path) {
            Ok(foreign) => foreign,
            Err(error) => {
                return Some(
                    Diagnostic::error("output.unreadable", format!("`{path}` can't be read"))
                        .concerning(Concern::State)
                        .at_setting(["output_path"])
                        .caused_by(&error)
                        .help("the output directory is replaced as a whole, so what is in it has to be known first"),
                );
            }
        };
        let first = foreign.first()?;
        let others = match foreign.len() - 1 {
            0 => String::new(),
            count => format!(" and {count} more"),
        };
        Some(
            Diagnostic::error(
                "output.not_ours",
                format!("`{path}` holds files that synth did not write: `{first}`{others}"),
            )
            .at_setting(["output_path"])
            .help("the output directory is replaced as a whole: move them away, or choose another `output_path`; if an earlier build wrote them, remove the directory"),
        )
    }

    /// Whether a target's outputs are in place.
    pub(crate) fn is_current(&self, target: &TargetSpec, tree: &Tree) -> bool {
        let record = self.record(&target.output_path);
        if record.tree != tree.digest().sha256 || !record.pending.is_empty() {
            return false;
        }
        let directory = self.directory(&target.output_path);
        let Ok(present) = list(&directory) else {
            return false;
        };
        directory.is_dir()
            && present.iter().eq(record.files.keys())
            && record.files.iter().all(|(path, written)| {
                Written::of(&directory.join(path)).is_ok_and(|now| now == *written)
            })
    }

    /// Puts the trees of targets in place, all or, as far as that can be known beforehand, none:
    /// each is written and checked before the first is moved in. Tells which had to be written.
    pub(crate) fn commit(&self, targets: &[(TargetSpec, Tree)]) -> Result<Vec<bool>, CommitError> {
        let mut staged = Vec::new();
        for (index, (target, tree)) in targets.iter().enumerate() {
            let fails = |problem| CommitError { index, problem };
            if self.is_current(target, tree) {
                staged.push(None);
                continue;
            }
            if let Some(problem) = self.check(target) {
                return Err(fails(problem));
            }
            let one = self.stage(target, tree);
            staged.push(Some(
                one.map_err(|error| fails(not_committed(target, &error)))?,
            ));
        }
        let mut written = Vec::new();
        for (index, ((target, _), staged)) in targets.iter().zip(staged).enumerate() {
            written.push(staged.is_some());
            if let Some(staged) = staged {
                self.install(target, staged).map_err(|error| CommitError {
                    index,
                    problem: not_committed(target, &error),
                })?;
            }
        }
        Ok(written)
    }

    /// Removes a target's outputs; what synth did not write is left. Tells whether there were any.
    pub(crate) fn remove(&self, target: &TargetSpec) -> Result<bool, Diagnostic> {
        if let Some(problem) = self.check(target) {
            return Err(problem);
        }
        let directory = self.directory(&target.output_path);
        let removed = match fs::remove_dir_all(&directory) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => {
                return Err(Diagnostic::error(
                    "output.remove",
                    format!("`{}` can't be removed", target.output_path),
                )
                .concerning(Concern::State)
                .caused_by(&error));
            }
        };
        // Without outputs, a record that stays behind says nothing wrong.
        let _ = fs::remove_file(self.state.output_record(&target.output_path));
        // The directory above goes too when it is empty, unless it is the project's.
        if let Some(parent) = directory.parent()
            && parent != self.root
        {
            let _ = fs::remove_dir(parent);
        }
        Ok(removed)
    }

    fn directory(&self, output_path: &ProjectPath) -> PathBuf {
        self.root.join(output_path.as_str())
    }

    fn record(&self, output_path: &ProjectPath) -> Record {
        let read = fs::read(self.state.output_record(output_path));
        let record: Option<Record> = read
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        record
            .filter(|record| record.output_path == output_path.as_str())
            .unwrap_or_default()
    }

    fn write_record(&self, output_path: &ProjectPath, record: &Record) -> Result<(), StoreError> {
        let path = self.state.output_record(output_path);
        let directory = path.parent().unwrap_or(&self.root);
        let error = || io_error("writing", &path);
        let file = tempfile::NamedTempFile::new_in(directory).map_err(error())?;
        serde_json::to_writer(&file, record)
            .map_err(|problem| error()(io::Error::other(problem)))?;
        file.persist(&path)
            .map_err(|problem| error()(problem.error))?;
        Ok(())
    }

    /// Files in an output directory that no build has written.
    fn foreign(&self, output_path: &ProjectPath) -> io::Result<Vec<String>> {
        let record = self.record(output_path);
        let present = list(&self.directory(output_path))?;
        Ok(present
            .into_iter()
            .filter(|path| !record.files.contains_key(path) && !record.pending.contains(path))
            .collect())
    }

    fn stage(&self, target: &TargetSpec, tree: &Tree) -> Result<Staged, StoreError> {
        let to = self.directory(&target.output_path);
        let parent = to.parent().unwrap_or(&self.root);
        fs::create_dir_all(parent).map_err(io_error("creating", parent))?;
        let directory = tempfile::Builder::new()
            .prefix(&staging_prefix(&to))
            .tempdir_in(parent)
            .map_err(io_error("creating a directory in", parent))?;
        let new = directory.path().join(NEW);
        fs::create_dir(&new).map_err(io_error("creating", &new))?;
        materialize(&self.store, tree, &new)?;
        let files = list(&new).map_err(io_error("reading", &new))?;
        Ok(Staged {
            _directory: directory,
            new,
            to,
            files: files.into_iter().collect(),
            tree: tree.digest().sha256,
        })
    }

    fn install(&self, target: &TargetSpec, staged: Staged) -> Result<(), StoreError> {
        let output_path = &target.output_path;
        let mut record = self.record(output_path);
        record.output_path = output_path.as_str().to_owned();
        record.pending = staged.files.clone();
        self.write_record(output_path, &record)?;
        move_in(&staged.new, &staged.to)?;
        let mut files = BTreeMap::new();
        for path in staged.files {
            let written =
                Written::of(&staged.to.join(&path)).map_err(io_error("reading", &staged.to))?;
            files.insert(path, written);
        }
        let record = Record {
            output_path: record.output_path,
            tree: staged.tree,
            files,
            pending: BTreeSet::new(),
        };
        self.write_record(output_path, &record)
    }
}

fn not_committed(target: &TargetSpec, error: &StoreError) -> Diagnostic {
    let problem = Diagnostic::error(
        "output.commit",
        format!(
            "the outputs of target `{}` can't be put into `{}`",
            target.name, target.output_path
        ),
    )
    .concerning(Concern::State)
    .caused_by(error);
    match error.advice() {
        Some(advice) => problem.help(advice),
        None => problem,
    }
}

/// Moves a directory to its name, in exchange for what has that name.
fn move_in(new: &Path, to: &Path) -> Result<(), StoreError> {
    use rustix::io::Errno;
    if fs::symlink_metadata(to).is_err() {
        return fs::rename(new, to).map_err(io_error("moving to", to));
    }
    match renameat_with(CWD, new, CWD, to, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(()),
        // Not every file system can exchange: then there is a moment without outputs.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            let aside = new.with_file_name(EARLIER);
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

/// Whether a name is that of a directory in which outputs are being written.
pub(crate) fn is_staging(name: &str) -> bool {
    name.starts_with('.') && name.contains(".synth-")
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
