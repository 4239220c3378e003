//! What an action needs of the machine while it runs. None of it is part of the cache key.

use serde::{Deserialize, Serialize};

/// What an action needs of the machine while it runs: what is started together is chosen so that it
/// fits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Processors, in thousandths; 0 when not known: then as many as it kept busy the last time, and
    /// one the first time.
    pub cpu_millis: u32,
    /// Memory in bytes; 0 when not known: then as much as its largest process had the last time.
    #[serde(default)]
    pub memory_bytes: u64,
    /// Whether its processes take further jobs for themselves, from those that the build shares. Such
    /// an action begins with one job, whatever `cpu_millis` says.
    #[serde(default, skip_serializing_if = "Jobserver::is_none")]
    pub jobserver: Jobserver,
}

/// How an action's processes find the jobserver: the protocol by which GNU make and others share the
/// number of jobs (GNU make 4.4, "Sharing Job Slots with GNU make").
///
/// `MAKEFLAGS` and `CARGO_MAKEFLAGS` tell them, unless the action or the user's environment that it
/// takes over sets these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Jobserver {
    /// They don't: each decides for itself how much it does at once.
    #[default]
    None,
    /// By two inherited descriptors: what every version of make and Cargo knows.
    Descriptors,
    /// By the path of a named pipe: what Ninja (1.13 and later) asks for, and make before 4.4 can't
    /// read.
    NamedPipe,
}

impl Jobserver {
    fn is_none(&self) -> bool {
        *self == Self::None
    }
}
