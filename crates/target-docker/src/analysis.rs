//! Everything that can be said about a docker target without building it: its problems, who has
//! to build it, and the inputs that it takes.

use std::collections::{BTreeMap, BTreeSet};

use synth_core::{
    Diagnostic, FileKind, InputSource, Place, PlanContext, PlanError, ProjectPath, SourceFiles,
    TargetSpec,
};

use crate::context_files::{ContextFiles, SourceError};
use crate::dockerfile::{Dockerfile, SourceText, parse};
use crate::evaluate::{Change, Evaluator, Source, StageState, Step};
use crate::parameters::{BuildParameters, CONTEXT, NamedInput};
use crate::settings::{Engine, NamedContext, Settings};
use crate::stages::{self, Origin, StageGraph};
use crate::variables::Arguments;

/// A docker target, looked through as far as its problems allow.
pub(crate) struct Analysis {
    pub(crate) parameters: BuildParameters,
    pub(crate) inputs: Vec<(String, InputSource)>,
    /// What only a Docker engine can do, by line: "RUN", "`debian` is in a registry".
    pub(crate) needs_engine: Vec<(u32, String)>,
    pub(crate) engine: Engine,
    pub(crate) source: SourceText,
    /// Everything that was found, in the order of the Dockerfile.
    pub(crate) problems: Vec<Diagnostic>,
}

/// Looks a target through.
///
/// # Errors
/// Every problem that was found, when they are such that there is nothing to look through.
pub(crate) fn analyze(
    target: &TargetSpec,
    context: &dyn PlanContext,
) -> Result<Analysis, Vec<Diagnostic>> {
    let settings: Settings = target.settings_as().map_err(|error| vec![error])?;
    let mut problems = settings.problems(target);
    let platform = settings.platform(&mut problems);
    let contexts = settings.contexts(&mut problems);
    let epoch = epoch(target, &mut problems);
    let named = named_inputs(target, &contexts, context, &mut problems);
    let path = settings.dockerfile_path(target, &mut problems);
    let Some((path, text)) = path.and_then(|path| read(path, context, &mut problems)) else {
        return Err(problems);
    };
    let source = SourceText::new(path.as_str(), &text);
    let parameters = BuildParameters {
        name: target.name.clone(),
        dockerfile: path.as_str().to_owned(),
        text,
        build_args: settings.arguments(),
        target: settings.target.clone(),
        platform,
        tags: settings.tags(target),
        labels: settings.labels.clone(),
        named,
        epoch,
    };
    let engine = settings.engine;
    survey(
        target, context, parameters, source, engine, &contexts, problems,
    )
}

/// Reads the Dockerfile and walks the stages that the result needs.
fn survey(
    target: &TargetSpec,
    context: &dyn PlanContext,
    mut parameters: BuildParameters,
    source: SourceText,
    engine: Engine,
    contexts: &BTreeMap<String, NamedContext>,
    mut problems: Vec<Diagnostic>,
) -> Result<Analysis, Vec<Diagnostic>> {
    let (dockerfile, wrong) = parse(&parameters.text, &source);
    problems.extend(wrong);
    let arguments = Arguments::new(&parameters, &dockerfile, &source, &mut problems);
    problems.extend(arguments.unused(&dockerfile));
    if dockerfile.stages.is_empty() {
        return Err(problems);
    }
    let stage = parameters.target.as_deref();
    let names = parameters.named.keys().cloned().collect();
    let graph = match stages::resolve(&dockerfile, &source, &arguments, stage, names) {
        Ok(graph) => graph,
        Err(wrong) => return Err(problems.into_iter().chain(wrong).collect()),
    };
    let mut survey = Survey {
        target,
        context,
        source: &source,
        dockerfile: &dockerfile,
        contexts,
        evaluator: Evaluator {
            dockerfile: &dockerfile,
            source: &source,
            arguments: &arguments,
            graph: &graph,
        },
        files: BTreeMap::new(),
        used: BTreeSet::new(),
        needs_engine: Vec::new(),
        problems,
        dockerfile_path: &parameters.dockerfile,
    };
    survey.stages(&graph);
    let inputs = survey.inputs();
    let Survey {
        used,
        mut needs_engine,
        mut problems,
        ..
    } = survey;
    needs_engine.sort();
    problems.sort_by_key(line);
    parameters.named.retain(|name, _| used.contains(name));
    Ok(Analysis {
        parameters,
        inputs,
        needs_engine,
        engine,
        source,
        problems,
    })
}

/// The line of a problem; 0 for one that is not about a line, which comes first.
fn line(problem: &Diagnostic) -> u32 {
    match &problem.place {
        Some(Place::File {
            position: Some(position),
            ..
        }) => position.line,
        _ => 0,
    }
}

/// The time of everything in the image: what the target's environment says, or 1970.
fn epoch(target: &TargetSpec, problems: &mut Vec<Diagnostic>) -> u64 {
    let Some(text) = target.environment.get("SOURCE_DATE_EPOCH") else {
        return 0;
    };
    text.parse().unwrap_or_else(|_| {
        problems.push(
            Diagnostic::error(
                "docker.source_date_epoch",
                format!("`SOURCE_DATE_EPOCH` is `{text}`; seconds since 1970 were expected"),
            )
            .at_setting(["environment", "SOURCE_DATE_EPOCH"]),
        );
        0
    })
}

fn read(
    path: ProjectPath,
    context: &dyn PlanContext,
    problems: &mut Vec<Diagnostic>,
) -> Option<(ProjectPath, String)> {
    let diagnostic = match context.read_text(&path) {
        Ok(text) => return Some((path, text)),
        Err(PlanError::NotFound { .. }) => Diagnostic::error(
            "docker.dockerfile.missing",
            format!("there is no Dockerfile at `{path}`"),
        )
        .at_setting(["dockerfile"])
        .help("say where it is with `dockerfile`, relative to `source_path`"),
        Err(error @ PlanError::Leaves { .. }) => {
            Diagnostic::error("docker.dockerfile.outside", error.to_string())
                .at_setting(["dockerfile"])
                .help("keep the Dockerfile inside the project")
        }
        Err(error) => Diagnostic::error("docker.dockerfile.unreadable", error.to_string())
            .in_file(path.to_string()),
    };
    problems.push(diagnostic);
    None
}

/// Everything that `FROM` and `--from` can name beside stages.
fn named_inputs(
    target: &TargetSpec,
    contexts: &BTreeMap<String, NamedContext>,
    context: &dyn PlanContext,
    problems: &mut Vec<Diagnostic>,
) -> BTreeMap<String, NamedInput> {
    let mut named = BTreeMap::new();
    for need in &target.needs {
        named.insert(
            need.to_ascii_lowercase(),
            NamedInput {
                title: format!("target `{need}`"),
                place: format!("needs/{need}"),
                image: None,
            },
        );
    }
    for (name, place) in contexts {
        if named.contains_key(name) {
            problems.push(
                Diagnostic::error(
                    "docker.context.duplicate",
                    format!("`{name}` is both a needed target and a build context"),
                )
                .at_setting(["build_contexts", name])
                .help("give the build context another name"),
            );
        }
        let (path, image) = match place {
            NamedContext::Directory(path) => (path, None),
            NamedContext::Layout { path, image } => (path, image.clone()),
        };
        problems.extend(context_problem(name, place, path, context));
        named.insert(
            name.clone(),
            NamedInput {
                title: format!("build context `{name}`"),
                place: format!("contexts/{name}"),
                image,
            },
        );
    }
    named
}

/// What is wrong with the place of a build context.
fn context_problem(
    name: &str,
    place: &NamedContext,
    path: &ProjectPath,
    context: &dyn PlanContext,
) -> Option<Diagnostic> {
    let index = path.join("index.json");
    let diagnostic =
        if !path.is_root() && !matches!(context.kind(path), Ok(Some(FileKind::Directory))) {
            Diagnostic::error(
                "docker.context.missing",
                format!("the build context `{name}` is not there: `{path}` is no directory"),
            )
            .help("give the path of a directory, relative to synth.toml")
        } else if matches!(place, NamedContext::Layout { .. })
            && !index.is_ok_and(|index| context.exists(&index))
        {
            Diagnostic::error(
                "docker.context.layout",
                format!("`{path}` is no OCI image layout: it has no index.json"),
            )
            .help("make one with `skopeo copy docker://IMAGE oci:DIRECTORY`, for example")
        } else {
            return None;
        };
    Some(diagnostic.at_setting(["build_contexts", name]))
}

/// Walks the needed stages and notes what they take.
struct Survey<'a> {
    target: &'a TargetSpec,
    context: &'a dyn PlanContext,
    source: &'a SourceText,
    dockerfile: &'a Dockerfile,
    contexts: &'a BTreeMap<String, NamedContext>,
    evaluator: Evaluator<'a>,
    dockerfile_path: &'a str,
    /// The directories that are copied from: the build context under no name.
    files: BTreeMap<Option<String>, ContextFiles<'a>>,
    /// The named inputs that are used.
    used: BTreeSet<String>,
    needs_engine: Vec<(u32, String)>,
    problems: Vec<Diagnostic>,
}

impl<'a> Survey<'a> {
    fn stages(&mut self, graph: &StageGraph) {
        let mut states: BTreeMap<usize, StageState> = BTreeMap::new();
        for index in &graph.needed {
            let Some(stage) = self.dockerfile.stages.get(*index) else {
                continue;
            };
            let mut state = match graph.bases.get(*index) {
                Some(Origin::Stage(base)) => states.get(base).cloned().unwrap_or_default(),
                Some(Origin::Named(name)) => {
                    self.used.insert(name.clone());
                    StageState::unknown()
                }
                Some(Origin::Registry(name)) => {
                    self.registry(stage.line, name, graph);
                    StageState::unknown()
                }
                _ => StageState::scratch(),
            };
            let steps = self.evaluator.stage(*index, &mut state, &mut self.problems);
            for step in &steps {
                self.step(step, graph);
            }
            states.insert(*index, state);
        }
    }

    fn registry(&mut self, line: u32, name: &str, graph: &StageGraph) {
        // A name without a host, a path or a tag is as likely a target that was forgotten.
        let mut reason = if name.contains(['/', ':', '.', '@']) {
            format!("`{name}` is an image of a registry")
        } else {
            format!("`{name}` is no target in `needs`, so it is an image of a registry")
        };
        if let Some(near) = graph.nearest_name(name) {
            reason.push_str(&format!(" (was `{near}` meant?)"));
        }
        self.needs_engine.push((line, reason));
    }

    fn step(&mut self, step: &Step, graph: &StageGraph) {
        match &step.change {
            Change::Configuration | Change::Directory { .. } => {}
            Change::Run { mounts } => {
                self.needs_engine
                    .push((step.line, "`RUN` runs something".into()));
                for (origin, path) in mounts {
                    self.take(step.line, origin, path, &[], false, graph);
                }
            }
            Change::Copy(copy) => {
                for source in &copy.sources {
                    match source {
                        Source::Path(path) => {
                            let (exclude, deep) = (&copy.exclude, copy.parents);
                            self.take(step.line, &copy.origin, path, exclude, deep, graph);
                        }
                        Source::Remote(address) => self
                            .needs_engine
                            .push((step.line, format!("`{address}` is on another machine"))),
                        Source::Inline { .. } => {}
                    }
                }
            }
        }
    }

    /// Notes that a path of an origin is taken.
    fn take(
        &mut self,
        line: u32,
        origin: &Origin,
        path: &str,
        exclude: &[String],
        deep: bool,
        graph: &StageGraph,
    ) {
        let key = match origin {
            Origin::Context => None,
            Origin::Named(name) => {
                self.used.insert(name.clone());
                match self.contexts.get(name) {
                    Some(NamedContext::Directory(_)) => Some(name.clone()),
                    // All of it is needed, and what is in it is known when it is built.
                    _ => return,
                }
            }
            Origin::Registry(name) => {
                self.registry(line, name, graph);
                return;
            }
            Origin::Scratch | Origin::Stage(_) => return,
        };
        if !self.files.contains_key(&key) {
            let files = self.open(key.as_deref());
            self.files.insert(key.clone(), files);
        }
        let Some(files) = self.files.get_mut(&key) else {
            return;
        };
        if let Err(error) = files.select(path, exclude, deep) {
            let SourceError {
                code,
                message,
                help,
            } = error;
            let code = format!("docker.{code}");
            let diagnostic = self.source.error(line, &code, message).help(help);
            self.problems.push(diagnostic);
        }
    }

    /// A directory of the project that is copied from: the build context, or a named one.
    fn open(&mut self, name: Option<&str>) -> ContextFiles<'a> {
        let root = match name.and_then(|name| self.contexts.get(name)) {
            Some(NamedContext::Directory(path)) => path.clone(),
            _ => self.target.source_path.clone(),
        };
        let mut ignore_files = Vec::new();
        if name.is_none() {
            let own = format!("{}.dockerignore", self.dockerfile_path);
            ignore_files.extend(ProjectPath::parse(&own));
        }
        ignore_files.extend(root.join(".dockerignore"));
        ContextFiles::new(self.context, root, &ignore_files, &mut self.problems)
    }

    fn inputs(&self) -> Vec<(String, InputSource)> {
        let mut inputs = Vec::new();
        for (name, files) in &self.files {
            let place = match name {
                None => CONTEXT.to_owned(),
                Some(name) => format!("contexts/{name}"),
            };
            let paths = files.paths();
            if !paths.is_empty() {
                let root = files.root.clone();
                inputs.push((place, InputSource::Files { root, paths }));
            }
        }
        for name in &self.used {
            if let Some(NamedContext::Layout { path, .. }) = self.contexts.get(name) {
                let files = SourceFiles::below(path.clone());
                inputs.push((format!("contexts/{name}"), InputSource::Source(files)));
            }
        }
        let needs = self.target.needs.iter();
        for need in needs.filter(|need| self.used.contains(&need.to_ascii_lowercase())) {
            let from = InputSource::Target { name: need.clone() };
            inputs.push((format!("needs/{need}"), from));
        }
        inputs
    }
}
