//! The settings of a Python target: the keys that this kind adds to a target's table.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The keys of a Python target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// Whether the project's tests are run against the built wheel. Left out: when it has tests.
    pub(crate) tests: Option<bool>,
    /// What runs the tests, in the source directory, instead of `python -m pytest`: a list of
    /// program and arguments, or a text for the shell.
    pub(crate) test_command: Option<Command>,
    /// Packages the tests need beyond what the project declares for them, as PEP 508
    /// requirements.
    pub(crate) test_dependencies: Vec<String>,
    /// Dependency groups and extras to test with. Left out: those named `test`, `tests` or
    /// `testing`, else `dev` where it brings pytest.
    pub(crate) test_groups: Option<Vec<String>>,
    /// Whether tests may talk to other machines.
    pub(crate) test_network: bool,
    /// The interpreter: a version (`3.12`), a specifier (`>=3.11,<3.14`), or a program (name or
    /// absolute path). Left out: the first on the `PATH` that `requires-python` accepts.
    pub(crate) python: Option<String>,
    /// What installs packages.
    pub(crate) installer: InstallerChoice,
    /// Whether versions of dependencies are taken from the project's lock file (`uv.lock`,
    /// `pylock.toml`, `poetry.lock`, `pdm.lock`), where it has one.
    pub(crate) locked: bool,
    /// Whether a source distribution is built, and the wheel from it.
    pub(crate) sdist: bool,
    /// Packages the build needs beyond `[build-system] requires`, as PEP 508 requirements.
    pub(crate) build_dependencies: Vec<String>,
    /// Programs that the build and the tests run, such as `cargo` or `git`.
    pub(crate) tools: Vec<String>,
    /// Settings handed to the build backend (PEP 517 `config_settings`).
    pub(crate) config_settings: BTreeMap<String, ConfigSetting>,
    /// Modules that must be importable once the wheel is installed. Left out: all top-level
    /// modules of the wheel.
    pub(crate) imports: Option<Vec<String>>,
    /// Patterns of files that do not belong to the sources, relative to `source_path`.
    pub(crate) exclude: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            tests: None,
            test_command: None,
            test_dependencies: Vec::new(),
            test_groups: None,
            test_network: false,
            python: None,
            installer: InstallerChoice::default(),
            locked: true,
            sdist: true,
            build_dependencies: Vec::new(),
            tools: Vec::new(),
            config_settings: BTreeMap::new(),
            imports: None,
            exclude: Vec::new(),
        }
    }
}

/// A command: arguments, or a text for the shell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Command {
    /// Program and arguments, run as they are.
    Arguments(Vec<String>),
    /// A text for `sh -c`.
    Shell(String),
}

impl Command {
    /// The argument vector.
    pub(crate) fn argv(&self) -> Vec<String> {
        match self {
            Self::Arguments(arguments) => arguments.clone(),
            Self::Shell(text) => vec!["sh".into(), "-c".into(), text.clone()],
        }
    }

    /// Whether nothing would be run.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Arguments(arguments) => arguments.is_empty(),
            Self::Shell(text) => text.trim().is_empty(),
        }
    }
}

/// What installs packages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum InstallerChoice {
    /// uv when it is found, else pip.
    #[default]
    Auto,
    /// uv.
    Uv,
    /// pip, in an environment of its own.
    Pip,
}

/// A value of `config_settings`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum ConfigSetting {
    /// One text.
    One(String),
    /// A truth value, handed on as the text `true` or `false`.
    Switch(bool),
    /// Several texts.
    Many(Vec<String>),
}

impl ConfigSetting {
    /// As the hooks get it.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match self {
            Self::One(text) => text.clone().into(),
            Self::Switch(on) => on.to_string().into(),
            Self::Many(texts) => texts.clone().into(),
        }
    }
}
