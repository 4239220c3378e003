//! Everything below a directory: what it is, its mode and its bytes; to compare, to copy and to
//! go back to.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use walkdir::WalkDir;

/// A file, a link or a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    File { mode: u32, bytes: Vec<u8> },
    Link(String),
    Directory,
}

/// By path, relative to the directory.
pub(crate) type Snapshot = BTreeMap<String, Entry>;

/// What there is below a directory, as far as it is wanted; what is not wanted is not entered.
pub(crate) fn snapshot(root: &Path, wanted: impl Fn(&str) -> bool) -> Snapshot {
    let mut found = Snapshot::new();
    if !root.is_dir() {
        return found;
    }
    let relative = |path: &Path| path.strip_prefix(root).unwrap().display().to_string();
    let entries = WalkDir::new(root)
        .min_depth(1)
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || wanted(&relative(entry.path())));
    for entry in entries {
        let entry = entry.unwrap();
        let kind = entry.file_type();
        let value = if kind.is_symlink() {
            Entry::Link(fs::read_link(entry.path()).unwrap().display().to_string())
        } else if kind.is_dir() {
            Entry::Directory
        } else {
            Entry::File {
                mode: entry.metadata().unwrap().permissions().mode() & 0o7777,
                bytes: fs::read(entry.path()).unwrap(),
            }
        };
        found.insert(relative(entry.path()), value);
    }
    found
}

/// Paths at which two snapshots are different.
pub(crate) fn differences(before: &Snapshot, after: &Snapshot) -> Vec<String> {
    let all = before
        .keys()
        .chain(after.keys().filter(|path| !before.contains_key(*path)));
    all.filter(|path| before.get(*path) != after.get(*path))
        .cloned()
        .collect()
}

/// Fails where something is not as expected, and shows it.
#[track_caller]
pub(crate) fn assert_same(found: &Snapshot, expected: &Snapshot, context: &str) {
    let wrong: Vec<String> = differences(found, expected)
        .into_iter()
        .map(|path| {
            let (found, expected) = (found.get(&path), expected.get(&path));
            format!("`{path}` is {found:?}, and should be {expected:?}")
        })
        .collect();
    assert!(wrong.is_empty(), "{context}: {}", wrong.join("\n"));
}

/// Makes a directory that is as one snapshot says be as another one says, and touches nothing
/// that is the same.
pub(crate) fn restore(root: &Path, now: &Snapshot, wanted: &Snapshot) {
    let different = differences(now, wanted);
    // What is deeper goes first.
    for path in different
        .iter()
        .rev()
        .filter(|path| now.contains_key(*path))
    {
        match now[path] {
            Entry::Directory => fs::remove_dir_all(root.join(path)).unwrap(),
            _ if fs::symlink_metadata(root.join(path)).is_ok() => {
                fs::remove_file(root.join(path)).unwrap();
            }
            _ => {}
        }
    }
    for (path, entry) in wanted {
        let path = root.join(path);
        if fs::symlink_metadata(&path).is_ok() {
            continue;
        }
        match entry {
            Entry::Directory => fs::create_dir(&path).unwrap(),
            Entry::Link(to) => symlink(to, &path).unwrap(),
            Entry::File { mode, bytes } => {
                fs::write(&path, bytes).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
            }
        }
    }
}
