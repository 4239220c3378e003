//! The keys of a Cargo target in synth.toml.

use schemars::JsonSchema;
use serde::Deserialize;

/// Settings of a Cargo target.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The manifest of what is built, relative to the source directory: `app/Cargo.toml`, where
    /// the source directory has to be higher because of path dependencies. `Cargo.toml` unless
    /// said otherwise.
    #[serde(default = "manifest")]
    pub(crate) manifest: String,

    /// The package to build, or several of them. Otherwise the one that the manifest describes,
    /// or the default members of its workspace.
    #[serde(default)]
    pub(crate) package: Packages,

    /// The programs to build; an empty list for none. All of them unless said otherwise.
    pub(crate) bins: Option<Vec<String>>,

    /// Whether the library is exported, if its `crate-type` is `cdylib` or `staticlib`. Unless
    /// said otherwise it is where there are no programs.
    pub(crate) library: Option<bool>,

    /// The profile to build with. `release` unless said otherwise.
    #[serde(default = "profile")]
    pub(crate) profile: String,

    /// Features to build with.
    #[serde(default)]
    pub(crate) features: Vec<String>,

    /// Builds with all features.
    #[serde(default)]
    pub(crate) all_features: bool,

    /// Builds without the default features.
    #[serde(default)]
    pub(crate) no_default_features: bool,

    /// The triple of the platform to build for: `x86_64-unknown-linux-musl`. This machine's unless
    /// said otherwise.
    pub(crate) target: Option<String>,

    /// Runs the tests after the build, with Cargo's test profile and on this machine's platform.
    #[serde(default)]
    pub(crate) tests: bool,

    /// More arguments for `cargo test`: `["--", "--test-threads=1"]`.
    #[serde(default)]
    pub(crate) test_arguments: Vec<String>,

    /// Fetches nothing: dependencies that are not vendored are taken from what Cargo has
    /// downloaded on this machine before.
    #[serde(default)]
    pub(crate) offline: bool,

    /// The rustup toolchain to build with: `1.95.0`, `nightly-2026-05-01`. Otherwise what
    /// rust-toolchain.toml says, or rustup's default.
    pub(crate) toolchain: Option<String>,

    /// Variables of your environment that Cargo and what it starts see; their values are not
    /// part of what decides whether the build runs again. A name may end in `*`.
    #[serde(default)]
    pub(crate) pass_environment: Vec<String>,
}

/// One package or several.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Packages {
    /// One package.
    One(String),
    /// Each of these packages.
    Several(Vec<String>),
}

impl Default for Packages {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl Packages {
    pub(crate) fn all(&self) -> &[String] {
        match self {
            Self::One(package) => std::slice::from_ref(package),
            Self::Several(packages) => packages,
        }
    }
}

fn manifest() -> String {
    "Cargo.toml".into()
}

fn profile() -> String {
    "release".into()
}
