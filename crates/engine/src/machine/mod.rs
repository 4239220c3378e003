//! What the machine has for a build, and how hard it is pressed, as its kernel tells in files.

mod memory;
mod pressure;

use std::fs;
use std::path::{Path, PathBuf};

pub(crate) use pressure::{INTERVAL, Pressure};

/// Where the machine's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The directory with its `proc` and `sys`.
    root: PathBuf,
}

impl Default for Machine {
    fn default() -> Self {
        Self::at("/")
    }
}

impl Machine {
    /// One whose `proc` and `sys` are in a directory: `/` for this one, another for a test.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// The control group that synth is in and those above it, innermost first (cgroup v2).
    fn groups(&self) -> Vec<PathBuf> {
        let Ok(text) = fs::read_to_string(self.path("proc/self/cgroup")) else {
            return Vec::new();
        };
        let Some(own) = text.lines().find_map(|line| line.strip_prefix("0::/")) else {
            return Vec::new();
        };
        // One that is out of sight begins with `..`.
        let own = Path::new(own);
        let plain = |part| matches!(part, std::path::Component::Normal(_));
        if !own.components().all(plain) {
            return Vec::new();
        }
        // Beside version 1 it has a directory of its own.
        let mounts = ["sys/fs/cgroup/unified", "sys/fs/cgroup"].map(|path| self.path(path));
        let mut mounts = mounts.into_iter();
        let Some(mount) = mounts.find(|mount| mount.join("cgroup.controllers").exists()) else {
            return Vec::new();
        };
        own.ancestors().map(|group| mount.join(group)).collect()
    }
}

/// A number that stands alone in a file; none for `max` too.
fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The number behind a word at the beginning of one of a file's lines.
fn number_of(path: &Path, word: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let mut lines = text.lines();
    lines.find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        words.next().filter(|first| *first == word)?;
        words.next()?.parse().ok()
    })
}

/// A machine in a directory, for tests.
#[cfg(test)]
pub(crate) fn made_of(files: &[(&str, &str)]) -> (tempfile::TempDir, Machine) {
    let directory = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let machine = Machine::at(directory.path());
    (directory, machine)
}
