//! Checks where targets read and write: sources that are there, outputs that stay inside the
//! project, apart from each other and from every source.

use std::path::Path;

use synth_core::{Diagnostic, ProjectPath, TargetSpec};

use super::Pipeline;

/// A problem that there is only if certain targets put their outputs where every target does that
/// was not told otherwise. A target that leaves them among its sources does not.
#[derive(Clone, Debug)]
pub(crate) struct DefaultPathProblem {
    pub(crate) problem: Diagnostic,
    pub(crate) targets: Vec<String>,
}

/// Every problem with the targets' paths: those that are certain, and those that are not yet.
pub(crate) fn check(pipeline: &Pipeline) -> (Vec<Diagnostic>, Vec<DefaultPathProblem>) {
    let mut problems = Problems {
        pipeline,
        certain: Vec::new(),
        default_paths: Vec::new(),
    };
    for (index, target) in pipeline.targets.iter().enumerate() {
        if let Some(problem) = source(&pipeline.root, target) {
            let problem = pipeline.locate(&target.name, problem);
            problems.certain.push(problem);
        }
        if let Some(problem) = output(&pipeline.root, target) {
            problems.add(problem, &[target]);
        }
        let covered = pipeline.targets.iter().find(|other| {
            let source_path = &other.source_path;
            source_path.strip_prefix(&target.output_path).is_some()
        });
        if let Some(other) = covered {
            problems.add(output_over_source(target, other), &[target]);
        }
        for earlier in &pipeline.targets[..index] {
            if let Some(problem) = overlap(earlier, target) {
                problems.add(problem, &[target, earlier]);
            }
        }
    }
    (problems.certain, problems.default_paths)
}

struct Problems<'a> {
    pipeline: &'a Pipeline,
    certain: Vec<Diagnostic>,
    default_paths: Vec<DefaultPathProblem>,
}

impl Problems<'_> {
    /// Adds a problem of the first of these targets, by reason of the output paths of all.
    fn add(&mut self, problem: Diagnostic, targets: &[&TargetSpec]) {
        let problem = match targets.first() {
            Some(target) => self.pipeline.locate(&target.name, problem),
            None => problem,
        };
        let unchosen = targets.iter().filter(|target| !target.output_path_chosen);
        let targets: Vec<String> = unchosen.map(|target| target.name.clone()).collect();
        if targets.is_empty() {
            self.certain.push(problem);
        } else {
            let deferred = DefaultPathProblem { problem, targets };
            self.default_paths.push(deferred);
        }
    }
}

fn source(root: &Path, target: &TargetSpec) -> Option<Diagnostic> {
    let path = root.join(target.source_path.as_str());
    let TargetSpec {
        name, source_path, ..
    } = target;
    match std::fs::canonicalize(&path) {
        Ok(real) if !real.starts_with(root) => {
            Some(leaves(name, "source_path", source_path, &real))
        }
        Ok(real) if real.is_dir() => None,
        Ok(_) => Some(
            Diagnostic::error(
                "config.source.not_a_directory",
                format!("`source_path` of target `{name}` is a file: `{source_path}`"),
            )
            .at_setting(["source_path"])
            .help("name the directory that holds it"),
        ),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Some(
            Diagnostic::error(
                "config.source.missing",
                format!("the source directory of target `{name}` does not exist: `{source_path}`"),
            )
            .at_setting(["source_path"])
            .help("paths are relative to synth.toml"),
        ),
        Err(error) => Some(
            Diagnostic::error(
                "config.source.unreadable",
                format!("the source directory of target `{name}` can't be read: `{source_path}`"),
            )
            .at_setting(["source_path"])
            .caused_by(&error),
        ),
    }
}

fn output(root: &Path, target: &TargetSpec) -> Option<Diagnostic> {
    let TargetSpec {
        name, output_path, ..
    } = target;
    if output_path.components().next() == Some(".synth") {
        return Some(
            Diagnostic::error(
                "config.output.state",
                format!("`output_path` of target `{name}` lies in synth's own directory: `{output_path}`"),
            )
            .at_setting(["output_path"])
            .help("give it another place, such as `dist/NAME`"),
        );
    }
    let mut place = root.to_owned();
    for component in output_path.components() {
        place.push(component);
        let link = std::fs::read_link(&place).ok();
        // Links out of the project are reported below.
        let inside = std::fs::canonicalize(&place).is_ok_and(|real| real.starts_with(root));
        if let Some(link) = link.filter(|_| inside) {
            let shown = place.strip_prefix(root).unwrap_or(&place).display();
            return Some(
                Diagnostic::error(
                    "config.output.link",
                    format!("`output_path` of target `{name}` leads through a symbolic link: `{shown}` to `{}`", link.display()),
                )
                .at_setting(["output_path"])
                .help("name the directory itself"),
            );
        }
    }
    // The nearest directory above that is there tells where links lead.
    let mut existing = root.join(output_path.as_str());
    while std::fs::symlink_metadata(&existing).is_err() {
        if !existing.pop() {
            break;
        }
    }
    match std::fs::canonicalize(&existing) {
        Ok(real) if !real.starts_with(root) => {
            Some(leaves(name, "output_path", output_path, &real))
        }
        Ok(real) if real.is_dir() => None,
        Ok(_) => Some(
            Diagnostic::error(
                "config.output.not_a_directory",
                format!(
                    "`output_path` of target `{name}` is or lies below a file: `{output_path}`"
                ),
            )
            .at_setting(["output_path"])
            .help("name a directory, or remove the file"),
        ),
        Err(error) => Some(
            Diagnostic::error(
                "config.output.unusable",
                format!("`output_path` of target `{name}` can't be used: `{output_path}`"),
            )
            .at_setting(["output_path"])
            .caused_by(&error)
            .help(format!("`{}` is in the way", existing.display())),
        ),
    }
}

fn leaves(target: &str, key: &str, path: &ProjectPath, real: &Path) -> Diagnostic {
    Diagnostic::error(
        "config.path.leaves",
        format!(
            "`{key}` of target `{target}` leaves the project: `{path}` leads to `{}`",
            real.display()
        ),
    )
    .at_setting([key])
    .help("keep sources and outputs below the directory of synth.toml")
}

fn output_over_source(target: &TargetSpec, other: &TargetSpec) -> Diagnostic {
    Diagnostic::error(
        "config.output.over_source",
        format!(
            "target `{}` would put its outputs over the sources of `{}`: `output_path` is `{}`, \
             `source_path` is `{}`",
            target.name, other.name, target.output_path, other.source_path
        ),
    )
    .at_setting(["output_path"])
    .help("the output directory is replaced as a whole: give it a place of its own, such as `dist/NAME`")
}

fn overlap(earlier: &TargetSpec, target: &TargetSpec) -> Option<Diagnostic> {
    let (a, b) = (&earlier.output_path, &target.output_path);
    if a.strip_prefix(b).is_none() && b.strip_prefix(a).is_none() {
        return None;
    }
    Some(
        Diagnostic::error(
            "config.output.shared",
            format!(
                "targets `{}` and `{}` write to one place: `{a}` and `{b}`",
                earlier.name, target.name
            ),
        )
        .at_setting(["output_path"])
        .help("give each target an `output_path` of its own"),
    )
}
