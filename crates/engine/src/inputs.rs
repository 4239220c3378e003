//! The tree that an action starts from: its inputs, each at its place.

use std::collections::BTreeMap;

use synth_core::{Action, Diagnostic, Input, InputSource, PlanError, ProjectPath};

use crate::digest::digest_bytes;
use crate::project::Project;
use crate::store::ActionOutputs;
use crate::tree::{Conflict, FileEntry, Origin, Tree, TreeEntry};

/// What actions that ran before have left.
#[derive(Clone, Debug, Default)]
pub(crate) struct Available {
    /// By action id, those of the same plan.
    pub(crate) outputs: BTreeMap<String, ActionOutputs>,
    /// By target name, what needed targets export.
    pub(crate) targets: BTreeMap<String, Tree>,
}

/// Lays out an action's inputs.
pub(crate) fn input_tree(
    action: &Action,
    project: &Project,
    available: &Available,
) -> Result<Tree, Diagnostic> {
    let mut root = Tree::default();
    for input in &action.inputs {
        let entry = entry(action, input, project, available)?;
        let at = ProjectPath::parse(&input.at)
            .map_err(|error| broken_plan(action, &format!("input at {error}")))?;
        root.insert(at.as_str(), entry)
            .map_err(|conflict| meeting(action, &conflict))?;
    }
    Ok(root)
}

fn entry(
    action: &Action,
    input: &Input,
    project: &Project,
    available: &Available,
) -> Result<TreeEntry, Diagnostic> {
    let unreadable = |error: PlanError| {
        Diagnostic::error(
            "input.unreadable",
            format!("an input of `{}` can't be read", action.description),
        )
        .caused_by(&error)
    };
    match &input.from {
        InputSource::Source(files) => project
            .tree(files)
            .map(TreeEntry::Directory)
            .map_err(unreadable),
        InputSource::Files { root, paths } => project
            .tree_of(root, paths)
            .map(TreeEntry::Directory)
            .map_err(unreadable),
        InputSource::Output {
            action: from,
            output,
        } => available
            .outputs
            .get(from)
            .and_then(|outputs| outputs.get(output))
            .cloned()
            .ok_or_else(|| broken_plan(action, &format!("no output `{output}` of `{from}`"))),
        InputSource::Target { name } => available
            .targets
            .get(name)
            .cloned()
            .map(TreeEntry::Directory)
            .ok_or_else(|| broken_plan(action, &format!("the target does not need `{name}`"))),
        InputSource::Inline(file) => {
            let bytes = file.text.as_bytes();
            Ok(TreeEntry::File(FileEntry {
                digest: digest_bytes(bytes),
                executable: file.executable,
                origin: Origin::Inline(bytes.into()),
            }))
        }
        _ => Err(broken_plan(
            action,
            "an input of a kind that this version does not know",
        )),
    }
}

/// Sources, or what needed targets left, that claim one place.
fn meeting(action: &Action, conflict: &Conflict) -> Diagnostic {
    Diagnostic::error(
        "input.conflict",
        format!("`{}` can't begin: {conflict}", action.description),
    )
    .help("two different files would have that name: rename one, or put it elsewhere")
}

/// A plan that can't be carried out: the fault of the target kind, not of its user.
pub(crate) fn broken_plan(action: &Action, reason: &str) -> Diagnostic {
    Diagnostic::error(
        "plan.broken",
        format!(
            "the plan's action `{}` can't be carried out: {reason}",
            action.id
        ),
    )
    .concerning(synth_core::Concern::Internal)
    .help("this is a fault of the target kind: report it to its authors")
}
