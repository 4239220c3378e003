//! The project's files and the machine's tools, as targets see them while they plan: the one way
//! by which a plan learns of the world.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use synth_core::{
    Digest, FileKind, PlanContext, PlanError, ProjectPath, SourceFiles, Tool, ToolError,
    ToolRequest,
};

use crate::build::default_store_directory;
use crate::commit::InPlace;
use crate::config::Pipeline;
use crate::digest::FileDigests;
use crate::index::stamp::file_clock;
use crate::listing::{self, KnownPatterns, Listing, Listings, real_store};
use crate::tools;
use crate::tree::{FileEntry, Origin, Tree, TreeEntry};

/// Names that are never sources: version control's data (in a work tree of its own `.git` is a
/// file) and synth's own.
pub(crate) const NEVER_SOURCES: [&str; 5] = [".git", ".hg", ".svn", ".jj", ".synth"];

/// So many files, or bytes, are worth being hashed by several processors.
const MANY_FILES: usize = 256;
const MANY_BYTES: u64 = 4 << 20;

/// What is at a path, as it was at a time of [`file_clock`].
struct Looked {
    path: ProjectPath,
    disk: PathBuf,
    at: i64,
    metadata: fs::Metadata,
}

/// A project directory.
pub struct Project {
    root: PathBuf,
    /// Output directories, which are never sources.
    outputs: HashSet<ProjectPath>,
    /// The directories that these are in, and those they are in.
    above_outputs: HashSet<ProjectPath>,
    /// What targets have put among the sources, which is none of them either.
    in_place: Arc<InPlace>,
    /// The store, which is no source either where it lies inside the project.
    store: PathBuf,
    digests: FileDigests,
    /// What patterns chose: one look in a build.
    listings: Mutex<Listings>,
    patterns: KnownPatterns,
    tools: Mutex<HashMap<ToolRequest, Result<Tool, ToolError>>>,
}

impl Project {
    /// The project of a pipeline.
    #[must_use]
    pub fn new(pipeline: &Pipeline, store: &Path) -> Arc<Self> {
        Self::with(pipeline.root.clone(), pipeline.output_paths.clone(), store)
    }

    /// A directory without a pipeline, as `synth init` finds it.
    #[must_use]
    pub fn at(root: PathBuf) -> Arc<Self> {
        Self::with(root, Vec::new(), &default_store_directory())
    }

    fn with(root: PathBuf, outputs: Vec<ProjectPath>, store: &Path) -> Arc<Self> {
        Arc::new(Self {
            in_place: InPlace::load(&root),
            root,
            above_outputs: outputs.iter().flat_map(above).collect(),
            outputs: outputs.into_iter().collect(),
            store: real_store(store),
            digests: FileDigests::default(),
            listings: Mutex::default(),
            patterns: KnownPatterns::default(),
            tools: Mutex::default(),
        })
    }

    /// What targets have put among the sources.
    pub(crate) fn in_place(&self) -> &Arc<InPlace> {
        &self.in_place
    }

    /// The project's directory, absolute.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn digests(&self) -> &FileDigests {
        &self.digests
    }

    pub(crate) fn disk_path(&self, path: &ProjectPath) -> PathBuf {
        self.root.join(path.as_str())
    }

    /// Where a file is, links followed, which is inside the project.
    pub(crate) fn real_path(&self, path: &ProjectPath) -> Result<PathBuf, PlanError> {
        if self.in_place.is_output(path.as_str()) {
            return Err(PlanError::NotFound { path: path.clone() });
        }
        let disk = self.disk_path(path);
        let real = fs::canonicalize(&disk).map_err(|error| plan_error(path, &error))?;
        if real.starts_with(&self.root) {
            Ok(real)
        } else {
            Err(PlanError::Leaves {
                path: path.clone(),
                leads_to: real,
            })
        }
    }

    /// The digest of what [`PlanContext::read`] gives.
    pub(crate) fn content_digest(&self, path: &ProjectPath) -> Result<Digest, PlanError> {
        let digest = self.digests.digest(&self.real_path(path)?);
        digest.map_err(|error| plan_error(path, &error))
    }

    /// Files chosen by patterns, with their contents' digests.
    pub(crate) fn tree(&self, files: &SourceFiles) -> Result<Tree, PlanError> {
        self.tree_of(&files.root, &self.files(files)?)
    }

    /// Files one by one, with their contents' digests.
    pub(crate) fn tree_of<'a>(
        &self,
        root: &ProjectPath,
        paths: &'a [String],
    ) -> Result<Tree, PlanError> {
        use rayon::prelude::*;
        let is_source = |path: &&String| {
            let path = root.join(path);
            !path.is_ok_and(|path| self.in_place.is_output(path.as_str()))
        };
        let sources = paths.iter().filter(is_source);
        let looked = sources.map(|path| Ok((path, self.look(root, path)?)));
        let looked = looked.collect::<Result<Vec<_>, PlanError>>()?;
        let bytes: u64 = looked.iter().map(|(_, looked)| looked.metadata.len()).sum();
        let entry = |(path, looked): (&'a String, Looked)| Ok((path, self.entry(looked)?));
        // Where there is little, actions beside each other keep the processors busy.
        let entries: Result<Vec<(&String, TreeEntry)>, PlanError> =
            if looked.len() < MANY_FILES && bytes < MANY_BYTES {
                looked.into_iter().map(entry).collect()
            } else {
                looked.into_par_iter().map(entry).collect()
            };
        let entries = entries?;
        let mut tree = Tree::default();
        for (path, entry) in entries {
            tree.insert(path, entry).map_err(|conflict| PlanError::Io {
                path: root.clone(),
                reason: conflict.to_string(),
            })?;
        }
        Ok(tree)
    }

    fn look(&self, root: &ProjectPath, path: &str) -> Result<Looked, PlanError> {
        let path = root.join(path).map_err(|error| PlanError::Io {
            path: root.clone(),
            reason: error.to_string(),
        })?;
        let disk = self.disk_path(&path);
        let at = file_clock();
        let metadata = fs::symlink_metadata(&disk).map_err(|error| plan_error(&path, &error))?;
        Ok(Looked {
            path,
            disk,
            at,
            metadata,
        })
    }

    fn entry(&self, looked: Looked) -> Result<TreeEntry, PlanError> {
        let Looked {
            path,
            disk,
            at,
            metadata,
        } = looked;
        if metadata.is_dir() {
            return Ok(TreeEntry::Directory(Tree::default()));
        }
        if metadata.is_symlink() {
            let target = fs::read_link(&disk).map_err(|error| plan_error(&path, &error))?;
            let target = target.into_os_string().into_string();
            return target
                .map(TreeEntry::Symlink)
                .map_err(|_| not_utf8(&path, "the link's target"));
        }
        let hashed = self
            .digests
            .hashed_file(&disk, &metadata, at)
            .map_err(|error| plan_error(&path, &error))?;
        Ok(TreeEntry::File(FileEntry {
            digest: hashed.digest,
            executable: metadata.permissions().mode() & 0o111 != 0,
            origin: Origin::Disk(disk),
        }))
    }

    /// What patterns choose, as it was when they were first asked for in this build.
    pub(crate) fn listing(&self, files: &SourceFiles) -> Result<Arc<Listing>, PlanError> {
        if let Some(listing) = self.listings().now.get(files) {
            return Ok(Arc::clone(listing));
        }
        // It is the same where no output is among it, and nothing has come or gone meanwhile.
        let planned = self.listings().planned.get(files).cloned();
        let planned = planned
            .filter(|planned| planned.holds_no_outputs(self, files) && planned.is_as_it_was(self));
        let listing = match planned {
            Some(planned) => planned,
            None => Arc::new(self.list_now(files)?),
        };
        let mut listings = self.listings();
        listings.now.insert(files.clone(), Arc::clone(&listing));
        Ok(listing)
    }

    /// What patterns chose while targets were planned.
    pub(crate) fn planned_listing(&self, files: &SourceFiles) -> Option<Arc<Listing>> {
        let listings = self.listings();
        let planned = listings.planned.get(files);
        planned.or_else(|| listings.now.get(files)).cloned()
    }

    /// All is planned, and it is known which files are outputs: patterns are looked at again.
    pub(crate) fn planning_is_over(&self) {
        let mut listings = self.listings();
        listings.planned = std::mem::take(&mut listings.now);
    }

    fn listings(&self) -> MutexGuard<'_, Listings> {
        self.listings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What patterns choose.
    pub(crate) fn list_now(&self, files: &SourceFiles) -> Result<Listing, PlanError> {
        listing::list(self, files)
    }

    /// Patterns that were compiled before.
    pub(crate) fn compiled(&self) -> &KnownPatterns {
        &self.patterns
    }

    /// Whether a directory is neither the store nor one that a target's outputs replace.
    pub(crate) fn may_hold_sources(&self, path: &ProjectPath) -> bool {
        !self.outputs.contains(path) && self.disk_path(path) != self.store
    }

    /// Whether a directory in which nothing was found is there for outputs.
    pub(crate) fn is_for_outputs(&self, path: &ProjectPath) -> bool {
        self.in_place.made_directory(path.as_str()) || self.above_outputs.contains(path)
    }
}

impl PlanContext for Project {
    fn read(&self, path: &ProjectPath) -> Result<Vec<u8>, PlanError> {
        fs::read(self.real_path(path)?).map_err(|error| plan_error(path, &error))
    }

    fn kind(&self, path: &ProjectPath) -> Result<Option<FileKind>, PlanError> {
        if self.in_place.is_output(path.as_str()) {
            return Ok(None);
        }
        match fs::symlink_metadata(self.disk_path(path)) {
            Ok(metadata) => Ok(Some(file_kind(metadata.file_type()))),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(plan_error(path, &error)),
        }
    }

    fn files(&self, files: &SourceFiles) -> Result<Vec<String>, PlanError> {
        Ok(self.listing(files)?.files.clone())
    }

    fn directories(&self, files: &SourceFiles) -> Result<Vec<String>, PlanError> {
        Ok(self.listing(files)?.directories.clone())
    }

    fn link(&self, path: &ProjectPath) -> Result<Option<String>, PlanError> {
        if self.in_place.is_output(path.as_str()) {
            return Ok(None);
        }
        match fs::read_link(self.disk_path(path)) {
            Ok(target) => target
                .into_os_string()
                .into_string()
                .map(Some)
                .map_err(|_| not_utf8(path, "the link's target")),
            // Something that is no link.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(plan_error(path, &error)),
        }
    }

    fn tool(&self, request: &ToolRequest) -> Result<Tool, ToolError> {
        let mut known = self
            .tools
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        known
            .entry(request.clone())
            .or_insert_with(|| tools::find(request, &self.digests))
            .clone()
    }
}

/// The directories that a path is in.
fn above(path: &ProjectPath) -> impl Iterator<Item = ProjectPath> + use<> {
    std::iter::successors(path.parent(), ProjectPath::parent)
}

pub(crate) fn file_kind(kind: fs::FileType) -> FileKind {
    if kind.is_file() {
        FileKind::File
    } else if kind.is_dir() {
        FileKind::Directory
    } else if kind.is_symlink() {
        FileKind::Symlink
    } else {
        FileKind::Other
    }
}

pub(crate) fn plan_error(path: &ProjectPath, error: &io::Error) -> PlanError {
    match error.kind() {
        io::ErrorKind::NotFound => PlanError::NotFound { path: path.clone() },
        _ => PlanError::Io {
            path: path.clone(),
            reason: error.to_string(),
        },
    }
}

pub(crate) fn not_utf8(path: &ProjectPath, what: &str) -> PlanError {
    PlanError::Io {
        path: path.clone(),
        reason: format!("{what} is not UTF-8; rename it or exclude it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_not_utf_8_can_be_excluded_and_a_git_file_is_no_source() {
        use std::os::unix::ffi::OsStrExt;
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::write(root.join(std::ffi::OsStr::from_bytes(b"b\xff.txt")), "").unwrap();
        fs::write(root.join(".git"), "gitdir: /elsewhere").unwrap();
        fs::write(root.join("a.txt"), "").unwrap();
        let project = Project::with(root.to_owned(), Vec::new(), &root.join("no store"));
        let all = SourceFiles::below(ProjectPath::root());
        assert!(project.files(&all).is_err());
        assert_eq!(project.files(&all.exclude(["b*"])).unwrap(), ["a.txt"]);
    }

    #[test]
    fn directories_for_outputs_alone_are_no_sources() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        for path in ["dist/a", "out/b", "out/kept", "empty", ".git", "src"] {
            fs::create_dir_all(root.join(path)).unwrap();
            fs::write(root.join(path).join("file"), "").unwrap();
        }
        fs::remove_file(root.join("empty/file")).unwrap();
        let parse = |path| ProjectPath::parse(path).unwrap();
        let outputs = vec![parse("dist/a"), parse("out/b")];
        let project = Project::with(root.to_owned(), outputs, &root.join("no store"));
        let all = SourceFiles::below(ProjectPath::root());
        assert_eq!(project.files(&all).unwrap(), ["out/kept/file", "src/file"]);
        assert_eq!(
            project.directories(&all).unwrap(),
            ["empty", "out", "out/kept", "src"]
        );
        let some = all.include(["src", "*.txt"]).exclude(["src/file"]);
        assert_eq!(project.files(&some).unwrap(), Vec::<String>::new());
    }
}
