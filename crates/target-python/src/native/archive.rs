//! The tar archive of a source distribution: read whole, and written so that the same contents
//! give the same bytes.

use std::io::{self, Read, Write};

use flate2::bufread::GzDecoder;
use flate2::{Compression, GzBuilder};
use tar::{EntryType, Header};

/// One file, directory or link of an archive.
pub(super) struct Entry {
    /// Its path, `/` between components.
    pub(super) path: String,
    pub(super) kind: EntryType,
    executable: bool,
    /// Where a link leads.
    pub(super) link: Option<String>,
    pub(super) contents: Vec<u8>,
    /// Whether its header says what it would say wherever and whenever it was written.
    reproducible: bool,
}

/// An archive that has been read.
pub(super) struct Archive {
    pub(super) entries: Vec<Entry>,
    /// Whether another build of the same sources would give the same bytes.
    pub(super) reproducible: bool,
}

/// Reads an archive. `epoch` is the time that a reproducible one gives its entries.
pub(super) fn read(bytes: &[u8], file_name: &str, epoch: u64) -> io::Result<Archive> {
    let decoder = GzDecoder::new(bytes);
    let steady = decoder.header().is_some_and(|header| {
        let time = u64::from(header.mtime());
        let stem = file_name.strip_suffix(".gz").unwrap_or(file_name);
        let names = [file_name.as_bytes(), stem.as_bytes()];
        (time == 0 || time == epoch) && header.filename().is_none_or(|name| names.contains(&name))
    });
    let mut archive = tar::Archive::new(decoder);
    let mut entries = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        // A comment on the whole archive, such as the commit it was made from.
        if kind == EntryType::XGlobalHeader {
            continue;
        }
        let text = |bytes: &[u8]| {
            String::from_utf8(bytes.to_vec())
                .map_err(|_| io::Error::other("a path in the archive is not UTF-8"))
        };
        let path = text(&entry.path_bytes())?;
        let link = entry
            .link_name_bytes()
            .map(|link| text(&link))
            .transpose()?;
        let header = entry.header();
        let owned_by_root = header.uid()? == 0 && header.gid()? == 0;
        let executable = header.mode()? & 0o100 != 0;
        let reproducible = header.mtime()? == epoch && owned_by_root;
        let mut contents = Vec::new();
        entry.read_to_end(&mut contents)?;
        entries.push(Entry {
            path,
            kind,
            executable,
            link,
            contents,
            reproducible,
        });
    }
    Ok(Archive {
        reproducible: steady && entries.iter().all(|entry| entry.reproducible),
        entries,
    })
}

/// Writes an archive: entries in the order of their paths, one time, one owner, two modes.
pub(super) fn write(entries: &[Entry], epoch: u64) -> io::Result<Vec<u8>> {
    // The field in gzip's header has 32 bits (RFC 1952); 0 says that no time is known.
    let time = u32::try_from(epoch).unwrap_or(0);
    let encoder = GzBuilder::new()
        .mtime(time)
        .write(Vec::new(), Compression::best());
    let mut builder = tar::Builder::new(encoder);
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    sorted.sort_by(|a, b| a.path.cmp(&b.path));
    for entry in sorted {
        append(&mut builder, entry, epoch)?;
    }
    builder.into_inner()?.finish()
}

/// Writes one entry in the pax format (POSIX.1-2001), as the standard for sdists asks for.
fn append<W: Write>(builder: &mut tar::Builder<W>, entry: &Entry, epoch: u64) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_entry_type(entry.kind);
    header.set_mode(if entry.kind.is_dir() || entry.executable {
        0o755
    } else {
        0o644
    });
    header.set_mtime(epoch);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(u64::try_from(entry.contents.len()).map_err(io::Error::other)?);
    let mut extensions: Vec<(&str, &[u8])> = Vec::new();
    if !entry.path.is_ascii() || header.set_path(&entry.path).is_err() {
        extensions.push(("path", entry.path.as_bytes()));
        header.set_path(placeholder(&entry.path))?;
    }
    if let Some(link) = &entry.link
        && (!link.is_ascii() || header.set_link_name(link).is_err())
    {
        extensions.push(("linkpath", link.as_bytes()));
        header.set_link_name(placeholder(link))?;
    }
    if !extensions.is_empty() {
        builder.append_pax_extensions(extensions)?;
    }
    header.set_cksum();
    builder.append(&header, entry.contents.as_slice())
}

/// A short ASCII path for readers that do not know extended headers.
fn placeholder(path: &str) -> String {
    let ascii = path.chars().map(|c| if c.is_ascii() { c } else { '_' });
    let ascii: String = ascii.collect();
    let start = ascii.len().saturating_sub(90);
    ascii[start..].trim_start_matches('/').to_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An archive with files: path, contents.
    pub(in crate::native) fn archive(files: &[(&str, &str)], time: u64) -> Vec<u8> {
        let entries: Vec<Entry> = files
            .iter()
            .map(|(path, contents)| Entry {
                path: (*path).to_owned(),
                kind: EntryType::Regular,
                executable: false,
                link: None,
                contents: contents.as_bytes().to_vec(),
                reproducible: true,
            })
            .collect();
        write(&entries, time).unwrap()
    }

    #[test]
    fn what_is_written_can_be_read_again() {
        let long = format!("a-1/{}/ä.py", "long".repeat(60));
        let bytes = archive(&[(&long, "x = 1"), ("a-1/PKG-INFO", "Name: a")], 7);
        let read = read(&bytes, "a-1.tar.gz", 7).unwrap();
        assert!(read.reproducible);
        let found: Vec<&str> = read
            .entries
            .iter()
            .map(|entry| entry.path.as_str())
            .collect();
        assert_eq!(found, ["a-1/PKG-INFO", long.as_str()]);
        assert_eq!(read.entries[1].contents, b"x = 1");
    }

    #[test]
    fn another_time_is_seen() {
        let bytes = archive(&[("a-1/PKG-INFO", "")], 8);
        assert!(!read(&bytes, "a-1.tar.gz", 7).unwrap().reproducible);
        let again = write(&read(&bytes, "a-1.tar.gz", 7).unwrap().entries, 7).unwrap();
        assert_eq!(again, archive(&[("a-1/PKG-INFO", "")], 7));
    }
}
