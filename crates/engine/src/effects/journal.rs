//! The journal of a publish, in `.synth/journal`: records are appended and synchronized with the
//! disk before what they tell of begins. A record that was cut off by a crash is dropped; anything
//! else that is wrong is refused.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use synth_core::{Concern, Diagnostic};

use super::record::{Opened, Record, Story, StoryError};
use crate::store;

/// The payload's length, the check of that, and the check of the payload.
const HEADER_BYTES: usize = 4 + 4 + 8;

/// The mode of a journal.
const OURS: u32 = 0o600;

/// What is kept free for the records of one effect: its receipt, and the messages of failures.
const BYTES_PER_EFFECT: u64 = 64 * 1024;

/// A journal that is written.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
    end: u64,
    story: Story,
}

/// A journal as it was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) story: Story,
    /// Where the last whole record ends.
    end: u64,
    /// How many bytes of a record that was cut off follow.
    pub(crate) torn_bytes: u64,
}

/// Why a journal can't be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    #[error("it can't be read")]
    Io(#[from] io::Error),
    #[error("it is damaged at byte {0}")]
    Damaged(u64),
    #[error("it holds no whole record")]
    Empty,
    #[error("its records contradict each other")]
    Story(#[from] StoryError),
}

/// The journals of a workspace.
pub(crate) fn directory(root: &Path) -> PathBuf {
    root.join(".synth/journal")
}

/// Names of all journals, the oldest first.
pub(crate) fn names(root: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory(root)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name().into_string();
        // What synth did not name is none of its journals.
        names.extend(name.ok().filter(|name| is_name(name)));
    }
    names.sort();
    Ok(names)
}

/// Whether it can be a build's name: one component, and no file that is being written.
pub(crate) fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(allowed)
}

impl Journal {
    /// Begins one: when it comes back, what is going to be done is on the disk, and so is the room
    /// for how it ends.
    pub(crate) fn begin(root: &Path, opened: Opened) -> Result<Self, Diagnostic> {
        let directory = directory(root);
        let path = directory.join(&opened.build);
        let created = || {
            fs::create_dir_all(&directory)?;
            synchronize_directory(&root.join(".synth"))?;
            // A receipt may hold what is nobody else's business.
            OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .mode(OURS)
                .open(&path)
        };
        let mut file =
            created().map_err(|error| not_written(&path, &error).cause("nothing was published"))?;
        let written = || {
            let story = Story::new(opened.clone()).map_err(io::Error::other)?;
            let bytes = encoded(&Record::Opened(Box::new(opened.clone())))?;
            let length = u64::try_from(bytes.len()).map_err(io::Error::other)?;
            reserve_for(&file, length, &story)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            synchronize_directory(&directory)?;
            Ok(Self {
                file,
                path: path.clone(),
                end: length,
                story,
            })
        };
        written().map_err(|error: io::Error| {
            // One that was not begun keeps nobody from anything.
            let _ = fs::remove_file(&path);
            not_written(&path, &error).cause("nothing was published")
        })
    }

    /// Goes on with one, without what was cut off.
    pub(crate) fn resume(root: &Path, build: &str) -> Result<(Self, u64), Diagnostic> {
        let path = directory(root).join(build);
        let found = read(&path).map_err(|error| unreadable(&path, &error))?;
        let opened = || {
            let mut file = OpenOptions::new().read(true).write(true).open(&path)?;
            if found.torn_bytes > 0 {
                file.set_len(found.end)?;
                file.sync_all()?;
            }
            // On a full disk what is there may still be undone.
            let _ = reserve_for(&file, found.end, &found.story);
            file.seek(SeekFrom::Start(found.end))?;
            Ok(file)
        };
        let file = opened().map_err(|error: io::Error| not_written(&path, &error))?;
        let journal = Self {
            file,
            path,
            end: found.end,
            story: found.story,
        };
        Ok((journal, found.torn_bytes))
    }

    pub(crate) fn story(&self) -> &Story {
        &self.story
    }

    fn append(&mut self, record: &Record) -> io::Result<u64> {
        let bytes = encoded(record)?;
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(&bytes)?;
        self.file.sync_data()?;
        Ok(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
    }

    /// Writes a record; when it comes back, it is on the disk.
    pub(crate) fn write(&mut self, record: Record) -> Result<(), Diagnostic> {
        let appended = self.append(&record);
        match appended {
            Ok(length) => self.end = self.end.saturating_add(length),
            Err(error) => {
                // Half a record is no record.
                let _ = self.file.set_len(self.end);
                return Err(not_written(&self.path, &error));
            }
        }
        self.story.tell(record).ok_or_else(|| {
            Diagnostic::error("internal", "synth wrote a record that can't follow")
                .concerning(Concern::Internal)
        })
    }
}

/// Keeps room for what is still to be written after so many bytes.
fn reserve_for(file: &File, length: u64, story: &Story) -> io::Result<()> {
    let effects = u64::try_from(story.opened.effects.len()).map_err(io::Error::other)?;
    let room = effects.saturating_add(1).saturating_mul(BYTES_PER_EFFECT);
    reserve(file, length.saturating_add(room))
}

/// Reads a journal.
pub(crate) fn read(path: &Path) -> Result<Found, JournalError> {
    let mut bytes = Vec::new();
    File::open(path)?.read_to_end(&mut bytes)?;
    let (records, end) = decoded(&bytes)?;
    if records.is_empty() {
        return Err(JournalError::Empty);
    }
    let total = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    Ok(Found {
        story: Story::read(records)?,
        end,
        torn_bytes: total.saturating_sub(end),
    })
}

/// Whether the last record of one that is damaged says that nothing is left to do.
pub(super) fn is_closed_at_its_end(path: &Path) -> bool {
    let (Ok(bytes), Ok(closed)) = (fs::read(path), encoded(&Record::Closed)) else {
        return false;
    };
    // Room that was reserved reads as zeros; a record ends with a brace.
    let end = bytes.iter().rposition(|byte| *byte != 0);
    let written = end.and_then(|end| bytes.get(..=end));
    written.is_some_and(|written| written.ends_with(&closed))
}

fn check_of(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn encoded(record: &Record) -> io::Result<Vec<u8>> {
    let payload = serde_json::to_vec(record)?;
    let length = u32::try_from(payload.len())
        .map_err(|_| io::Error::other("a record of more than 4 GiB"))?
        .to_le_bytes();
    let mut bytes = Vec::with_capacity(HEADER_BYTES + payload.len());
    bytes.extend(length);
    bytes.extend(check_of(&length).iter().take(4));
    bytes.extend(check_of(&payload).iter().take(8));
    bytes.extend(payload);
    Ok(bytes)
}

/// The whole records, and where the last of them ends.
fn decoded(bytes: &[u8]) -> Result<(Vec<Record>, u64), JournalError> {
    let mut records = Vec::new();
    let mut rest = bytes;
    loop {
        let end = u64::try_from(bytes.len() - rest.len()).unwrap_or(u64::MAX);
        match next(rest) {
            Next::Record(record, after) => {
                records.push(record);
                rest = after;
            }
            Next::End => return Ok((records, end)),
            Next::Damaged => return Err(JournalError::Damaged(end)),
        }
    }
}

enum Next<'a> {
    Record(Record, &'a [u8]),
    /// Nothing more, or what a crash has cut off.
    End,
    Damaged,
}

fn next(rest: &[u8]) -> Next<'_> {
    // Room that was reserved, or a block that a crash kept from being written, reads as zeros.
    if rest.iter().all(|byte| *byte == 0) {
        return Next::End;
    }
    let Some((length, after)) = rest.split_first_chunk::<4>() else {
        return Next::End;
    };
    let Some((length_check, after)) = after.split_first_chunk::<4>() else {
        return Next::End;
    };
    if !check_of(length).starts_with(length_check) {
        return Next::Damaged;
    }
    let Some((payload_check, after)) = after.split_first_chunk::<8>() else {
        return Next::End;
    };
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let Some((payload, after)) = after.split_at_checked(length) else {
        return Next::End;
    };
    if !check_of(payload).starts_with(payload_check) {
        // The last one may have been written in part; no other can have been.
        return match after.iter().all(|byte| *byte == 0) {
            true => Next::End,
            false => Next::Damaged,
        };
    }
    match serde_json::from_slice(payload) {
        Ok(record) => Next::Record(record, after),
        Err(_) => Next::Damaged,
    }
}

/// Keeps room on the disk, where the file system can.
fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    use rustix::io::Errno;
    match fallocate(file, FallocateFlags::KEEP_SIZE, 0, bytes) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A file's name is on the disk when its directory is.
pub(crate) fn synchronize_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn not_written(path: &Path, error: &io::Error) -> Diagnostic {
    let help = store::advice(error).unwrap_or("check that the directory can be written");
    Diagnostic::error(
        "effect.journal.write",
        format!("the journal `{}` can't be written", path.display()),
    )
    .concerning(Concern::State)
    .caused_by(error)
    .help(help)
}

pub(crate) fn unreadable(path: &Path, error: &JournalError) -> Diagnostic {
    let help = "it tells what a publish did and what is to be undone: look at it (a record is 16 \
                bytes and JSON), bring what it names in order by hand, then move it away";
    Diagnostic::error(
        "effect.journal.read",
        format!("the journal `{}` can't be used", path.display()),
    )
    .concerning(Concern::State)
    .caused_by(error)
    .help(help)
}
