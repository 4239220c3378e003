//! Directories for a native action that a test calls by itself.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::{Diagnostic, Process, ProcessOutcome, RunContext};

/// A directory of inputs and one of outputs for a native action. Processes can't be run in it; a
/// [`TestPipeline`](super::TestPipeline) runs whole plans, and processes too.
///
/// ```
/// use synth_core::RunContext;
/// use synth_core::testkit::TestRun;
///
/// let run = TestRun::new()?;
/// run.write("names.txt", "Ada")?;
/// run.log("at work");
/// assert_eq!(std::fs::read(run.inputs().join("names.txt"))?, b"Ada");
/// assert_eq!(run.log_lines(), ["at work"]);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct TestRun {
    directory: tempfile::TempDir,
    paths: [PathBuf; 3],
    log: RefCell<Vec<String>>,
}

impl TestRun {
    /// Empty directories.
    ///
    /// # Errors
    /// When no temporary directory can be made.
    pub fn new() -> io::Result<Self> {
        let directory = tempfile::tempdir()?;
        let paths = ["inputs", "outputs", "scratch"].map(|name| directory.path().join(name));
        for path in &paths {
            fs::create_dir(path)?;
        }
        Ok(Self {
            directory,
            paths,
            log: RefCell::default(),
        })
    }

    /// Writes an input.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write(&self, path: &str, contents: impl AsRef<[u8]>) -> io::Result<&Self> {
        let path = self.directory.path().join("inputs").join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, contents)?;
        Ok(self)
    }

    /// The lines logged so far.
    #[must_use]
    pub fn log_lines(&self) -> Vec<String> {
        self.log.borrow().clone()
    }
}

impl RunContext for TestRun {
    fn inputs(&self) -> &Path {
        &self.paths[0]
    }

    fn outputs(&self) -> &Path {
        &self.paths[1]
    }

    fn scratch(&self) -> &Path {
        &self.paths[2]
    }

    fn log(&self, line: &str) {
        self.log.borrow_mut().push(line.to_owned());
    }

    fn progress(&self, _message: &str) {}

    fn is_cancelled(&self) -> bool {
        false
    }

    fn run(&self, process: &Process) -> Result<ProcessOutcome, Diagnostic> {
        Err(Diagnostic::error(
            "testkit.process",
            format!("a test run starts no processes: {:?}", process.argv),
        ))
    }
}
