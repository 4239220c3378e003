//! Benchmarks: each measured in one run by hyperfine, and written into `docs/benchmarks.md`.

mod hyperfine;
mod machine;
mod monorepo;
mod opened;
pub(crate) mod page;
mod pipeline;
mod plugins;
mod programs;

use anyhow::Result;
use clap::Subcommand;

use crate::report::Report;
use crate::shell::Shell;
use crate::{debian, setup};

/// What can be measured.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Benchmark {
    /// What it costs that a target kind is loaded instead of linked in
    Plugins,
    /// synth beside ninja, Turborepo, moon and Task, on monorepos of commands
    Monorepo(monorepo::Options),
}

/// Measures what is named; everything when nothing is.
pub(crate) fn run(shell: &Shell, report: &mut Report, chosen: Option<&Benchmark>) -> Result<()> {
    report.prepare("set-up", || prepare(shell))?;
    match chosen {
        None => {
            plugins::run(shell, report)?;
            monorepo::run(shell, report, &monorepo::Options::default())
        }
        Some(Benchmark::Plugins) => plugins::run(shell, report),
        Some(Benchmark::Monorepo(options)) => monorepo::run(shell, report, options),
    }
}

/// Programs of the benchmarks alone, which the tests do without.
fn prepare(shell: &Shell) -> Result<()> {
    let missing: Vec<&str> = ["hyperfine", "sqlite3", "strace", "time"]
        .into_iter()
        .filter(|program| !setup::answers(shell, program))
        .collect();
    if missing.is_empty() {
        eprintln!("there: hyperfine, sqlite3, strace and time");
        return Ok(());
    }
    debian::install(shell, &missing)
}
