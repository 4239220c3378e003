//! The course that all contenders run: each scenario in rounds, and after each a look at what they
//! have built, for a figure of a wrong build is none.

use std::time::Duration;

use anyhow::{Context, Result};

use super::contender::Contender;
use super::figures::{Outcome, Sized};
use super::memory;
use super::scenario::{Effort, Scenario};
use super::tools::synth;
use crate::bench::hyperfine::{Measured, Times, measure_within};
use crate::report::Report;
use crate::shell::{Program, Shell};

pub(crate) struct Course<'a> {
    pub(crate) shell: &'a Shell,
    pub(crate) effort: &'a Effort,
    /// The source that is changed, relative to a tree's directory.
    pub(crate) changed: String,
}

/// What is known of a contender in a scenario.
#[derive(Default)]
struct Progress {
    times: Times,
    /// It took longer than it may.
    over: bool,
}

impl Course<'_> {
    /// Measures contenders of one size. Whoever does not get through a cold build is out.
    pub(crate) fn run(
        &self,
        contenders: &mut Vec<Contender<'_>>,
        report: &mut Report,
        figures: &mut Sized,
    ) -> Result<()> {
        for scenario in Scenario::ALL {
            let step = format!("{}, {}", figures.size, scenario.name());
            report.prepare(&step, || {
                if let Some(synth) = contenders.iter().find(|one| one.name == synth::NAME) {
                    self.observe_memory(synth, scenario, figures)?;
                }
                let outcomes = self.measure(scenario, contenders)?;
                for (name, outcome) in outcomes {
                    if matches!(outcome, Outcome::Over(_)) {
                        contenders.retain(|one| one.name != name);
                    }
                    figures.outcomes.push((scenario, name, outcome));
                }
                contenders.iter().try_for_each(|one| {
                    one.tree
                        .verify()
                        .with_context(|| format!("{} did not build what it should", one.name))
                })
            })?;
        }
        Ok(())
    }

    fn observe_memory(
        &self,
        synth: &Contender<'_>,
        scenario: Scenario,
        figures: &mut Sized,
    ) -> Result<()> {
        if [Scenario::Cold, Scenario::Nothing].contains(&scenario) {
            if scenario == Scenario::Cold {
                self.prepare(synth, scenario)?;
            }
            let peak = memory::peak(self.shell, synth)?;
            figures.memory.push((scenario, peak));
        }
        Ok(())
    }

    fn prepare(&self, contender: &Contender<'_>, scenario: Scenario) -> Result<()> {
        let script = contender.before(scenario, &self.changed);
        let prepare = Program::new("sh", ["-c", &script]);
        self.shell
            .demand(&prepare.directory(&contender.tree.directory))
    }

    fn measure(
        &self,
        scenario: Scenario,
        contenders: &[Contender<'_>],
    ) -> Result<Vec<(&'static str, Outcome)>> {
        let taking_part = contenders
            .iter()
            .filter(|one| one.scenarios.contains(&scenario));
        let mut course: Vec<(&Contender<'_>, Progress)> = taking_part
            .map(|contender| (contender, Progress::default()))
            .collect();
        for _ in 0..self.effort.rounds(scenario) {
            for (contender, progress) in &mut course {
                self.round(scenario, contender, progress)?;
            }
        }
        let outcomes = course.into_iter().map(|(contender, progress)| {
            let outcome = if progress.over {
                Outcome::Over(self.effort.limit)
            } else {
                Outcome::Took(progress.times)
            };
            (contender.name, outcome)
        });
        Ok(outcomes.collect())
    }

    fn round(
        &self,
        scenario: Scenario,
        contender: &Contender<'_>,
        progress: &mut Progress,
    ) -> Result<()> {
        let first = progress.times.runs() == 0;
        let one = (!first).then(|| progress.times.median());
        let runs = self.effort.runs(scenario, one);
        let next = one.unwrap_or(Duration::ZERO) * runs;
        if progress.over || progress.times.sum() + next > self.effort.budget {
            return Ok(());
        }
        // The first build after another scenario may have something to remember.
        let warmup = u32::from(first && scenario == Scenario::Nothing);
        let measured = Measured {
            command: contender.command(),
            before: contender.before(scenario, &self.changed),
        };
        let directory = &contender.tree.directory;
        let limit = self.effort.limit;
        match measure_within(self.shell, directory, &measured, (warmup, runs), limit)? {
            Some(times) => progress.times.add(times),
            None => progress.over = true,
        }
        Ok(())
    }
}
