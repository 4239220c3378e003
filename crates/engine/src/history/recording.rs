//! A build on its way into the history: what is known of it when it begins, and what it came to.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use synth_core::Diagnostic;

use super::checkout::{Asked, Checkout};
use super::database;
use super::database_path;
use super::entry::{BuildEntry, Counts, Outcome, TargetEntry};
use super::graph::Graph;
use crate::build::build_name;
use crate::config::Pipeline;
use crate::report::{BuildReport, TargetStatus};
use crate::target_report::microseconds;

/// What is asked for, as the history has it.
#[derive(Clone, Debug, Default)]
pub struct Requested {
    /// The targets that are named.
    pub selection: Vec<String>,
    /// Whether these are all targets of the pipeline: none is left out, for whatever reason.
    pub is_of_all: bool,
    /// The command line, without the program.
    pub arguments: Vec<String>,
}

/// A build that is going to be in the history when it is over.
#[derive(Debug)]
pub struct Recording {
    root: PathBuf,
    requested: Requested,
    pipeline: String,
    environment: Option<String>,
    started: SystemTime,
    asked: Asked,
}

impl Recording {
    /// Notes the beginning of a build.
    #[must_use]
    pub fn begin(pipeline: &Pipeline, requested: Requested) -> Self {
        let root = &pipeline.root;
        let written = pipeline.output_paths.iter().map(ToString::to_string);
        Self {
            root: root.clone(),
            requested,
            pipeline: pipeline.name.clone(),
            environment: pipeline.environment.clone(),
            started: SystemTime::now(),
            asked: Asked::about(root, written.collect()),
        }
    }

    /// Keeps what the build came to. `exit_code` is that of the program, where one ends with it;
    /// `cancelled` says whether a signal has ended it. A warning when it could not be kept.
    #[must_use]
    pub fn end(
        self,
        report: &BuildReport,
        exit_code: Option<u8>,
        cancelled: bool,
    ) -> Option<Diagnostic> {
        let outcome = match (cancelled, report.success) {
            (true, _) => Outcome::Cancelled,
            (false, true) => Outcome::Succeeded,
            (false, false) if report.build.is_empty() => Outcome::NotBegun,
            (false, false) => Outcome::Failed,
        };
        let graph = Graph::of(report, self.requested.is_of_all);
        let path = database_path(&self.root);
        let entry = self.entry(report, outcome, exit_code);
        if !path.parent().is_some_and(Path::is_dir) {
            // It was given up before it had a place for its state.
            return None;
        }
        database::keep(&path, &entry, &graph)
    }

    fn entry(self, report: &BuildReport, outcome: Outcome, exit_code: Option<u8>) -> BuildEntry {
        let waited = self.started.elapsed().unwrap_or_default();
        let Checkout { commit, dirty } = self.asked.answer();
        let mut entry = of_report(report, self.requested, self.started);
        if report.build.is_empty() {
            entry.id = build_name();
            entry.pipeline = self.pipeline;
            entry.environment = self.environment;
            entry.duration_ms = crate::target_report::milliseconds(waited);
        }
        BuildEntry {
            outcome,
            exit_code,
            commit,
            dirty,
            ..entry
        }
    }

    /// Keeps a build that had nothing to do, as [`Earlier::nothing_to_do`] reports it. A warning when
    /// it could not be kept.
    ///
    /// [`Earlier::nothing_to_do`]: crate::Earlier::nothing_to_do
    #[must_use]
    pub fn idle(
        root: &Path,
        requested: Requested,
        report: &BuildReport,
        exit_code: u8,
    ) -> Option<Diagnostic> {
        let took = Duration::from_millis(report.duration_ms);
        let now = SystemTime::now();
        let started = now.checked_sub(took).unwrap_or(now);
        let entry = BuildEntry {
            exit_code: Some(exit_code),
            ..of_report(report, requested, started)
        };
        database::keep_idle(&database_path(root), &entry)
    }
}

/// What a report tells.
fn of_report(report: &BuildReport, requested: Requested, started: SystemTime) -> BuildEntry {
    let targets = report.targets.iter();
    let (same, changed): (Vec<_>, Vec<_>) =
        targets.partition(|target| target.status == TargetStatus::UpToDate);
    let same = same.iter().map(|target| target.actions.len()).sum();
    let mut changed: Vec<TargetEntry> = changed.into_iter().map(TargetEntry::of).collect();
    changed.sort_by(|one, other| one.name.cmp(&other.name));
    BuildEntry {
        id: report.build.clone(),
        started_us: microseconds(started),
        duration_ms: report.duration_ms,
        pipeline: report.pipeline.clone(),
        environment: report.environment.clone(),
        selection: requested.selection,
        arguments: requested.arguments,
        outcome: Outcome::Succeeded,
        exit_code: None,
        commit: None,
        dirty: None,
        synth: env!("CARGO_PKG_VERSION").to_owned(),
        idle: report.success && changed.is_empty() && !report.targets.is_empty(),
        target_count: u64::try_from(report.targets.len()).unwrap_or(u64::MAX),
        actions: Counts::of(&changed, same),
        targets: changed,
    }
}
