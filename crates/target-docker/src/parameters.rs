//! What a native action that builds an image is told, whoever builds it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::oci::Platform;

/// Where the build context is among an action's inputs.
pub(crate) const CONTEXT: &str = "context";

/// One image to build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BuildParameters {
    /// The target's name.
    pub(crate) name: String,
    /// The Dockerfile's path, for messages.
    pub(crate) dockerfile: String,
    /// The Dockerfile's text.
    pub(crate) text: String,
    pub(crate) build_args: BTreeMap<String, String>,
    /// The stage that is the result, when it is not the last.
    pub(crate) target: Option<String>,
    pub(crate) platform: Platform,
    /// The image's names.
    pub(crate) tags: Vec<String>,
    pub(crate) labels: BTreeMap<String, String>,
    /// What `FROM` and `--from` find beside the stages, by lower-case name.
    pub(crate) named: BTreeMap<String, NamedInput>,
    /// The time of everything in the image, in seconds since 1970.
    pub(crate) epoch: u64,
}

/// An input that has a name in the Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NamedInput {
    /// What a person calls it: "target `api`".
    pub(crate) title: String,
    /// Where it is among the action's inputs.
    pub(crate) place: String,
    /// Which image of an OCI layout is meant.
    pub(crate) image: Option<String>,
}
