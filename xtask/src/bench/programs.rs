//! The programs that are compared, optimized as a release is: synth as it is, synth with the
//! `command` kind linked in, and the library that brings that kind.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use toml::{Table, Value};

use crate::shell::{Program, Shell};

/// Where they are.
pub(crate) struct Programs {
    /// synth as users have it.
    pub(crate) synth: PathBuf,
    /// The same, with the kind in it.
    pub(crate) linked: PathBuf,
    /// The kind's library.
    pub(crate) library: PathBuf,
}

const SYNTH: &str = "//! synth as it is.

fn main() -> std::process::ExitCode {
    synth_cli::main()
}
";

const LINKED: &str = "//! synth with one more kind.

use std::sync::Arc;

use synth_target_command::CommandTarget;

fn main() -> std::process::ExitCode {
    synth_cli::main_with(|| synth_cli::kinds().with(Arc::new(CommandTarget)))
}
";

/// Compiles them.
pub(crate) fn build(shell: &Shell) -> Result<Programs> {
    let release = compile(
        shell,
        &["--package=synth-bench", "--package=synth-target-command"],
    )?;
    let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let library = format!("{prefix}synth_target_command{suffix}");
    let built = |name: &str| release.join(name);
    Ok(Programs {
        synth: built("synth"),
        linked: built("linked"),
        library: built(&library),
    })
}

/// Compiles synth with the kind in it alone.
pub(crate) fn linked(shell: &Shell) -> Result<PathBuf> {
    let release = compile(shell, &["--package=synth-bench", "--bin=linked"])?;
    Ok(release.join("linked"))
}

/// Where what is chosen has been compiled to.
fn compile(shell: &Shell, chosen: &[&str]) -> Result<PathBuf> {
    let target = shell.benchmarks().join("build");
    let package = shell.benchmarks().join("programs");
    write_package(shell, &package)?;
    let build = Program::new("cargo", ["build", "--release", "--manifest-path"])
        .argument(package.join("Cargo.toml"))
        .argument("--target-dir")
        .argument(&target);
    let build = chosen.iter().copied().fold(build, Program::argument);
    shell.demand(&build)?;
    Ok(target.join("release"))
}

/// A crate with both programs and the library, so that nothing but where the kind is differs between
/// them: they are compiled with the same versions and features of the same crates.
fn write_package(shell: &Shell, package: &Path) -> Result<()> {
    let text = fs::read_to_string(shell.root().join("Cargo.toml"))?;
    let workspace: Table = text
        .parse()
        .context("the workspace's Cargo.toml is not TOML")?;
    let release = workspace
        .get("profile")
        .and_then(|profiles| profiles.get("release"))
        .context("the workspace has no release profile")?;
    let path = |path: &str| -> Value {
        let path = shell.root().join(path);
        Table::from_iter([(
            "path".to_owned(),
            path.to_string_lossy().into_owned().into(),
        )])
        .into()
    };
    let program = |name: &str| -> Value {
        let entries = [
            ("name", name.to_owned()),
            ("path", format!("src/{name}.rs")),
        ];
        let entries = entries.map(|(key, value)| (key.to_owned(), value.into()));
        Table::from_iter(entries).into()
    };
    let table = |entries: Vec<(&str, Value)>| -> Value {
        let entries = entries.into_iter();
        let entries = entries.map(|(key, value)| (key.to_owned(), value));
        entries.collect::<Table>().into()
    };
    let manifest = table(vec![
        (
            "package",
            table(vec![
                ("name", "synth-bench".into()),
                ("version", "0.0.0".into()),
                ("edition", "2024".into()),
                ("publish", false.into()),
            ]),
        ),
        ("workspace", table(Vec::new())),
        ("bin", vec![program("synth"), program("linked")].into()),
        (
            "dependencies",
            table(vec![
                ("synth-cli", path("crates/cli")),
                ("synth-target-command", path("plugins/target-command")),
            ]),
        ),
        ("profile", table(vec![("release", release.clone())])),
    ]);
    fs::create_dir_all(package.join("src"))?;
    fs::write(package.join("Cargo.toml"), toml::to_string(&manifest)?)?;
    fs::write(package.join("src/synth.rs"), SYNTH)?;
    fs::write(package.join("src/linked.rs"), LINKED)?;
    // The versions that the workspace is tested with.
    fs::copy(shell.root().join("Cargo.lock"), package.join("Cargo.lock"))?;
    Ok(())
}
