//! Failures that people meet whatever they build: what tells them, what they mean, and the way out.
//! Data; what is of one kind of target alone is that kind's own to know.

mod machine;
mod network;
mod programs;

use regex::Captures;
use synth_core::{Advice, Network};

use super::{Failure, compile};

pub(super) use machine::MACHINE;
use network::{CONFLICT, FINAL};
pub(super) use network::{LASTING, PASSING, UNREACHABLE};
pub(super) use programs::PROGRAMS;

/// A failure that is known. The fields are those of [`Advice`].
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(super) code: &'static str,
    pub(super) pattern: &'static str,
    pub(super) exit_code: Option<i32>,
    pub(super) message: &'static str,
    pub(super) help: &'static [&'static str],
}

impl Trouble {
    const fn new(
        code: &'static str,
        pattern: &'static str,
        message: &'static str,
        help: &'static [&'static str],
    ) -> Self {
        Self {
            code,
            pattern,
            exit_code: None,
            message,
            help,
        }
    }

    const fn of_exit_code(mut self, code: i32) -> Self {
        self.exit_code = Some(code);
        self
    }

    /// As kinds say theirs.
    pub(super) fn advice(&self) -> Advice {
        let advice = Advice::new(self.code, self.pattern, self.message);
        let mut advice = self
            .help
            .iter()
            .fold(advice, |advice, help| advice.help(*help));
        advice.exit_code = self.exit_code;
        advice
    }
}

/// What a failure was taken for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) help: Vec<String>,
}

/// What a failure is by this advice; none when it is something else. The error is why the pattern
/// can't be looked for.
pub(super) fn matched(advice: &Advice, failure: &Failure) -> Result<Option<Found>, String> {
    let network = match failure.has_network {
        true => Network::Allowed,
        false => Network::None,
    };
    let is_other = |network_of: Network| network_of != network;
    if advice.network.is_some_and(is_other)
        || (advice.exit_code.is_some() && advice.exit_code != failure.exit_code)
    {
        return Ok(None);
    }
    if advice.pattern.is_empty() {
        // One that says nothing at all would be said of everything.
        let as_written = |text: &str| text.replace("$$", "$");
        return Ok(advice.exit_code.map(|_| found(advice, as_written)));
    }
    let pattern = compile(&advice.pattern)?;
    let captures = failure.lines().find_map(|line| pattern.captures(line));
    Ok(captures.map(|captures| found(advice, |text| filled_in(text, &captures))))
}

/// How many lines from the end a pattern matches first; none when it does nowhere.
fn distance(pattern: &str, failure: &Failure) -> Option<usize> {
    let pattern = compile(pattern).ok()?;
    failure.lines().position(|line| pattern.is_match(line))
}

fn found(advice: &Advice, text: impl Fn(&str) -> String) -> Found {
    Found {
        code: advice.code.clone(),
        message: text(&advice.message),
        help: advice.help.iter().map(|help| text(help)).collect(),
    }
}

/// A text with what the groups of a pattern have matched.
fn filled_in(text: &str, captures: &Captures<'_>) -> String {
    let mut filled = String::new();
    captures.expand(text, &mut filled);
    filled
}

/// What a trouble of the network is that passes by itself; none when a failure is none. Many programs try
/// again by themselves: trouble that they got over stands long before the end, or before what they failed
/// for.
pub(super) fn passing_by_itself(failure: &Failure) -> Option<String> {
    /// From the end; the last attempt of a program may fill a screen with its stack.
    const MOST_LINES: usize = 60;
    /// How many lines of the source a compiler quotes below an error.
    const QUOTED_LINES: usize = 5;
    let found = |trouble: &Trouble| matched(&trouble.advice(), failure).ok().flatten();
    if LASTING.iter().any(|trouble| found(trouble).is_some()) {
        return None;
    }
    let near = |trouble: &&Trouble| {
        distance(trouble.pattern, failure).filter(|distance| *distance < MOST_LINES)
    };
    let passing: Vec<(&Trouble, usize)> = PASSING
        .iter()
        .filter_map(|trouble| Some((trouble, near(&trouble)?)))
        .collect();
    let nearest = passing.iter().map(|(_, distance)| *distance).min()?;
    let programs = PROGRAMS.iter();
    let lasting = programs.filter(|trouble| FINAL.contains(&trouble.code));
    let lasting = lasting.map(|trouble| trouble.pattern).chain([CONFLICT]);
    let is_final = |pattern: &str| {
        let distance = distance(pattern, failure);
        distance.is_some_and(|distance| distance <= nearest + QUOTED_LINES)
    };
    if lasting.into_iter().any(is_final) {
        return None;
    }
    let (trouble, _) = passing.first()?;
    Some(found(trouble)?.message)
}
