//! Measures commands with hyperfine: in several rounds, so that a machine that becomes slower or
//! faster meanwhile does so for all of them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
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
    wall: Vec<f64>,
    /// Mean of each round.
    processor: Vec<f64>,
}

impl Times {
    pub(crate) fn median(&self) -> Duration {
        median(&self.wall)
    }

    /// Time of processors, of the program and those that it started.
    pub(crate) fn processor(&self) -> Duration {
        median(&self.processor)
    }

    /// Half of all runs took less than the second and more than the first.
    pub(crate) fn middle_half(&self) -> (Duration, Duration) {
        let sorted = sorted(&self.wall);
        let at = |quarter: usize| {
            let seconds = sorted.get(sorted.len() * quarter / 4);
            seconds.map_or(Duration::ZERO, |seconds| Duration::from_secs_f64(*seconds))
        };
        (at(1), at(3))
    }
}

fn sorted(seconds: &[f64]) -> Vec<f64> {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

fn median(seconds: &[f64]) -> Duration {
    let sorted = sorted(seconds);
    let upper = sorted.get(sorted.len() / 2);
    let lower = sorted.get(sorted.len().saturating_sub(1) / 2);
    match (lower, upper) {
        (Some(lower), Some(upper)) => Duration::from_secs_f64(f64::midpoint(*lower, *upper)),
        _ => Duration::ZERO,
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

/// Measures commands in `directory`; a command that fails is an error.
pub(crate) fn measure(
    shell: &Shell,
    directory: &Path,
    commands: &[Measured],
    runs: Runs,
) -> Result<Vec<Times>> {
    let export = directory.join("hyperfine.json");
    let mut times = vec![Times::default(); commands.len()];
    for _ in 0..runs.rounds {
        let options = ["-N", "--style", "none", "--warmup", "1", "--runs"];
        let mut program = Program::new("hyperfine", options)
            .argument(runs.runs.to_string())
            .argument("--export-json")
            .argument(&export)
            .directory(directory);
        for Measured { command, before } in commands {
            program = program.argument("--prepare").argument(before);
            program = program.variables_of(command);
        }
        for Measured { command, .. } in commands {
            program = program.argument(command.quoted()?);
        }
        shell.demand(&program)?;
        let results = read(&export)?;
        ensure!(
            results.len() == commands.len(),
            "hyperfine told of {} commands instead of {}",
            results.len(),
            commands.len()
        );
        for (times, result) in times.iter_mut().zip(results) {
            times.wall.extend(result.times);
            times.processor.push(result.user + result.system);
        }
    }
    Ok(times)
}

fn read(export: &Path) -> Result<Vec<ExportedResult>> {
    let text = fs::read_to_string(export).context("hyperfine left no results")?;
    let export: Export = serde_json::from_str(&text).context("hyperfine's results have changed")?;
    Ok(export.results)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_of_all_rounds() {
        for (wall, expected) in [
            (vec![], 0),
            (vec![3.0], 3000),
            (vec![3.0, 1.0], 2000),
            (vec![9.0, 1.0, 2.0], 2000),
            (vec![9.0, 1.0, 2.0, 4.0], 3000),
        ] {
            let times = Times {
                wall,
                processor: Vec::new(),
            };
            assert_eq!(times.median().as_millis(), expected, "{times:?}");
        }
    }
}
