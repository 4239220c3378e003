//! Carries out one action: a fresh directory with its inputs and nothing else, the process or the
//! function, and what it leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::native;
use super::outputs::{self, Left};
use super::process::{self, Command, End};
use super::tree::FileTree;
use crate::{
    Action, ActionKind, BuildTarget, Concern, Diagnostic, Exec, InputSource, NativeOutcome, ROOT,
    Tool,
};

/// Searched after the directories of an action's tools.
const SYSTEM_PATH: [&str; 4] = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin"];

/// The time that processes are told to take for the present one.
const SOURCE_DATE_EPOCH: &str = "315532800";

/// When an action of a test is ended that does not say so itself. A real build waits longer.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);

/// What a test says of the run.
#[derive(Clone, Debug, Default)]
pub(super) struct RunSettings {
    /// Variables that the user is taken to have set; handed on to actions that ask for them.
    pub(super) user_variables: BTreeMap<String, String>,
    /// After how many answers of "go on" native actions are told to stop.
    pub(super) cancel_after: Option<u32>,
}

/// An action with all that it needs.
pub(super) struct Run<'a> {
    pub(super) kind: &'a dyn BuildTarget,
    pub(super) action: &'a Action,
    pub(super) inputs: &'a FileTree,
    pub(super) settings: &'a RunSettings,
    /// Native functions get no right to open anything but what is theirs.
    pub(super) sandboxed: bool,
}

/// What an action left, and what it said.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) outputs: BTreeMap<String, Left>,
    pub(super) outcome: NativeOutcome,
    pub(super) log: Vec<String>,
    pub(super) progress: Vec<String>,
}

/// Why an action failed.
#[derive(Debug, Default)]
pub(super) struct NotDone {
    pub(super) diagnostics: Vec<Diagnostic>,
    pub(super) log: Vec<String>,
}

impl From<Diagnostic> for NotDone {
    fn from(problem: Diagnostic) -> Self {
        Self {
            diagnostics: vec![problem],
            log: Vec::new(),
        }
    }
}

/// The directories of an action.
pub(super) struct Directories {
    _directory: tempfile::TempDir,
    pub(super) root: PathBuf,
    pub(super) outputs: PathBuf,
    pub(super) scratch: PathBuf,
    home: PathBuf,
    temporary: PathBuf,
}

impl Directories {
    fn new() -> io::Result<Self> {
        let directory = super::temporary_directory()?;
        let below = |name: &str| {
            let path = directory.path().join(name);
            fs::create_dir(&path).map(|()| path)
        };
        Ok(Self {
            root: below("root")?,
            outputs: below("outputs")?,
            scratch: below("scratch")?,
            home: below("home")?,
            temporary: below("tmp")?,
            _directory: directory,
        })
    }
}

impl Run<'_> {
    /// Carries it out.
    pub(super) fn carry_out(&self) -> Result<Done, NotDone> {
        let unprepared = |error: io::Error| {
            self.problem("execute.prepare", "can't be given a directory")
                .caused_by(&error)
        };
        let directories = Directories::new().map_err(unprepared)?;
        self.inputs.write(&directories.root).map_err(unprepared)?;
        let (mut done, base) = match &self.action.kind {
            ActionKind::Exec(exec) => {
                outputs::prepare(self.action, &directories.root)?;
                (self.exec(exec, &directories)?, &directories.root)
            }
            ActionKind::Native(native) => {
                outputs::prepare(self.action, &directories.outputs)?;
                (
                    native::run(self, native, &directories)?,
                    &directories.outputs,
                )
            }
        };
        match outputs::collect(self.action, base) {
            Ok(left) => {
                done.outputs = left;
                Ok(done)
            }
            Err(problem) => Err(NotDone {
                diagnostics: vec![problem],
                log: done.log,
            }),
        }
    }

    fn exec(&self, exec: &Exec, directories: &Directories) -> Result<Done, NotDone> {
        let (declared, pass) = (&exec.environment, &exec.pass_environment);
        let arguments = exec.argv.iter().skip(1);
        let command = Command {
            program: self.program(&exec.argv, &directories.root)?,
            arguments: arguments
                .map(|argument| with_root(argument, &directories.root))
                .collect(),
            directory: directories.root.join(&exec.working_directory),
            environment: self.environment(declared, pass, directories),
            standard_output: None,
            timeout: self.timeout(),
        };
        let (end, said) =
            process::run(&command).map_err(|error| self.not_started(&command.program, &error))?;
        let log: Vec<String> = said.lines().map(ToOwned::to_owned).collect();
        let problem = match end {
            End::Exited(0) => {
                return Ok(Done {
                    log,
                    ..Done::default()
                });
            }
            End::Exited(code) => self.problem("failed", &format!("failed with exit code {code}")),
            End::Signalled(signal) => {
                self.problem("killed", &format!("was ended by signal {signal}"))
            }
            End::TimedOut => self.timed_out(),
        };
        Err(NotDone {
            diagnostics: vec![problem],
            log,
        })
    }

    /// The executable that the first argument means.
    pub(super) fn program(&self, argv: &[String], root: &Path) -> Result<PathBuf, Diagnostic> {
        let name = argv.first().map(|name| with_root(name, root));
        let name = name.unwrap_or_default();
        if name.contains('/') {
            return Ok(root.join(name));
        }
        let tool = self.action.tools.iter().find(|tool| tool.name == name);
        tool.map(|tool| tool.path.clone()).ok_or_else(|| {
            self.problem(
                "plan.broken",
                &format!("runs `{name}` without declaring that tool"),
            )
            .concerning(Concern::Internal)
            .help("find it with `PlanContext::tool`, and add it with `Action::tool`")
        })
    }

    /// The variables that its processes see.
    pub(super) fn environment(
        &self,
        declared: &BTreeMap<String, String>,
        pass: &[String],
        directories: &Directories,
    ) -> BTreeMap<String, OsString> {
        let mut variables: BTreeMap<String, OsString> = BTreeMap::from([
            ("PATH".into(), search_path(&self.action.tools)),
            ("HOME".into(), directories.home.clone().into()),
            ("TMPDIR".into(), directories.temporary.clone().into()),
            ("LANG".into(), "C.UTF-8".into()),
            ("TZ".into(), "UTC".into()),
            ("SOURCE_DATE_EPOCH".into(), SOURCE_DATE_EPOCH.into()),
        ]);
        for input in &self.action.inputs {
            if let InputSource::Target { name } = &input.from {
                let place = directories.root.join(&input.at);
                variables.insert(output_variable(name), place.into());
            }
        }
        for (name, value) in &self.settings.user_variables {
            if pass.iter().any(|pattern| is_named(pattern, name)) {
                variables.insert(name.clone(), value.into());
            }
        }
        let declared = declared.iter();
        variables.extend(
            declared
                .map(|(name, value)| (name.clone(), with_root(value, &directories.root).into())),
        );
        variables
    }

    pub(super) fn timeout(&self) -> Duration {
        let declared = self.action.timeout_seconds.map(Duration::from_secs);
        declared.map_or(DEFAULT_TIMEOUT, |declared| declared.min(DEFAULT_TIMEOUT))
    }

    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout()
    }

    /// What is wrong with this action; a short code gets the phase before it.
    pub(super) fn problem(&self, code: &str, what: &str) -> Diagnostic {
        let code = match code.contains('.') {
            true => code.to_owned(),
            false => format!("{}.{code}", self.action.phase),
        };
        Diagnostic::error(code, format!("`{}` {what}", self.action.description))
    }

    pub(super) fn timed_out(&self) -> Diagnostic {
        let seconds = self.timeout().as_secs();
        self.problem("timeout", &format!("was ended after {seconds} s"))
    }

    pub(super) fn not_started(&self, program: &Path, error: &io::Error) -> Diagnostic {
        let what = format!("can't start `{}`", program.display());
        let problem = self.problem("execute.start", &what).caused_by(error);
        match error.kind() {
            io::ErrorKind::NotFound => {
                problem.help("a program with `/` in its name is one of the action's inputs")
            }
            _ => problem,
        }
    }
}

/// Replaces [`ROOT`] by where the root is.
fn with_root(text: &str, root: &Path) -> String {
    text.replace(ROOT, &root.to_string_lossy())
}

/// The variable that holds where a needed target's outputs are.
fn output_variable(target: &str) -> String {
    let upper = |c: char| match c {
        c if c.is_ascii_alphanumeric() => c.to_ascii_uppercase(),
        _ => '_',
    };
    format!(
        "SYNTH_OUT_{}",
        target.chars().map(upper).collect::<String>()
    )
}

fn is_named(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    }
}

fn search_path(tools: &[Tool]) -> OsString {
    let mut seen = BTreeSet::new();
    let directories = tools
        .iter()
        .filter_map(|tool| tool.path.parent().map(Path::to_owned))
        .chain(SYSTEM_PATH.iter().map(PathBuf::from))
        .filter(|directory| seen.insert(directory.clone()));
    let joined: Vec<PathBuf> = directories.collect();
    // A directory whose name holds a colon can't be searched; the rest can.
    std::env::join_paths(&joined).unwrap_or_else(|_| SYSTEM_PATH.join(":").into())
}
