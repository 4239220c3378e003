//! What happens when a build finds blobs damaged or missing that it needs: it goes through once
//! more, in which whatever left them is executed again and all the rest is known. What both passes
//! came to is one report.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use synth_core::{Diagnostic, Digest};

use crate::report::{ActionReport, ActionStatus, BuildReport, TargetReport, TargetStatus};
use crate::store::Store;

/// A store that loses more than this is not going to get better.
const MOST_PASSES: usize = 4;

/// The actions that a build has executed, in all its passes: those are not forced again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Executed(Arc<Mutex<HashSet<String>>>);

impl Executed {
    pub(crate) fn add(&self, action: &Digest) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(action.sha256.clone());
    }

    pub(crate) fn has(&self, action: &Digest) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.contains(&action.sha256)
    }
}

/// The passes of a build so far.
#[derive(Debug, Default)]
pub(crate) struct Repairs {
    pub(crate) executed: Executed,
    passes: usize,
    /// What the earlier passes came to.
    before: Vec<TargetReport>,
    losses: Vec<Diagnostic>,
}

impl Repairs {
    /// Whether this is the first pass.
    pub(crate) fn is_first(&self) -> bool {
        self.passes == 0
    }

    /// Takes what a pass came to. Gives it back, with what the earlier ones did, when that is all:
    /// when nothing was lost that it needed, or it was the `last`.
    pub(crate) fn finish(
        &mut self,
        mut report: BuildReport,
        store: &Store,
        last: bool,
    ) -> Option<BuildReport> {
        self.passes += 1;
        for loss in store.take_losses() {
            let warning = loss.into_warning();
            if !self.losses.contains(&warning) {
                self.losses.push(warning);
            }
        }
        for target in &mut report.targets {
            let earlier = self.before.iter().find(|one| one.name == target.name);
            if let Some(earlier) = earlier {
                join(target, earlier);
            }
        }
        if !last && store.is_interrupted() && self.passes < MOST_PASSES {
            self.before = report.targets;
            return None;
        }
        report.diagnostics.append(&mut self.losses);
        Some(report)
    }
}

/// Adds to a target's report what was done for it in an earlier pass.
fn join(target: &mut TargetReport, earlier: &TargetReport) {
    for action in &mut target.actions {
        let before = earlier.actions.iter().find(|one| one.id == action.id);
        let executed = |one: &&ActionReport| one.status == ActionStatus::Executed;
        if action.status == ActionStatus::Cached
            && let Some(before) = before.filter(executed)
        {
            *action = before.clone();
        }
    }
    let mut actions = target.actions.iter();
    if !target.status.is_success() {
        return;
    }
    target.duration_ms = target.duration_ms.saturating_add(earlier.duration_ms);
    if actions.any(|action| action.status == ActionStatus::Executed) {
        target.status = TargetStatus::Built;
    } else if target.status == TargetStatus::UpToDate && earlier.status.is_success() {
        target.status = earlier.status;
    }
}
