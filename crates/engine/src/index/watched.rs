//! What is read before there is a project: the configuration and the plugins, each looked at before
//! it is read.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};

use synth_core::Digest;

use super::fact::{Fact, Seen};
use super::stamp::{Stamp, file_clock};
use crate::digest::digest_file;

/// What was looked at.
#[derive(Clone, Debug, Default)]
pub struct Watched(Vec<Look>);

#[derive(Clone, Debug)]
struct Look {
    path: PathBuf,
    /// None when nothing was there.
    stamp: Option<Stamp>,
    looked: i64,
    /// Of what was so young that its stamp does not tell enough.
    content: Option<Content>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    File(Digest),
    /// The names in a directory.
    Names(Vec<PathBuf>),
}

impl Content {
    fn of(path: &Path) -> Option<Self> {
        if !path.is_dir() {
            return digest_file(path).ok().map(Self::File);
        }
        let entries = fs::read_dir(path).ok()?;
        let names = entries.map(|entry| Some(entry.ok()?.path()));
        let mut names = names.collect::<Option<Vec<_>>>()?;
        names.sort();
        Some(Self::Names(names))
    }
}

impl Watched {
    /// Looks at a path, which is read after this.
    pub(crate) fn look(&mut self, path: &Path) {
        let looked = file_clock();
        let stamp = Stamp::followed(path).ok();
        let young = stamp.is_some_and(|stamp| !stamp.is_settled(looked));
        self.0.push(Look {
            path: path.to_owned(),
            stamp,
            looked,
            content: young.then(|| Content::of(path)).flatten(),
        });
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// As facts; none when one can't be written down.
    pub(crate) fn facts(&self, root: &Path) -> Option<Vec<Fact<'static>>> {
        let facts = self.0.iter().map(|look| {
            let shown = look
                .path
                .strip_prefix(root)
                .unwrap_or(&look.path)
                .to_str()?;
            Some(Fact {
                path: Cow::Owned(shown.to_owned()),
                seen: look.seen(),
            })
        });
        facts.collect()
    }
}

impl Look {
    fn seen(&self) -> Seen<'static> {
        let Some(stamp) = self.stamp else {
            return Seen::Nothing;
        };
        if stamp.is_settled(self.looked) {
            return Seen::Listed(stamp);
        }
        let looked = file_clock();
        let now = Stamp::followed(&self.path).ok();
        let same = self.content.is_some() && Content::of(&self.path) == self.content;
        match now {
            Some(now) if same && now.is_settled(looked) => Seen::Listed(now),
            // It is looked at every time.
            _ => Seen::Listed(Stamp::never()),
        }
    }
}
