//! When what is in the store was last used, and what may be removed.
//!
//! A blob's or an action result's modification time says when it was last used: it is set when it
//! is put in, and again when it is found after [`MARK_EVERY`]. So a build that finds much writes
//! little.
//!
//! What a running build has found or put in must stay until the build is over. It does, because
//!
//! 1. a build registers before it looks: it makes its directory below `work`, and holds a lock in
//!    it as long as it lives (`work.rs`);
//! 2. whatever it finds or puts in has a time that is no older than [`MARK_EVERY`] before it began,
//!    or is given one;
//! 3. `cache gc` removes nothing that is younger than [`SPARED`] before the oldest running build
//!    began.
//!
//! Registering, marking and each short step of removing exclude each other by the lock of the
//! directory `work`, the gate. A build that dies is registered no longer, since its lock is gone.
//! Times are the file system's, so that a clock set back by less than the difference between the
//! two does no harm; when it is set back further, a build can miss a blob, which is then made anew.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{
    AtFlags, CWD, FlockOperation, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, flock, utimensat,
};
use rustix::io::Errno;

use super::WORK;
use crate::work::LOCK_NAME;

/// How old a mark may be before it is set again.
const MARK_EVERY: Duration = Duration::from_hours(1);

/// What is spared for a running build, before its beginning.
const SPARED: Duration = Duration::from_hours(2);

/// Times further ahead than this were not given by the clock as it is now.
const AHEAD: Duration = Duration::from_hours(24);

/// Marks what is used.
#[derive(Debug)]
pub(super) struct Marks {
    /// Seconds since 1970: what was used since then need not be marked.
    since: i64,
    until: i64,
}

impl Marks {
    pub(super) fn since_now() -> Self {
        let now = SystemTime::now();
        Self {
            since: seconds(now) - whole_seconds(MARK_EVERY),
            until: seconds(now) + whole_seconds(AHEAD),
        }
    }

    /// Marks a file that was found as used. Tells whether it is still there.
    pub(super) fn mark(&self, root: &Path, path: &Path, found: &Metadata) -> bool {
        if (self.since..self.until).contains(&found.mtime()) {
            return true;
        }
        // Without a gate the store can't be written, and then nothing is removed from it either.
        let Ok(_gate) = Gate::pass(root) else {
            return true;
        };
        match touch(path) {
            Err(error) => error.kind() != io::ErrorKind::NotFound,
            Ok(()) => true,
        }
    }
}

/// Sets a file's modification time to now.
pub(super) fn touch(path: &Path) -> io::Result<()> {
    let now = Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_NOW,
        },
    };
    Ok(utimensat(CWD, path, &now, AtFlags::empty())?)
}

/// Keeps others from removing, or from everything.
#[derive(Debug)]
pub(super) struct Gate {
    _file: File,
}

impl Gate {
    /// Nothing is removed meanwhile.
    fn pass(root: &Path) -> io::Result<Self> {
        Self::open(root, FlockOperation::LockShared)
    }

    /// Nobody registers or marks meanwhile. To be held for moments only.
    pub(super) fn close(root: &Path) -> io::Result<Self> {
        Self::open(root, FlockOperation::LockExclusive)
    }

    fn open(root: &Path, operation: FlockOperation) -> io::Result<Self> {
        let path = root.join(WORK).join(LOCK_NAME);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                File::options().append(true).create(true).open(&path)?
            }
            Err(error) => return Err(error),
        };
        loop {
            match flock(&file, operation) {
                Ok(()) => return Ok(Self { _file: file }),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// What is younger is in use, or may be: seconds since 1970. None when no build is running.
    pub(super) fn spared(&self, root: &Path) -> io::Result<Option<i64>> {
        let began = crate::work::running_since(&root.join(WORK))?;
        Ok(began.map(|began| seconds(began) - whole_seconds(SPARED)))
    }
}

/// Seconds since 1970.
pub(super) fn seconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => whole_seconds(since),
        Err(before) => -whole_seconds(before.duration()),
    }
}

pub(super) fn whole_seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
