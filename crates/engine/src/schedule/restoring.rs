//! Outputs that are put in place again, of targets that need not be looked at: some at a time, so that
//! whoever watches sees how far it is.

use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::action_graph::TargetState;
use crate::commit::{Commit, CommitError, Exports};
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
    /// Puts in place again what was lost; where outputs are put in place together, with all others.
    pub(super) fn restore_what_is_lost(&mut self) {
        let is_lost = |index: &usize| {
            let settled = self.targets[*index].settled.as_ref();
            settled.is_some_and(|settled| settled.lost.is_some())
        };
        let lost: Vec<usize> = (0..self.targets.len()).filter(is_lost).collect();
        if self.rolls_back() {
            for index in lost {
                self.graph.target_transition(index, TargetState::Done);
            }
            return;
        }
        self.lost = lost.into();
        for _ in 0..self.workshop.jobs.get() {
            self.restore_some();
        }
    }

    fn restore_some(&mut self) {
        if self.lost.is_empty() || self.stop.is_cancelled() {
            return;
        }
        let rest = self.lost.split_off(SOME.min(self.lost.len()));
        let some = mem::replace(&mut self.lost, rest).into_iter();
        let some = some.filter(|index| self.graph.target_state(*index) == TargetState::Proven);
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
            match result {
                Ok(commits) => {
                    self.committed(index, commits.into_iter().next().unwrap_or_default())
                }
                Err(CommitError { problem, .. }) => self.not_committed(index, problem),
            }
        }
        self.restore_some();
    }
}
