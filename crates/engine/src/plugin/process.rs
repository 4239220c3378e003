//! A plugin's process, seen from synth: started, called, watched, and ended when it misbehaves.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, BufReader, PipeReader, Read};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use synth_core::protocol::{Ask, HostSide, host_method};

use super::serve::{HEARTBEAT, Service};
use super::wire::{Frame, sendable};
use crate::executor::process::{Background, End};

/// A process of which nothing is heard for so long is stopped, or the machine is.
const SILENCE: Duration = Duration::from_secs(30);

/// How long a native action may take to end once it is asked to.
const GRACE: Duration = Duration::from_secs(5);

/// How much of what a process printed is kept for messages.
const KEPT_BYTES: usize = 8 * 1024;

/// The program that serves plugins: synth itself, with what makes it do so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostProgram {
    /// The executable, absolute.
    pub program: PathBuf,
    /// Arguments that come before the description of the service; see
    /// [`serve`](super::serve::serve).
    pub arguments: Vec<OsString>,
}

/// Why a call came to nothing.
#[derive(Debug)]
pub(crate) enum Lost {
    /// The process could not be started.
    NotStarted(io::Error),
    /// It could not open the library.
    Refused(String),
    /// It ended by itself.
    Ended(End),
    /// It was ended: no answer within this time.
    TimedOut(Duration),
    /// It was ended: nothing was heard of it.
    Silent,
    /// It was ended: it wrote more than it may.
    Flooded,
    /// It was ended: what it sent is no message.
    Nonsense(io::Error),
    /// It was ended because the build was, or the action's time was up.
    Cancelled,
}

/// A plugin's process.
pub(crate) struct Guest {
    child: Background,
    socket: UnixStream,
    /// Reads from the socket.
    reader: BufReader<UnixStream>,
    output: Arc<Mutex<Output>>,
    /// Told when everything that the process printed was read.
    read: Receiver<()>,
    output_limit: u64,
    /// Bytes written to logs so far.
    logged: u64,
}

/// What a process printed.
#[derive(Default)]
struct Output {
    total: u64,
    last: Vec<u8>,
}

impl Guest {
    /// Starts a process; the library is opened.
    pub(crate) fn start(
        host: &HostProgram,
        service: &Service,
        output_limit: u64,
        timeout: Duration,
        side: &HostSide<'_>,
    ) -> Result<Self, (Lost, String)> {
        let fresh = || -> io::Result<Self> {
            let (socket, other) = UnixStream::pair()?;
            // It reads what it asked for, unless it is stopped.
            socket.set_write_timeout(Some(SILENCE))?;
            let (reader, writer) = io::pipe()?;
            let mut arguments = host.arguments.clone();
            arguments.push(serde_json::to_string(service)?.into());
            let child = Background::start(
                &host.program,
                &arguments,
                &environment(service),
                other.into(),
                writer,
            )?;
            let output = Arc::new(Mutex::new(Output::default()));
            let read = listen(reader, &output);
            Ok(Self {
                child,
                reader: BufReader::new(socket.try_clone()?),
                socket,
                output,
                read,
                output_limit,
                logged: 0,
            })
        };
        let mut guest = fresh().map_err(|error| (Lost::NotStarted(error), String::new()))?;
        match guest.wait_until_open(timeout, side) {
            Ok(()) => Ok(guest),
            Err(lost) => {
                let said = guest.end();
                Err((lost, said))
            }
        }
    }

    fn wait_until_open(&mut self, timeout: Duration, side: &HostSide<'_>) -> Result<(), Lost> {
        let deadline = Instant::now() + timeout;
        let mut watch = Watch::new(side, timeout);
        loop {
            match self.next(deadline, timeout)? {
                Frame::Opened => return Ok(()),
                Frame::Refused { message } => return Err(Lost::Refused(message)),
                _ => self.check_output().and_then(|()| watch.check())?,
            }
        }
    }

    /// Puts a question and waits for the answer. After an error the process is of no more use.
    pub(crate) fn call(
        &mut self,
        method: &str,
        message: &str,
        host: &HostSide<'_>,
        timeout: Duration,
    ) -> Result<String, Lost> {
        let call = Frame::Call {
            method: method.to_owned(),
            message: message.to_owned(),
        };
        self.write(&call)?;
        let mut watch = Watch::new(host, timeout);
        loop {
            match self.next(watch.deadline, timeout)? {
                Frame::Answer { message } => return Ok(message),
                Frame::Ask { method, message } => {
                    let message = watch.paused(|| sendable(host.ask(&method, &message)));
                    self.write(&Frame::Answer { message })?;
                }
                Frame::Tell { method, message } => {
                    self.logged += u64::try_from(message.len()).unwrap_or(u64::MAX);
                    if self.logged > self.output_limit && method == host_method::LOG {
                        return Err(Lost::Flooded);
                    }
                    host.ask(&method, &message);
                }
                Frame::Alive | Frame::Opened => {}
                Frame::Refused { message } => return Err(Lost::Refused(message)),
                Frame::Call { .. } => {
                    return Err(Lost::Nonsense(io::Error::other("it sent a call")));
                }
            }
            self.check_output()?;
            watch.check()?;
        }
    }

    /// What it printed and nobody has taken yet, at most the last of it. The limit is anew.
    pub(crate) fn take_output(&self) -> String {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&std::mem::take(&mut *output).last).into_owned()
    }

    /// Ends it; gives the last of what it printed.
    pub(crate) fn end(&mut self) -> String {
        self.child.kill();
        // The pipe ends with the process, unless that has left somebody behind.
        let _ = self.read.recv_timeout(Duration::from_secs(1));
        self.take_output()
    }

    /// The next frame. That the process is alive is heard several times a second.
    fn next(&mut self, deadline: Instant, timeout: Duration) -> Result<Frame, Lost> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Lost::TimedOut(timeout));
        }
        let wait = left.min(SILENCE).max(HEARTBEAT);
        self.socket
            .set_read_timeout(Some(wait))
            .map_err(Lost::Nonsense)?;
        match Frame::read(&mut self.reader) {
            Ok(Some(frame)) => Ok(frame),
            Ok(None) => Err(self.ended()),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock if left <= SILENCE => Err(Lost::TimedOut(timeout)),
                io::ErrorKind::WouldBlock => Err(Lost::Silent),
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::BrokenPipe => Err(self.ended()),
                _ => Err(Lost::Nonsense(error)),
            },
        }
    }

    fn write(&mut self, frame: &Frame) -> Result<(), Lost> {
        let written = frame.write(&mut &self.socket);
        written.map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => Lost::Silent,
            _ => self.ended(),
        })
    }

    fn ended(&mut self) -> Lost {
        match self.child.ended() {
            _ if self.flooded() => Lost::Flooded,
            Ok(end) => Lost::Ended(end),
            Err(error) => Lost::Nonsense(error),
        }
    }

    fn flooded(&self) -> bool {
        let output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        output.total > self.output_limit
    }

    fn check_output(&self) -> Result<(), Lost> {
        if self.flooded() {
            Err(Lost::Flooded)
        } else {
            Ok(())
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.end();
    }
}

/// When a call is given up.
struct Watch<'a> {
    host: &'a HostSide<'a>,
    deadline: Instant,
    cancelled: Option<Instant>,
}

impl<'a> Watch<'a> {
    fn new(host: &'a HostSide<'a>, timeout: Duration) -> Self {
        /// Longer than any build.
        const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);
        // A native action has a time limit of its own.
        let limit = match host {
            HostSide::Run(_) => NEVER,
            HostSide::Plan(_) | HostSide::Batch(_) | HostSide::Nothing => timeout,
        };
        Self {
            host,
            deadline: Instant::now() + limit,
            cancelled: None,
        }
    }

    /// Does something whose time is not the plugin's.
    fn paused<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let result = work();
        self.deadline += started.elapsed();
        result
    }

    fn check(&mut self) -> Result<(), Lost> {
        // Who plans has nothing to leave in good order.
        let (is_cancelled, grace) = match self.host {
            HostSide::Run(context) => (context.is_cancelled(), GRACE),
            HostSide::Plan(context) => (context.is_cancelled(), Duration::ZERO),
            HostSide::Batch(batch) => (batch.host.is_cancelled(), Duration::ZERO),
            HostSide::Nothing => return Ok(()),
        };
        if !is_cancelled {
            return Ok(());
        }
        let since = *self.cancelled.get_or_insert_with(Instant::now);
        if since.elapsed() >= grace {
            return Err(Lost::Cancelled);
        }
        Ok(())
    }
}

/// A plugin's results must not depend on the user's variables.
fn environment(service: &Service) -> BTreeMap<String, OsString> {
    let temporary = service.writable.last().cloned().unwrap_or_default();
    BTreeMap::from([
        (synth_core::abi::HOSTED.into(), "1".into()),
        ("LANG".into(), "C.UTF-8".into()),
        ("TZ".into(), "UTC".into()),
        ("TMPDIR".into(), temporary.into_os_string()),
    ])
}

/// Reads what a process prints, so that it never waits for a reader, and keeps the last of it.
fn listen(mut pipe: PipeReader, output: &Arc<Mutex<Output>>) -> Receiver<()> {
    let output = Arc::clone(output);
    // The sender is gone when the thread is.
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _sender = sender;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match pipe.read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => {
                    let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
                    output.total += u64::try_from(count).unwrap_or(u64::MAX);
                    output.last.extend(&buffer[..count]);
                    let surplus = output.last.len().saturating_sub(KEPT_BYTES);
                    output.last.drain(..surplus);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    });
    receiver
}
