//! Plugins: target kinds in libraries of their own. What is in a library file, how it is opened,
//! and the process that it is opened in.

mod confine;
mod file;
mod library;
mod open;
mod process;
mod serve;
mod wire;

use std::time::Duration;

pub use file::{PluginFile, PluginFileError};
pub use open::{examine, open};
pub use process::HostProgram;
pub use serve::serve;

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
