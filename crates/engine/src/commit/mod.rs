//! Puts targets' outputs into their output directories: written beside them, then moved in at
//! once, so that a build that fails or dies leaves the earlier ones whole. Keeps a record of what
//! it wrote, and replaces no file that is not in it; one that it wrote is replaced even if it was
//! changed since. What goes among the sources instead is put there by `put`, file by file.

mod in_place;
mod left;
mod leftovers;
mod put;
mod record;
pub(crate) mod undo;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::{Deserialize, Serialize};
use synth_core::{Concern, Diagnostic, ProjectPath, TargetSpec};

use crate::records::{Records, Sort};
use crate::report::OutputsState;
use crate::state::State;
use crate::store::{Store, StoreError, io_error, materialize};
use crate::tree::Tree;
pub(crate) use in_place::{Declaration, InPlace, OutputPlace};
use put::{Putting, StagedFiles};
use record::Written;
use undo::Undo;

/// Puts outputs in place.
#[derive(Clone, Debug)]
pub(crate) struct Outputs {
    root: PathBuf,
    state: State,
    store: Store,
    in_place: Arc<InPlace>,
}

/// What a target exports, and whether that goes among its sources.
pub(crate) struct Exports {
    pub(crate) target: TargetSpec,
    pub(crate) tree: Tree,
    pub(crate) in_place: bool,
}

/// What was written to an output directory.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Record {
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

/// What is to be done with a target's exports.
enum Step {
    /// They are in place.
    Nothing,
    /// The output directory is replaced.
    Replace(Staged),
    /// They go among the sources.
    Put(StagedFiles),
}

impl Step {
    /// What is to be moved where.
    fn moves(&self, root: &Path) -> Vec<(&Path, PathBuf)> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Replace(staged) => vec![(&staged.new, staged.to.clone())],
            Self::Put(staged) => staged.moves(root).collect(),
        }
    }
}

/// Outputs that are written and not yet in place.
struct Staged {
    /// Removed, with what was replaced, when it is dropped; none where that is kept.
    _directory: Option<tempfile::TempDir>,
    new: PathBuf,
    to: PathBuf,
    files: BTreeSet<String>,
    tree: String,
}

/// What is inside the staging directory: the new outputs, and, where a file system can't
/// exchange, the earlier ones for a moment.
const NEW: &str = "outputs";
const EARLIER: &str = "earlier";

/// What was done with a target's outputs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Commit {
    /// Whether they had to be written.
    pub(crate) written: bool,
    /// What had become of the earlier ones.
    pub(crate) reasons: Vec<String>,
}

/// Why one of several targets' outputs can't be put in place.
pub(crate) struct CommitError {
    /// Its place among those that were to be committed.
    pub(crate) index: usize,
    pub(crate) problem: Diagnostic,
}

impl Outputs {
    pub(crate) fn new(root: &Path, state: State, store: Store, in_place: Arc<InPlace>) -> Self {
        Self {
            root: root.to_owned(),
            state,
            store,
            in_place,
        }
    }

    /// The directory that all outputs are below.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Takes note that records are not what they were.
    pub(crate) fn look_again(&self) {
        self.in_place.reload();
    }

    fn putting<'a>(&'a self, undo: Option<&'a Undo>) -> Putting<'a> {
        Putting {
            root: &self.root,
            state: &self.state,
            store: &self.store,
            in_place: &self.in_place,
            undo,
        }
    }

    /// Why a target's output directory must not be replaced, if there is a reason.
    pub(crate) fn check(&self, target: &TargetSpec) -> Option<Diagnostic> {
        let path = &target.output_path;
        let foreign = match self.foreign(target) {
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

    /// Whether what a target exports is in place.
    pub(crate) fn is_in_place(&self, exports: &Exports) -> bool {
        let Exports {
            target,
            tree,
            in_place,
        } = exports;
        if *in_place {
            return self.putting(None).is_current(target, tree);
        }
        self.in_place.record(&target.name).is_empty() && self.is_current(target, tree)
    }

    /// Whether a target's outputs are in place.
    fn is_current(&self, target: &TargetSpec, tree: &Tree) -> bool {
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

    /// Puts what targets export in place, all or, as far as that can be known beforehand, none:
    /// each is written and checked before the first is moved in. Tells which had to be written.
    pub(crate) fn commit(
        &self,
        targets: &[Exports],
        undo: Option<&Undo>,
    ) -> Result<Vec<Commit>, CommitError> {
        let mut steps = Vec::new();
        let mut commits = Vec::new();
        for (index, exports) in targets.iter().enumerate() {
            let step = self.prepare(exports, undo);
            let step = step.map_err(|problem| CommitError { index, problem })?;
            commits.push(Commit {
                written: false,
                reasons: match step {
                    Step::Nothing => Vec::new(),
                    _ => self.changes(&exports.target, exports.in_place),
                },
            });
            steps.push(step);
        }
        let puts = |step: &Step| matches!(step, Step::Put(_));
        let _turn = steps.iter().any(puts).then(|| self.in_place.turn());
        for (index, (exports, step)) in targets.iter().zip(&steps).enumerate() {
            if let Step::Put(staged) = step
                && let Some(problem) = self.putting(undo).check(&exports.target, staged)
            {
                return Err(CommitError { index, problem });
            }
        }
        if let Some(undo) = undo {
            self.announce(undo, targets, &steps)
                .map_err(|error| CommitError {
                    index: 0,
                    problem: undo::not_begun(&error),
                })?;
        }
        for (index, (exports, step)) in targets.iter().zip(steps).enumerate() {
            let target = &exports.target;
            let installed = match step {
                Step::Nothing => Ok(false),
                Step::Replace(staged) => self.replace(target, staged, undo),
                Step::Put(staged) => self.putting(undo).install(&target.name, staged),
            };
            let written = installed.map_err(|error| CommitError {
                index,
                problem: not_committed(exports, &error),
            })?;
            if let Some(commit) = commits.get_mut(index) {
                commit.written = written;
            }
        }
        Ok(commits)
    }

    /// Has the log tell of all that is going to be done, before the first of it is.
    fn announce(&self, undo: &Undo, targets: &[Exports], steps: &[Step]) -> io::Result<()> {
        let mut moves = Vec::new();
        for (Exports { target, .. }, step) in targets.iter().zip(steps) {
            if matches!(step, Step::Nothing) {
                continue;
            }
            undo.note(Sort::Output, target.output_path.as_str())?;
            undo.note(Sort::InPlace, &target.name)?;
            moves.extend(step.moves(&self.root));
        }
        match steps.iter().all(|step| matches!(step, Step::Nothing)) {
            true => Ok(()),
            false => undo.announce(moves),
        }
    }

    /// Writes what a target exports beside its place, if it is not there yet.
    fn prepare(&self, exports: &Exports, undo: Option<&Undo>) -> Result<Step, Diagnostic> {
        let Exports {
            target,
            tree,
            in_place,
        } = exports;
        let failed = |error: StoreError| not_committed(exports, &error);
        if self.is_in_place(exports) {
            return Ok(Step::Nothing);
        }
        if *in_place {
            let staged = self.putting(undo).stage(target, tree);
            return staged.map(Step::Put).map_err(failed);
        }
        if let Some(problem) = self.check(target) {
            return Err(problem);
        }
        let staged = self.stage(target, tree, undo);
        staged.map(Step::Replace).map_err(failed)
    }

    /// Replaces an output directory, and removes what the target once put among its sources.
    fn replace(
        &self,
        target: &TargetSpec,
        staged: Staged,
        undo: Option<&Undo>,
    ) -> Result<bool, StoreError> {
        if !self.in_place.record(&target.name).is_empty() {
            self.putting(undo)
                .install(&target.name, StagedFiles::default())?;
        }
        self.install(target, staged, undo)?;
        Ok(true)
    }

    /// Which outputs of a target there are that this build has not made.
    pub(crate) fn of_earlier_builds(&self, target: &TargetSpec) -> OutputsState {
        of_earlier_builds(&self.root, self.state.records(), &self.in_place, target)
    }

    /// Whether synth has written a target's output directory.
    pub(crate) fn has_replaced(&self, target: &TargetSpec) -> bool {
        let records = self.state.records();
        let record = records.get(Sort::Output, target.output_path.as_str());
        record.is_some()
    }

    /// Removes a target's outputs, and gives the paths removed; what synth did not write is left.
    pub(crate) fn remove(&self, target: &TargetSpec) -> Result<Vec<ProjectPath>, Diagnostic> {
        let mut removed = self.remove_in_place(&target.name)?;
        let replaced = self.has_replaced(target);
        let unused = !target.output_path_chosen && !self.directory(&target.output_path).is_dir();
        if !replaced && (unused || !removed.is_empty()) {
            return Ok(removed);
        }
        if self.remove_directory(target)? {
            removed.push(target.output_path.clone());
        }
        Ok(removed)
    }

    /// Removes what a target has put among its sources, as far as it is still as it was written.
    pub(crate) fn remove_in_place(&self, target: &str) -> Result<Vec<ProjectPath>, Diagnostic> {
        if self.in_place.record(target).is_empty() {
            return Ok(Vec::new());
        }
        let removed = self
            .putting(None)
            .remove(target)
            .map_err(|error| not_removed(&format!("what target `{target}` left"), &error))?;
        Ok(removed
            .iter()
            .filter_map(|path| ProjectPath::parse(path).ok())
            .collect())
    }

    fn remove_directory(&self, target: &TargetSpec) -> Result<bool, Diagnostic> {
        if let Some(problem) = self.check(target) {
            return Err(problem);
        }
        let directory = self.directory(&target.output_path);
        let removed = match fs::remove_dir_all(&directory) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => {
                return Err(not_removed(&format!("`{}`", target.output_path), &error));
            }
        };
        // Without outputs, a record that stays behind says nothing wrong.
        let records = self.state.records();
        let _ = records.remove(Sort::Output, target.output_path.as_str());
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
        // By the directory and not by the target, so that a target that writes elsewhere for a
        // while still knows its own.
        record::read(self.state.records(), Sort::Output, output_path.as_str()).unwrap_or_default()
    }

    fn write_record(&self, output_path: &ProjectPath, record: &Record) -> Result<(), StoreError> {
        let records = self.state.records();
        record::write(records, Sort::Output, output_path.as_str(), record)
    }

    /// Files in a target's output directory that no build has written.
    fn foreign(&self, target: &TargetSpec) -> io::Result<Vec<String>> {
        let record = self.record(&target.output_path);
        let present = list(&self.directory(&target.output_path))?;
        let put_there = |path: &str| {
            let path = target.output_path.join(path);
            path.is_ok_and(|path| self.in_place.is_written(path.as_str(), Some(&target.name)))
        };
        Ok(present
            .into_iter()
            .filter(|path| !record.files.contains_key(path) && !record.pending.contains(path))
            .filter(|path| !put_there(path))
            .collect())
    }

    fn stage(
        &self,
        target: &TargetSpec,
        tree: &Tree,
        undo: Option<&Undo>,
    ) -> Result<Staged, StoreError> {
        let to = self.directory(&target.output_path);
        let (directory, new) = match undo {
            Some(undo) => {
                let failed = io_error("creating a directory for", &to);
                let directory = undo.directory_for(&to).map_err(failed)?;
                (None, directory.join(NEW))
            }
            None => {
                let parent = to.parent().unwrap_or(&self.root);
                fs::create_dir_all(parent).map_err(io_error("creating", parent))?;
                let directory = tempfile::Builder::new()
                    .prefix(&staging_prefix(&to))
                    .tempdir_in(parent)
                    .map_err(io_error("creating a directory in", parent))?;
                let new = directory.path().join(NEW);
                (Some(directory), new)
            }
        };
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

    fn install(
        &self,
        target: &TargetSpec,
        staged: Staged,
        undo: Option<&Undo>,
    ) -> Result<(), StoreError> {
        let output_path = &target.output_path;
        if let Some(undo) = undo {
            let noted = undo.note(Sort::Output, output_path.as_str());
            noted.map_err(io_error("keeping what is known of", &staged.to))?;
        }
        let mut record = self.record(output_path);
        record.pending = staged.files.clone();
        self.write_record(output_path, &record)?;
        match undo {
            Some(undo) => {
                let moved = undo.put(&staged.new, &staged.to);
                moved.map_err(io_error("moving to", &staged.to))?;
            }
            None => move_in(&staged.new, &staged.to)?,
        }
        let mut files = BTreeMap::new();
        for path in staged.files {
            let written =
                Written::of(&staged.to.join(&path)).map_err(io_error("reading", &staged.to))?;
            files.insert(path, written);
        }
        let record = Record {
            tree: staged.tree,
            files,
            pending: BTreeSet::new(),
        };
        self.write_record(output_path, &record)
    }
}

/// Which outputs of a target there are that no build under way has made.
pub(crate) fn of_earlier_builds(
    root: &Path,
    records: &Records,
    in_place: &InPlace,
    target: &TargetSpec,
) -> OutputsState {
    let output_path = target.output_path.as_str();
    let is_written = records.get(Sort::Output, output_path).is_some();
    let in_directory = is_written && root.join(output_path).is_dir();
    match in_directory || !in_place.record(&target.name).files.is_empty() {
        true => OutputsState::Earlier,
        false => OutputsState::None,
    }
}

fn not_committed(exports: &Exports, error: &StoreError) -> Diagnostic {
    let target = &exports.target;
    let place = if exports.in_place {
        &target.source_path
    } else {
        &target.output_path
    };
    let problem = Diagnostic::error(
        "output.commit",
        format!(
            "the outputs of target `{}` can't be put into `{place}`",
            target.name
        ),
    )
    .concerning(Concern::State)
    .caused_by(error);
    match error.advice() {
        Some(advice) => problem.help(advice),
        None => problem,
    }
}

fn not_removed(what: &str, error: &dyn std::error::Error) -> Diagnostic {
    Diagnostic::error("output.remove", format!("{what} can't be removed"))
        .concerning(Concern::State)
        .caused_by(error)
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
