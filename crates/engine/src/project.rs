//! The project's files and the machine's tools, as targets see them while they plan: the one way
//! by which a plan learns of the world.

use std::collections::HashMap;
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
use crate::commit::{InPlace, is_staging};
use crate::config::Pipeline;
use crate::digest::FileDigests;
use crate::index::stamp::{Stamp, file_clock};
use crate::patterns::PathPatterns;
use crate::tools;
use crate::tree::{FileEntry, Origin, Tree, TreeEntry};

/// Names that are never sources: version control's data (in a work tree of its own `.git` is a
/// file) and synth's own.
pub(crate) const NEVER_SOURCES: [&str; 5] = [".git", ".hg", ".svn", ".jj", ".synth"];

/// A project directory.
pub struct Project {
    root: PathBuf,
    /// Output directories, which are never sources.
    outputs: Vec<ProjectPath>,
    /// What targets have put among the sources, which is none of them either.
    in_place: Arc<InPlace>,
    /// The store, which is no source either where it lies inside the project.
    store: PathBuf,
    digests: FileDigests,
    /// What patterns chose: one look in a build.
    listings: Mutex<Listings>,
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
            outputs,
            // A store that is not there yet is not found among the sources either.
            store: fs::canonicalize(store).unwrap_or_else(|_| store.to_owned()),
            digests: FileDigests::default(),
            listings: Mutex::default(),
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
    pub(crate) fn tree_of(&self, root: &ProjectPath, paths: &[String]) -> Result<Tree, PlanError> {
        use rayon::prelude::*;
        let is_source = |path: &&String| {
            let path = root.join(path);
            !path.is_ok_and(|path| self.in_place.is_output(path.as_str()))
        };
        let entries: Vec<(&String, TreeEntry)> = paths
            .par_iter()
            .filter(is_source)
            .map(|path| Ok((path, self.entry(root, path)?)))
            .collect::<Result<_, PlanError>>()?;
        let mut tree = Tree::default();
        for (path, entry) in entries {
            tree.insert(path, entry).map_err(|conflict| PlanError::Io {
                path: root.clone(),
                reason: conflict.to_string(),
            })?;
        }
        Ok(tree)
    }

    fn entry(&self, root: &ProjectPath, path: &str) -> Result<TreeEntry, PlanError> {
        let path = root.join(path).map_err(|error| PlanError::Io {
            path: root.clone(),
            reason: error.to_string(),
        })?;
        let disk = self.disk_path(&path);
        let looked = file_clock();
        let metadata = fs::symlink_metadata(&disk).map_err(|error| plan_error(&path, &error))?;
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
            .hashed_file(&disk, &metadata, looked)
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
        let listing = Arc::new(self.list_now(files)?);
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
        let patterns = Patterns::new(files)?;
        let mut found = Listing::default();
        self.walk(&files.root, "", &patterns, &mut found)?;
        found.files.sort();
        found.directories.sort();
        Ok(found)
    }

    fn walk(
        &self,
        directory: &ProjectPath,
        below: &str,
        patterns: &Patterns,
        found: &mut Listing,
    ) -> Result<(), PlanError> {
        let disk = self.disk_path(directory);
        let looked = file_clock();
        let stamp = Stamp::followed(&disk).map_err(|error| plan_error(directory, &error))?;
        found.looked_at.push((directory.clone(), stamp, looked));
        let entries = fs::read_dir(disk).map_err(|error| plan_error(directory, &error))?;
        for entry in entries {
            let entry = entry.map_err(|error| plan_error(directory, &error))?;
            let name = entry.file_name();
            if self.is_in_place(directory, &entry) {
                found.passed_over.push(format!("{below}{}", name.display()));
                continue;
            }
            if patterns.excludes(&format!("{below}{}", name.display())) {
                continue;
            }
            let Some(name) = name.to_str() else {
                return Err(not_utf8(directory, &format!("the name {name:?} in it")));
            };
            let kind = entry
                .file_type()
                .map_err(|error| plan_error(directory, &error))?;
            let relative = format!("{below}{name}");
            if NEVER_SOURCES.contains(&name) || is_staging(name) {
                continue;
            }
            if kind.is_dir() {
                let path = directory.join(name).map_err(|error| PlanError::Io {
                    path: directory.clone(),
                    reason: error.to_string(),
                })?;
                if self.disk_path(&path) == self.store || self.outputs.contains(&path) {
                    continue;
                }
                let (before, outputs) = (found.len(), found.passed_over.len());
                self.walk(&path, &format!("{relative}/"), patterns, found)?;
                // A directory that is there for outputs alone is none of the sources.
                let for_outputs = found.len() == before
                    && (found.passed_over.len() > outputs
                        || self.in_place.made_directory(path.as_str())
                        || self
                            .outputs
                            .iter()
                            .any(|output| output.strip_prefix(&path).is_some()));
                if patterns.includes(&relative) && !for_outputs {
                    found.directories.push(relative);
                }
            } else if (kind.is_file() || kind.is_symlink()) && patterns.includes(&relative) {
                found.files.push(relative);
            }
        }
        Ok(())
    }
}

impl Project {
    /// Whether something in a directory was put there by a target.
    fn is_in_place(&self, directory: &ProjectPath, entry: &fs::DirEntry) -> bool {
        let name = entry.file_name();
        let Some(path) = name.to_str().and_then(|name| directory.join(name).ok()) else {
            return false;
        };
        !entry.file_type().is_ok_and(|kind| kind.is_dir()) && self.in_place.is_output(path.as_str())
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
            Ok(metadata) if metadata.is_file() => Ok(Some(FileKind::File)),
            Ok(metadata) if metadata.is_dir() => Ok(Some(FileKind::Directory)),
            Ok(metadata) if metadata.is_symlink() => Ok(Some(FileKind::Symlink)),
            Ok(_) => Ok(Some(FileKind::Other)),
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

fn plan_error(path: &ProjectPath, error: &io::Error) -> PlanError {
    match error.kind() {
        io::ErrorKind::NotFound => PlanError::NotFound { path: path.clone() },
        _ => PlanError::Io {
            path: path.clone(),
            reason: error.to_string(),
        },
    }
}

fn not_utf8(path: &ProjectPath, what: &str) -> PlanError {
    PlanError::Io {
        path: path.clone(),
        reason: format!("{what} is not UTF-8; rename it or exclude it"),
    }
}

/// What patterns chose, each looked at once, and again when all is planned.
#[derive(Debug, Default)]
struct Listings {
    planned: HashMap<SourceFiles, Arc<Listing>>,
    now: HashMap<SourceFiles, Arc<Listing>>,
}

/// What patterns chose, relative to their root.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) files: Vec<String>,
    pub(crate) directories: Vec<String>,
    /// Files that were passed over because a target has put them there.
    pub(crate) passed_over: Vec<String>,
    /// The directories that were read, as they were before, and when that was.
    pub(crate) looked_at: Vec<(ProjectPath, Stamp, i64)>,
}

impl Listing {
    fn len(&self) -> usize {
        self.files.len() + self.directories.len()
    }
}

/// The patterns of a [`SourceFiles`], compiled.
struct Patterns {
    include: Option<PathPatterns>,
    exclude: PathPatterns,
}

impl Patterns {
    fn new(files: &SourceFiles) -> Result<Self, PlanError> {
        let include = if files.include.is_empty() {
            None
        } else {
            Some(PathPatterns::new(&files.include)?)
        };
        Ok(Self {
            include,
            exclude: PathPatterns::new(&files.exclude)?,
        })
    }

    fn includes(&self, path: &str) -> bool {
        self.include
            .as_ref()
            .is_none_or(|include| include.is_match(path))
    }

    fn excludes(&self, path: &str) -> bool {
        self.exclude.is_match(path)
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
