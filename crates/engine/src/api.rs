//! The library's front: the names of codomyrmex's `build_synthesis`, over the engine's own parts.
//! The kinds come from the caller, so that the engine names none.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use synth_core::{Artifact, Diagnostic, TargetSpec};

use crate::build::{BuildError, build};
use crate::config::{LoadOptions, Loaded, Pipeline};
use crate::history::{Recording, Requested};
use crate::options::BuildOptions;
use crate::plugin::PluginOptions;
use crate::report::{BuildReport, TargetReport, TargetStatus};
use crate::{FailureStrategy, Registry};

/// What became of one target.
#[derive(Clone, Debug)]
pub struct BuildResult {
    /// The target's name.
    pub target_name: String,
    /// Whether its outputs are there.
    pub success: bool,
    /// How it ended.
    pub status: TargetStatus,
    /// Why it failed, in one text; none when it succeeded.
    pub error: Option<String>,
    /// What it left.
    pub artifacts: Vec<Artifact>,
    /// Everything it has to say.
    pub diagnostics: Vec<Diagnostic>,
}

impl From<&TargetReport> for BuildResult {
    fn from(report: &TargetReport) -> Self {
        let errors: Vec<&str> = report
            .diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.is_error())
            .map(|diagnostic| diagnostic.message.as_str())
            .collect();
        let error = match report.status {
            status if status.is_success() => None,
            TargetStatus::Skipped => Some("a target that it needs failed".to_owned()),
            TargetStatus::Cancelled => Some("the build was stopped".to_owned()),
            TargetStatus::RolledBack => Some("another target failed".to_owned()),
            _ => Some(errors.join("\n")),
        };
        Self {
            target_name: report.name.clone(),
            success: report.status.is_success(),
            status: report.status,
            error,
            artifacts: report.artifacts.clone(),
            diagnostics: report.diagnostics.clone(),
        }
    }
}

/// Targets made by hand, built one by one or together.
///
/// The example has a kind of its own; `synth_cli::kinds()` gives those that synth brings.
///
/// ```
/// # use synth_engine::*;
/// # use synth_core::*;
/// # struct Greeting;
/// # impl BuildTarget for Greeting {
/// #     fn describe(&self) -> TargetDescription {
/// #         TargetDescription {
/// #             kind: "greeting".into(),
/// #             crate_name: "greeting".into(),
/// #             version: semver::Version::new(1, 0, 0),
/// #             description: "Writes a greeting".into(),
/// #             settings_schema: serde_json::json!({"type": "object"}),
/// #             setting_aliases: vec![],
/// #         }
/// #     }
/// #     fn validate(&self, _: &TargetSpec, _: &dyn PlanContext) -> Vec<Diagnostic> { vec![] }
/// #     fn plan(&self, _: &TargetSpec, _: &dyn PlanContext) -> Result<Plan, Vec<Diagnostic>> {
/// #         let action = Action::new("greet", Phase::Build, "greet", Native::new("greet"))
/// #             .output_file("text", "hello.txt");
/// #         Ok(Plan::default().action(action).export("greet", "text", "hello.txt").artifact("text", "*.txt"))
/// #     }
/// #     fn run(&self, _: &Native, context: &dyn RunContext) -> Result<NativeOutcome, Vec<Diagnostic>> {
/// #         std::fs::write(context.outputs().join("hello.txt"), "hello")
/// #             .map_err(|error| vec![Diagnostic::error("greet", "no greeting").caused_by(&error)])?;
/// #         Ok(NativeOutcome::quiet())
/// #     }
/// # }
/// # let directory = tempfile::tempdir()?;
/// # let options = BuildOptions { store: Some(directory.path().join("store")), ..Default::default() };
/// let registry = Registry::new().with(std::sync::Arc::new(Greeting));
/// let mut manager = BuildManager::new(directory.path(), registry).options(options);
/// manager.register_target(TargetSpec::new("hello", "greeting", ProjectPath::root()));
///
/// let result = manager.build("hello").map_err(|problems| format!("{problems:?}"))?;
/// assert_eq!(result.target_name, "hello");
/// assert!(result.success, "{:?}", result.error);
/// assert_eq!(result.artifacts[0].path.as_str(), "dist/hello/hello.txt");
///
/// let again = manager.build_all().map_err(|problems| format!("{problems:?}"))?;
/// assert_eq!(again[0].status, TargetStatus::UpToDate);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BuildManager {
    root: PathBuf,
    registry: Registry,
    options: BuildOptions,
    failure_strategy: FailureStrategy,
    allowed_failures: BTreeSet<String>,
    targets: Vec<TargetSpec>,
}

impl BuildManager {
    /// A manager of the targets below `project_root`.
    #[must_use]
    pub fn new(project_root: impl Into<PathBuf>, registry: Registry) -> Self {
        Self {
            root: project_root.into(),
            registry,
            options: BuildOptions::default(),
            failure_strategy: FailureStrategy::default(),
            allowed_failures: BTreeSet::new(),
            targets: Vec::new(),
        }
    }

    /// Builds in another way.
    #[must_use]
    pub fn options(mut self, options: BuildOptions) -> Self {
        self.options = options;
        self
    }

    /// Answers failures in another way.
    #[must_use]
    pub fn failure_strategy(mut self, strategy: FailureStrategy) -> Self {
        self.failure_strategy = strategy;
        self
    }

    /// Builds on as if nothing had happened when this target fails, without what needs it.
    #[must_use]
    pub fn allow_failure(mut self, target_name: impl Into<String>) -> Self {
        self.allowed_failures.insert(target_name.into());
        self
    }

    /// Adds a target; one of the same name is replaced.
    pub fn register_target(&mut self, target: TargetSpec) -> &mut Self {
        self.targets.retain(|known| known.name != target.name);
        self.targets.push(target);
        self
    }

    /// The targets, in the order they were registered.
    #[must_use]
    pub fn targets(&self) -> &[TargetSpec] {
        &self.targets
    }

    /// Builds one target and what it needs, and gives the result of the one.
    ///
    /// # Errors
    /// When the build did not begin.
    pub fn build(&self, target_name: &str) -> Result<BuildResult, Vec<Diagnostic>> {
        let pipeline = self.pipeline()?.select(&[target_name.to_owned()])?;
        let requested = Requested {
            selection: vec![target_name.to_owned()],
            ..Requested::default()
        };
        let report = run(&pipeline, &self.registry, &self.options, requested)?;
        let target = report
            .targets
            .iter()
            .find(|target| target.name == target_name);
        target.map(BuildResult::from).ok_or_else(|| {
            vec![Diagnostic::error(
                "config.targets.unknown",
                format!("there is no target `{target_name}`"),
            )]
        })
    }

    /// Builds every target, and gives their results in the order they were registered.
    ///
    /// # Errors
    /// When the build did not begin.
    pub fn build_all(&self) -> Result<Vec<BuildResult>, Vec<Diagnostic>> {
        let requested = of_all(true);
        let report = run(&self.pipeline()?, &self.registry, &self.options, requested)?;
        Ok(report.targets.iter().map(BuildResult::from).collect())
    }

    fn pipeline(&self) -> Result<Pipeline, Vec<Diagnostic>> {
        let mut pipeline = Pipeline::from_targets("build", &self.root, self.targets.clone())?;
        pipeline.failure_strategy = self.failure_strategy;
        pipeline.allowed_failures = self.allowed_failures.clone();
        Ok(pipeline)
    }
}

/// Builds what a configuration file describes.
///
/// ```
/// # use synth_engine::*;
/// # let directory = tempfile::tempdir()?;
/// std::fs::write(directory.path().join("synth.toml"), "name = \"empty\"\n")?;
/// let orchestrator = BuildOrchestrator::new(Registry::new());
/// let problems = orchestrator.run(&directory.path().join("synth.toml")).unwrap_err();
/// assert_eq!(problems[0].code, "config.empty");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
pub struct BuildOrchestrator {
    registry: Registry,
    options: BuildOptions,
    load: LoadOptions,
    plugins: Option<PluginOptions>,
}

impl BuildOrchestrator {
    /// An orchestrator of pipelines of these kinds.
    #[must_use]
    pub fn new(registry: Registry) -> Self {
        Self {
            registry,
            ..Self::default()
        }
    }

    /// Builds in another way.
    #[must_use]
    pub fn options(mut self, options: BuildOptions) -> Self {
        self.options = options;
        self
    }

    /// Selects `[environments.NAME]`.
    #[must_use]
    pub fn environment(mut self, name: impl Into<String>) -> Self {
        self.load.environment = Some(name.into());
        self
    }

    /// Selects `[pipelines.NAME]`.
    #[must_use]
    pub fn pipeline(mut self, name: impl Into<String>) -> Self {
        self.load.pipeline = Some(name.into());
        self
    }

    /// Uses the kinds of plugins, too, and pins those that the configuration names.
    #[must_use]
    pub fn plugins(mut self, options: PluginOptions) -> Self {
        self.plugins = Some(options);
        self
    }

    /// Loads and builds the pipeline of a configuration file.
    ///
    /// # Errors
    /// When the build did not begin: every problem.
    pub fn run(&self, config: &Path) -> Result<BuildReport, Vec<Diagnostic>> {
        let config = std::path::absolute(config).map_err(|error| {
            vec![
                Diagnostic::error("config.unreadable", format!("`{}`", config.display()))
                    .caused_by(&error),
            ]
        })?;
        let directory = config.parent().unwrap_or(Path::new("/")).to_owned();
        let load = LoadOptions {
            config: Some(config),
            ..self.load.clone()
        };
        let requested = of_all(load.pipeline.is_none());
        let Some(options) = &self.plugins else {
            let pipeline = Pipeline::load(&directory, &load, &self.registry)?;
            return run(&pipeline, &self.registry, &self.options, requested);
        };
        let loaded = Loaded::read(&directory, &load, &self.registry, options)?;
        loaded.plugins.pin(&loaded.pipeline, &self.registry)?;
        run(&loaded.pipeline, &loaded.registry, &self.options, requested)
    }
}

/// Builds what a configuration file describes, with the defaults of everything.
///
/// ```
/// # use synth_engine::*;
/// # let directory = tempfile::tempdir()?;
/// let missing = directory.path().join("synth.toml");
/// let problems = orchestrate_build_pipeline(&missing, Registry::new()).unwrap_err();
/// assert_eq!(problems[0].code, "config.unreadable");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// When the build did not begin: every problem.
pub fn orchestrate_build_pipeline(
    config: &Path,
    registry: Registry,
) -> Result<BuildReport, Vec<Diagnostic>> {
    BuildOrchestrator::new(registry).run(config)
}

/// Nothing is named; that means all targets, unless a choice of them is selected.
fn of_all(is_of_all: bool) -> Requested {
    Requested {
        is_of_all,
        ..Requested::default()
    }
}

/// Builds on a runtime of its own, and keeps what came of it in the history.
fn run(
    pipeline: &Pipeline,
    registry: &Registry,
    options: &BuildOptions,
    requested: Requested,
) -> Result<BuildReport, Vec<Diagnostic>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            vec![
                Diagnostic::error("internal", "no threads can be started")
                    .concerning(synth_core::Concern::Internal)
                    .caused_by(&error),
            ]
        })?;
    let recording = Recording::begin(pipeline, requested);
    let built = runtime.block_on(build(pipeline, registry, options));
    let is_cancelled = options.cancel.is_cancelled();
    match built {
        Ok(mut report) => {
            let warning = recording.end(&report, None, is_cancelled);
            report.diagnostics.extend(warning);
            Ok(report)
        }
        Err(error) => {
            let not_begun = BuildReport::not_begun(Vec::new());
            let warning = recording.end(&not_begun, None, is_cancelled);
            let mut problems = BuildError::into_diagnostics(error);
            problems.extend(warning);
            Err(problems)
        }
    }
}
