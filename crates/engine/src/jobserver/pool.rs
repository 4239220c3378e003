//! The jobs of a build that are free, and those that synth holds for the actions that run.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::OFlags;
use synth_core::Jobserver;
use tokio::net::unix::pipe::Receiver;

use super::{Outer, Share, Terms};

/// What stands for a job (make 4.4 writes the same).
const TOKEN: u8 = b'+';

/// The pipe keeps one page for bytes at the least, whatever a system allows (pipe(7)).
const MOST_TOKENS: usize = 4096;

/// A jobserver of which synth is a client: its own, or the one of a make that runs synth. What it
/// holds goes back when it is dropped.
#[derive(Debug)]
pub(crate) struct Pool {
    read: Receiver,
    write: File,
    jobs: usize,
    /// How many bytes there are, if it is synth's own.
    own: Option<usize>,
    /// The bytes that were taken: whoever takes a certain one gives back the same.
    held: Vec<u8>,
    /// Actions that run and have a share.
    shares: usize,
}

impl Pool {
    /// One of its own, with so many jobs, of which one is there without a byte: that of whoever runs.
    ///
    /// # Errors
    /// When the system has no pipes that can be opened again.
    pub(crate) fn own(jobs: usize) -> io::Result<Self> {
        let jobs = jobs.min(MOST_TOKENS + 1);
        let (read, write) = io::pipe()?;
        let mut pool = Self::open(&read, &write, jobs)?;
        pool.own = Some(jobs - 1);
        pool.write.write_all(&vec![TOKEN; jobs - 1])?;
        Ok(pool)
    }

    /// That of whoever has started synth.
    ///
    /// # Errors
    /// When it can't be opened again.
    pub(crate) fn of_outer(outer: &Outer, jobs: usize) -> io::Result<Self> {
        Self::open(&outer.read, &outer.write, jobs)
    }

    fn open(read: &impl AsFd, write: &impl AsFd, jobs: usize) -> io::Result<Self> {
        // Anew, so that its flags are nobody else's.
        let read = reopen(read, false, OFlags::NONBLOCK)?;
        Ok(Self {
            read: Receiver::from_file(read)?,
            write: reopen(write, true, OFlags::empty())?,
            jobs,
            own: None,
            held: Vec::new(),
            shares: 0,
        })
    }

    /// Takes jobs until it holds so many, as far as they are free. Tells whether it does.
    pub(crate) fn hold(&mut self, count: usize) -> bool {
        while self.held.len() < count {
            let mut bytes = [0; 16];
            let missing = (count - self.held.len()).min(bytes.len());
            // Not as the runtime does it, which knows only at its next turn what is there.
            match rustix::io::read(&self.read, &mut bytes[..missing]) {
                Ok(taken @ 1..) => self.held.extend(&bytes[..taken]),
                Err(rustix::io::Errno::INTR) => {}
                _ => return false,
            }
        }
        true
    }

    /// Gives jobs back until it holds no more than so many.
    pub(crate) fn keep(&mut self, count: usize) {
        let back = self.held.split_off(count.min(self.held.len()));
        // A pipe that takes nothing any more has nobody who waits at its other end.
        let _ = self.write.write_all(&back);
    }

    /// Waits until a job is free, and takes it.
    pub(crate) async fn take_one(&mut self) {
        loop {
            let mut byte = [0];
            let readable = self.read.readable().await;
            match readable.and_then(|()| self.read.try_read(&mut byte)) {
                Ok(1) => return self.held.extend(byte),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // Nobody is left to give one back.
                _ => return std::future::pending().await,
            }
        }
    }

    /// The jobserver for an action that is about to run. Its end is to be told.
    ///
    /// # Errors
    /// When it can't be opened once more.
    pub(crate) fn share(&mut self, style: Jobserver) -> io::Result<Share> {
        let ends = [
            reopen(&self.read, false, OFlags::empty())?.into(),
            reopen(&self.write, true, OFlags::empty())?.into(),
        ];
        self.shares += 1;
        let jobs = self.jobs;
        Ok(Share {
            terms: Terms { style, jobs },
            ends,
        })
    }

    /// An action that had a share has ended, and all its processes. What they took and did not give
    /// back is put there again when nobody else can have it.
    pub(crate) fn share_ended(&mut self) {
        self.shares = self.shares.saturating_sub(1);
        let Some(own) = self.own.filter(|_| self.shares == 0) else {
            return;
        };
        let should = own.saturating_sub(self.held.len());
        let free = rustix::io::ioctl_fionread(&self.read).unwrap_or_default();
        let free = usize::try_from(free).unwrap_or(usize::MAX);
        if free < should {
            let _ = self.write.write_all(&vec![TOKEN; should - free]);
        } else if free > should {
            // Somebody gave back what was not theirs.
            let mut surplus = vec![0; (free - should).min(MOST_TOKENS)];
            let _ = rustix::io::read(&self.read, &mut surplus);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.keep(0);
    }
}

/// Opens one end of a pipe once more, for one process alone.
fn reopen(end: &impl AsFd, write: bool, flags: OFlags) -> io::Result<File> {
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    let path = format!("/proc/self/fd/{}", end.as_fd().as_raw_fd());
    let mut options = OpenOptions::new();
    options.read(!write).write(write).custom_flags(flags);
    options.open(path)
}

/// What is free, for the tests.
#[cfg(test)]
impl Pool {
    fn free_now(&self) -> u64 {
        rustix::io::ioctl_fionread(&self.read).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::OwnedFd;

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    }

    fn take(end: &OwnedFd) -> u8 {
        let mut byte = [0];
        let mut file = File::from(end.try_clone().unwrap());
        file.read_exact(&mut byte).unwrap();
        byte[0]
    }

    #[test]
    fn jobs_are_held_and_given_back() {
        let runtime = runtime();
        let _entered = runtime.enter();
        let mut pool = Pool::own(4).unwrap();
        assert!(pool.hold(2));
        assert_eq!(pool.free_now(), 1);
        assert!(!pool.hold(4), "one is there without a byte");
        assert_eq!(pool.free_now(), 0);
        pool.keep(1);
        assert_eq!(pool.free_now(), 2);
        let mut alone = Pool::own(1).unwrap();
        assert!(alone.hold(0) && !alone.hold(1));
    }

    #[test]
    fn who_gives_back_gives_the_bytes_it_took() {
        let runtime = runtime();
        let _entered = runtime.enter();
        let (mut read, mut write) = io::pipe().unwrap();
        write.write_all(b"abc").unwrap();
        let mut pool = Pool::open(&read, &write, 4).unwrap();
        assert!(pool.hold(2));
        drop(pool);
        let mut bytes = [0; 3];
        read.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"cab");
    }

    #[test]
    fn what_an_action_leaves_behind_is_put_right_when_nobody_has_any() {
        let runtime = runtime();
        let _entered = runtime.enter();
        let mut pool = Pool::own(5).unwrap();
        assert!(pool.hold(1));
        let first = pool.share(Jobserver::Descriptors).unwrap();
        let second = pool.share(Jobserver::Descriptors).unwrap();
        for share in [&first, &second] {
            assert_eq!(take(&share.ends[0]), TOKEN);
        }
        pool.share_ended();
        assert_eq!(pool.free_now(), 1, "the other one may have them");
        pool.share_ended();
        assert_eq!(pool.free_now(), 3);
        let third = pool.share(Jobserver::Descriptors).unwrap();
        let mut write = File::from(third.ends[1].try_clone().unwrap());
        write.write_all(b"++").unwrap();
        pool.share_ended();
        assert_eq!(pool.free_now(), 3);
        assert!(pool.hold(4));
    }

    #[test]
    fn a_job_that_is_given_back_wakes_who_waits() {
        let runtime = runtime();
        runtime.block_on(async {
            let mut pool = Pool::own(2).unwrap();
            let share = pool.share(Jobserver::Descriptors).unwrap();
            let byte = take(&share.ends[0]);
            assert!(!pool.hold(1));
            {
                let mut one = std::pin::pin!(pool.take_one());
                tokio::select! {
                    biased;
                    () = &mut one => panic!("there is none"),
                    () = tokio::task::yield_now() => {}
                }
                let mut write = File::from(share.ends[1].try_clone().unwrap());
                write.write_all(&[byte]).unwrap();
                one.await;
            }
            assert!(pool.hold(1));
        });
    }
}
