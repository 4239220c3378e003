//! How proven targets come into their places: each when it is proven, or, where a failure takes
//! everything back, all together when all are.

use std::sync::Arc;

use synth_core::Diagnostic;

use crate::action_graph::{ActionState, TargetState};
use crate::commit::{Commit, CommitError, Exports};
use crate::config::FailureStrategy;
use crate::explain::TargetKeys;
use crate::history::UsedBefore;
use crate::records::Sort;
use crate::schedule::{Done, Schedule, Workshop};
use crate::target_report::milliseconds;

impl Schedule<'_> {
    /// Whether outputs are put in place together, or not at all.
    pub(super) fn rolls_back(&self) -> bool {
        self.pipeline.failure_strategy == FailureStrategy::Rollback
    }

    /// Puts everything in place that is to be together, when nothing more is to come.
    pub(super) fn commit_all_if_proven(&mut self) {
        if !self.rolls_back() || !self.running.is_empty() || self.stop.is_cancelled() {
            return;
        }
        let open: Vec<usize> = (0..self.targets.len())
            .filter(|index| !self.finished.contains(index))
            .collect();
        let all_proven = open.iter().all(|index| self.records[*index].tree.is_some());
        if all_proven && !open.is_empty() {
            self.start_commit(open);
        }
    }

    pub(super) fn start_commit(&mut self, indices: Vec<usize>) {
        let targets: Vec<Exports> = indices
            .iter()
            .filter_map(|index| {
                let planned = &self.targets[*index];
                Some(Exports {
                    target: planned.spec.clone(),
                    tree: self.records[*index].tree.clone()?,
                    in_place: planned.is_in_place(),
                })
            })
            .collect();
        let workshop = Arc::clone(&self.workshop);
        let rolls_back = self.rolls_back();
        let targets_of = self.targets;
        let looked_at = indices.iter();
        let looked_at = looked_at.filter(|index| targets_of[**index].settled.is_none());
        let keys: Vec<TargetKeys> = looked_at.map(|index| self.take_keys(*index)).collect();
        // It counts as one that runs, so that one at a time is one at a time.
        self.commits += 1;
        self.running.spawn_blocking(move || {
            let committed = match rolls_back {
                true => workshop.transaction.commit(&workshop.outputs, &targets),
                false => {
                    let open = workshop.transaction.log();
                    workshop.outputs.commit(&targets, open.as_deref())
                }
            };
            if committed.is_ok() {
                keep_keys(&workshop, &keys);
            }
            Done::Commit(indices, Box::new(committed))
        });
    }

    /// The keys of a target's actions.
    fn take_keys(&mut self, target: usize) -> TargetKeys {
        // What is put in place together may be so without one that may fail, once more.
        let once = !self.rolls_back();
        let actions_of = self.graph.actions_of(target);
        let keys = actions_of.iter().filter_map(|index| {
            let id = self.graph.node(*index).action.id.clone();
            let key = &mut self.actions[*index].key;
            let key = if once { key.take() } else { key.clone() };
            Some((id, key?))
        });
        let mut record = TargetKeys {
            target: self.targets[target].spec.name.clone(),
            actions: keys.collect(),
            ..TargetKeys::default()
        };
        for index in actions_of {
            let node = self.graph.node(*index);
            let action = &self.actions[*index];
            let ran = (node.state == ActionState::Executed).then(|| {
                (
                    milliseconds(action.duration),
                    action.usage.map(UsedBefore::of),
                )
            });
            self.history
                .write(target, &node.action.id, ran, &mut record);
        }
        record
    }

    pub(super) fn commit_done(
        &mut self,
        indices: &[usize],
        result: Result<Vec<Commit>, CommitError>,
    ) {
        self.commits -= 1;
        match result {
            Ok(written) => {
                for (index, commit) in indices.iter().zip(written) {
                    self.committed(*index, commit);
                }
            }
            Err(CommitError { index, problem }) => {
                if let Some(index) = indices.get(index) {
                    self.not_committed(*index, problem);
                }
            }
        }
    }

    pub(super) fn committed(&mut self, index: usize, commit: Commit) {
        let record = &mut self.records[index];
        record.committed = true;
        record.written = commit.written;
        record.reasons = commit.reasons;
        self.graph.target_transition(index, TargetState::Done);
        self.report_target(index);
        self.go_on_after(index);
    }

    pub(super) fn not_committed(&mut self, index: usize, problem: Diagnostic) {
        self.target_failed(index, problem);
        // Where outputs are put in place together, those that need it are built already.
        self.graph.withdraw(index);
    }
}

/// Keeps the keys for the next build, which says less where they can't be kept.
fn keep_keys(workshop: &Workshop, keys: &[TargetKeys]) {
    if let Some(log) = workshop.transaction.log() {
        let mut noted = keys.iter().map(|keys| log.note(Sort::Keys, &keys.target));
        if noted.any(|noted| noted.is_err()) {
            return;
        }
    }
    TargetKeys::keep(keys, workshop.state.records());
}
