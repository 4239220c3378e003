//! The figures as a page has them: times, what synth's are as a multiple of others', and goals.

use std::fmt::Write;
use std::time::Duration;

use anyhow::Result;

use super::USUAL;
use super::scenario::Scenario;
use super::tools::{ninja, synth, turborepo};
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
    outcomes: Vec<(Scenario, &'static str, Outcome)>,
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
    Goal::new(Scenario::Nothing, synth::NAME, turborepo::NAME, 0.1),
    Goal::new(Scenario::Cold, synth::NAME, ninja::NAME, 1.5),
    Goal::new(Scenario::Cold, synth::UNCONFINED, ninja::NAME, 1.5),
    Goal::new(Scenario::Deleted, synth::NAME, turborepo::NAME, 0.5),
    Goal::new(Scenario::Changed, synth::NAME, ninja::NAME, 1.2),
];

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

    /// Of those whose size was measured at all.
    fn goals(&self) -> Vec<String> {
        let mut goals = Vec::new();
        if let Some(usual) = self.find(USUAL) {
            goals.extend(GOALS.iter().map(|goal| {
                let what = format!(
                    "{}, {USUAL} targets, {} against {}",
                    goal.scenario.name(),
                    goal.ours,
                    goal.theirs
                );
                let ours = usual.median(goal.scenario, goal.ours);
                let theirs = usual.median(goal.scenario, goal.theirs);
                verdict(&what, ours, theirs, goal.most)
            }));
        }
        if let Some(many) = self.find(MANY) {
            let nothing = |sized: &Sized| sized.median(Scenario::Nothing, synth::NAME);
            let what = format!("no-op, synth, {MANY} targets against {USUAL}");
            let usual = self.find(USUAL).and_then(nothing);
            goals.push(verdict(&what, nothing(many), usual, MOST_GROWTH));
            goals.extend(many.memory.iter().map(|(scenario, memory)| {
                format!(
                    "- {}, {MANY} targets, synth's memory: {} MiB, of at most {}: {}.\n",
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

    pub(crate) fn add(&mut self, scenario: Scenario, name: &'static str, outcome: Outcome) {
        self.outcomes.push((scenario, name, outcome));
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
    let ratio = ours.map(|ours| format!("<br>synth × {}", digits(ours / median)));
    format!("{}{}<br>{runs}", seconds(median), ratio.unwrap_or_default())
}

fn seconds(seconds: f64) -> String {
    if seconds < 1.0 {
        format!("{} ms", digits(seconds * 1000.0))
    } else {
        format!("{} s", digits(seconds))
    }
}

/// A number in three digits, or down to thousandths.
fn digits(number: f64) -> String {
    match number {
        tiny if tiny < 0.1 => format!("{tiny:.3}"),
        small if small < 10.0 => format!("{small:.2}"),
        medium if medium < 100.0 => format!("{medium:.1}"),
        large => format!("{large:.0}"),
    }
}

fn verdict(what: &str, ours: Option<f64>, theirs: Option<f64>, most: f64) -> String {
    let (Some(ours), Some(theirs)) = (ours, theirs) else {
        return format!("- {what}: not measured.\n");
    };
    let ratio = ours / theirs;
    let met = met(ratio <= most);
    let ratio = digits(ratio);
    format!("- {what}: × {ratio}, of at most {most}: {met}.\n")
}

fn met(met: bool) -> &'static str {
    if met { "met" } else { "missed" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn took(seconds: &[f64]) -> Outcome {
        Outcome::Took(Times::of_one_round(seconds))
    }

    #[test]
    fn figures_are_tables_and_goals() {
        let mut usual = Sized::new(USUAL, 9);
        usual.add(Scenario::Cold, synth::UNCONFINED, took(&[5.0]));
        usual.add(Scenario::Cold, synth::NAME, took(&[6.0]));
        usual.add(Scenario::Cold, ninja::NAME, took(&[4.0]));
        let limit = Duration::from_secs(900);
        usual.add(Scenario::Cold, turborepo::NAME, Outcome::Over(limit));
        usual.add(Scenario::Nothing, synth::NAME, took(&[0.05, 0.04, 0.06]));
        usual.add(Scenario::Nothing, ninja::NAME, took(&[0.1, 0.1]));
        usual.memory.push((Scenario::Cold, 70_000));
        let mut many = Sized::new(MANY, 40);
        many.add(Scenario::Nothing, synth::NAME, took(&[0.6]));
        many.memory.push((Scenario::Cold, 400 * 1024));
        let mut figures = Figures::default();
        figures.add(usual);
        figures.add(many);
        insta::assert_snapshot!(figures.text().unwrap(), @"

        1000 targets, 9 of them built again for the changed file:

        | | synth | ninja | Turborepo |
        | --- | ---: | ---: | ---: |
        | cold | 6.00 s<br>once | 4.00 s<br>synth × 1.50<br>once | over 900 s |
        | cold, sandbox off | 5.00 s<br>once | 4.00 s<br>synth × 1.25<br>once | over 900 s |
        | no-op | 50.0 ms<br>3 runs | 100 ms<br>synth × 0.50<br>2 runs |  |
        | one file changed |  |  |  |
        | outputs deleted |  |  |  |
        | cold, most memory at once | 69 MiB | | |

        10000 targets, 40 of them built again for the changed file:

        | | synth |
        | --- | ---: |
        | cold |  |
        | no-op | 600 ms<br>once |
        | one file changed |  |
        | outputs deleted |  |
        | cold, most memory at once | 400 MiB |

        Goals, of medians:

        - no-op, 1000 targets, synth against ninja: × 0.50, of at most 1: met.
        - no-op, 1000 targets, synth against Turborepo: not measured.
        - cold, 1000 targets, synth against ninja: × 1.50, of at most 1.5: met.
        - cold, 1000 targets, synth, sandbox off against ninja: × 1.25, of at most 1.5: met.
        - outputs deleted, 1000 targets, synth against Turborepo: not measured.
        - one file changed, 1000 targets, synth against ninja: not measured.
        - no-op, synth, 10000 targets against 1000: × 12.0, of at most 11: missed.
        - cold, 10000 targets, synth's memory: 400 MiB, of at most 300: missed.
        ");
    }

    #[test]
    fn times_have_three_digits() {
        for (time, expected) in [
            (0.000_012_3, "0.012 ms"),
            (0.012_34, "12.3 ms"),
            (0.1234, "123 ms"),
            (1.234, "1.23 s"),
            (12.34, "12.3 s"),
            (123.4, "123 s"),
        ] {
            assert_eq!(seconds(time), expected);
        }
    }
}
