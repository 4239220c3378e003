//! What synth.toml says of the sandbox.

use std::path::{Component, Path, PathBuf};

use synth_core::Diagnostic;

use super::document::Document;
use super::schema::{SandboxMode, SandboxSetting};

/// How actions are kept to what they declare.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SandboxConfig {
    /// How, when it is said.
    pub mode: Option<SandboxMode>,
    /// What all actions may read of this machine, absolute.
    pub read: Vec<PathBuf>,
}

/// Reads the key `sandbox`.
pub(super) fn read(
    document: &Document,
    setting: Option<&SandboxSetting>,
    problems: &mut Vec<Diagnostic>,
) -> SandboxConfig {
    let table = match setting {
        None => return SandboxConfig::default(),
        Some(SandboxSetting::Mode(mode)) => {
            return SandboxConfig {
                mode: Some(*mode),
                read: Vec::new(),
            };
        }
        Some(SandboxSetting::Table(table)) => table,
    };
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let mut read = Vec::new();
    for (index, path) in table.read.iter().enumerate() {
        match machine_path(path, home.as_deref()) {
            Ok(path) => read.push(path),
            Err(help) => {
                let problem = Diagnostic::error(
                    "config.sandbox.read",
                    format!("`{path}` of `sandbox.read` is no place on this machine"),
                );
                let at = ["sandbox", "read", &index.to_string()];
                let span = document.root.locate(&at);
                problems.push(document.place(problem.help(help), &span));
            }
        }
    }
    SandboxConfig {
        mode: table.mode,
        read,
    }
}

/// An absolute path, or advice.
fn machine_path(path: &str, home: Option<&Path>) -> Result<PathBuf, &'static str> {
    let absolute = match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        (Some(_), None) => return Err("set the variable `HOME`, or write the path out"),
        (None, _) => PathBuf::from(path),
    };
    if !absolute.is_absolute() {
        return Err(
            "write an absolute path or one that begins with `~/`; files of the project are inputs of \
             their targets",
        );
    }
    if absolute
        .components()
        .any(|part| part == Component::ParentDir)
    {
        return Err("write it without `..`");
    }
    if absolute == Path::new("/") || home.is_some_and(|home| home.starts_with(&absolute)) {
        return Err("name what is needed below it: the whole home directory is never shown");
    }
    Ok(absolute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_machine_are_absolute_and_not_the_home() {
        for (path, expected) in [
            ("~/.rustup", Some("/home/me/.rustup")),
            ("/srv/tools", Some("/srv/tools")),
            ("tools", None),
            ("~/../you", None),
            ("/", None),
            ("/home", None),
            ("~/", None),
        ] {
            let found = machine_path(path, Some(Path::new("/home/me")));
            assert_eq!(found.ok(), expected.map(PathBuf::from), "{path}");
        }
    }
}
