//! Checks where targets read and write: sources that are there, outputs that stay inside the
//! project, apart from each other and from every source.

use std::collections::{BTreeSet, HashMap};
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
    let outputs = OutputPaths::of(&pipeline.targets);
    let mut directories = Directories::of(&pipeline.root);
    for (index, target) in pipeline.targets.iter().enumerate() {
        if directories.at(&target.source_path) != Place::Directory
            && let Some(problem) = source(&pipeline.root, target)
        {
            let problem = pipeline.locate(&target.name, problem);
            problems.certain.push(problem);
        }
        if let Some(problem) = output(&pipeline.root, target, &mut directories) {
            problems.add(problem, &[target]);
        }
        if let Some(other) = outputs.over_source.get(&index) {
            let other = &pipeline.targets[*other];
            problems.add(output_over_source(target, other), &[target]);
        }
        for earlier in outputs.shared.get(&index).into_iter().flatten() {
            let earlier = &pipeline.targets[*earlier];
            problems.add(overlap(earlier, target), &[target, earlier]);
        }
    }
    (problems.certain, problems.default_paths)
}

/// Targets whose output paths are in the way of something, by index.
#[derive(Default)]
struct OutputPaths {
    /// The first target whose sources lie at or below the output path.
    over_source: HashMap<usize, usize>,
    /// The earlier targets that write to the output path, above it or below.
    shared: HashMap<usize, BTreeSet<usize>>,
}

impl OutputPaths {
    /// Looks from each path up to the root, for there may be thousands of targets.
    fn of(targets: &[TargetSpec]) -> Self {
        let mut writers: HashMap<ProjectPath, Vec<usize>> = HashMap::new();
        for (index, target) in targets.iter().enumerate() {
            let path = target.output_path.clone();
            writers.entry(path).or_default().push(index);
        }
        let mut found = Self::default();
        for (index, target) in targets.iter().enumerate() {
            for writer in above(&target.source_path, &writers) {
                found.over_source.entry(writer).or_insert(index);
            }
            for writer in above(&target.output_path, &writers) {
                if writer != index {
                    let shared = found.shared.entry(index.max(writer)).or_default();
                    shared.insert(index.min(writer));
                }
            }
        }
        found
    }
}

/// Those that write to a path or to a directory that it lies in.
fn above(path: &ProjectPath, writers: &HashMap<ProjectPath, Vec<usize>>) -> Vec<usize> {
    let paths = std::iter::successors(Some(path.clone()), ProjectPath::parent);
    let found = paths.filter_map(|path| writers.get(&path));
    found.flatten().copied().collect()
}

/// What is at paths, each looked at once: most targets are beside each other.
struct Directories<'a> {
    /// The project's, links followed.
    root: &'a Path,
    known: HashMap<ProjectPath, Place>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A directory, and no link leads to it.
    Directory,
    /// Nothing, in a directory to which no link leads, or below nothing.
    Nothing,
    /// Anything else.
    Other,
}

impl<'a> Directories<'a> {
    fn of(root: &'a Path) -> Self {
        let known = HashMap::from([(ProjectPath::root(), Place::Directory)]);
        Self { root, known }
    }

    fn at(&mut self, path: &ProjectPath) -> Place {
        if let Some(place) = self.known.get(path) {
            return *place;
        }
        let above = path.parent().map(|parent| self.at(&parent));
        let place = match above {
            Some(Place::Directory) => self.look(path),
            Some(place) => place,
            None => Place::Other,
        };
        self.known.insert(path.clone(), place);
        place
    }

    fn look(&self, path: &ProjectPath) -> Place {
        match std::fs::symlink_metadata(self.root.join(path.as_str())) {
            Ok(metadata) if metadata.is_dir() => Place::Directory,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Place::Nothing,
            _ => Place::Other,
        }
    }
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

fn output(
    root: &Path,
    target: &TargetSpec,
    directories: &mut Directories<'_>,
) -> Option<Diagnostic> {
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
    if directories.at(output_path) != Place::Other {
        return None;
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

fn overlap(earlier: &TargetSpec, target: &TargetSpec) -> Diagnostic {
    let (a, b) = (&earlier.output_path, &target.output_path);
    Diagnostic::error(
        "config.output.shared",
        format!(
            "targets `{}` and `{}` write to one place: `{a}` and `{b}`",
            earlier.name, target.name
        ),
    )
    .at_setting(["output_path"])
    .help("give each target an `output_path` of its own")
}
