//! The formats: their names, extensions and levels.

use std::fmt;
use std::ops::RangeInclusive;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an archive is written as.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub(crate) enum Format {
    /// A tar archive (POSIX pax) compressed with gzip.
    #[serde(rename = "tar.gz")]
    TarGz,
    /// A tar archive (POSIX pax) compressed with Zstandard.
    #[serde(rename = "tar.zst")]
    TarZst,
    /// A zip archive, compressed with Deflate.
    #[serde(rename = "zip")]
    Zip,
}

impl Format {
    /// The extension, which is also how synth.toml names it.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::TarGz => "tar.gz",
            Self::TarZst => "tar.zst",
            Self::Zip => "zip",
        }
    }

    /// The kind of its artifact.
    pub(crate) fn artifact_kind(self) -> String {
        format!("archive.{}", self.extension())
    }

    /// The levels that its compressor knows.
    pub(crate) fn levels(self) -> RangeInclusive<u8> {
        match self {
            Self::TarGz | Self::Zip => 0..=9,
            Self::TarZst => 1..=22,
        }
    }

    /// The level of an archive that is made once and fetched often: smaller than what its
    /// compressor defaults to, where that costs little time.
    pub(crate) fn default_level(self) -> u8 {
        9
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.extension())
    }
}
