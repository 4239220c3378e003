//! From synth.toml to a checked [`Pipeline`]: every problem of the file in one run, each at its
//! place. What a kind's settings mean is left to the kind.

mod document;
mod normalize;
mod paths;
mod plugins;
mod publish_paths;
mod retry;
mod sandbox;
mod schema;
mod selection;
mod shape;
mod targets;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use synth_core::{Diagnostic, Place, ProjectPath, RetrySettings, TargetSpec};

pub(crate) use plugins::{Choice, PluginConfig, PluginRequest};
pub use sandbox::SandboxConfig;
pub use schema::{FailureStrategy, SandboxMode, editor_schema};
pub(crate) use shape::{list, nearest};

use crate::Registry;
use crate::graph::TargetGraph;
use crate::index::Watched;
use crate::plugin::{PluginOptions, Survey};
use document::{Document, Node};
use schema::PipelineTable;

/// The names that a configuration file is looked for under, in this order.
pub const CONFIG_FILE_NAMES: [&str; 2] = ["synth.toml", "synth.json"];

/// What one synth.toml describes, checked.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Its name, for reports.
    pub name: String,
    /// The environment selected, if any.
    pub environment: Option<String>,
    /// Whether several actions may run at once.
    pub parallel_execution: bool,
    /// What happens to the rest when a target fails.
    pub failure_strategy: FailureStrategy,
    /// The targets whose failure does not count.
    pub allowed_failures: BTreeSet<String>,
    /// How actions are kept to what they declare.
    pub sandbox: SandboxConfig,
    /// Which failures are tried again; a target's own settings go before.
    pub retry: RetrySettings,
    /// The targets, in the file's order.
    pub targets: Vec<TargetSpec>,
    /// The directory that all paths are relative to: that of synth.toml, absolute.
    pub root: PathBuf,
    /// What deserves a word but stops nothing.
    pub warnings: Vec<Diagnostic>,
    pub(crate) places: SettingPlaces,
    /// Where all targets put their outputs, those that were not selected too.
    pub(crate) output_paths: Vec<ProjectPath>,
    /// All targets of the file, those that were not selected too.
    pub(crate) every_target: Arc<[TargetSpec]>,
    /// Problems with output paths that nobody chose: none where the target turns out to leave its
    /// outputs among its sources.
    default_paths: Vec<paths::DefaultPathProblem>,
}

/// Where the settings of targets stand in the configuration file.
#[derive(Clone, Debug, Default)]
pub(crate) struct SettingPlaces {
    document: Option<Arc<Document>>,
}

impl SettingPlaces {
    /// Turns a [`Place::Setting`] of a target into its place in the file, and names the target.
    pub(crate) fn resolve(&self, target: &str, mut diagnostic: Diagnostic) -> Diagnostic {
        diagnostic.target.get_or_insert_with(|| target.to_owned());
        let setting = match &diagnostic.place {
            Some(Place::Setting { path }) => path.clone(),
            Some(_) => return diagnostic,
            None => Vec::new(),
        };
        let Some(document) = &self.document else {
            return diagnostic;
        };
        if diagnostic.place.is_none() {
            return diagnostic;
        }
        let Some(targets) = document.root.get("targets") else {
            return diagnostic;
        };
        let mut path = vec![target.to_owned()];
        path.extend(setting);
        let span = match (path.as_slice(), targets.entry(target)) {
            // The whole target is shown by its name.
            ([_], Some(entry)) => entry.key_span.clone(),
            _ => targets.locate(&path),
        };
        document.place(diagnostic, &span)
    }
}

/// What to read, and how.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// The configuration file; none looks for [`CONFIG_FILE_NAMES`] in the directory.
    pub config: Option<PathBuf>,
    /// Selects an environment instead of the file's own choice.
    pub environment: Option<String>,
    /// Selects `[pipelines.NAME]`.
    pub pipeline: Option<String>,
}

/// A pipeline with the plugins that it may use.
#[derive(Clone)]
pub struct Loaded {
    /// The pipeline.
    pub pipeline: Pipeline,
    /// The kinds that are linked in and those of plugins.
    pub registry: Registry,
    /// The plugins.
    pub plugins: Survey,
    /// What was read to know all that.
    pub watched: Watched,
}

impl Loaded {
    /// Reads and checks the pipeline of `directory`, the kinds of plugins included.
    ///
    /// # Errors
    /// As [`Pipeline::load`] says, and what is wrong with the plugins that the pipeline uses.
    pub fn read(
        directory: &Path,
        options: &LoadOptions,
        linked: &Registry,
        plugins: &PluginOptions,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut watched = watch(directory, options.config.as_deref());
        let (document, root) = read_file(directory, options.config.as_deref())?;
        let mut problems = Vec::new();
        let config = plugins::read(&document, &root, &mut problems);
        let plugins = Survey::of(config, plugins, &mut problems);
        watched.extend(plugins.watched.clone());
        let registry = plugins.registry(linked);
        let unusable = plugins.unusable_files();
        let pipeline = Pipeline::check(document, root, options, &registry, &unusable, problems)?;
        Ok(Self {
            pipeline,
            registry,
            plugins,
            watched,
        })
    }
}

/// What the synth.toml of a directory says of plugins; where there is none, nothing.
pub(crate) fn plugin_config(
    directory: &Path,
    config: Option<&Path>,
    problems: &mut Vec<Diagnostic>,
) -> Result<PluginConfig, Vec<Diagnostic>> {
    let is_there = CONFIG_FILE_NAMES
        .iter()
        .any(|name| directory.join(name).exists());
    if config.is_none() && !is_there {
        return Ok(PluginConfig::default());
    }
    let (document, root) = read_file(directory, config)?;
    Ok(plugins::read(&document, &root, problems))
}

/// What [`find`] looks at, looked at before.
fn watch(directory: &Path, config: Option<&Path>) -> Watched {
    let mut watched = Watched::default();
    if let Some(config) = config {
        watched.look(&directory.join(config));
        return watched;
    }
    for name in CONFIG_FILE_NAMES {
        let path = directory.join(name);
        watched.look(&path);
        if path.exists() {
            break;
        }
    }
    watched
}

/// The configuration file as a tree, and the directory it is in.
fn read_file(
    directory: &Path,
    config: Option<&Path>,
) -> Result<(Document, PathBuf), Vec<Diagnostic>> {
    let path = find(directory, config)?;
    let shown = path
        .strip_prefix(directory)
        .unwrap_or(&path)
        .to_string_lossy()
        .into_owned();
    let bytes = std::fs::read(&path).map_err(|error| vec![unreadable(&shown, &error)])?;
    let document = Document::parse(&shown, bytes)?;
    let parent = path.parent().unwrap_or(directory);
    let root = std::fs::canonicalize(parent).map_err(|error| vec![unreadable(&shown, &error)])?;
    Ok((document, root))
}

impl Pipeline {
    /// Reads and checks the pipeline of `directory`, with these kinds alone.
    ///
    /// # Errors
    /// Every problem found: in the file's syntax alone if it can't be parsed, else in its shape,
    /// its graph, its paths and its targets' settings.
    pub fn load(
        directory: &Path,
        options: &LoadOptions,
        registry: &Registry,
    ) -> Result<Self, Vec<Diagnostic>> {
        let (document, root) = read_file(directory, options.config.as_deref())?;
        let mut problems = Vec::new();
        plugins::read(&document, &root, &mut problems);
        Self::check(document, root, options, registry, &[], problems)
    }

    /// The pipeline as another text of its configuration file says; none when that is not sound.
    pub(crate) fn of_text(
        &self,
        name: &str,
        text: Vec<u8>,
        options: &LoadOptions,
        registry: &Registry,
    ) -> Option<Self> {
        let document = Document::parse(name, text).ok()?;
        let root = self.root.clone();
        Self::check(document, root, options, registry, &[], Vec::new()).ok()
    }

    /// The name of the configuration file, which is in the root.
    pub(crate) fn config_name(&self) -> Option<String> {
        let path = Path::new(&self.places.document.as_ref()?.path);
        Some(path.file_name()?.to_str()?.to_owned())
    }

    /// Checks what was read. `unusable` are plugins that a kind nobody knows may be in.
    fn check(
        mut document: Document,
        root: PathBuf,
        options: &LoadOptions,
        registry: &Registry,
        unusable: &[String],
        mut problems: Vec<Diagnostic>,
    ) -> Result<Self, Vec<Diagnostic>> {
        if document.root.table().is_none_or(Vec::is_empty) {
            return Err(vec![empty(&document.path)]);
        }
        problems.extend(normalize::normalize(&mut document, registry));
        let choice = selection::select(&mut document, options, &mut problems);
        let table = read_pipeline(&document, &mut problems);
        let targets = targets::read(&document, registry, unusable, &mut problems);
        let output_paths = output_paths(&targets);
        let selection = choice.as_ref().map(|choice| choice.targets.clone());
        let mut pipeline = Self {
            name: table.name.clone().unwrap_or_else(|| directory_name(&root)),
            environment: table.environment.clone(),
            parallel_execution: table.parallel_execution.unwrap_or(true),
            failure_strategy: table.failure_strategy.unwrap_or_default(),
            allowed_failures: targets::allowed_failures(&document),
            sandbox: sandbox::read(&document, table.sandbox.as_ref(), &mut problems),
            retry: retry::read(&document, table.retry.as_ref(), &mut problems),
            targets,
            root,
            warnings: Vec::new(),
            places: SettingPlaces {
                document: Some(Arc::new(document)),
            },
            output_paths,
            every_target: Arc::default(),
            default_paths: Vec::new(),
        };
        if let Some(choice) = choice {
            pipeline.failure_strategy =
                choice.failure_strategy.unwrap_or(pipeline.failure_strategy);
            pipeline.parallel_execution = choice
                .parallel_execution
                .unwrap_or(pipeline.parallel_execution);
        }
        pipeline.warn_of_notifications(&table);
        problems.extend(pipeline.check_targets());
        problems.sort_by_key(position);
        if problems.iter().any(Diagnostic::is_error) {
            return Err(problems);
        }
        pipeline.warnings.extend(problems);
        match selection {
            Some(names) => pipeline.select(&names),
            None => Ok(pipeline),
        }
    }

    /// A pipeline made by hand, checked like one that was read.
    ///
    /// # Errors
    /// Every problem of its graph and its paths.
    pub fn from_targets(
        name: impl Into<String>,
        root: &Path,
        targets: Vec<TargetSpec>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let shown = root.display().to_string();
        let root = std::fs::canonicalize(root).map_err(|error| vec![unreadable(&shown, &error)])?;
        let mut pipeline = Self {
            name: name.into(),
            environment: None,
            parallel_execution: true,
            failure_strategy: FailureStrategy::default(),
            allowed_failures: BTreeSet::new(),
            sandbox: SandboxConfig::default(),
            retry: RetrySettings::default(),
            output_paths: output_paths(&targets),
            every_target: Arc::default(),
            default_paths: Vec::new(),
            targets,
            root,
            warnings: Vec::new(),
            places: SettingPlaces::default(),
        };
        let problems = pipeline.check_targets();
        if problems.is_empty() {
            Ok(pipeline)
        } else {
            Err(problems)
        }
    }

    /// The pipeline with these targets and what they need; all of them when `names` is empty.
    ///
    /// # Errors
    /// The names that no target has.
    pub fn select(mut self, names: &[String]) -> Result<Self, Vec<Diagnostic>> {
        if names.is_empty() {
            return Ok(self);
        }
        let known: Vec<&str> = self.targets.iter().map(|t| t.name.as_str()).collect();
        let unknown: Vec<Diagnostic> = names
            .iter()
            .filter(|name| !known.contains(&name.as_str()))
            .map(|name| unknown_target(name, &known))
            .collect();
        if !unknown.is_empty() {
            return Err(unknown);
        }
        let wanted = TargetGraph::new(&self.targets)
            .map_err(|error| error.into_diagnostics(&self))?
            .with_needs(names);
        let mut index = 0;
        self.targets.retain(|_| {
            index += 1;
            wanted.contains(&(index - 1))
        });
        Ok(self)
    }

    /// Whether the build succeeds although a target has failed.
    pub(crate) fn allows_failure(&self, target: &str) -> bool {
        self.allowed_failures.contains(target)
    }

    /// A target by its name.
    #[must_use]
    pub fn target(&self, name: &str) -> Option<&TargetSpec> {
        self.targets.iter().find(|target| target.name == name)
    }

    /// What is said of retries of a target's actions.
    #[must_use]
    pub fn retry_of(&self, target: &TargetSpec) -> RetrySettings {
        match &target.retry {
            Some(own) => own.over(&self.retry),
            None => self.retry.clone(),
        }
    }

    /// Puts a diagnostic of a target at its place in the configuration file.
    #[must_use]
    pub fn locate(&self, target: &str, diagnostic: Diagnostic) -> Diagnostic {
        self.places.resolve(target, diagnostic)
    }

    /// The same without its targets: what is said of any one of them.
    pub(crate) fn without_targets(&self) -> Self {
        Self {
            name: self.name.clone(),
            environment: self.environment.clone(),
            parallel_execution: self.parallel_execution,
            failure_strategy: self.failure_strategy,
            allowed_failures: self.allowed_failures.clone(),
            sandbox: self.sandbox.clone(),
            retry: self.retry.clone(),
            targets: Vec::new(),
            root: self.root.clone(),
            warnings: self.warnings.clone(),
            places: self.places.clone(),
            output_paths: Vec::new(),
            every_target: Arc::clone(&self.every_target),
            default_paths: Vec::new(),
        }
    }

    fn check_targets(&mut self) -> Vec<Diagnostic> {
        self.every_target = self.targets.as_slice().into();
        let mut problems: Vec<Diagnostic> = self
            .targets
            .iter()
            .filter(|target| !is_name(&target.name))
            .map(|target| self.locate(&target.name, bad_name(&target.name)))
            .collect();
        if let Err(error) = TargetGraph::new(&self.targets) {
            problems.extend(error.into_diagnostics(self));
        }
        let (certain, default_paths) = paths::check(self);
        problems.extend(certain);
        problems.extend(publish_paths::check(self));
        self.default_paths = default_paths;
        problems
    }

    /// What is wrong with output paths that nobody chose, once it is known which targets use
    /// theirs.
    pub(crate) fn default_path_problems<'a>(
        &'a self,
        is_used: impl Fn(&str) -> bool + 'a,
    ) -> impl Iterator<Item = &'a Diagnostic> {
        let problems = self.default_paths.iter();
        problems
            .filter(move |problem| problem.targets.iter().all(|target| is_used(target)))
            .map(|problem| &problem.problem)
    }

    fn warn_of_notifications(&mut self, table: &PipelineTable) {
        let notifications = &table.notifications;
        if notifications.on_success.is_empty() && notifications.on_failure.is_empty() {
            return;
        }
        let warning = Diagnostic::warning(
            "config.notifications.unsupported",
            "`notifications` is read but not acted on: this version sends none",
        );
        let warning = match &self.places.document {
            Some(document) => document.place(warning, &document.root.locate(&["notifications"])),
            None => warning,
        };
        self.warnings.push(warning);
    }
}

fn output_paths(targets: &[TargetSpec]) -> Vec<ProjectPath> {
    targets
        .iter()
        .map(|target| target.output_path.clone())
        .collect()
}

/// Line and column, for reading problems from the top of the file to its end.
fn position(problem: &Diagnostic) -> (u32, u32) {
    match &problem.place {
        Some(Place::File {
            position: Some(at), ..
        }) => (at.line, at.column),
        _ => (0, 0),
    }
}

fn find(directory: &Path, config: Option<&Path>) -> Result<PathBuf, Vec<Diagnostic>> {
    if let Some(config) = config {
        return Ok(directory.join(config));
    }
    CONFIG_FILE_NAMES
        .iter()
        .map(|name| directory.join(name))
        .find(|path| path.exists())
        .ok_or_else(|| {
            vec![
                Diagnostic::error(
                    "config.missing",
                    format!("there is no `synth.toml` in `{}`", directory.display()),
                )
                .help("write one with `synth init`, or name another directory with `-C DIR`"),
            ]
        })
}

fn unreadable(path: &str, error: &io::Error) -> Diagnostic {
    Diagnostic::error("config.unreadable", format!("`{path}` can't be read")).caused_by(error)
}

fn empty(path: &str) -> Diagnostic {
    Diagnostic::error("config.empty", format!("`{path}` describes no targets"))
        .in_file(path)
        .help("write a first one with `synth init`")
}

fn directory_name(root: &Path) -> String {
    root.file_name().map_or_else(
        || "pipeline".into(),
        |name| name.to_string_lossy().into_owned(),
    )
}

fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(allowed)
}

fn bad_name(name: &str) -> Diagnostic {
    Diagnostic::error(
        "config.targets.name",
        format!("`{name}` can't be a target's name"),
    )
    .at_setting(Vec::<String>::new())
    .help(
        "a name begins with a letter or a digit and goes on with letters, digits, `-`, `_` and `.`",
    )
}

fn unknown_target(name: &str, known: &[&str]) -> Diagnostic {
    let diagnostic = Diagnostic::error(
        "config.targets.unknown",
        format!("there is no target `{name}`"),
    );
    match nearest(name, known.iter().copied()) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
        None => diagnostic.help(format!("targets: {}", list(known))),
    }
}

fn read_pipeline(document: &Document, problems: &mut Vec<Diagnostic>) -> PipelineTable {
    let name = format!("`{}`", document.path);
    // What is in the tables of targets is checked with them.
    let outline = document
        .root
        .outline(&|path| matches!(path, ["targets", _] | ["environments", _, "targets", _]));
    let violations = shape::check_shape(document, &outline, schema::pipeline_schema(), &name);
    let fits = violations.is_empty();
    problems.extend(violations);
    if document
        .root
        .get("targets")
        .and_then(Node::table)
        .is_none_or(Vec::is_empty)
        && fits
    {
        problems.push(empty(&document.path));
    }
    let known: Vec<&str> = document
        .root
        .get("targets")
        .and_then(Node::table)
        .into_iter()
        .flatten()
        .map(|entry| entry.key.as_str())
        .collect();
    let choices = document.root.get("pipelines").and_then(Node::table);
    for choice in choices.into_iter().flatten() {
        let Some(document::NodeValue::List(items)) =
            choice.value.get("targets").map(|node| &node.value)
        else {
            continue;
        };
        for item in items {
            if let Some(target) = item.text().filter(|target| !known.contains(target)) {
                problems.push(document.place(unknown_target(target, &known), &item.span));
            }
        }
    }
    if fits {
        serde_json::from_value(outline.to_json()).unwrap_or_default()
    } else {
        PipelineTable::default()
    }
}
