//! Holds an action's processes together where it sees the machine as it is. Each action has a
//! parent of its own that inherits whoever loses their parent, ends all of them with the action,
//! and ends when synth does: a daemon finds no way out.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, wait};

use super::action::{self, Streams};
use super::host::{drain, report};
use super::kernel;
use super::wire::{self, Beginning, Report, Request, Trouble};

/// Starts what is asked for until nobody is left to ask.
/// Meanwhile it holds a lock, and as long as one of its actions has something to end.
pub(super) fn serve(mut socket: UnixStream, lock: Option<&Path>) -> io::Result<()> {
    let children = kernel::child_signals()?;
    let _held = match lock.map(hold).transpose() {
        Ok(held) => held,
        Err(trouble) => return wire::write(&mut socket, &Beginning::Refused(trouble)),
    };
    wire::write(&mut socket, &Beginning::Ready { inputs: false })?;
    loop {
        let mut waited = [
            PollFd::new(&socket, PollFlags::IN),
            PollFd::new(&children, PollFlags::IN),
        ];
        match poll(&mut waited, None) {
            Err(rustix::io::Errno::INTR) => continue,
            polled => polled?,
        };
        let [asked, ended] = waited.map(|waited| !waited.revents().is_empty());
        if ended {
            drain(&children);
            while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
        }
        if asked {
            match wire::receive(&socket)? {
                Some((request, descriptors)) => start(&request, descriptors),
                None => return Ok(()),
            }
        }
    }
}

/// What is forked from here has it too, and what is executed has not.
fn hold(lock: &Path) -> Result<File, Trouble> {
    let held = || {
        let file = File::options().append(true).create(true).open(lock)?;
        file.lock_shared().map(|()| file)
    };
    held().map_err(Trouble::at(format!("locking `{}`", lock.display())))
}

fn start(request: &Request, descriptors: Vec<OwnedFd>) {
    let Some((control, streams)) = Streams::from(descriptors) else {
        return;
    };
    let tell = control.try_clone();
    let child = kernel::fork(|| {
        let outcome = run(request, &control, streams);
        report(&control, &outcome);
        0
    });
    if let (Err(error), Ok(tell)) = (child, tell) {
        let trouble = Trouble::at::<io::Error>("starting a process")(error);
        report(&tell, &Report::NotPrepared(trouble));
    }
}

fn run(request: &Request, control: &UnixStream, streams: Streams) -> Report {
    match set_child_subreaper(Some(getpid())) {
        Ok(()) => action::carry_out(request, control, streams, end_children),
        Err(error) => Report::NotPrepared(Trouble::at("becoming the parent of orphans")(error)),
    }
}

/// Ends every child, and those that become children by the end of their parents.
fn end_children() {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => continue,
            Ok(None) => {}
            Err(_) => return,
        }
        let ended = children()
            .into_iter()
            .filter(|child| kill_process(*child, Signal::KILL).is_ok());
        if ended.count() == 0 {
            // Who is left belongs to another user: started through a set-uid program.
            return;
        }
        // The children of who ends have a new parent before this is over.
        let _ = wait(WaitOptions::empty());
    }
}

/// The processes whose parent this is.
fn children() -> Vec<Pid> {
    let own = getpid().as_raw_nonzero().to_string();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|process| {
            let id = process.file_name().to_str()?.parse().ok()?;
            let status = std::fs::read(process.path().join("stat")).ok()?;
            // The name is in brackets, and may have any bytes in it: its state and its parent
            // follow (proc_pid_stat(5)).
            let end = status.iter().rposition(|byte| *byte == b')')?;
            let rest = std::str::from_utf8(status.get(end + 1..)?).ok()?;
            (rest.split_whitespace().nth(1)? == own).then_some(())?;
            Pid::from_raw(id)
        })
        .collect()
}
