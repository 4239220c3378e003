//! Installs what the tests need and says so. What is there already is used as it is, so that a
//! second run installs nothing.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::shell::{Program, Shell, programs};
use crate::{base_image, debian, docker_engine, python};

const CARGO_DENY_VERSION: &str = "0.20.2";

/// Node's oldest version that is still maintained with Debian's stable release.
const NODE_MAJOR: u32 = 18;

/// What the tests are handed.
pub(crate) struct Tools {
    /// Programs that go first in the tests' `PATH`.
    pub(crate) bin: PathBuf,
    /// Source distributions from PyPI.
    pub(crate) source_distributions: PathBuf,
    /// A build context for the base image.
    pub(crate) base_image: PathBuf,
}

/// Everything the tests need.
pub(crate) fn prepare(shell: &Shell) -> Result<Tools> {
    system_packages(shell)?;
    let bin = shell.tools().join("bin");
    fs::create_dir_all(&bin)?;
    link(&python::uv(shell)?, &bin.join("uv"))?;
    let source_distributions = python::source_distributions(shell)?;
    let base_image = base_image::context(shell)?;
    cargo_deny(shell)?;
    Ok(Tools {
        bin,
        source_distributions,
        base_image,
    })
}

/// cargo-deny; the program to call.
pub(crate) fn cargo_deny(shell: &Shell) -> Result<PathBuf> {
    let own = shell.tools().join("bin/cargo-deny");
    let wanted = format!("cargo-deny {CARGO_DENY_VERSION}");
    let mut candidates = programs("cargo-deny");
    candidates.push(own.clone());
    for candidate in candidates {
        let version = shell.ask(&Program::new(&candidate, ["--version"]));
        if version.as_ref() == Some(&wanted) {
            eprintln!("there: {wanted}");
            return Ok(candidate);
        }
    }
    eprintln!(
        "installing crates.io's {wanted} into {}",
        shell.tools().display()
    );
    // Without optimization: it is built once and runs for seconds.
    let install = Program::new("cargo", ["install", "--debug", "--locked", "--force"])
        .argument("cargo-deny")
        .argument("--version")
        .argument(CARGO_DENY_VERSION)
        .argument("--root")
        .argument(shell.tools());
    shell.demand(&install)?;
    Ok(own)
}

/// Makes `link` lead to `program`, whatever it led to before.
pub(crate) fn link(program: &Path, link: &Path) -> Result<()> {
    if fs::symlink_metadata(link).is_ok() {
        fs::remove_file(link)?;
    }
    symlink(program, link).with_context(|| format!("{} can't be made a link", link.display()))
}

fn system_packages(shell: &Shell) -> Result<()> {
    let needs = [
        ("python3-venv", python::makes_environments(shell)),
        ("skopeo", answers(shell, "skopeo")),
        ("nodejs", node_is_recent(shell)),
        ("npm", answers(shell, "npm")),
        // The tests of plugins/target-archive unpack what it has packed.
        ("unzip", !programs("unzip").is_empty()),
        ("zstd", answers(shell, "zstd")),
        // The layer on which the sandbox's tests run: everybody's, since other users run them too.
        ("busybox-static", busybox_is_static(shell)),
        ("docker.io", docker_engine::is_available(shell)),
        // dockerd starts without it, but makes no network for containers.
        (
            "iptables",
            docker_engine::answers(shell) || !programs("iptables").is_empty(),
        ),
    ];
    let (there, missing): (Vec<_>, Vec<_>) = needs.iter().partition(|(_, there)| *there);
    let names = |packages: Vec<&(&'static str, bool)>| -> Vec<&'static str> {
        packages.iter().map(|(name, _)| *name).collect()
    };
    eprintln!("there: what Debian packages as {}", names(there).join(", "));
    let missing = names(missing);
    if missing.is_empty() {
        return Ok(());
    }
    debian::install(shell, &missing)?;
    ensure!(
        python::makes_environments(shell),
        "`python3` on the PATH can't make virtual environments (version 3.9 or later with venv and \
         ensurepip is needed); another Python before Debian's own there may be the reason"
    );
    Ok(())
}

/// Whether a program is there and works.
pub(crate) fn answers(shell: &Shell, program: &str) -> bool {
    shell.ask(&Program::new(program, ["--version"])).is_some()
}

/// Whether there is a busybox that needs no libraries.
fn busybox_is_static(shell: &Shell) -> bool {
    let needs_libraries = |path: &Path| {
        let answer = shell.ask(&Program::new("ldd", [path]));
        answer.is_some_and(|answer| !answer.contains("statically linked"))
    };
    let places = ["/bin/busybox", "/usr/bin/busybox"].map(Path::new);
    let found = places.into_iter().find(|path| path.is_file());
    found.is_some_and(|path| !needs_libraries(path))
}

fn node_is_recent(shell: &Shell) -> bool {
    let version = shell.ask(&Program::new("node", ["--version"]));
    let major = version.as_deref().and_then(|text| {
        let text = text.strip_prefix('v')?;
        text.split('.').next()?.parse::<u32>().ok()
    });
    major.is_some_and(|major| major >= NODE_MAJOR)
}
