//! A build from its beginning to its report: the workspace locked, targets validated and planned,
//! the schedule run, every target reported.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use synth_core::{Artifact, Diagnostic, Plan, ProjectPath};
use tokio_util::sync::CancellationToken;

use crate::Registry;
use crate::action_graph::{ActionGraph, ActionState, TargetState};
use crate::commit::Outputs;
use crate::config::Pipeline;
use crate::event::{Event, Observer};
use crate::executor::LocalExecutor;
use crate::graph::TargetGraph;
use crate::plans;
use crate::project::{Project, glob_set};
use crate::report::{ActionReport, BuildReport, REPORT_VERSION, TargetReport, TargetStatus};
use crate::schedule::{Finished, PlannedTarget, Schedule, Workshop, action_status, attributes};
use crate::state::State;
use crate::store::Store;
use crate::tree::{Tree, TreeEntry};
use crate::work::WorkDirectory;

/// How many of a failed action's last lines a report holds.
const LAST_LINES: usize = 20;

/// How a build is to be done.
#[derive(Clone)]
pub struct BuildOptions {
    /// How many actions run at once; none for as many as there are processors.
    pub jobs: Option<NonZeroUsize>,
    /// Whether results are taken from the cache. They are kept in it either way.
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
    /// It was cancelled while it waited for another build of the workspace.
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
    validated_plans(pipeline, registry, &project).map(|(plans, _)| plans)
}

/// The plans, and the warnings of validation.
fn validated_plans(
    pipeline: &Pipeline,
    registry: &Registry,
    project: &Project,
) -> Result<(Vec<Plan>, Vec<Diagnostic>), Vec<Diagnostic>> {
    let mut problems = plans::validate(pipeline, registry, project);
    if problems.iter().any(Diagnostic::is_error) {
        return Err(problems);
    }
    match plans::plan(pipeline, registry, project) {
        Ok(plans) => Ok((plans, problems)),
        Err(found) => {
            problems.extend(found);
            Err(problems)
        }
    }
}

/// Builds every target of a pipeline.
///
/// A target that fails is part of the report, not an error.
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
    let workshop = open_workshop(pipeline, options, state, &build)?;
    for path in &pipeline.output_paths {
        workshop.outputs.clear_leftovers(path);
    }
    let (plans, warnings) = {
        let root = &pipeline.root;
        let (pipeline, registry) = (pipeline.clone(), registry.clone());
        let project = Arc::clone(&workshop.project);
        let planned =
            tokio::task::spawn_blocking(move || validated_plans(&pipeline, &registry, &project));
        planned
            .await
            .map_err(|error| unusable(root, &error))?
            .map_err(BuildError::Invalid)?
    };
    let occupied: Vec<Diagnostic> = pipeline
        .targets
        .iter()
        .filter_map(|target| {
            let problem = workshop.outputs.check(target)?;
            Some(pipeline.locate(&target.name, problem))
        })
        .collect();
    if !occupied.is_empty() {
        return Err(BuildError::Invalid(occupied));
    }
    let targets = planned_targets(pipeline, registry, plans);
    let plans: Vec<Plan> = targets.iter().map(|target| target.plan.clone()).collect();
    let target_graph = TargetGraph::new(&pipeline.targets)
        .map_err(|error| BuildError::Invalid(error.into_diagnostics(pipeline)))?;
    let graph = ActionGraph::new(&plans, &target_graph);
    options.observer.notify(&Event::Planned {
        targets: targets.len(),
        actions: graph.len(),
    });
    let (mut reports, faults) = run(pipeline, &targets, graph, workshop, &options.observer).await;
    for report in &mut reports {
        let own = warnings
            .iter()
            .filter(|w| w.target.as_deref() == Some(&report.name));
        report.diagnostics.extend(own.cloned());
    }
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

fn planned_targets(
    pipeline: &Pipeline,
    registry: &Registry,
    plans: Vec<Plan>,
) -> Vec<PlannedTarget> {
    pipeline
        .targets
        .iter()
        .zip(plans)
        .filter_map(|(spec, plan)| {
            Some(PlannedTarget {
                spec: spec.clone(),
                kind: Arc::clone(registry.target(&spec.kind)?),
                description: registry.description(&spec.kind)?.clone(),
                plan,
            })
        })
        .collect()
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
    Ok(Arc::new(Workshop {
        project: Project::new(pipeline, &directory),
        executor: LocalExecutor::new(store.clone(), Arc::new(work)),
        outputs: Outputs::new(&pipeline.root, state, store.clone()),
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

fn milliseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn target_report(
    pipeline: &Pipeline,
    planned: &PlannedTarget,
    finished: &Finished<'_>,
) -> TargetReport {
    let name = &planned.spec.name;
    let mut diagnostics: Vec<Diagnostic> = finished.record.diagnostics.clone();
    let mut actions = Vec::new();
    for index in finished.graph.actions_of(finished.index) {
        let node = finished.graph.node(*index);
        let record = &finished.actions[*index];
        let located = record.diagnostics.iter().cloned();
        diagnostics.extend(located.map(|diagnostic| pipeline.locate(name, diagnostic)));
        let failed = node.state == ActionState::Failed;
        let log = record.log.as_deref().filter(|log| log.exists());
        actions.push(ActionReport {
            id: node.action.id.clone(),
            phase: node.action.phase,
            description: node.action.description.clone(),
            status: action_status(node.state),
            duration_ms: milliseconds(record.duration),
            digest: record.digest.as_ref().map(|digest| digest.sha256.clone()),
            exit_code: record.exit_code,
            log: log.map(|log| relative(log, &pipeline.root)),
            last_lines: log.filter(|_| failed).map(last_lines).unwrap_or_default(),
        });
    }
    diagnostics.extend(planned.plan.warnings.clone());
    diagnostics.sort_by_key(|diagnostic| !diagnostic.is_error());
    let status = status(finished, &diagnostics);
    let artifacts = match &finished.record.tree {
        Some(tree) if status.is_success() => artifacts(planned, tree, finished),
        _ => Vec::new(),
    };
    TargetReport {
        name: name.clone(),
        kind: planned.spec.kind.clone(),
        status,
        duration_ms: milliseconds(finished.record.duration),
        actions,
        diagnostics,
        artifacts,
    }
}

fn status(finished: &Finished<'_>, diagnostics: &[Diagnostic]) -> TargetStatus {
    let states: Vec<ActionState> = finished
        .graph
        .actions_of(finished.index)
        .iter()
        .map(|index| finished.graph.node(*index).state)
        .collect();
    let failed = states.contains(&ActionState::Failed);
    if failed || diagnostics.iter().any(Diagnostic::is_error) {
        TargetStatus::Failed
    } else if finished.graph.target_state(finished.index) == TargetState::Failed {
        TargetStatus::Skipped
    } else if !finished.record.committed {
        TargetStatus::Cancelled
    } else if states.contains(&ActionState::Executed) {
        TargetStatus::Built
    } else if finished.record.written {
        TargetStatus::Cached
    } else {
        TargetStatus::UpToDate
    }
}

fn artifacts(planned: &PlannedTarget, tree: &Tree, finished: &Finished<'_>) -> Vec<Artifact> {
    let mut found = Vec::new();
    for rule in &planned.plan.artifacts {
        let attributes = attributes(finished.index, finished.graph, finished.actions, &rule.kind);
        let artifact = |path: ProjectPath, digest, size| Artifact {
            kind: rule.kind.clone(),
            path,
            digest,
            size,
            attributes: attributes.clone(),
        };
        if rule.pattern.is_empty() {
            let path = planned.spec.output_path.clone();
            found.push(artifact(path, tree.digest(), tree.size()));
            continue;
        }
        let Ok(pattern) = glob_set(std::slice::from_ref(&rule.pattern)) else {
            continue;
        };
        for (path, entry) in tree.leaves() {
            if let TreeEntry::File(file) = entry
                && pattern.is_match(&path)
                && let Ok(path) = planned.spec.output_path.join(&path)
            {
                found.push(artifact(path, file.digest.clone(), file.digest.size));
            }
        }
    }
    found
}

fn relative(path: &Path, root: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .display()
        .to_string()
}

fn last_lines(log: &Path) -> Vec<String> {
    /// Of a log without line breaks no more than this is shown.
    const MOST_BYTES: u64 = 64 * 1024;
    let text = crate::executor::log_tail(log, MOST_BYTES);
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.len().saturating_sub(LAST_LINES);
    lines[first..]
        .iter()
        .map(|line| (*line).to_owned())
        .collect()
}
