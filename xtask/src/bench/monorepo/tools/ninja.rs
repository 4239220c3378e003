//! ninja: one edge for each target.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;

use super::super::bundle::{BUNDLE, SOURCES};
use super::super::contender::Contender;
use super::super::graph::FILES;
use super::super::scenario::Scenario;
use super::super::tree::{PACKAGES, Tree, source};

pub(crate) const NAME: &str = "ninja";

/// Writes build.ninja.
pub(crate) fn configure(tree: &Tree<'_>, bundle: &Path) -> Result<()> {
    let mut config = format!(
        "rule bundle\n  command = {} {PACKAGES}/$name $needs\n",
        bundle.display()
    );
    for target in &tree.graph.targets {
        let name = &target.name;
        write!(config, "\nbuild {PACKAGES}/{name}/{BUNDLE}: bundle")?;
        for file in 0..FILES {
            write!(config, " {PACKAGES}/{name}/{SOURCES}/{}", source(file))?;
        }
        let needs: Vec<&str> = tree.graph.needs(target).collect();
        if !needs.is_empty() {
            write!(config, " |")?;
        }
        for need in &needs {
            write!(config, " {PACKAGES}/{need}/{BUNDLE}")?;
        }
        write!(config, "\n  name = {name}\n  needs = {}\n", needs.join(" "))?;
    }
    tree.write("build.ninja", &config)
}

/// ninja, silent but for failures.
pub(crate) fn contender<'a>(tree: &'a Tree<'a>, ninja: &Path, jobs: usize) -> Contender<'a> {
    Contender {
        name: NAME,
        tree,
        program: ninja.to_owned(),
        arguments: vec!["--quiet".to_owned(), format!("-j{jobs}")],
        variables: Vec::new(),
        memory: &[".ninja_log", ".ninja_deps"],
        scenarios: &Scenario::ALL,
    }
}
