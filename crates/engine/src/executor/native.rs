//! Runs a native action: the target crate's own function, with the engine's directories, log and
//! processes.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use synth_core::{Action, Diagnostic, Native, NativeOutcome, Process, ProcessOutcome, RunContext};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::confined::Place;
use super::environment::{Directories, environment, passed_on};
use super::kept::{Keep, Rerun};
use super::line_log::LineLog;
use super::process::{Command, End};
use super::{Ended, Execution, Meter, local, log_limit};
use crate::failure;
use crate::jobserver::Share;
use crate::kind::Kind;
use crate::sandbox::Sandbox;

/// How much of a process's output messages may show.
const LAST_OUTPUT_BYTES: u64 = 4096;

/// Runs the function to its end. One that does not ask whether it is to stop is waited for.
pub(crate) async fn run(
    execution: &Execution,
    native: &Native,
    directory: &Path,
    deadline: Instant,
) -> Result<NativeOutcome, Ended> {
    let context = Context {
        action: execution.action.clone(),
        native: native.clone(),
        directories: Directories::below(directory),
        directory: directory.to_owned(),
        sandbox: Arc::clone(&execution.sandbox),
        log: Mutex::new(LineLog::open(&execution.log)),
        log_path: execution.log.clone(),
        stop: execution.stop.clone(),
        progress: Arc::clone(&execution.progress),
        meter: Arc::clone(&execution.meter),
        jobserver: execution.jobserver.clone(),
        keep: execution.keep.clone(),
        deadline,
        runtime: Handle::current(),
        interrupted: Cell::new(None),
    };
    let kind = Arc::clone(&execution.kind);
    // Not one of those that may have run out, while actions have all of them.
    let (tell, told) = oneshot::channel();
    let thread = thread::Builder::new().name("native".into()).spawn(move || {
        let _ = tell.send(context.call(&kind));
    });
    if let Err(error) = thread {
        return Err(Ended::failed(local::internal().caused_by(&error)));
    }
    // Without an answer, it has panicked, and said so.
    told.await
        .unwrap_or_else(|_| Err(Ended::failed(local::internal())))
}

struct Context {
    action: Action,
    native: Native,
    directories: Directories,
    /// That holds them.
    directory: PathBuf,
    sandbox: Arc<Sandbox>,
    log: Mutex<LineLog>,
    log_path: PathBuf,
    stop: super::Stop,
    progress: Arc<dyn Fn(&str) + Send + Sync>,
    meter: Arc<Meter>,
    jobserver: Option<Arc<Share>>,
    /// Is told which processes fail.
    keep: Option<Keep>,
    deadline: Instant,
    runtime: Handle,
    /// How a process of this action was ended from outside, if one was.
    interrupted: Cell<Option<End>>,
}

impl Context {
    fn call(self, kind: &Kind) -> Result<NativeOutcome, Ended> {
        let (started, cpu) = (Instant::now(), cpu_of_this_thread());
        let result = kind.run(&self.native, &self);
        let cpu = cpu_of_this_thread().saturating_sub(cpu);
        self.meter.ran(started.elapsed(), cpu);
        if self.stop.cancel.is_cancelled() {
            return Err(Ended::Cancelled);
        }
        if self.interrupted.get() == Some(End::TimedOut) || Instant::now() > self.deadline {
            let problem = local::timed_out(&self.action);
            // Who was ended for it is in what the kind has to say.
            let said = result.err().unwrap_or_default();
            let said = said
                .into_iter()
                .filter(|said| said.code.starts_with("plugin."));
            let causes = said.map(|said| said.message);
            return Err(Ended::failed(causes.fold(problem, Diagnostic::cause)));
        }
        let failed = |diagnostics: Vec<Diagnostic>| Ended::Failed {
            diagnostics,
            exit_code: self.meter.failed_exit_code(),
        };
        match result {
            Ok(outcome) if outcome.diagnostics.iter().any(Diagnostic::is_error) => {
                Err(failed(outcome.diagnostics))
            }
            Ok(outcome) => Ok(outcome),
            Err(diagnostics) => Err(failed(diagnostics)),
        }
    }
}

/// The processor time that this thread has used. That of other threads which a function starts, and of
/// a plugin's own process, is not seen.
fn cpu_of_this_thread() -> Duration {
    use nix::time::{ClockId, clock_gettime};

    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

impl RunContext for Context {
    fn inputs(&self) -> &Path {
        &self.directories.root
    }

    fn outputs(&self) -> &Path {
        &self.directories.outputs
    }

    fn scratch(&self) -> &Path {
        &self.directories.scratch
    }

    fn log(&self, line: &str) {
        let log = self.log.lock();
        log.unwrap_or_else(|poisoned| poisoned.into_inner())
            .line(line);
    }

    fn progress(&self, message: &str) {
        /// A display has one line for it.
        const MOST_CHARACTERS: usize = 200;
        let line = message.lines().next().unwrap_or_default();
        let end = line.char_indices().nth(MOST_CHARACTERS);
        (self.progress)(end.map_or(line, |(end, _)| &line[..end]));
    }

    fn is_cancelled(&self) -> bool {
        self.stop.cancel.is_cancelled() || Instant::now() > self.deadline
    }

    fn run(&self, process: &Process) -> Result<ProcessOutcome, Diagnostic> {
        let directory = if process.working_directory.as_os_str().is_empty() {
            self.directories.scratch.clone()
        } else {
            process.working_directory.clone()
        };
        let user = std::env::vars_os();
        let passed: Vec<_> = passed_on(&self.native.pass_environment, user).collect();
        // The function names files as it sees them itself.
        let place = Place {
            sandbox: &self.sandbox,
            directory: &self.directory,
            also_in_place: true,
            inputs: None,
            jobserver: self.jobserver.as_deref(),
        };
        let command = Command {
            program: local::program(&self.action, &process.argv, &self.directories.root)?,
            arguments: process.argv.iter().skip(1).cloned().collect(),
            directory,
            environment: environment(
                &self.action,
                &process.environment,
                passed.clone(),
                &self.directories,
            ),
            log: self.log_path.clone(),
            standard_output: process.standard_output.clone(),
            standard_input: None,
        };
        let log_start = std::fs::metadata(&self.log_path).map_or(0, |metadata| metadata.len());
        let running = place.run(&self.action, &command, &passed, self.deadline, &self.stop);
        let short = log_limit::kept_short(&self.log_path, running);
        let (finished, cut) = self.runtime.block_on(short);
        let finished =
            finished.map_err(|error| local::not_started(&self.action, &command.program, &error))?;
        self.meter.process(&finished);
        if finished.end != End::Exited(0) {
            let line = failure::of_process(&command.program, &command.arguments);
            self.meter.failed(line, finished.end);
        }
        if finished.end != End::Exited(0)
            && let Some(keep) = &self.keep
        {
            keep.failed(Rerun {
                passed: passed
                    .into_iter()
                    .map(|(name, _)| name)
                    .filter(|name| !process.environment.contains_key(name))
                    .collect(),
                program: command.program,
                arguments: command.arguments,
                directory: command.directory,
                environment: command.environment,
            });
        }
        let exit_code = match finished.end {
            End::Exited(code) => Some(code),
            End::Signalled(_) => None,
            end @ (End::TimedOut | End::Cancelled) => {
                self.interrupted.set(Some(end));
                return Err(Diagnostic::error(
                    "execute.interrupted",
                    format!("`{}` was interrupted", self.action.description),
                ));
            }
        };
        Ok(ProcessOutcome {
            exit_code,
            last_output: super::log_tail_from(
                &self.log_path,
                log_start.saturating_sub(cut),
                LAST_OUTPUT_BYTES,
            ),
        })
    }
}
