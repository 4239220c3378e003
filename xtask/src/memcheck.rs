//! The stable ABI and the loader of plugins under valgrind, whose tests hold all unsafe code of
//! theirs: no use of memory that is not theirs or not written yet, and none that is lost. Nothing
//! is suppressed: what stays loaded for good stays reachable.

use anyhow::{Context, Result, ensure};
use cargo_metadata::Message;

use crate::report::{Counts, Report};
use crate::shell::{Program, Shell};
use crate::suite::{self, Skipped};
use crate::{debian, setup};

/// Tests of one program, in this process alone: those that start others would be blind spots.
struct Checked {
    package: &'static str,
    /// Which of the package's test programs.
    program: &'static [&'static str],
    /// Only tests whose name contains this.
    filter: &'static str,
}

const CHECKED: [Checked; 2] = [
    Checked {
        package: "synth-core",
        program: &["--lib"],
        filter: "abi::",
    },
    Checked {
        package: "synth-engine",
        program: &["--test", "plugins"],
        filter: "in_process::",
    },
];

/// Exit code of valgrind where it found something: none that a test program has.
const FOUND: &str = "--error-exitcode=97";

/// Runs the tests under valgrind.
pub(crate) fn check(shell: &Shell, report: &mut Report) -> Result<()> {
    report.prepare("set-up", || {
        if setup::answers(shell, "valgrind") {
            eprintln!("there: valgrind");
            return Ok(());
        }
        debian::install(shell, &["valgrind"])
    })?;
    for checked in &CHECKED {
        let name = format!("memcheck {}", checked.package);
        let test = report.prepare("build", || build(shell, checked))?;
        report.tests(&name, || {
            let program = valgrind(&test).argument(checked.filter);
            let counts = suite::run_cargo(shell, &program, Skipped::IsMeant)?;
            ensure!(
                counts != Counts::default(),
                "no test of {} is called `{}`",
                checked.package,
                checked.filter
            );
            Ok(counts)
        })?;
    }
    Ok(())
}

fn valgrind(test: &str) -> Program {
    let options = [
        FOUND,
        "--leak-check=full",
        "--show-leak-kinds=definite",
        "--errors-for-leak-kinds=definite",
        // Enough to reach from the allocator through serde to a line of ours.
        "--num-callers=40",
    ];
    // One test at a time: valgrind runs one thread at a time anyway.
    Program::new("valgrind", options)
        .argument(test)
        .argument("--test-threads=1")
}

/// Compiles a test program; where it is.
fn build(shell: &Shell, checked: &Checked) -> Result<String> {
    let arguments = [
        "test",
        "--no-run",
        "--locked",
        "--message-format=json-render-diagnostics",
        "--package",
        checked.package,
    ];
    let build = checked
        .program
        .iter()
        .fold(Program::new("cargo", arguments), |build, argument| {
            build.argument(*argument)
        });
    let messages = shell.read(&build)?;
    let executable = Message::parse_stream(messages.as_bytes())
        .filter_map(|message| match message.ok()? {
            Message::CompilerArtifact(artifact) if artifact.profile.test => artifact.executable,
            _ => None,
        })
        .next();
    let executable = executable.with_context(|| format!("cargo built no test by `{build}`"))?;
    Ok(executable.into_string())
}
