//! The content digest: SHA-256 and a size in bytes, as in the Remote Execution API. Values only;
//! hashing is the engine's.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A blob's name: the SHA-256 of its bytes (FIPS 180-4) in 64 lower-case hexadecimal digits, and
/// its size in bytes. The same pair as `build.bazel.remote.execution.v2.Digest`.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Digest {
    /// 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Size in bytes.
    pub size: u64,
}

/// A text that is not a SHA-256 in hexadecimal digits.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a SHA-256 digest: 64 lower-case hexadecimal digits were expected")]
pub struct ParseDigestError(String);

impl Digest {
    /// A digest from its two parts.
    ///
    /// # Errors
    /// When `sha256` is not 64 lower-case hexadecimal digits.
    pub fn new(sha256: impl Into<String>, size: u64) -> Result<Self, ParseDigestError> {
        let sha256 = sha256.into();
        let valid = sha256.len() == 64
            && sha256
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if valid {
            Ok(Self { sha256, size })
        } else {
            Err(ParseDigestError(sha256))
        }
    }

    /// The first twelve digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        self.sha256.get(..12).unwrap_or(&self.sha256)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "sha256:{}", self.sha256)
    }
}
