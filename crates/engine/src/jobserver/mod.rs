//! The jobserver of GNU make (manual of make 4.4, "Sharing Job Slots with GNU make"): a pipe with a byte
//! for each job that is free, from which synth and the processes of its actions take theirs.

mod outer;
mod pool;

use std::os::fd::{AsRawFd, OwnedFd};

use serde::{Deserialize, Serialize};
use synth_core::Jobserver;

pub(crate) use outer::Outer;
pub(crate) use pool::Pool;

/// What processes are told of a jobserver beside where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// How they find it.
    pub style: Jobserver,
    /// How many jobs there are, the free ones and the others.
    pub jobs: usize,
}

impl Terms {
    /// The variables that tell it, for a process that inherits the two ends of the pipe.
    pub(crate) fn variables(self, [read, write]: &[OwnedFd; 2]) -> [(&'static str, String); 2] {
        let (read, write) = (read.as_raw_fd(), write.as_raw_fd());
        let place = match self.style {
            // Opened again it is as good as a pipe with a name.
            Jobserver::NamedPipe => format!("--jobserver-auth=fifo:/proc/self/fd/{read}"),
            // Make before 4.2 knows it by the other name.
            _ => format!("--jobserver-fds={read},{write} --jobserver-auth={read},{write}"),
        };
        let flags = format!("-j{} {place}", self.jobs);
        // Cargo looks at its own first: it may itself be run by a make whose rule has not handed on the
        // descriptors.
        ["MAKEFLAGS", "CARGO_MAKEFLAGS"].map(|name| (name, flags.clone()))
    }
}

/// A jobserver as an action's processes get it.
#[derive(Debug)]
pub(crate) struct Share {
    pub(crate) terms: Terms,
    /// The two ends, opened for this action alone: make sets flags of its own on them.
    pub(crate) ends: [OwnedFd; 2],
}
