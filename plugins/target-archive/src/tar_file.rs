//! Tar archives in the pax interchange format (POSIX.1-2008, "pax"): plain ustar headers, with
//! extended records only for what these can't say.

use std::fs::File;
use std::io::{self, Read, Write};

use tar::{Builder, EntryType, Header};

use crate::entries::{Entry, EntryKind};
use crate::meter::Meter;

/// The largest size that the eleven octal digits of a ustar header can say.
const USTAR_SIZE: u64 = 0o777_7777_7777;

/// Writes the entries, and gives the writer back.
///
/// # Errors
/// When a file can't be read, the archive can't be written, or the work is to stop.
pub(crate) fn write<W: Write>(
    entries: &[Entry],
    time: u64,
    to: W,
    meter: &Meter<'_>,
) -> io::Result<W> {
    let mut builder = Builder::new(to);
    for entry in entries {
        meter.check()?;
        let (header, records) = header(entry, time);
        let records = records.iter().map(|(key, value)| (*key, value.as_bytes()));
        builder.append_pax_extensions(records)?;
        match &entry.kind {
            EntryKind::File { from, size, .. } => {
                let mut data = meter.read(File::open(from)?.take(*size));
                let mut counted = Counted {
                    from: &mut data,
                    count: 0,
                };
                builder.append(&header, &mut counted)?;
                if counted.count != *size {
                    return Err(io::Error::other(format!(
                        "`{}` became shorter while it was read",
                        entry.path
                    )));
                }
            }
            _ => builder.append(&header, io::empty())?,
        }
    }
    builder.into_inner()
}

/// The header of an entry, and the records to put before it.
fn header(entry: &Entry, time: u64) -> (Header, Vec<(&'static str, String)>) {
    let mut records = Vec::new();
    let mut header = Header::new_ustar();
    let mut path = entry.path.clone();
    header.set_entry_type(match &entry.kind {
        EntryKind::Directory => {
            path.push('/');
            EntryType::Directory
        }
        EntryKind::File { .. } => EntryType::Regular,
        EntryKind::Symlink { .. } => EntryType::Symlink,
    });
    header.set_mode(entry.mode());
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(time);
    header.set_size(entry.size());
    if entry.size() > USTAR_SIZE {
        records.push(("size", entry.size().to_string()));
    }
    if let Some(ustar) = header.as_ustar_mut() {
        if !fits(&path, &mut ustar.name) {
            records.push(("path", path));
        }
        if let EntryKind::Symlink { target } = &entry.kind
            && !fits(target, &mut ustar.linkname)
        {
            records.push(("linkpath", target.clone()));
        }
    }
    header.set_cksum();
    (header, records)
}

/// Writes a text into a field of a header, and tells whether the field says all of it. What it
/// can't say is left for readers that know no records as near as it gets.
fn fits(text: &str, field: &mut [u8]) -> bool {
    for (byte, c) in field.iter_mut().zip(text.chars()) {
        *byte = u8::try_from(c).ok().filter(u8::is_ascii).unwrap_or(b'_');
    }
    text.is_ascii() && text.len() <= field.len()
}

struct Counted<R> {
    from: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.count += u64::try_from(count).unwrap_or(u64::MAX);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_ustar_header_can_not_say_is_in_records() {
        let long = "d/".repeat(60) + "name";
        let huge = 9 << 30;
        for (path, size, target, keys) in [
            ("bin/app", 1, None, vec![]),
            (&long, 1, None, vec!["path"]),
            ("größe", 1, None, vec!["path"]),
            ("disk.img", huge, None, vec!["size"]),
            ("link", 0, Some(&long), vec!["linkpath"]),
        ] {
            let kind = match target {
                Some(target) => EntryKind::Symlink {
                    target: target.clone(),
                },
                None => EntryKind::File {
                    from: "unread".into(),
                    size,
                    executable: false,
                },
            };
            let entry = Entry {
                path: path.to_owned(),
                kind,
            };
            let (header, records) = header(&entry, 315_532_800);
            let found: Vec<&str> = records.iter().map(|(key, _)| *key).collect();
            assert_eq!(found, keys, "{path}");
            assert_eq!(header.size().unwrap(), entry.size(), "{path}");
        }
    }
}
