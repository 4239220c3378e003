//! Drives the action graph to its end: hands actions to the executor, at most so many at once,
//! and answers each that ends. Knows no processes and writes no reports.

mod committing;
mod own_work;
mod restoring;

use std::collections::{BTreeSet, VecDeque};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use synth_core::{Diagnostic, Digest, Jobserver, Plan, TargetSpec};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::action_graph::{ActionGraph, ActionIndex, ActionState, TargetState};
use crate::action_job::ActionJob;
use crate::admission::Need;
use crate::commit::{Commit, CommitError, OutputPlace, Outputs};
use crate::config::{FailureStrategy, Pipeline};
use crate::event::{Event, Observer};
use crate::executor::kept::Kept;
use crate::executor::{LocalExecutor, Usage};
use crate::explain::{KeyBytes, TargetKeys};
use crate::exports::exported_tree;
use crate::gate::{self, Gate};
use crate::history::History;
use crate::inputs::Available;
use crate::jobserver::{Outer, Pool, Share};
use crate::kind::Kind;
use crate::machine::{Machine, Pressure};
use crate::plans::Answer;
use crate::project::Project;
use crate::recorded::Dialogue;
use crate::repair::Executed;
use crate::report::RetryReport;
use crate::sandbox::Sandbox;
use crate::settled::Settled;
use crate::state::{Logs, State};
use crate::store::{CachedAction, Store};
use crate::target_report::action_status;
use crate::transaction::Transaction;
use crate::tree::Tree;

use restoring::Restored;

/// What a build works with, whatever it builds.
pub(crate) struct Workshop {
    pub(crate) project: Arc<Project>,
    pub(crate) state: State,
    pub(crate) store: Store,
    pub(crate) executor: LocalExecutor,
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) outputs: Outputs,
    pub(crate) logs: Logs,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) jobs: NonZeroUsize,
    /// What actions may use together, in bytes; none for what is there when the build begins.
    pub(crate) memory: Option<u64>,
    pub(crate) machine: Machine,
    /// The jobserver of whoever has started synth.
    pub(crate) outer: Option<Outer>,
    /// Whether results are looked up and kept.
    pub(crate) use_cache: bool,
    /// The targets whose results are not looked up.
    pub(crate) force: BTreeSet<String>,
    /// What this build has executed.
    pub(crate) executed: Executed,
    /// Whether every action is executed once more, and has to leave the same.
    pub(crate) verify: bool,
    /// The directories of actions that have failed, if they are kept.
    pub(crate) kept: Option<Arc<Kept>>,
    /// What was put in place, where it can be taken back.
    pub(crate) transaction: Arc<Transaction>,
    /// The user's: when it is cancelled, so is the build.
    pub(crate) cancel: CancellationToken,
    /// Ends processes at once.
    pub(crate) kill: CancellationToken,
}

/// A target with its kind.
pub(crate) struct PlannedTarget {
    pub(crate) spec: TargetSpec,
    pub(crate) kind: Arc<Kind>,
    /// Empty when there is none.
    pub(crate) plan: Plan,
    /// What its kind had to say beside the plan; why there is none, if there is none.
    pub(crate) problems: Vec<Diagnostic>,
    /// What its kind asked of the project, for the index.
    pub(crate) dialogue: Option<Dialogue>,
    /// What is known of one that need not be looked at: an earlier build left it as it should be.
    pub(crate) settled: Option<Settled>,
}

impl PlannedTarget {
    pub(crate) fn new(
        spec: TargetSpec,
        kind: Arc<Kind>,
        answer: Option<Answer>,
        settled: Option<Settled>,
    ) -> Self {
        let answer = answer.unwrap_or_default();
        Self {
            spec,
            kind,
            plan: answer.plan.unwrap_or_default(),
            problems: answer.problems,
            dialogue: answer.dialogue,
            settled,
        }
    }

    /// Where it leaves its outputs.
    pub(crate) fn place(&self) -> OutputPlace {
        match &self.settled {
            Some(settled) => settled.place.clone(),
            None => OutputPlace::of(&self.spec, &self.plan),
        }
    }

    /// Whether its outputs go among its sources.
    pub(crate) fn is_in_place(&self) -> bool {
        match &self.settled {
            Some(settled) => settled.place.in_place,
            None => self.plan.in_place,
        }
    }

    /// Whether it can't be built: its kind failed when it was to plan.
    fn is_lost(&self) -> bool {
        self.problems.iter().any(Diagnostic::is_error)
    }
}

/// What became of an action.
#[derive(Clone, Debug, Default)]
pub(crate) struct ActionRecord {
    pub(crate) digest: Option<Digest>,
    pub(crate) started: Option<SystemTime>,
    pub(crate) duration: Duration,
    /// Whether another build had executed it while this one waited.
    pub(crate) waited: bool,
    /// What its execution has used, if it was executed.
    pub(crate) usage: Option<Usage>,
    pub(crate) log: Option<PathBuf>,
    pub(crate) exit_code: Option<i32>,
    /// How often it was executed.
    pub(crate) attempts: u32,
    /// The attempts that were followed by another.
    pub(crate) retries: Vec<RetryReport>,
    /// What its failure is, by name.
    pub(crate) trouble: Option<String>,
    /// The command that failed.
    pub(crate) command: Option<String>,
    pub(crate) diagnostics: Vec<Diagnostic>,
    pub(crate) result: Option<CachedAction>,
    /// Its key, for the next build.
    pub(crate) key: Option<KeyBytes>,
    /// What is different from the last build.
    pub(crate) reasons: Vec<String>,
}

/// What became of a target, beyond its actions.
#[derive(Clone, Debug, Default)]
pub(crate) struct TargetRecord {
    pub(crate) started: Option<Instant>,
    pub(crate) duration: Duration,
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// What it exports, once it is proven.
    pub(crate) tree: Option<Tree>,
    /// Whether its outputs are in place.
    pub(crate) committed: bool,
    /// Whether they had to be written.
    pub(crate) written: bool,
    /// What was found of the earlier outputs when they had to be.
    pub(crate) reasons: Vec<String>,
}

/// A build under way.
pub(crate) struct Schedule<'a> {
    pub(crate) pipeline: &'a Pipeline,
    pub(crate) targets: &'a [PlannedTarget],
    pub(crate) graph: ActionGraph,
    pub(crate) actions: Vec<ActionRecord>,
    pub(crate) records: Vec<TargetRecord>,
    workshop: Arc<Workshop>,
    history: History,
    /// Ends what is running: cancelled with the user's own, or when a failure stops all.
    stop: CancellationToken,
    running: JoinSet<Done>,
    /// How many of them put outputs in place.
    commits: usize,
    /// The actions among them whose processes are over: what is left is synth's own work.
    ran: BTreeSet<ActionIndex>,
    /// Tells of them.
    rans: (UnboundedSender<ActionIndex>, UnboundedReceiver<ActionIndex>),
    /// Targets whose outputs can be put in place again, all that they need being done.
    restorable: VecDeque<usize>,
    finished: BTreeSet<usize>,
    on_target: &'a mut dyn FnMut(&Finished<'_>),
}

impl Drop for Schedule<'_> {
    /// Nobody waits any more: what is running ends.
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A target that has ended, for whoever reports it.
pub(crate) struct Finished<'a> {
    pub(crate) index: usize,
    pub(crate) graph: &'a ActionGraph,
    pub(crate) actions: &'a [ActionRecord],
    pub(crate) record: &'a TargetRecord,
    /// Whether the build succeeds although this target has failed.
    pub(crate) failure_allowed: bool,
}

/// The end of something that ran beside.
enum Done {
    Action(ActionIndex, Box<ActionRecord>, ActionState),
    Commit(Vec<usize>, Box<Result<Vec<Commit>, CommitError>>),
    Restored(Vec<Restored>),
}

impl<'a> Schedule<'a> {
    pub(crate) fn new(
        pipeline: &'a Pipeline,
        targets: &'a [PlannedTarget],
        graph: ActionGraph,
        workshop: Arc<Workshop>,
        on_target: &'a mut dyn FnMut(&Finished<'_>),
    ) -> Self {
        Self {
            pipeline,
            targets,
            actions: vec![ActionRecord::default(); graph.len()],
            records: vec![TargetRecord::default(); targets.len()],
            graph,
            history: History::default(),
            stop: workshop.cancel.child_token(),
            workshop,
            running: JoinSet::new(),
            commits: 0,
            ran: BTreeSet::new(),
            rans: mpsc::unbounded_channel(),
            restorable: VecDeque::new(),
            finished: BTreeSet::new(),
            on_target,
        }
    }

    /// Reads what earlier builds know of the actions.
    fn look_back(&mut self) {
        for (index, planned) in self.targets.iter().enumerate() {
            if !self.graph.actions_of(index).is_empty() {
                let records = self.workshop.state.records();
                let keys = TargetKeys::read(records, &planned.spec.name);
                self.history.add(index, keys);
            }
        }
        // One at a time, they are done in the order of the file.
        if self.workshop.jobs > NonZeroUsize::MIN {
            let history = &self.history;
            self.graph
                .expect(|node| history.expected_ms(node.target, &node.action.id));
        }
    }

    /// Runs everything to its end. Gives what went wrong in synth itself.
    pub(crate) async fn run(&mut self) -> Vec<Diagnostic> {
        let mut faults = Vec::new();
        self.look_back();
        for (index, planned) in self.targets.iter().enumerate() {
            if planned.is_lost() {
                self.graph.target_transition(index, TargetState::Failed);
            }
        }
        for (index, planned) in self.targets.iter().enumerate() {
            if let Some(settled) = &planned.settled {
                self.records[index].tree.clone_from(&settled.missing);
            }
        }
        self.graph.prove_empty_targets();
        self.begin_with_settled();
        self.settle_targets();
        let mut gate = self.gate();
        loop {
            self.start_ready(&mut gate);
            self.restore();
            let done = tokio::select! {
                done = self.running.join_next() => done,
                Some(index) = self.rans.1.recv() => {
                    // Unless it was quicker than the word of it.
                    if self.graph.node(index).state == ActionState::Running {
                        gate.end(index);
                        self.ran.insert(index);
                    }
                    continue;
                }
                () = gate.opened(), if gate.is_closed() => continue,
            };
            let Some(done) = done else {
                break;
            };
            match done {
                Ok(Done::Action(index, record, state)) => {
                    if !self.ran.remove(&index) {
                        gate.end(index);
                    }
                    self.action_done(index, *record, state);
                }
                Ok(Done::Commit(targets, result)) => self.commit_done(&targets, *result),
                Ok(Done::Restored(restored)) => self.restored(restored),
                // A task of the engine's own that panicked: nothing can be relied on any more.
                Err(error) => {
                    self.stop.cancel();
                    faults.push(
                        Diagnostic::error("internal", "synth itself failed")
                            .concerning(synth_core::Concern::Internal)
                            .caused_by(&error),
                    );
                }
            }
            self.settle_targets();
        }
        self.graph.cancel_waiting();
        for index in 0..self.targets.len() {
            self.report_target(index);
        }
        faults
    }

    fn start_ready(&mut self, gate: &mut Gate) {
        gate.set_commits(self.own_work());
        while !self.stop.is_cancelled() {
            let Some(index) = gate.next(&self.graph, |index| self.need(index)) else {
                return;
            };
            let style = self.graph.node(index).action.resources.jobserver;
            let share = gate.start(index, self.need(index), style);
            self.start(index, share);
        }
        gate.shut();
    }

    /// What an action takes while it runs.
    fn need(&self, index: ActionIndex) -> Need {
        let node = self.graph.node(index);
        let used = self.history.used(node.target, &node.action.id);
        gate::need(node.action.resources, used, self.workshop.jobs.get())
    }

    /// What lets actions start, as many at once as the machine has room for.
    fn gate(&self) -> Gate {
        let workshop = &self.workshop;
        let (jobs, machine) = (workshop.jobs.get(), &workshop.machine);
        let memory = workshop.memory.or_else(|| machine.available_memory());
        let mut nodes = self.graph.nodes();
        let shares = nodes.any(|node| node.action.resources.jobserver != Jobserver::None);
        // Where there can be none, actions go without.
        let pool = match &workshop.outer {
            Some(outer) => Pool::of_outer(outer, jobs).ok(),
            None if shares => Pool::own(jobs).ok(),
            None => None,
        };
        let memory = memory.unwrap_or(u64::MAX);
        Gate::new(Need { jobs, memory }, Pressure::new(machine.clone()), pool)
    }

    fn start(&mut self, index: ActionIndex, jobserver: Option<Arc<Share>>) {
        self.graph.transition(index, ActionState::Running);
        let target = self.graph.node(index).target;
        self.records[target]
            .started
            .get_or_insert_with(Instant::now);
        let available = self.available(target);
        let planned = &self.targets[target];
        let job = ActionJob {
            workshop: Arc::clone(&self.workshop),
            action: self.graph.node(index).action.clone(),
            target: planned.spec.name.clone(),
            kind: Arc::clone(&planned.kind),
            available,
            jobserver,
            retry: self.pipeline.retry_of(&planned.spec),
            stop: self.stop.clone(),
            ran: self.tell_when_ran(index),
        };
        // On a thread of its own, where it may block.
        let runtime = Handle::current();
        self.running.spawn_blocking(move || {
            let (record, state) = runtime.block_on(job.run());
            Done::Action(index, Box::new(record), state)
        });
    }

    /// What the target's earlier actions and the targets it needs have left.
    fn available(&mut self, target: usize) -> Available {
        let mut available = Available::default();
        for index in self.graph.actions_of(target) {
            if let Some(result) = &self.actions[*index].result {
                let id = self.graph.node(*index).action.id.clone();
                available.outputs.insert(id, result.outputs.clone());
            }
        }
        for needed in self.graph.needs_of(target).to_vec() {
            if let Some(tree) = self.tree_of(needed) {
                let name = self.targets[needed].spec.name.clone();
                available.targets.insert(name, tree);
            }
        }
        available
    }

    /// What a target exports: of one that is settled, as the store has it.
    fn tree_of(&mut self, target: usize) -> Option<Tree> {
        let record = &mut self.records[target];
        if record.tree.is_none()
            && let Some(settled) = &self.targets[target].settled
        {
            record.tree = self.workshop.store.tree(&settled.exports);
        }
        record.tree.clone()
    }

    fn action_done(&mut self, index: ActionIndex, record: ActionRecord, state: ActionState) {
        let node = self.graph.node(index);
        self.workshop.observer.notify(&Event::ActionFinished {
            target: self.targets[node.target].spec.name.clone(),
            action: node.action.id.clone(),
            description: node.action.description.clone(),
            status: action_status(state),
            duration: record.duration,
        });
        self.actions[index] = record;
        self.graph.transition(index, state);
        if state == ActionState::Failed {
            let target = self.graph.node(index).target;
            self.failure(target);
        }
    }

    /// What the failure of a target means for the others.
    fn failure(&mut self, target: usize) {
        let goes_on = self.pipeline.failure_strategy == FailureStrategy::Continue;
        if !goes_on
            && !self
                .pipeline
                .allows_failure(&self.targets[target].spec.name)
        {
            self.stop.cancel();
        }
    }

    /// Carries on with every target whose last action is over.
    fn settle_targets(&mut self) {
        loop {
            let touched = self.graph.take_touched();
            if touched.is_empty() {
                break;
            }
            for index in touched {
                if self.graph.target_state(index) == TargetState::Proven
                    && self.records[index].tree.is_none()
                    && self.targets[index].settled.is_none()
                {
                    self.prove(index);
                }
                self.report_target_if_over(index);
            }
        }
        self.commit_all_if_proven();
    }

    /// All of a target's actions have succeeded: puts together what it exports.
    fn prove(&mut self, index: usize) {
        match self.exported_tree(index) {
            Ok(tree) => {
                let record = &mut self.records[index];
                // Waiting for others before its outputs are put in place is not its own time.
                record.duration = record.started.map(|at| at.elapsed()).unwrap_or_default();
                record.tree = Some(tree);
                if self.rolls_back() {
                    // Its outputs are put in place with all others; what needs it goes on.
                    self.graph.target_transition(index, TargetState::Done);
                } else {
                    self.start_commit(vec![index]);
                }
            }
            Err(problem) => self.target_failed(index, problem),
        }
    }

    fn exported_tree(&self, index: usize) -> Result<Tree, Diagnostic> {
        let planned = &self.targets[index];
        exported_tree(&planned.spec, &planned.plan, |id, output| {
            let mut actions = self.graph.actions_of(index).iter();
            let action = actions.find(|action| self.graph.node(**action).action.id == id)?;
            self.actions[*action].result.as_ref()?.outputs.get(output)
        })
    }

    fn target_failed(&mut self, index: usize, problem: Diagnostic) {
        let name = &self.targets[index].spec.name;
        let problem = self.pipeline.locate(name, problem);
        self.records[index].diagnostics.push(problem);
        self.graph.target_transition(index, TargetState::Failed);
        self.failure(index);
        self.report_target_if_over(index);
    }

    /// Reports a target that has failed and of which nothing runs any more. One that can't be built
    /// for what it needs waits for all of that: whether its failure is allowed is known then.
    fn report_target_if_over(&mut self, index: usize) {
        let is_over = |action: &ActionIndex| self.graph.node(*action).state.is_over();
        let has_ended = |needed: &usize| {
            self.finished.contains(needed) || self.graph.target_state(*needed) == TargetState::Done
        };
        if self.graph.target_state(index) == TargetState::Failed
            && self.graph.actions_of(index).iter().all(is_over)
            && (self.failed_itself(index) || self.graph.needs_of(index).iter().all(has_ended))
        {
            self.report_target(index);
        }
    }

    fn report_target(&mut self, index: usize) {
        if !self.finished.insert(index) {
            return;
        }
        let record = &mut self.records[index];
        if record.tree.is_none() {
            record.duration = record.started.map(|at| at.elapsed()).unwrap_or_default();
        }
        self.graph.touch_dependents(index);
        let failure_allowed = self.is_allowed_to_fail(index);
        (self.on_target)(&Finished {
            index,
            graph: &self.graph,
            actions: &self.actions,
            record: &self.records[index],
            failure_allowed,
        });
    }

    /// Whether a target has failed because of what may fail: itself, or what it needs.
    fn is_allowed_to_fail(&self, index: usize) -> bool {
        let failed = |index: &usize| self.graph.target_state(*index) == TargetState::Failed;
        let mut open = vec![index];
        open.retain(failed);
        let mut seen = BTreeSet::new();
        let has_failed = !open.is_empty();
        while let Some(next) = open.pop() {
            if !seen.insert(next) {
                continue;
            }
            let name = &self.targets[next].spec.name;
            if self.failed_itself(next) && !self.pipeline.allows_failure(name) {
                return false;
            }
            open.extend(
                self.graph
                    .needs_of(next)
                    .iter()
                    .filter(|needed| failed(needed)),
            );
        }
        has_failed
    }

    /// Whether a target has failed, and not only what it needs.
    fn failed_itself(&self, index: usize) -> bool {
        let mut actions = self.graph.actions_of(index).iter();
        self.targets[index].is_lost()
            || self.records[index]
                .diagnostics
                .iter()
                .any(Diagnostic::is_error)
            || actions.any(|action| self.graph.node(*action).state == ActionState::Failed)
    }
}
