//! The binary on a terminal: a pseudoterminal that is its controlling one, as a shell would start it.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::workspace::Workspace;

/// How long anything may take that is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// Often enough for whoever waits.
const INTERVAL: Duration = Duration::from_millis(10);

/// A terminal with the binary on it.
pub(super) struct Terminal {
    /// What a person types goes in here.
    keyboard: File,
    process: Child,
    printed: Receiver<String>,
    screen: String,
    closed: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Terminal {
    pub(super) fn run(workspace: &Workspace, arguments: &[&str]) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let size = Winsize {
            ws_row: 40,
            ws_col: 200,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&master, size).unwrap();
        let end = File::from(ioctl_tiocgptpeer(&master, flags).unwrap());
        let mut command = workspace.command_in_session(arguments);
        command
            .stdin(end.try_clone().unwrap())
            .stdout(end.try_clone().unwrap())
            .stderr(end);
        let process = command.spawn().unwrap();
        // It holds the other end, which would stay open here.
        drop(command);
        let keyboard = File::from(master);
        let (sender, printed) = channel();
        let closed = Arc::new(AtomicBool::new(false));
        let (display, flag) = (keyboard.try_clone().unwrap(), Arc::clone(&closed));
        let reader = thread::spawn(move || read(display, &flag, |text| sender.send(text).is_ok()));
        Self {
            keyboard,
            process,
            printed,
            screen: String::new(),
            closed,
            reader: Some(reader),
        }
    }

    pub(super) fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    pub(super) fn signal(&self, signal: Signal) {
        let process = Pid::from_raw(i32::try_from(self.process.id()).unwrap()).unwrap();
        kill_process(process, signal).unwrap();
    }

    /// Waits until this is on the screen, or something else holds.
    pub(super) fn wait_until(&mut self, what: &str, holds: impl Fn(&str) -> bool) {
        let since = Instant::now();
        loop {
            self.screen.extend(self.printed.try_iter());
            if holds(&self.screen) {
                return;
            }
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none(), "no {what}: {ended:?}\n{}", self.screen);
            assert!(since.elapsed() < PATIENCE, "no {what}\n{}", self.screen);
            self.screen.extend(self.printed.recv_timeout(INTERVAL));
        }
    }

    /// Waits until it has ended by itself.
    pub(super) fn end(mut self) -> (ExitStatus, String) {
        let status = self.process.wait().unwrap();
        self.close_display();
        self.screen.extend(self.printed.try_iter());
        (status, std::mem::take(&mut self.screen))
    }

    /// Closes the terminal, as its window is closed; waits until the binary has ended.
    pub(super) fn hang_up(mut self) -> ExitStatus {
        self.close_display();
        let Self {
            keyboard,
            mut process,
            ..
        } = self;
        drop(keyboard);
        process.wait().unwrap()
    }

    fn close_display(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
    }
}

/// Passes on what is printed, until the terminal is closed.
fn read(mut display: File, closed: &AtomicBool, pass: impl Fn(String) -> bool) {
    let timeout = Timespec::try_from(INTERVAL).unwrap();
    let mut buffer = [0; 4096];
    loop {
        let mut readable = [PollFd::new(&display, PollFlags::IN)];
        match poll(&mut readable, Some(&timeout)) {
            Ok(0) if closed.load(Ordering::Relaxed) => return,
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(error) => panic!("{error}"),
        }
        match display.read(&mut buffer) {
            Ok(count) if count > 0 => {
                let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
                if !pass(text) {
                    return;
                }
            }
            // Nobody has the other end any more (pty(7): EIO).
            _ => return,
        }
    }
}
