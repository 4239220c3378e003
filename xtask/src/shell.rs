//! Where the repository is, and the one way this crate runs programs: each printed before it
//! starts, each ended when the developer interrupts.

use std::ffi::OsString;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::MetadataCommand;
use duct::Expression;
use rustix::process::{Pid, Signal, geteuid, kill_process};

/// The repository and the programs running for it.
pub(crate) struct Shell {
    root: PathBuf,
    target: PathBuf,
    interrupt: Interrupt,
}

/// Set by Ctrl-C and its siblings. What runs then is told to end, and nothing more is started, so
/// that everything on the stack is dropped in order: a Docker engine among it.
#[derive(Clone, Default)]
struct Interrupt {
    asked: Arc<AtomicBool>,
    running: Arc<Mutex<Vec<u32>>>,
}

impl Interrupt {
    fn arrive(&self) {
        self.asked.store(true, Ordering::SeqCst);
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        for process in running.iter() {
            let process = i32::try_from(*process).ok().and_then(Pid::from_raw);
            if let Some(process) = process {
                // It may have ended by itself meanwhile.
                let _ = kill_process(process, Signal::TERM);
            }
        }
    }

    fn set_running(&self, processes: Vec<u32>) {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = processes;
    }

    fn check(&self) -> Result<()> {
        ensure!(!self.asked.load(Ordering::SeqCst), "interrupted");
        Ok(())
    }
}

impl Shell {
    pub(crate) fn new() -> Result<Self> {
        let metadata = MetadataCommand::new()
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .no_deps()
            .exec()
            .context("cargo does not tell where the workspace is")?;
        let interrupt = Interrupt::default();
        let handler = interrupt.clone();
        ctrlc::set_handler(move || handler.arrive()).context("Ctrl-C can't be caught")?;
        Ok(Self {
            root: metadata.workspace_root.into(),
            target: metadata.target_directory.into(),
            interrupt,
        })
    }

    /// Tools of the tests that are not the system's.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("test-tools")
    }

    /// Where the crates outside the workspace are built, so that what they have in common is
    /// compiled once.
    pub(crate) fn outside(&self) -> PathBuf {
        self.target.join("plugins")
    }

    /// Programs and projects of the benchmarks.
    pub(crate) fn benchmarks(&self) -> PathBuf {
        self.target.join("bench")
    }

    /// The repository.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Data of the tests that is not in the repository.
    pub(crate) fn fixtures(&self) -> PathBuf {
        self.target.join("test-fixtures")
    }

    /// A synth without kinds, and the kinds as plugins.
    pub(crate) fn kinds(&self) -> PathBuf {
        self.target.join("kinds")
    }

    /// The binary that the tests run.
    pub(crate) fn synth(&self) -> PathBuf {
        self.target.join("debug/synth")
    }

    /// Runs a program with its output on the developer's terminal; whether it succeeded.
    pub(crate) fn run(&self, program: &Program) -> Result<bool> {
        self.interrupt.check()?;
        eprintln!("$ {program}");
        let handle = self.expression(program).start()?;
        self.interrupt.set_running(handle.pids());
        let succeeded = handle.wait()?.status.success();
        self.interrupt.set_running(Vec::new());
        self.interrupt.check()?;
        Ok(succeeded)
    }

    /// Runs a program that must succeed.
    pub(crate) fn demand(&self, program: &Program) -> Result<()> {
        ensure!(self.run(program)?, "`{program}` failed");
        Ok(())
    }

    /// What a program that must succeed prints on standard output; the rest is on the terminal.
    pub(crate) fn read(&self, program: &Program) -> Result<String> {
        self.interrupt.check()?;
        eprintln!("$ {program}");
        let handle = self.expression(program).stdout_capture().start()?;
        self.interrupt.set_running(handle.pids());
        let output = handle.wait()?;
        self.interrupt.set_running(Vec::new());
        self.interrupt.check()?;
        ensure!(output.status.success(), "`{program}` failed");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Runs a program with its output on the terminal and each line, free of colours, given to
    /// `observe`; whether it succeeded.
    pub(crate) fn observe(&self, program: &Program, mut observe: impl FnMut(&str)) -> Result<bool> {
        self.interrupt.check()?;
        eprintln!("$ {program}");
        let reader = self.expression(program).stderr_to_stdout().reader()?;
        self.interrupt.set_running(reader.pids());
        let mut lines = BufReader::new(&reader);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line)? > 0 {
            let text = String::from_utf8_lossy(&line);
            eprint!("{text}");
            observe(&anstream::adapter::strip_str(&text).to_string());
            line.clear();
        }
        self.interrupt.set_running(Vec::new());
        self.interrupt.check()?;
        let output = reader.try_wait()?.context("a program did not end")?;
        Ok(output.status.success())
    }

    /// What a program prints, trimmed; none when it can't be run or fails.
    pub(crate) fn ask(&self, program: &Program) -> Option<String> {
        self.attempt(program).ok()
    }

    /// What a program prints, trimmed.
    ///
    /// # Errors
    /// What a program said that failed, or why it can't be run.
    pub(crate) fn attempt(&self, program: &Program) -> Result<String, String> {
        let quiet = self.expression(program).stdin_null();
        let output = quiet.stdout_capture().stderr_capture().run();
        let output = output.map_err(|error| error.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stderr))
        }
    }

    fn expression(&self, program: &Program) -> Expression {
        let directory = program.directory.as_deref().unwrap_or(&self.root);
        program.expression().dir(directory).unchecked()
    }
}

/// A program with its arguments, and variables on top of the developer's own.
#[derive(Clone)]
pub(crate) struct Program {
    argv: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    /// Where it starts; none for the repository.
    directory: Option<PathBuf>,
}

impl Program {
    pub(crate) fn new<A: Into<OsString>>(
        program: impl Into<OsString>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        let mut argv = vec![program.into()];
        argv.extend(arguments.into_iter().map(Into::into));
        Self {
            argv,
            variables: Vec::new(),
            directory: None,
        }
    }

    /// A program that needs the rights of the system's administrator: through sudo for others.
    pub(crate) fn as_root<A: Into<OsString>>(
        program: impl Into<OsString>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Self> {
        let mut program = Self::new(program, arguments);
        if !geteuid().is_root() {
            if which::which("sudo").is_err() {
                bail!(
                    "neither root nor sudo here; have an administrator run `{program}`, then try \
                     again"
                );
            }
            program.argv.insert(0, "sudo".into());
        }
        Ok(program)
    }

    #[must_use]
    pub(crate) fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.argv.push(argument.into());
        self
    }

    #[must_use]
    pub(crate) fn variable(
        mut self,
        name: impl Into<OsString>,
        value: impl Into<OsString>,
    ) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    #[must_use]
    pub(crate) fn directory(mut self, directory: &Path) -> Self {
        self.directory = Some(directory.to_owned());
        self
    }

    /// Another program's variables too.
    #[must_use]
    pub(crate) fn variables_of(mut self, other: &Self) -> Self {
        self.variables.extend(other.variables.iter().cloned());
        self
    }

    /// This program, where and as it would run, run by another.
    #[must_use]
    pub(crate) fn below(&self, runner: &Self) -> Self {
        let mut program = self.clone();
        program.argv.splice(..0, runner.argv.iter().cloned());
        program
    }

    /// As one text, for programs that take it apart as a shell does.
    pub(crate) fn quoted(&self) -> Result<String> {
        let words = self.argv.iter().map(|word| {
            let word = word.to_string_lossy();
            ensure!(!word.contains('\''), "`{word}` has a quote in it");
            Ok(format!("'{word}'"))
        });
        Ok(words.collect::<Result<Vec<_>>>()?.join(" "))
    }

    pub(crate) fn expression(&self) -> Expression {
        let mut expression = duct::cmd(&self.argv[0], &self.argv[1..]);
        for (name, value) in &self.variables {
            expression = expression.env(name, value);
        }
        expression
    }
}

impl fmt::Display for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self
            .argv
            .iter()
            .map(|word| word.to_string_lossy())
            .collect();
        formatter.write_str(&words.join(" "))
    }
}

/// Programs of that name: on the `PATH`, then where administrators' programs are, which a user's
/// `PATH` may leave out.
pub(crate) fn programs(name: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = which::which_all(name).into_iter().flatten().collect();
    for directory in ["/usr/bin", "/usr/sbin", "/sbin"] {
        let program = Path::new(directory).join(name);
        if program.is_file() && !found.contains(&program) {
            found.push(program);
        }
    }
    found
}
