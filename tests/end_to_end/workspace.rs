//! One project in a directory of its own, with its own home and cache, and the binary run in it.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
// The one place here that starts processes: the tests are about a process.
#[allow(clippy::disallowed_types)]
pub(crate) use std::process::Command;
use std::process::{Output, Stdio};

use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use walkdir::WalkDir;

/// A project, a home and a cache, gone when it is dropped. The project's path has a space in it,
/// as users' paths do.
pub(crate) struct Workspace {
    directory: TempDir,
    variables: BTreeMap<OsString, OsString>,
    /// The binary, where it is another than the one that all tests are about.
    binary: Option<PathBuf>,
}

impl Workspace {
    /// An empty project.
    pub(crate) fn new() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("synth-test-")
            .tempdir()
            .unwrap();
        let workspace = Self {
            directory,
            variables: BTreeMap::new(),
            binary: None,
        };
        fs::create_dir(workspace.root()).unwrap();
        fs::create_dir(workspace.directory.path().join("home")).unwrap();
        workspace
    }

    /// A project with these files.
    pub(crate) fn with_files<P: AsRef<str>, C: AsRef<str>>(
        files: impl IntoIterator<Item = (P, C)>,
    ) -> Self {
        let workspace = Self::new();
        for (path, contents) in files {
            workspace.write(path.as_ref(), contents.as_ref());
        }
        workspace
    }

    /// A copy of one of the repository's examples, without what builds leave in it.
    pub(crate) fn with_example(name: &str) -> Self {
        let workspace = Self::new();
        let example = repository().join("examples").join(name);
        let generated = ["dist", ".synth", ".venv", "__pycache__", ".pytest_cache"];
        let entries = WalkDir::new(&example).into_iter().filter_entry(|entry| {
            let name = entry.file_name().to_string_lossy();
            !generated.contains(&name.as_ref())
        });
        for entry in entries {
            let entry = entry.unwrap();
            if entry.file_type().is_file() {
                let to = workspace.path(entry.path().strip_prefix(&example).unwrap());
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                fs::copy(entry.path(), to).unwrap();
            }
        }
        workspace
    }

    /// Uses another workspace's cache too.
    pub(crate) fn sharing_cache_of(mut self, other: &Self) -> Self {
        self.variables
            .insert("XDG_CACHE_HOME".into(), other.cache().into());
        self
    }

    /// Runs another synth.
    pub(crate) fn with_binary(mut self, binary: PathBuf) -> Self {
        self.binary = Some(binary);
        self
    }

    /// Sets a variable of the environment that the binary sees.
    pub(crate) fn variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// Has the developer's own cargo at hand, offline, with a build directory that all tests
    /// share; and synth on the `PATH`.
    pub(crate) fn with_developers_cargo(self) -> Self {
        let home = PathBuf::from(env::var_os("HOME").unwrap());
        let own = |name: &str, default: &str| {
            env::var_os(name).unwrap_or_else(|| home.join(default).into())
        };
        let mut path = vec![synth().parent().unwrap().to_owned()];
        path.extend(env::split_paths(&env::var_os("PATH").unwrap()));
        self.variable("CARGO_HOME", own("CARGO_HOME", ".cargo"))
            .variable("RUSTUP_HOME", own("RUSTUP_HOME", ".rustup"))
            .variable("CARGO_NET_OFFLINE", "true")
            .variable("CARGO_TARGET_DIR", repository().join("target/test-plugins"))
            .variable("PATH", env::join_paths(path).unwrap())
    }

    /// The project's directory.
    pub(crate) fn root(&self) -> PathBuf {
        self.directory.path().join("my project")
    }

    /// A directory beside the project.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A path in the project.
    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root().join(path)
    }

    /// Its cache directory.
    pub(crate) fn cache(&self) -> PathBuf {
        self.directory.path().join("cache")
    }

    /// Writes a file, with the directories above it.
    pub(crate) fn write(&self, path: &str, contents: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    /// Adds to the end of a file that is there.
    pub(crate) fn append(&self, path: &str, contents: &str) {
        let mut text = self.read(path);
        text.push_str(contents);
        self.write(path, text);
    }

    /// Makes a symbolic link.
    pub(crate) fn link(&self, path: &str, to: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(to, path).unwrap();
    }

    /// A file as text.
    pub(crate) fn read(&self, path: &str) -> String {
        let path = self.path(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Runs the binary in the project.
    pub(crate) fn synth<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Run {
        let output = self.command(arguments).output().unwrap();
        Run {
            output,
            workspace: self.directory.path().to_owned(),
        }
    }

    /// Runs the binary in the project through a script of the shell, `"$@"` in it, in namespaces of
    /// its own.
    pub(crate) fn synth_unshared<A: AsRef<OsStr>>(
        &self,
        namespaces: &str,
        script: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Run {
        let mut command = self.program("unshare");
        command.args([namespaces, "sh", "-ec", script, "sh"]);
        command.arg(self.binary.clone().unwrap_or_else(synth));
        command.args(arguments);
        let output = command
            .output()
            .unwrap_or_else(|error| panic!("unshare: {error}; {SET_UP}"));
        Run {
            output,
            workspace: self.directory.path().to_owned(),
        }
    }

    /// Runs the binary in the project; how many bytes of memory it had at most, or the largest of
    /// what it started.
    pub(crate) fn synth_measured<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> (Run, u64) {
        const MEASURE: &str = "import resource, subprocess, sys\n\
             code = subprocess.call(sys.argv[2:])\n\
             peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss\n\
             open(sys.argv[1], 'w').write(str(peak))\n\
             sys.exit(code)";
        let measured = self.beside("peak");
        let output = self
            .program("python3")
            .args(["-c", MEASURE])
            .arg(&measured)
            .arg(self.binary.clone().unwrap_or_else(synth))
            .args(arguments)
            .output()
            .unwrap_or_else(|error| panic!("python3: {error}; {SET_UP}"));
        let run = Run {
            output,
            workspace: self.directory.path().to_owned(),
        };
        // In KiB (getrusage(2)).
        let peak: u64 = fs::read_to_string(measured).unwrap().parse().unwrap();
        (run, peak * 1024)
    }

    /// Builds with a report in JSON; what is told on the way is shown when the report is none.
    pub(crate) fn build<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Report {
        let mut all: Vec<OsString> = vec!["build".into(), "--format".into(), "json".into()];
        all.extend(
            arguments
                .into_iter()
                .map(|argument| argument.as_ref().to_owned()),
        );
        let run = self.synth(all);
        let Ok(value) = serde_json::from_slice(&run.output.stdout) else {
            panic!("no report: {run}");
        };
        Report {
            value,
            code: run.output.status.code(),
            told: String::from_utf8_lossy(&run.output.stderr).into_owned(),
        }
    }

    /// The binary, ready to run in the project with nothing of the developer's own settings.
    #[allow(clippy::disallowed_types)]
    pub(crate) fn command<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Command {
        let mut command = self.program(self.binary.clone().unwrap_or_else(synth));
        command.args(arguments);
        command
    }

    /// The binary in a session of its own, whose terminal is the standard input that it gets.
    #[allow(clippy::disallowed_types)]
    pub(crate) fn command_in_session<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Command {
        let mut command = self.program("setsid");
        command
            .arg("--ctty")
            .arg(self.binary.clone().unwrap_or_else(synth))
            .args(arguments);
        command
    }

    /// Another program, ready to run there as the binary would be.
    #[allow(clippy::disallowed_types)]
    fn program(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        self.prepare(&mut command);
        command
    }

    /// Another program, run in the project; its standard output.
    pub(crate) fn run<A: AsRef<OsStr>>(
        &self,
        program: impl AsRef<OsStr>,
        arguments: impl IntoIterator<Item = A>,
    ) -> String {
        let mut command = self.program(program);
        command.args(arguments);
        let shown = format!("{command:?}");
        let output = command
            .output()
            .unwrap_or_else(|error| panic!("{shown}: {error}; {SET_UP}"));
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{shown} failed:\n{told}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[allow(clippy::disallowed_types)]
    fn prepare(&self, command: &mut Command) {
        for name in [
            "CI",
            "NO_COLOR",
            "FORCE_COLOR",
            "CLICOLOR",
            "CLICOLOR_FORCE",
            "COLUMNS",
        ] {
            command.env_remove(name);
        }
        for (name, _) in env::vars_os() {
            let name_text = name.to_string_lossy();
            if name_text.starts_with("SYNTH_") || name_text.starts_with("CARGO") {
                command.env_remove(name);
            }
        }
        command
            .current_dir(self.root())
            .env("HOME", self.directory.path().join("home"))
            .env("XDG_CACHE_HOME", self.cache())
            .env("XDG_DATA_HOME", self.directory.path().join("data"))
            .envs(&self.variables)
            .stdin(Stdio::null());
    }

    /// The digest of everything below a directory of the project: paths, modes and contents.
    pub(crate) fn digest(&self, path: &str) -> Option<String> {
        let root = self.path(path);
        if !root.exists() {
            return None;
        }
        let mut all = Sha256::new();
        for entry in WalkDir::new(&root).sort_by_file_name() {
            let entry = entry.unwrap();
            let metadata = entry.path().symlink_metadata().unwrap();
            let relative = entry.path().strip_prefix(&root).unwrap();
            all.update(format!(
                "{} {:o}",
                relative.display(),
                metadata.permissions().mode()
            ));
            if metadata.is_file() {
                all.update(Sha256::digest(fs::read(entry.path()).unwrap()));
            } else if metadata.is_symlink() {
                let to = fs::read_link(entry.path()).unwrap();
                all.update(to.as_os_str().as_encoded_bytes());
            }
        }
        Some(hex::encode(all.finalize()))
    }

    /// Files below a directory of the project, relative to it, sorted.
    pub(crate) fn files(&self, path: &str) -> Vec<String> {
        let root = self.path(path);
        WalkDir::new(&root)
            .sort_by_file_name()
            .into_iter()
            .map(|entry| entry.unwrap().into_path())
            .filter(|path| !path.is_dir() || path.is_symlink())
            .map(|path| path.strip_prefix(&root).unwrap().display().to_string())
            .collect()
    }

    /// The one file below a directory whose name ends so.
    pub(crate) fn only_file(&self, directory: &str, end: &str) -> PathBuf {
        let mut found = self.files(directory);
        found.retain(|path| path.ends_with(end));
        assert_eq!(found.len(), 1, "files `*{end}` in {directory}: {found:?}");
        self.path(directory).join(&found[0])
    }
}

/// How a run of the binary ended and what it printed.
pub(crate) struct Run {
    pub(crate) output: Output,
    workspace: PathBuf,
}

impl Run {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    /// Fails unless the exit code was 0.
    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        assert!(self.output.status.success(), "{self}");
        self
    }
}

impl fmt::Display for Run {
    /// As the snapshots have it, with the workspace's own directory taken out.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.output.status;
        match (status.code(), status.signal()) {
            (Some(code), _) => writeln!(formatter, "exit code: {code}")?,
            (None, signal) => writeln!(formatter, "signal: {signal:?}")?,
        }
        let workspace = self.workspace.to_string_lossy();
        for (name, bytes) in [
            ("stdout", &self.output.stdout),
            ("stderr", &self.output.stderr),
        ] {
            let text = String::from_utf8_lossy(bytes).replace(&*workspace, "[WORKSPACE]");
            if !text.is_empty() {
                write!(formatter, "----- {name} -----\n{text}")?;
            }
        }
        Ok(())
    }
}

/// The JSON report of a build.
pub(crate) struct Report {
    pub(crate) value: Value,
    pub(crate) code: Option<i32>,
    told: String,
}

impl Report {
    /// Fails unless every target succeeded.
    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{:#}\n{}", self.value, self.told);
        self
    }

    /// A target's part.
    #[track_caller]
    pub(crate) fn target(&self, name: &str) -> &Value {
        let targets = self.value["targets"].as_array().unwrap();
        let found = targets.iter().find(|target| target["name"] == name);
        found.unwrap_or_else(|| panic!("no target {name}: {:#}", self.value))
    }

    /// The status of each target, in the report's order: `api built, site cached`.
    pub(crate) fn statuses(&self) -> String {
        let targets = self.value["targets"].as_array().unwrap();
        let statuses: Vec<String> = targets
            .iter()
            .map(|target| format!("{} {}", text(&target["name"]), text(&target["status"])))
            .collect();
        statuses.join(", ")
    }

    /// Actions that were executed, as `target:action`.
    pub(crate) fn executed(&self) -> Vec<String> {
        let mut executed = Vec::new();
        for target in self.value["targets"].as_array().unwrap() {
            for action in target["actions"].as_array().unwrap() {
                if action["status"] == "executed" {
                    executed.push(format!("{}:{}", text(&target["name"]), text(&action["id"])));
                }
            }
        }
        executed
    }
}

/// A text in a JSON document.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// Compares what the user saw with an inline snapshot, times and digests taken out.
macro_rules! assert_run {
    ($run:expr, @$snapshot:literal) => {
        insta::with_settings!({ filters => crate::workspace::FILTERS.to_vec() }, {
            insta::assert_snapshot!($run.to_string(), @$snapshot);
        });
    };
}
pub(crate) use assert_run;

/// What differs from run to run and from machine to machine.
pub(crate) const FILTERS: [(&str, &str); 13] = [
    (r"\b\d+(\.\d+)? ?(ms|s)\b", "[TIME]"),
    // Packages are as long as their backend's version makes them.
    (r"\b\d+(\.\d+)? ([KMG]i)?B\b", "[SIZE]"),
    // The table's columns are as wide as the times in them.
    (r"(\btime|\[TIME\]) {2,}", "$1  "),
    (r"(?m)^ {20,}dist/", "                    dist/"),
    (r"\b[0-9a-f]{64}\b", "[SHA256]"),
    (r"\b[0-9a-f]{12}\b", "[DIGEST]"),
    (r"\.synth/logs/[^/\s]+/", ".synth/logs/[BUILD]/"),
    (r"\b\d{8}T\d{6}\.\d{6}Z-\d+\b", "[BUILD]"),
    (r"/work/build-\w{6}/\d+/", "/work/build-[RANDOM]/[NUMBER]/"),
    (
        r"Python 3[\d.]+, pytest-[\d.]+, pluggy-[\d.]+",
        "[VERSIONS]",
    ),
    (r"' \(\d+\) panicked at", "' ([THREAD]) panicked at"),
    // What Docker says differs between its versions.
    (
        r"no engine answers `docker`: .*",
        "no engine answers `docker`: [DOCKER]",
    ),
    (
        r"= note: (executor failed running|process ).*",
        "= note: [DOCKER]",
    ),
];

const SET_UP: &str = "run the tests with `cargo xtask e2e`, which installs what they need";

/// The directory of the workspace's Cargo.toml.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// A variable that the set-up of the tests sets.
pub(crate) fn from_set_up(name: &str) -> OsString {
    env::var_os(name).unwrap_or_else(|| panic!("{name} is not set; {SET_UP}"))
}

/// The binary: as the set-up says, else the one that cargo built beside this test.
fn synth() -> PathBuf {
    let binary = env::var_os("SYNTH_BIN").map_or_else(
        || {
            let test = env::current_exe().unwrap();
            test.parent().unwrap().parent().unwrap().join("synth")
        },
        PathBuf::from,
    );
    assert!(
        binary.is_file(),
        "{} is missing: `cargo build --package synth-cli` makes it",
        binary.display()
    );
    binary
}
