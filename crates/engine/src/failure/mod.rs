//! An action that has failed: what it said at the end, whether that passes by itself, and what to do
//! about it. Starts nothing and waits for nothing.

mod advice;
mod command_line;
mod retry;
mod troubles;

use std::path::Path;

use regex::{Regex, RegexBuilder};
use synth_core::{Action, Concern, Diagnostic};

use crate::executor::log_tail_from;

pub(crate) use advice::advise;
pub(crate) use command_line::{is_secret, of_action, of_process};
pub(crate) use retry::{Policy, has_no_effect, wait};

/// How much of the end of a log is looked through.
const MOST_BYTES: u64 = 64 * 1024;

/// How many of its lines.
const MOST_LINES: usize = 200;

/// What one attempt of an action came to.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) action: Action,
    /// Whether it could reach other machines, because it may or because nothing kept it from that.
    pub(crate) has_network: bool,
    /// Of the process, when it was one that exited.
    pub(crate) exit_code: Option<i32>,
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// The end of what it printed.
    pub(crate) output: String,
}

impl Failure {
    /// The end of what was printed to a log from the byte `start` on. One that was shortened since
    /// is taken as a whole.
    pub(crate) fn output(log: &Path, start: u64) -> String {
        let length = std::fs::metadata(log).map_or(0, |metadata| metadata.len());
        let start = if start <= length { start } else { 0 };
        log_tail_from(log, start, MOST_BYTES)
    }

    /// What it said, line by line: what is said of it first, then what it printed, the last line
    /// first.
    fn lines(&self) -> impl Iterator<Item = &str> {
        // That it failed is known, and whoever describes it may have used any words.
        let plain = format!("{}.failed", self.action.phase);
        let errors = self.diagnostics.iter().filter(|said| said.is_error());
        let said = errors.flat_map(move |said| {
            let message = (said.code != plain).then_some(said.message.as_str());
            message
                .into_iter()
                .chain(said.causes.iter().map(String::as_str))
        });
        let printed = self.output.lines().rev().take(MOST_LINES);
        said.flat_map(str::lines).chain(printed).map(str::trim_end)
    }

    /// Notes that it was not the first time.
    pub(crate) fn was_tried(&mut self, attempts: u32) {
        let mut errors = self.diagnostics.iter_mut().filter(|said| said.is_error());
        if let Some(first) = errors.next().filter(|_| attempts > 1) {
            first.causes.push(format!("it was tried {attempts} times"));
        }
    }

    /// Whether it was ended because its time was up.
    fn is_timeout(&self) -> bool {
        let code = format!("{}.timeout", self.action.phase);
        self.diagnostics.iter().any(|said| said.code == code)
    }

    /// Whether it failed by a fault of synth's or of its kind's, or for want of a store.
    pub(crate) fn is_not_its_own(&self) -> bool {
        let errors = self.diagnostics.iter().filter(|said| said.is_error());
        errors
            .map(|said| said.concern)
            .any(|concern| matches!(concern, Concern::Internal | Concern::State))
    }
}

/// A pattern of a kind or a user, of no more than a reasonable size. The error is its reason, in
/// one line.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    const MOST_BYTES: usize = 1024 * 1024;
    let compiled = RegexBuilder::new(pattern).size_limit(MOST_BYTES).build();
    compiled.map_err(|error| {
        let error = error.to_string();
        let reason = error.lines().last().unwrap_or_default();
        reason
            .trim_start_matches("error: ")
            .trim_end_matches('.')
            .to_owned()
    })
}
