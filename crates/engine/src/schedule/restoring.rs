//! Outputs that are put in place again, of targets that need not be looked at: each when all that it
//! needs is done, and some at a time, so that whoever watches sees how far it is.

use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::action_graph::TargetState;
use crate::commit::{Commit, CommitError, Exports};
use crate::event::Event;
use crate::report::ActionStatus;
use crate::schedule::{Done, Schedule};

/// How many targets one thread puts in place before it tells.
const SOME: usize = 16;

/// What became of a target's outputs, and how long that took.
pub(super) struct Restored {
    index: usize,
    result: Result<Vec<Commit>, CommitError>,
    took: Duration,
}

impl Schedule<'_> {
    /// Where outputs are put in place together, those that are missing are with all others.
    pub(super) fn begin_to_restore(&mut self) {
        for index in 0..self.targets.len() {
            if !self.is_missing(index) {
                continue;
            }
            if self.rolls_back() {
                self.graph.target_transition(index, TargetState::Done);
                self.tell_of_actions(index);
            } else if self.graph.has_what_it_needs(index) {
                self.restorable.push_back(index);
            }
        }
    }

    /// A target is done: those that need it may have waited for nothing else.
    pub(super) fn find_restorable(&mut self, index: usize) {
        if self.rolls_back() {
            return;
        }
        for dependent in self.graph.dependents_of(index).to_vec() {
            if self.is_missing(dependent) && self.graph.has_what_it_needs(dependent) {
                self.restorable.push_back(dependent);
            }
        }
    }

    /// Whether the outputs of a target that is settled are to be put in place again.
    fn is_missing(&self, index: usize) -> bool {
        let settled = self.targets[index].settled.as_ref();
        settled.is_some_and(|settled| settled.missing.is_some())
    }

    /// Puts in place again what is missing, with the jobs that no action takes.
    pub(super) fn restore(&mut self) {
        let jobs = self.workshop.jobs.get();
        while self.running.len() < jobs && !self.restorable.is_empty() && !self.stop.is_cancelled()
        {
            self.restore_some();
        }
    }

    fn restore_some(&mut self) {
        let rest = self.restorable.split_off(SOME.min(self.restorable.len()));
        let some = mem::replace(&mut self.restorable, rest).into_iter();
        let some = some.filter_map(|index| {
            let planned = &self.targets[index];
            let exports = Exports {
                target: planned.spec.clone(),
                tree: self.records[index].tree.clone()?,
                in_place: planned.is_in_place(),
            };
            Some((index, exports))
        });
        let some: Vec<(usize, Exports)> = some.collect();
        let (workshop, stop) = (Arc::clone(&self.workshop), self.stop.clone());
        self.commits += 1;
        self.running.spawn_blocking(move || {
            let open = workshop.transaction.log();
            let some = some.into_iter().take_while(|_| !stop.is_cancelled());
            let restored = some.map(|(index, exports)| {
                let begun = Instant::now();
                Restored {
                    index,
                    result: workshop.outputs.commit(&[exports], open.as_deref()),
                    took: begun.elapsed(),
                }
            });
            Done::Restored(restored.collect())
        });
    }

    pub(super) fn restored(&mut self, restored: Vec<Restored>) {
        self.commits -= 1;
        for Restored {
            index,
            result,
            took,
        } in restored
        {
            self.records[index].duration = took;
            self.tell_of_actions(index);
            match result {
                Ok(commits) => {
                    let commit = commits.into_iter().next();
                    self.committed(index, commit.unwrap_or_default());
                }
                Err(CommitError { problem, .. }) => self.not_committed(index, problem),
            }
        }
    }

    /// The results of a target's actions are known: tells as much.
    fn tell_of_actions(&self, index: usize) {
        let planned = &self.targets[index];
        let report = planned.settled.as_ref().map(|settled| &settled.report);
        for action in report.into_iter().flat_map(|report| &report.actions) {
            self.workshop.observer.notify(&Event::ActionFinished {
                target: planned.spec.name.clone(),
                action: action.id.clone(),
                description: action.description.clone(),
                status: ActionStatus::Cached,
                duration: Duration::ZERO,
            });
        }
    }
}
