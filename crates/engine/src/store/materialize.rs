//! Puts trees on the disk: directories, files with their modes, links; times fixed, so that
//! nothing that is built sees when.

use std::fs::{self, File, FileTimes, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rayon::prelude::*;

use super::{Store, StoreError, io_error};
use crate::digest::copy_and_digest;
use crate::tree::{FileEntry, Origin, Tree, TreeEntry};

/// The time that every file has in an action's directory and among the outputs: 1980-01-01 UTC,
/// the first that a zip archive can hold.
const MODIFIED: Duration = Duration::from_secs(315_532_800);

/// Writes a tree below a directory that is there. Nothing it writes may be there yet.
pub(crate) fn materialize(store: &Store, tree: &Tree, to: &Path) -> Result<(), StoreError> {
    let mut files = Vec::new();
    write_directories(tree, to, &mut files)?;
    files
        .par_iter()
        .try_for_each(|(file, path)| write_file(store, file, path))?;
    date_directories(tree, to)
}

/// Gives directories the one time too, from the deepest up: writing into one changes its own.
fn date_directories(tree: &Tree, path: &Path) -> Result<(), StoreError> {
    for (name, entry) in &tree.entries {
        if let TreeEntry::Directory(below) = entry {
            date_directories(below, &path.join(name))?;
        }
    }
    set_modified(path).map_err(io_error("dating", path))
}

fn write_directories<'a>(
    tree: &'a Tree,
    to: &Path,
    files: &mut Vec<(&'a FileEntry, PathBuf)>,
) -> Result<(), StoreError> {
    for (name, entry) in &tree.entries {
        let path = to.join(name);
        match entry {
            TreeEntry::File(file) => files.push((file, path)),
            TreeEntry::Symlink(target) => {
                symlink(target, &path).map_err(io_error("linking", &path))?;
            }
            TreeEntry::Directory(below) => {
                fs::create_dir(&path).map_err(io_error("creating", &path))?;
                write_directories(below, &path, files)?;
            }
        }
    }
    Ok(())
}

fn write_file(store: &Store, file: &FileEntry, to: &Path) -> Result<(), StoreError> {
    match &file.origin {
        Origin::Store => store.copy_to(&file.digest, to)?,
        Origin::Disk(from) => {
            let mut source = File::open(from).map_err(io_error("reading", from))?;
            let mut copy = File::create_new(to).map_err(io_error("creating", to))?;
            let copied =
                copy_and_digest(&mut source, &mut copy).map_err(io_error("writing", to))?;
            if copied != file.digest {
                return Err(StoreError::Changed(from.clone()));
            }
        }
        Origin::Inline(bytes) => {
            let mut copy = File::create_new(to).map_err(io_error("creating", to))?;
            copy.write_all(bytes).map_err(io_error("writing", to))?;
        }
    }
    let mode = if file.executable { 0o755 } else { 0o644 };
    fs::set_permissions(to, Permissions::from_mode(mode)).map_err(io_error("protecting", to))?;
    set_modified(to).map_err(io_error("dating", to))
}

/// Gives a file the one modification time.
fn set_modified(path: &Path) -> io::Result<()> {
    let times = FileTimes::new().set_modified(SystemTime::UNIX_EPOCH + MODIFIED);
    File::open(path)?.set_times(times)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::digest_bytes;

    #[test]
    fn files_and_directories_have_the_one_time() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("store")).unwrap();
        let mut tree = Tree::default();
        let file = FileEntry {
            digest: digest_bytes(b"x"),
            executable: false,
            origin: Origin::Inline(b"x".as_slice().into()),
        };
        tree.insert("a/b/c", TreeEntry::File(file)).unwrap();
        let to = directory.path().join("to");
        fs::create_dir(&to).unwrap();
        materialize(&store, &tree, &to).unwrap();
        for path in ["", "a", "a/b", "a/b/c"] {
            let modified = to.join(path).metadata().unwrap().modified().unwrap();
            assert_eq!(modified, SystemTime::UNIX_EPOCH + MODIFIED, "{path:?}");
        }
    }
}
