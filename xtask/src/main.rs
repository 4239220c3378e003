//! Developer tasks: `cargo xtask test` installs what the tests need and runs every check there is.

mod base_image;
mod bench;
mod checks;
mod debian;
mod docker_engine;
mod memcheck;
mod outside;
mod python;
mod report;
mod setup;
mod shell;
mod soak;
mod suite;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::bench::Benchmark;
use crate::docker_engine::DockerEngine;
use crate::report::Report;
use crate::shell::Shell;
use crate::soak::Soak;

/// Developer tasks of this repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the tests need, then lint and run every test
    Test,
    /// Install what the tests need, and say what that is
    Setup,
    /// Check formatting, clippy, and the licences and sources of dependencies
    Lint,
    /// Measure, and write the figures into docs/benchmarks.md
    Bench {
        /// What; everything when nothing is named
        #[command(subcommand)]
        benchmark: Option<Benchmark>,
    },
    /// Run the tests of the plugins' ABI and loader under valgrind
    Memcheck,
    /// Run the full forms of the tests with random changes and kills; figures into docs/soak.md
    Soak(Soak),
    /// Install what the tests need, then run the tests of the built binary
    E2e {
        /// Only tests whose name contains this
        filter: Option<String>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut report = Report::default();
    let outcome = Shell::new().and_then(|shell| perform(&arguments.task, &shell, &mut report));
    let code = report.conclude();
    match outcome {
        Ok(()) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform(task: &Task, shell: &Shell, report: &mut Report) -> Result<()> {
    match task {
        Task::Test => {
            let tools = report.prepare("set-up", || setup::prepare(shell))?;
            checks::lint(shell, report)?;
            with_engine(shell, &tools, report, |report, environment| {
                suite::everything(shell, environment, report)?;
                outside::test(shell, environment, report)
            })
        }
        Task::Setup => report
            .prepare("set-up", || setup::prepare(shell))
            .map(|_| ()),
        Task::Lint => {
            report.prepare("set-up", || setup::cargo_deny(shell))?;
            checks::lint(shell, report)
        }
        Task::Bench { benchmark } => bench::run(shell, report, benchmark.as_ref()),
        Task::Memcheck => memcheck::check(shell, report),
        Task::Soak(soak) => soak.run(shell, report),
        Task::E2e { filter } => {
            let tools = report.prepare("set-up", || setup::prepare(shell))?;
            with_engine(shell, &tools, report, |report, environment| {
                suite::end_to_end(shell, environment, filter.as_deref(), report)
            })
        }
    }
}

/// Runs tests with a Docker engine, and ends the engine however they end.
fn with_engine(
    shell: &Shell,
    tools: &setup::Tools,
    report: &mut Report,
    tests: impl FnOnce(&mut Report, &suite::Environment) -> Result<()>,
) -> Result<()> {
    suite::build(shell, report)?;
    let engine = report.prepare("Docker engine", || DockerEngine::start(shell, tools))?;
    let environment = suite::Environment::new(shell, tools, &engine)?;
    tests(report, &environment)
}
