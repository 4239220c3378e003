//! What outlives the build.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Digest, ProjectPath};

/// A finished output: a file, or a directory taken as one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Artifact {
    /// What it is, `area.thing`: `python.wheel`, `static.site`, `oci.image`.
    pub kind: String,
    /// Where it is, relative to the project's root.
    pub path: ProjectPath,
    /// A file: the digest of its bytes. A directory: that of its `Directory` message (Remote
    /// Execution API), which covers names, modes and contents of everything below.
    pub digest: Digest,
    /// Size in bytes: of the file, or of all files below the directory.
    pub size: u64,
    /// More to know, by name: `image_digest` of an image, `version` of a package.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}
