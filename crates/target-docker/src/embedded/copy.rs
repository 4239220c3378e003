//! `COPY` and `ADD` from one tree into another, with the semantics of Docker's BuildKit: which
//! sources a pattern means, when the destination is a directory, and what owners and modes come
//! out.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;

use super::layer::{self, ArchiveEntry, WHITEOUT};
use super::tree::{Content, Node, NodeKind, Tree};
use super::users::Owner;
use crate::evaluate::{CopyStep, Source};
use crate::ignore::Ignore;
use crate::oci::decompressed;
use crate::paths;
use crate::pattern::{Pattern, is_pattern, literal_prefix, unescape};

/// Why a copy failed, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CopyError {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl CopyError {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            help: None,
        }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// One copy at work.
pub(crate) struct Copier<'a> {
    pub(crate) step: &'a CopyStep,
    pub(crate) from: &'a Tree,
    /// What a person calls the tree that is copied from: "the build context".
    pub(crate) from_name: &'a str,
    /// Given by `--chown`.
    pub(crate) owner: Option<Owner>,
    /// The time of everything that the build context brings; nothing copied is newer.
    pub(crate) mtime: u64,
    /// A directory for unpacked archives; every copy has its own.
    pub(crate) scratch: &'a Path,
}

impl Copier<'_> {
    /// Copies into `tree` and returns the paths that changed.
    ///
    /// # Errors
    /// When a source is missing, or source and destination don't go together.
    pub(crate) fn copy_into(&self, tree: &mut Tree) -> Result<BTreeSet<String>, CopyError> {
        let mut target = Target {
            tree,
            changed: BTreeSet::new(),
            owner: self.owner.unwrap_or_default(),
            mtime: self.mtime,
        };
        let exclude = Ignore::from_patterns(&self.step.exclude).map_err(|reason| {
            CopyError::new(
                "copy.exclude",
                format!("`--exclude` can't be read: {reason}"),
            )
        })?;
        let destination = self.step.destination.trim_start_matches('/');
        let destination = if self.step.link {
            destination.to_owned()
        } else {
            let resolved = target.tree.resolve(destination, true);
            resolved.map_err(|error| CopyError::new("copy.destination", error.to_string()))?
        };
        for source in &self.step.sources {
            match source {
                Source::Inline { name, text } => {
                    let node = Node {
                        kind: NodeKind::File(Content::Bytes(text.as_bytes().into())),
                        mode: 0o644,
                        ..Node::directory(0, 0, self.mtime)
                    };
                    self.file(&mut target, name, node, &destination)?;
                }
                Source::Path(path) => {
                    // `--parents` keeps what comes after `/./`.
                    let pivot = path.split_once("/./").map_or("", |(before, _)| before);
                    let pivot = paths::relative(pivot).unwrap_or_default();
                    for (written, resolved) in self.matched(path)? {
                        let written = paths::below(&written, &pivot).unwrap_or(&written);
                        self.one(&mut target, written, &resolved, &destination, &exclude)?;
                    }
                }
                Source::Remote(address) => {
                    return Err(CopyError::new(
                        "add.remote",
                        format!("`{address}` is on another machine"),
                    ));
                }
            }
        }
        Ok(target.changed)
    }

    fn missing(&self, source: &str) -> CopyError {
        CopyError::new(
            "copy.missing",
            if is_pattern(source) {
                format!("nothing in {} matches `{source}`", self.from_name)
            } else {
                format!("there is no `{source}` in {}", self.from_name)
            },
        )
    }

    /// The sources that a path or pattern means: as written, and with links followed.
    fn matched(&self, source: &str) -> Result<Vec<(String, String)>, CopyError> {
        let clean = paths::relative(source).map_err(|()| {
            CopyError::new(
                "copy.outside",
                format!("`{source}` leaves {}", self.from_name),
            )
        })?;
        let follow = |path: &str| {
            let resolved = self.from.resolve(path, true);
            resolved.map_err(|error| CopyError::new("copy.source", error.to_string()))
        };
        let written: Vec<String> = if is_pattern(&clean) {
            let (prefix, rest) = literal_prefix(&clean);
            let pattern = Pattern::parse(&rest, self.step.parents).map_err(|reason| {
                CopyError::new(
                    "copy.pattern",
                    format!("`{source}` can't be read: {reason}"),
                )
            })?;
            let directory = follow(&prefix)?;
            let below = self.from.below(&directory);
            below
                .filter_map(|(path, _)| paths::below(path, &directory))
                .filter(|path| pattern.matches(path))
                .map(|path| paths::join(&prefix, path))
                .collect()
        } else {
            vec![unescape(&clean)]
        };
        let mut sources = Vec::new();
        for path in written {
            let resolved = follow(&path)?;
            if self.from.get(&resolved).is_none() {
                return Err(if self.from.get(&path).is_some() {
                    CopyError::new(
                        "copy.missing",
                        format!(
                            "`{source}` in {} is a link to `/{resolved}`, which is not there",
                            self.from_name
                        ),
                    )
                } else {
                    self.missing(source)
                });
            }
            sources.push((path, resolved));
        }
        if sources.is_empty() {
            return Err(self.missing(source));
        }
        Ok(sources)
    }

    fn one(
        &self,
        target: &mut Target<'_>,
        written: &str,
        resolved: &str,
        destination: &str,
        exclude: &Ignore,
    ) -> Result<(), CopyError> {
        let Some(node) = self.from.get(resolved) else {
            return Ok(());
        };
        // With `--parents` the directories above the source are kept below the destination.
        let destination = if self.step.parents {
            let kept = if node.is_directory() {
                written
            } else {
                paths::split(written).0
            };
            paths::join(destination, kept)
        } else {
            destination.to_owned()
        };
        if node.is_directory() {
            target.make_directory(&destination)?;
            for (path, node) in self.from.below(resolved) {
                let relative = paths::below(path, resolved).unwrap_or(path);
                if exclude.excludes(relative) {
                    continue;
                }
                let to = paths::join(&destination, relative);
                if !exclude.is_empty() {
                    target.make_directory(paths::split(&to).0)?;
                }
                target.put(&to, self.changed(node.clone()))?;
            }
            return Ok(());
        }
        let name = paths::split(written).1;
        if exclude.excludes(name) {
            return Ok(());
        }
        if self.step.unpack && self.unpack(target, resolved, node, &destination)? {
            return Ok(());
        }
        if self.step.parents {
            target.make_directory(&destination)?;
        }
        self.file(target, name, node.clone(), &destination)
    }

    /// Puts one file at the destination, or into it when that is a directory.
    fn file(
        &self,
        target: &mut Target<'_>,
        name: &str,
        node: Node,
        destination: &str,
    ) -> Result<(), CopyError> {
        let there = target.tree.get(destination).map(Node::is_directory);
        let to = if self.step.into_directory || self.step.parents || there == Some(true) {
            paths::join(destination, name)
        } else {
            destination.to_owned()
        };
        target.make_directory(paths::split(&to).0)?;
        target.put(&to, self.changed(node))
    }

    /// A node as it arrives.
    fn changed(&self, mut node: Node) -> Node {
        if let Some(owner) = self.owner {
            node.uid = owner.uid;
            node.gid = owner.gid;
        }
        if let Some(mode) = &self.step.mode
            && !matches!(node.kind, NodeKind::Symlink(_))
        {
            node.mode = mode.apply(node.mode, node.is_directory());
        }
        node
    }

    /// Unpacks an archive, when the source is one.
    fn unpack(
        &self,
        target: &mut Target<'_>,
        name: &str,
        node: &Node,
        destination: &str,
    ) -> Result<bool, CopyError> {
        let NodeKind::File(content) = &node.kind else {
            return Ok(false);
        };
        let broken = |error: io::Error| {
            CopyError::new(
                "add.archive",
                format!("the archive `{name}` can't be unpacked: {error}"),
            )
        };
        let file = |suffix: &str| {
            let name = name.replace('/', "_");
            self.scratch.join(format!("{name}.{suffix}"))
        };
        let (packed, plain) = (file("packed"), file("archive"));
        let copied =
            File::create(&packed).and_then(|mut file| io::copy(&mut content.open()?, &mut file));
        copied.map_err(broken)?;
        let mut output = File::create(&plain).map_err(broken)?;
        let unpacked =
            decompressed(&packed).and_then(|mut reader| io::copy(&mut reader, &mut output));
        // A compressed file that is no archive is copied as it is; an archive that ends too early
        // is an error.
        if !layer::is_archive(&plain).map_err(broken)? {
            return Ok(false);
        }
        unpacked.map_err(broken)?;
        target.make_directory(destination)?;
        let mut unpacked = Tree::default();
        for (path, entry) in layer::read_archive(&plain).map_err(broken)? {
            if path.is_empty() {
                continue;
            }
            let node = match entry {
                ArchiveEntry::Node(node) => node,
                ArchiveEntry::HardLink(other) => {
                    let other_node = unpacked.get(&other).cloned();
                    other_node
                        .ok_or_else(|| broken(io::Error::other(format!("it has no `{other}`"))))?
                }
            };
            unpacked.insert(&path, node.clone());
            // As Docker does: owners and modes are the archive's own, whatever the flags say.
            let mtime = node.mtime.min(self.mtime);
            let to = paths::join(destination, &path);
            target.make_directory(paths::split(&to).0)?;
            target.put(&to, Node { mtime, ..node })?;
        }
        Ok(true)
    }
}

/// The tree that is copied into.
struct Target<'a> {
    tree: &'a mut Tree,
    changed: BTreeSet<String>,
    /// Owns the directories that have to be made.
    owner: Owner,
    mtime: u64,
}

impl Target<'_> {
    fn make_directory(&mut self, path: &str) -> Result<(), CopyError> {
        match self.tree.get(path) {
            Some(node) if node.is_directory() => return Ok(()),
            Some(_) => {
                return Err(CopyError::new(
                    "copy.destination",
                    format!("`/{path}` is there already and is not a directory"),
                )
                .help("copy to another place"));
            }
            None => {}
        }
        self.make_directory(paths::split(path).0)?;
        let node = Node::directory(self.owner.uid, self.owner.gid, self.mtime);
        self.tree.insert(path, node);
        self.changed.insert(path.to_owned());
        Ok(())
    }

    fn put(&mut self, path: &str, node: Node) -> Result<(), CopyError> {
        if paths::split(path).1.starts_with(WHITEOUT) {
            return Err(CopyError::new(
                "copy.whiteout",
                format!("`/{path}` can't be in an image: names that begin with `{WHITEOUT}` mark what a layer removes"),
            )
            .help("give the file another name"));
        }
        let there = self.tree.get(path).map(Node::is_directory);
        if there.is_some_and(|directory| directory != node.is_directory()) {
            return Err(CopyError::new(
                "copy.destination",
                format!(
                    "`/{path}` is there already and is {} directory",
                    if there == Some(true) { "a" } else { "not a" }
                ),
            )
            .help("copy to another place"));
        }
        self.tree.insert(path, node);
        self.changed.insert(path.to_owned());
        Ok(())
    }
}

/// Makes a directory with everything above it, for `WORKDIR`, and returns the paths that are new.
///
/// # Errors
/// When something else is in its place.
pub(crate) fn make_directories(
    tree: &mut Tree,
    path: &str,
    owner: Owner,
    mtime: u64,
) -> Result<BTreeSet<String>, CopyError> {
    let resolved = tree
        .resolve(path.trim_start_matches('/'), true)
        .map_err(|error| CopyError::new("workdir", error.to_string()))?;
    let mut target = Target {
        tree,
        changed: BTreeSet::new(),
        owner,
        mtime,
    };
    target.make_directory(&resolved)?;
    Ok(target.changed)
}
