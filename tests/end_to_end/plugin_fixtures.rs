//! The plugins that misbehave, built from source, in directories of their own.

use std::fs;
use std::path::{Path, PathBuf};
// Another of the few places here that start a process: cargo, for the fixtures.
#[allow(clippy::disallowed_types)]
use std::process::Command;

use crate::workspace::{Workspace, repository};

/// A directory beside the project with these libraries of `tests/plugins` in it: `faults` is
/// `libsynth_target_faults.so`.
pub(crate) fn directory_with(workspace: &Workspace, fixtures: &[&str]) -> PathBuf {
    let directory = workspace.beside("plugins");
    fs::create_dir_all(&directory).unwrap();
    for fixture in fixtures {
        let library = library(fixture);
        fs::copy(&library, directory.join(library.file_name().unwrap())).unwrap();
    }
    directory
}

/// The library of a fixture.
pub(crate) fn library(fixture: &str) -> PathBuf {
    let crate_name = format!("synth_target_{}", fixture.replace('-', "_"));
    let name = format!(
        "{}{crate_name}{}",
        std::env::consts::DLL_PREFIX,
        std::env::consts::DLL_SUFFIX
    );
    let path = built(Path::new("tests/plugins")).join(name);
    assert!(path.is_file(), "{} was not built", path.display());
    path
}

/// Builds a workspace of the repository that is apart from the main one; where its libraries are.
#[allow(clippy::disallowed_types)]
pub(crate) fn built(workspace: &Path) -> PathBuf {
    let target = repository().join("target/test-plugins");
    let manifest = repository().join(workspace).join("Cargo.toml");
    let output = Command::new("cargo")
        .args(["build", "--locked", "--quiet", "--manifest-path"])
        .arg(manifest)
        .arg("--target-dir")
        .arg(&target)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "the fixtures are not built: {told}"
    );
    target.join("debug")
}
