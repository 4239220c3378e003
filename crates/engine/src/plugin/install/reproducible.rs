//! What keeps this machine's directories out of a library, so that the same sources and the same
//! compiler give the same bytes, wherever they are compiled.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Between two flags (Cargo reference, "Environment variables").
const SEPARATOR: &str = "\u{1f}";

/// Additions to a call of `cargo rustc`.
pub(super) struct Reproducible {
    /// Arguments for every crate that is compiled.
    pub(super) for_all: Vec<OsString>,
    /// Arguments for the plugin's own crate, the last ones. Its directory may be another one each
    /// time; flags for all crates are the same, and none is compiled anew because of them.
    pub(super) for_plugin: Vec<OsString>,
    /// Variables.
    pub(super) variables: Vec<(&'static str, OsString)>,
}

impl Reproducible {
    /// The user's own flags stay: those of a variable are added to, and to those of a
    /// configuration file cargo adds itself.
    pub(super) fn new(target_directory: &Path, workspace: &Path) -> Self {
        let mut flags = remap(target_directory, "/target");
        let home = env::var_os("CARGO_HOME")
            .map(PathBuf::from)
            .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
        // Of several that match, the compiler takes the last one.
        flags.extend(home.iter().flat_map(|home| remap(home, "/cargo")));
        let own = remap(workspace, "/plugin");
        let for_plugin = if own.is_empty() {
            Vec::new()
        } else {
            ["--".to_owned()]
                .into_iter()
                .chain(own)
                .map(Into::into)
                .collect()
        };
        let with_variable = |flags: OsString| Self {
            for_all: Vec::new(),
            for_plugin: for_plugin.clone(),
            variables: vec![("CARGO_ENCODED_RUSTFLAGS", flags)],
        };
        if let Some(mut encoded) = env::var_os("CARGO_ENCODED_RUSTFLAGS") {
            for flag in flags {
                encoded.push(SEPARATOR);
                encoded.push(flag);
            }
            return with_variable(encoded);
        }
        if let Some(given) = env::var_os("RUSTFLAGS").and_then(|flags| flags.into_string().ok()) {
            let given = given.split_whitespace().map(ToOwned::to_owned);
            let all: Vec<String> = given.chain(flags).collect();
            return with_variable(all.join(SEPARATOR).into());
        }
        let flags = toml::Value::Array(flags.into_iter().map(toml::Value::String).collect());
        Self {
            for_all: vec!["--config".into(), format!("build.rustflags={flags}").into()],
            for_plugin,
            variables: Vec::new(),
        }
    }
}

/// Names that are not UTF-8 stay as they are.
fn remap(directory: &Path, name: &str) -> Vec<String> {
    let directory = directory.to_str().into_iter();
    directory
        .map(|directory| format!("--remap-path-prefix={directory}={name}"))
        .collect()
}
