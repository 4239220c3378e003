//! A build from its beginning to its report: the workspace locked, targets validated and planned,
//! the schedule run, every target reported.

mod keeping;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use synth_core::{Diagnostic, Plan, TargetSpec};
use tokio_util::sync::CancellationToken;

use crate::Registry;
use crate::action_graph::ActionGraph;
use crate::commit::{Declaration, OutputPlace, Outputs};
use crate::config::{FailureStrategy, Pipeline};
use crate::event::{Event, Observer};
use crate::executor::LocalExecutor;
use crate::executor::kept::Kept;
use crate::graph::TargetGraph;
use crate::index::{self, Earlier};
use crate::options::BuildOptions;
use crate::plan_cache::PlanCache;
use crate::plans::{self, Answer, is_fault_of_kind};
use crate::project::Project;
use crate::repair::{Executed, Repairs};
use crate::report::{BuildReport, OutputsState, REPORT_VERSION, TargetReport};
use crate::sandbox::Sandbox;
use crate::schedule::{Finished, PlannedTarget, Schedule, Workshop};
use crate::settled::{Proofs, Settlement};
use crate::state::{State, WorkspaceLock};
use crate::store::{self, Store};
use crate::target_report::{milliseconds, target_report};
use crate::transaction::{Transaction, settle};
use crate::tree::Tree;
use crate::work::WorkDirectory;

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
    /// The same, and what else is to be said.
    fn with(self, also: Vec<Diagnostic>) -> Self {
        match also.is_empty() {
            true => self,
            false => Self::Invalid(self.into_diagnostics().into_iter().chain(also).collect()),
        }
    }

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
        &pipeline.targets.iter().collect::<Vec<_>>(),
        registry,
        &project,
        None,
        &CancellationToken::new(),
    );
    let mut problems: Vec<Diagnostic> = problems(&answers).cloned().collect();
    let answered = pipeline.targets.iter().zip(&answers);
    let places: Places = answered
        .filter_map(|(target, answer)| {
            let place = OutputPlace::of(target, answer.plan.as_ref()?);
            Some((target.name.clone(), place))
        })
        .collect();
    problems.extend(path_problems(pipeline, &places));
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
    let state = open_state(&pipeline.root)?;
    let (lock, mut earlier) = lock(pipeline, options, &state).await?;
    let transaction = options.transaction.clone().unwrap_or_default();
    transaction.hold(lock);
    let settled = settle(&pipeline.root).map_err(BuildError::State)?;
    if settled.told.is_some() {
        earlier = earlier.map(|earlier| Arc::new(earlier.look_again()));
    }
    let begun = Begun {
        started,
        build: build_name(),
        state,
        told: settled.told(),
        transaction: Arc::clone(&transaction),
    };
    transaction.follow(settled.open);
    let ended = passes(pipeline, registry, options, begun, earlier).await;
    ended.map_err(|error| error.with(transaction.give_up(pipeline)))
}

/// A build that holds the workspace.
struct Begun {
    started: Instant,
    build: String,
    state: State,
    /// What became of the build before.
    told: Vec<Diagnostic>,
    transaction: Arc<Transaction>,
}

/// Goes through a build as often as it takes, and keeps what it has put in place or takes it back.
async fn passes(
    pipeline: &Pipeline,
    registry: &Registry,
    options: &BuildOptions,
    begun: Begun,
    earlier: Option<Arc<Earlier>>,
) -> Result<BuildReport, BuildError> {
    let Begun {
        transaction, build, ..
    } = &begun;
    let mut repairs = Repairs::default();
    loop {
        let workshop = open_workshop(
            pipeline,
            options,
            begun.state.clone(),
            build,
            (repairs.executed.clone(), Arc::clone(transaction)),
        )?;
        let known = earlier.as_ref().filter(|_| repairs.is_first());
        let ran = pass(pipeline, registry, options, &workshop, known).await?;
        let success = ran.succeeded();
        let Ran {
            reports, faults, ..
        } = ran;
        let report = BuildReport {
            version: REPORT_VERSION,
            build: build.clone(),
            pipeline: pipeline.name.clone(),
            environment: pipeline.environment.clone(),
            success,
            partial: is_partial(&reports),
            duration_ms: milliseconds(begun.started.elapsed()),
            targets: reports,
            effects: Vec::new(),
            effects_build: String::new(),
            diagnostics: faults
                .into_iter()
                .chain(workshop.sandbox.warning())
                .chain(begun.told.clone())
                .chain(pipeline.warnings.clone())
                .collect(),
        };
        let last = options.cancel.is_cancelled();
        let Some(mut report) = repairs.finish(report, &workshop.store, last) else {
            options.observer.notify(&Event::Repairing);
            continue;
        };
        if !report.success {
            transaction.take_back(pipeline, &mut report);
        } else if options.transaction.is_none()
            && let Err(problem) = transaction.keep()
        {
            report.success = false;
            report.diagnostics.push(problem);
        }
        return Ok(report);
    }
}

/// Whether the build succeeds with a target that has ended so.
fn does_not_count(target: &TargetReport) -> bool {
    target.status.is_success() || target.failure_allowed
}

/// Whether there are outputs of this build, and beside them such as are not.
fn is_partial(targets: &[TargetReport]) -> bool {
    let made = |target: &TargetReport| target.outputs == OutputsState::Current;
    targets.iter().any(made) && !targets.iter().all(made)
}

/// Goes through a build from planning to outputs.
async fn pass(
    pipeline: &Pipeline,
    registry: &Registry,
    options: &BuildOptions,
    workshop: &Arc<Workshop>,
    earlier: Option<&Arc<Earlier>>,
) -> Result<Ran, BuildError> {
    workshop.outputs.clear_leftovers(&pipeline.output_paths);
    let target_graph = TargetGraph::new(&pipeline.targets)
        .map_err(|error| BuildError::Invalid(error.into_diagnostics(pipeline)))?;
    let known = earlier.and_then(|earlier| earlier.contents());
    // What is to be verified, or executed again, is to be looked at.
    let looks = !options.use_cache || options.verify_reproducible || !options.force.is_empty();
    let known = known.filter(|_| !looks);
    let proofs = Proofs {
        store: &workshop.store,
        records: workshop.state.records(),
        are_published: options.transaction.is_some(),
    };
    let mut settled = known.as_ref().map_or_else(Settlement::default, |known| {
        Settlement::of(pipeline, &target_graph, *known, &proofs)
    });
    let remember = |settled: &Settlement| {
        if let Some((contents, _)) = &known {
            let names = settled.names();
            let is_settled = |name: &str| names.contains(name);
            let digests = index::digests(contents, &pipeline.root, is_settled);
            workshop.project.digests().remember(digests);
        }
    };
    remember(&settled);
    if known.is_some() && !settled.open(pipeline).is_empty() {
        workshop.sandbox.expect_use();
    }
    let cache = Arc::new(PlanCache::new(workshop.state.clone(), options.use_cache));
    let mut answers = ask(pipeline, registry, workshop, &cache, &settled).await?;
    if settled.is_upset_by(pipeline, &answers) {
        settled = Settlement::default();
        remember(&settled);
        answers = ask(pipeline, registry, workshop, &cache, &settled).await?;
    }
    let targets = planned_targets(pipeline, registry, workshop, answers, settled)?;
    workshop.project.planning_is_over();
    let graph = ActionGraph::new(targets.iter().map(|target| &target.plan), &target_graph);
    options.observer.notify(&Event::Planned {
        targets: targets.len(),
        actions: graph.len(),
    });
    let shop = Arc::clone(workshop);
    let mut ran = run(pipeline, &targets, graph, shop, &options.observer).await;
    let earlier = earlier.map(AsRef::as_ref);
    let all = (targets.as_slice(), &mut ran);
    keeping::keep(pipeline, options, workshop, all, earlier);
    Ok(ran)
}

/// Plans every target, as a build without an index does.
pub(crate) async fn plan_all(
    pipeline: &Pipeline,
    registry: &Registry,
    workshop: &Workshop,
    use_cache: bool,
) -> Result<Vec<PlannedTarget>, BuildError> {
    let cache = Arc::new(PlanCache::new(workshop.state.clone(), use_cache));
    let settled = Settlement::default();
    let answers = ask(pipeline, registry, workshop, &cache, &settled).await?;
    let targets = planned_targets(pipeline, registry, workshop, answers, settled)?;
    workshop.project.planning_is_over();
    Ok(targets)
}

/// Holds the workspace, and compares with what an earlier build of it left behind.
async fn lock(
    pipeline: &Pipeline,
    options: &BuildOptions,
    state: &State,
) -> Result<(WorkspaceLock, Option<Arc<Earlier>>), BuildError> {
    let earlier = options.earlier.clone();
    if let Some(lock) = earlier.as_deref().and_then(Earlier::take_lock) {
        return Ok((lock, earlier));
    }
    let lock = state
        .lock(options.observer.as_ref(), &options.cancel)
        .await
        .map_err(|error| unusable(&pipeline.root.join(".synth"), &error))?
        .ok_or(BuildError::Cancelled)?;
    let earlier = earlier.map(|earlier| Arc::new(earlier.look_again()));
    Ok((lock, earlier))
}

/// Where targets leave their outputs, by name.
type Places = HashMap<String, OutputPlace>;

/// What is wrong with the output paths of targets that turned out to use theirs.
fn path_problems(pipeline: &Pipeline, places: &Places) -> Vec<Diagnostic> {
    let uses_its_own = |name: &str| places.get(name).is_some_and(|place| !place.in_place);
    let problems = pipeline.default_path_problems(uses_its_own);
    problems.cloned().collect()
}

fn problems(answers: &[Answer]) -> impl Iterator<Item = &Diagnostic> {
    answers.iter().flat_map(|answer| &answer.problems)
}

/// Asks the kinds of the targets that are not settled, where that may block. A kind that can be
/// stopped is, when the build is.
async fn ask(
    pipeline: &Pipeline,
    registry: &Registry,
    workshop: &Workshop,
    cache: &Arc<PlanCache>,
    settled: &Settlement,
) -> Result<Vec<Answer>, BuildError> {
    let root = pipeline.root.clone();
    let open = settled.open(pipeline);
    if open.is_empty() {
        return Ok(Vec::new());
    }
    let targets = open.iter().map(|index| pipeline.targets[*index].clone());
    let targets: Vec<TargetSpec> = targets.collect();
    let (pipeline, registry) = (pipeline.without_targets(), registry.clone());
    let (project, cancel) = (Arc::clone(&workshop.project), workshop.cancel.clone());
    let cache = Arc::clone(cache);
    let asked = tokio::task::spawn_blocking(move || {
        plans::ask(
            &pipeline,
            &targets.iter().collect::<Vec<_>>(),
            &registry,
            &project,
            Some(&cache),
            &cancel,
        )
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
    mut settled: Settlement,
) -> Result<Vec<PlannedTarget>, BuildError> {
    let goes_on = |problem: &Diagnostic| {
        let target = problem.target.as_deref();
        pipeline.failure_strategy == FailureStrategy::Continue
            || target.is_some_and(|target| pipeline.allows_failure(target))
    };
    let stops = |problem: &Diagnostic| {
        problem.is_error() && !(is_fault_of_kind(problem) && goes_on(problem))
    };
    let open = settled.open(pipeline);
    let asked = open.iter().map(|index| &pipeline.targets[*index]);
    let planned: Vec<(&TargetSpec, &Plan)> = asked
        .zip(&answers)
        .filter_map(|(target, answer)| Some((target, answer.plan.as_ref()?)))
        .collect();
    let mut places: Places = planned
        .iter()
        .map(|(target, plan)| (target.name.clone(), OutputPlace::of(target, plan)))
        .collect();
    places.extend(settled.places());
    let mut all: Vec<Diagnostic> = problems(&answers).cloned().collect();
    all.extend(path_problems(pipeline, &places));
    let declarations = pipeline.targets.iter().filter_map(|target| {
        let place = places.get(&target.name)?.clone();
        Some(Declaration { target, place })
    });
    workshop.project.in_place().declare(pipeline, declarations);
    if !all.iter().any(stops) {
        let replacing = planned.iter().filter(|(_, plan)| !plan.in_place);
        let replacing = replacing.map(|(target, _)| *target);
        all.extend(
            replacing
                .chain(settled.replaced(pipeline))
                .filter_map(|target| {
                    let problem = workshop.outputs.check(target)?;
                    Some(pipeline.locate(&target.name, problem))
                }),
        );
    }
    if all.iter().any(stops) {
        return Err(BuildError::Invalid(all));
    }
    let mut answers = answers.into_iter();
    let targets = pipeline.targets.iter().enumerate();
    Ok(targets
        .filter_map(|(index, spec)| {
            let settled = settled.take(index);
            let answer = match &settled {
                Some(_) => None,
                None => Some(answers.next()?),
            };
            let kind = Arc::clone(registry.kind(&spec.kind)?);
            Some(PlannedTarget::new(spec.clone(), kind, answer, settled))
        })
        .collect())
}

/// What a build came to.
struct Ran {
    reports: Vec<TargetReport>,
    faults: Vec<Diagnostic>,
    /// What each target exports, if it was proven.
    trees: Vec<Option<Tree>>,
}

impl Ran {
    /// Whether every target is built, but for those that may fail.
    fn succeeded(&self) -> bool {
        self.faults.is_empty() && self.reports.iter().all(does_not_count)
    }
}

async fn run(
    pipeline: &Pipeline,
    targets: &[PlannedTarget],
    graph: ActionGraph,
    workshop: Arc<Workshop>,
    observer: &Arc<dyn Observer>,
) -> Ran {
    let settled = |target: &PlannedTarget| {
        let settled = target.settled.as_ref()?;
        settled.missing.is_none().then(|| settled.report.clone())
    };
    let mut reports: Vec<Option<TargetReport>> = targets.iter().map(settled).collect();
    let shop = Arc::clone(&workshop);
    let mut on_target = |finished: &Finished<'_>| {
        let planned = &targets[finished.index];
        let report = target_report(pipeline, planned, &shop, finished);
        observer.notify(&Event::TargetFinished {
            report: Box::new(report.clone()),
        });
        reports[finished.index] = Some(report);
    };
    let mut schedule = Schedule::new(pipeline, targets, graph, workshop, &mut on_target);
    let faults = schedule.run().await;
    let records = std::mem::take(&mut schedule.records);
    drop(schedule);
    Ran {
        faults,
        reports: reports.into_iter().flatten().collect(),
        trees: records.into_iter().map(|record| record.tree).collect(),
    }
}

/// Opens a workspace's state.
pub(crate) fn open_state(root: &Path) -> Result<State, BuildError> {
    let unusable = |error: &dyn std::error::Error| unusable(&root.join(".synth"), error);
    let state = State::open(root).map_err(|error| unusable(&error))?;
    // One that can't be read would look as if nothing were known.
    let checked = state.records().check();
    checked.map(|()| state).map_err(|error| unusable(&error))
}

pub(crate) fn open_workshop(
    pipeline: &Pipeline,
    options: &BuildOptions,
    state: State,
    build: &str,
    (executed, transaction): (Executed, Arc<Transaction>),
) -> Result<Arc<Workshop>, BuildError> {
    let directory = options
        .store
        .clone()
        .unwrap_or_else(default_store_directory);
    let store = Store::open(&directory).map_err(|error| unusable(&directory, &error))?;
    // Without one, what is in the store is still of use.
    let work = WorkDirectory::create(&store.work_directory())
        .map(Arc::new)
        .map_err(|error| not_writable(&directory, &error));
    let logs = state.logs(build);
    let outer = options.outer(pipeline);
    let project = Project::new(pipeline, &directory);
    let in_place = Arc::clone(project.in_place());
    Ok(Arc::new(Workshop {
        project,
        sandbox: Arc::new(Sandbox::new(
            pipeline,
            options.sandbox,
            options.sandbox_host.clone(),
            &directory,
        )),
        executor: LocalExecutor::new(store.clone(), work),
        outputs: Outputs::new(&pipeline.root, state.clone(), store.clone(), in_place),
        kept: options.keep_failed.then(|| {
            let kept = Kept::new(&pipeline.root, state.kept_directory());
            Arc::new(kept)
        }),
        transaction,
        state,
        store,
        logs,
        observer: Arc::clone(&options.observer),
        jobs: options.jobs(pipeline, outer.as_ref()),
        memory: options.memory,
        machine: options.machine.clone(),
        outer,
        use_cache: options.use_cache,
        force: options.force.iter().cloned().collect(),
        executed,
        verify: options.verify_reproducible,
        cancel: options.cancel.clone(),
        kill: options.kill.clone(),
    }))
}

pub(crate) fn unusable(path: &Path, error: &dyn std::error::Error) -> BuildError {
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

/// A store in which nothing can be executed.
fn not_writable(directory: &Path, error: &std::io::Error) -> Diagnostic {
    let message = format!("the store `{}` can't be written", directory.display());
    let help = store::advice(error).unwrap_or("check that the directory is sound");
    Diagnostic::error("store.write", message)
        .concerning(synth_core::Concern::State)
        .caused_by(error)
        .help(help)
}

/// A name that sorts by time: UTC to the microsecond, and the process.
pub(crate) fn build_name() -> String {
    let now = jiff::Timestamp::try_from(SystemTime::now()).unwrap_or_default();
    format!(
        "{}-{}",
        now.strftime("%Y%m%dT%H%M%S%.6fZ"),
        std::process::id()
    )
}
