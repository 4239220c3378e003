//! Calls a native function of the target crate with the directories, the log and the processes
//! that the engine would give it.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Instant;

use super::action::{Directories, Done, NotDone, Run};
use super::panics::catch;
use super::process::{self, Command, End};
use super::sandbox::{Rights, restrict};
use crate::{Concern, Diagnostic, Native, NativeOutcome, Process, ProcessOutcome, RunContext};

/// How much of what a process said messages may show.
const LAST_OUTPUT_BYTES: usize = 4096;

/// What the function answers; the text is that of its panic.
type Answer = Result<Result<NativeOutcome, Vec<Diagnostic>>, String>;

type StartProcess<'a> = dyn Fn(&Process) -> Result<ProcessOutcome, Diagnostic> + 'a;

/// Calls the function.
pub(super) fn run(
    run: &Run<'_>,
    native: &Native,
    directories: &Directories,
) -> Result<Done, NotDone> {
    let deadline = run.deadline();
    let said = Said::default();
    let context = Context {
        directories,
        said: &said,
        cancel_after: run.settings.cancel_after,
        deadline,
        start: &|process| start_process(run, native, directories, &said, process),
    };
    let answer = if run.sandboxed {
        call_in_sandbox(run, native, &context)
    } else {
        catch(|| run.kind.run(native, &context))
    };
    judge(run, answer, said, deadline)
}

/// Calls the function on a thread that may open its own directories alone. Processes are started
/// by this one, which may do more.
fn call_in_sandbox(run: &Run<'_>, native: &Native, context: &Context<'_>) -> Answer {
    let (kind, directories, said) = (run.kind, context.directories, context.said);
    let (cancel_after, deadline) = (context.cancel_after, context.deadline);
    let (questions, asked) = mpsc::channel::<(Process, mpsc::Sender<_>)>();
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            let start = |process: &Process| {
                let (answers, answered) = mpsc::channel();
                let sent = questions.send((process.clone(), answers));
                sent.ok()
                    .and_then(|()| answered.recv().ok())
                    .unwrap_or_else(|| Err(Diagnostic::error("testkit", "the test is over")))
            };
            let context = Context {
                directories,
                said,
                cancel_after,
                deadline,
                start: &start,
            };
            let own = [
                directories.outputs.as_path(),
                directories.scratch.as_path(),
                Path::new("/dev"),
            ];
            // Where the system can't, this is a second run and no more.
            let _ = restrict(Rights {
                read: &[&directories.root],
                write: &own,
            });
            catch(|| kind.run(native, &context))
        });
        for (process, answers) in asked {
            // A function that does not wait for the answer needs none.
            let _ = answers.send((context.start)(&process));
        }
        thread
            .join()
            .unwrap_or_else(|_| Err("its thread panicked".into()))
    })
}

fn judge(run: &Run<'_>, answer: Answer, said: Said, deadline: Instant) -> Result<Done, NotDone> {
    let was_cancelled = run
        .settings
        .cancel_after
        .is_some_and(|most| said.polls.load(Ordering::Relaxed) > most);
    let log = said
        .log
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    let failed = |diagnostics| NotDone {
        diagnostics,
        log: log.clone(),
    };
    if Instant::now() > deadline {
        return Err(failed(vec![run.timed_out()]));
    }
    let outcome = match answer {
        Err(panic) => {
            let problem = run
                .problem("internal.panic", "panicked")
                .concerning(Concern::Internal)
                .cause(panic)
                .help("give a diagnostic back instead: `Err(vec![Diagnostic::error(..)])`");
            return Err(failed(vec![problem]));
        }
        Ok(Err(problems)) if !was_cancelled => return Err(failed(problems)),
        Ok(Ok(outcome)) if !was_cancelled => outcome,
        Ok(answer) => {
            // Whatever it answers: what was cancelled leaves nothing.
            let problem = run.problem("execute.cancelled", "was cancelled");
            let mut problems = vec![problem];
            problems.extend(answer.err().unwrap_or_default());
            return Err(failed(problems));
        }
    };
    if outcome.diagnostics.iter().any(Diagnostic::is_error) {
        return Err(failed(outcome.diagnostics));
    }
    Ok(Done {
        outputs: std::collections::BTreeMap::new(),
        outcome,
        log,
        progress: said
            .progress
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner),
    })
}

/// Runs a process as the engine does for a native action.
fn start_process(
    run: &Run<'_>,
    native: &Native,
    directories: &Directories,
    said: &Said,
    process: &Process,
) -> Result<ProcessOutcome, Diagnostic> {
    let directory = match process.working_directory.as_os_str().is_empty() {
        true => directories.scratch.clone(),
        false => process.working_directory.clone(),
    };
    let command = Command {
        program: run.program(&process.argv, &directories.root)?,
        arguments: process.argv.iter().skip(1).cloned().collect(),
        directory,
        environment: run.environment(&process.environment, &native.pass_environment, directories),
        standard_output: process.standard_output.clone(),
        timeout: run.timeout(),
    };
    let (end, output) =
        process::run(&command).map_err(|error| run.not_started(&command.program, &error))?;
    said.lines().extend(output.lines().map(ToOwned::to_owned));
    let exit_code = match end {
        End::Exited(code) => Some(code),
        End::Signalled(_) => None,
        End::TimedOut => return Err(run.problem("execute.interrupted", "was interrupted")),
    };
    let tail = output.ceil_char_boundary(output.len().saturating_sub(LAST_OUTPUT_BYTES));
    Ok(ProcessOutcome {
        exit_code,
        last_output: output[tail..].to_owned(),
    })
}

/// What a function says while it works.
#[derive(Default)]
struct Said {
    log: Mutex<Vec<String>>,
    progress: Mutex<Vec<String>>,
    /// How often it asked whether it is to stop.
    polls: AtomicU32,
}

impl Said {
    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Context<'a> {
    directories: &'a Directories,
    said: &'a Said,
    cancel_after: Option<u32>,
    deadline: Instant,
    start: &'a StartProcess<'a>,
}

impl RunContext for Context<'_> {
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
        self.said.lines().push(line.to_owned());
    }

    fn progress(&self, message: &str) {
        let mut progress = self
            .said
            .progress
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        progress.push(message.to_owned());
    }

    fn is_cancelled(&self) -> bool {
        let polls = self.said.polls.fetch_add(1, Ordering::Relaxed);
        self.cancel_after.is_some_and(|most| polls >= most) || Instant::now() > self.deadline
    }

    fn run(&self, process: &Process) -> Result<ProcessOutcome, Diagnostic> {
        (self.start)(process)
    }
}
