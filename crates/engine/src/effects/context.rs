//! What the code of a kind works with while it carries out an effect.

use std::cell::RefCell;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use synth_core::{Diagnostic, EffectKind, Exec, Process, ProcessOutcome, RunContext};

use super::record::Entry;
use super::worker::Worker;
use crate::executor::log_tail;
use crate::executor::process::{Command, End};

/// How much of a process's output messages may show.
const LAST_OUTPUT_BYTES: u64 = 4096;

pub(crate) struct Context<'a> {
    worker: &'a Worker<'a>,
    entry: &'a Entry,
    inputs: &'a Path,
    outputs: PathBuf,
    scratch: PathBuf,
    log: &'a Path,
    deadline: Instant,
    file: RefCell<Option<std::fs::File>>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        worker: &'a Worker<'a>,
        entry: &'a Entry,
        place: &'a Path,
        log: &'a Path,
        deadline: Instant,
    ) -> Self {
        // A log that can't be written is no reason to fail what it tells of.
        let file = OpenOptions::new().create(true).append(true).open(log).ok();
        Self {
            worker,
            entry,
            inputs: place,
            outputs: place.join("outputs"),
            scratch: place.join("scratch"),
            log,
            deadline,
            file: RefCell::new(file),
        }
    }
}

impl RunContext for Context<'_> {
    fn inputs(&self) -> &Path {
        self.inputs
    }

    fn outputs(&self) -> &Path {
        &self.outputs
    }

    fn scratch(&self) -> &Path {
        &self.scratch
    }

    fn log(&self, line: &str) {
        if let Some(file) = self.file.borrow_mut().as_mut() {
            let _ = writeln!(file, "{line}");
        }
    }

    fn progress(&self, message: &str) {
        self.log(message);
    }

    fn is_cancelled(&self) -> bool {
        self.worker.stop.cancel.is_cancelled() || Instant::now() > self.deadline
    }

    fn run(&self, process: &Process) -> Result<ProcessOutcome, Diagnostic> {
        let passed = match &self.entry.effect.kind {
            EffectKind::Native(native) => native.pass_environment.clone(),
            _ => Vec::new(),
        };
        let exec = Exec {
            argv: process.argv.clone(),
            environment: process.environment.clone(),
            pass_environment: passed,
            ..Exec::default()
        };
        let directory = match process.working_directory.as_os_str().is_empty() {
            true => self.scratch.clone(),
            false => process.working_directory.clone(),
        };
        let command = Command {
            program: self.worker.program(self.entry, &process.argv)?,
            arguments: process.argv.iter().skip(1).cloned().collect(),
            directory,
            environment: self.worker.variables(self.entry, &exec, self.inputs),
            log: self.log.to_owned(),
            standard_output: process.standard_output.clone(),
            standard_input: None,
        };
        let processes = &self.worker.processes;
        let finished = processes.run(&command, self.deadline, &self.worker.stop);
        let name = self.entry.name();
        let finished = finished.map_err(|error| {
            let program = command.program.display();
            let message = format!("`{program}` can't be started for `{name}`");
            Diagnostic::error("execute.start", message).caused_by(&error)
        })?;
        let exit_code = match finished.end {
            End::Exited(code) => {
                if code != 0 {
                    self.worker.exited_with(code);
                }
                Some(code)
            }
            End::Signalled(_) => None,
            End::TimedOut | End::Cancelled => {
                let message = format!("`{name}` was interrupted");
                return Err(Diagnostic::error("execute.interrupted", message));
            }
        };
        Ok(ProcessOutcome {
            exit_code,
            last_output: log_tail(self.log, LAST_OUTPUT_BYTES),
        })
    }
}
