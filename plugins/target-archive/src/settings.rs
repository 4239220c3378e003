//! The keys of an archive target in synth.toml.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::format::Format;

/// Settings of an archive.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The format, or a list of formats to write the same contents in: `tar.gz` (unless said
    /// otherwise), `tar.zst`, `zip`.
    #[serde(default)]
    pub(crate) format: Formats,

    /// The name of the file, without the extension. The target's name unless said otherwise.
    pub(crate) name: Option<String>,

    /// A directory inside the archive that holds everything else, such as `storefront-1.0`. None
    /// unless said otherwise.
    #[serde(default)]
    pub(crate) root: String,

    /// Where the needed targets' outputs are put, as paths inside the archive by target name:
    /// `{ api = "lib/api" }`; `"."` is the archive's top. A target that is not named here is in a
    /// directory of its name. Directories at one place are merged.
    #[serde(default)]
    pub(crate) layout: BTreeMap<String, String>,

    /// Globs of files below the source directory that belong to the archive, at the same paths
    /// as there: `["README.md", "etc/**"]`. None unless said otherwise.
    #[serde(default)]
    pub(crate) include: Vec<String>,

    /// Globs of files that do not belong to it, though included.
    #[serde(default)]
    pub(crate) exclude: Vec<String>,

    /// How much time is spent on making it smaller: 0 to 9 for `tar.gz` and `zip`, 1 to 22 for
    /// `tar.zst`. 9 unless said otherwise.
    pub(crate) level: Option<u8>,
}

/// One format or several.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Formats {
    /// One format.
    One(Format),
    /// The same contents in each of these formats.
    Several(Vec<Format>),
}

impl Default for Formats {
    fn default() -> Self {
        Self::One(Format::TarGz)
    }
}

impl Formats {
    pub(crate) fn all(&self) -> &[Format] {
        match self {
            Self::One(format) => std::slice::from_ref(format),
            Self::Several(formats) => formats,
        }
    }
}
