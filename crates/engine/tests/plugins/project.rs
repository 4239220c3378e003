//! A project for the plugin, and the place of a native action.

use std::cell::RefCell;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use synth_core::{Diagnostic, Process, ProcessOutcome, ProjectPath, RunContext, TargetSpec};
use synth_engine::Project;
use tempfile::TempDir;

/// A project with sources in `src` and a tool beside them.
pub(crate) struct Sources {
    directory: TempDir,
}

impl Sources {
    pub(crate) fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("a b").tempdir().unwrap();
        let sources = Self { directory };
        sources.write("src/in.txt", b"text\n");
        sources.write("src/bytes.bin", &[0xff, 0x00]);
        sources.write("src/below/more.txt", b"");
        symlink("in.txt", sources.root().join("src/link")).unwrap();
        symlink("/etc/passwd", sources.root().join("src/outward")).unwrap();
        sources.write("tool.sh", b"#!/bin/sh\necho tool 1.0\n");
        let executable = PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(sources.root().join("tool.sh"), executable).unwrap();
        sources
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.directory.path().canonicalize().unwrap()
    }

    pub(crate) fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.root().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    pub(crate) fn context(&self) -> Arc<Project> {
        Project::at(self.root())
    }

    /// A target of them.
    pub(crate) fn target(&self) -> TargetSpec {
        let tools = self.root().to_str().unwrap().to_owned();
        TargetSpec::new("one", "good", ProjectPath::parse("src").unwrap()).variable("TOOLS", tools)
    }
}

/// Where a native action runs, and what it says there.
pub(crate) struct Place {
    directory: TempDir,
    inputs: PathBuf,
    outputs: PathBuf,
    scratch: PathBuf,
    /// Lines of the log, then what it is at, then programs it ran, each in its order.
    pub(crate) said: RefCell<Vec<String>>,
    pub(crate) cancelled: bool,
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("a b").tempdir().unwrap();
        let made = |name: &str| {
            let path = directory.path().join(name);
            std::fs::create_dir(&path).unwrap();
            path
        };
        let place = Self {
            inputs: made("inputs"),
            outputs: made("outputs"),
            scratch: made("scratch"),
            directory,
            said: RefCell::default(),
            cancelled: false,
        };
        std::fs::write(place.inputs.join("in.txt"), "text\n").unwrap();
        place
    }

    pub(crate) fn output(&self) -> Option<String> {
        std::fs::read_to_string(self.outputs.join("out.txt")).ok()
    }

    fn say(&self, text: String) {
        self.said.borrow_mut().push(text);
    }
}

impl RunContext for Place {
    fn inputs(&self) -> &Path {
        &self.inputs
    }

    fn outputs(&self) -> &Path {
        &self.outputs
    }

    fn scratch(&self) -> &Path {
        assert!(self.directory.path().exists());
        &self.scratch
    }

    fn log(&self, line: &str) {
        self.say(format!("log: {line}"));
    }

    fn progress(&self, message: &str) {
        self.say(format!("progress: {message}"));
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled
    }

    fn run(&self, process: &Process) -> Result<ProcessOutcome, Diagnostic> {
        self.say(format!("run: {}", process.argv.join(" ")));
        Ok(ProcessOutcome {
            exit_code: Some(3),
            last_output: String::new(),
        })
    }
}
