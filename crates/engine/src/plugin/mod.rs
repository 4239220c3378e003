//! Plugins: target kinds in libraries of their own. What is in a library file, how it is opened,
//! and the process that it is opened in.

mod confine;
mod discovery;
mod file;
mod index;
mod install;
mod library;
mod lock;
mod open;
mod permissions;
mod process;
mod requests;
mod select;
mod serve;
mod source;
mod survey;
#[cfg(test)]
mod tests;
mod wire;

use std::time::Duration;

pub use discovery::{
    FoundPlugin, Origin, PLUGIN_DIR_VARIABLE, PROJECT_PLUGIN_DIRECTORY, PluginDirectories,
    default_plugin_directory, is_kind,
};
pub use file::{PluginFile, PluginFileError};
pub use install::{
    BuildSettings, InstallOptions, Installed, Record, Wanted, install, remove_library, verify,
};
pub use lock::{LOCK_FILE_NAME, Lock, Pin, PinState};
pub use open::{examine, open};
pub use process::HostProgram;
pub use requests::exactly;
pub use select::Selection;
pub use serve::serve;
pub(crate) use serve::take_socket;
pub use source::{GitReference, Source};
pub use survey::{PluginOptions, Survey};

/// Where a plugin's code runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// In a process of its own, which may crash alone.
    #[default]
    Process,
    /// In synth's own process.
    None,
}

/// What a plugin is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginLimits {
    /// Where its code runs.
    pub isolation: Isolation,
    /// How long it may take to answer a question: to describe, validate or plan.
    pub answer_timeout: Duration,
    /// How much memory its process may use, in bytes.
    pub memory_bytes: u64,
    /// How much its process may write to its outputs and to an action's log, in bytes.
    pub output_bytes: u64,
}

impl Default for PluginLimits {
    fn default() -> Self {
        Self {
            isolation: Isolation::default(),
            answer_timeout: Duration::from_secs(60),
            memory_bytes: 2 * 1024 * 1024 * 1024,
            output_bytes: 64 * 1024 * 1024,
        }
    }
}
