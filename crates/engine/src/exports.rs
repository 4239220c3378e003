//! What a target exports, put together from the outputs of its actions.

use synth_core::{Diagnostic, Plan, ProjectPath, TargetSpec};

use crate::tree::{Tree, TreeEntry};

/// The tree that a target exports. `output` gives an action's output by their names.
pub(crate) fn exported_tree<'a>(
    target: &TargetSpec,
    plan: &Plan,
    output: impl Fn(&str, &str) -> Option<&'a TreeEntry>,
) -> Result<Tree, Diagnostic> {
    let mut tree = Tree::default();
    for export in &plan.exports {
        let broken = |reason: String| {
            Diagnostic::error(
                "plan.broken",
                format!(
                    "the exports of target `{}` can't be put together",
                    target.name
                ),
            )
            .concerning(synth_core::Concern::Internal)
            .cause(reason)
        };
        let entry = output(&export.action, &export.output)
            .ok_or_else(|| broken(format!("`{}` is not there", export.output)))?;
        let path = ProjectPath::parse(&export.path).map_err(|error| broken(error.to_string()))?;
        tree.insert(path.as_str(), entry.clone())
            .map_err(|conflict| broken(conflict.to_string()))?;
    }
    Ok(tree)
}
