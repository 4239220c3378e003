//! A monorepo on disk: its sources, and whether what is built from them is right.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};
use fastrand::Rng;

use super::bundle::{BUNDLE, SOURCES, bundle, digest};
use super::graph::{FILES, Graph, Target};

/// Where the packages are.
pub(crate) const PACKAGES: &str = "packages";

/// Random words of 16 digits in each source: about half a kilobyte.
const WORDS: usize = 32;

/// A graph's packages below a directory.
pub(crate) struct Tree<'a> {
    pub(crate) graph: &'a Graph,
    pub(crate) directory: PathBuf,
}

impl Tree<'_> {
    /// The package of a target.
    pub(crate) fn package(&self, target: &Target) -> PathBuf {
        self.directory.join(PACKAGES).join(&target.name)
    }

    /// Writes a file.
    pub(crate) fn write(&self, path: impl AsRef<Path>, text: &str) -> Result<()> {
        let path = self.directory.join(path);
        fs::write(&path, text).with_context(|| format!("{} can't be written", path.display()))
    }

    /// Writes all sources, into a directory that is not there yet.
    pub(crate) fn write_sources(&self) -> Result<()> {
        ensure!(
            !self.directory.exists(),
            "{} exists: remove it, or choose another directory",
            self.directory.display()
        );
        let mut random = Rng::with_seed(20);
        for target in &self.graph.targets {
            let sources = self.package(target).join(SOURCES);
            fs::create_dir_all(&sources)?;
            for file in 0..FILES {
                let mut text = String::new();
                for _ in 0..WORDS {
                    writeln!(text, "{:016x}", random.u64(..))?;
                }
                fs::write(sources.join(source(file)), text)?;
            }
        }
        Ok(())
    }

    /// When each bundle was written, in the graph's order; none for one that is not there.
    pub(crate) fn written(&self) -> Vec<Option<SystemTime>> {
        let targets = self.graph.targets.iter();
        let written = targets.map(|target| {
            let place = self.package(target).join(BUNDLE);
            fs::metadata(place)
                .and_then(|bundle| bundle.modified())
                .ok()
        });
        written.collect()
    }

    /// Whether every bundle is what the sources, as they are now, say.
    pub(crate) fn verify(&self) -> Result<()> {
        let mut digests = Vec::with_capacity(self.graph.targets.len());
        for target in &self.graph.targets {
            let package = self.package(target);
            let needs = target.needs.iter().filter_map(|need| digests.get(*need));
            let needs: Vec<u64> = needs.copied().collect();
            let expected = bundle(&package, &needs)?;
            let place = package.join(BUNDLE);
            let Ok(found) = fs::read(&place) else {
                bail!("{} is missing", place.display());
            };
            ensure!(found == expected, "{} is stale", place.display());
            digests.push(digest(&expected));
        }
        Ok(())
    }
}

/// The source that a change of a target changes, relative to a tree's directory.
pub(crate) fn changed_source(target: &Target) -> String {
    format!("{PACKAGES}/{}/{SOURCES}/{}", target.name, source(0))
}

/// The name of a source.
pub(crate) fn source(number: usize) -> String {
    format!("{number:02}.txt")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds, as a tool would.
    fn build(tree: &Tree<'_>) {
        let mut digests = Vec::new();
        for target in &tree.graph.targets {
            let needs: Vec<u64> = target.needs.iter().map(|need| digests[*need]).collect();
            let text = bundle(&tree.package(target), &needs).unwrap();
            digests.push(digest(&text));
            let place = tree.package(target).join(BUNDLE);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(place, text).unwrap();
        }
    }

    #[test]
    fn what_is_stale_or_missing_is_seen() {
        let scratch = tempfile::tempdir().unwrap();
        let graph = Graph::new(super::super::graph::SMALLEST);
        let tree = Tree {
            graph: &graph,
            directory: scratch.path().join("tree"),
        };
        tree.write_sources().unwrap();
        let problem = || tree.verify().unwrap_err().to_string();
        assert!(problem().ends_with("is missing"));
        build(&tree);
        tree.verify().unwrap();
        let changed = graph.change().unwrap().target;
        tree.write(changed_source(changed), "changed\n").unwrap();
        assert!(problem().ends_with("is stale"));
        let first = &changed.name;
        assert!(problem().contains(first.as_str()));
        // As if the change had reached its own target alone.
        let built = fs::read(tree.directory.join(PACKAGES).join(first).join(BUNDLE)).unwrap();
        build(&tree);
        tree.verify().unwrap();
        tree.write(
            format!("{PACKAGES}/{first}/{BUNDLE}"),
            &String::from_utf8(built).unwrap(),
        )
        .unwrap();
        assert!(problem().ends_with("is stale"));
    }
}
