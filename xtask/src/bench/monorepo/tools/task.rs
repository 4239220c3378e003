//! Task: one Taskfile, and checksums of sources.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;

use super::super::bundle::{BUNDLE, SOURCES};
use super::super::contender::Contender;
use super::super::scenario::Scenario;
use super::super::tree::{PACKAGES, Tree};
use super::command;

pub(crate) const NAME: &str = "Task";

/// Writes Taskfile.yml.
pub(crate) fn configure(tree: &Tree<'_>, bundle: &Path) -> Result<()> {
    let last: Vec<&str> = tree.graph.last().map(|one| one.name.as_str()).collect();
    // Without `run: once`, a task runs once for each that depends on it.
    let mut config = format!(
        "version: '3'\nrun: once\nmethod: checksum\ntasks:\n  default:\n    deps: {last:?}\n"
    );
    for target in &tree.graph.targets {
        let name = &target.name;
        let needs: Vec<&str> = tree.graph.needs(target).collect();
        let mut sources = vec![format!("{SOURCES}/*.txt")];
        sources.extend(needs.iter().map(|need| format!("../{need}/{BUNDLE}")));
        write!(
            config,
            "  {name}:\n    \
                 dir: {PACKAGES}/{name}\n    \
                 deps: {needs:?}\n    \
                 sources: {sources:?}\n    \
                 generates: ['{BUNDLE}']\n    \
                 cmd: '{}'\n",
            command(tree, target, bundle, ".").join(" ")
        )?;
    }
    tree.write("Taskfile.yml", &config)
}

/// task, silent but for failures.
pub(crate) fn contender<'a>(tree: &'a Tree<'a>, task: &Path, jobs: usize) -> Contender<'a> {
    let arguments = ["--silent", "--concurrency", &jobs.to_string()];
    Contender {
        name: NAME,
        tree,
        program: task.to_owned(),
        arguments: arguments.map(str::to_owned).to_vec(),
        variables: Vec::new(),
        memory: &[".task"],
        scenarios: &Scenario::ALL,
    }
}
