//! What the engine does for a target: reading while it plans, and a place, a log and processes
//! while it runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Diagnostic, LONGEST_PATTERN, ProjectPath, SourceFiles, Tool, ToolError, ToolRequest};

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, whatever it leads to.
    Symlink,
    /// A device, a socket, a pipe.
    Other,
}

/// Why the project can't be read while planning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// Nothing is there.
    #[error("`{path}` does not exist")]
    NotFound {
        /// The path asked for.
        path: ProjectPath,
    },
    /// It is there, but is not text in UTF-8.
    #[error("`{path}` is not UTF-8 text: byte {offset} is wrong")]
    NotText {
        /// The path asked for.
        path: ProjectPath,
        /// The first wrong byte, counted from 0.
        offset: u64,
    },
    /// A symbolic link leads out of the project.
    #[error("`{path}` leads out of the project, to `{leads_to}`")]
    Leaves {
        /// The path asked for.
        path: ProjectPath,
        /// Where it leads.
        leads_to: PathBuf,
    },
    /// A pattern that is not a glob.
    #[error("`{pattern}` is not a valid pattern: {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The system said no.
    #[error("`{path}` can't be read: {reason}")]
    Io {
        /// The path asked for.
        path: ProjectPath,
        /// The system's words.
        reason: String,
    },
}

impl PlanError {
    /// A pattern that is longer than [`LONGEST_PATTERN`], shortened; none when it is not.
    #[must_use]
    pub fn of_long_pattern(pattern: &str) -> Option<Self> {
        const SHOWN_CHARACTERS: usize = 40;
        (pattern.len() > LONGEST_PATTERN).then(|| {
            let shown: String = pattern.chars().take(SHOWN_CHARACTERS).collect();
            Self::Pattern {
                pattern: format!("{shown}..."),
                reason: format!("it is longer than {LONGEST_PATTERN} bytes"),
            }
        })
    }
}

/// The project as a target sees it while it validates and plans: the only way in which a plan may
/// learn of the world, so that what it depends on can be known.
pub trait PlanContext {
    /// A file's bytes, symbolic links inside the project followed.
    ///
    /// # Errors
    /// When there is no such file, it leads out of the project, or it can't be read.
    fn read(&self, path: &ProjectPath) -> Result<Vec<u8>, PlanError>;

    /// What is at a path (the last component not followed); none when nothing is.
    ///
    /// # Errors
    /// When the system does not tell.
    fn kind(&self, path: &ProjectPath) -> Result<Option<FileKind>, PlanError>;

    /// Files and symbolic links below a directory, as paths relative to its root, sorted by
    /// their bytes.
    ///
    /// # Errors
    /// When the root is no directory or a pattern is wrong.
    fn files(&self, files: &SourceFiles) -> Result<Vec<String>, PlanError>;

    /// Directories below a directory, as paths relative to its root, sorted by their bytes; the
    /// same that [`PlanContext::files`] looks into, and those that hold nothing too. Patterns
    /// choose among them as they choose among files.
    ///
    /// # Errors
    /// As [`PlanContext::files`].
    fn directories(&self, files: &SourceFiles) -> Result<Vec<String>, PlanError> {
        let _ = files;
        Ok(Vec::new())
    }

    /// What a symbolic link says, as it is written, wherever it leads; none when nothing or
    /// something else is at the path.
    ///
    /// # Errors
    /// When the system does not tell, or the text is not UTF-8.
    fn link(&self, path: &ProjectPath) -> Result<Option<String>, PlanError> {
        Err(PlanError::Io {
            path: path.clone(),
            reason: "links are not read here".into(),
        })
    }

    /// Finds a program.
    ///
    /// # Errors
    /// When there is none, or it does not say its version.
    fn tool(&self, request: &ToolRequest) -> Result<Tool, ToolError>;

    /// Whether the plan is no longer wanted, because the user has stopped the build. Planning that
    /// takes long asks now and then, and gives up.
    fn is_cancelled(&self) -> bool {
        false
    }

    /// A file as text.
    ///
    /// # Errors
    /// As [`PlanContext::read`], and when it is not UTF-8.
    fn read_text(&self, path: &ProjectPath) -> Result<String, PlanError> {
        String::from_utf8(self.read(path)?).map_err(|error| PlanError::NotText {
            path: path.clone(),
            offset: u64::try_from(error.utf8_error().valid_up_to()).unwrap_or(u64::MAX),
        })
    }

    /// Whether a file or directory is at a path.
    fn exists(&self, path: &ProjectPath) -> bool {
        matches!(self.kind(path), Ok(Some(_)))
    }
}

/// A process that a native action has the engine run, in the action's scratch directory unless
/// it says otherwise. Environment as for [`Exec`](crate::Exec).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Program and arguments; the program is one of the action's tools, by name.
    pub argv: Vec<String>,
    /// Where it starts, absolute; empty for the scratch directory.
    #[serde(default)]
    pub working_directory: PathBuf,
    /// Variables it sees.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Where its standard output goes instead of the log, absolute.
    #[serde(default)]
    pub standard_output: Option<PathBuf>,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessOutcome {
    /// Its exit code; none when a signal ended it.
    pub exit_code: Option<i32>,
    /// Its last output, for messages; at most some kilobytes.
    #[serde(default)]
    pub last_output: String,
}

impl ProcessOutcome {
    /// Whether it exited with 0.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.exit_code == Some(0)
    }
}

/// What a native action works with.
pub trait RunContext {
    /// Where the inputs are, each at its [`Input::at`](crate::Input::at). Not to be written.
    fn inputs(&self) -> &Path;

    /// Where the outputs go, each at its [`Output::path`](crate::Output::path).
    fn outputs(&self) -> &Path;

    /// An empty directory for anything else; gone afterwards.
    fn scratch(&self) -> &Path;

    /// Writes a line to the action's log.
    fn log(&self, line: &str);

    /// Says what it is at, for the progress display.
    fn progress(&self, message: &str);

    /// Whether it is to stop; to be asked between parts of long work.
    fn is_cancelled(&self) -> bool;

    /// Runs a process: in a group of its own, output to the log, ended when the action is.
    ///
    /// # Errors
    /// When it can't be started, or the action was cancelled or ran out of time meanwhile. An
    /// exit code other than 0 is no error here.
    fn run(&self, process: &Process) -> Result<ProcessOutcome, Diagnostic>;
}

/// What a native action has to say beside its outputs. Kept in the cache with them, so warnings
/// are shown again when the result is used again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NativeOutcome {
    /// Warnings. An error fails the action.
    #[serde(default)]
    pub diagnostics: Vec<Diagnostic>,
    /// Attributes of the target's artifacts, by artifact kind, then name.
    #[serde(default)]
    pub attributes: BTreeMap<String, BTreeMap<String, String>>,
}

impl NativeOutcome {
    /// Nothing to say.
    #[must_use]
    pub fn quiet() -> Self {
        Self::default()
    }

    /// Adds an attribute to the artifacts of a kind.
    #[must_use]
    pub fn attribute(
        mut self,
        artifact_kind: impl Into<String>,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        self.attributes
            .entry(artifact_kind.into())
            .or_default()
            .insert(name.into(), value.into());
        self
    }
}
