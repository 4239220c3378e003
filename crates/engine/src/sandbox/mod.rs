//! Confines what an action's processes see and reach: namespaces of the kernel, made without
//! privileges by a host process of each build. Where there are none, says why.

#[cfg(target_os = "linux")]
mod action;
#[cfg(target_os = "linux")]
mod base;
mod client;
#[cfg(target_os = "linux")]
mod filter;
#[cfg(target_os = "linux")]
mod host;
#[cfg(target_os = "linux")]
mod inputs;
#[cfg(target_os = "linux")]
mod kernel;
#[cfg(target_os = "linux")]
mod layers;
mod policy;
#[cfg(target_os = "linux")]
mod together;
mod view;
mod wire;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use crate::executor::Stop;
pub use crate::executor::process::{End, Finished};
pub use crate::jobserver::Terms;
pub use client::{Client, NotStacked};
#[cfg(target_os = "linux")]
pub use host::serve;
pub(crate) use policy::Sandbox;
pub(crate) use view::{Needs, View};
pub use wire::{Request, Shown, Text, Trouble};

/// Where an action's directory appears.
pub(crate) const INSIDE: &str = "/synth";

/// The directory in it with the inputs.
pub(crate) const ROOT: &str = "root";

/// The directory beside it that the kernel uses, where the inputs are in memory.
pub(crate) fn work_beside(directory: &std::path::Path) -> PathBuf {
    directory.with_extension("work")
}

/// What an action's root directory is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Root {
    /// The machine's system, read-only.
    #[default]
    Host,
    /// Image layers, and none of the machine's files.
    Layers(Layers),
}

/// Image layers, unpacked to directories of one's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layers {
    /// The layers that are read, lowest first.
    pub lower: Vec<PathBuf>,
    /// Takes what is written: afterwards the layer that the action has made. What was removed
    /// from a lower layer is a whiteout in it: a character device 0/0. For one action alone: the
    /// kernel lets go of it a moment after the action is over.
    pub upper: PathBuf,
    /// An empty directory on the file system of `upper`, for the kernel's use.
    pub work: PathBuf,
}

/// There is no sandbox on this system.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub fn serve() -> Result<(), synth_core::Diagnostic> {
    Err(synth_core::Diagnostic::error(
        "sandbox.host",
        "there is no sandbox on this system",
    ))
}
