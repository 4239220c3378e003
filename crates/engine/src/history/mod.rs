//! What earlier builds tell. `learned` is what the scheduler knows of actions; all else is the
//! history of a workspace, for people: builds in an SQLite database, `.synth/history.db`, and those
//! that had nothing to do in a text file beside it until somebody opens the database anyway.

mod action_stats;
mod checkout;
mod critical_path;
mod database;
mod entry;
mod error;
mod figures;
mod graph;
mod learned;
mod logs;
mod migration;
mod pending;
mod read;
mod recording;
mod stats;
#[cfg(test)]
mod stats_tests;
#[cfg(test)]
mod tests;
mod write;

use std::path::{Path, PathBuf};

use synth_core::Diagnostic;

pub use critical_path::{CriticalPath, CriticalStep};
pub use entry::{
    ActionEntry, BuildEntry, BuildList, CacheResult, Counts, HISTORY_VERSION, Outcome, TargetEntry,
};
pub(crate) use learned::{History, UsedBefore};
pub use logs::{BuildLogs, LogFile};
pub use read::Filter;
pub use recording::{Recording, Requested};
pub use stats::{ActionTrend, Flaky, Period, STATS_VERSION, Stats, TargetTrend, Window};

use database::Database;

/// Where the database of a workspace is.
fn database_path(root: &Path) -> PathBuf {
    root.join(".synth/history.db")
}

/// The builds of the workspace at `root`, the last first.
///
/// # Errors
/// When the history can't be read.
pub fn builds(root: &Path, filter: &Filter) -> Result<BuildList, Diagnostic> {
    let database = Database::for_reading(&database_path(root))?;
    let builds = match database {
        Some(database) => database.builds(filter)?,
        None => Vec::new(),
    };
    Ok(BuildList {
        version: HISTORY_VERSION,
        builds,
    })
}

/// The logs of a build: `last` for the last one that had something to do, or its id, or how the
/// ids of no other begin.
///
/// # Errors
/// When there is no such build, target or action, or the history can't be read.
pub fn logs(
    root: &Path,
    build: &str,
    target: Option<&str>,
    action: Option<&str>,
) -> Result<BuildLogs, Diagnostic> {
    let path = database_path(root);
    let Some(database) = Database::for_reading(&path)? else {
        return Err(logs::no_build(build));
    };
    logs::of(&database, root, build, target, action)
}

/// Figures of the builds of the workspace at `root`.
///
/// # Errors
/// When the history can't be read.
pub fn stats(root: &Path, window: Window) -> Result<Stats, Diagnostic> {
    let database = Database::for_reading(&database_path(root))?;
    match database {
        Some(database) => database.stats(window),
        None => Ok(Stats::none(window)),
    }
}
