//! Runs the tests and counts them. A test that was left out counts as failed: nothing is skipped
//! here, set-up sees to what a test needs.

use std::env;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::docker_engine::{BASE_IMAGE, DockerEngine};
use crate::report::{Counts, Report};
use crate::setup::Tools;
use crate::shell::{Program, Shell};

/// The variables that the tests of the built binary read.
pub(crate) struct Environment(Vec<(OsString, OsString)>);

impl Environment {
    pub(crate) fn new(shell: &Shell, tools: &Tools, engine: &DockerEngine) -> Result<Self> {
        let path = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths(
            [tools.bin.clone()]
                .into_iter()
                .chain(env::split_paths(&path)),
        )?;
        let mut variables = engine.variables();
        variables.extend([
            ("PATH".into(), path),
            ("SYNTH_BIN".into(), shell.synth().into()),
            ("SYNTH_TEST_KINDS".into(), shell.kinds().into()),
            (
                "SYNTH_TEST_SOURCE_DISTRIBUTIONS".into(),
                tools.source_distributions.clone().into(),
            ),
            ("SYNTH_TEST_BASE_IMAGE".into(), BASE_IMAGE.into()),
            // Each test has a home of its own, but need not download the same again.
            ("UV_CACHE_DIR".into(), shell.tools().join("cache/uv").into()),
            (
                "PIP_CACHE_DIR".into(),
                shell.tools().join("cache/pip").into(),
            ),
        ]);
        Ok(Self(variables))
    }

    pub(crate) fn apply(&self, program: Program) -> Program {
        self.0.iter().fold(program, |program, (name, value)| {
            program.variable(name, value)
        })
    }
}

/// Compiles every test and the binary that they run, with the same choice of features.
pub(crate) fn build(shell: &Shell, report: &mut Report) -> Result<()> {
    report.prepare("build of a synth without kinds", || apart(shell))?;
    report.prepare("build", || {
        let arguments = [
            "build",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--locked",
        ];
        shell.demand(&Program::new("cargo", arguments))
    })
}

/// Compiles a synth without kinds, and the kinds that it otherwise has as plugins, and puts them
/// aside: the build of the workspace replaces them by those with the usual features.
fn apart(shell: &Shell) -> Result<()> {
    const KINDS: [&str; 3] = ["python", "docker", "static"];
    let build = Program::new("cargo", ["build", "--quiet", "--locked"]);
    let bare = ["--package", "synth-cli", "--no-default-features"];
    shell.demand(&bare.iter().fold(build.clone(), |b, word| b.argument(*word)))?;
    let directory = shell.kinds();
    fs::create_dir_all(&directory)?;
    let keep = |from: PathBuf| -> Result<()> {
        let to = directory.join(from.file_name().unwrap_or_default());
        // Not into a file that a running program may have open.
        if to.exists() {
            fs::remove_file(&to)?;
        }
        fs::copy(&from, &to).with_context(|| format!("{} can't be copied", from.display()))?;
        Ok(())
    };
    keep(shell.synth())?;
    let plugins = KINDS.iter().fold(build, |build, kind| {
        build
            .argument("--package")
            .argument(format!("synth-target-{kind}"))
            .argument("--features")
            .argument(format!("synth-target-{kind}/plugin"))
    });
    shell.demand(&plugins)?;
    for kind in KINDS {
        let library = format!("{DLL_PREFIX}synth_target_{kind}{DLL_SUFFIX}");
        keep(shell.synth().with_file_name(library))?;
    }
    Ok(())
}

/// What runs tests.
#[derive(Clone, Copy)]
enum Runner {
    Cargo,
    Nextest,
}

/// Every test there is.
pub(crate) fn everything(
    shell: &Shell,
    environment: &Environment,
    report: &mut Report,
) -> Result<()> {
    report.tests("tests", || {
        let runner = Runner::available(shell);
        let program = match runner {
            Runner::Nextest => Program::new("cargo", ["nextest", "run", "--workspace"]),
            Runner::Cargo => {
                let arguments = ["test", "--workspace", "--lib", "--bins", "--tests"];
                Program::new("cargo", arguments)
            }
        };
        let program = program.argument("--no-fail-fast").argument("--locked");
        run(
            shell,
            runner,
            &environment.apply(program),
            Skipped::IsFailure,
        )
    })?;
    report.tests("doc tests", || {
        let arguments = ["test", "--workspace", "--doc", "--no-fail-fast", "--locked"];
        let program = Program::new("cargo", arguments);
        run(shell, Runner::Cargo, &program, Skipped::IsFailure)
    })
}

/// The tests of the built binary, or some of them.
pub(crate) fn end_to_end(
    shell: &Shell,
    environment: &Environment,
    filter: Option<&str>,
    report: &mut Report,
) -> Result<()> {
    report.tests("end-to-end tests", || {
        let runner = Runner::available(shell);
        let program = match runner {
            // The whole workspace, because it has been built with that choice of features.
            Runner::Nextest => Program::new("cargo", ["nextest", "run", "--workspace"])
                .argument("--filterset")
                .argument("package(synth-tests)"),
            Runner::Cargo => Program::new("cargo", ["test", "--package", "synth-tests"]),
        };
        let mut program = program.argument("--no-fail-fast");
        if let Some(filter) = filter {
            program = program.argument(filter);
        }
        run(shell, runner, &environment.apply(program), Skipped::IsMeant)
    })
}

/// Runs test programs as cargo runs them, or one such program by itself.
pub(crate) fn run_cargo(shell: &Shell, program: &Program, skipped: Skipped) -> Result<Counts> {
    run(shell, Runner::Cargo, program, skipped)
}

/// What a test that did not run means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Skipped {
    IsFailure,
    /// A choice was made on the command line.
    IsMeant,
}

fn run(shell: &Shell, runner: Runner, program: &Program, skipped: Skipped) -> Result<Counts> {
    let mut counts = Counts::default();
    let succeeded = shell.observe(program, |line| {
        if let Some(found) = runner.counts_in(line) {
            counts.passed += found.passed;
            counts.failed += found.failed;
            counts.skipped += found.skipped;
        }
    })?;
    if skipped == Skipped::IsFailure {
        counts.failed += counts.skipped;
    }
    counts.skipped = 0;
    // A runner that failed without a failed test: a test that does not compile, for one.
    if !succeeded && counts.failed == 0 {
        counts.failed = 1;
    }
    Ok(counts)
}

impl Runner {
    /// nextest when it is installed.
    fn available(shell: &Shell) -> Self {
        match shell.ask(&Program::new("cargo", ["nextest", "--version"])) {
            Some(_) => Self::Nextest,
            None => Self::Cargo,
        }
    }

    /// The counts in its closing line. nextest shows the closing lines of failed tests too, which
    /// are not its own.
    fn counts_in(self, line: &str) -> Option<Counts> {
        let is_closing = match self {
            Self::Cargo => line.starts_with("test result: "),
            Self::Nextest => line.trim_start().starts_with("Summary [") && line.contains(" run: "),
        };
        if !is_closing {
            return None;
        }
        let mut counts = Counts::default();
        let words: Vec<&str> = line
            .split(|letter: char| !letter.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .collect();
        for pair in words.windows(2) {
            let Ok(number) = pair[0].parse::<u64>() else {
                continue;
            };
            match pair[1] {
                "passed" => counts.passed += number,
                "failed" | "timed" | "exec" => counts.failed += number,
                "skipped" | "ignored" | "filtered" => counts.skipped += number,
                _ => {}
            }
        }
        Some(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_lines_of_both_runners_are_understood() {
        let nextest = "     Summary [  12.345s] 7 tests run: 4 passed (1 slow), 2 failed, \
                       1 timed out, 3 skipped\n";
        let cargo = "test result: FAILED. 5 passed; 1 failed; 2 ignored; 0 measured; \
                     3 filtered out; finished in 0.01s\n";
        for (runner, line, expected) in [
            (Runner::Nextest, nextest, Some((4, 3, 3))),
            (Runner::Nextest, cargo, None),
            (Runner::Nextest, &format!("    {cargo}"), None),
            (Runner::Cargo, cargo, Some((5, 1, 5))),
            (Runner::Cargo, "test result_is_shown ... ok\n", None),
            (Runner::Cargo, "running 3 tests\n", None),
        ] {
            let found = runner.counts_in(line);
            let found = found.map(|found| (found.passed, found.failed, found.skipped));
            assert_eq!(found, expected, "{line}");
        }
    }
}
