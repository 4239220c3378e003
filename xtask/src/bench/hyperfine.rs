//! Measures commands with hyperfine: in several rounds, so that a machine that becomes slower or
//! faster meanwhile does so for all of them.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::shell::{Program, Shell};

/// A command, and what goes before each run of it and is not measured. The commands that are compared
/// have the same variables.
pub(crate) struct Measured {
    pub(crate) command: Program,
    pub(crate) before: String,
}

/// How often.
#[derive(Clone, Copy)]
pub(crate) struct Runs {
    pub(crate) rounds: u32,
    /// Of each command in each round.
    pub(crate) runs: u32,
}

/// All runs of one command.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times {
    rounds: Vec<Round>,
}

/// Seconds.
#[derive(Clone, Debug)]
struct Round {
    /// Of each run.
    wall: Vec<f64>,
    /// Of processors, for the program and those that it started, as a mean of the runs.
    processor: f64,
}

impl Times {
    /// Figures that nobody measured.
    #[cfg(test)]
    pub(crate) fn of_one_round(seconds: &[f64]) -> Self {
        let round = Round {
            wall: seconds.to_vec(),
            processor: 0.0,
        };
        Self {
            rounds: vec![round],
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.rounds.extend(other.rounds);
    }

    /// How many runs they are.
    pub(crate) fn runs(&self) -> usize {
        self.wall().len()
    }

    /// Of all runs together.
    pub(crate) fn sum(&self) -> Duration {
        Duration::from_secs_f64(self.wall().iter().sum())
    }

    pub(crate) fn median(&self) -> Duration {
        Duration::from_secs_f64(median(&self.wall()))
    }

    /// Half of all runs took less than the second and more than the first.
    pub(crate) fn middle_half(&self) -> (Duration, Duration) {
        let mut wall = self.wall();
        wall.sort_by(f64::total_cmp);
        let at = |quarter: usize| {
            let seconds = wall.get(wall.len() * quarter / 4);
            seconds.map_or(Duration::ZERO, |seconds| Duration::from_secs_f64(*seconds))
        };
        (at(1), at(3))
    }

    /// How many seconds longer than `other` it took: compared round by round, which leaves out how
    /// fast the machine was in each.
    pub(crate) fn longer_than(&self, other: &Self) -> f64 {
        self.compare(other, |round| median(&round.wall))
    }

    /// The same of the time of processors.
    pub(crate) fn busier_than(&self, other: &Self) -> f64 {
        self.compare(other, |round| round.processor)
    }

    fn compare(&self, other: &Self, figure: impl Fn(&Round) -> f64) -> f64 {
        let rounds = self.rounds.iter().zip(&other.rounds);
        let differences: Vec<f64> = rounds
            .map(|(one, other)| figure(one) - figure(other))
            .collect();
        median(&differences)
    }

    fn wall(&self) -> Vec<f64> {
        let rounds = self.rounds.iter();
        rounds.flat_map(|round| round.wall.clone()).collect()
    }
}

/// 0 for none.
fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = sorted.get(sorted.len() / 2);
    let lower = sorted.get(sorted.len().saturating_sub(1) / 2);
    match (lower, upper) {
        (Some(lower), Some(upper)) => f64::midpoint(*lower, *upper),
        _ => 0.0,
    }
}

/// The part of hyperfine's JSON that is used. Seconds.
#[derive(Deserialize)]
struct Export {
    results: Vec<ExportedResult>,
}

#[derive(Deserialize)]
struct ExportedResult {
    times: Vec<f64>,
    user: f64,
    system: f64,
}

/// Measures commands in `directory`; a command that fails is an error. Each round begins with another
/// one: what they leave to those that follow, in the memory and on the disk, falls on all of them.
pub(crate) fn measure(
    shell: &Shell,
    directory: &Path,
    commands: &[Measured],
    runs: Runs,
) -> Result<Vec<Times>> {
    let export = directory.join("hyperfine.json");
    let mut times = vec![Times::default(); commands.len()];
    let mut order: Vec<(usize, &Measured)> = commands.iter().enumerate().collect();
    for _ in 0..runs.rounds {
        let ordered: Vec<&Measured> = order.iter().map(|(_, command)| *command).collect();
        let program = hyperfine(&ordered, 1, runs.runs, &export)?.directory(directory);
        shell.demand(&program)?;
        for ((place, _), round) in order.iter().zip(read(&export, commands.len())?) {
            if let Some(times) = times.get_mut(*place) {
                times.rounds.push(round);
            }
        }
        if !order.is_empty() {
            order.rotate_left(1);
        }
    }
    Ok(times)
}

/// Measures a command for one round, in `directory`; none when a run takes longer than `limit`.
pub(crate) fn measure_within(
    shell: &Shell,
    directory: &Path,
    command: &Measured,
    (warmup, runs): (u32, u32),
    limit: Duration,
) -> Result<Option<Times>> {
    // Not in the directory itself, whose files may be what is looked at.
    let export = directory.with_extension("json");
    let limit = limit * (warmup + runs);
    // Around all of it, so that it is no part of what is measured.
    let timeout =
        Program::new("timeout", ["--kill-after=10"]).argument(limit.as_secs().to_string());
    let hyperfine = hyperfine(&[command], warmup, runs, &export)?;
    let started = Instant::now();
    if shell.run(&hyperfine.below(&timeout).directory(directory))? {
        let rounds = read(&export, 1)?;
        return Ok(Some(Times { rounds }));
    }
    if started.elapsed() >= limit {
        return Ok(None);
    }
    // Once more, with what it says.
    shell.demand(&command.command)?;
    bail!("`{}` failed, but only once", command.command)
}

fn hyperfine(commands: &[&Measured], warmup: u32, runs: u32, export: &Path) -> Result<Program> {
    let mut program = Program::new("hyperfine", ["-N", "--style", "none", "--warmup"])
        .argument(warmup.to_string())
        .argument("--runs")
        .argument(runs.to_string())
        .argument("--export-json")
        .argument(export);
    for Measured { command, before } in commands {
        program = program.argument("--prepare").argument(before);
        program = program.variables_of(command);
    }
    for Measured { command, .. } in commands {
        program = program.argument(command.quoted()?);
    }
    Ok(program)
}

fn read(export: &Path, commands: usize) -> Result<Vec<Round>> {
    let text = fs::read_to_string(export).context("hyperfine left no results")?;
    let export: Export = serde_json::from_str(&text).context("hyperfine's results have changed")?;
    let results = export.results;
    ensure!(
        results.len() == commands,
        "hyperfine told of {} commands instead of {commands}",
        results.len(),
    );
    let rounds = results.into_iter().map(|result| Round {
        wall: result.times,
        processor: result.user + result.system,
    });
    Ok(rounds.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(rounds: &[&[f64]]) -> Times {
        let rounds = rounds.iter().map(|wall| Round {
            wall: wall.to_vec(),
            processor: 0.0,
        });
        Times {
            rounds: rounds.collect(),
        }
    }

    #[test]
    fn medians_are_of_all_rounds() {
        for (rounds, expected) in [
            (&[][..], 0),
            (&[&[3.0][..]], 3000),
            (&[&[3.0], &[1.0]], 2000),
            (&[&[9.0, 1.0], &[2.0]], 2000),
            (&[&[9.0, 1.0], &[2.0, 4.0]], 3000),
        ] {
            let median = times(rounds).median();
            assert_eq!(median.as_millis(), expected, "{rounds:?}");
        }
    }

    #[test]
    fn a_slow_round_is_slow_for_both() {
        let fast = times(&[&[1.0, 1.0], &[7.0, 7.0], &[1.5]]);
        let slow = times(&[&[1.5, 1.5], &[7.5, 7.5], &[9.0]]);
        assert!((slow.longer_than(&fast) - 0.5).abs() < 1e-9);
    }
}
