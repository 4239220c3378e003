//! Files by their paths, in memory: a project, what an action gets and leaves, what a target
//! exports.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, FileTimes};
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::ProjectPath;

/// The time that every file of an action has, as in a real build: 1980-01-01 UTC.
const MODIFIED: Duration = Duration::from_secs(315_532_800);

/// Something at a path.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Entry {
    File { bytes: Arc<[u8]>, executable: bool },
    Symlink(String),
    Directory,
}

impl Entry {
    pub(super) fn file(bytes: impl AsRef<[u8]>) -> Self {
        Self::File {
            bytes: bytes.as_ref().into(),
            executable: false,
        }
    }

    pub(super) fn program(bytes: impl AsRef<[u8]>) -> Self {
        Self::File {
            bytes: bytes.as_ref().into(),
            executable: true,
        }
    }
}

/// Files by their paths: what a target exports, as a test looks at it.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
/// # fn main() -> Result<(), synth_core::testkit::Failed> {
/// use synth_core::testkit::TestPipeline;
///
/// let built = TestPipeline::new(Greet).file("names.txt", "Ada\n").build()?;
/// assert_eq!(built.outputs.paths(), ["greetings.txt"]);
/// assert_eq!(built.outputs.text("greetings.txt"), Some("Hello, Ada!\n"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct FileTree {
    entries: BTreeMap<String, Entry>,
}

/// Two different things at one path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("two different things meet at `{0}`")]
pub(super) struct Conflict(pub(super) String);

impl FileTree {
    /// The paths of files and symbolic links, sorted.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
    /// # fn main() -> Result<(), synth_core::testkit::Failed> {
    /// # use synth_core::testkit::TestPipeline;
    /// let built = TestPipeline::new(Greet).file("names.txt", "Ada\n").build()?;
    /// assert_eq!(built.outputs.paths(), ["greetings.txt"]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn paths(&self) -> Vec<&str> {
        self.entries
            .iter()
            .filter(|(_, entry)| **entry != Entry::Directory)
            .map(|(path, _)| path.as_str())
            .collect()
    }

    /// The bytes of a file; none when no file is at the path.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
    /// # fn main() -> Result<(), synth_core::testkit::Failed> {
    /// # use synth_core::testkit::TestPipeline;
    /// let built = TestPipeline::new(Greet).file("names.txt", "Ada\n").build()?;
    /// assert_eq!(built.outputs.file("greetings.txt").map(<[u8]>::len), Some(12));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&[u8]> {
        match self.entries.get(path)? {
            Entry::File { bytes, .. } => Some(bytes),
            _ => None,
        }
    }

    /// A file as text; none when no file is at the path, or it is not UTF-8.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
    /// # fn main() -> Result<(), synth_core::testkit::Failed> {
    /// # use synth_core::testkit::TestPipeline;
    /// let built = TestPipeline::new(Greet).file("names.txt", "Ada\n").build()?;
    /// assert_eq!(built.outputs.text("greetings.txt"), Some("Hello, Ada!\n"));
    /// assert_eq!(built.outputs.text("other.txt"), None);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn text(&self, path: &str) -> Option<&str> {
        std::str::from_utf8(self.file(path)?).ok()
    }

    /// What a symbolic link says; none when no link is at the path.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
    /// # fn main() -> Result<(), synth_core::testkit::Failed> {
    /// # use synth_core::testkit::TestPipeline;
    /// let built = TestPipeline::new(Greet).file("names.txt", "Ada\n").build()?;
    /// assert_eq!(built.outputs.link("greetings.txt"), None, "it is a file");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn link(&self, path: &str) -> Option<&str> {
        match self.entries.get(path)? {
            Entry::Symlink(target) => Some(target),
            _ => None,
        }
    }

    /// Whether a file that may be executed is at the path.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
    /// # fn main() -> Result<(), synth_core::testkit::Failed> {
    /// # use synth_core::testkit::TestPipeline;
    /// let built = TestPipeline::new(Greet).file("names.txt", "Ada\n").build()?;
    /// assert!(!built.outputs.is_executable("greetings.txt"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_executable(&self, path: &str) -> bool {
        matches!(self.entries.get(path), Some(Entry::File { executable, .. }) if *executable)
    }

    /// Whether a directory is at the path.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
    /// # fn main() -> Result<(), synth_core::testkit::Failed> {
    /// # use synth_core::testkit::TestPipeline;
    /// let built = TestPipeline::new(Greet).file("names.txt", "Ada\n").build()?;
    /// assert!(!built.outputs.is_directory("greetings.txt"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_directory(&self, path: &str) -> bool {
        path.is_empty() || self.entries.get(path) == Some(&Entry::Directory)
    }

    pub(super) fn entry(&self, path: &str) -> Option<&Entry> {
        match path {
            "" => Some(&Entry::Directory),
            path => self.entries.get(path),
        }
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries
            .iter()
            .map(|(path, entry)| (path.as_str(), entry))
    }

    /// Puts an entry at a normal path, making the directories above it. The same thing twice is
    /// one thing.
    pub(super) fn insert(&mut self, path: &str, entry: Entry) -> Result<(), Conflict> {
        for (end, _) in path.match_indices('/') {
            let above = &path[..end];
            match self.entries.get(above) {
                None => {
                    self.entries.insert(above.to_owned(), Entry::Directory);
                }
                Some(Entry::Directory) => {}
                Some(_) => return Err(Conflict(above.to_owned())),
            }
        }
        match self.entry(path) {
            Some(known) if *known == entry => Ok(()),
            Some(_) => Err(Conflict(path.to_owned())),
            None => {
                self.entries.insert(path.to_owned(), entry);
                Ok(())
            }
        }
    }

    /// Puts everything of another tree below a path.
    pub(super) fn merge(&mut self, at: &str, other: &Self) -> Result<(), Conflict> {
        self.insert(at, Entry::Directory)?;
        for (path, entry) in &other.entries {
            self.insert(&joined(at, path), entry.clone())?;
        }
        Ok(())
    }

    /// The names right below a directory, in no particular order.
    pub(super) fn names(&self, directory: &str) -> impl Iterator<Item = &str> {
        let prefix = joined(directory, "");
        let start = Bound::Excluded(prefix.clone());
        self.entries
            .range((start, Bound::Unbounded))
            .map(|(path, _)| path.as_str())
            .map_while(move |path| path.strip_prefix(prefix.as_str()))
            .filter(|rest| !rest.contains('/'))
    }

    /// Writes everything below a directory that is there and empty.
    pub(super) fn write(&self, to: &Path) -> io::Result<()> {
        for (path, entry) in &self.entries {
            let path = to.join(path);
            match entry {
                Entry::Directory => fs::create_dir(path)?,
                Entry::Symlink(target) => std::os::unix::fs::symlink(target, path)?,
                Entry::File { bytes, executable } => {
                    fs::write(&path, bytes)?;
                    set_mode(&path, if *executable { 0o755 } else { 0o644 })?;
                    date(&path)?;
                }
            }
        }
        for (path, entry) in self.entries.iter().rev() {
            if *entry == Entry::Directory {
                date(&to.join(path))?;
            }
        }
        date(to)
    }

    /// Everything below a directory of the disk.
    pub(super) fn read(directory: &Path) -> io::Result<Self> {
        let mut tree = Self::default();
        for found in walkdir::WalkDir::new(directory).min_depth(1) {
            let found = found?;
            let path = found
                .path()
                .strip_prefix(directory)
                .map_err(io::Error::other)?;
            tree.entries
                .insert(utf8(path)?.to_owned(), read_entry(found.path())?);
        }
        Ok(tree)
    }
}

/// What is at a path of the disk.
pub(super) fn read_entry(path: &Path) -> io::Result<Entry> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_symlink() {
        return Ok(Entry::Symlink(utf8(&fs::read_link(path)?)?.to_owned()));
    }
    if metadata.is_dir() {
        return Ok(Entry::Directory);
    }
    if !metadata.is_file() {
        let reason = format!(
            "`{}` is neither a file, a directory nor a link",
            path.display()
        );
        return Err(io::Error::other(reason));
    }
    Ok(Entry::File {
        bytes: fs::read(path)?.into(),
        executable: metadata.permissions().mode() & 0o111 != 0,
    })
}

impl fmt::Debug for FileTree {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = formatter.debug_map();
        for (path, entry) in &self.entries {
            match entry {
                Entry::Directory => map.entry(path, &"directory"),
                Entry::Symlink(target) => map.entry(path, &format!("link to {target}")),
                Entry::File { bytes, .. } => map.entry(path, &String::from_utf8_lossy(bytes)),
            };
        }
        map.finish()
    }
}

fn utf8(path: &Path) -> io::Result<&str> {
    path.to_str()
        .ok_or_else(|| io::Error::other(format!("the name {} is not UTF-8", path.display())))
}

/// A path below another one, either of which may be empty.
pub(super) fn joined(above: &str, below: &str) -> String {
    if above.is_empty() {
        below.to_owned()
    } else {
        format!("{above}/{below}")
    }
}

/// The normal form of a path, as text.
pub(super) fn normal(path: &str) -> Result<String, crate::PathError> {
    Ok(ProjectPath::parse(path)?.as_str().to_owned())
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

fn date(path: &Path) -> io::Result<()> {
    let times = FileTimes::new().set_modified(SystemTime::UNIX_EPOCH + MODIFIED);
    File::open(path)?.set_times(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_survives_the_disk() {
        let mut tree = FileTree::default();
        tree.insert("a/b.txt", Entry::file("text")).unwrap();
        tree.insert("a-b/run", Entry::program("#!")).unwrap();
        tree.insert("a/link", Entry::Symlink("../nowhere".into()))
            .unwrap();
        tree.insert("empty", Entry::Directory).unwrap();
        let directory = tempfile::tempdir().unwrap();
        tree.write(directory.path()).unwrap();
        assert_eq!(FileTree::read(directory.path()).unwrap(), tree);
        assert_eq!(tree.names("a").collect::<Vec<_>>(), ["b.txt", "link"]);
        assert_eq!(tree.names("").collect::<Vec<_>>(), ["a", "a-b", "empty"]);
    }

    #[test]
    fn one_path_is_one_thing() {
        let mut tree = FileTree::default();
        tree.insert("a", Entry::file("1")).unwrap();
        for (path, entry, result) in [
            ("a", Entry::file("1"), Ok(())),
            ("a", Entry::file("2"), Err(Conflict("a".into()))),
            ("a/b", Entry::file("1"), Err(Conflict("a".into()))),
            ("", Entry::file("1"), Err(Conflict(String::new()))),
            ("", Entry::Directory, Ok(())),
        ] {
            assert_eq!(tree.insert(path, entry), result, "{path:?}");
        }
    }
}
