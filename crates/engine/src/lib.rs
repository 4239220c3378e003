//! Runs plans: reads synth.toml, orders the targets, schedules their actions, executes or finds
//! them in the cache, puts outputs in place and reports. Knows no target kind: those come in
//! through a [`Registry`].

mod action_graph;
mod action_job;
mod admission;
mod affected;
mod api;
mod batches;
mod build;
mod check;
mod clean;
mod commit;
mod config;
mod digest;
mod effects;
mod event;
mod executor;
mod explain;
mod exports;
mod failure;
mod foresight;
mod gate;
mod git;
mod graph;
mod guard;
mod history;
mod index;
mod inputs;
mod jobserver;
mod key;
mod kind;
mod listing;
mod lookup;
mod machine;
mod options;
mod outlook;
mod patterns;
mod plan_cache;
mod plan_check;
mod plans;
pub mod plugin;
mod project;
mod recorded;
mod records;
mod registry;
mod repair;
mod report;
mod reproducible;
pub mod sandbox;
mod schedule;
mod settled;
mod state;
mod store;
mod target_report;
mod tools;
mod transaction;
mod tree;
mod work;

pub use affected::affected;
pub use api::{BuildManager, BuildOrchestrator, BuildResult, orchestrate_build_pipeline};
pub use build::{BuildError, build, default_store_directory, plan_pipeline};
pub use check::{CheckReport, ToolCheck, check};
pub use clean::{Cleaned, clean};
pub use config::{
    CONFIG_FILE_NAMES, FailureStrategy, LoadOptions, Loaded, Pipeline, SandboxConfig, SandboxMode,
    editor_schema,
};
pub use effects::{
    Doing, EffectOptions, EffectReport, EffectState, EffectsReport, Recovery, Unfinished,
    check_unfinished, planned_effects, publish, recover, rollback, unfinished,
};
pub use event::{Event, Observer};
pub use executor::{Stop, handover};
pub use graph::{GraphError, TargetGraph};
pub use history::{
    ActionEntry, ActionTrend, BuildEntry, BuildList, BuildLogs, CacheResult, Counts, CriticalPath,
    CriticalStep, Filter, Flaky, HISTORY_VERSION, LogFile, Outcome, Period, Recording, Requested,
    STATS_VERSION, Stats, TargetEntry, TargetTrend, Window, builds, logs, stats,
};
pub use index::{BuildRequest, Earlier, Watched};
pub use kind::Kind;
pub use machine::Machine;
pub use options::BuildOptions;
pub use outlook::{Explanation, Outlook, explain};
pub use plans::validate;
pub use project::Project;
pub use registry::Registry;
pub use report::{
    ActionReport, ActionStatus, BuildReport, KeptDirectory, OutputsState, REPORT_VERSION,
    RetryReport, TargetReport, TargetStatus,
};
pub use store::{
    Cache, CacheLimits, CacheStats, Collected, Count, DamagedBlob, Reclaimable, Verification,
};
pub use tokio_util::sync::CancellationToken;
pub use transaction::{PendingOutputs, Transaction};
