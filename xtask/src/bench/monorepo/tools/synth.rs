//! synth: targets of kind `command`, whose outputs lie among the sources as those of the others do.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;

use super::super::bundle::{BUNDLE, SOURCES};
use super::super::contender::Contender;
use super::super::scenario::Scenario;
use super::super::tree::{PACKAGES, Tree};
use super::command;

pub(crate) const NAME: &str = "synth";

/// The same without a sandbox, where it has one.
pub(crate) const UNCONFINED: &str = "synth, sandbox off";

/// The store of the user, which is beside the tree.
const CACHE: &str = "synth-cache";

/// Writes synth.toml.
pub(crate) fn configure(tree: &Tree<'_>, bundle: &Path) -> Result<()> {
    let mut config = "name = \"monorepo\"\n".to_owned();
    for target in &tree.graph.targets {
        let needs: Vec<&str> = tree.graph.needs(target).collect();
        write!(
            config,
            "\n[targets.{name}]\n\
             type = \"command\"\n\
             source_path = \"{PACKAGES}/{name}\"\n\
             needs = {needs:?}\n\
             command = {:?}\n\
             inputs = [\"{SOURCES}/*.txt\"]\n\
             outputs = [\"{BUNDLE}\"]\n",
            command(tree, target, bundle, "."),
            name = target.name,
        )?;
    }
    tree.write("synth.toml", &config)
}

/// synth as it is.
pub(crate) fn contender<'a>(tree: &'a Tree<'a>, synth: &Path, jobs: usize) -> Contender<'a> {
    let beside = |name: &str| tree.directory.with_file_name(name).into_os_string();
    let arguments = ["build", "--quiet", "--jobs", &jobs.to_string()];
    Contender {
        name: NAME,
        tree,
        program: synth.to_owned(),
        arguments: arguments.map(str::to_owned).to_vec(),
        // The developer's own plugins are not found.
        variables: vec![
            ("XDG_CACHE_HOME", beside(CACHE)),
            ("XDG_DATA_HOME", beside("synth-data")),
        ],
        memory: &[".synth", "../synth-cache"],
        scenarios: &Scenario::ALL,
    }
}

/// synth with `--sandbox MODE`.
pub(crate) fn confined<'a>(mut contender: Contender<'a>, mode: &str) -> Contender<'a> {
    contender.arguments.push(format!("--sandbox={mode}"));
    contender
}

/// synth without a sandbox, which is measured where processes are started.
pub(crate) fn unconfined(contender: Contender<'_>) -> Contender<'_> {
    Contender {
        name: UNCONFINED,
        scenarios: &[Scenario::Cold],
        ..confined(contender, "off")
    }
}
