//! What the history holds of a build: the types of its rows, of the lines of builds that are
//! pending, and of `synth history --format json`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synth_core::Phase;

use crate::report::{ActionReport, ActionStatus, TargetReport, TargetStatus};

/// The version of the shape of a list of builds. A field added leaves it; anything else raises it.
pub const HISTORY_VERSION: u32 = 1;

/// Builds of a workspace.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BuildList {
    /// The version of this list's shape.
    pub version: u32,
    /// The builds, the last first.
    pub builds: Vec<BuildEntry>,
}

/// How a build ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything that was asked for was done.
    Succeeded,
    /// A target failed, or what was to follow the build did.
    Failed,
    /// It was ended by a signal.
    Cancelled,
    /// It did not begin: its targets could not be planned, or the store could not be used.
    NotBegun,
}

/// Where the result of an action came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CacheResult {
    /// It was executed.
    Executed,
    /// It was in the cache.
    Cached,
    /// Another build executed it while this one waited.
    Waited,
}

/// The actions of a build, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Executed, and succeeded.
    pub executed: u64,
    /// Found in the cache, for a target whose outputs had to be put in place.
    pub cached: u64,
    /// Executed by another build while this one waited.
    pub waited: u64,
    /// Of targets that were up to date.
    pub up_to_date: u64,
    /// Failed.
    pub failed: u64,
    /// Not reached, or ended before they were done.
    pub not_done: u64,
}

/// A build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BuildEntry {
    /// Its name.
    pub id: String,
    /// Its start, in microseconds since 1970 (UTC).
    pub started_us: i64,
    /// From its start to its end, in milliseconds; what is done to the world afterwards is not in it.
    pub duration_ms: u64,
    /// The pipeline's name.
    pub pipeline: String,
    /// The environment selected, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The targets that were named; none when all were meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub selection: Vec<String>,
    /// The command line, without the program.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// With which exit code; none for a build that was started from Rust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
    /// The commit that was checked out; none outside of a git repository, or when git did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Whether files below the project's root differed from it, those that git does not know included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dirty: Option<bool>,
    /// The version of synth.
    pub synth: String,
    /// Whether it had nothing to do: every target was up to date.
    pub idle: bool,
    /// How many targets it was to bring about.
    pub target_count: u64,
    /// Its actions, by what became of them.
    pub actions: Counts,
    /// The targets that were not up to date.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<TargetEntry>,
}

/// A target's part of a build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TargetEntry {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// How it ended.
    pub status: TargetStatus,
    /// From the start of its first action to its end, in milliseconds.
    pub duration_ms: u64,
    /// Its actions, by name.
    pub actions: Vec<ActionEntry>,
}

/// An action's part of a build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActionEntry {
    /// Its name in the plan.
    pub id: String,
    /// What it is for.
    pub phase: Phase,
    /// What a person is told.
    pub description: String,
    /// How it ended.
    pub status: ActionStatus,
    /// Where its result came from; none when it was not reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheResult>,
    /// When it was begun, in microseconds since 1970 (UTC); none when it was not reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_us: Option<i64>,
    /// How long it took in this build, in milliseconds, looking into the cache and waiting included.
    pub duration_ms: u64,
    /// How long its execution took, in milliseconds: in this build, or in the one whose result was
    /// taken; none when it has no result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executed_ms: Option<u64>,
    /// The processor time of its processes, in milliseconds; none when it was not executed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    /// The most memory that one of its processes had, in bytes; none when not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// What its processes had to read from the disk, in bytes; none when not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_bytes: Option<u64>,
    /// What its processes had written to the disk, in bytes; none when not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_bytes: Option<u64>,
    /// The exit code of the process that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that ended the process that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// How often it was tried; none when it was not executed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// The digest of the action, its name in the cache; none when it was not reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Its log, relative to the project's root; none when it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

impl BuildList {
    /// The JSON Schema (2020-12) of a list of builds.
    #[must_use]
    pub fn schema() -> serde_json::Value {
        synth_core::settings_schema::<Self>()
    }
}

impl Counts {
    /// The one that an action of a target that was not up to date counts for.
    pub fn of_action(&mut self, action: &ActionEntry) -> &mut u64 {
        match (action.status, action.cache) {
            (ActionStatus::Executed, _) => &mut self.executed,
            (ActionStatus::Cached, Some(CacheResult::Waited)) => &mut self.waited,
            (ActionStatus::Cached, _) => &mut self.cached,
            (ActionStatus::Failed, _) => &mut self.failed,
            (ActionStatus::Skipped | ActionStatus::Cancelled, _) => &mut self.not_done,
        }
    }

    /// Of the actions of these targets, and so many of those that were up to date.
    pub(super) fn of(targets: &[TargetEntry], up_to_date: usize) -> Self {
        let mut counts = Self {
            up_to_date: u64::try_from(up_to_date).unwrap_or(u64::MAX),
            ..Self::default()
        };
        for action in targets.iter().flat_map(|target| &target.actions) {
            *counts.of_action(action) += 1;
        }
        counts
    }
}

impl TargetEntry {
    pub(super) fn of(report: &TargetReport) -> Self {
        let mut actions: Vec<ActionEntry> = report.actions.iter().map(ActionEntry::of).collect();
        actions.sort_by(|one, other| one.id.cmp(&other.id));
        Self {
            name: report.name.clone(),
            kind: report.kind.clone(),
            status: report.status,
            duration_ms: report.duration_ms,
            actions,
        }
    }
}

impl ActionEntry {
    fn of(report: &ActionReport) -> Self {
        // What was to be executed and never came to run has used nothing.
        let ran = report.status == ActionStatus::Executed || report.cpu_ms.is_some();
        Self {
            id: report.id.clone(),
            phase: report.phase,
            description: report.description.clone(),
            status: report.status,
            cache: match report.status {
                _ if ran => Some(CacheResult::Executed),
                ActionStatus::Cached if report.waited => Some(CacheResult::Waited),
                ActionStatus::Cached => Some(CacheResult::Cached),
                _ => None,
            },
            started_us: report.started_us,
            duration_ms: report.duration_ms,
            executed_ms: report.executed_ms,
            cpu_ms: report.cpu_ms,
            peak_memory_bytes: report.peak_memory_bytes,
            read_bytes: report.read_bytes,
            written_bytes: report.written_bytes,
            exit_code: report.exit_code,
            signal: report.signal,
            attempts: report.attempts,
            digest: report.digest.clone(),
            log: report.log.clone(),
        }
    }
}
