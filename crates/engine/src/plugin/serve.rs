//! The inside of a plugin's process: opens one library, takes calls from a socket, and sends what
//! the plugin asks back over it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};
use synth_core::abi::LoadedPlugin;
use synth_core::protocol::{Answer, host_method, method};
use synth_core::{Diagnostic, Message};

use super::wire::Frame;
use super::{confine, library};

/// How often the process says that it is alive.
pub(crate) const HEARTBEAT: Duration = Duration::from_millis(250);

/// Which library a process serves, and what it is allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Service {
    pub(crate) library: PathBuf,
    /// Memory that it may have of its own, in bytes.
    pub(crate) memory_bytes: u64,
    /// What it may read beside the system and its library.
    pub(crate) readable: Vec<PathBuf>,
    /// What it may write.
    pub(crate) writable: Vec<PathBuf>,
}

/// Serves the plugin that `service` describes (the argument that the host program was given)
/// until the other side of the socket on standard input is closed.
///
/// # Errors
/// When the process was not started by synth: there is no such socket, or no such description.
pub fn serve(service: &str) -> Result<(), Diagnostic> {
    let not_ours = |error: &dyn std::error::Error| {
        Diagnostic::error(
            "plugin.host",
            "this command is for synth itself, which starts it for a plugin",
        )
        .caused_by(error)
    };
    let service: Service = serde_json::from_str(service).map_err(|error| not_ours(&error))?;
    let socket = take_socket().map_err(|error| not_ours(&error))?;
    let clone = || socket.try_clone().map_err(|error| not_ours(&error));
    let line = Arc::new(Line {
        reader: Mutex::new(BufReader::new(clone()?)),
        writer: Mutex::new(clone()?),
        socket,
    });
    beat(&line);
    end_with_the_other_side(&line);
    // When the other side is gone nobody is left to be told.
    let _ = work(&service, &line);
    Ok(())
}

/// Standard input is a socket; nothing that the plugin does may read it.
pub(crate) fn take_socket() -> io::Result<UnixStream> {
    let socket: OwnedFd = rustix::io::dup(rustix::stdio::stdin())?;
    rustix::net::sockopt::socket_type(&socket)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
    Ok(UnixStream::from(socket))
}

/// The socket; frames are written one at a time.
struct Line {
    socket: UnixStream,
    reader: Mutex<BufReader<UnixStream>>,
    writer: Mutex<UnixStream>,
}

impl Line {
    fn write(&self, frame: &Frame) -> io::Result<()> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        frame.write(&mut *writer)
    }

    fn read(&self) -> io::Result<Option<Frame>> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        Frame::read(&mut *reader)
    }
}

fn beat(line: &Arc<Line>) {
    let line = Arc::clone(line);
    std::thread::spawn(move || {
        while line.write(&Frame::Alive).is_ok() {
            std::thread::sleep(HEARTBEAT);
        }
    });
}

/// A plugin that is at work, or loops, does not outlive the build that called it.
fn end_with_the_other_side(line: &Arc<Line>) {
    let line = Arc::clone(line);
    std::thread::spawn(move || {
        // A system that does not know this one tells of it without being asked.
        #[cfg(target_os = "linux")]
        let gone = PollFlags::RDHUP;
        #[cfg(not(target_os = "linux"))]
        let gone = PollFlags::HUP;
        let mut waited = [PollFd::new(&line.socket, gone)];
        while poll(&mut waited, None) == Err(rustix::io::Errno::INTR) {}
        let own = rustix::process::getpid();
        // What the plugin has started goes with it; a group that synth did not make stays.
        if rustix::process::getpgrp() == own {
            let _ = rustix::process::kill_process_group(own, rustix::process::Signal::KILL);
        }
        let _ = rustix::process::kill_process(own, rustix::process::Signal::KILL);
    });
}

fn work(service: &Service, line: &Line) -> io::Result<()> {
    limit_memory(service.memory_bytes)?;
    let plugin = confine::to(&service.library, &service.readable, &service.writable)
        .map_err(|error| error.to_string())
        .and_then(|()| library::open(&service.library).map_err(|error| error.to_string()));
    let plugin = match plugin {
        Ok(plugin) => plugin,
        Err(message) => return line.write(&Frame::Refused { message }),
    };
    line.write(&Frame::Opened)?;
    let known = RefCell::new(Known::default());
    while let Some(frame) = line.read()? {
        if let Frame::Call { method, message } = frame {
            known.borrow_mut().turn_to(&method, &message);
            let message = call(&plugin, line, &known, &method, &message);
            line.write(&Frame::Answer { message })?;
        }
    }
    Ok(())
}

fn call(
    plugin: &LoadedPlugin,
    line: &Line,
    known: &RefCell<Known>,
    method: &str,
    message: &str,
) -> String {
    plugin.call(method, message, &|method: &str, message: &str| {
        if let Some(answer) = known.borrow().answer(method, message) {
            return answer;
        }
        match relay(line, method, message) {
            Ok(answer) => {
                known.borrow_mut().keep(method, message, &answer);
                answer
            }
            Err(error) => {
                let answer: Answer<()> = Answer::Malformed {
                    reason: error.to_string(),
                };
                Message::new(answer).to_json().unwrap_or_default()
            }
        }
    })
}

/// What the plugin learnt of the project while it validated a target, for when it plans that
/// target next: it asks most of it again, and the two belong to one look at the project.
#[derive(Default)]
struct Known {
    method: String,
    target: String,
    answers: HashMap<(String, String), String>,
}

impl Known {
    /// Longer answers are asked for again.
    const MOST_BYTES: usize = 64 * 1024;

    fn turn_to(&mut self, method: &str, target: &str) {
        let goes_on = self.method == method::VALIDATE && method == method::PLAN;
        if !goes_on || self.target != target {
            self.answers.clear();
            target.clone_into(&mut self.target);
        }
        method.clone_into(&mut self.method);
    }

    fn answer(&self, method: &str, message: &str) -> Option<String> {
        let question = (method.to_owned(), message.to_owned());
        self.answers.get(&question).cloned()
    }

    fn keep(&mut self, method: &str, message: &str, answer: &str) {
        let looks = matches!(
            method,
            host_method::READ
                | host_method::KIND
                | host_method::FILES
                | host_method::DIRECTORIES
                | host_method::LINK
                | host_method::TOOL
        );
        if looks && answer.len() <= Self::MOST_BYTES {
            let question = (method.to_owned(), message.to_owned());
            self.answers.insert(question, answer.to_owned());
        }
    }
}

/// Sends on what the plugin asks, and waits for the answer where there is something in it.
fn relay(line: &Line, method: &str, message: &str) -> io::Result<String> {
    let (method, message) = (method.to_owned(), message.to_owned());
    if matches!(method.as_str(), host_method::LOG | host_method::PROGRESS) {
        line.write(&Frame::Tell { method, message })?;
        return Message::new(Answer::Done(()))
            .to_json()
            .map_err(io::Error::other);
    }
    line.write(&Frame::Ask { method, message })?;
    match line.read()? {
        Some(Frame::Answer { message }) => Ok(message),
        Some(_) => Err(io::Error::other("synth did not answer the question")),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn limit_memory(bytes: u64) -> io::Result<()> {
    let limit = |resource, bytes| {
        let limit = Rlimit {
            current: Some(bytes),
            maximum: Some(bytes),
        };
        setrlimit(resource, limit)
    };
    // Private memory that can be written: what a program allocates, and nothing that it merely
    // maps (getrlimit(2), since Linux 4.7).
    limit(Resource::Data, bytes)?;
    // A crash is told to the user, and leaves no file behind.
    limit(Resource::Core, 0)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_validation_asked_is_known_to_the_plan_of_the_same_target_alone() {
        let mut known = Known::default();
        let has = |known: &Known| known.answer(host_method::KIND, "a").is_some();
        known.turn_to(method::VALIDATE, "t1");
        known.keep(host_method::KIND, "a", "file");
        known.keep(host_method::IS_CANCELLED, "", "false");
        known.turn_to(method::PLAN, "t1");
        assert!(has(&known));
        assert!(known.answer(host_method::IS_CANCELLED, "").is_none());
        for (method, target) in [
            (method::PLAN, "t1"),
            (method::VALIDATE, "t1"),
            (method::PLAN, "t2"),
        ] {
            known.turn_to(method::VALIDATE, "t1");
            known.keep(host_method::KIND, "a", "file");
            if (method, target) == (method::PLAN, "t1") {
                known.turn_to(method::REQUIREMENTS, "t1");
            }
            known.turn_to(method, target);
            assert!(!has(&known), "{method} {target}");
        }
    }
}
