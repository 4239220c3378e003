//! The tools that are compared: what each is told about a monorepo, and the command that builds it.

pub(crate) mod git;
pub(crate) mod ninja;
pub(crate) mod synth;

use std::path::Path;

use super::graph::Target;
use super::tree::Tree;

/// The command of a target, which is the same for all tools but for the package's directory.
fn command(tree: &Tree<'_>, target: &Target, bundle: &Path, package: &str) -> Vec<String> {
    let mut command = vec![bundle.display().to_string(), package.to_owned()];
    command.extend(tree.graph.needs(target).map(str::to_owned));
    command
}
