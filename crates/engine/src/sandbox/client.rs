//! The sandbox as synth sees it: its host process started, actions run in it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;

use super::wire::{self, Beginning, Hold, Report, Request, Trouble};
use crate::executor::Stop;
use crate::executor::process::{End, Escort, Finished, GRACE};
use crate::plugin::HostProgram;

/// How long the host process may take to be ready.
const BEGINNING: Duration = Duration::from_secs(30);

/// A build's sandbox. It ends, with all that runs in it, when this is dropped or synth dies.
pub struct Client {
    socket: Mutex<UnixStream>,
    inputs: Option<Inputs>,
    _process: Escort,
}

/// A directory in memory, in which inputs are laid out for actions.
#[derive(Debug)]
pub(crate) struct Inputs {
    directory: OwnedFd,
    /// For names that are no others'.
    count: AtomicU64,
    /// The system does not stack directories on them.
    useless: AtomicBool,
}

impl Inputs {
    /// Makes an empty directory for an action's inputs: its name, and where it is.
    pub(crate) fn make(&self) -> io::Result<(String, PathBuf)> {
        let name = self.count.fetch_add(1, Ordering::Relaxed).to_string();
        let all = Path::new("/proc/self/fd").join(self.directory.as_raw_fd().to_string());
        let path = all.join(&name);
        fs::create_dir(&path)?;
        Ok((name, path))
    }

    /// Nobody is to use them any more.
    pub(crate) fn give_up(&self) {
        self.useless.store(true, Ordering::Relaxed);
    }
}

/// A directory could not be stacked on inputs: no process was started.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct NotStacked(Trouble);

impl Client {
    /// Starts the host process, and waits until it is ready.
    ///
    /// # Errors
    /// Which step the system did not allow.
    pub fn start(program: &HostProgram) -> Result<Self, Trouble> {
        Self::holding(program, &Hold::Confined)
    }

    /// The same for actions that see the machine as it is: of a request only the program is used,
    /// with its arguments, directory and variables. What it leaves behind ends with it.
    ///
    /// # Errors
    /// Which step the system did not allow.
    pub fn start_open(program: &HostProgram) -> Result<Self, Trouble> {
        Self::holding(program, &Hold::Together { lock: None })
    }

    /// The same, and a file is locked, shared, until all of them have ended, whatever becomes of
    /// synth.
    pub(crate) fn start_open_holding(program: &HostProgram, lock: &Path) -> Result<Self, Trouble> {
        let lock = Some(lock.into());
        Self::holding(program, &Hold::Together { lock })
    }

    fn holding(program: &HostProgram, hold: &Hold) -> Result<Self, Trouble> {
        let failed = || Trouble::at("starting the sandbox's process");
        let (socket, other) = UnixStream::pair().map_err(failed())?;
        let process =
            Escort::start(&program.program, &program.arguments, other.into()).map_err(failed())?;
        socket.set_read_timeout(Some(BEGINNING)).map_err(failed())?;
        wire::write(&mut &socket, hold).map_err(failed())?;
        let beginning: Beginning = wire::read(&mut &socket).map_err(failed())?;
        match beginning {
            Beginning::Ready { inputs } => Ok(Self {
                inputs: match inputs {
                    true => Some(receive_inputs(&socket)?),
                    false => None,
                },
                socket: Mutex::new(socket),
                _process: process,
            }),
            Beginning::Refused(trouble) => Err(trouble),
        }
    }

    /// Runs an action to its end, to `deadline`, or until it is stopped. Its streams are standard
    /// input, output and error; `jobserver` are the two ends of the pipe of
    /// [`Request::jobserver`].
    ///
    /// # Errors
    /// When the program can't be executed, or the sandbox can't be made.
    pub async fn run(
        &self,
        request: &Request,
        streams: [File; 3],
        jobserver: Option<&[OwnedFd; 2]>,
        deadline: Instant,
        stop: &Stop,
    ) -> io::Result<Finished> {
        let (control, other) = UnixStream::pair()?;
        control.set_nonblocking(true)?;
        let mut control = tokio::net::UnixStream::from_std(control)?;
        self.send(request, other, streams, jobserver)?;
        let mut said = Vec::new();
        let mut stopped = None;
        let end = tokio::select! {
            read = control.read_to_end(&mut said) => read.map(drop),
            () = stop.cancel.cancelled() => { stopped = Some(End::Cancelled); Ok(()) }
            () = tokio::time::sleep_until(deadline.into()) => { stopped = Some(End::TimedOut); Ok(()) }
        };
        end?;
        if stopped.is_some() {
            order(&control, wire::TERMINATE);
            // Whoever is deaf to it is ended below.
            tokio::select! {
                _ = control.read_to_end(&mut said) => {}
                () = tokio::time::sleep(GRACE) => {}
                () = stop.kill.cancelled() => {}
            }
            order(&control, wire::KILL);
            control.read_to_end(&mut said).await?;
        }
        finished(&said, stopped)
    }

    /// Where inputs can be laid out in memory, if anywhere.
    pub(crate) fn inputs(&self) -> Option<&Inputs> {
        let inputs = self.inputs.as_ref()?;
        (!inputs.useless.load(Ordering::Relaxed)).then_some(inputs)
    }

    fn send(
        &self,
        request: &Request,
        control: UnixStream,
        streams: [File; 3],
        jobserver: Option<&[OwnedFd; 2]>,
    ) -> io::Result<()> {
        let mut descriptors = vec![control.as_fd()];
        descriptors.extend(streams.iter().map(AsFd::as_fd));
        descriptors.extend(jobserver.into_iter().flatten().map(AsFd::as_fd));
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        wire::send(&socket, request, &descriptors)
    }
}

#[cfg(target_os = "linux")]
fn receive_inputs(socket: &UnixStream) -> Result<Inputs, Trouble> {
    let directory = super::host::receive_descriptor(socket);
    Ok(Inputs {
        directory: directory.map_err(Trouble::at("taking the directory of inputs"))??,
        count: AtomicU64::default(),
        useless: AtomicBool::default(),
    })
}

#[cfg(not(target_os = "linux"))]
fn receive_inputs(_: &UnixStream) -> Result<Inputs, Trouble> {
    Err(Trouble {
        step: "taking the directory of inputs".into(),
        reason: "there is no sandbox on this system".into(),
    })
}

/// One that has ended takes no orders.
fn order(control: &tokio::net::UnixStream, order: u8) {
    let _ = control.try_write(&[order]);
}

fn finished(said: &[u8], stopped: Option<End>) -> io::Result<Finished> {
    let mut from = said;
    let report = wire::read(&mut from);
    match (report, stopped) {
        (
            Ok(Report::Ended {
                exit_code,
                signal,
                cpu_microseconds,
                peak_memory_bytes,
                read_bytes,
                written_bytes,
            }),
            _,
        ) => Ok(Finished {
            end: stopped.unwrap_or(match (exit_code, signal) {
                (Some(code), _) => End::Exited(code),
                (None, Some(signal)) => End::Signalled(signal),
                (None, None) => End::Exited(-1),
            }),
            cpu: Duration::from_micros(cpu_microseconds),
            peak_memory_bytes,
            read_bytes: Some(read_bytes),
            written_bytes: Some(written_bytes),
        }),
        (Ok(Report::NotStarted(number)), _) => Err(io::Error::from_raw_os_error(number)),
        (Ok(Report::NotStacked(trouble)), _) => Err(io::Error::other(NotStacked(trouble))),
        (Ok(Report::NotPrepared(trouble)), _) => Err(io::Error::other(trouble)),
        (Err(_), Some(end)) => Ok(Finished {
            end,
            cpu: Duration::ZERO,
            peak_memory_bytes: 0,
            read_bytes: None,
            written_bytes: None,
        }),
        (Err(_), None) => Err(io::Error::other("the sandbox has ended")),
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Told by the end of the socket; what is buffered is of no use any more.
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = (&*socket).flush();
        let _ = socket.shutdown(std::net::Shutdown::Both);
    }
}
