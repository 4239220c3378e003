//! Debian's packages: installed when missing, or only unpacked where that is enough.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::shell::{Program, Shell};

/// Installs packages.
pub(crate) fn install(shell: &Shell, packages: &[&str]) -> Result<()> {
    require_apt(packages)?;
    eprintln!("installing Debian's {}", packages.join(", "));
    // `env`, because sudo hands no variables on.
    let command = [
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "install",
        "--yes",
        "--quiet",
        "--no-install-recommends",
        "--option",
        "DPkg::Lock::Timeout=120",
    ];
    let install = Program::as_root("env", command.iter().chain(packages).copied())?;
    with_fresh_lists(shell, &install)
}

/// Unpacks a package into a directory, without installing it.
pub(crate) fn unpack(shell: &Shell, package: &str, directory: &Path) -> Result<()> {
    require_apt(&[package])?;
    eprintln!("unpacking Debian's {package}");
    fs::create_dir_all(directory)?;
    let script =
        r#"cd "$1" && rm -f ./*.deb && apt-get download "$2" && dpkg-deb --extract ./*.deb ."#;
    let unpack = Program::new("sh", ["-c", script, "sh"])
        .argument(directory)
        .argument(package);
    with_fresh_lists(shell, &unpack)
}

fn require_apt(packages: &[&str]) -> Result<()> {
    ensure!(
        which::which("apt-get").is_ok(),
        "the tests need what Debian packages as {}; set-up installs it only with apt-get, so please \
         install it by this system's own means",
        packages.join(", ")
    );
    Ok(())
}

/// The package lists are brought up to date only when what they name is not there.
fn with_fresh_lists(shell: &Shell, program: &Program) -> Result<()> {
    if shell.run(program)? {
        return Ok(());
    }
    shell.demand(&Program::as_root("apt-get", ["update", "--quiet"])?)?;
    shell.demand(program)
}
