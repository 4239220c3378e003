//! The index as it is kept: facts, each once, and which targets rest on which of them. A file that
//! is not whole is none.

use std::borrow::Cow;
use std::fs;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::fact::Fact;
use crate::digest::digest_bytes;
use crate::store::KeptTree;

/// How a file begins, with the version of its form.
const HEADER: &[u8] = b"synth-index-3\n";

/// The bytes of a SHA-256.
const DIGEST_BYTES: usize = 32;

/// What one build, of one choice of targets, saw and left.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Contents<'a> {
    /// [`BuildReport::pipeline`](crate::BuildReport).
    #[serde(borrow)]
    pub(crate) pipeline: Cow<'a, str>,
    /// [`BuildReport::environment`](crate::BuildReport).
    #[serde(borrow)]
    pub(crate) environment: Option<Cow<'a, str>>,
    /// What belongs to no target: diagnostics as JSON.
    #[serde(borrow)]
    pub(crate) diagnostics: Cow<'a, str>,
    /// The project's root.
    #[serde(borrow)]
    pub(crate) root: Cow<'a, str>,
    /// The number of targets of the pipeline. Those without an entry did not succeed, or rest on
    /// something that can't be watched.
    pub(crate) targets: usize,
    #[serde(borrow)]
    pub(crate) facts: Vec<Fact<'a>>,
    /// How many of the facts, the first ones, concern every target: the configuration, plugins.
    pub(crate) common: usize,
    #[serde(borrow)]
    pub(crate) entries: Vec<Entry<'a>>,
    #[serde(borrow)]
    pub(crate) places: Vec<Place<'a>>,
}

/// Where a target that was planned leaves its outputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Place<'a> {
    #[serde(borrow)]
    pub(crate) name: Cow<'a, str>,
    /// Whether its outputs are among its sources.
    pub(crate) in_place: bool,
    /// Which of the sources are its outputs, as its plan says; none when that says nothing.
    #[serde(borrow)]
    pub(crate) patterns: Option<Vec<Cow<'a, str>>>,
}

/// A target that succeeded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry<'a> {
    #[serde(borrow)]
    pub(crate) name: Cow<'a, str>,
    /// What it rests on, by index.
    pub(crate) facts: Vec<u32>,
    /// What it has left, by index: its outputs as they were written.
    pub(crate) left: Vec<u32>,
    /// The tree that it exports.
    pub(crate) exports: KeptTree,
    /// Its report, as JSON, of a build in which nothing of it was executed.
    #[serde(borrow)]
    pub(crate) report: Cow<'a, str>,
}

impl Entry<'_> {
    /// What it rests on and what it has left.
    fn all_facts(&self) -> impl Iterator<Item = &u32> {
        self.facts.iter().chain(&self.left)
    }
}

/// Checks that a file is whole; gives what [`parse`] takes.
fn body(bytes: &[u8]) -> Option<&[u8]> {
    let rest = bytes.strip_prefix(HEADER)?;
    let (digest, body) = rest.split_at_checked(DIGEST_BYTES)?;
    (hex::encode(digest) == digest_bytes(body).sha256).then_some(body)
}

/// Reads a file; none when it is not whole.
pub(crate) fn read(bytes: &[u8]) -> Option<Contents<'_>> {
    parse(body(bytes)?)
}

/// Reads the body of a file.
fn parse(body: &[u8]) -> Option<Contents<'_>> {
    let contents: Contents<'_> = postcard::from_bytes(body).ok()?;
    let count = u32::try_from(contents.facts.len()).ok()?;
    let mut entries = contents.entries.iter();
    let sound = contents.common <= contents.facts.len()
        && entries.all(|entry| entry.all_facts().all(|fact| *fact < count));
    sound.then_some(contents)
}

/// Writes a file beside, then moves it there: a build that dies leaves the one or the other.
pub(crate) fn write(path: &Path, contents: &Contents<'_>) -> std::io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(HEADER)?;
    // The digest is known when all is written.
    file.write_all(&[0; DIGEST_BYTES])?;
    let body = Hashing {
        to: &mut file,
        hasher: Sha256::new(),
    };
    let body = BufWriter::with_capacity(BUFFER_BYTES, body);
    let body = postcard::to_io(contents, body).map_err(std::io::Error::other)?;
    let body = body.into_inner().map_err(|error| error.into_error())?;
    let digest = body.hasher.finalize();
    file.seek(SeekFrom::Start(HEADER.len().try_into().unwrap_or_default()))?;
    file.write_all(&digest)?;
    file.persist(path)?;
    Ok(())
}

const BUFFER_BYTES: usize = 256 * 1024;

/// Writes on, and hashes what it writes.
struct Hashing<W> {
    to: W,
    hasher: Sha256,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.to.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fact::Seen;
    use super::*;

    #[test]
    fn a_file_that_is_not_whole_is_none() {
        let contents = Contents {
            pipeline: "p".into(),
            facts: vec![Fact {
                path: "a".into(),
                seen: Seen::Nothing,
            }],
            entries: vec![Entry {
                name: "t".into(),
                facts: vec![0],
                left: vec![0],
                exports: KeptTree::Inline(vec![1, 2]),
                report: "{}".into(),
            }],
            places: vec![Place {
                name: "t".into(),
                in_place: true,
                patterns: Some(vec!["out".into()]),
            }],
            ..Contents::default()
        };
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("index");
        write(&path, &contents).unwrap();
        let bytes = fs::read(&path).unwrap();
        assert_eq!(parse(body(&bytes).unwrap()), Some(contents.clone()));
        for length in 0..bytes.len() {
            assert!(body(&bytes[..length]).is_none(), "{length}");
        }
        for position in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[position] ^= 1;
            assert!(body(&damaged).is_none(), "{position}");
        }
        for of_what_it_left in [false, true] {
            let mut leading_nowhere = contents.clone();
            let entry = &mut leading_nowhere.entries[0];
            match of_what_it_left {
                true => entry.left = vec![1],
                false => entry.facts = vec![1],
            }
            write(&path, &leading_nowhere).unwrap();
            let bytes = fs::read(&path).unwrap();
            assert_eq!(parse(body(&bytes).unwrap()), None);
        }
    }
}
