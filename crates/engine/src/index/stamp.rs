//! What tells without reading it that a file has not changed: as git's index does, by what the
//! file system says of it.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

const SECOND: i64 = 1_000_000_000;

/// A file or directory as it was when it was looked at. Times are nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    mode: u32,
    modified: i64,
    changed: i64,
}

impl Stamp {
    /// Of what is at a path, links followed.
    pub(crate) fn followed(path: &Path) -> io::Result<Self> {
        std::fs::metadata(path).map(|metadata| Self::of(&metadata))
    }

    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            mode: metadata.mode(),
            modified: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            changed: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    pub(crate) fn of_stat(stat: &rustix::fs::Stat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            mode: stat.st_mode,
            modified: nanoseconds(stat.st_mtime, as_signed(stat.st_mtime_nsec)),
            changed: nanoseconds(stat.st_ctime, as_signed(stat.st_ctime_nsec)),
        }
    }

    /// In bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// A stamp that nothing has: whoever has it is looked at every time.
    pub(crate) fn never() -> Self {
        Self {
            device: u64::MAX,
            inode: u64::MAX,
            size: u64::MAX,
            mode: u32::MAX,
            modified: i64::MAX,
            changed: i64::MAX,
        }
    }

    /// Whether the two can be of files with the same content and permissions.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        *other == Self::never() || (self.size == other.size && self.mode == other.mode)
    }

    /// Whether a change after this look would show. A file that was changed within the same tick
    /// of the clock can be changed again without another time: such a one is racily clean.
    ///
    /// `looked` is when the stamp was taken, by [`file_clock`].
    pub(crate) fn is_settled(&self, looked: i64) -> bool {
        // Some file systems keep whole seconds, FAT every second one.
        let coarse = self.changed % SECOND == 0 && self.modified % SECOND == 0;
        let tick = if coarse { 2 * SECOND } else { 0 };
        // A file of the future, after the clock was set back, may be met by it again.
        self.changed.saturating_add(tick) < looked
    }

    /// Itself if it [`is_settled`](Self::is_settled), and otherwise one that nothing has.
    pub(crate) fn if_settled(self, looked: i64) -> Self {
        if self.is_settled(looked) {
            self
        } else {
            Self::never()
        }
    }
}

fn nanoseconds(seconds: i64, nanoseconds: i64) -> i64 {
    seconds.saturating_mul(SECOND).saturating_add(nanoseconds)
}

/// A part of a second, which some systems give as an unsigned number.
fn as_signed<N: TryInto<i64>>(nanoseconds: N) -> i64 {
    nanoseconds.try_into().unwrap_or_default()
}

/// The clock that files are dated by, which moves on in ticks of a few milliseconds, in
/// nanoseconds since 1970.
pub(crate) fn file_clock() -> i64 {
    #[cfg(target_os = "linux")]
    let clock = ClockId::CLOCK_REALTIME_COARSE;
    #[cfg(not(target_os = "linux"))]
    let clock = ClockId::CLOCK_REALTIME;
    read(clock)
}

/// A clock that can't be read stands still at the beginning: then no file is old enough to be
/// trusted by its time.
fn read(clock: ClockId) -> i64 {
    clock_gettime(clock).map_or(0, |now| nanoseconds(now.tv_sec(), now.tv_nsec()))
}

/// Waits until whatever was written before has a time that nothing written later will have: until
/// [`file_clock`] has passed the present.
pub(crate) fn wait_for_the_next_tick() {
    /// The slowest ticks are of 10 ms, and one may come late.
    const MOST: u32 = 60;
    const INTERVAL: std::time::Duration = std::time::Duration::from_micros(500);
    // Some systems date files more finely than by ticks.
    let now = read(ClockId::CLOCK_REALTIME);
    for _ in 0..MOST {
        if file_clock() > now {
            return;
        }
        std::thread::sleep(INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_in_the_same_tick_is_not_settled() {
        let at = |changed| Stamp {
            device: 0,
            inode: 0,
            size: 0,
            mode: 0,
            modified: changed,
            changed,
        };
        for (changed, looked, settled) in [
            (5, 5, false),
            (5, 6, true),
            (7, 6, false),
            (SECOND, SECOND + 1, false),
            (SECOND, 3 * SECOND, false),
            (SECOND, 3 * SECOND + 1, true),
        ] {
            assert_eq!(
                at(changed).is_settled(looked),
                settled,
                "{changed} {looked}"
            );
        }
    }

    #[test]
    fn a_file_written_before_the_next_tick_is_settled_after_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        wait_for_the_next_tick();
        let stamp = Stamp::followed(file.path()).unwrap();
        assert!(stamp.is_settled(file_clock()));
    }
}
