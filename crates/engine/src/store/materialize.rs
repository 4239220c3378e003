//! Puts trees on the disk: directories, files with their modes, links; times fixed, so that
//! nothing that is built sees when.

use std::fs::{self, File, FileTimes};
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rayon::prelude::*;

use super::restore::{MODIFIED, copy_source, write_new};
use super::{Store, StoreError, io_error};
use crate::tree::{FileEntry, Origin, Tree, TreeEntry};

/// So few files, and so few bytes, are written by the thread that asks: sharing them out costs more.
const FEW_FILES: usize = 64;
const FEW_BYTES: u64 = 4 * 1024 * 1024;

/// Writes a tree below a directory that is there. Nothing it writes may be there yet.
pub(crate) fn materialize(store: &Store, tree: &Tree, to: &Path) -> Result<(), StoreError> {
    let mut files = Vec::new();
    write_directories(tree, to, &mut files)?;
    let bytes: u64 = files.iter().map(|(file, _)| file.digest.size).sum();
    let written = if files.len() <= FEW_FILES && bytes <= FEW_BYTES {
        let mut files = files.iter();
        files.try_for_each(|(file, path)| write_file(store, file, path))
    } else {
        let files = files.par_iter();
        files.try_for_each(|(file, path)| write_file(store, file, path))
    };
    if let Err(StoreError::Damaged(_) | StoreError::Missing(_)) = &written {
        store.shared.losses.interrupt();
    }
    written?;
    date_directories(tree, to)
}

/// Gives directories the one time too, when everything is in them: writing changes it.
/// Those that are not there are left out.
pub(crate) fn date_directories(tree: &Tree, path: &Path) -> Result<(), StoreError> {
    match set_modified(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        dated => dated.map_err(io_error("dating", path))?,
    }
    // To date one changes no time of those above.
    for (name, entry) in &tree.entries {
        if let TreeEntry::Directory(below) = entry {
            date_directories(below, &path.join(name))?;
        }
    }
    Ok(())
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
        Origin::Store => store.restore(&file.digest, file.executable, to),
        Origin::Disk(from) => copy_source(from, &file.digest, file.executable, to),
        Origin::Inline(bytes) => write_new(to, file.executable, |file| file.write_all(bytes)),
    }
}

/// Gives a directory the one modification time.
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
