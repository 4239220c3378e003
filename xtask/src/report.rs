//! What was done, how long it took and how it went; the last line that a task prints.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Results of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

/// The steps so far.
#[derive(Default)]
pub(crate) struct Report {
    steps: Vec<Step>,
}

struct Step {
    name: String,
    took: Duration,
    /// None for a step that prepares others and is no test itself.
    counts: Option<Counts>,
}

impl Report {
    /// A step that the following ones rest on: its failure ends the task.
    pub(crate) fn prepare<T>(&mut self, name: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        self.step(name, |_| None, step)
    }

    /// A check that succeeds or fails as one.
    pub(crate) fn check(&mut self, name: &str, step: impl FnOnce() -> Result<bool>) -> Result<()> {
        self.tests(name, || {
            let succeeded = step()?;
            Ok(Counts {
                passed: u64::from(succeeded),
                failed: u64::from(!succeeded),
                skipped: 0,
            })
        })
    }

    /// A run of tests.
    pub(crate) fn tests(
        &mut self,
        name: &str,
        step: impl FnOnce() -> Result<Counts>,
    ) -> Result<()> {
        self.step(name, |counts| Some(*counts), step).map(|_| ())
    }

    fn step<T>(
        &mut self,
        name: &str,
        counts: impl FnOnce(&T) -> Option<Counts>,
        step: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        eprintln!("\n== {name}");
        let started = Instant::now();
        let outcome = step().with_context(|| format!("{name} failed"));
        let broken = Counts {
            failed: 1,
            ..Counts::default()
        };
        self.steps.push(Step {
            name: name.to_owned(),
            took: started.elapsed(),
            counts: outcome.as_ref().map_or(Some(broken), counts),
        });
        outcome
    }

    /// Prints the steps and the sum of their tests; the task's exit code.
    pub(crate) fn conclude(&self) -> ExitCode {
        println!();
        let mut sum = Counts::default();
        for Step { name, took, counts } in &self.steps {
            let seconds = took.as_secs_f64();
            let result = counts.map_or("done".to_owned(), |counts| {
                sum.passed += counts.passed;
                sum.failed += counts.failed;
                sum.skipped += counts.skipped;
                counts.to_string()
            });
            println!("{name:<20} {seconds:>7.1} s  {result}");
        }
        let whole: Duration = self.steps.iter().map(|step| step.took).sum();
        println!("{:<20} {:>7.1} s\n", "all", whole.as_secs_f64());
        if sum == Counts::default() {
            return ExitCode::SUCCESS;
        }
        println!("{sum}");
        if sum.failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(formatter, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}
