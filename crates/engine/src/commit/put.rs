//! Puts a target's outputs among its sources, file by file: written aside, checked, then moved to
//! their names. What no target has written is never replaced.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, FileTimes};
use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use synth_core::{Diagnostic, ProjectPath, TargetSpec};

use super::in_place::{InPlace, Placed, Record};
use super::record::{Content, Present, Written};
use super::undo::Undo;
use super::{is_staging, list, staging_prefix};
use crate::project::NEVER_SOURCES;
use crate::records::Sort;
use crate::state::State;
use crate::store::{Store, StoreError, io_error, materialize};
use crate::tree::{Tree, TreeEntry};

/// Puts files in place.
pub(super) struct Putting<'a> {
    pub(super) root: &'a Path,
    pub(super) state: &'a State,
    pub(super) store: &'a Store,
    pub(super) in_place: &'a InPlace,
    /// Where steps are written that can be taken back.
    pub(super) undo: Option<&'a Undo>,
}

/// Files that are written aside. What is not moved away is removed when it is dropped.
#[derive(Default)]
pub(super) struct StagedFiles {
    /// All that is to be in place, by path from the project's root.
    wanted: BTreeMap<String, Content>,
    /// What of it is aside, because it is not in place yet, and where.
    aside: BTreeMap<String, PathBuf>,
    /// Whether what is aside is another's: it may be what was in place before.
    is_kept: bool,
}

impl StagedFiles {
    /// What is to be moved where.
    pub(super) fn moves(&self, root: &Path) -> impl Iterator<Item = (&Path, PathBuf)> {
        let aside = self.aside.iter();
        aside.map(move |(path, from)| (from.as_path(), root.join(path)))
    }
}

impl Drop for StagedFiles {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        for path in self.aside.values() {
            // The next build removes what stays.
            let _ = fs::remove_file(path);
        }
    }
}

impl Putting<'_> {
    /// Whether everything is in place, as it was written, and nothing else that the target wrote
    /// before.
    pub(super) fn is_current(&self, target: &TargetSpec, tree: &Tree) -> bool {
        let record = self.in_place.record(&target.name);
        let wanted = wanted(target, tree);
        record.pending.is_empty()
            && record.files.len() == wanted.len()
            && wanted.iter().all(|(path, content)| {
                record.files.get(path).is_some_and(|placed| {
                    placed.content == *content
                        && Written::of(&self.root.join(path)).is_ok_and(|now| now == placed.written)
                })
            })
    }

    /// Writes aside what is not in place yet.
    pub(super) fn stage(
        &self,
        target: &TargetSpec,
        tree: &Tree,
    ) -> Result<StagedFiles, StoreError> {
        let mut staged = StagedFiles {
            wanted: wanted(target, tree),
            aside: BTreeMap::new(),
            is_kept: self.undo.is_some(),
        };
        // Side by side under new names: their own would take a directory for each of those above.
        let mut missing = Tree::default();
        let parent = match self.undo {
            Some(undo) => undo.directory().to_owned(),
            None => self.state.staging_directory(),
        };
        for (relative, entry) in tree.leaves() {
            let path = below(&target.source_path, &relative);
            let disk = self.root.join(&path);
            let present = Present::at(&disk).map_err(io_error("reading", &disk))?;
            let content = staged.wanted.get(&path).cloned();
            if content.is_some_and(|content| present == Present::Leaf(content)) {
                continue;
            }
            let name = match self.undo {
                Some(undo) => undo.name(),
                None => self.in_place.name_aside(),
            };
            staged.aside.insert(path, parent.join(&name));
            missing
                .insert(&name, entry.clone())
                .map_err(|conflict| io_error("writing", &disk)(io::Error::other(conflict)))?;
        }
        if staged.aside.is_empty() {
            return Ok(staged);
        }
        fs::create_dir_all(&parent).map_err(io_error("creating", &parent))?;
        materialize(self.store, &missing, &parent)?;
        let now = SystemTime::now();
        for (name, entry) in missing.leaves() {
            if matches!(entry, TreeEntry::File(_)) {
                // Tools that look at sources' times are to see that there is something new.
                let path = parent.join(name);
                File::open(&path)
                    .and_then(|file| file.set_times(FileTimes::new().set_modified(now)))
                    .map_err(io_error("dating", &path))?;
            }
        }
        Ok(staged)
    }

    /// Why files must not be put in place, if there is a reason. Reserves their places.
    pub(super) fn check(&self, target: &TargetSpec, staged: &StagedFiles) -> Option<Diagnostic> {
        let record = self.in_place.record(&target.name);
        let stale = self.stale(&record, &staged.wanted);
        let mut foreign = Vec::new();
        for path in staged.wanted.keys() {
            let reserved = |name: &str| NEVER_SOURCES.contains(&name) || is_staging(name);
            if path.split('/').any(reserved) {
                return Some(never_an_output(target, path));
            }
            if let Some(problem) = self.shared(target, path) {
                return Some(problem);
            }
            if let Some(in_the_way) = self.in_the_way(path, &stale) {
                foreign.push(in_the_way);
                continue;
            }
            if !staged.aside.contains_key(path) {
                continue;
            }
            let replaceable = match Present::at(&self.root.join(path)) {
                Ok(Present::Nothing) => true,
                // It goes, with what is in it, before anything is moved in.
                Ok(Present::Directory) => self.holds_only(path, &stale),
                Ok(_) => self.is_ours(&record, path),
                Err(_) => false,
            };
            if !replaceable {
                foreign.push(path.clone());
            }
        }
        if let Some(first) = foreign.first() {
            return Some(not_ours(target, first, foreign.len()));
        }
        let mut known = self.in_place.known_mut();
        for path in staged.wanted.keys() {
            known.owners.insert(path.clone(), target.name.clone());
        }
        None
    }

    /// Whether a directory that was made for outputs holds nothing else than these.
    fn holds_only(&self, directory: &str, stale: &BTreeSet<String>) -> bool {
        let present = list(&self.root.join(directory));
        present.is_ok_and(|present| {
            let mut present = present.iter();
            present.all(|path| stale.contains(&format!("{directory}/{path}")))
        })
    }

    /// Whether a path that is taken was written by this target, whatever became of it since, or
    /// by one that will not write it again.
    fn is_ours(&self, record: &Record, path: &str) -> bool {
        record.files.contains_key(path) || self.in_place.is_written(path, None)
    }

    /// What a target wrote, is not going to write again, and is still as it was written.
    fn stale(&self, record: &Record, wanted: &BTreeMap<String, Content>) -> BTreeSet<String> {
        record
            .files
            .keys()
            .chain(record.pending.keys())
            .filter(|path| !wanted.contains_key(*path))
            .filter(|path| {
                Present::at(&self.root.join(path)).is_ok_and(|present| record.wrote(path, &present))
            })
            .cloned()
            .collect()
    }

    /// Another target that writes to the same place.
    fn shared(&self, target: &TargetSpec, path: &str) -> Option<Diagnostic> {
        let project_path = ProjectPath::parse(path).ok()?;
        if let Some((other, directory)) = self.in_place.in_output_directory(&project_path)
            && other != target.name
        {
            let problem = shared(target, &other, path).cause(format!(
                "`{directory}` is the output directory of `{other}`"
            ));
            return Some(problem);
        }
        let known = self.in_place.known();
        let others = |path: &str| {
            let owner = known.owners.get(path)?;
            let other = *owner != target.name && self.in_place.may_leave(owner, path);
            other.then(|| owner.clone())
        };
        let above = ancestors(path).find_map(others);
        let prefix = format!("{path}/");
        let below = || {
            let mut below = known.owners.range(prefix.clone()..);
            let (path, _) = below.next().filter(|(path, _)| path.starts_with(&prefix))?;
            others(path)
        };
        let other = others(path).or(above).or_else(below)?;
        Some(shared(target, &other, path))
    }

    /// Something above a path that is no directory, and not about to go.
    fn in_the_way(&self, path: &str, stale: &BTreeSet<String>) -> Option<String> {
        ancestors(path)
            .find(|above| {
                let metadata = fs::symlink_metadata(self.root.join(above));
                metadata.is_ok_and(|found| !found.is_dir()) && !stale.contains(*above)
            })
            .map(ToOwned::to_owned)
    }

    /// Moves files to their names, and removes what the target wrote before and no longer does.
    /// Tells whether there was something to do. A build that dies in between leaves a record of
    /// what it was at.
    pub(super) fn install(&self, target: &str, staged: StagedFiles) -> Result<bool, StoreError> {
        let changes = !staged.aside.is_empty();
        let removed = self.exchange(target, staged)?;
        Ok(changes || !removed.is_empty())
    }

    /// Removes everything that a target wrote and that is still as it was written. Gives the
    /// paths, those of directories instead of all that was in them.
    pub(super) fn remove(&self, target: &str) -> Result<Vec<String>, StoreError> {
        let removed = self.exchange(target, StagedFiles::default())?;
        let all: BTreeSet<&str> = removed.iter().map(String::as_str).collect();
        let outermost = all
            .iter()
            .filter(|path| !ancestors(path).any(|above| all.contains(above)));
        Ok(outermost.map(|path| (*path).to_owned()).collect())
    }

    /// Gives what was removed.
    fn exchange(&self, target: &str, mut staged: StagedFiles) -> Result<Vec<String>, StoreError> {
        let mut record = self.in_place.record(target);
        let stale = self.stale(&record, &staged.wanted);
        self.clear_beside(&record);
        self.take_over(target, &staged.wanted)?;
        target.clone_into(&mut record.target);
        record.pending.extend(staged.wanted.clone());
        let absent = |path: &&str| fs::symlink_metadata(self.root.join(path)).is_err();
        for path in staged.wanted.keys() {
            let made = ancestors(path).filter(|above| absent(above) || stale.contains(*above));
            record.directories.extend(made.map(ToOwned::to_owned));
        }
        self.keep(record.clone())?;
        let mut removed = Vec::new();
        for path in &stale {
            let disk = self.root.join(path);
            let gone = match self.undo {
                Some(undo) => undo.take(&disk),
                None => fs::remove_file(&disk),
            };
            gone.map_err(io_error("removing", &disk))?;
            removed.push(path.clone());
        }
        removed.extend(self.remove_empty_directories(&mut record, &staged.wanted));
        for (path, from) in &staged.aside {
            self.move_in(from, path)?;
        }
        record.pending.clear();
        record.files.clear();
        for (path, content) in mem::take(&mut staged.wanted) {
            let disk = self.root.join(&path);
            let written = Written::of(&disk).map_err(io_error("reading", &disk))?;
            record.files.insert(path, Placed { written, content });
        }
        self.keep(record)?;
        Ok(removed)
    }

    /// Keeps a target's record.
    fn keep(&self, record: Record) -> Result<(), StoreError> {
        if let Some(undo) = self.undo {
            let noted = undo.note(Sort::InPlace, &record.target);
            noted.map_err(io_error("keeping what is known below", self.root))?;
        }
        self.in_place.keep(self.state, record)
    }

    fn move_in(&self, from: &Path, path: &str) -> Result<(), StoreError> {
        let to = self.root.join(path);
        let parent = to.parent().unwrap_or(self.root);
        if let Some(undo) = self.undo {
            let made = undo.make_directories(parent);
            made.map_err(io_error("creating", parent))?;
            return put(undo, from, &to).map_err(io_error("moving to", &to));
        }
        fs::create_dir_all(parent).map_err(io_error("creating", parent))?;
        match fs::rename(from, &to) {
            // Something is mounted there: beside its place it is on the same file system.
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                move_across(from, &to).map_err(io_error("moving to", &to))
            }
            result => result.map_err(io_error("moving to", &to)),
        }
    }

    /// Removes what a build that died was writing beside the places.
    fn clear_beside(&self, record: &Record) {
        for path in record.pending.keys() {
            let to = self.root.join(path);
            let prefix = staging_prefix(&to);
            let entries = to.parent().map(fs::read_dir);
            for entry in entries.into_iter().flatten().flatten().flatten() {
                if entry.file_name().to_string_lossy().starts_with(&prefix) {
                    // It is in nobody's way: no source, and no output.
                    let _ = fs::remove_file(entry.path());
                }
            }
        }
    }

    /// Takes files out of the records of other targets, which don't write them any more.
    fn take_over(
        &self,
        target: &str,
        wanted: &BTreeMap<String, Content>,
    ) -> Result<(), StoreError> {
        for mut record in self.in_place.of_others(target, wanted.keys()) {
            record.files.retain(|path, _| !wanted.contains_key(path));
            record.pending.retain(|path, _| !wanted.contains_key(path));
            self.keep(record)?;
        }
        Ok(())
    }

    /// Removes directories that were made for files of which there are none any more.
    fn remove_empty_directories(
        &self,
        record: &mut Record,
        wanted: &BTreeMap<String, Content>,
    ) -> Vec<String> {
        let used: BTreeSet<&str> = wanted.keys().flat_map(|path| ancestors(path)).collect();
        let mut removed = Vec::new();
        // Those below come before those above.
        for directory in record.directories.clone().into_iter().rev() {
            if used.contains(directory.as_str()) {
                continue;
            }
            // Of one that holds something else, synth keeps no track any longer.
            let disk = self.root.join(&directory);
            let gone = match self.undo {
                Some(undo) => undo.remove_directory(&disk),
                None => fs::remove_dir(&disk),
            };
            if gone.is_ok() {
                removed.push(directory.clone());
            }
            record.directories.remove(&directory);
        }
        removed
    }
}

/// Moves a file to its name in a way that can be taken back.
fn put(undo: &Undo, from: &Path, to: &Path) -> io::Result<()> {
    match undo.put(from, to) {
        // Something is mounted there: beside its place it is on the same file system.
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            let beside = copy_beside(from, to)?;
            let path = beside.keep().map_err(|error| error.error)?;
            undo.put(&path, to)
        }
        result => result,
    }
}

/// Copies a file or a link beside its place on another file system, and moves it to its name.
fn move_across(from: &Path, to: &Path) -> io::Result<()> {
    copy_beside(from, to)?
        .persist(to)
        .map_err(|error| error.error)
}

/// Copies a file or a link beside its place.
fn copy_beside(from: &Path, to: &Path) -> io::Result<tempfile::TempPath> {
    let parent = to.parent().unwrap_or(Path::new("/"));
    let beside = |directory: &Path| {
        tempfile::Builder::new()
            .prefix(&staging_prefix(to))
            .tempfile_in(directory)
    };
    if fs::symlink_metadata(from)?.is_symlink() {
        let name = beside(parent)?.into_temp_path();
        fs::remove_file(&name)?;
        std::os::unix::fs::symlink(fs::read_link(from)?, &name)?;
        return Ok(name);
    }
    let mut source = File::open(from)?;
    let metadata = source.metadata()?;
    let mut copy = beside(parent)?;
    io::copy(&mut source, &mut copy)?;
    copy.as_file().set_permissions(metadata.permissions())?;
    Ok(copy.into_temp_path())
}

/// What a target leaves, by path from the project's root.
fn wanted(target: &TargetSpec, tree: &Tree) -> BTreeMap<String, Content> {
    tree.leaves()
        .into_iter()
        .filter_map(|(path, entry)| {
            let content = Content::of_entry(entry)?;
            Some((below(&target.source_path, &path), content))
        })
        .collect()
}

fn below(source_path: &ProjectPath, relative: &str) -> String {
    if source_path.is_root() {
        relative.to_owned()
    } else {
        format!("{}/{relative}", source_path.as_str())
    }
}

/// The directories above a path, from the top down, without the project's root.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(end, _)| &path[..end])
}

fn whole_target(problem: Diagnostic) -> Diagnostic {
    problem.at_setting(Vec::<String>::new())
}

fn never_an_output(target: &TargetSpec, path: &str) -> Diagnostic {
    whole_target(Diagnostic::error(
        "output.reserved",
        format!(
            "target `{}` would write `{path}`, where version control or synth keeps its own data",
            target.name
        ),
    ))
    .help("leave it out of the outputs, or set `output_path`")
}

fn shared(target: &TargetSpec, other: &str, path: &str) -> Diagnostic {
    whole_target(Diagnostic::error(
        "output.shared",
        format!(
            "targets `{}` and `{other}` both write `{path}`",
            target.name
        ),
    ))
    .help("have only one of them write it, or give one an `output_path` of its own")
}

fn not_ours(target: &TargetSpec, first: &str, count: usize) -> Diagnostic {
    let others = match count - 1 {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    whole_target(Diagnostic::error(
        "output.not_ours",
        format!(
            "target `{}` would replace what synth did not write: `{first}`{others}",
            target.name
        ),
    ))
    .help("move it away, or set `output_path`; if an earlier build wrote it, remove it")
}
