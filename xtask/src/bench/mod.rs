//! Benchmarks: each measured in one run by hyperfine, and written into `docs/benchmarks.md`.

mod hyperfine;
mod machine;
mod opened;
mod page;
mod pipeline;
mod plugins;
mod programs;

use anyhow::Result;
use clap::ValueEnum;

use crate::report::Report;
use crate::shell::Shell;
use crate::{debian, setup};

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Benchmark {
    /// What it costs that a target kind is loaded instead of linked in
    Plugins,
}

/// Measures what is named; everything when nothing is.
pub(crate) fn run(shell: &Shell, report: &mut Report, chosen: &[Benchmark]) -> Result<()> {
    report.prepare("set-up", || prepare(shell))?;
    let chosen = match chosen {
        [] => Benchmark::value_variants(),
        chosen => chosen,
    };
    for benchmark in chosen {
        match benchmark {
            Benchmark::Plugins => plugins::run(shell, report)?,
        }
    }
    Ok(())
}

/// Programs of the benchmarks alone, which the tests do without.
fn prepare(shell: &Shell) -> Result<()> {
    let missing: Vec<&str> = ["hyperfine", "strace"]
        .into_iter()
        .filter(|program| !setup::answers(shell, program))
        .collect();
    if missing.is_empty() {
        eprintln!("there: hyperfine and strace");
        return Ok(());
    }
    debian::install(shell, &missing)
}
