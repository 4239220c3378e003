//! Runs actions on this machine: a directory for each, inputs laid out in it, outputs taken from
//! it, nothing left of it.

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use synth_core::{Action, ActionKind, Diagnostic, Exec};

use super::confined::Place;
use super::environment::{environment, passed_on, with_root};
use super::kept::Keep;
use super::layout::{Layout, fits_in_memory};
use super::process::{Command, End};
use super::undeclared::{self, Search, look_for_reads, look_for_writes};
use super::{DEFAULT_TIMEOUT, Ended, Execution, log_limit, native, outputs};
use crate::config::SandboxMode;
use crate::sandbox::NotStacked;
use crate::store::{CachedAction, Store, date_directories, materialize};
use crate::work::WorkDirectory;

/// Runs actions in directories of its own.
#[derive(Clone)]
pub(crate) struct LocalExecutor {
    store: Store,
    /// Why there is none, when the store can't be written.
    work: Result<Arc<WorkDirectory>, Diagnostic>,
}

impl LocalExecutor {
    pub(crate) fn new(store: Store, work: Result<Arc<WorkDirectory>, Diagnostic>) -> Self {
        Self { store, work }
    }

    /// Runs an action to its end.
    pub(crate) async fn execute(&self, execution: Execution) -> Ended {
        let started = Instant::now();
        let timeout = execution
            .action
            .timeout_seconds
            .map_or(DEFAULT_TIMEOUT, Duration::from_secs);
        // A time so far away that a clock does not reach it is none.
        let deadline = started
            .checked_add(timeout)
            .unwrap_or(started + DEFAULT_TIMEOUT);
        // What is in memory is gone when the action is over.
        let in_memory =
            execution.keep.is_none() && fits_in_memory(&execution.action, &execution.inputs);
        let memory = in_memory.then(|| execution.sandbox.inputs()).flatten();
        // Where there is no room in memory, there is some on the disk.
        let place = memory.and_then(|memory| memory.make().ok());
        let mut ended = self.attempt(&execution, place, deadline).await;
        if let (Some(memory), Err(Unsuccessful::NotInMemory { never })) = (memory, &ended) {
            if *never {
                memory.give_up();
            }
            ended = self.attempt(&execution, None, deadline).await;
        }
        match ended {
            Ok(mut result) => {
                result.duration = started.elapsed();
                Ended::Succeeded(result)
            }
            Err(Unsuccessful::Ended(ended)) => ended,
            // It was not tried.
            Err(Unsuccessful::NotInMemory { .. }) => Ended::Cancelled,
        }
    }

    /// Runs an action in a new directory, with its inputs in memory if there is a place for them.
    async fn attempt(
        &self,
        execution: &Execution,
        memory: Option<(String, PathBuf)>,
        deadline: Instant,
    ) -> Result<CachedAction, Unsuccessful> {
        let work = self.work.as_ref();
        let work = work.map_err(|problem| Ended::failed(problem.clone()))?;
        let layout = Layout::make(work, memory, &execution.action.kind)
            .map_err(|error| Ended::failed(unprepared(&execution.action, &error)))?;
        let mut ended = self.run_in(execution, &layout, deadline).await;
        if let Some(keep) = &execution.keep
            && let Some(problem) = self.keep_or_forget(keep, execution, &layout, &ended)
            && let Err(Unsuccessful::Ended(Ended::Failed { diagnostics, .. })) = &mut ended
        {
            diagnostics.push(problem);
        }
        let work = Arc::clone(work);
        // Off the caller's path: large directories take a while to remove.
        tokio::task::spawn_blocking(move || layout.remove(&work));
        ended
    }

    /// Keeps the directory of an action that has failed, or forgets an earlier one when it succeeds. What
    /// was stopped tells nothing. Gives why it can't be kept.
    fn keep_or_forget(
        &self,
        keep: &Keep,
        execution: &Execution,
        layout: &Layout,
        ended: &Result<CachedAction, Unsuccessful>,
    ) -> Option<Diagnostic> {
        let failed = match ended {
            Ok(_) => false,
            // One that has lost what it needs is run once more.
            Err(Unsuccessful::Ended(Ended::Failed { .. })) if !self.store.is_interrupted() => true,
            Err(_) => return None,
        };
        let (action, from) = (&execution.action, layout.path());
        let in_sandbox = execution.sandbox.client().is_some();
        let kept = blocking(|| {
            if !failed {
                keep.forget();
                return Ok(());
            }
            keep.keep(action, from, in_sandbox).map_err(|error| {
                let what = &action.description;
                let message = format!("the directory of `{what}` can't be kept");
                Diagnostic::warning("execute.keep", message)
                    .concerning(synth_core::Concern::State)
                    .caused_by(&error)
            })
        });
        kept.err()
    }

    async fn run_in(
        &self,
        execution: &Execution,
        layout: &Layout,
        deadline: Instant,
    ) -> Result<CachedAction, Unsuccessful> {
        let action = &execution.action;
        let directories = &layout.directories;
        match self.prepare(execution, layout) {
            // On the disk it may go well, or is told.
            Err(_) if layout.memory().is_some() => {
                return Err(Unsuccessful::NotInMemory { never: false });
            }
            prepared => prepared?,
        }
        let (outcome, base) = match &action.kind {
            ActionKind::Exec(exec) => {
                match run_exec(execution, exec, layout, deadline).await {
                    Err(Unsuccessful::Ended(ended)) => {
                        return Err(with_reads(execution, layout.path(), ended).into());
                    }
                    ran => ran?,
                }
                (execution.ran)();
                let diagnostics = undeclared_writes(execution, layout)?;
                let outcome = synth_core::NativeOutcome {
                    diagnostics,
                    ..synth_core::NativeOutcome::default()
                };
                (outcome, &directories.root)
            }
            ActionKind::Native(native) => {
                let outcome = native::run(execution, native, layout.path(), deadline).await?;
                (outcome, &directories.outputs)
            }
            _ => {
                let reason = "an action of a kind that this version does not know";
                return Err(Ended::failed(crate::inputs::broken_plan(action, reason)).into());
            }
        };
        let outputs = blocking(|| outputs::collect(action, base, &self.store));
        let outputs = outputs.map_err(Ended::failed)?;
        Ok(CachedAction {
            outputs,
            outcome,
            duration: Duration::ZERO,
        })
    }

    fn prepare(&self, execution: &Execution, layout: &Layout) -> Result<(), Ended> {
        let (action, inputs) = (&execution.action, &execution.inputs);
        let prepared = blocking(|| {
            materialize(&self.store, inputs, layout.inputs()).map_err(|error| {
                let problem = unprepared(action, &error).concerning(error.concern());
                match error.advice() {
                    Some(advice) => problem.help(advice),
                    None => problem,
                }
            })?;
            let base = match action.kind {
                ActionKind::Exec(_) => &layout.directories.root,
                _ => &layout.directories.outputs,
            };
            outputs::prepare(action, base)?;
            date_directories(inputs, base).map_err(|error| unprepared(action, &error))
        });
        prepared.map_err(Ended::failed)
    }
}

/// Why there is no result.
enum Unsuccessful {
    Ended(Ended),
    /// Nothing was started: the inputs can't be in memory, those of this action or any.
    NotInMemory {
        never: bool,
    },
}

impl From<Ended> for Unsuccessful {
    fn from(ended: Ended) -> Self {
        Self::Ended(ended)
    }
}

/// Does file work on the action's own thread: to hand it to another and to wait for that takes longer
/// than most of it.
pub(crate) fn blocking<T>(work: impl FnOnce() -> Result<T, Diagnostic>) -> Result<T, Diagnostic> {
    let done = std::panic::catch_unwind(AssertUnwindSafe(work));
    // What it panicked with has been printed.
    done.unwrap_or_else(|_| Err(internal()))
}

pub(super) fn internal() -> Diagnostic {
    Diagnostic::error("internal", "synth itself failed").concerning(synth_core::Concern::Internal)
}

fn unprepared(action: &Action, error: &dyn std::error::Error) -> Diagnostic {
    Diagnostic::error(
        "execute.prepare",
        format!(
            "the directory of `{}` can't be made ready",
            action.description
        ),
    )
    .concerning(synth_core::Concern::State)
    .caused_by(error)
}

async fn run_exec(
    execution: &Execution,
    exec: &Exec,
    layout: &Layout,
    deadline: Instant,
) -> Result<(), Unsuccessful> {
    let action = &execution.action;
    let place = Place {
        sandbox: &execution.sandbox,
        directory: layout.path(),
        also_in_place: false,
        inputs: layout.memory(),
        jobserver: execution.jobserver.as_deref(),
    };
    let directories = place.directories();
    let passed: Vec<_> = passed_on(&exec.pass_environment, std::env::vars_os()).collect();
    let command = Command {
        program: program(action, &exec.argv, &directories.root).map_err(Ended::failed)?,
        arguments: exec
            .argv
            .iter()
            .skip(1)
            .map(|argument| with_root(argument, &directories.root))
            .collect(),
        directory: directories.root.join(&exec.working_directory),
        environment: environment(action, &exec.environment, passed.clone(), &directories),
        log: execution.log.clone(),
        standard_output: None,
        standard_input: None,
    };
    let started = Instant::now();
    let running = place.run(action, &command, &passed, deadline, &execution.stop);
    let (finished, _) = log_limit::kept_short(&command.log, running).await;
    let finished = finished.map_err(|error| {
        if error
            .get_ref()
            .is_some_and(|cause| cause.is::<NotStacked>())
        {
            return Unsuccessful::NotInMemory { never: true };
        }
        Ended::failed(not_started(action, &command.program, &error)).into()
    })?;
    execution.meter.process(&finished);
    execution.meter.ran(started.elapsed(), Duration::ZERO);
    let ended = match finished.end {
        End::Exited(0) => return Ok(()),
        End::Cancelled => Ended::Cancelled,
        End::Exited(code) => Ended::Failed {
            diagnostics: vec![Diagnostic::error(
                format!("{}.failed", action.phase),
                format!("`{}` failed with exit code {code}", action.description),
            )],
            exit_code: Some(code),
        },
        End::Signalled(signal) => Ended::failed(Diagnostic::error(
            format!("{}.killed", action.phase),
            format!("`{}` was ended by signal {signal}", action.description),
        )),
        End::TimedOut => Ended::failed(timed_out(action)),
    };
    Err(ended.into())
}

/// What a process that succeeded wrote beyond what it declares: warnings, where it may.
fn undeclared_writes(execution: &Execution, layout: &Layout) -> Result<Vec<Diagnostic>, Ended> {
    let mode = execution.sandbox.mode();
    if mode == SandboxMode::Off {
        return Ok(Vec::new());
    }
    let is_error = mode == SandboxMode::Strict;
    let (action, inputs) = (&execution.action, &execution.inputs);
    let root = &layout.directories.root;
    let apart = layout.memory().is_some();
    let problems = blocking(|| look_for_writes(action, inputs, root, apart, is_error));
    let problems = problems.map_err(Ended::failed)?;
    if problems.iter().any(Diagnostic::is_error) {
        return Err(Ended::Failed {
            diagnostics: problems,
            exit_code: None,
        });
    }
    Ok(problems)
}

/// A failure with what the process may have missed.
fn with_reads(execution: &Execution, directory: &Path, ended: Ended) -> Ended {
    let Ended::Failed {
        mut diagnostics,
        exit_code,
    } = ended
    else {
        return ended;
    };
    let sandbox = &execution.sandbox;
    if sandbox.mode() != SandboxMode::Off {
        let action = &execution.action;
        let found = blocking(|| {
            let place = Place {
                sandbox,
                directory,
                also_in_place: false,
                inputs: None,
                jobserver: None,
            };
            let log = super::log_tail(&execution.log, undeclared::LOG_BYTES);
            Ok(look_for_reads(
                &Search {
                    action,
                    inputs: &execution.inputs,
                    root: &place.directories().root,
                    project: sandbox.project(),
                    targets: sandbox.targets(),
                    shown: place.shown(action).as_deref(),
                },
                &log,
            ))
        });
        diagnostics.extend(found.unwrap_or_default());
    }
    Ended::Failed {
        diagnostics,
        exit_code,
    }
}

pub(super) fn timed_out(action: &Action) -> Diagnostic {
    let seconds = action.timeout_seconds.unwrap_or(DEFAULT_TIMEOUT.as_secs());
    Diagnostic::error(
        format!("{}.timeout", action.phase),
        format!("`{}` was ended after {seconds} s", action.description),
    )
}

pub(super) fn not_started(action: &Action, program: &Path, error: &std::io::Error) -> Diagnostic {
    let message = format!(
        "`{}` can't be started for `{}`",
        program.display(),
        action.description
    );
    let problem = Diagnostic::error("execute.start", message).caused_by(error);
    if error.kind() != std::io::ErrorKind::ArgumentListTooLong {
        return problem;
    }
    problem.help(
        "the system limits the arguments and variables of a program, each and all together: pass a \
         file that lists them (many programs take `@FILE`), have a script find them, or name \
         directories instead of files",
    )
}

/// The executable that the first argument means.
pub(super) fn program(
    action: &Action,
    argv: &[String],
    root: &Path,
) -> Result<PathBuf, Diagnostic> {
    let Some(name) = argv.first() else {
        return Err(crate::inputs::broken_plan(
            action,
            "its argument vector is empty",
        ));
    };
    let name = with_root(name, root);
    if name.contains('/') {
        return Ok(root.join(name));
    }
    let tool = action.tools.iter().find(|tool| tool.name == name);
    tool.map(|tool| tool.path.clone()).ok_or_else(|| {
        crate::inputs::broken_plan(
            action,
            &format!("it runs `{name}` without declaring that tool"),
        )
    })
}
