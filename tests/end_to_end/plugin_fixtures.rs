//! The plugins that misbehave, built from source, in directories of their own.

use std::fs;
use std::path::{Path, PathBuf};
// Another of the few places here that start a process: cargo, for the fixtures.
#[allow(clippy::disallowed_types)]
use std::process::Command;

use crate::workspace::{Run, Workspace, repository};

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

/// Has the kind `command` at hand.
pub(crate) fn with_command(workspace: Workspace) -> Workspace {
    let kinds = built(Path::new("plugins/target-command"));
    let library = format!(
        "{}synth_target_command{}",
        std::env::consts::DLL_PREFIX,
        std::env::consts::DLL_SUFFIX
    );
    let plugins = workspace.beside("plugins");
    fs::create_dir_all(&plugins).unwrap();
    fs::copy(kinds.join(&library), plugins.join(&library)).unwrap();
    workspace.variable("SYNTH_PLUGIN_DIR", plugins)
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

/// A pipeline in which one target is of a broken kind, one needs that, and one has nothing to do
/// with it.
pub(crate) fn broken_pipeline(kind: &str, settings: &str) -> Workspace {
    let workspace = Workspace::new();
    workspace.write(
        "synth.toml",
        format!(
            "failure_strategy = \"continue\"\n\n\
             [targets.broken]\ntype = \"{kind}\"\n{settings}\n\
             [targets.after]\ntype = \"static\"\nsource_path = \"web\"\nneeds = [\"broken\"]\n\n\
             [targets.site]\ntype = \"static\"\nsource_path = \"web\"\n"
        ),
    );
    workspace.write(
        "web/index.html",
        "<!doctype html><html lang=en><title>Shop</title><p>Open</p></html>",
    );
    workspace
}

/// Builds it, and sees that the target that has nothing to do with the broken one was built.
#[track_caller]
pub(crate) fn build_broken(workspace: &Workspace) -> Run {
    let directory = workspace.beside("plugins");
    let run = workspace.synth([
        "build".as_ref(),
        "--quiet".as_ref(),
        "--plugin-dir".as_ref(),
        directory.as_os_str(),
    ]);
    assert!(
        workspace.path("dist/site/index.html").is_file(),
        "the other target was not built: {run}"
    );
    assert!(!workspace.path("dist/broken").exists(), "{run}");
    let left = workspace.files(".");
    assert!(
        !left.iter().any(|path| path.contains("outside")),
        "{left:?}"
    );
    run
}

#[track_caller]
pub(crate) fn build_with(fixture: &str) -> Run {
    let workspace = broken_pipeline(fixture, "");
    directory_with(&workspace, &[fixture]);
    build_broken(&workspace)
}
