//! The tools beside synth, in these versions, below `target/bench/tools`: none is needed beforehand.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::peer::Peer;
use crate::shell::{Program, Shell};

/// Of PyPI.
const NINJA: &str = "ninja==1.13.2";

/// Where the programs are; a name for the `PATH` where nothing is installed.
#[derive(Default)]
pub(crate) struct Tools {
    directory: Option<PathBuf>,
}

impl Tools {
    pub(crate) fn program(&self, peer: Peer) -> PathBuf {
        let place = match peer {
            Peer::Ninja => "ninja/bin/ninja",
            Peer::Git => return "git".into(),
        };
        match &self.directory {
            Some(directory) => directory.join(place),
            None => Path::new(place).file_name().unwrap_or_default().into(),
        }
    }
}

/// Installs what is not there in the wanted version.
pub(crate) fn install(shell: &Shell, peers: &[Peer]) -> Result<Tools> {
    let directory = shell.benchmarks().join("tools");
    for peer in peers {
        match peer {
            Peer::Ninja => from_pypi(shell, &directory.join("ninja"), NINJA)?,
            Peer::Git => {}
        }
    }
    Ok(Tools {
        directory: Some(directory),
    })
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
