//! Which action may start beside those that run: by the jobs and the memory that there are, and what
//! each takes of them. Numbers only; knows neither the work of actions nor the machine.

use std::collections::{BTreeMap, BTreeSet};

use crate::action_graph::ActionIndex;

/// Of the actions that are ready, so many are looked at for one that fits beside what runs.
const MOST_LOOKED_AT: usize = 128;

/// What an action takes while it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Need {
    /// Of the build's jobs: one for each processor that it keeps busy.
    pub(crate) jobs: usize,
    /// In bytes; 0 when not known.
    pub(crate) memory: u64,
}

impl Need {
    fn and(self, other: Self) -> Self {
        Self {
            jobs: self.jobs.saturating_add(other.jobs),
            memory: self.memory.saturating_add(other.memory),
        }
    }
}

/// What there is, and who has it.
#[derive(Debug)]
pub(crate) struct Admission {
    /// What all that runs may take together.
    all: Need,
    running: BTreeMap<ActionIndex, Need>,
    /// Outputs are being put in place: each such work of synth's own takes one job.
    commits: usize,
    /// The first action that did not fit. It is next as soon as it fits, however many smaller ones
    /// come.
    waiting: Option<ActionIndex>,
    /// Those that were started while it waited.
    overtaking: BTreeSet<ActionIndex>,
}

impl Admission {
    pub(crate) fn new(all: Need) -> Self {
        Self {
            all,
            running: BTreeMap::new(),
            commits: 0,
            waiting: None,
            overtaking: BTreeSet::new(),
        }
    }

    /// How many jobs the actions have that run.
    pub(crate) fn jobs(&self) -> usize {
        self.running.values().map(|need| need.jobs).sum()
    }

    /// Whether nothing runs.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.commits == 0
    }

    /// The one of these, in the order in which they should start, that may start now. One that needs
    /// more than there is may when nothing else runs.
    pub(crate) fn choose(
        &mut self,
        mut ready: impl Iterator<Item = ActionIndex>,
        is_ready: impl Fn(ActionIndex) -> bool,
        need: impl Fn(ActionIndex) -> Need,
    ) -> Option<ActionIndex> {
        if self.waiting.is_some_and(|waiting| !is_ready(waiting)) {
            // It is not going to start any more.
            self.stop_waiting();
        }
        if self.is_idle() {
            return self.waiting.or_else(|| ready.next());
        }
        let taken = self.taken();
        if taken.jobs >= self.all.jobs {
            return None;
        }
        if let Some(waiting) = self.waiting
            && self.fits(taken.and(need(waiting)))
        {
            return Some(waiting);
        }
        for index in ready.take(MOST_LOOKED_AT) {
            let its = need(index);
            if self.fits(taken.and(its)) && self.leaves_room(its, &need) {
                return Some(index);
            }
            self.waiting.get_or_insert(index);
        }
        None
    }

    /// Whether the one that waits still fits beside this one and all that have overtaken it: then it
    /// waits for nothing but what ran before.
    fn leaves_room(&self, other: Need, need: &impl Fn(ActionIndex) -> Need) -> bool {
        let Some(waiting) = self.waiting else {
            return true;
        };
        let overtaking = self.overtaking.iter().filter_map(|it| self.running.get(it));
        self.fits(overtaking.fold(need(waiting).and(other), |sum, need| sum.and(*need)))
    }

    fn taken(&self) -> Need {
        let commits = Need {
            jobs: self.commits,
            memory: 0,
        };
        self.running
            .values()
            .fold(commits, |sum, need| sum.and(*need))
    }

    fn fits(&self, need: Need) -> bool {
        need.jobs <= self.all.jobs && need.memory <= self.all.memory
    }

    fn stop_waiting(&mut self) {
        self.waiting = None;
        self.overtaking.clear();
    }

    /// An action starts.
    pub(crate) fn start(&mut self, index: ActionIndex, need: Need) {
        self.running.insert(index, need);
        if self.waiting == Some(index) {
            self.stop_waiting();
        } else if self.waiting.is_some() {
            self.overtaking.insert(index);
        }
    }

    /// An action has ended.
    pub(crate) fn end(&mut self, index: ActionIndex) {
        self.running.remove(&index);
        self.overtaking.remove(&index);
    }

    /// So many times at once outputs are being put in place.
    pub(crate) fn set_commits(&mut self, commits: usize) {
        self.commits = commits;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Actions by their jobs and memory, in the order in which they should start.
    struct Machine {
        admission: Admission,
        needs: Vec<Need>,
        ready: BTreeSet<ActionIndex>,
    }

    impl Machine {
        fn new(all: (usize, u64), needs: &[(usize, u64)]) -> Self {
            let need = |(jobs, memory)| Need { jobs, memory };
            Self {
                admission: Admission::new(need(all)),
                needs: needs.iter().copied().map(need).collect(),
                ready: (0..needs.len()).collect(),
            }
        }

        /// Starts what may start, and tells which it was.
        fn fill(&mut self) -> Vec<ActionIndex> {
            let mut started = Vec::new();
            while let Some(index) = self.admission.choose(
                self.ready.iter().copied(),
                |index| self.ready.contains(&index),
                |index| self.needs[index],
            ) {
                self.ready.remove(&index);
                self.admission.start(index, self.needs[index]);
                started.push(index);
            }
            started
        }
    }

    #[test]
    fn no_more_is_started_than_fits() {
        for (all, needs, expected) in [
            ((2, 0), vec![(1, 0), (1, 0), (1, 0)], vec![0, 1]),
            ((4, 0), vec![(2, 0), (2, 0), (1, 0)], vec![0, 1]),
            ((4, 10), vec![(1, 6), (1, 4), (1, 1)], vec![0, 1]),
            ((4, 10), vec![(1, 0), (1, 0), (1, 10)], vec![0, 1, 2]),
            // More than there is: alone.
            ((2, 10), vec![(3, 0), (1, 0)], vec![0]),
            ((2, 10), vec![(1, 11), (1, 0)], vec![0]),
            ((2, 10), vec![(1, u64::MAX), (1, u64::MAX)], vec![0]),
            // Smaller ones go before one that does not fit, where it can start no later for them.
            ((4, 10), vec![(1, 6), (1, 6), (1, 4), (1, 1)], vec![0, 2]),
            ((4, 10), vec![(1, 6), (1, 6), (1, 5)], vec![0]),
            ((4, 0), vec![(2, 0), (3, 0), (1, 0), (1, 0)], vec![0, 2]),
        ] {
            let mut machine = Machine::new(all, &needs);
            assert_eq!(machine.fill(), expected, "{all:?} {needs:?}");
        }
    }

    #[test]
    fn a_large_one_is_not_starved_by_small_ones() {
        let mut needs = vec![(1, 5), (1, 5), (3, 8)];
        needs.extend([(1, 2); 20]);
        let mut machine = Machine::new((4, 10), &needs);
        assert_eq!(machine.fill(), [0, 1]);
        machine.admission.end(0);
        // One may overtake it, which it fits beside; no second one.
        assert_eq!(machine.fill(), [3]);
        machine.admission.end(3);
        assert_eq!(machine.fill(), [4]);
        machine.admission.end(1);
        assert_eq!(
            machine.fill(),
            [2],
            "it fits beside the one that overtook it"
        );
    }

    #[test]
    fn who_waits_is_forgotten_when_it_is_not_to_start_any_more() {
        let mut machine = Machine::new((2, 10), &[(1, 6), (2, 10), (1, 4)]);
        assert_eq!(machine.fill(), [0]);
        machine.ready.remove(&1);
        assert_eq!(machine.fill(), [2]);
    }

    #[test]
    fn putting_outputs_in_place_takes_a_job() {
        let mut machine = Machine::new((1, 0), &[(1, 0)]);
        machine.admission.set_commits(1);
        assert!(machine.fill().is_empty());
        machine.admission.set_commits(0);
        assert_eq!(machine.fill(), [0]);
    }
}
