//! One action from its inputs to its result: looked up in the cache, executed and tried again,
//! kept for the next build.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use fastrand::Rng;
use synth_core::{Diagnostic, Network, RetrySettings};
use tokio_util::sync::CancellationToken;

use crate::action_graph::ActionState;
use crate::config::SandboxMode;
use crate::event::Event;
use crate::executor::kept::Keep;
use crate::executor::{Ended, Execution, Meter, Stop, blocking};
use crate::explain::{KeyBytes, TargetKeys};
use crate::failure::{self, Failure, Policy};
use crate::inputs::{Available, input_tree};
use crate::jobserver::Share;
use crate::key::Key;
use crate::kind::Kind;
use crate::lookup::look_up;
use crate::report::RetryReport;
use crate::reproducible;
use crate::schedule::{ActionRecord, Workshop};
use crate::store::{ActionLock, CachedAction};
use crate::target_report::milliseconds;
use crate::tree::Tree;

/// One action with all that it takes to bring it to its end.
pub(crate) struct ActionJob {
    pub(crate) workshop: Arc<Workshop>,
    pub(crate) action: synth_core::Action,
    pub(crate) target: String,
    pub(crate) kind: Arc<Kind>,
    pub(crate) available: Available,
    pub(crate) jobserver: Option<Arc<Share>>,
    /// What the pipeline and the target say of retries.
    pub(crate) retry: RetrySettings,
    pub(crate) stop: CancellationToken,
    /// Called when its process has succeeded.
    pub(crate) ran: Arc<dyn Fn() + Send + Sync>,
}

impl ActionJob {
    /// Brings it to its end.
    pub(crate) async fn run(self) -> (ActionRecord, ActionState) {
        let started = Instant::now();
        let mut record = ActionRecord {
            started: Some(SystemTime::now()),
            ..ActionRecord::default()
        };
        let state = self.carry_out(&mut record).await;
        record.duration = started.elapsed();
        (record, state)
    }

    async fn carry_out(&self, record: &mut ActionRecord) -> ActionState {
        let state = self.bring_about(record).await;
        if !self.workshop.verify || !state.is_success() {
            return state;
        }
        match self.verify(record).await {
            Some(ended) => ended,
            None => state,
        }
    }

    /// Executes it once more and compares; none when it left the same.
    async fn verify(&self, record: &mut ActionRecord) -> Option<ActionState> {
        let inputs = match self.lay_out() {
            Ok(inputs) => inputs,
            Err(problem) => {
                record.diagnostics.push(problem);
                return Some(ActionState::Failed);
            }
        };
        let log = self.log("verify.log");
        match self.execute(inputs, &log, false).await.0 {
            Ended::Cancelled => Some(ActionState::Cancelled),
            Ended::Failed {
                diagnostics,
                exit_code,
            } => {
                let failure = self.failure(diagnostics, exit_code, &log, 0);
                record.log = Some(log);
                Some(self.failed(failure, record))
            }
            Ended::Succeeded(second) => {
                let first = record.result.clone()?;
                let (store, report) = (&self.workshop.store, self.log("diffoscope.txt"));
                let (first, second) = (&first.outputs, &second.outputs);
                let problem = reproducible::compare(&self.action, first, second, store, &report)?;
                record.diagnostics.push(problem);
                Some(ActionState::Failed)
            }
        }
    }

    fn lay_out(&self) -> Result<Tree, Diagnostic> {
        blocking(|| input_tree(&self.action, &self.workshop.project, &self.available))
    }

    /// The file with what an execution prints.
    fn log(&self, ending: &str) -> PathBuf {
        let name = format!("{}.{}.{ending}", self.target, file_name(&self.action.id));
        self.workshop.logs.file(&name)
    }

    async fn bring_about(&self, record: &mut ActionRecord) -> ActionState {
        let inputs = match self.look_up(record) {
            Ok(Some(inputs)) => inputs,
            Ok(None) => return ActionState::Cached,
            Err(problem) => {
                record.diagnostics.push(problem);
                return ActionState::Failed;
            }
        };
        if self.stop.is_cancelled() {
            return ActionState::Cancelled;
        }
        let _turn = match self.take_turns(record).await {
            Turn::Mine(lock) => lock,
            Turn::Over(state) => return state,
        };
        self.give_a_reason(record);
        let log = self.log("log");
        record.log = Some(log.clone());
        self.workshop.observer.notify(&Event::ActionStarted {
            target: self.target.clone(),
            action: self.action.id.clone(),
            phase: self.action.phase,
            description: self.action.description.clone(),
        });
        self.execute_until_done(&inputs, &log, record).await
    }

    /// Executes it, again as long as its failures pass by themselves. Each time in a directory of its
    /// own.
    async fn execute_until_done(
        &self,
        inputs: &Tree,
        log: &Path,
        record: &mut ActionRecord,
    ) -> ActionState {
        let policy = Policy::of(&self.action, &self.retry);
        let mut random = Rng::new();
        loop {
            let started = Instant::now();
            let logged = std::fs::metadata(log).map_or(0, |metadata| metadata.len());
            // What comes after its process may fail too, and then it is executed once more.
            let is_last = record.attempts + 1 >= policy.attempts;
            let (ended, meter) = self.execute(inputs.clone(), log, is_last).await;
            record.attempts += 1;
            record.usage = meter.usage();
            let (diagnostics, exit_code) = match ended {
                Ended::Succeeded(result) => return self.keep(result, record),
                Ended::Cancelled => return ActionState::Cancelled,
                Ended::Failed {
                    diagnostics,
                    exit_code,
                } => (diagnostics, exit_code),
            };
            let mut failure = self.failure(diagnostics, exit_code, log, logged);
            // What is missing of its inputs does not come back by itself.
            let goes_on =
                record.attempts < policy.attempts && !self.workshop.store.is_interrupted();
            let passes = || policy.reason(&failure);
            let Some(reason) = goes_on.then(passes).flatten() else {
                record.command = meter.failed_command();
                if record.command.is_none() && !failure.is_not_its_own() {
                    record.command = failure::of_action(&self.action);
                }
                failure.was_tried(record.attempts);
                return self.failed(failure, record);
            };
            let delay = policy.delay(record.attempts, &mut random);
            record.retries.push(RetryReport {
                attempt: record.attempts,
                reason,
                exit_code,
                duration_ms: milliseconds(started.elapsed()),
                delay_ms: milliseconds(delay),
            });
            self.tell_of_retry(&policy, &failure, log, record);
            if !failure::wait(delay, &self.stop).await {
                return ActionState::Cancelled;
            }
        }
    }

    /// Says that the last attempt has failed and another one follows.
    fn tell_of_retry(&self, policy: &Policy, failure: &Failure, log: &Path, record: &ActionRecord) {
        let Some(last) = record.retries.last() else {
            return;
        };
        let (attempt, attempts) = (last.attempt, policy.attempts);
        let delay = Duration::from_millis(last.delay_ms);
        let seconds = delay.as_secs_f64();
        let is_at_start = failure.output.is_empty() || failure.output.ends_with('\n');
        let line = format!(
            "{}[attempt {attempt} of {attempts} failed ({}); the next one begins in {seconds} s]",
            if is_at_start { "" } else { "\n" },
            last.reason
        );
        // A log that can't be written is no reason to fail what it tells of.
        let open = OpenOptions::new().append(true).create(true).open(log);
        let _ = open.and_then(|mut log| writeln!(log, "{line}"));
        self.workshop.observer.notify(&Event::ActionRetried {
            target: self.target.clone(),
            action: self.action.id.clone(),
            description: self.action.description.clone(),
            attempt,
            attempts,
            reason: last.reason.clone(),
            delay,
        });
    }

    fn failure(
        &self,
        diagnostics: Vec<Diagnostic>,
        exit_code: Option<i32>,
        log: &Path,
        logged: u64,
    ) -> Failure {
        let is_apart = self.workshop.sandbox.mode() == SandboxMode::Strict;
        Failure {
            action: self.action.clone(),
            has_network: self.action.network == Network::Allowed || !is_apart,
            exit_code,
            diagnostics,
            output: Failure::output(log, logged),
        }
    }

    /// Records a failure that is the end, with what to do about it.
    fn failed(&self, mut failure: Failure, record: &mut ActionRecord) -> ActionState {
        record.exit_code = failure.exit_code;
        // What has failed is told with advice or without.
        let trouble = blocking(|| Ok(failure::advise(&mut failure, &self.kind)));
        record.diagnostics.extend(failure.diagnostics);
        record.trouble = trouble.ok().flatten();
        ActionState::Failed
    }

    /// Lays out the inputs; none when the result is known already, and then it is recorded.
    fn look_up(&self, record: &mut ActionRecord) -> Result<Option<Tree>, Diagnostic> {
        let (workshop, action, target) = (&self.workshop, &self.action, &self.target);
        let looked_up = blocking(|| {
            let inputs = input_tree(action, &workshop.project, &self.available)?;
            let forced = |key: &Key| {
                workshop.force.contains(target) && !workshop.executed.has(&key.digest())
            };
            let (kind, wanted) = (self.kind.description(), workshop.use_cache);
            let (key, known) = look_up(workshop, action, &inputs, kind, wanted)?;
            let known = known.filter(|_| !forced(&key));
            let digest = key.digest();
            let before = TargetKeys::read(workshop.state.records(), target);
            let reasons = before.differences(action, &key);
            let key = KeyBytes::of(&key);
            Ok((inputs, digest, known, key, reasons))
        });
        let (inputs, digest, known, key, reasons) = looked_up?;
        record.digest = Some(digest);
        record.key = Some(key);
        record.reasons = reasons;
        Ok(match known {
            Some(result) => {
                is_known(result, record);
                None
            }
            None => Some(inputs),
        })
    }

    /// Waits while another build executes the same action; then its result is known.
    async fn take_turns(&self, record: &mut ActionRecord) -> Turn {
        let workshop = &self.workshop;
        let Some(digest) = record.digest.clone().filter(|_| workshop.use_cache) else {
            return Turn::Mine(None);
        };
        if workshop.force.contains(&self.target) && !workshop.executed.has(&digest) {
            return Turn::Mine(None);
        }
        let mut waited = false;
        let waiting = || {
            waited = true;
            workshop.observer.notify(&Event::WaitingForAction {
                target: self.target.clone(),
                action: self.action.id.clone(),
                description: self.action.description.clone(),
            });
        };
        let held = ActionLock::hold(&workshop.store, &digest, &self.stop, waiting).await;
        let lock = match held {
            Ok(Some(lock)) => lock,
            Ok(None) => return Turn::Over(ActionState::Cancelled),
            // A store that can't be written says so when something is to be kept in it.
            Err(_) => return Turn::Mine(None),
        };
        match workshop.store.get_action(&digest, &self.action.outputs) {
            Ok(Some(result)) => {
                is_known(result, record);
                record.waited = waited;
                Turn::Over(ActionState::Cached)
            }
            _ => Turn::Mine(Some(lock)),
        }
    }

    /// Says why it is executed, when nothing is different from the last build.
    fn give_a_reason(&self, record: &mut ActionRecord) {
        if !record.reasons.is_empty() {
            return;
        }
        let forced = self.workshop.force.contains(&self.target);
        let reason = match (self.workshop.use_cache, forced) {
            (true, false) => "its result is not in the cache",
            (true, true) => "it was to be executed again",
            (false, _) => "results of earlier builds are not used",
        };
        record.reasons.push(reason.to_owned());
    }

    /// Executes it once, for the last time or not; the meter knows what it used.
    async fn execute(&self, inputs: Tree, log: &Path, is_last: bool) -> (Ended, Arc<Meter>) {
        let observer = Arc::clone(&self.workshop.observer);
        let (target, action) = (self.target.clone(), self.action.id.clone());
        let progress = move |message: &str| {
            observer.notify(&Event::ActionProgress {
                target: target.clone(),
                action: action.clone(),
                message: message.to_owned(),
            });
        };
        let meter = Arc::new(Meter::default());
        let execution = Execution {
            action: self.action.clone(),
            kind: Arc::clone(&self.kind),
            inputs,
            log: log.to_owned(),
            stop: Stop {
                cancel: self.stop.clone(),
                kill: self.workshop.kill.clone(),
            },
            sandbox: Arc::clone(&self.workshop.sandbox),
            progress: Arc::new(progress),
            meter: Arc::clone(&meter),
            ran: match is_last {
                true => Arc::clone(&self.ran),
                false => Arc::new(|| {}),
            },
            jobserver: self.jobserver.clone(),
            keep: self.workshop.kept.as_ref().map(|kept| {
                Keep::new(
                    kept,
                    &self.target,
                    &self.action.id,
                    file_name(&self.action.id),
                )
            }),
        };
        let ended = self.workshop.executor.execute(execution).await;
        (ended, meter)
    }

    fn keep(&self, result: CachedAction, record: &mut ActionRecord) -> ActionState {
        record
            .diagnostics
            .extend(result.outcome.diagnostics.clone());
        record.result = Some(result.clone());
        let Some(digest) = record.digest.clone() else {
            return ActionState::Executed;
        };
        self.workshop.executed.add(&digest);
        if !self.workshop.use_cache {
            return ActionState::Executed;
        }
        let store = &self.workshop.store;
        if let Err(error) = store.put_action(&digest, &self.action.outputs, &result) {
            record.diagnostics.push(
                Diagnostic::warning("store.write", "a result can't be kept for the next build")
                    .concerning(synth_core::Concern::State)
                    .caused_by(&error),
            );
        }
        ActionState::Executed
    }
}

/// Whether an action is to be executed now.
enum Turn {
    /// It is, while nobody else does; without a lock, it may be executed elsewhere too.
    Mine(Option<ActionLock>),
    /// It is not: that is how it ended.
    Over(ActionState),
}

fn is_known(result: CachedAction, record: &mut ActionRecord) {
    let said = &result.outcome.diagnostics;
    record.diagnostics.extend(said.clone());
    record.result = Some(result);
}

/// An action's id as part of a file name.
fn file_name(id: &str) -> String {
    id.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') {
                c
            } else {
                '-'
            }
        })
        .collect()
}
