//! Directory trees by content: what an action reads and what it leaves. The Remote Execution
//! API's `Directory` messages name them; where the bytes of a file are is kept beside.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bazel_remote_apis::build::bazel::remote::execution::v2 as reapi;
use prost::Message as _;
use synth_core::Digest;

use crate::digest::{digest_bytes, from_message, to_message};

/// A directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tree {
    pub(crate) entries: BTreeMap<String, TreeEntry>,
}

/// Something in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TreeEntry {
    File(FileEntry),
    /// A symbolic link, by what it says.
    Symlink(String),
    Directory(Tree),
}

/// A regular file.
#[derive(Clone, Debug)]
pub(crate) struct FileEntry {
    pub(crate) digest: Digest,
    pub(crate) executable: bool,
    pub(crate) origin: Origin,
}

/// Where a file's bytes are. Not part of what the file is.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// In the content-addressed store.
    Store,
    /// In the project; still to be compared with the digest when they are used.
    Disk(PathBuf),
    /// Here.
    Inline(Arc<[u8]>),
}

impl PartialEq for FileEntry {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest && self.executable == other.executable
    }
}

impl Eq for FileEntry {}

/// Two different things at one place.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("two inputs meet at `{path}`")]
pub(crate) struct Conflict {
    pub(crate) path: String,
}

impl Tree {
    /// Puts an entry at a path, making the directories above it; directories are merged.
    pub(crate) fn insert(&mut self, path: &str, entry: TreeEntry) -> Result<(), Conflict> {
        let conflict = || Conflict { path: path.into() };
        let mut components = path
            .split('/')
            .filter(|component| !component.is_empty())
            .peekable();
        let mut tree = self;
        while let Some(component) = components.next() {
            if components.peek().is_none() {
                return match tree.entries.get_mut(component) {
                    None => {
                        tree.entries.insert(component.to_owned(), entry);
                        Ok(())
                    }
                    Some(TreeEntry::Directory(known)) => match entry {
                        TreeEntry::Directory(more) => known.merge(more).map_err(|below| Conflict {
                            path: format!("{path}/{}", below.path),
                        }),
                        _ => Err(conflict()),
                    },
                    Some(known) if *known == entry => Ok(()),
                    Some(_) => Err(conflict()),
                };
            }
            let below = tree
                .entries
                .entry(component.to_owned())
                .or_insert_with(|| TreeEntry::Directory(Self::default()));
            tree = match below {
                TreeEntry::Directory(directory) => directory,
                _ => return Err(conflict()),
            };
        }
        match entry {
            TreeEntry::Directory(more) => tree.merge(more),
            _ => Err(conflict()),
        }
    }

    fn merge(&mut self, more: Self) -> Result<(), Conflict> {
        more.entries
            .into_iter()
            .try_for_each(|(name, entry)| self.insert(&name, entry))
    }

    /// Files and links with their paths, in the order of their directories.
    pub(crate) fn leaves(&self) -> Vec<(String, &TreeEntry)> {
        let mut found = Vec::new();
        self.collect_leaves("", &mut found);
        found
    }

    fn collect_leaves<'a>(&'a self, prefix: &str, found: &mut Vec<(String, &'a TreeEntry)>) {
        for (name, entry) in &self.entries {
            let path = format!("{prefix}{name}");
            match entry {
                TreeEntry::Directory(directory) => {
                    directory.collect_leaves(&format!("{path}/"), found);
                }
                _ => found.push((path, entry)),
            }
        }
    }

    /// The paths of directories with nothing in them.
    pub(crate) fn empty_directories(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.collect_empty("", &mut found);
        found
    }

    fn collect_empty(&self, prefix: &str, found: &mut Vec<String>) {
        for (name, entry) in &self.entries {
            if let TreeEntry::Directory(below) = entry {
                let path = format!("{prefix}{name}");
                if below.entries.is_empty() {
                    found.push(path);
                } else {
                    below.collect_empty(&format!("{path}/"), found);
                }
            }
        }
    }

    /// Bytes of all files.
    pub(crate) fn size(&self) -> u64 {
        self.entries
            .values()
            .map(|entry| match entry {
                TreeEntry::File(file) => file.digest.size,
                TreeEntry::Symlink(_) => 0,
                TreeEntry::Directory(directory) => directory.size(),
            })
            .sum()
    }

    /// The digest of the `Directory` message.
    pub(crate) fn digest(&self) -> Digest {
        let mut children = Vec::new();
        digest_bytes(&self.message(&mut children).encode_to_vec())
    }

    /// The `Directory` message; those of all directories below are added to `children`.
    fn message(&self, children: &mut Vec<reapi::Directory>) -> reapi::Directory {
        let mut directory = reapi::Directory::default();
        for (name, entry) in &self.entries {
            let name = name.clone();
            match entry {
                TreeEntry::File(file) => directory.files.push(reapi::FileNode {
                    name,
                    digest: Some(to_message(&file.digest)),
                    is_executable: file.executable,
                    node_properties: None,
                }),
                TreeEntry::Symlink(target) => directory.symlinks.push(reapi::SymlinkNode {
                    name,
                    target: target.clone(),
                    node_properties: None,
                }),
                TreeEntry::Directory(below) => {
                    let message = below.message(children);
                    let digest = digest_bytes(&message.encode_to_vec());
                    children.push(message);
                    directory.directories.push(reapi::DirectoryNode {
                        name,
                        digest: Some(to_message(&digest)),
                    });
                }
            }
        }
        directory
    }

    /// The `Tree` message, which holds all directories.
    pub(crate) fn to_message(&self) -> reapi::Tree {
        let mut children = Vec::new();
        let root = self.message(&mut children);
        reapi::Tree {
            root: Some(root),
            children,
        }
    }

    /// Reads a `Tree` message; none when it is not whole. The files are taken to be in the store.
    pub(crate) fn from_message(message: &reapi::Tree) -> Option<Self> {
        let children: BTreeMap<Digest, &reapi::Directory> = message
            .children
            .iter()
            .map(|child| (digest_bytes(&child.encode_to_vec()), child))
            .collect();
        Self::from_directory(message.root.as_ref()?, &children)
    }

    fn from_directory(
        directory: &reapi::Directory,
        children: &BTreeMap<Digest, &reapi::Directory>,
    ) -> Option<Self> {
        let mut entries = BTreeMap::new();
        for file in &directory.files {
            let entry = FileEntry {
                digest: from_message(file.digest.as_ref()?)?,
                executable: file.is_executable,
                origin: Origin::Store,
            };
            entries.insert(file.name.clone(), TreeEntry::File(entry));
        }
        for link in &directory.symlinks {
            entries.insert(link.name.clone(), TreeEntry::Symlink(link.target.clone()));
        }
        for below in &directory.directories {
            let digest = from_message(below.digest.as_ref()?)?;
            let tree = Self::from_directory(children.get(&digest)?, children)?;
            entries.insert(below.name.clone(), TreeEntry::Directory(tree));
        }
        Some(Self { entries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> TreeEntry {
        TreeEntry::File(FileEntry {
            digest: digest_bytes(text.as_bytes()),
            executable: false,
            origin: Origin::Inline(text.as_bytes().into()),
        })
    }

    #[test]
    fn a_tree_survives_its_message() {
        let mut tree = Tree::default();
        tree.insert("a/b/c", file("c")).unwrap();
        tree.insert("a/link", TreeEntry::Symlink("b".into()))
            .unwrap();
        tree.insert("empty", TreeEntry::Directory(Tree::default()))
            .unwrap();
        assert_eq!(Tree::from_message(&tree.to_message()), Some(tree));
    }

    #[test]
    fn directories_merge_and_files_do_not() {
        let mut tree = Tree::default();
        tree.insert("a/b", file("b")).unwrap();
        let mut more = Tree::default();
        more.insert("c", file("c")).unwrap();
        tree.insert("a", TreeEntry::Directory(more)).unwrap();
        assert_eq!(tree.leaves().len(), 2);
        assert_eq!(
            tree.insert("a/b", file("b")),
            Ok(()),
            "the same file twice is one file"
        );
        for path in ["a/b", "a/b/c", "a", ""] {
            let conflict = Conflict { path: path.into() };
            assert_eq!(tree.insert(path, file("other")), Err(conflict), "{path:?}");
        }
        let mut deep = Tree::default();
        deep.insert("b", file("other")).unwrap();
        let conflict = Conflict { path: "a/b".into() };
        assert_eq!(tree.insert("a", TreeEntry::Directory(deep)), Err(conflict));
    }
}
