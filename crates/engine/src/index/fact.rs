//! What a build saw of the file system, in a form that can be compared with what is there now.

use std::borrow::Cow;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, statat};
use serde::{Deserialize, Serialize};
use synth_core::FileKind;

use super::stamp::Stamp;
use crate::digest::digest_file;
use crate::tools;

/// One thing that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Fact<'a> {
    /// Absolute, or relative to the project's root.
    #[serde(borrow)]
    pub(crate) path: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) seen: Seen<'a>,
}

/// What was seen at a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Seen<'a> {
    /// Nothing.
    Nothing,
    /// A file with this content, links followed.
    File { stamp: Stamp, sha256: [u8; 32] },
    /// Something whose content is not asked for while its stamp is the same.
    Stamped(Stamp),
    /// The same, links followed: a directory that was listed.
    Listed(Stamp),
    /// Something of a kind.
    Kind(Kind),
    /// A link, by what it says.
    Link(#[serde(borrow)] Cow<'a, str>),
    /// A way, through links, to another path.
    LeadsTo(#[serde(borrow)] Cow<'a, str>),
    /// A program that says its version with these arguments.
    Version {
        arguments: Vec<String>,
        #[serde(borrow)]
        output: Cow<'a, str>,
    },
}

/// [`FileKind`], or nothing at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Kind {
    Nothing,
    File,
    Directory,
    Symlink,
    Other,
}

impl From<Option<FileKind>> for Kind {
    fn from(kind: Option<FileKind>) -> Self {
        match kind {
            None => Self::Nothing,
            Some(FileKind::File) => Self::File,
            Some(FileKind::Directory) => Self::Directory,
            Some(FileKind::Symlink) => Self::Symlink,
            Some(_) => Self::Other,
        }
    }
}

/// How a fact compares with what is there now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Same,
    /// The content is the same, and the stamp another.
    Touched(Stamp),
    /// There was something, and now there is nothing.
    Gone,
    Changed,
}

impl Verdict {
    /// Whether what was seen is still so.
    pub(crate) fn holds(self) -> bool {
        matches!(self, Self::Same | Self::Touched(_))
    }
}

/// The directory that relative paths are looked up from.
#[derive(Debug)]
pub(crate) struct Base(OwnedFd);

impl Base {
    pub(crate) fn open(root: &Path) -> rustix::io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(root, flags, Mode::empty()).map(Self)
    }

    /// What is at a path; none when nothing is.
    fn stamp(&self, path: &str, follow: bool) -> rustix::io::Result<Option<(Stamp, FileType)>> {
        let flags = if follow {
            AtFlags::empty()
        } else {
            AtFlags::SYMLINK_NOFOLLOW
        };
        match statat(&self.0, path, flags) {
            Ok(stat) => Ok(Some((
                Stamp::of_stat(&stat),
                FileType::from_raw_mode(stat.st_mode),
            ))),
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Fact<'_> {
    /// Compares with what is there now. What can't be looked at has changed.
    pub(crate) fn judge(&self, base: &Base, root: &Path) -> Verdict {
        let path = self.path.as_ref();
        let same = |same: bool| {
            if same {
                Verdict::Same
            } else {
                Verdict::Changed
            }
        };
        let now = |follow| base.stamp(path, follow);
        match &self.seen {
            Seen::Nothing => same(matches!(now(true), Ok(None))),
            Seen::File { stamp, sha256 } => match now(true) {
                Ok(Some((now, _))) if now == *stamp => Verdict::Same,
                // A file that was written anew, or dated anew, may be what it was.
                Ok(Some((now, FileType::RegularFile))) if now.is_like(stamp) => {
                    let digest = digest_file(&root.join(path));
                    let known = digest.is_ok_and(|digest| digest.sha256 == hex::encode(sha256));
                    if known {
                        Verdict::Touched(now)
                    } else {
                        Verdict::Changed
                    }
                }
                _ => Verdict::Changed,
            },
            Seen::Stamped(stamp) => match now(false) {
                Ok(Some((now, _))) => same(now == *stamp),
                Ok(None) => Verdict::Gone,
                Err(_) => Verdict::Changed,
            },
            Seen::Listed(stamp) => same(matches!(now(true), Ok(Some((now, _))) if now == *stamp)),
            Seen::Kind(kind) => match now(false).map(kind_of) {
                Ok(now) if now == *kind => Verdict::Same,
                Ok(Kind::Nothing) => Verdict::Gone,
                _ => Verdict::Changed,
            },
            Seen::Link(to) => {
                let now = fs::read_link(root.join(path));
                same(now.is_ok_and(|now| now.as_os_str() == to.as_ref()))
            }
            Seen::LeadsTo(to) => {
                let now = fs::canonicalize(root.join(path));
                same(now.is_ok_and(|now| now.as_os_str() == to.as_ref()))
            }
            Seen::Version { arguments, output } => {
                let now = tools::ask_version(Path::new(path), arguments);
                same(now.is_ok_and(|now| now == *output))
            }
        }
    }
}

fn kind_of(found: Option<(Stamp, FileType)>) -> Kind {
    match found.map(|(_, kind)| kind) {
        None => Kind::Nothing,
        Some(FileType::RegularFile) => Kind::File,
        Some(FileType::Directory) => Kind::Directory,
        Some(FileType::Symlink) => Kind::Symlink,
        Some(_) => Kind::Other,
    }
}
