//! Runs the tests and counts them. A test that was left out counts as failed: nothing is skipped
//! here, set-up sees to what a test needs.

use std::env;
use std::ffi::OsString;

use anyhow::Result;

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

    fn apply(&self, program: Program) -> Program {
        self.0.iter().fold(program, |program, (name, value)| {
            program.variable(name, value)
        })
    }
}

/// Compiles every test and the binary that they run, with the same choice of features.
pub(crate) fn build(shell: &Shell, report: &mut Report) -> Result<()> {
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

/// Every test there is.
pub(crate) fn everything(
    shell: &Shell,
    environment: &Environment,
    report: &mut Report,
) -> Result<()> {
    report.tests("tests", || {
        let program = if nextest(shell) {
            let arguments = [
                "nextest",
                "run",
                "--workspace",
                "--no-fail-fast",
                "--locked",
            ];
            Program::new("cargo", arguments)
        } else {
            let arguments = ["test", "--workspace", "--lib", "--bins", "--tests"];
            Program::new("cargo", arguments)
                .argument("--no-fail-fast")
                .argument("--locked")
        };
        run(shell, &environment.apply(program), true)
    })?;
    report.tests("doc tests", || {
        let arguments = ["test", "--workspace", "--doc", "--no-fail-fast", "--locked"];
        run(shell, &Program::new("cargo", arguments), true)
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
        let mut program = if nextest(shell) {
            let arguments = ["nextest", "run", "--workspace", "--no-fail-fast"];
            Program::new("cargo", arguments)
                .argument("--filterset")
                .argument("package(synth-tests)")
        } else {
            Program::new(
                "cargo",
                ["test", "--package", "synth-tests", "--no-fail-fast"],
            )
        };
        if let Some(filter) = filter {
            program = program.argument(filter);
        }
        run(shell, &environment.apply(program), false)
    })
}

fn nextest(shell: &Shell) -> bool {
    let ask = Program::new("cargo", ["nextest", "--version"]);
    shell.ask(&ask).is_some()
}

fn run(shell: &Shell, program: &Program, all: bool) -> Result<Counts> {
    let mut counts = Counts::default();
    let succeeded = shell.observe(program, |line| {
        if let Some(found) = counts_in(line) {
            counts.passed += found.passed;
            counts.failed += found.failed;
            counts.skipped += found.skipped;
        }
    })?;
    if all {
        counts.failed += counts.skipped;
    }
    counts.skipped = 0;
    // A runner that failed without a failed test: a test that does not compile, for one.
    if !succeeded && counts.failed == 0 {
        counts.failed = 1;
    }
    Ok(counts)
}

/// The counts in a closing line of `cargo test` or `cargo nextest run`.
fn counts_in(line: &str) -> Option<Counts> {
    let line = line.trim();
    let is_nextest = line.starts_with("Summary [") && line.contains(" run: ");
    if !is_nextest && !line.starts_with("test result: ") {
        return None;
    }
    let mut counts = Counts::default();
    let words: Vec<&str> = line
        .split([' ', ',', ';', '(', ')', ':'])
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_lines_of_both_runners_are_understood() {
        for (line, expected) in [
            (
                "     Summary [  12.345s] 7 tests run: 4 passed (1 slow), 2 failed, 1 timed out, 3 skipped",
                Some((4, 3, 3)),
            ),
            (
                "     Summary [   0.001s] 1 test run: 1 passed, 0 skipped",
                Some((1, 0, 0)),
            ),
            (
                "test result: FAILED. 5 passed; 1 failed; 2 ignored; 0 measured; 3 filtered out; finished in 0.01s",
                Some((5, 1, 5)),
            ),
            ("test result_is_shown ... ok", None),
            ("running 3 tests", None),
        ] {
            let found = counts_in(line).map(|found| (found.passed, found.failed, found.skipped));
            assert_eq!(found, expected, "{line}");
        }
    }
}
