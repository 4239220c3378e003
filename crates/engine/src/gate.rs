//! When the next action may start: when it fits beside those that run, a job is free in the jobserver,
//! and the machine is not pressed too hard. Never closed when nothing runs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use synth_core::{Jobserver, Resources};

use crate::action_graph::{ActionGraph, ActionIndex};
use crate::admission::{Admission, Need};
use crate::history::UsedBefore;
use crate::jobserver::{Pool, Share};
use crate::machine::{INTERVAL, Pressure};

/// From a shorter run nothing is learned of how many processors an action keeps busy.
const SHORTEST_LESSON_MS: u64 = 1000;

/// What an action takes of so many jobs: what it declares, or else what it used the last time.
pub(crate) fn need(resources: Resources, used: Option<UsedBefore>, jobs: usize) -> Need {
    let busy = used
        .filter(|used| used.wall_ms >= SHORTEST_LESSON_MS)
        .map(|used| used.cpu_ms.saturating_add(used.wall_ms / 2) / used.wall_ms);
    let processors = match (resources.jobserver, resources.cpu_millis) {
        (Jobserver::None, 0) => busy.unwrap_or(1),
        (Jobserver::None, millis) => millis.div_ceil(1000).into(),
        // What it keeps busy beyond the first it takes from the jobserver.
        _ => 1,
    };
    let memory = match resources.memory_bytes {
        0 => used.map_or(0, |used| used.peak_memory_bytes),
        bytes => bytes,
    };
    Need {
        // More than there are is all of them.
        jobs: usize::try_from(processors).map_or(jobs, |count| count.clamp(1, jobs.max(1))),
        memory,
    }
}

/// Why nothing starts though it would fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closed {
    /// The free jobs are taken by processes below, or by whoever shares them with synth.
    NoFreeJob,
    /// The machine is pressed.
    Pressure,
}

/// Lets actions start.
#[derive(Debug)]
pub(crate) struct Gate {
    admission: Admission,
    pool: Option<Pool>,
    pressure: Pressure,
    closed: Option<Closed>,
    /// The actions that run and have a share of the jobserver.
    sharing: BTreeSet<ActionIndex>,
}

impl Gate {
    /// One for so much together, with the jobserver where there is one.
    pub(crate) fn new(all: Need, pressure: Pressure, pool: Option<Pool>) -> Self {
        Self {
            admission: Admission::new(all),
            pool,
            pressure,
            closed: None,
            sharing: BTreeSet::new(),
        }
    }

    /// The action that may start now.
    pub(crate) fn next(
        &mut self,
        graph: &ActionGraph,
        need: impl Fn(ActionIndex) -> Need,
    ) -> Option<ActionIndex> {
        self.closed = None;
        let is_ready = |index| graph.is_ready(index);
        let index = self.admission.choose(graph.ready(), is_ready, &need);
        let index = index.filter(|index| {
            self.closed = self.closed_to(need(*index));
            self.closed.is_none()
        });
        if index.is_none() && self.closed != Some(Closed::NoFreeJob) {
            self.give_back();
        }
        index
    }

    fn closed_to(&mut self, need: Need) -> Option<Closed> {
        let idle = self.admission.is_idle();
        if !idle && self.pressure.is_high(Instant::now()) {
            return Some(Closed::Pressure);
        }
        let pool = self.pool.as_mut()?;
        // One job is there without being taken: that of whoever started synth.
        let free = pool.hold((self.admission.jobs() + need.jobs).saturating_sub(1));
        (!free && !idle).then_some(Closed::NoFreeJob)
    }

    /// Gives back the jobs that no action has.
    fn give_back(&mut self) {
        let kept = self.admission.jobs().saturating_sub(1);
        if let Some(pool) = &mut self.pool {
            pool.keep(kept);
        }
    }

    /// Nothing is to start any more.
    pub(crate) fn shut(&mut self) {
        self.closed = None;
        self.give_back();
    }

    /// Whether something waits that [`Self::opened`] may tell of.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// Waits until what would fit may start.
    pub(crate) async fn opened(&mut self) {
        match (self.closed, &mut self.pool) {
            (Some(Closed::NoFreeJob), Some(pool)) => pool.take_one().await,
            _ => tokio::time::sleep(INTERVAL).await,
        }
    }

    /// An action starts; it gets a share of the jobserver if it asks for one. Where none can be had it
    /// goes without.
    pub(crate) fn start(
        &mut self,
        index: ActionIndex,
        need: Need,
        style: Jobserver,
    ) -> Option<Arc<Share>> {
        self.admission.start(index, need);
        if style == Jobserver::None {
            return None;
        }
        let share = self.pool.as_mut()?.share(style).ok()?;
        self.sharing.insert(index);
        Some(Arc::new(share))
    }

    /// An action has ended.
    pub(crate) fn end(&mut self, index: ActionIndex) {
        self.admission.end(index);
        if self.sharing.remove(&index)
            && let Some(pool) = &mut self.pool
        {
            pool.share_ended();
        }
    }

    /// So many times at once outputs are being put in place, each of which takes a job.
    pub(crate) fn set_commits(&mut self, commits: usize) {
        self.admission.set_commits(commits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{Machine, made_of};
    use synth_core::{Action, Native, Phase, Plan, ProjectPath, TargetSpec};

    use crate::action_graph::ActionState;
    use crate::graph::TargetGraph;

    #[test]
    fn what_is_declared_counts_before_what_was_learned() {
        const GIB: u64 = 1 << 30;
        let declared = |cpu_millis, memory_bytes, jobserver| Resources {
            cpu_millis,
            memory_bytes,
            jobserver,
        };
        let used = |cpu_ms, wall_ms, peak_memory_bytes| {
            Some(UsedBefore {
                cpu_ms,
                wall_ms,
                peak_memory_bytes,
            })
        };
        let none = Jobserver::None;
        for (resources, used, expected) in [
            (Resources::default(), None, (1, 0)),
            (declared(500, 0, none), None, (1, 0)),
            (declared(2500, GIB, none), None, (3, GIB)),
            (declared(64_000, 0, none), None, (8, 0)),
            (Resources::default(), used(1400, 1000, GIB), (1, GIB)),
            (Resources::default(), used(1500, 1000, GIB), (2, GIB)),
            (Resources::default(), used(900_000, 10_000, 0), (8, 0)),
            (Resources::default(), used(10, 5000, 7), (1, 7)),
            // Too short to tell.
            (Resources::default(), used(3000, 999, 7), (1, 7)),
            (declared(1000, 0, none), used(3000, 1000, 7), (1, 7)),
            (declared(0, 9, none), used(3000, 1000, 7), (3, 9)),
            (
                declared(4000, 0, Jobserver::Descriptors),
                used(9000, 1000, 7),
                (1, 7),
            ),
        ] {
            let need = need(resources, used, 8);
            assert_eq!((need.jobs, need.memory), expected, "{resources:?} {used:?}");
        }
    }

    /// A graph of so many actions that wait for nothing.
    fn graph(count: usize) -> ActionGraph {
        let names: Vec<String> = (0..count).map(|index| format!("a{index}")).collect();
        let plan = || Plan::default().action(Action::new("a", Phase::Build, "a", Native::new("a")));
        let plans: Vec<Plan> = names.iter().map(|_| plan()).collect();
        let target = |name: &String| TargetSpec::new(name, "any", ProjectPath::root());
        let targets: Vec<TargetSpec> = names.iter().map(target).collect();
        ActionGraph::new(plans.iter(), &TargetGraph::new(&targets).unwrap())
    }

    const ONE: Need = Need { jobs: 1, memory: 0 };

    fn jobs(jobs: usize) -> Need {
        Need {
            jobs,
            memory: u64::MAX,
        }
    }

    fn fill(gate: &mut Gate, graph: &mut ActionGraph, style: Jobserver) -> Vec<Option<Arc<Share>>> {
        let mut started = Vec::new();
        while let Some(index) = gate.next(graph, |_| ONE) {
            graph.transition(index, ActionState::Running);
            started.push(gate.start(index, ONE, style));
        }
        started
    }

    #[test]
    fn under_pressure_one_runs_and_no_second_one_starts() {
        for (average, expected, closed) in [("90.00", 1, true), ("1.00", 3, false)] {
            let text = format!("some avg10={average} avg60=0.00 avg300=0.00 total=0\n");
            let (_directory, machine) = made_of(&[("proc/pressure/memory", &text)]);
            let mut gate = Gate::new(jobs(3), Pressure::new(machine), None);
            let mut graph = graph(5);
            let started = fill(&mut gate, &mut graph, Jobserver::None).len();
            assert_eq!((started, gate.is_closed()), (expected, closed), "{average}");
        }
    }

    #[test]
    fn jobs_that_processes_took_are_waited_for() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let pressure = Pressure::new(Machine::at("/nowhere"));
            let mut gate = Gate::new(jobs(3), pressure, Pool::own(3).ok());
            let mut graph = graph(5);
            let first = gate.next(&graph, |_| ONE).unwrap();
            graph.transition(first, ActionState::Running);
            let share = gate.start(first, ONE, Jobserver::Descriptors).unwrap();
            let mut read = std::fs::File::from(share.ends[0].try_clone().unwrap());
            let mut bytes = [0; 1];
            std::io::Read::read_exact(&mut read, &mut bytes).unwrap();
            // It has two jobs now, so one more action starts, and no third one.
            assert_eq!(fill(&mut gate, &mut graph, Jobserver::None).len(), 1);
            assert!(gate.is_closed());
            let mut write = std::fs::File::from(share.ends[1].try_clone().unwrap());
            std::io::Write::write_all(&mut write, &bytes).unwrap();
            gate.opened().await;
            assert_eq!(fill(&mut gate, &mut graph, Jobserver::None).len(), 1);
            assert!(!gate.is_closed(), "there are three, as many as may be");
            gate.end(first);
            assert_eq!(fill(&mut gate, &mut graph, Jobserver::None).len(), 1);
        });
    }
}
