//! Layers: reading those of a base image into a tree, and writing what a step changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use super::tree::{Content, Node, NodeKind, Tree};
use crate::oci::{BlobWriter, FinishedLayer, decompressed, pax};
use crate::paths;

/// Marks a removed path in a layer (OCI Image Layer Filesystem Changeset, "Whiteouts").
pub(crate) const WHITEOUT: &str = ".wh.";
const OPAQUE: &str = ".wh..wh..opq";
/// The prefix of extended attributes among PAX records.
const XATTR: &str = "SCHILY.xattr.";

/// Writes the nodes at `changed`, and the directories above them, as a layer.
pub(crate) fn write(
    blobs: &BlobWriter,
    tree: &Tree,
    changed: &BTreeSet<String>,
) -> io::Result<FinishedLayer> {
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for name in changed {
        let mut name = name.as_str();
        while !name.is_empty() && names.insert(name) {
            name = paths::split(name).0;
        }
    }
    let mut archive = tar::Builder::new(blobs.layer()?);
    for name in names {
        if let Some(node) = tree.get(name) {
            append(&mut archive, name, node)?;
        }
    }
    archive.into_inner()?.finish()
}

fn append(archive: &mut tar::Builder<impl Write>, name: &str, node: &Node) -> io::Result<()> {
    if !node.attributes.is_empty() {
        let records = node.attributes.iter();
        archive
            .append_pax_extensions(records.map(|(key, value)| (key.as_str(), value.as_slice())))?;
    }
    let mut header = tar::Header::new_gnu();
    header.set_mode(node.mode);
    header.set_uid(node.uid);
    header.set_gid(node.gid);
    header.set_mtime(node.mtime);
    header.set_size(0);
    match &node.kind {
        NodeKind::Directory => {
            header.set_entry_type(tar::EntryType::Directory);
            archive.append_data(&mut header, format!("{name}/"), io::empty())
        }
        NodeKind::File(content) => {
            header.set_entry_type(tar::EntryType::Regular);
            header.set_size(content.size());
            archive.append_data(&mut header, name, content.open()?)
        }
        NodeKind::Symlink(target) => {
            header.set_entry_type(tar::EntryType::Symlink);
            append_link(archive, &mut header, name, target)
        }
        NodeKind::Special {
            entry_type,
            major,
            minor,
        } => {
            header.set_entry_type(*entry_type);
            header.set_device_major(*major)?;
            header.set_device_minor(*minor)?;
            archive.append_data(&mut header, name, io::empty())
        }
    }
}

/// As the link says: `append_link` alone would normalize `./x` and `a//b`.
fn append_link(
    archive: &mut tar::Builder<impl Write>,
    header: &mut tar::Header,
    name: &str,
    target: &str,
) -> io::Result<()> {
    if header.set_link_name_literal(target).is_ok() {
        archive.append_data(header, name, io::empty())
    } else {
        archive.append_link(header, name, target)
    }
}

/// Applies a layer to a tree. The uncompressed archive is left at `scratch`, where the tree finds
/// the contents.
pub(crate) fn apply(tree: &mut Tree, blob: &Path, scratch: &Path) -> io::Result<()> {
    io::copy(&mut decompressed(blob)?, &mut File::create(scratch)?)?;
    let entries = read_archive(scratch)?;
    // Whiteouts are about what is below this layer, whatever their place in it.
    for (name, _) in &entries {
        let (directory, last) = paths::split(name);
        if last == OPAQUE {
            tree.remove_below(directory);
        } else if let Some(hidden) = last.strip_prefix(WHITEOUT) {
            tree.remove(&paths::join(directory, hidden));
        }
    }
    for (name, entry) in entries {
        if paths::split(&name).1.starts_with(WHITEOUT) {
            continue;
        }
        let name = place(tree, &name)?;
        let node = match entry {
            ArchiveEntry::Node(node) => node,
            ArchiveEntry::HardLink(target) => match tree.get(&target) {
                Some(node) => node.clone(),
                None => {
                    return Err(invalid(format!(
                        "`{name}` is linked to `{target}`, which is missing"
                    )));
                }
            },
        };
        if !node.is_directory() || tree.get(&name).is_some_and(|old| !old.is_directory()) {
            tree.remove(&name);
        }
        tree.insert(&name, node);
    }
    Ok(())
}

/// Where an entry of a layer comes to be: links above it are followed, and directories above it
/// that no layer has an entry for are made.
fn place(tree: &mut Tree, name: &str) -> io::Result<String> {
    let (directory, last) = paths::split(name);
    let directory = tree
        .resolve(directory, true)
        .map_err(|error| invalid(format!("`{name}` has no place: {error}")))?;
    let mut missing = directory.as_str();
    while tree.get(missing).is_none() {
        tree.insert(missing, Node::directory(0, 0, 0));
        missing = paths::split(missing).0;
    }
    Ok(paths::join(&directory, last))
}

/// An entry of an archive.
#[derive(Clone, Debug)]
pub(crate) enum ArchiveEntry {
    Node(Node),
    /// The same file as another entry.
    HardLink(String),
}

/// The entries of an uncompressed archive in their order, contents left in it.
pub(crate) fn read_archive(path: &Path) -> io::Result<Vec<(String, ArchiveEntry)>> {
    let shared: std::sync::Arc<Path> = path.into();
    let mut attributes = read_attributes(path)?;
    let mut archive = tar::Archive::new(File::open(path)?);
    let mut entries = Vec::new();
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        let name = text(&entry.path_bytes())?;
        let name = paths::relative(&name)
            .map_err(|()| invalid(format!("`{name}` leads out of the archive")))?;
        let position = entry.raw_header_position();
        let attributes = attributes.remove(&position).unwrap_or_default();
        let header = entry.header();
        let link = match entry.link_name_bytes() {
            Some(bytes) => text(&bytes)?,
            None => String::new(),
        };
        let kind = match header.entry_type() {
            tar::EntryType::Directory => NodeKind::Directory,
            tar::EntryType::Symlink => NodeKind::Symlink(link),
            tar::EntryType::Link => {
                let target = paths::relative(&link)
                    .map_err(|()| invalid(format!("`{link}` leads out of the archive")))?;
                entries.push((name, ArchiveEntry::HardLink(target)));
                continue;
            }
            entry_type @ (tar::EntryType::Char | tar::EntryType::Block | tar::EntryType::Fifo) => {
                NodeKind::Special {
                    entry_type,
                    major: header.device_major()?.unwrap_or(0),
                    minor: header.device_minor()?.unwrap_or(0),
                }
            }
            kind if kind.is_file() => NodeKind::File(Content::Slice {
                path: std::sync::Arc::clone(&shared),
                offset: entry.raw_file_position(),
                size: entry.size(),
            }),
            kind if kind.is_pax_global_extensions() => continue,
            kind => {
                return Err(invalid(format!("`{name}` is of the unknown kind {kind:?}")));
            }
        };
        let node = Node {
            kind,
            mode: header.mode()? & 0o7777,
            uid: header.uid()?,
            gid: header.gid()?,
            mtime: header.mtime()?,
            attributes,
        };
        entries.push((name, ArchiveEntry::Node(node)));
    }
    Ok(entries)
}

/// Extended attributes by their PAX keys.
type Attributes = Vec<(String, Vec<u8>)>;

/// The extended attributes of an archive's entries, by the position of the entry's header.
fn read_attributes(path: &Path) -> io::Result<BTreeMap<u64, Attributes>> {
    let mut archive = tar::Archive::new(File::open(path)?);
    let mut found = BTreeMap::new();
    let mut next = Vec::new();
    for entry in archive.entries_with_seek()?.raw(true) {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        if kind.is_pax_local_extensions() {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            for (key, value) in pax::read(&bytes)? {
                if key.starts_with(XATTR.as_bytes()) {
                    next.push((text(&key)?, value));
                }
            }
        } else if !kind.is_gnu_longname() && !kind.is_gnu_longlink() && !next.is_empty() {
            found.insert(entry.raw_header_position(), std::mem::take(&mut next));
        }
    }
    Ok(found)
}

/// Whether an uncompressed file begins like an archive: its first header has a right checksum.
pub(crate) fn is_archive(path: &Path) -> io::Result<bool> {
    if fs::metadata(path)?.len() < 512 {
        return Ok(false);
    }
    let mut archive = tar::Archive::new(File::open(path)?);
    let first = archive.entries()?.next();
    Ok(matches!(first, Some(Ok(_))))
}

fn text(bytes: &[u8]) -> io::Result<String> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(invalid(format!(
            "the name `{}` is not UTF-8",
            String::from_utf8_lossy(bytes)
        ))),
    }
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_to_be_where_links_lead_and_directories_are_made() {
        let directory = tempfile::tempdir().unwrap();
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(0);
        let mut link = header.clone();
        link.set_entry_type(tar::EntryType::Symlink);
        archive.append_link(&mut link, "lib", "usr/lib").unwrap();
        for name in ["lib/a", "srv/deep/b"] {
            archive.append_data(&mut header, name, io::empty()).unwrap();
        }
        let blob = directory.path().join("blob");
        fs::write(&blob, archive.into_inner().unwrap()).unwrap();
        let mut tree = Tree::default();
        apply(&mut tree, &blob, &directory.path().join("archive")).unwrap();
        let names: Vec<&str> = tree.below("").map(|(name, _)| name).collect();
        assert_eq!(
            names,
            [
                "lib",
                "srv",
                "srv/deep",
                "srv/deep/b",
                "usr",
                "usr/lib",
                "usr/lib/a"
            ]
        );
    }
}
