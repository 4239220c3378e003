//! The course that all contenders run: each scenario in rounds, and after each a look at what they
//! have built, for a figure of a wrong build is none.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};

use super::contender::Contender;
use super::figures::{Outcome, Sized};
use super::graph::Change;
use super::memory;
use super::scenario::{Effort, Scenario};
use super::tools::synth;
use crate::bench::hyperfine::{Measured, Times, measure_within};
use crate::report::Report;
use crate::shell::{Program, Shell};

pub(crate) struct Course<'a> {
    pub(crate) shell: &'a Shell,
    pub(crate) effort: &'a Effort,
    pub(crate) change: Change<'a>,
}

/// What is known of a contender in a scenario.
#[derive(Default)]
struct Progress {
    times: Times,
    /// It took longer than it may.
    over: bool,
}

impl Course<'_> {
    /// Measures contenders of one size. Whoever takes too long is out.
    pub(crate) fn run<'c>(
        &self,
        mut contenders: Vec<Contender<'c>>,
        report: &mut Report,
        figures: &mut Sized,
    ) -> Result<()> {
        for scenario in Scenario::ALL {
            let step = format!("{}, {}", figures.size, scenario.name());
            contenders = report.prepare(&step, || {
                self.observe_memory(scenario, &contenders, figures)?;
                self.scenario(scenario, contenders, figures)
            })?;
        }
        Ok(())
    }

    /// Those that got through it.
    fn scenario<'c>(
        &self,
        scenario: Scenario,
        contenders: Vec<Contender<'c>>,
        figures: &mut Sized,
    ) -> Result<Vec<Contender<'c>>> {
        let written = contenders.iter().map(|contender| contender.tree.written());
        let written: Vec<_> = written.collect();
        let measured = self.measure(scenario, &contenders)?;
        let mut through = Vec::new();
        for ((contender, written), progress) in contenders.into_iter().zip(written).zip(measured) {
            if progress.over {
                let outcome = Outcome::Over(self.effort.limit);
                figures.add(scenario, contender.name, outcome);
                continue;
            }
            if progress.times.runs() > 0 {
                self.verify(scenario, &contender, &written)
                    .with_context(|| format!("{} is wrong", contender.name))?;
                let outcome = Outcome::Took(progress.times);
                figures.add(scenario, contender.name, outcome);
            }
            through.push(contender);
        }
        Ok(through)
    }

    /// Whether what should be is up to date, and nothing else was built.
    fn verify(
        &self,
        scenario: Scenario,
        contender: &Contender<'_>,
        before: &[Option<SystemTime>],
    ) -> Result<()> {
        contender.tree.verify()?;
        let nothing = BTreeSet::new();
        let expected = match scenario {
            Scenario::Cold | Scenario::Deleted => return Ok(()),
            Scenario::Nothing => &nothing,
            Scenario::Changed => &self.change.reached,
        };
        let after = contender.tree.written();
        let pairs = before.iter().zip(&after).enumerate();
        let written = pairs.filter(|(_, (before, after))| before != after);
        let written: BTreeSet<usize> = written.map(|(place, _)| place).collect();
        ensure!(
            written == *expected,
            "it wrote the bundles of {} targets, which are not the {} that it should have written",
            written.len(),
            expected.len()
        );
        Ok(())
    }

    fn observe_memory(
        &self,
        scenario: Scenario,
        contenders: &[Contender<'_>],
        figures: &mut Sized,
    ) -> Result<()> {
        let synth = contenders.iter().find(|one| one.name == synth::NAME);
        let Some(synth) = synth.filter(|_| scenario <= Scenario::Nothing) else {
            return Ok(());
        };
        let prepare = Program::new("sh", ["-c", &synth.before(scenario, self.change.target)]);
        self.shell
            .demand(&prepare.directory(&synth.tree.directory))?;
        let peak = memory::peak(self.shell, synth)?;
        figures.memory.push((scenario, peak));
        Ok(())
    }

    /// Round by round, so that the others' rounds are at the same time as synth's.
    fn measure(&self, scenario: Scenario, contenders: &[Contender<'_>]) -> Result<Vec<Progress>> {
        let mut course: Vec<Progress> = contenders.iter().map(|_| Progress::default()).collect();
        for _ in 0..self.effort.rounds(scenario) {
            for (contender, progress) in contenders.iter().zip(&mut course) {
                if contender.scenarios.contains(&scenario) {
                    self.round(scenario, contender, progress)?;
                }
            }
        }
        Ok(course)
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
            before: contender.before(scenario, self.change.target),
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
