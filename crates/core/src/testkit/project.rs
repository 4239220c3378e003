//! A project in a directory: what a plan context answers, read from the disk.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use super::patterns::glob_set;
use crate::{
    FileKind, PlanContext, PlanError, ProjectPath, SourceFiles, Tool, ToolError, ToolRequest,
};

/// A project in a temporary directory, and the tools that a test pretends are installed: a plan
/// context for tests of what a kind reads. To plan and build a target, see
/// [`TestPipeline`](super::TestPipeline).
///
/// ```
/// use synth_core::testkit::TestProject;
/// use synth_core::{PlanContext, ProjectPath};
///
/// let project = TestProject::new()?;
/// project.write("src/a.txt", "a")?;
/// assert!(project.exists(&ProjectPath::parse("src/a.txt").unwrap_or_default()));
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct TestProject {
    directory: tempfile::TempDir,
    tools: BTreeMap<String, Tool>,
}

impl TestProject {
    /// An empty project.
    ///
    /// # Errors
    /// When no temporary directory can be made.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            directory: tempfile::tempdir()?,
            tools: BTreeMap::new(),
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file, with the directories above it.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write(&self, path: &str, contents: impl AsRef<[u8]>) -> io::Result<&Self> {
        let path = self.path().join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, contents)?;
        Ok(self)
    }

    /// Pretends that a tool is installed.
    #[must_use]
    pub fn with_tool(mut self, tool: Tool) -> Self {
        self.tools.insert(tool.name.clone(), tool);
        self
    }

    fn below(&self, files: &SourceFiles, directories: bool) -> Result<Vec<String>, PlanError> {
        let root = self.path().join(files.root.as_str());
        let include = glob_set(&files.include)?;
        let exclude = glob_set(&files.exclude)?;
        let mut found = Vec::new();
        for entry in walkdir::WalkDir::new(&root).min_depth(1) {
            let entry = entry.map_err(|error| PlanError::Io {
                path: files.root.clone(),
                reason: error.to_string(),
            })?;
            if entry.file_type().is_dir() != directories {
                continue;
            }
            let relative = entry.path().strip_prefix(&root).unwrap_or(entry.path());
            let included = files.include.is_empty() || include.is_match(relative);
            if included && !exclude.is_match(relative) {
                found.push(relative.to_string_lossy().into_owned());
            }
        }
        found.sort();
        Ok(found)
    }
}

impl PlanContext for TestProject {
    fn read(&self, path: &ProjectPath) -> Result<Vec<u8>, PlanError> {
        fs::read(self.path().join(path.as_str())).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => PlanError::NotFound { path: path.clone() },
            _ => PlanError::Io {
                path: path.clone(),
                reason: error.to_string(),
            },
        })
    }

    fn kind(&self, path: &ProjectPath) -> Result<Option<FileKind>, PlanError> {
        let Ok(metadata) = fs::symlink_metadata(self.path().join(path.as_str())) else {
            return Ok(None);
        };
        Ok(Some(if metadata.is_file() {
            FileKind::File
        } else if metadata.is_dir() {
            FileKind::Directory
        } else if metadata.is_symlink() {
            FileKind::Symlink
        } else {
            FileKind::Other
        }))
    }

    fn files(&self, files: &SourceFiles) -> Result<Vec<String>, PlanError> {
        self.below(files, false)
    }

    fn directories(&self, files: &SourceFiles) -> Result<Vec<String>, PlanError> {
        self.below(files, true)
    }

    fn link(&self, path: &ProjectPath) -> Result<Option<String>, PlanError> {
        let link = fs::read_link(self.path().join(path.as_str()));
        Ok(link.ok().map(|to| to.to_string_lossy().into_owned()))
    }

    fn tool(&self, request: &ToolRequest) -> Result<Tool, ToolError> {
        self.tools
            .get(&request.name)
            .cloned()
            .ok_or_else(|| ToolError::Missing {
                program: request.program.clone(),
            })
    }
}
