//! The tools beside synth, in these versions, below `target/bench/tools`: none is needed beforehand
//! but Python, Node.js and npm.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::peer::Peer;
use crate::shell::{Program, Shell};
use crate::{debian, setup};

/// Of PyPI.
const NINJA: &str = "ninja==1.13.2";
const TASK: &str = "go-task-bin==3.54.0";

/// Of npm.
const TURBOREPO: &str = "turbo@2.11.11";
const MOON: &str = "@moonrepo/cli@2.5.5";

/// Where the programs are.
pub(crate) struct Tools<'a> {
    shell: &'a Shell,
    /// None where those of the `PATH` are meant.
    directory: Option<PathBuf>,
}

impl<'a> Tools<'a> {
    /// Those of the `PATH`.
    pub(crate) fn of_path(shell: &'a Shell) -> Self {
        let directory = None;
        Self { shell, directory }
    }

    /// Installs what is not there in the wanted version.
    pub(crate) fn install(shell: &'a Shell, peers: &[Peer]) -> Result<Self> {
        let directory = shell.benchmarks().join("tools");
        for peer in peers {
            match peer {
                Peer::Ninja => from_pypi(shell, &directory.join("ninja"), NINJA)?,
                Peer::Turborepo => from_npm(shell, &directory.join("turborepo"), TURBOREPO)?,
                Peer::Moon => from_npm(shell, &directory.join("moon"), MOON)?,
                Peer::Task => from_pypi(shell, &directory.join("task"), TASK)?,
                Peer::Git => {}
            }
        }
        let directory = Some(directory);
        Ok(Self { shell, directory })
    }

    /// The tool itself: npm's packages hold it beside a script that starts it, which would take a
    /// start of Node.js more.
    pub(crate) fn program(&self, peer: Peer) -> Result<PathBuf> {
        let Some(directory) = &self.directory else {
            let name = match peer {
                Peer::Turborepo => "turbo",
                Peer::Git => "git",
                Peer::Ninja | Peer::Moon | Peer::Task => peer.directory().unwrap_or_default(),
            };
            return Ok(name.into());
        };
        match peer {
            Peer::Ninja => Ok(directory.join("ninja/bin/ninja")),
            Peer::Task => Ok(directory.join("task/bin/task")),
            Peer::Git => Ok("git".into()),
            Peer::Turborepo => native(
                &directory.join("turborepo/node_modules/@turbo"),
                "bin/turbo",
            ),
            Peer::Moon => native(&directory.join("moon/node_modules/@moonrepo"), "moon"),
        }
    }

    /// A tool's name and version, as it tells them.
    pub(crate) fn version(&self, peer: Peer) -> Result<String> {
        let asked = Program::new(self.program(peer)?, ["--version"]);
        let answer = self.shell.ask(&asked).unwrap_or_default();
        let is_version = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
        let version = answer.split_whitespace().find(is_version);
        let name = match peer {
            Peer::Git => "git",
            other => other.name(),
        };
        Ok(format!("{name} {}", version.unwrap_or("unknown")))
    }
}

/// A program in the one package for this machine, whose name differs from machine to machine.
fn native(packages: &Path, program: &str) -> Result<PathBuf> {
    let entries =
        fs::read_dir(packages).with_context(|| format!("{} can't be read", packages.display()))?;
    let mut programs = entries.filter_map(|entry| Some(entry.ok()?.path().join(program)));
    let found = programs.find(|program| program.is_file());
    found.with_context(|| format!("no package in {} has `{program}`", packages.display()))
}

/// Installs a package into an environment of its own.
fn from_pypi(shell: &Shell, environment: &Path, package: &str) -> Result<()> {
    once(environment, package, || {
        let create = Program::new("python3", ["-m", "venv", "--clear"]).argument(environment);
        shell.demand(&create)?;
        let arguments = ["-m", "pip", "install", "--quiet", "--no-deps"];
        let pip = Program::new(environment.join("bin/python"), arguments)
            .argument("--disable-pip-version-check")
            .argument(package);
        shell.demand(&pip)
    })
}

/// Installs a package into a directory of its own.
fn from_npm(shell: &Shell, directory: &Path, package: &str) -> Result<()> {
    if !setup::answers(shell, "npm") {
        debian::install(shell, &["nodejs", "npm"])?;
    }
    once(directory, package, || {
        if directory.exists() {
            fs::remove_dir_all(directory)?;
        }
        fs::create_dir_all(directory)?;
        let options = ["install", "--no-audit", "--no-fund", "--silent", "--prefix"];
        let npm = Program::new("npm", options).argument(directory);
        shell.demand(&npm.argument(package))
    })
}

/// Installs something unless it is there, as a file in its directory says.
fn once(directory: &Path, wanted: &str, install: impl FnOnce() -> Result<()>) -> Result<()> {
    let installed = directory.join("installed");
    if fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        eprintln!("there: {wanted}");
        return Ok(());
    }
    eprintln!("installing {wanted} into {}", directory.display());
    install()?;
    Ok(fs::write(installed, wanted)?)
}
