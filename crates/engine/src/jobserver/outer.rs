//! The jobserver of the make that synth is run by, found as every client finds it: by `MAKEFLAGS`.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

use rustix::fs::OFlags;

/// A jobserver that somebody else has made.
#[derive(Debug)]
pub(crate) struct Outer {
    pub(super) read: OwnedFd,
    pub(super) write: OwnedFd,
    /// How many jobs there are, if that is told.
    pub(crate) jobs: Option<NonZeroUsize>,
}

/// Where a jobserver is said to be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Descriptors(u32, u32),
    Path(String),
}

impl Outer {
    /// The one that a value of `MAKEFLAGS` tells of, if it is there: make tells of it too where it does
    /// not hand it on.
    pub(crate) fn find(flags: &OsStr) -> Option<Self> {
        let (place, jobs) = read(flags.to_str()?);
        let (read, write) = match place? {
            Place::Path(path) => (open(&path, false).ok()?, open(&path, true).ok()?),
            Place::Descriptors(read, write) => {
                let [read, write] = [read, write].map(inherited);
                (open(&read?, false).ok()?, open(&write?, true).ok()?)
            }
        };
        Some(Self {
            read: read.into(),
            write: write.into(),
            jobs,
        })
    }
}

/// What is told: the last of each counts.
fn read(flags: &str) -> (Option<Place>, Option<NonZeroUsize>) {
    let (mut place, mut jobs) = (None, None);
    let words = flags.split_ascii_whitespace();
    // Variables follow.
    for word in words.take_while(|word| *word != "--") {
        let told = word
            .strip_prefix("--jobserver-auth=")
            .or_else(|| word.strip_prefix("--jobserver-fds="));
        if let Some(told) = told {
            place = parse(told);
        } else if let Some(count) = word.strip_prefix("-j").and_then(|count| count.parse().ok()) {
            jobs = NonZeroUsize::new(count);
        }
    }
    (place, jobs)
}

fn parse(told: &str) -> Option<Place> {
    if let Some(path) = told.strip_prefix("fifo:") {
        return Some(Place::Path(path.to_owned()));
    }
    let (read, write) = told.split_once(',')?;
    // Negative numbers say that it is not handed on.
    Some(Place::Descriptors(read.parse().ok()?, write.parse().ok()?))
}

/// The path of a descriptor that was inherited. A number that was not may be anything of synth's own by
/// now, but none of those would be left by the next program (O_CLOEXEC).
fn inherited(number: u32) -> Option<String> {
    const CLOSE_ON_EXEC: u32 = 0o2_000_000;
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).ok()?;
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
    let flags = u32::from_str_radix(flags.trim(), 8).ok()?;
    (flags & CLOSE_ON_EXEC == 0).then(|| format!("/proc/self/fd/{number}"))
}

/// Opens a pipe with a path, and nothing else.
fn open(path: &str, write: bool) -> io::Result<File> {
    if !fs::metadata(path)?.file_type().is_fifo() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // Without waiting for somebody at the other end.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    let mut options = OpenOptions::new();
    options.read(!write).write(write).custom_flags(flags);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn what_make_says_is_understood() {
        let descriptors = |read, write| Some(Place::Descriptors(read, write));
        for (flags, expected) in [
            ("", (None, None)),
            ("k", (None, None)),
            ("-j", (None, None)),
            ("-j0", (None, None)),
            (" -j8 --jobserver-auth=3,4", (descriptors(3, 4), Some(8))),
            (
                "ks -j2 --jobserver-fds=5,6 -- A=b -j9",
                (descriptors(5, 6), Some(2)),
            ),
            (
                "-j --jobserver-fds=3,4 --jobserver-auth=3,4",
                (descriptors(3, 4), None),
            ),
            (
                " -j4 --jobserver-auth=fifo:/tmp/GMfifo12",
                (Some(Place::Path("/tmp/GMfifo12".into())), Some(4)),
            ),
            ("--jobserver-auth=-1,-1", (None, None)),
            ("--jobserver-auth=3", (None, None)),
            ("--jobserver-auth=a,b -j2", (None, Some(2))),
        ] {
            let (place, jobs) = read(flags);
            assert_eq!((place, jobs.map(NonZeroUsize::get)), expected, "{flags}");
        }
    }

    #[test]
    fn what_is_not_there_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let (mine, other) = io::pipe().unwrap();
        for flags in [
            "--jobserver-auth=1000001,1000002".to_owned(),
            // Synth's own descriptors, though they are pipes.
            format!(
                "--jobserver-auth={},{}",
                mine.as_raw_fd(),
                other.as_raw_fd()
            ),
            format!("--jobserver-auth=fifo:{}", file.display()),
            "--jobserver-auth=fifo:/nowhere".to_owned(),
        ] {
            assert!(Outer::find(flags.as_ref()).is_none(), "{flags}");
        }
    }

    #[test]
    fn inherited_descriptors_and_named_pipes_are_opened() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, kind, mode, 0).unwrap();
        let flags = format!("-j3 --jobserver-auth=fifo:{}", fifo.display());
        assert_eq!(
            Outer::find(flags.as_ref()).unwrap().jobs,
            NonZeroUsize::new(3)
        );
        let (read, write) = io::pipe().unwrap();
        for end in [
            OwnedFd::from(read.try_clone().unwrap()),
            write.try_clone().unwrap().into(),
        ] {
            rustix::io::fcntl_setfd(&end, rustix::io::FdFlags::empty()).unwrap();
            assert!(inherited(end.as_raw_fd().try_into().unwrap()).is_some());
        }
    }
}
