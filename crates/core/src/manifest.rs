//! The manifest of a plugin: what a library says of itself in a section of its file, so that it
//! can be judged before anything of it is executed.

use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{SettingAlias, TargetDescription};

/// The section of a library that holds its [`Manifest`] as JSON (RFC 8259), in an ELF file
/// (System V ABI, chapter 4, "Sections").
pub const MANIFEST_SECTION: &str = ".synth.manifest";

/// The same section in a Mach-O file, where names have at most 16 bytes; its segment is `__DATA`.
pub const MANIFEST_SECTION_MACH_O: &str = "__synth_manifest";

/// The form of the manifest itself. Fields are added without changing it.
pub const MANIFEST_VERSION: u32 = 1;

/// What a plugin says of itself without being executed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`MANIFEST_VERSION`] of the writer.
    pub manifest: u32,
    /// The interface it was built with.
    pub interface: Version,
    /// The oldest interface of a host that it works with.
    pub needs_interface: Version,
    /// The crate.
    #[serde(rename = "crate")]
    pub crate_name: String,
    /// The crate's version.
    pub version: Version,
    /// The target triple it was compiled for.
    pub triple: String,
    /// The compiler: what `rustc --version` said.
    pub rustc: String,
    /// What it says of its kind; `synth-target.json` of its crate.
    pub target: KindDescription,
}

/// A kind's description without the crate's name and version: the contents of
/// `synth-target.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindDescription {
    /// The kind: what `type` names.
    pub kind: String,
    /// One line for lists.
    pub description: String,
    /// See [`TargetDescription::settings_schema`].
    pub settings_schema: Value,
    /// Other spellings of settings.
    #[serde(default)]
    pub setting_aliases: Vec<SettingAlias>,
}

impl From<TargetDescription> for KindDescription {
    fn from(description: TargetDescription) -> Self {
        Self {
            kind: description.kind,
            description: description.description,
            settings_schema: description.settings_schema,
            setting_aliases: description.setting_aliases,
        }
    }
}

impl Manifest {
    /// What [`BuildTarget::describe`](crate::BuildTarget::describe) of the plugin answers, as far
    /// as it was true when the manifest was written.
    #[must_use]
    pub fn describe(&self) -> TargetDescription {
        TargetDescription {
            kind: self.target.kind.clone(),
            crate_name: self.crate_name.clone(),
            version: self.version.clone(),
            description: self.target.description.clone(),
            settings_schema: self.target.settings_schema.clone(),
            setting_aliases: self.target.setting_aliases.clone(),
        }
    }
}

/// The target triple that this crate was compiled for: the host's in synth, the plugin's in a
/// plugin.
pub const HOST_TRIPLE: &str = env!("SYNTH_HOST_TRIPLE");

/// What the compiler of this crate said to `--version`.
pub const RUSTC: &str = env!("SYNTH_RUSTC");
