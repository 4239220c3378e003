//! What comes from PyPI: uv, and the source distributions that the tests build.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::shell::{Program, Shell};

const UV_VERSION: &str = "0.13.9";

/// A source distribution as PyPI has it.
struct SourceDistribution {
    name: &'static str,
    version: &'static str,
    sha256: &'static str,
}

impl SourceDistribution {
    fn file_name(&self) -> String {
        format!("{}-{}.tar.gz", self.name, self.version)
    }
}

/// Projects that many people build, with five different ways of saying how.
const SOURCE_DISTRIBUTIONS: [SourceDistribution; 6] = [
    SourceDistribution {
        name: "attrs",
        version: "26.1.0",
        sha256: "d03ceb89cb322a8fd706d4fb91940737b6642aa36998fe130a9bc96c985eff32",
    },
    SourceDistribution {
        name: "click",
        version: "8.5.1",
        sha256: "9bbfada76703fd1d784b83eea012e3e8c6a001a876543ef104fa56aaaeb072b4",
    },
    SourceDistribution {
        name: "flask",
        version: "3.1.3",
        sha256: "0ef0e52b8a9cd932855379197dd8f94047b359ca0a78695144304cb45f87c9eb",
    },
    SourceDistribution {
        name: "httpx",
        version: "0.28.1",
        sha256: "75e98c5f16b0f35b567856f597f06ff2270a374470a5c2392242528e3e3e42fc",
    },
    SourceDistribution {
        name: "requests",
        version: "2.34.2",
        sha256: "f288924cae4e29463698d6d60bc6a4da69c89185ad1e0bcc4104f584e960b9ed",
    },
    SourceDistribution {
        name: "rich",
        version: "15.0.0",
        sha256: "edd07a4824c6b40189fb7ac9bc4c52536e9780fbbfbddf6f1e2502c31b068c36",
    },
];

/// Whether Python can make virtual environments with pip in them.
pub(crate) fn makes_environments(shell: &Shell) -> bool {
    let check = "import sys, venv, ensurepip; assert sys.version_info >= (3, 9)";
    shell.ask(&Program::new("python3", ["-c", check])).is_some()
}

/// uv, in an environment of its own; where its program is.
pub(crate) fn uv(shell: &Shell) -> Result<PathBuf> {
    let environment = environment(shell);
    let uv = environment.join("bin/uv");
    let version = shell.ask(&Program::new(&uv, ["--version"]));
    if version.is_some_and(|version| version.split(' ').nth(1) == Some(UV_VERSION)) {
        eprintln!("there: uv {UV_VERSION}");
        return Ok(uv);
    }
    eprintln!(
        "installing PyPI's uv {UV_VERSION} into {}",
        environment.display()
    );
    let create = Program::new("python3", ["-m", "venv", "--clear"]).argument(&environment);
    shell.demand(&create)?;
    let package = format!("uv=={UV_VERSION}");
    shell.demand(&pip(shell, "install").argument(package))?;
    Ok(uv)
}

/// The source distributions, in a directory of their own. What is there and whole is not
/// downloaded again.
pub(crate) fn source_distributions(shell: &Shell) -> Result<PathBuf> {
    let directory = shell.fixtures().join("source-distributions");
    fs::create_dir_all(&directory)?;
    let missing: Vec<_> = SOURCE_DISTRIBUTIONS
        .iter()
        .filter(|distribution| !is_whole(distribution, &directory))
        .collect();
    let names: Vec<_> = SOURCE_DISTRIBUTIONS.iter().map(|one| one.name).collect();
    if missing.is_empty() {
        eprintln!("there: source distributions of {}", names.join(", "));
        return Ok(directory);
    }
    let mut requirements = String::new();
    for SourceDistribution {
        name,
        version,
        sha256,
    } in missing
    {
        eprintln!("downloading PyPI's source distribution of {name} {version}");
        requirements += &format!("{name}=={version} --hash=sha256:{sha256}\n");
    }
    let list = directory.join("requirements.txt");
    fs::write(&list, requirements)?;
    let download = pip(shell, "download")
        .argument("--no-deps")
        .argument("--no-binary")
        .argument(names.join(","))
        .argument("--dest")
        .argument(&directory)
        .argument("--requirement")
        .argument(&list);
    shell.demand(&download)?;
    for distribution in &SOURCE_DISTRIBUTIONS {
        is_whole(distribution, &directory)
            .then_some(())
            .with_context(|| format!("pip did not leave {}", distribution.file_name()))?;
    }
    Ok(directory)
}

fn is_whole(distribution: &SourceDistribution, directory: &Path) -> bool {
    fs::read(directory.join(distribution.file_name()))
        .is_ok_and(|bytes| hex::encode(Sha256::digest(bytes)) == distribution.sha256)
}

fn environment(shell: &Shell) -> PathBuf {
    shell.tools().join("python")
}

fn pip(shell: &Shell, command: &str) -> Program {
    let python = environment(shell).join("bin/python");
    Program::new(python, ["-m", "pip", command, "--quiet"]).argument("--disable-pip-version-check")
}
