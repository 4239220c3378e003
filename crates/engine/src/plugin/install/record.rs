//! The record of an installed library: a file beside it that tells how it was made, so that
//! `synth plugin update` can make it again.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::plugin::{PluginFile, Source};

const HEADER: &str = "# How `synth plugin install` got the library beside this file.\n";

/// How a library was installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it came from; paths are absolute.
    pub source: Source,
    /// How it was compiled, where it was.
    pub build: BuildSettings,
}

/// How a crate is compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BuildSettings {
    /// The crate's name, where the source has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// Features to enable.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
    /// Whether it is compiled without optimizations.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub debug: bool,
}

/// The file's own shape.
#[derive(Serialize, Deserialize)]
struct Contents {
    source: String,
    /// Of the library that this is the record of.
    sha256: String,
    #[serde(flatten)]
    build: BuildSettings,
}

impl Record {
    /// The record of a library; none where there is none, or only one of another library.
    #[must_use]
    pub fn read(file: &PluginFile) -> Option<Self> {
        let text = fs::read_to_string(path_beside(&file.path)).ok()?;
        let contents: Contents = toml::from_str(&text).ok()?;
        if contents.sha256 != file.sha256 {
            return None;
        }
        Some(Self {
            source: Source::parse(&contents.source).ok()?,
            build: contents.build,
        })
    }

    pub(super) fn to_text(&self, sha256: &str) -> Result<String, toml::ser::Error> {
        let contents = Contents {
            source: self.source.to_string(),
            sha256: sha256.to_owned(),
            build: self.build.clone(),
        };
        Ok(format!("{HEADER}{}", toml::to_string(&contents)?))
    }
}

/// `libsynth_target_greet.so` has its record in `libsynth_target_greet.so.toml`.
pub(crate) fn path_beside(library: &Path) -> PathBuf {
    let mut name = library.as_os_str().to_owned();
    name.push(".toml");
    name.into()
}
