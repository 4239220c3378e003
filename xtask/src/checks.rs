//! What is checked without running a test: formatting, clippy, dependencies.

use anyhow::Result;

use crate::outside;
use crate::report::Report;
use crate::setup;
use crate::shell::{Program, Shell};

/// What cargo-deny looks at. Advisories are a database of their own on the network:
/// `cargo deny check advisories`.
pub(crate) const DEPENDENCIES: [&str; 4] = ["check", "licenses", "bans", "sources"];

/// Formatting, clippy, licences: of the workspace, then of each crate outside it.
pub(crate) fn lint(shell: &Shell, report: &mut Report) -> Result<()> {
    report.check("formatting", || {
        shell.run(&Program::new("cargo", ["fmt", "--all", "--check"]))
    })?;
    report.check("clippy", || {
        let arguments = [
            "clippy",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--locked",
        ];
        let clippy = Program::new("cargo", arguments);
        shell.run(
            &["--", "--deny", "warnings"]
                .iter()
                .fold(clippy, |clippy, argument| clippy.argument(argument)),
        )
    })?;
    report.check("dependencies", || {
        shell.run(&Program::new(setup::cargo_deny(shell)?, DEPENDENCIES))
    })?;
    outside::lint(shell, report)
}
