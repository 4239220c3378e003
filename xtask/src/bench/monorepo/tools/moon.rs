//! moon: projects, each with a task `build`.

use std::path::Path;

use anyhow::Result;

use super::super::bundle::{BUNDLE, SOURCES};
use super::super::contender::Contender;
use super::super::scenario::Scenario;
use super::super::tree::{PACKAGES, Tree};
use super::command;

pub(crate) const NAME: &str = "moon";

/// Writes the workspace's configuration, and that of each project.
pub(crate) fn configure(tree: &Tree<'_>, bundle: &Path) -> Result<()> {
    std::fs::create_dir_all(tree.directory.join(".moon"))?;
    let workspace = format!("projects: ['{PACKAGES}/*']\nvcs:\n  client: git\ntelemetry: false\n");
    tree.write(".moon/workspace.yml", &workspace)?;
    for target in &tree.graph.targets {
        let needs: Vec<&str> = tree.graph.needs(target).collect();
        let project = format!(
            "dependsOn: {needs:?}\n\
             tasks:\n  \
               build:\n    \
                 command: '{}'\n    \
                 deps: ['^:build']\n    \
                 inputs: ['{SOURCES}/*.txt']\n    \
                 outputs: ['{BUNDLE}']\n",
            command(tree, target, bundle, ".").join(" ")
        );
        tree.write(format!("{PACKAGES}/{}/moon.yml", target.name), &project)?;
    }
    Ok(())
}

/// moon, silent but for failures. What it keeps for a user is beside the tree.
pub(crate) fn contender<'a>(tree: &'a Tree<'a>, moon: &Path, jobs: usize) -> Contender<'a> {
    let beside = |name: &str| tree.directory.with_file_name(name).into_os_string();
    let arguments = [
        "--quiet",
        "--concurrency",
        &jobs.to_string(),
        "run",
        ":build",
    ];
    Contender {
        name: NAME,
        tree,
        program: moon.to_owned(),
        arguments: arguments.map(str::to_owned).to_vec(),
        variables: vec![
            ("MOON_HOME", beside("moon-home")),
            ("PROTO_HOME", beside("proto-home")),
        ],
        memory: &[".moon/cache"],
        scenarios: &Scenario::ALL,
    }
}
