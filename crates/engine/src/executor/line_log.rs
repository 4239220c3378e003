//! The lines that a native action writes to its log: as many as fit, so that no action fills the
//! disk by talking.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

/// How long a log may be: 64 MiB.
pub(super) const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// A log with an end.
pub(super) struct LineLog {
    /// None when there is no log, or it is full.
    file: Option<File>,
    left: u64,
}

impl LineLog {
    /// Goes on with the log at `path`. One that can't be written is no reason to fail what it tells
    /// of.
    pub(super) fn open(path: &Path) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(path);
        Self {
            file: file.ok(),
            left: MOST_BYTES,
        }
    }

    /// Writes a line, or as much of it as fits and then that the rest is missing.
    pub(super) fn line(&mut self, line: &str) {
        let Some(file) = &mut self.file else {
            return;
        };
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        if length < self.left {
            self.left -= length + 1;
            let _ = writeln!(file, "{line}");
            return;
        }
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let fitting = &line[..line.floor_char_boundary(left)];
        let mebibytes = MOST_BYTES / 1024 / 1024;
        let _ = writeln!(
            file,
            "{fitting}\n[the log was cut here: an action may log {mebibytes} MiB]"
        );
        self.file = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_cut_and_told_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut log = LineLog::open(&path);
        log.line("first");
        log.left = 8;
        log.line("second");
        // The boundary is inside the second character.
        log.left = 2;
        log.line("aä and more");
        log.line("never seen");
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "first\nsecond\na\n[the log was cut here: an action may log 64 MiB]\n"
        );
    }
}
