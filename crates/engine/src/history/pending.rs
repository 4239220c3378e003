//! Builds that had nothing to do, a line each in `.synth/history.pending`: to append one costs next
//! to nothing, and the next that opens the database moves them in.
//!
//! Whoever appends shares the file's lock, and whoever moves lines has it alone until they are in
//! the database and the file is empty. One that dies between the two leaves lines that are in the
//! database already: their ids tell.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::entry::BuildEntry;

/// A file longer than this is moved by whoever appends to it.
const MOST_BYTES: u64 = 256 * 1024;

/// Nothing is appended to one that is longer than this: nobody could move it.
const FULL_BYTES: u64 = 4 * MOST_BYTES;

/// The file beside a database.
pub(super) fn path(database: &Path) -> PathBuf {
    database.with_extension("pending")
}

/// Appends a build. Tells whether it is time to move all of them.
pub(super) fn append(database: &Path, entry: &BuildEntry) -> io::Result<bool> {
    // The break comes first, so that whatever was cut off before stays on a line of its own.
    let mut line = vec![b'\n'];
    serde_json::to_writer(&mut line, entry)?;
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path(database))?;
    file.lock_shared()?;
    let length = file.metadata()?.len();
    if length > FULL_BYTES {
        return Err(io::Error::other(
            "too many builds are waiting to be moved in",
        ));
    }
    file.write_all(&line)?;
    Ok(length > MOST_BYTES)
}

/// Lines that nobody appends to meanwhile.
#[derive(Debug)]
pub(super) struct Taken {
    file: File,
    pub(super) entries: Vec<BuildEntry>,
}

impl Taken {
    /// Takes all lines; none when there are none.
    pub(super) fn of(database: &Path) -> io::Result<Option<Self>> {
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path(database));
        let mut file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        file.lock()?;
        let entries = read(&mut file)?;
        Ok(Some(Self { file, entries }))
    }

    /// They are in the database: leaves the file empty.
    pub(super) fn clear(self) -> io::Result<()> {
        self.file.set_len(0)
    }
}

/// A line that was cut off, or that is none, is left out.
fn read(file: &mut File) -> io::Result<Vec<BuildEntry>> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let lines = bytes.split(|byte| *byte == b'\n');
    Ok(lines
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect())
}
