//! Zip archives (PKWARE's APPNOTE.TXT 6.3): names in UTF-8, Unix permissions, the 64-bit form
//! where it is needed and only there.

use std::fs::File;
use std::io::{self, Read, Seek, Write};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, System, ZipWriter};

use crate::entries::{Entry, EntryKind};
use crate::meter::Meter;

/// From this size on an entry is written in the 64-bit form (APPNOTE 4.5.3): what can't be
/// compressed grows a little, and neither size may reach 4 GiB.
const LARGE: u64 = 0xffff_0000 - 0x0100_0000;

/// Writes the entries, and gives the writer back.
///
/// # Errors
/// When a file can't be read, the archive can't be written, or the work is to stop.
pub(crate) fn write<W: Write + Seek>(
    entries: &[Entry],
    time: u64,
    level: u8,
    to: W,
    meter: &Meter<'_>,
) -> io::Result<W> {
    let common = SimpleFileOptions::default()
        .system(System::Unix)
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(dos_time(time)?);
    // Its compressor has no level that only stores; the format has a method for that.
    let of_files = match level {
        0 => common,
        level => common
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(i64::from(level))),
    };
    let mut writer = ZipWriter::new(to);
    for entry in entries {
        meter.check()?;
        let mode = entry.mode();
        let path = entry.path.as_str();
        match &entry.kind {
            EntryKind::Directory => writer.add_directory(path, common.unix_permissions(mode))?,
            EntryKind::Symlink { target } => {
                writer.add_symlink(path, target, common.unix_permissions(mode))?;
            }
            EntryKind::File { from, size, .. } => {
                let large = *size >= LARGE;
                writer.start_file(path, of_files.unix_permissions(mode).large_file(large))?;
                let mut data = meter.read(File::open(from)?.take(*size));
                io::copy(&mut data, &mut writer)?;
            }
        }
    }
    Ok(writer.finish()?)
}

/// The time as zip says it: without a zone, which is UTC here, and in steps of two seconds.
fn dos_time(time: u64) -> io::Result<DateTime> {
    let wrong = |error: &dyn std::error::Error| io::Error::other(error.to_string());
    let seconds = i64::try_from(time).map_err(|error| wrong(&error))?;
    let timestamp = Timestamp::from_second(seconds).map_err(|error| wrong(&error))?;
    let civil = TimeZone::UTC.to_datetime(timestamp);
    let small = |number: i8| u8::try_from(number).map_err(|error| wrong(&error));
    DateTime::from_date_and_time(
        u16::try_from(civil.year()).map_err(|error| wrong(&error))?,
        small(civil.month())?,
        small(civil.day())?,
        small(civil.hour())?,
        small(civil.minute())?,
        small(civil.second())?,
    )
    .map_err(|error| wrong(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_utc() {
        for (seconds, expected) in [
            (315_532_800, (1980, 1, 1, 0, 0, 0)),
            (1_700_000_000, (2023, 11, 14, 22, 13, 20)),
            (4_354_819_199, (2107, 12, 31, 23, 59, 58)),
        ] {
            let time = dos_time(seconds).unwrap();
            let told = (
                time.year(),
                time.month(),
                time.day(),
                time.hour(),
                time.minute(),
                time.second(),
            );
            assert_eq!(told, expected);
        }
        assert!(dos_time(315_532_799).is_err(), "before zip's first day");
    }
}
