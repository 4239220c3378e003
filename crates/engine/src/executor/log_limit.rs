//! Keeps the log of running processes short. They write to it themselves, so that an action costs
//! no pipe and no thread; it is looked at now and then, and of one that has become too long the
//! middle is given back to the file system. The processes neither fail nor wait.

use std::fs::{File, OpenOptions};
use std::future::Future;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use super::line_log::MOST_BYTES;

/// How much of a log that is too long is kept of its beginning, and as much of its end.
const PART: u64 = MOST_BYTES / 2;

/// What stands where something is missing.
const NOTICE: &str =
    "\n[the log was cut here: of more than 64 MiB the beginning and the end are kept]\n";

/// How often a log is looked at. What is written meanwhile is what it is longer than it should be.
const INTERVAL: Duration = Duration::from_millis(50);

/// Waits for what writes to a log. A log that has become too long keeps its beginning and its end;
/// how many bytes it has been shortened by.
pub(crate) async fn kept_short<T>(log: &Path, writing: impl Future<Output = T>) -> (T, u64) {
    let mut writing = pin!(writing);
    let mut released = PART;
    loop {
        // Most actions are over before it is looked at once.
        let output = tokio::select! {
            output = &mut writing => Some(output),
            () = tokio::time::sleep(INTERVAL) => None,
        };
        let too_long = length(log).is_some_and(|length| length > MOST_BYTES);
        if let Some(output) = output {
            let cut = if too_long { shorten(log) } else { 0 };
            return (output, cut);
        }
        if too_long {
            released = release(log, released);
        }
    }
}

/// The length that a log has; none when it is not there.
fn length(log: &Path) -> Option<u64> {
    std::fs::metadata(log).ok().map(|metadata| metadata.len())
}

fn release(log: &Path, from: u64) -> u64 {
    // What can't be given back now is tried the next time.
    release_middle(log, from).unwrap_or(from)
}

fn shorten(log: &Path) -> u64 {
    // A log that can't be shortened is no reason to fail what it tells of.
    remove_middle(log).unwrap_or(0)
}

/// Gives back the blocks of a log between its beginning and its end, those before `from` excepted:
/// they have been. The length stays, so that whoever writes goes on behind it.
fn release_middle(log: &Path, from: u64) -> io::Result<u64> {
    let file = OpenOptions::new().write(true).open(log)?;
    let to = file.metadata()?.len().saturating_sub(PART);
    if to <= from {
        return Ok(from);
    }
    match punch(&file, from, to - from) {
        Ok(()) => Ok(to),
        // Where files can't have holes only the beginning is kept, and what comes from now on.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => cut(&file),
        Err(error) => Err(error),
    }
}

/// Ends a log after its beginning.
fn cut(file: &File) -> io::Result<u64> {
    file.set_len(PART)?;
    file.write_all_at(NOTICE.as_bytes(), PART)?;
    Ok(PART)
}

fn punch(file: &File, offset: u64, length: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{FallocateFlags, fallocate};
        use rustix::io::Errno;
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(file, flags, offset, length).map_err(|error| match error {
            Errno::OPNOTSUPP | Errno::NOSYS => io::ErrorKind::Unsupported.into(),
            error => error.into(),
        })
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (file, offset, length);
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Moves the end of a log up to its beginning, with a line between them that says so. In place:
/// others may have it open to write more.
fn remove_middle(log: &Path) -> io::Result<u64> {
    const CHUNK: usize = 256 * 1024;
    let file = OpenOptions::new().read(true).write(true).open(log)?;
    let length = file.metadata()?.len();
    let mut from = length.saturating_sub(PART);
    let mut to = PART + size(NOTICE.as_bytes());
    // What is written must not reach what is still to be read.
    if from <= to {
        return Ok(0);
    }
    file.write_all_at(NOTICE.as_bytes(), PART)?;
    let mut chunk = vec![0; CHUNK];
    while from < length {
        let count = file.read_at(&mut chunk, from)?;
        let read = chunk.get(..count).unwrap_or_default();
        if read.is_empty() {
            break;
        }
        file.write_all_at(read, to)?;
        from += size(read);
        to += size(read);
    }
    file.set_len(to)?;
    Ok(length.saturating_sub(to))
}

fn size(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::MetadataExt;
    use std::path::PathBuf;

    use super::*;

    /// A log with this many bytes, `a` at its beginning, `z` at its end and nothing between them.
    fn log(directory: &Path, length: u64) -> PathBuf {
        let path = directory.join("log");
        let file = File::create(&path).unwrap();
        file.set_len(length).unwrap();
        file.write_all_at(b"a", 0).unwrap();
        file.write_all_at(b"z", length - 1).unwrap();
        path
    }

    #[tokio::test]
    async fn a_log_keeps_its_beginning_and_its_end() {
        let directory = tempfile::tempdir().unwrap();
        for (length, is_cut) in [
            (1, false),
            (MOST_BYTES, false),
            (MOST_BYTES + 1, false),
            (MOST_BYTES + 1000, true),
            (5 * MOST_BYTES + 7, true),
        ] {
            let path = log(directory.path(), length);
            let ((), cut) = kept_short(&path, async {}).await;
            let bytes = std::fs::read(&path).unwrap();
            assert_eq!(cut > 0, is_cut, "{length}");
            assert_eq!(size(&bytes) + cut, length);
            assert_eq!(bytes.last(), Some(&b'z'));
            if is_cut {
                let text = String::from_utf8(bytes).unwrap();
                let lines: Vec<&str> = text.lines().collect();
                assert_eq!(lines.len(), 3);
                assert_eq!(size(lines[0].as_bytes()), PART);
                assert_eq!(size(lines[2].as_bytes()), PART);
                assert_eq!(format!("\n{}\n", lines[1]), NOTICE);
            }
        }
    }

    #[test]
    fn where_files_have_no_holes_a_log_goes_on_after_its_beginning() {
        let directory = tempfile::tempdir().unwrap();
        let path = log(directory.path(), 3 * MOST_BYTES);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        assert_eq!(cut(&file).unwrap(), PART);
        file.write_all(b"more").unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(size(&bytes), PART + size(NOTICE.as_bytes()) + 4);
        assert!(bytes.ends_with(b"are kept]\nmore"));
    }

    #[tokio::test]
    async fn the_middle_is_given_back_while_it_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .unwrap();
        let writer = {
            let mut file = file.try_clone().unwrap();
            move || {
                for _ in 0..8 {
                    for _ in 0..32 {
                        file.write_all(&vec![b'x'; 1024 * 1024]).unwrap();
                    }
                    // It goes on when its room has been taken away again.
                    // Of its blocks some only say where the others are.
                    while file.metadata().unwrap().blocks() * 512 > MOST_BYTES + 1024 * 1024 {
                        std::thread::yield_now();
                    }
                }
            }
        };
        let (written, cut) = kept_short(&path, tokio::task::spawn_blocking(writer)).await;
        written.unwrap();
        let length = file.metadata().unwrap().len();
        assert_eq!(length + cut, 256 * 1024 * 1024);
        assert!(length < MOST_BYTES + 1024);
        file.write_all(b"more").unwrap();
        assert!(std::fs::read(&path).unwrap().ends_with(b"xmore"));
    }
}
