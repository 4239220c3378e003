//! The plugin that the tests load, built by cargo from its own lock file.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use synth_core::BuildTarget;
use synth_engine::plugin::{HostProgram, Isolation, PluginFile, PluginLimits, open};

/// Built once, whichever test asks first.
static GOOD: OnceLock<PluginFile> = OnceLock::new();

/// `plugin-good`.
pub(crate) fn good() -> PluginFile {
    let file = GOOD.get_or_init(|| PluginFile::read(&library("synth-target-good")).unwrap());
    file.check().unwrap();
    file.clone()
}

/// `plugin-good`, opened.
pub(crate) fn opened(isolation: Isolation) -> Arc<dyn BuildTarget> {
    opened_from(good(), isolation)
}

pub(crate) fn opened_from(file: PluginFile, isolation: Isolation) -> Arc<dyn BuildTarget> {
    let limits = PluginLimits {
        isolation,
        ..PluginLimits::default()
    };
    open(file, limits, host())
}

/// This program, as the host of a plugin.
pub(crate) fn host() -> HostProgram {
    HostProgram {
        program: std::env::current_exe().unwrap(),
        arguments: vec![crate::HOST.into()],
    }
}

/// Builds a crate of the fixtures; where its library is.
fn library(package: &str) -> PathBuf {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("test-plugins");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    #[expect(
        clippy::disallowed_types,
        reason = "the one place where these tests run cargo"
    )]
    let built = std::process::Command::new(cargo)
        .args(["build", "--quiet", "--locked", "--package", package])
        .arg("--target-dir")
        .arg(&target)
        .current_dir(&fixtures)
        .output()
        .expect("cargo can be run");
    assert!(
        built.status.success(),
        "{package} is not built in {}:\n{}",
        fixtures.display(),
        String::from_utf8_lossy(&built.stderr)
    );
    let name = package.replace('-', "_");
    let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    target.join(format!("debug/{prefix}{name}{suffix}"))
}
