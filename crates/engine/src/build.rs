//! A build from its beginning to its report: the workspace locked, targets validated and planned,
//! the schedule run, every target reported.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use synth_core::{Diagnostic, Plan};
use tokio_util::sync::CancellationToken;

use crate::Registry;
use crate::action_graph::ActionGraph;
use crate::commit::Outputs;
use crate::config::{FailureStrategy, Pipeline};
use crate::event::{Event, Observer};
use crate::executor::LocalExecutor;
use crate::graph::TargetGraph;
use crate::plan_cache::PlanCache;
use crate::plans::{self, Answer, is_fault_of_kind};
use crate::project::Project;
use crate::report::{BuildReport, REPORT_VERSION, TargetReport};
use crate::schedule::{Finished, PlannedTarget, Schedule, Workshop};
use crate::state::State;
use crate::store::Store;
use crate::target_report::{milliseconds, target_report};
use crate::work::WorkDirectory;

/// How a build is to be done.
#[derive(Clone)]
pub struct BuildOptions {
    /// How many actions run at once; none for as many as there are processors.
    pub jobs: Option<NonZeroUsize>,
    /// Whether results and plans of earlier builds are used. Those of this one are kept either way.
    pub use_cache: bool,
    /// The store's directory; none for the user's own, see [`default_store_directory`].
    pub store: Option<PathBuf>,
    /// Ends the build when it is cancelled: processes are asked to end, and given a moment.
    pub cancel: CancellationToken,
    /// Ends processes at once when it is cancelled, after `cancel`.
    pub kill: CancellationToken,
    /// Is told what happens.
    pub observer: Arc<dyn Observer>,
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self {
            jobs: None,
            use_cache: true,
            store: None,
            cancel: CancellationToken::new(),
            kill: CancellationToken::new(),
            observer: Arc::new(()),
        }
    }
}

/// Why a build did not begin.
#[derive(Clone, Debug)]
pub enum BuildError {
    /// The targets have problems: all of them.
    Invalid(Vec<Diagnostic>),
    /// The store or the workspace's state can't be used.
    State(Diagnostic),
    /// It was cancelled while it waited for another build of the workspace, or planned.
    Cancelled,
}

impl BuildError {
    /// What is to be said of it.
    #[must_use]
    pub fn into_diagnostics(self) -> Vec<Diagnostic> {
        match self {
            Self::Invalid(diagnostics) => diagnostics,
            Self::State(diagnostic) => vec![diagnostic],
            Self::Cancelled => {
                let message = "the build was cancelled before it began";
                vec![Diagnostic::error("build.cancelled", message)]
            }
        }
    }
}

/// The user's store: `$XDG_CACHE_HOME/synth`, or `~/.cache/synth` (XDG Base Directory
/// Specification 0.8); below the system's temporary directory when there is no home.
#[must_use]
pub fn default_store_directory() -> PathBuf {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
        .join("synth")
}

/// Validates and plans every target of a pipeline, without building.
///
/// # Errors
/// Every problem found.
pub fn plan_pipeline(
    pipeline: &Pipeline,
    registry: &Registry,
) -> Result<Vec<Plan>, Vec<Diagnostic>> {
    let project = Project::new(pipeline, &default_store_directory());
    let answers = plans::ask(
        pipeline,
        registry,
        &project,
        None,
        &CancellationToken::new(),
    );
    let mut problems: Vec<Diagnostic> = problems(&answers).cloned().collect();
    problems.extend(path_problems(pipeline, &answers));
    if problems.iter().any(Diagnostic::is_error) {
        return Err(problems);
    }
    Ok(answers
        .into_iter()
        .filter_map(|answer| answer.plan)
        .collect())
}

/// Builds every target of a pipeline.
///
/// A target that fails is part of the report, not an error. So is one whose kind fails when it is
/// asked, where the pipeline goes on after failures.
///
/// # Errors
/// When the build did not begin.
pub async fn build(
    pipeline: &Pipeline,
    registry: &Registry,
    options: &BuildOptions,
) -> Result<BuildReport, BuildError> {
    let started = Instant::now();
    let build = build_name();
    let state = open_state(&pipeline.root)?;
    let _lock = state
        .lock(options.observer.as_ref(), &options.cancel)
        .await
        .map_err(|error| unusable(&pipeline.root.join(".synth"), &error))?
        .ok_or(BuildError::Cancelled)?;
    let plan_cache = PlanCache::new(state.clone(), options.use_cache);
    let workshop = open_workshop(pipeline, options, state, &build)?;
    for path in &pipeline.output_paths {
        workshop.outputs.clear_leftovers(path);
    }
    let answers = ask(pipeline, registry, &workshop, plan_cache).await?;
    let targets = planned_targets(pipeline, registry, &workshop, answers)?;
    let plans: Vec<Plan> = targets.iter().map(|target| target.plan.clone()).collect();
    let target_graph = TargetGraph::new(&pipeline.targets)
        .map_err(|error| BuildError::Invalid(error.into_diagnostics(pipeline)))?;
    let graph = ActionGraph::new(&plans, &target_graph);
    options.observer.notify(&Event::Planned {
        targets: targets.len(),
        actions: graph.len(),
    });
    let (reports, faults) = run(pipeline, &targets, graph, workshop, &options.observer).await;
    Ok(BuildReport {
        version: REPORT_VERSION,
        build,
        pipeline: pipeline.name.clone(),
        environment: pipeline.environment.clone(),
        success: faults.is_empty() && reports.iter().all(|target| target.status.is_success()),
        duration_ms: milliseconds(started.elapsed()),
        targets: reports,
        diagnostics: faults
            .into_iter()
            .chain(pipeline.warnings.clone())
            .collect(),
    })
}

/// What is wrong with the output paths of targets that turned out to use theirs.
fn path_problems(pipeline: &Pipeline, answers: &[Answer]) -> Vec<Diagnostic> {
    let uses_its_own = |name: &str| {
        let mut planned = pipeline.targets.iter().zip(answers);
        let target = planned.find(|(target, _)| target.name == name);
        let plan = target.and_then(|(_, answer)| answer.plan.as_ref());
        plan.is_some_and(|plan| !plan.in_place)
    };
    let problems = pipeline.default_path_problems(uses_its_own);
    problems.cloned().collect()
}

fn problems(answers: &[Answer]) -> impl Iterator<Item = &Diagnostic> {
    answers.iter().flat_map(|answer| &answer.problems)
}

/// Asks the kinds, where that may block. One that can be stopped is, when the build is.
async fn ask(
    pipeline: &Pipeline,
    registry: &Registry,
    workshop: &Workshop,
    cache: PlanCache,
) -> Result<Vec<Answer>, BuildError> {
    let root = pipeline.root.clone();
    let (pipeline, registry) = (pipeline.clone(), registry.clone());
    let (project, cancel) = (Arc::clone(&workshop.project), workshop.cancel.clone());
    let asked = tokio::task::spawn_blocking(move || {
        plans::ask(&pipeline, &registry, &project, Some(&cache), &cancel)
    });
    let answers = asked.await.map_err(|error| unusable(&root, &error))?;
    if workshop.cancel.is_cancelled() {
        return Err(BuildError::Cancelled);
    }
    Ok(answers)
}

/// The targets to build, unless a problem stops them all: any that is the project's to mend, and
/// where the pipeline stops at failures any at all.
fn planned_targets(
    pipeline: &Pipeline,
    registry: &Registry,
    workshop: &Workshop,
    answers: Vec<Answer>,
) -> Result<Vec<PlannedTarget>, BuildError> {
    let goes_on = pipeline.failure_strategy == FailureStrategy::Continue;
    let stops =
        |problem: &Diagnostic| problem.is_error() && !(goes_on && is_fault_of_kind(problem));
    let mut all: Vec<Diagnostic> = problems(&answers).cloned().collect();
    all.extend(path_problems(pipeline, &answers));
    let planned = pipeline.targets.iter().zip(&answers);
    let planned = planned.filter_map(|(target, answer)| Some((target, answer.plan.as_ref()?)));
    workshop
        .project
        .in_place()
        .declare(pipeline, planned.clone());
    if !all.iter().any(stops) {
        let replacing = planned.filter(|(_, plan)| !plan.in_place);
        all.extend(replacing.filter_map(|(target, _)| {
            let problem = workshop.outputs.check(target)?;
            Some(pipeline.locate(&target.name, problem))
        }));
    }
    if all.iter().any(stops) {
        return Err(BuildError::Invalid(all));
    }
    let targets = pipeline.targets.iter().zip(answers);
    Ok(targets
        .filter_map(|(spec, answer)| {
            Some(PlannedTarget {
                spec: spec.clone(),
                kind: Arc::clone(registry.kind(&spec.kind)?),
                plan: answer.plan.unwrap_or_default(),
                problems: answer.problems,
            })
        })
        .collect())
}

async fn run(
    pipeline: &Pipeline,
    targets: &[PlannedTarget],
    graph: ActionGraph,
    workshop: Arc<Workshop>,
    observer: &Arc<dyn Observer>,
) -> (Vec<TargetReport>, Vec<Diagnostic>) {
    let mut reports: Vec<Option<TargetReport>> = vec![None; targets.len()];
    let mut on_target = |finished: &Finished<'_>| {
        let report = target_report(pipeline, &targets[finished.index], finished);
        observer.notify(&Event::TargetFinished {
            report: Box::new(report.clone()),
        });
        reports[finished.index] = Some(report);
    };
    let faults = Schedule::new(pipeline, targets, graph, workshop, &mut on_target)
        .run()
        .await;
    (reports.into_iter().flatten().collect(), faults)
}

/// Opens a workspace's state.
pub(crate) fn open_state(root: &Path) -> Result<State, BuildError> {
    State::open(root).map_err(|error| unusable(&root.join(".synth"), &error))
}

fn open_workshop(
    pipeline: &Pipeline,
    options: &BuildOptions,
    state: State,
    build: &str,
) -> Result<Arc<Workshop>, BuildError> {
    let directory = options
        .store
        .clone()
        .unwrap_or_else(default_store_directory);
    let store = Store::open(&directory).map_err(|error| unusable(&directory, &error))?;
    let work = WorkDirectory::create(&store.work_directory())
        .map_err(|error| unusable(&directory, &error))?;
    let logs = state
        .log_directory(build)
        .map_err(|error| unusable(&pipeline.root.join(".synth"), &error))?;
    let processors = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let jobs = if pipeline.parallel_execution {
        options.jobs.unwrap_or(processors)
    } else {
        NonZeroUsize::MIN
    };
    let project = Project::new(pipeline, &directory);
    let in_place = Arc::clone(project.in_place());
    Ok(Arc::new(Workshop {
        project,
        executor: LocalExecutor::new(store.clone(), Arc::new(work)),
        outputs: Outputs::new(&pipeline.root, state, store.clone(), in_place),
        store,
        logs,
        observer: Arc::clone(&options.observer),
        jobs,
        use_cache: options.use_cache,
        cancel: options.cancel.clone(),
        kill: options.kill.clone(),
    }))
}

fn unusable(path: &Path, error: &dyn std::error::Error) -> BuildError {
    BuildError::State(
        Diagnostic::error(
            "state.unusable",
            format!("`{}` can't be used", path.display()),
        )
        .concerning(synth_core::Concern::State)
        .caused_by(error)
        .help("check that the directory can be written and its disk has room"),
    )
}

/// A name that sorts by time: UTC to the microsecond, and the process.
fn build_name() -> String {
    let now = jiff::Timestamp::try_from(SystemTime::now()).unwrap_or_default();
    format!(
        "{}-{}",
        now.strftime("%Y%m%dT%H%M%S%.6fZ"),
        std::process::id()
    )
}
