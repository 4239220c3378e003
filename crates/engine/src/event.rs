//! What happens during a build, as it happens: for progress displays.

use std::time::Duration;

use synth_core::Phase;

use crate::report::{ActionStatus, TargetReport};

/// Is told what happens. Called from the build's own tasks: it must not block.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn notify(&self, event: &Event);
}

/// Nobody is told.
impl Observer for () {
    fn notify(&self, _event: &Event) {}
}

/// Something that happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Another build holds the workspace; this one waits for it.
    WaitingForWorkspace,
    /// Processes of effects whose synth has died still run; this one waits until they have ended.
    WaitingForEffects,
    /// Blobs that were needed are damaged or missing: what left them is executed again.
    Repairing,
    /// Another build executes this very action; this one waits for its result.
    WaitingForAction {
        /// The target's name.
        target: String,
        /// The action's id.
        action: String,
        /// What a person is told.
        description: String,
    },
    /// Every target is planned.
    Planned {
        /// Targets to build.
        targets: usize,
        /// Their actions.
        actions: usize,
    },
    /// An action is executed: it was not in the cache.
    ActionStarted {
        /// The target's name.
        target: String,
        /// The action's id.
        action: String,
        /// What it is for.
        phase: Phase,
        /// What a person is told.
        description: String,
    },
    /// A native action says what it is at.
    ActionProgress {
        /// The target's name.
        target: String,
        /// The action's id.
        action: String,
        /// Its words.
        message: String,
    },
    /// An attempt of an action has failed; another one follows.
    ActionRetried {
        /// The target's name.
        target: String,
        /// The action's id.
        action: String,
        /// What a person is told.
        description: String,
        /// Which attempt it was, counted from 1.
        attempt: u32,
        /// How many there are at the most.
        attempts: u32,
        /// Why that failure is taken for one that passes by itself.
        reason: String,
        /// How long is waited.
        delay: Duration,
    },
    /// An action has ended, or was found in the cache.
    ActionFinished {
        /// The target's name.
        target: String,
        /// The action's id.
        action: String,
        /// What a person is told.
        description: String,
        /// How it ended.
        status: ActionStatus,
        /// How long it took.
        duration: Duration,
    },
    /// A target has ended.
    TargetFinished {
        /// How.
        report: Box<TargetReport>,
    },
}
