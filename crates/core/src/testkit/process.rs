//! Processes of a test pipeline: the one place of this crate that starts any, each in a group of
//! its own, with exactly the environment given, and gone with its whole group when it is over.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// A process to run.
pub(super) struct Command {
    /// The executable, absolute.
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) directory: PathBuf,
    pub(super) environment: BTreeMap<String, OsString>,
    /// Where standard output goes instead of the log.
    pub(super) standard_output: Option<PathBuf>,
    pub(super) timeout: Duration,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Exited(i32),
    Signalled(i32),
    TimedOut,
}

impl End {
    fn of(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exited(code),
            (None, signal) => Self::Signalled(signal.unwrap_or(0)),
        }
    }
}

/// Runs a process to its end, and gives what it said beside.
pub(super) fn run(command: &Command) -> io::Result<(End, String)> {
    let log = tempfile::tempfile()?;
    let standard_output = match &command.standard_output {
        Some(path) => Stdio::from(File::create(path)?),
        None => log.try_clone()?.into(),
    };
    let end = spawn_and_wait(command, standard_output, log.try_clone()?.into())?;
    Ok((end, read_back(log)?))
}

/// Asks a program something, with the test's own environment. What it says on standard output,
/// or on standard error when that is empty.
pub(super) fn ask(
    program: &Path,
    arguments: &[String],
    timeout: Duration,
) -> Result<String, String> {
    let in_words = |error: io::Error| error.to_string();
    let (output, errors) = (
        tempfile::tempfile().map_err(in_words)?,
        tempfile::tempfile().map_err(in_words)?,
    );
    let command = Command {
        program: program.to_owned(),
        arguments: arguments.to_vec(),
        directory: std::env::temp_dir(),
        environment: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .collect(),
        standard_output: None,
        timeout,
    };
    let clone = |file: &File| file.try_clone().map(Stdio::from).map_err(in_words);
    let end = spawn_and_wait(&command, clone(&output)?, clone(&errors)?).map_err(in_words)?;
    let output = read_back(output).map_err(in_words)?;
    let errors = read_back(errors).map_err(in_words)?;
    match end {
        End::Exited(0) if output.trim().is_empty() => Ok(errors.trim().to_owned()),
        End::Exited(0) => Ok(output.trim().to_owned()),
        End::Exited(code) => Err(format!(
            "exit code {code}: {}",
            errors.trim().lines().last().unwrap_or_default()
        )),
        End::Signalled(signal) => Err(format!("signal {signal}")),
        End::TimedOut => Err(format!("no answer within {} s", timeout.as_secs())),
    }
}

fn spawn_and_wait(command: &Command, output: Stdio, errors: Stdio) -> io::Result<End> {
    let mut child = spawn(command, output, errors)?;
    let group = i32::try_from(child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    let (sender, receiver) = mpsc::channel();
    let waiter = std::thread::spawn(move || sender.send(child.wait()));
    let ended = receiver.recv_timeout(command.timeout);
    if let Some(group) = group {
        // What the process left behind in its group goes with it. An empty group is fine.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = waiter.join();
    match ended {
        Ok(status) => Ok(End::of(status?)),
        Err(_) => Ok(End::TimedOut),
    }
}

fn spawn(command: &Command, output: Stdio, errors: Stdio) -> io::Result<Child> {
    /// While another thread starts a process, a program that was just written may still be open
    /// for writing in it, and can't be executed (ETXTBSY in execve(2)). That passes.
    const MOST_TRIES: u32 = 100;
    const PAUSE: Duration = Duration::from_millis(10);
    #[expect(
        clippy::disallowed_types,
        reason = "the test kit stands in for the executor, and is never part of a build"
    )]
    let mut process = std::process::Command::new(&command.program);
    process
        .args(&command.arguments)
        .current_dir(&command.directory)
        .env_clear()
        .envs(&command.environment)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .process_group(0);
    let mut tries = 1;
    loop {
        match process.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                if tries == MOST_TRIES {
                    return Err(error);
                }
                tries += 1;
                std::thread::sleep(PAUSE);
            }
            result => return result,
        }
    }
}

fn read_back(mut file: File) -> io::Result<String> {
    /// More than any test looks at.
    const MOST_BYTES: u64 = 16 * 1024 * 1024;
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
