//! A wheel as a file (PEP 427): its name taken apart, and its members.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use synth_core::Diagnostic;
use zip::ZipArchive;

use super::{file_name, unreadable};

/// The parts of a wheel's file name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct WheelName {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) build: Option<String>,
    /// Every combination of its compressed tags: `py2-none-any` and `py3-none-any` of
    /// `py2.py3-none-any`.
    pub(super) tags: BTreeSet<String>,
}

impl WheelName {
    /// Takes a file name apart; none when it is not one of a wheel.
    pub(super) fn parse(file_name: &str) -> Option<Self> {
        let parts: Vec<&str> = file_name.strip_suffix(".whl")?.split('-').collect();
        let (build, tags) = match parts.as_slice() {
            [_, _, tags @ ..] if tags.len() == 3 => (None, tags),
            [_, _, build, tags @ ..]
                if tags.len() == 3 && build.starts_with(|c: char| c.is_ascii_digit()) =>
            {
                (Some((*build).to_owned()), tags)
            }
            _ => return None,
        };
        Some(Self {
            name: parts[0].to_owned(),
            version: parts[1].to_owned(),
            build,
            tags: expanded(&tags.join("-")),
        })
    }
}

/// Every combination of a compressed tag.
pub(super) fn expanded(tag: &str) -> BTreeSet<String> {
    tag.split('-')
        .fold(BTreeSet::from([String::new()]), |tags, part| {
            let extend = |tag: &String| {
                let separator = if tag.is_empty() { "" } else { "-" };
                part.split('.')
                    .map(|choice| format!("{tag}{separator}{choice}"))
                    .collect::<Vec<_>>()
            };
            tags.iter().flat_map(extend).collect()
        })
}

/// A member's digest as RECORD writes it, and its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) sha256: String,
    pub(super) size: u64,
}

/// A wheel that has been read.
pub(super) struct Wheel {
    pub(super) file_name: String,
    /// All files, by path.
    pub(super) members: BTreeMap<String, Member>,
    /// Paths that are there more than once.
    pub(super) twice: Vec<String>,
    /// Directories `*.dist-info`.
    pub(super) info_directories: BTreeSet<String>,
    texts: BTreeMap<String, Vec<u8>>,
}

impl Wheel {
    /// Reads a file.
    pub(super) fn read(path: &Path) -> Result<Self, Diagnostic> {
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        let broken = |error: &dyn std::error::Error| {
            Diagnostic::error("python.wheel.archive", "it is not a sound zip archive")
                .in_file(file_name(path))
                .caused_by(error)
        };
        let mut archive = ZipArchive::new(file).map_err(|error| broken(&error))?;
        let mut wheel = Self {
            file_name: file_name(path),
            members: BTreeMap::new(),
            twice: Vec::new(),
            info_directories: BTreeSet::new(),
            texts: BTreeMap::new(),
        };
        for index in 0..archive.len() {
            let mut member = archive.by_index(index).map_err(|error| broken(&error))?;
            if member.is_dir() {
                continue;
            }
            let name = member.name().map_err(|error| broken(&error))?.into_owned();
            let mut contents = Vec::new();
            member
                .read_to_end(&mut contents)
                .map_err(|error| broken(&error))?;
            wheel.add(name, contents);
        }
        Ok(wheel)
    }

    fn add(&mut self, name: String, contents: Vec<u8>) {
        let member = Member {
            sha256: URL_SAFE_NO_PAD.encode(Sha256::digest(&contents)),
            size: u64::try_from(contents.len()).unwrap_or(u64::MAX),
        };
        if let Some((directory, _)) = name.split_once('/')
            && directory.ends_with(".dist-info")
        {
            self.info_directories.insert(directory.to_owned());
            self.texts.insert(name.clone(), contents);
        }
        if self.members.insert(name.clone(), member).is_some() {
            self.twice.push(name);
        }
    }

    /// The bytes of a file of the `.dist-info` directory.
    pub(super) fn info(&self, directory: &str, name: &str) -> Option<&[u8]> {
        let contents = self.texts.get(&format!("{directory}/{name}"));
        contents.map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_taken_apart() {
        for (name, expected) in [
            (
                "a_b-1.0-py3-none-any.whl",
                Some("a_b 1.0 None py3-none-any"),
            ),
            (
                "a-1-2b-py2.py3-none-any.whl",
                Some("a 1 Some(\"2b\") py2-none-any,py3-none-any"),
            ),
            ("a-1-b-py3-none-any.whl", None),
            ("a-1-py3-none.whl", None),
            ("a-1.tar.gz", None),
        ] {
            let parsed = WheelName::parse(name).map(|parsed| {
                let tags: Vec<String> = parsed.tags.into_iter().collect();
                let build = parsed.build;
                format!(
                    "{} {} {build:?} {}",
                    parsed.name,
                    parsed.version,
                    tags.join(",")
                )
            });
            assert_eq!(parsed.as_deref(), expected, "{name}");
        }
    }
}
