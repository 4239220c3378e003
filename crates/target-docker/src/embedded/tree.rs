//! The file system of a stage: every path with what is there, the contents left where they are.
//! A tree is made of an image's layers or of a directory, and changed by copies.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use crate::paths;

/// What is at a path.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: NodeKind,
    /// Permission bits, with set-user-id, set-group-id and sticky.
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    /// Seconds since 1970.
    pub(crate) mtime: u64,
    /// PAX records beyond what the other fields say: extended attributes.
    pub(crate) attributes: Vec<(String, Vec<u8>)>,
}

#[derive(Clone, Debug)]
pub(crate) enum NodeKind {
    Directory,
    File(Content),
    /// What the link says.
    Symlink(String),
    /// A device or a pipe.
    Special {
        entry_type: tar::EntryType,
        major: u32,
        minor: u32,
    },
}

/// Where a file's bytes are.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Bytes(Arc<[u8]>),
    /// A part of a file on disk.
    Slice {
        path: Arc<Path>,
        offset: u64,
        size: u64,
    },
}

impl Content {
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            Self::Slice { size, .. } => *size,
        }
    }

    pub(crate) fn open(&self) -> io::Result<Box<dyn Read>> {
        Ok(match self {
            Self::Bytes(bytes) => Box::new(io::Cursor::new(Arc::clone(bytes))),
            Self::Slice { path, offset, size } => {
                let mut file = File::open(path)?;
                file.seek(SeekFrom::Start(*offset))?;
                Box::new(file.take(*size))
            }
        })
    }
}

impl Node {
    pub(crate) fn directory(uid: u64, gid: u64, mtime: u64) -> Self {
        Self {
            kind: NodeKind::Directory,
            mode: 0o755,
            uid,
            gid,
            mtime,
            attributes: Vec::new(),
        }
    }

    pub(crate) fn is_directory(&self) -> bool {
        matches!(self.kind, NodeKind::Directory)
    }
}

/// A path that can't be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResolveError {
    #[error("`/{0}` is a symbolic link in a circle")]
    Loop(String),
    #[error("`/{0}` is not a directory")]
    NotADirectory(String),
}

/// Everything below a root. Paths are relative to it, in normal form; the root itself is the
/// empty path and always a directory.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    nodes: BTreeMap<String, Node>,
}

impl Default for Tree {
    fn default() -> Self {
        Self {
            nodes: BTreeMap::from([(String::new(), Node::directory(0, 0, 0))]),
        }
    }
}

/// How many links one path may lead through, as in Linux.
const MOST_LINKS: usize = 40;

impl Tree {
    /// The files of a directory, owned by root and with one time for all. Their modes tell only
    /// whether they can be executed, so that the result does not depend on anyone's umask.
    pub(crate) fn from_directory(directory: &Path, mtime: u64) -> io::Result<Self> {
        let mut tree = Self::default();
        for entry in walkdir::WalkDir::new(directory).min_depth(1) {
            let entry = entry?;
            let path = entry.path();
            let name = path.strip_prefix(directory).unwrap_or(path);
            let name = utf8(name)?;
            let file_type = entry.file_type();
            let mut node = Node::directory(0, 0, mtime);
            if file_type.is_symlink() {
                node.kind = NodeKind::Symlink(utf8(&fs::read_link(path)?)?);
                node.mode = 0o777;
            } else if file_type.is_file() {
                let metadata = entry.metadata()?;
                let executable = metadata.permissions().mode() & 0o111 != 0;
                node.mode = if executable { 0o755 } else { 0o644 };
                node.kind = NodeKind::File(Content::Slice {
                    path: path.into(),
                    offset: 0,
                    size: metadata.len(),
                });
            } else if !file_type.is_dir() {
                continue;
            }
            tree.nodes.insert(name, node);
        }
        Ok(tree)
    }

    pub(crate) fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// Puts a node at a path; whatever was below it goes when it is no directory.
    pub(crate) fn insert(&mut self, path: &str, node: Node) {
        if !node.is_directory() {
            self.remove_below(path);
        }
        self.nodes.insert(path.to_owned(), node);
    }

    pub(crate) fn remove(&mut self, path: &str) {
        self.remove_below(path);
        if !path.is_empty() {
            self.nodes.remove(path);
        }
    }

    pub(crate) fn remove_below(&mut self, path: &str) {
        let below: Vec<String> = self.below(path).map(|(path, _)| path.to_owned()).collect();
        for path in below {
            self.nodes.remove(&path);
        }
    }

    /// Everything below a directory, in the order of their names.
    pub(crate) fn below<'a>(&'a self, path: &'a str) -> impl Iterator<Item = (&'a str, &'a Node)> {
        let prefix = if path.is_empty() {
            String::new()
        } else {
            format!("{path}/")
        };
        let start = prefix.clone();
        self.nodes
            .range(start..)
            .take_while(move |(name, _)| name.starts_with(&prefix))
            .filter(|(name, _)| !name.is_empty())
            .map(|(name, node)| (name.as_str(), node))
    }

    /// Follows the symbolic links in a path, as seen from the root. What does not exist is left
    /// as it is written.
    pub(crate) fn resolve(&self, path: &str, follow_last: bool) -> Result<String, ResolveError> {
        let mut resolved = String::new();
        let mut open: Vec<String> = path.rsplit('/').map(str::to_owned).collect();
        let mut followed = 0;
        while let Some(component) = open.pop() {
            match component.as_str() {
                "" | "." => continue,
                ".." => {
                    resolved = paths::split(&resolved).0.to_owned();
                    continue;
                }
                _ => {}
            }
            let next = paths::join(&resolved, &component);
            match self.nodes.get(&next).map(|node| &node.kind) {
                Some(NodeKind::Symlink(target)) if follow_last || !open.is_empty() => {
                    // Counted, because a circle may grow: `a -> a/x` is a new path each time.
                    followed += 1;
                    if followed > MOST_LINKS {
                        return Err(ResolveError::Loop(next));
                    }
                    if target.starts_with('/') {
                        resolved = String::new();
                    }
                    open.extend(target.rsplit('/').map(str::to_owned));
                }
                Some(NodeKind::Directory) | None => resolved = next,
                Some(_) if open.iter().all(String::is_empty) => resolved = next,
                Some(_) => return Err(ResolveError::NotADirectory(next)),
            }
        }
        Ok(resolved)
    }

    /// The text of a file, when there is one.
    pub(crate) fn read_text(&self, path: &str) -> io::Result<Option<String>> {
        let path = self.resolve(path, true).map_err(io::Error::other)?;
        let Some(NodeKind::File(content)) = self.get(&path).map(|node| &node.kind) else {
            return Ok(None);
        };
        let mut text = String::new();
        content.open()?.read_to_string(&mut text)?;
        Ok(Some(text))
    }
}

fn utf8(path: &Path) -> io::Result<String> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("the name `{}` is not UTF-8", path.display()),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(entries: &[(&str, Option<&str>)]) -> Tree {
        let mut tree = Tree::default();
        for (path, link) in entries {
            let mut node = Node::directory(0, 0, 0);
            if let Some(target) = link {
                node.kind = if target.is_empty() {
                    NodeKind::File(Content::Bytes(Arc::from([])))
                } else {
                    NodeKind::Symlink((*target).into())
                };
            }
            tree.insert(path, node);
        }
        tree
    }

    #[test]
    fn links_are_followed_within_the_root() {
        let tree = tree(&[
            ("usr", None),
            ("usr/lib", None),
            ("lib", Some("usr/lib")),
            ("abs", Some("/usr/lib")),
            ("up", Some("../../usr")),
            ("chain", Some("abs/..")),
            ("a", Some("b")),
            ("b", Some("a")),
            ("grows", Some("grows/x")),
            ("file", Some("")),
        ]);
        for (path, expected) in [
            ("lib/x", Ok("usr/lib/x")),
            ("abs/x", Ok("usr/lib/x")),
            ("up/lib", Ok("usr/lib")),
            ("chain/new", Ok("usr/new")),
            ("none/x", Ok("none/x")),
            ("a", Err(ResolveError::Loop("a".into()))),
            ("grows", Err(ResolveError::Loop("grows".into()))),
            ("file/x", Err(ResolveError::NotADirectory("file".into()))),
        ] {
            let actual = tree.resolve(path, true);
            assert_eq!(actual.as_deref().map_err(Clone::clone), expected, "{path}");
        }
        assert_eq!(tree.resolve("lib", false).unwrap(), "lib");
    }

    #[test]
    fn a_directory_does_not_take_its_neighbours() {
        let mut tree = tree(&[("a", None), ("a/x", None), ("a-b", None), ("ab", None)]);
        tree.remove("a");
        assert!(tree.get("a/x").is_none());
        assert!(tree.get("a-b").is_some() && tree.get("ab").is_some());
    }
}
