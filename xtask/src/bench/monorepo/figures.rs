//! The figures as a page has them: times, what synth's are as a multiple of others', and goals.

use std::fmt::Write;
use std::time::Duration;

use anyhow::Result;

use super::USUAL;
use super::scenario::Scenario;
use super::tools::{ninja, synth};
use crate::bench::hyperfine::Times;

/// Everything that was measured in a run.
#[derive(Default)]
pub(crate) struct Figures {
    sizes: Vec<Sized>,
}

/// What was measured of the monorepos of a size.
pub(crate) struct Sized {
    pub(crate) size: usize,
    /// How many targets are built again for a change.
    pub(crate) reached: usize,
    pub(crate) outcomes: Vec<(Scenario, &'static str, Outcome)>,
    /// Of synth, in KiB.
    pub(crate) memory: Vec<(Scenario, u64)>,
}

/// What a contender did.
pub(crate) enum Outcome {
    Took(Times),
    /// A run was ended when it had taken this long.
    Over(Duration),
}

/// What is to be reached, as synth's median against another.
struct Goal {
    scenario: Scenario,
    ours: &'static str,
    theirs: &'static str,
    most: f64,
}

const GOALS: [Goal; 6] = [
    Goal::new(Scenario::Nothing, synth::NAME, ninja::NAME, 1.0),
    Goal::new(Scenario::Nothing, synth::NAME, TURBOREPO, 0.1),
    Goal::new(Scenario::Cold, synth::NAME, ninja::NAME, 1.5),
    Goal::new(Scenario::Cold, synth::UNCONFINED, ninja::NAME, 1.5),
    Goal::new(Scenario::Deleted, synth::NAME, TURBOREPO, 0.5),
    Goal::new(Scenario::Changed, synth::NAME, ninja::NAME, 1.2),
];

const TURBOREPO: &str = "Turborepo";

/// What nothing to do may cost with many targets, against the usual number.
const MANY: usize = 10_000;
const MOST_GROWTH: f64 = 11.0;

/// What a cold build of many may hold, in KiB.
const MOST_MEMORY: u64 = 300 * 1024;

impl Goal {
    const fn new(scenario: Scenario, ours: &'static str, theirs: &'static str, most: f64) -> Self {
        Self {
            scenario,
            ours,
            theirs,
            most,
        }
    }
}

impl Figures {
    pub(crate) fn add(&mut self, sized: Sized) {
        self.sizes.push(sized);
    }

    fn find(&self, size: usize) -> Option<&Sized> {
        self.sizes.iter().find(|one| one.size == size)
    }

    pub(crate) fn text(&self) -> Result<String> {
        let mut text = String::new();
        for sized in &self.sizes {
            sized.table(&mut text)?;
        }
        let goals = self.goals();
        if !goals.is_empty() {
            write!(text, "\nGoals, of medians:\n\n{}", goals.concat())?;
        }
        Ok(text)
    }

    fn goals(&self) -> Vec<String> {
        let usual = self.find(USUAL);
        let mut goals: Vec<String> = GOALS
            .iter()
            .filter_map(|goal| {
                let ours = usual?.median(goal.scenario, goal.ours)?;
                let theirs = usual?.median(goal.scenario, goal.theirs)?;
                let what = format!(
                    "{}, {USUAL} targets, {} against {}",
                    goal.scenario.name(),
                    goal.ours,
                    goal.theirs
                );
                Some(verdict(&what, ours / theirs, goal.most))
            })
            .collect();
        let nothing = |size| self.find(size)?.median(Scenario::Nothing, synth::NAME);
        if let (Some(many), Some(usual)) = (nothing(MANY), nothing(USUAL)) {
            let what = format!("no-op, synth, {MANY} targets against {USUAL}");
            goals.push(verdict(&what, many / usual, MOST_GROWTH));
        }
        if let Some(many) = self.find(MANY) {
            goals.extend(many.memory.iter().map(|(scenario, memory)| {
                format!(
                    "- {}, synth, {MANY} targets, most memory at once: {} MiB, of at most {}: {}.\n",
                    scenario.name(),
                    memory.div_ceil(1024),
                    MOST_MEMORY / 1024,
                    met(*memory <= MOST_MEMORY)
                )
            }));
        }
        goals
    }
}

impl Sized {
    pub(crate) fn new(size: usize, reached: usize) -> Self {
        Self {
            size,
            reached,
            outcomes: Vec::new(),
            memory: Vec::new(),
        }
    }

    fn outcome(&self, scenario: Scenario, name: &str) -> Option<&Outcome> {
        let mut outcomes = self.outcomes.iter();
        let found = outcomes.find(|(at, who, _)| *at == scenario && *who == name);
        found.map(|(_, _, outcome)| outcome)
    }

    /// Seconds.
    fn median(&self, scenario: Scenario, name: &str) -> Option<f64> {
        match self.outcome(scenario, name)? {
            Outcome::Took(times) => Some(times.median().as_secs_f64()),
            Outcome::Over(_) => None,
        }
    }

    /// All names but the one that has a row of its own.
    fn names(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        for (_, name, _) in &self.outcomes {
            if *name != synth::UNCONFINED && !names.contains(name) {
                names.push(*name);
            }
        }
        names
    }

    fn table(&self, text: &mut String) -> Result<()> {
        let names = self.names();
        writeln!(
            text,
            "\n{} targets, {} of them built again for the changed file:\n",
            self.size, self.reached
        )?;
        writeln!(text, "| | {} |", names.join(" | "))?;
        writeln!(text, "| --- |{}", " ---: |".repeat(names.len()))?;
        for scenario in Scenario::ALL {
            self.row(text, scenario, synth::NAME, &names)?;
            if self.outcome(scenario, synth::UNCONFINED).is_some() {
                self.row(text, scenario, synth::UNCONFINED, &names)?;
            }
        }
        for (scenario, memory) in &self.memory {
            let mebibytes = memory.div_ceil(1024);
            let blank = " |".repeat(names.len().saturating_sub(1));
            writeln!(
                text,
                "| {}, most memory at once | {mebibytes} MiB |{blank}",
                scenario.name()
            )?;
        }
        Ok(())
    }

    fn row(
        &self,
        text: &mut String,
        scenario: Scenario,
        ours: &str,
        names: &[&'static str],
    ) -> Result<()> {
        let median = self.median(scenario, ours);
        let cells = names.iter().map(|name| {
            let is_ours = *name == synth::NAME;
            let name = if is_ours { ours } else { name };
            match self.outcome(scenario, name) {
                None => String::new(),
                Some(Outcome::Over(limit)) => format!("over {} s", limit.as_secs()),
                Some(Outcome::Took(times)) => {
                    let ratio = median.filter(|_| !is_ours);
                    cell(times, ratio)
                }
            }
        });
        let cells: Vec<String> = cells.collect();
        let label = scenario.name();
        let label = match ours.strip_prefix(synth::NAME) {
            Some(difference) => format!("{label}{difference}"),
            None => label.to_owned(),
        };
        Ok(writeln!(text, "| {label} | {} |", cells.join(" | "))?)
    }
}

/// A median, from how many runs, and what synth's is of it.
fn cell(times: &Times, ours: Option<f64>) -> String {
    let median = times.median().as_secs_f64();
    let runs = match times.runs() {
        1 => "once".to_owned(),
        runs => format!("{runs} runs"),
    };
    let ratio = ours.map(|ours| format!("<br>synth × {:.2}", ours / median));
    format!("{}{}<br>{runs}", seconds(median), ratio.unwrap_or_default())
}

/// With three digits, however short or long.
fn seconds(seconds: f64) -> String {
    match seconds {
        short if short < 1.0 => format!("{:.1} ms", short * 1000.0),
        medium if medium < 10.0 => format!("{medium:.2} s"),
        long => format!("{long:.1} s"),
    }
}

fn verdict(what: &str, ratio: f64, most: f64) -> String {
    format!(
        "- {what}: × {ratio:.2}, of at most {most}: {}.\n",
        met(ratio <= most)
    )
}

fn met(met: bool) -> &'static str {
    if met { "met" } else { "missed" }
}
