//! Processes: the one place that starts them. Each in a group of its own, with exactly the
//! environment given, and gone with its whole group when it is over.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, PipeWriter, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use std::os::unix::process::{CommandExt, ExitStatusExt};

use command_fds::CommandFdExt;
use wait4::{ResUse, Wait4};

use super::Stop;
use crate::jobserver::Share;

/// How long a process has to end after SIGTERM, before SIGKILL.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// A process to run.
#[derive(Debug)]
pub(crate) struct Command {
    /// The executable, absolute.
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) directory: PathBuf,
    pub(crate) environment: BTreeMap<String, OsString>,
    /// Both outputs are appended to it.
    pub(crate) log: PathBuf,
    /// Where standard output goes instead of the log.
    pub(crate) standard_output: Option<PathBuf>,
    /// Where standard input comes from instead of nowhere.
    pub(crate) standard_input: Option<PathBuf>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With this code.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
    /// It was ended: its time was up.
    TimedOut,
    /// It was ended: the build was.
    Cancelled,
}

/// How an action's process ended, and what it has used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// How its program ended.
    pub end: End,
    /// Of all its processes.
    pub cpu: Duration,
    /// Of the largest of its processes; 0 when not known.
    pub peak_memory_bytes: u64,
    /// What all of them had to read from the disk; none when not known.
    pub read_bytes: Option<u64>,
    /// What all of them had written to the disk; none when not known.
    pub written_bytes: Option<u64>,
}

impl End {
    fn of(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exited(code),
            (None, Some(signal)) => Self::Signalled(signal),
            (None, None) => Self::Exited(-1),
        }
    }
}

impl Command {
    /// Standard input, output and error.
    pub(super) fn streams(&self) -> io::Result<[File; 3]> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)?;
        let output = match &self.standard_output {
            Some(path) => File::create(path)?,
            None => log.try_clone()?,
        };
        let input = match &self.standard_input {
            Some(path) => File::open(path)?,
            None => File::open("/dev/null")?,
        };
        Ok([input, output, log])
    }
}

/// Runs a process to its end, to `deadline`, or until it is cancelled.
pub(crate) async fn run(
    command: &Command,
    jobserver: Option<&Share>,
    deadline: Instant,
    stop: &Stop,
) -> io::Result<Finished> {
    let [input, output, errors] = command.streams()?;
    #[expect(
        clippy::disallowed_types,
        reason = "this is the executor's own way to start a process whose usage is asked for"
    )]
    let mut process = std::process::Command::new(&command.program);
    process
        .args(&command.arguments)
        .current_dir(&command.directory)
        .env_clear()
        .envs(&command.environment)
        .stdin(input)
        .stdout(output)
        .stderr(errors)
        .process_group(0);
    if let Some(share) = jobserver {
        let [read, write] = &share.ends;
        let ends = [read.try_clone()?, write.try_clone()?];
        let variables = share.terms.variables(&ends).into_iter();
        process.envs(variables.filter(|(name, _)| !command.environment.contains_key(*name)));
        process.preserved_fds(ends.into());
    }
    let child = process.spawn()?;
    // With it go what it holds of the process: its streams, and the jobserver.
    drop(process);
    let group = Group::of(Some(child.id()));
    let wait =
        wait_for_usage(child).inspect_err(|_| group.signal(rustix::process::Signal::KILL))?;
    let (used, stopped) = to_its_end(&group, wait, deadline, stop).await?;
    Ok(Finished {
        end: stopped.unwrap_or_else(|| End::of(used.status)),
        cpu: used.rusage.utime + used.rusage.stime,
        peak_memory_bytes: its_own_memory(used.rusage.maxrss),
        // The call that waits for it tells, and the library that makes it does not.
        read_bytes: None,
        written_bytes: None,
    })
}

/// Waits for a child beside, and gives what it and those that it has waited for have used. Only the
/// call that waits for a child is told (wait4(2)).
fn wait_for_usage(
    child: std::process::Child,
) -> io::Result<impl Future<Output = io::Result<ResUse>>> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    // Not one of the runtime's threads for what blocks: a native action keeps one of these while it
    // waits for its process, so all of them could be waiting for one more.
    std::thread::Builder::new()
        .name("wait".into())
        .spawn(move || {
            // When nobody listens any more the child was ended, and is only to be buried.
            let _ = sender.send(child.wait4());
        })?;
    Ok(async move { receiver.await.map_err(io::Error::other)? })
}

/// What a process has used itself of the most memory that the system counts for it. Until it
/// executes its program it shares synth's own memory, and that is counted too (`exec_mmap` of
/// Linux): no more than that tells nothing, which is 0.
fn its_own_memory(counted: u64) -> u64 {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else {
        return counted;
    };
    let most = status.lines().find_map(|line| {
        let kibibytes = line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?;
        kibibytes.parse::<u64>().ok()?.checked_mul(1024)
    });
    if most.is_some_and(|most| counted <= most) {
        return 0;
    }
    counted
}

/// A program of the user's, run for the user and not for an action.
#[derive(Debug)]
pub(crate) struct Errand<'a> {
    /// The executable, absolute.
    pub(crate) program: &'a Path,
    pub(crate) arguments: &'a [OsString],
    pub(crate) directory: &'a Path,
    /// Added to the user's own variables.
    pub(crate) environment: &'a [(&'a str, OsString)],
    /// Where standard output goes.
    pub(crate) standard_output: File,
    /// Where standard error goes; none for synth's own.
    pub(crate) standard_error: Option<File>,
}

/// Runs a program with the user's own environment, until it ends or is cancelled.
pub(crate) async fn run_errand(errand: Errand<'_>, stop: &Stop) -> io::Result<End> {
    /// Nobody waits for a day: whoever started it stops it before.
    const LONGEST: Duration = Duration::from_secs(24 * 3600);
    let mut child = tokio::process::Command::new(errand.program)
        .args(errand.arguments)
        .current_dir(errand.directory)
        .envs(errand.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(errand.standard_output)
        .stderr(
            errand
                .standard_error
                .map_or_else(Stdio::inherit, Stdio::from),
        )
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let group = Group::of(child.id());
    let wait = async move { child.wait().await };
    let (status, stopped) = to_its_end(&group, wait, Instant::now() + LONGEST, stop).await?;
    Ok(stopped.unwrap_or_else(|| End::of(status)))
}

/// Waits for the process that leads a group, and ends it at its deadline or when it is cancelled: then
/// it is told too which of them it was.
async fn to_its_end<T>(
    group: &Group,
    wait: impl Future<Output = io::Result<T>>,
    deadline: Instant,
    stop: &Stop,
) -> io::Result<(T, Option<End>)> {
    let mut wait = std::pin::pin!(wait);
    let mut abandoned = Abandoned(Some(group));
    let (mut ended, stopped) = tokio::select! {
        ended = &mut wait => (Some(ended?), None),
        () = stop.cancel.cancelled() => (None, Some(End::Cancelled)),
        () = tokio::time::sleep_until(deadline.into()) => (None, Some(End::TimedOut)),
    };
    if stopped.is_some() {
        group.signal(rustix::process::Signal::TERM);
        // Whoever is deaf to it is ended below.
        tokio::select! {
            early = &mut wait => ended = Some(early?),
            () = tokio::time::sleep(GRACE) => {}
            () = stop.kill.cancelled() => {}
        }
    }
    // What the process left behind in its group goes with it.
    group.signal(rustix::process::Signal::KILL);
    let ended = match ended {
        Some(ended) => ended,
        None => wait.await?,
    };
    abandoned.0 = None;
    group.gone().await;
    Ok((ended, stopped))
}

/// Ends a group that nobody waits for any more.
struct Abandoned<'a>(Option<&'a Group>);

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            group.signal(rustix::process::Signal::KILL);
        }
    }
}

/// The group that a child leads.
struct Group(Option<rustix::process::Pid>);

impl Group {
    fn of(id: Option<u32>) -> Self {
        Self(
            id.and_then(|id| i32::try_from(id).ok())
                .and_then(rustix::process::Pid::from_raw),
        )
    }

    /// Waits until no process of the group is left: one that was killed still needs a moment to
    /// end. Where nobody asks how an orphan ended, it stays in the table: that is not waited for.
    async fn gone(&self) {
        const INTERVAL: Duration = Duration::from_millis(5);
        const MOST: u32 = 100;
        let Some(group) = self.0 else { return };
        for _ in 0..MOST {
            if rustix::process::test_kill_process_group(group).is_err() {
                return;
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    fn signal(&self, signal: rustix::process::Signal) {
        if let Some(group) = self.0 {
            // An empty group is what is wanted.
            let _ = rustix::process::kill_process_group(group, signal);
        }
    }
}

/// A process that works beside synth and talks over a socket, which is its standard input.
pub(crate) struct Background {
    child: std::process::Child,
    group: Group,
    end: Option<End>,
}

impl Background {
    /// Starts it in a group of its own, with exactly the environment given.
    pub(crate) fn start(
        program: &Path,
        arguments: &[OsString],
        environment: &BTreeMap<String, OsString>,
        socket: OwnedFd,
        output: PipeWriter,
    ) -> io::Result<Self> {
        #[expect(
            clippy::disallowed_types,
            reason = "this is the executor's own way to start a plugin's process"
        )]
        let child = std::process::Command::new(program)
            .args(arguments)
            .current_dir("/")
            .env_clear()
            .envs(environment)
            .stdin(socket)
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .spawn()?;
        Ok(Self {
            group: Group::of(Some(child.id())),
            child,
            end: None,
        })
    }

    /// Ends it with its whole group, if it has not ended by itself.
    pub(crate) fn kill(&mut self) {
        if self.end.is_none() {
            self.group.signal(rustix::process::Signal::KILL);
            // Its end is nobody's news.
            let _ = self.wait();
        }
    }

    /// How it ended that is about to: one that stays for a second is ended. Ends what it left
    /// behind in its group too.
    pub(crate) fn ended(&mut self) -> io::Result<End> {
        const INTERVAL: Duration = Duration::from_millis(2);
        const MOST: u32 = 500;
        for _ in 0..MOST {
            if self.end.is_some() || self.child.try_wait()?.is_some() {
                return self.wait();
            }
            std::thread::sleep(INTERVAL);
        }
        self.group.signal(rustix::process::Signal::KILL);
        self.wait()
    }

    fn wait(&mut self) -> io::Result<End> {
        if let Some(end) = self.end {
            return Ok(end);
        }
        let end = End::of(self.child.wait()?);
        self.end = Some(end);
        self.group.signal(rustix::process::Signal::KILL);
        Ok(end)
    }
}

/// A process that works beside synth until its socket, which is its standard input, is closed.
pub(crate) struct Escort(std::process::Child);

impl Escort {
    /// Starts it in a group of its own, so that no terminal's signal reaches it before synth has
    /// ended what runs in it.
    pub(crate) fn start(
        program: &Path,
        arguments: &[OsString],
        socket: OwnedFd,
    ) -> io::Result<Self> {
        #[expect(
            clippy::disallowed_types,
            reason = "this is the executor's own way to start the sandbox's process"
        )]
        let child = std::process::Command::new(program)
            .args(arguments)
            .current_dir("/")
            .env_clear()
            .stdin(socket)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self(child))
    }
}

impl Drop for Escort {
    fn drop(&mut self) {
        // The other end of its socket is closed before.
        let _ = self.0.wait();
    }
}

/// What a program answered to a question.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) succeeded: bool,
    /// `exit code 1` or `signal 9`.
    pub(crate) end: String,
    pub(crate) standard_output: Vec<u8>,
    pub(crate) standard_error: Vec<u8>,
}

/// Ends a program that is asked something, from another thread.
#[derive(Debug, Default)]
pub(crate) struct Interrupt(Mutex<Interrupted>);

#[derive(Debug, Default)]
struct Interrupted {
    is_over: bool,
    running: Option<u32>,
}

impl Interrupt {
    /// Ends what is asked now, and whatever is asked from now on.
    pub(crate) fn now(&self) {
        let mut state = self.state();
        state.is_over = true;
        Group::of(state.running).signal(rustix::process::Signal::KILL);
    }

    fn state(&self) -> MutexGuard<'_, Interrupted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks a program something, with the user's own environment, and waits for the answer.
pub(crate) fn ask(
    program: &Path,
    arguments: &[String],
    timeout: Duration,
) -> Result<Answer, String> {
    ask_until(program, arguments, timeout, &Interrupt::default())
}

/// As [`ask`], unless it is interrupted.
pub(crate) fn ask_until(
    program: &Path,
    arguments: &[String],
    timeout: Duration,
    interrupt: &Interrupt,
) -> Result<Answer, String> {
    let output = tempfile::tempfile().map_err(|error| error.to_string())?;
    let error_output = tempfile::tempfile().map_err(|error| error.to_string())?;
    let clone = |file: &File| file.try_clone().map(Stdio::from).map_err(|e| e.to_string());
    let mut state = interrupt.state();
    if state.is_over {
        return Err("nobody wants to know it any more".to_owned());
    }
    #[expect(
        clippy::disallowed_types,
        reason = "this is the executor's own way to ask for a version"
    )]
    let mut child = std::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(clone(&output)?)
        .stderr(clone(&error_output)?)
        .process_group(0)
        .spawn()
        .map_err(|error| error.to_string())?;
    let group = Group::of(Some(child.id()));
    state.running = Some(child.id());
    drop(state);
    let (sender, receiver) = std::sync::mpsc::channel();
    let waiter = std::thread::spawn(move || {
        let _ = sender.send(child.wait());
    });
    let status = receiver.recv_timeout(timeout);
    // Another process may have its number soon.
    interrupt.state().running = None;
    group.signal(rustix::process::Signal::KILL);
    let _ = waiter.join();
    let status = status
        .map_err(|_| format!("no answer within {} s", timeout.as_secs()))?
        .map_err(|error| error.to_string())?;
    let end = match End::of(status) {
        End::Signalled(signal) => format!("signal {signal}"),
        _ => format!("exit code {}", status.code().unwrap_or(-1)),
    };
    Ok(Answer {
        succeeded: status.success(),
        end,
        standard_output: read_back(output)?,
        standard_error: read_back(error_output)?,
    })
}

fn read_back(mut file: File) -> Result<Vec<u8>, String> {
    /// More than any version takes, or the names of files that git tells.
    const MOST_BYTES: u64 = 256 * 1024 * 1024;
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))
        .and_then(|_| file.take(MOST_BYTES).read_to_end(&mut bytes))
        .map_err(|error| error.to_string())?;
    Ok(bytes)
}
