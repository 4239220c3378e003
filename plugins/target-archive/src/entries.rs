//! What is laid out for the archive, as a list in an order that does not depend on the disk.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use synth_core::{Diagnostic, ProjectPath};
use walkdir::WalkDir;

/// One entry of the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its path in the archive, `/` between components, none at the end.
    pub(crate) path: String,
    pub(crate) kind: EntryKind,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    Directory,
    File {
        /// Where its bytes are.
        from: PathBuf,
        size: u64,
        executable: bool,
    },
    Symlink {
        /// What the link says.
        target: String,
    },
}

impl Entry {
    /// Its permissions: whether a file may be executed is all that is kept of them.
    pub(crate) fn mode(&self) -> u32 {
        match self.kind {
            EntryKind::Directory
            | EntryKind::File {
                executable: true, ..
            } => 0o755,
            EntryKind::File { .. } => 0o644,
            EntryKind::Symlink { .. } => 0o777,
        }
    }

    /// Its size in bytes; 0 for what is no file.
    pub(crate) fn size(&self) -> u64 {
        match self.kind {
            EntryKind::File { size, .. } => size,
            _ => 0,
        }
    }

    /// Whether it is a link that leads out of the archive, or to a place of the machine that it
    /// is unpacked on.
    pub(crate) fn leads_out(&self) -> bool {
        let EntryKind::Symlink { target } = &self.kind else {
            return false;
        };
        let directory = ProjectPath::parse(&self.path)
            .ok()
            .and_then(|path| path.parent())
            .unwrap_or_default();
        directory.join(target).is_err()
    }
}

/// Lists what is below `tree`, below the directory `root` inside the archive: directories before
/// what they hold, names in the order of their bytes.
///
/// # Errors
/// What can't be read, or can't be archived.
pub(crate) fn list(tree: &Path, root: &ProjectPath) -> Result<Vec<Entry>, Diagnostic> {
    let mut entries = Vec::new();
    let mut above = String::new();
    for component in root.components() {
        above = join(&above, component);
        entries.push(Entry {
            path: above.clone(),
            kind: EntryKind::Directory,
        });
    }
    // Inputs that hold nothing may have left no directory.
    if fs::symlink_metadata(tree).is_err() {
        return Ok(entries);
    }
    for found in WalkDir::new(tree).min_depth(1).sort_by_file_name() {
        let found = found.map_err(|error| {
            let path = error.path().unwrap_or(tree).to_owned();
            unreadable(&path, tree, &error)
        })?;
        let path = found.path();
        let Some(relative) = path.strip_prefix(tree).ok().and_then(Path::to_str) else {
            return Err(Diagnostic::error(
                "archive.entry.name",
                format!("`{}` has a name that is not UTF-8", shown(path, tree)),
            )
            .help("rename it, or exclude it"));
        };
        entries.push(Entry {
            path: join(root.as_str(), relative),
            kind: kind(path).map_err(|error| unreadable(path, tree, &error))?,
        });
    }
    Ok(entries)
}

fn kind(path: &Path) -> io::Result<EntryKind> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_dir() {
        return Ok(EntryKind::Directory);
    }
    if metadata.is_symlink() {
        let target = fs::read_link(path)?.into_os_string().into_string();
        let target = target.map_err(|_| io::Error::other("the link is not UTF-8"))?;
        return Ok(EntryKind::Symlink { target });
    }
    if !metadata.is_file() {
        return Err(io::Error::other(
            "it is neither a file, a directory nor a symbolic link",
        ));
    }
    Ok(EntryKind::File {
        from: path.to_owned(),
        size: metadata.len(),
        executable: metadata.permissions().mode() & 0o111 != 0,
    })
}

fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() {
        name.to_owned()
    } else {
        format!("{directory}/{name}")
    }
}

fn shown(path: &Path, tree: &Path) -> String {
    let relative = path.strip_prefix(tree).unwrap_or(path);
    relative.to_string_lossy().into_owned()
}

fn unreadable(path: &Path, tree: &Path, error: &dyn std::error::Error) -> Diagnostic {
    Diagnostic::error(
        "archive.entry.unreadable",
        format!("`{}` can't be archived", shown(path, tree)),
    )
    .caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_leave_the_archive_are_known() {
        for (path, target, leads_out) in [
            ("lib/libz.so", "libz.so.1", false),
            ("lib/a", "../bin/a", false),
            ("lib/a", "../../bin/a", true),
            ("a", "../a", true),
            ("a", "/etc/passwd", true),
        ] {
            let entry = Entry {
                path: path.into(),
                kind: EntryKind::Symlink {
                    target: target.into(),
                },
            };
            assert_eq!(entry.leads_out(), leads_out, "{path} -> {target}");
        }
    }
}
