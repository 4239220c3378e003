//! Checks where targets publish: each into a directory of its own, which no build writes to.

use std::path::{Component, Path, PathBuf};

use synth_core::{Diagnostic, TargetSpec};

use super::Pipeline;

/// Every problem with the directories of releases.
pub(crate) fn check(pipeline: &Pipeline) -> Vec<Diagnostic> {
    let root = &pipeline.root;
    let published = pipeline.targets.iter().filter_map(|target| {
        let publish = target.publish.as_ref()?;
        Some((target, normal(&root.join(&publish.directory))))
    });
    let published: Vec<(&TargetSpec, PathBuf)> = published.collect();
    let mut problems = Vec::new();
    for (index, (target, directory)) in published.iter().enumerate() {
        let mut earlier = published.iter().take(index);
        let shared = earlier.find(|(_, other)| other == directory);
        let problem = match shared {
            Some((other, _)) => Some(format!(
                "targets `{}` and `{}` publish into one directory",
                other.name, target.name
            )),
            None => misplaced(pipeline, target, directory),
        };
        problems.extend(problem.map(|message| {
            let problem = Diagnostic::error("config.publish.directory", message)
                .at_setting(["publish", "directory"])
                .help(
                    "name a directory that is for the releases of this target, and for nothing else",
                );
            pipeline.locate(&target.name, problem)
        }));
    }
    problems
}

/// Why a directory can't have releases in it.
fn misplaced(pipeline: &Pipeline, target: &TargetSpec, directory: &Path) -> Option<String> {
    let (name, root) = (&target.name, &pipeline.root);
    if root.starts_with(directory) {
        return Some(format!(
            "target `{name}` publishes into the project's own directory, or one above it"
        ));
    }
    if directory.starts_with(root.join(".synth")) {
        return Some(format!(
            "target `{name}` publishes into synth's own directory"
        ));
    }
    let written = pipeline.targets.iter().find(|other| {
        let output = root.join(other.output_path.as_str());
        output.starts_with(directory) || directory.starts_with(output)
    });
    written.map(|other| {
        format!(
            "target `{name}` publishes where the outputs of `{}` are: `{}`",
            other.name, other.output_path
        )
    })
}

/// A path without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            component => normal.push(component),
        }
    }
    normal
}
