//! Whether an effect that has failed is tried again, and when: as an action is, by what its kind says of
//! failures that pass by themselves.

use std::fs::{self, OpenOptions};
use std::io::Write;

use fastrand::Rng;
use synth_core::{
    Action, ActionKind, Diagnostic, EffectKind, EffectPhase, Native, Network, Phase, RetrySettings,
};

use super::record::Entry;
use super::run::Doing;
use super::worker::Worker;
use crate::failure::{self, Failure, Policy};

/// What is known of an attempt beside its problems.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Attempt {
    /// Where in the log it begins.
    logged: u64,
    /// Of the last of its processes that failed, if that exited.
    exit_code: Option<i32>,
}

impl Worker<'_> {
    /// To be called before an effect is applied.
    pub(super) fn begin_attempt(&self, entry: &Entry) {
        let logged = fs::metadata(self.log(entry)).map_or(0, |metadata| metadata.len());
        self.last.set(Attempt {
            logged,
            exit_code: None,
        });
    }

    /// A process of the effect has ended with this code.
    pub(super) fn exited_with(&self, code: i32) {
        self.last.set(Attempt {
            exit_code: Some(code),
            ..self.last.get()
        });
    }

    /// Whether a failure passes by itself, and the effect is to be applied once more: now, because it
    /// has been waited.
    pub(super) fn passes(&self, entry: &Entry, attempt: u32, problems: &[Diagnostic]) -> bool {
        let action = as_action(entry);
        let policy = Policy::of(&action, &RetrySettings::default());
        if attempt >= policy.attempts || self.stop.cancel.is_cancelled() {
            return false;
        }
        let log = self.log(entry);
        let Attempt { logged, exit_code } = self.last.get();
        let failure = Failure {
            // It runs outside of the sandbox.
            has_network: true,
            exit_code,
            diagnostics: problems.to_vec(),
            output: Failure::output(&log, logged),
            action,
        };
        let Some(reason) = policy.reason(&failure) else {
            return false;
        };
        let delay = policy.delay(attempt, &mut Rng::new());
        let line = format!(
            "[attempt {attempt} of {} failed ({reason}); the next one begins in {} s]",
            policy.attempts,
            delay.as_secs_f64()
        );
        // A log that can't be written is no reason to fail what it tells of.
        let open = OpenOptions::new().append(true).create(true).open(log);
        let _ = open.and_then(|mut log| writeln!(log, "{line}"));
        (self.tell)(Doing::WaitingToApply, &entry.name(), &reason);
        let waited = failure::wait(delay, &self.stop.cancel);
        self.processes.runtime().block_on(waited)
    }
}

/// An effect as an action, which fails in the same ways.
fn as_action(entry: &Entry) -> Action {
    let effect = &entry.effect;
    let phase = match effect.phase {
        EffectPhase::Publish => Phase::Publish,
        EffectPhase::Deploy => Phase::Deploy,
    };
    let kind: ActionKind = match &effect.kind {
        EffectKind::Processes(processes) => processes.apply.clone().into(),
        EffectKind::Native(native) => native.clone().into(),
        _ => Native::new(effect.id.as_str()).into(),
    };
    let mut action = Action::new(&effect.id, phase, &effect.description, kind);
    action.retry = effect.retry.clone();
    action.network = Network::Allowed;
    action
}
