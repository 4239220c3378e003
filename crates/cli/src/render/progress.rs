//! Progress while a build runs: a line for each running action on a terminal, plain lines
//! elsewhere.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use synth_engine::{ActionStatus, Event, Observer, TargetReport, TargetStatus};

use super::duration;

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Amount {
    /// Nothing.
    Quiet,
    /// What is executed.
    Normal,
    /// What is found in the cache, too.
    Verbose,
}

/// Shows what happens, on standard error.
pub(crate) struct Progress {
    amount: Amount,
    /// The lines of running actions; none where standard error is no terminal.
    live: Option<Live>,
}

struct Live {
    bars: MultiProgress,
    running: Mutex<HashMap<(String, String), ProgressBar>>,
}

impl Progress {
    pub(crate) fn new(amount: Amount) -> Self {
        let is_live = amount != Amount::Quiet && std::io::stderr().is_terminal();
        Self {
            amount,
            live: is_live.then(|| Live {
                bars: MultiProgress::new(),
                running: Mutex::default(),
            }),
        }
    }

    /// Says a line, above those of running actions.
    pub(crate) fn say(&self, line: &str) {
        if self.amount == Amount::Quiet {
            return;
        }
        match &self.live {
            // Nobody is left to tell when the terminal is gone.
            Some(live) => drop(live.bars.println(line)),
            None => crate::render::tell(line),
        }
    }

    fn started(&self, target: &str, action: &str, description: &str) {
        match &self.live {
            Some(live) => {
                let bar = live.bars.add(ProgressBar::new_spinner());
                let style =
                    ProgressStyle::with_template("{spinner} {prefix:.bold} {msg} {elapsed:.dim}");
                bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
                bar.set_prefix(target.to_owned());
                bar.set_message(description.to_owned());
                bar.enable_steady_tick(Duration::from_millis(120));
                let mut running = live.running.lock().unwrap_or_else(PoisonError::into_inner);
                running.insert((target.to_owned(), action.to_owned()), bar);
            }
            None => self.say(&format!("{:>10} {target}: {description}", "start")),
        }
    }

    fn message(&self, target: &str, action: &str, message: &str) {
        let Some(live) = &self.live else {
            return;
        };
        let running = live.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = running.get(&(target.to_owned(), action.to_owned())) {
            bar.set_message(message.to_owned());
        }
    }

    fn finished(
        &self,
        target: &str,
        action: &str,
        description: &str,
        status: ActionStatus,
        took: Duration,
    ) {
        if let Some(live) = &self.live {
            let mut running = live.running.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(bar) = running.remove(&(target.to_owned(), action.to_owned())) {
                bar.finish_and_clear();
                live.bars.remove(&bar);
            }
        }
        let (word, color) = match status {
            ActionStatus::Executed => ("done", AnsiColor::Green),
            ActionStatus::Failed => ("failed", AnsiColor::Red),
            ActionStatus::Cancelled => ("cancelled", AnsiColor::Yellow),
            ActionStatus::Cached if self.amount == Amount::Verbose => ("cached", AnsiColor::Cyan),
            ActionStatus::Cached | ActionStatus::Skipped => return,
        };
        let style = Style::new().bold().fg_color(Some(color.into()));
        let took = duration(took);
        self.say(&format!(
            "{style}{word:>10}{style:#} {target}: {description} ({took})"
        ));
    }

    fn target_finished(&self, report: &TargetReport) {
        // The rest is in the table at the end.
        match report.status {
            TargetStatus::Skipped => self.say(&format!(
                "{:>10} {}: a target that it needs failed",
                "skipped", report.name
            )),
            // Nobody has told of it as of an action.
            TargetStatus::Failed if report.actions.is_empty() => {
                let style = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
                let name = &report.name;
                self.say(&format!(
                    "{style}{:>10}{style:#} {name}: it could not be planned",
                    "failed"
                ));
            }
            _ => {}
        }
    }
}

impl Observer for Progress {
    fn notify(&self, event: &Event) {
        match event {
            Event::WaitingForWorkspace => {
                self.say("another build is running in this workspace; waiting for it to end");
            }
            Event::WaitingForEffects => {
                self.say("what an earlier publish has started still runs; waiting for it to end");
            }
            Event::Repairing => {
                self.say("the cache has lost something that is needed; it is made anew");
            }
            Event::WaitingForAction {
                target,
                description,
                ..
            } => self.say(&format!(
                "{:>10} {target}: {description}: another build is at it",
                "waiting"
            )),
            Event::ActionStarted {
                target,
                action,
                description,
                ..
            } => {
                self.started(target, action, description);
            }
            Event::ActionProgress {
                target,
                action,
                message,
            } => {
                self.message(target, action, message);
            }
            Event::ActionRetried {
                target,
                description,
                attempt,
                attempts,
                reason,
                delay,
                ..
            } => self.say(&format!(
                "{:>10} {target}: {description}: attempt {attempt} of {attempts} failed ({reason}); \
                 again in {}",
                "retry",
                duration(*delay)
            )),
            Event::ActionFinished {
                target,
                action,
                description,
                status,
                duration,
            } => {
                self.finished(target, action, description, *status, *duration);
            }
            Event::TargetFinished { report } => self.target_finished(report),
            _ => {}
        }
    }
}
