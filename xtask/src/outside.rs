//! The crates outside the workspace, each with a lock file of its own: the plugins, and the plugins
//! that the engine's tests load. They are checked as strictly as the workspace is.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::report::Report;
use crate::shell::{Program, Shell};
use crate::suite::{self, Environment, Skipped};
use crate::{checks, setup};

/// A crate, or a workspace of some.
pub(crate) struct Outside {
    name: String,
    manifest: PathBuf,
}

/// The crates in `plugins/`.
pub(crate) fn plugins(shell: &Shell) -> Result<Vec<Outside>> {
    let directory = shell.root().join("plugins");
    let entries = directory
        .read_dir()
        .with_context(|| format!("{} can't be read", directory.display()))?;
    let mut plugins = Vec::new();
    for entry in entries {
        let entry = entry?;
        let manifest = entry.path().join("Cargo.toml");
        if manifest.is_file() {
            plugins.push(Outside {
                name: entry.file_name().to_string_lossy().into_owned(),
                manifest,
            });
        }
    }
    plugins.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(plugins)
}

/// The plugins that tests load: those of the engine's tests, and those that misbehave.
fn fixtures(shell: &Shell) -> [Outside; 2] {
    let fixtures = [
        ("test plugins", "crates/engine/tests/fixtures/Cargo.toml"),
        ("misbehaving plugins", "tests/plugins/Cargo.toml"),
    ];
    fixtures.map(|(name, manifest)| Outside {
        name: name.into(),
        manifest: shell.root().join(manifest),
    })
}

/// Formatting, clippy, licences.
pub(crate) fn lint(shell: &Shell, report: &mut Report) -> Result<()> {
    let mut crates = plugins(shell)?;
    crates.extend(fixtures(shell));
    let cargo_deny = setup::cargo_deny(shell)?;
    for outside in crates {
        report.check(&format!("lint {}", outside.name), || {
            let format = outside.cargo("fmt", &["--all", "--check"]);
            let clippy = outside
                .cargo(
                    "clippy",
                    &["--all-targets", "--no-deps", "--locked", "--quiet"],
                )
                .argument("--target-dir")
                .argument(shell.outside())
                .argument("--")
                .argument("--deny")
                .argument("warnings");
            // Warnings about what is in the workspace's configuration alone are none here.
            let deny = Program::new(&cargo_deny, ["--log-level", "error", "--locked"])
                .argument("--config")
                .argument(shell.root().join("deny.toml"))
                .argument("--manifest-path")
                .argument(&outside.manifest);
            let deny = checks::DEPENDENCIES
                .iter()
                .fold(deny, |deny, argument| deny.argument(*argument));
            // All of them, whatever the first says.
            let passed = [format, clippy, deny].map(|check| shell.run(&check));
            passed.into_iter().try_fold(true, |all, one| Ok(all & one?))
        })?;
    }
    Ok(())
}

/// The plugins' own tests.
pub(crate) fn test(shell: &Shell, environment: &Environment, report: &mut Report) -> Result<()> {
    for plugin in plugins(shell)? {
        report.tests(&format!("tests {}", plugin.name), || {
            let tests = plugin
                .cargo("test", &["--locked", "--no-fail-fast", "--quiet"])
                .argument("--target-dir")
                .argument(shell.outside());
            suite::run_cargo(shell, &environment.apply(tests), Skipped::IsFailure)
        })?;
    }
    Ok(())
}

impl Outside {
    fn cargo(&self, command: &str, arguments: &[&str]) -> Program {
        let program = Program::new("cargo", [command, "--manifest-path"]).argument(&self.manifest);
        arguments
            .iter()
            .fold(program, |program, argument| program.argument(*argument))
    }
}
