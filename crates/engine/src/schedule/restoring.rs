//! Outputs that are put in place again, of targets that need not be looked at: each when all that it
//! needs is done, and some at a time, so that whoever watches sees how far it is.

use std::collections::BTreeSet;
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
    /// Begins with the settled targets that need nothing.
    pub(super) fn begin_with_settled(&mut self) {
        for index in 0..self.targets.len() {
            if self.graph.needs_of(index).is_empty() {
                self.go_on_with(index);
            }
        }
    }

    /// A target is done: those that need it may have waited for nothing else.
    pub(super) fn go_on_after(&mut self, index: usize) {
        let dependents = self.graph.dependents_of(index).iter();
        let dependents: BTreeSet<usize> = dependents.copied().collect();
        for dependent in dependents {
            if self.graph.has_what_it_needs(dependent) {
                self.go_on_with(dependent);
            }
        }
    }

    /// All that a target needs is done. If it is settled it is done too, unless its outputs are to be
    /// put in place again; where outputs are put in place together, these are with all others.
    fn go_on_with(&mut self, index: usize) {
        let mut open = vec![index];
        while let Some(index) = open.pop() {
            let Some(settled) = &self.targets[index].settled else {
                continue;
            };
            match (&settled.missing, self.rolls_back()) {
                (Some(_), false) => {
                    self.restorable.push_back(index);
                    continue;
                }
                (Some(_), true) => self.tell_of_actions(index),
                (None, _) => {
                    self.records[index].committed = true;
                    self.finished.insert(index);
                }
            }
            self.graph.target_transition(index, TargetState::Done);
            let dependents = self.graph.dependents_of(index).iter().copied();
            let dependents: BTreeSet<usize> = dependents.collect();
            let dependents = dependents.into_iter();
            open.extend(dependents.filter(|other| self.graph.has_what_it_needs(*other)));
        }
    }

    /// Puts in place again what is missing, beside actions; one at a time where they are.
    pub(super) fn restore(&mut self) {
        let jobs = self.workshop.jobs.get();
        let busy = |schedule: &Self| match jobs {
            1 => schedule.running.len(),
            _ => schedule.commits,
        };
        while busy(self) < jobs && !self.restorable.is_empty() && !self.stop.is_cancelled() {
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
