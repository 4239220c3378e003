//! git: what it takes to see that nothing has changed, in the monorepo that synth builds.

use std::path::Path;

use anyhow::Result;

use super::super::contender::Contender;
use super::super::scenario::Scenario;
use super::super::tree::Tree;
use crate::shell::{Program, Shell};

pub(crate) const NAME: &str = "git status";

/// What the tools leave, and what no one commits.
const IGNORED: &str = "out/\nnode_modules/\n.moon/cache/\n.synth/\n.task/\n.turbo/\n";

/// Commits the tree.
pub(crate) fn commit(shell: &Shell, tree: &Tree<'_>) -> Result<()> {
    tree.write(".gitignore", IGNORED)?;
    for arguments in [
        &["init", "--quiet"][..],
        // No work of its own while something is measured.
        &["config", "gc.auto", "0"],
        &["config", "maintenance.auto", "false"],
        &["add", "."],
        &[
            "-c",
            "user.name=bench",
            "-c",
            "user.email=bench@localhost",
            "commit",
            "--quiet",
            "--message=monorepo",
        ],
    ] {
        let git = Program::new("git", arguments.iter().copied());
        shell.demand(&git.directory(&tree.directory))?;
    }
    Ok(())
}

/// `git status`.
pub(crate) fn contender<'a>(tree: &'a Tree<'a>) -> Contender<'a> {
    Contender {
        name: NAME,
        tree,
        program: Path::new("git").to_owned(),
        arguments: vec!["status".to_owned(), "--short".to_owned()],
        variables: Vec::new(),
        memory: &[],
        scenarios: &[Scenario::Nothing],
    }
}
