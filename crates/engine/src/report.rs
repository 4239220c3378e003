//! What a build reports when it is over: the types of the JSON report.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use synth_core::{Artifact, Diagnostic, Phase};

use crate::effects::EffectReport;

/// The version of the report's shape. A field added leaves it; anything else raises it.
pub const REPORT_VERSION: u32 = 1;

/// A build, from its start to its end.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BuildReport {
    /// The version of this report's shape.
    pub version: u32,
    /// The build's own name, for its logs. Empty when it did not begin.
    pub build: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// The environment selected, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Whether every target was built, but for those that may fail.
    pub success: bool,
    /// Whether outputs of this build are beside others that are not: those of an earlier one, or none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// From start to end, in milliseconds.
    pub duration_ms: u64,
    /// The targets, in the configuration's order.
    pub targets: Vec<TargetReport>,
    /// What was done to the world, in the order in which it is applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<EffectReport>,
    /// The name of that, for `synth rollback`; empty when nothing was done.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub effects_build: String,
    /// What belongs to no target.
    #[serde(default)]
    pub diagnostics: Vec<Diagnostic>,
}

/// How a target ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TargetStatus {
    /// At least one of its actions was executed.
    Built,
    /// All its results were in the cache, and its outputs were put in place from there.
    Cached,
    /// All its results were in the cache, and its outputs in place.
    UpToDate,
    /// One of its actions failed.
    Failed,
    /// A target that it needs failed.
    Skipped,
    /// The build was stopped before it was done.
    Cancelled,
    /// It was built, and its outputs are as they were before the build.
    RolledBack,
}

/// Which outputs of a target there are when a build is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutputsState {
    /// Those that it has now.
    #[default]
    Current,
    /// Those of an earlier build.
    Earlier,
    /// None.
    None,
}

impl OutputsState {
    fn is_current(&self) -> bool {
        *self == Self::Current
    }
}

impl TargetStatus {
    /// Whether its outputs are there.
    #[must_use]
    pub fn is_success(self) -> bool {
        matches!(self, Self::Built | Self::Cached | Self::UpToDate)
    }
}

/// A target's part of a build.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TargetReport {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// How it ended.
    pub status: TargetStatus,
    /// Whether the build succeeds although this target did not: it may fail, or what it needs may.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failure_allowed: bool,
    /// Which outputs of it there are. Not said where they are current.
    #[serde(default, skip_serializing_if = "OutputsState::is_current")]
    pub outputs: OutputsState,
    /// From the start of its first action to its end, in milliseconds.
    pub duration_ms: u64,
    /// Its actions, in the plan's order.
    pub actions: Vec<ActionReport>,
    /// The targets that it needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// What was found of its earlier outputs when they had to be put in place again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// What it has to say; errors first.
    pub diagnostics: Vec<Diagnostic>,
    /// What it left. Empty unless it succeeded.
    pub artifacts: Vec<Artifact>,
}

/// How an action ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActionStatus {
    /// It ran and succeeded.
    Executed,
    /// Its result was in the cache.
    Cached,
    /// It ran and failed.
    Failed,
    /// Something it depends on failed.
    Skipped,
    /// The build was stopped before it was done.
    Cancelled,
}

/// An action's part of a build.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ActionReport {
    /// Its name in the plan.
    pub id: String,
    /// What it is for.
    pub phase: Phase,
    /// What a person is told.
    pub description: String,
    /// The actions of its target that it comes after.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// How it ended.
    pub status: ActionStatus,
    /// Whether its result is one that it waited for while another build executed it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waited: bool,
    /// What is different from the last build in which its target succeeded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// When it was begun, in microseconds since 1970 (UTC); none when it was not reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_us: Option<i64>,
    /// How long it took in this build, in milliseconds.
    pub duration_ms: u64,
    /// How long its execution took, in milliseconds: in this build, or in the one whose result was
    /// taken; none when it has no result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executed_ms: Option<u64>,
    /// The processor time of its processes, in milliseconds; none when it was not executed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    /// The most memory that one of its processes had, in bytes; none when it was not executed, or
    /// when that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// What its processes had to read from the disk, in bytes; none when it was not executed, or when
    /// that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_bytes: Option<u64>,
    /// What its processes had written to the disk, in bytes; none when it was not executed, or when
    /// that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_bytes: Option<u64>,
    /// The digest of the action, its name in the cache; none when it was not reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// How often it was executed; none when it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// Whether it succeeded, but not at the first attempt.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub flaky: bool,
    /// The attempts that failed and were followed by another, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retries: Vec<RetryReport>,
    /// The exit code of the process that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that ended the process that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// What its failure is, by name (`network.name`), where that is known; what to do about it is
    /// help of a diagnostic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// The command that failed, for a shell in the action's root directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Its log, relative to the project's root; none when it was not executed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// The last lines of the log of an action that failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_lines: Vec<String>,
    /// The directory that it failed in, where it was to be kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<KeptDirectory>,
}

/// The directory of an action that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeptDirectory {
    /// Where it is, relative to the project's root.
    pub directory: String,
    /// A command of a POSIX shell, to be run in the project's root, that runs the action there again;
    /// none where it was no process that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerun: Option<String>,
    /// In which ways it then runs otherwise than in the build.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<String>,
}

/// An attempt of an action that failed in a way that passes by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RetryReport {
    /// Which attempt it was, counted from 1.
    pub attempt: u32,
    /// Why the failure is taken for one that passes by itself.
    pub reason: String,
    /// The exit code of the process that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// How long the attempt took, in milliseconds.
    pub duration_ms: u64,
    /// How long was waited before the next one, in milliseconds.
    pub delay_ms: u64,
}

impl BuildReport {
    /// The report of a build that did not begin.
    #[must_use]
    pub fn not_begun(diagnostics: Vec<Diagnostic>) -> Self {
        Self {
            version: REPORT_VERSION,
            build: String::new(),
            pipeline: String::new(),
            environment: None,
            success: false,
            partial: false,
            duration_ms: 0,
            targets: Vec::new(),
            effects: Vec::new(),
            effects_build: String::new(),
            diagnostics,
        }
    }

    /// Takes note that what this build has put in place is as it was before: which outputs of a target
    /// that is, `outputs` says. Of one whose outputs could not be taken back these are current.
    pub(crate) fn roll_back(&mut self, outputs: impl Fn(&str) -> OutputsState) {
        use TargetStatus::{Built, Cached, Cancelled, RolledBack};
        self.success = false;
        let (mut back, mut there) = (false, false);
        for target in &mut self.targets {
            if !matches!(target.status, Built | Cached | RolledBack) {
                continue;
            }
            target.outputs = outputs(&target.name);
            if target.outputs.is_current() {
                there = true;
                if target.status == RolledBack {
                    target.status = Cancelled;
                }
                continue;
            }
            back = true;
            target.status = RolledBack;
            target.artifacts.clear();
        }
        self.partial = back && there;
    }

    /// The JSON Schema (2020-12) of the report.
    #[must_use]
    pub fn schema() -> Value {
        synth_core::settings_schema::<Self>()
    }

    /// All diagnostics of all targets.
    pub fn all_diagnostics(&self) -> impl Iterator<Item = &Diagnostic> {
        let targets = self.targets.iter().flat_map(|target| &target.diagnostics);
        self.diagnostics.iter().chain(targets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(statuses: [TargetStatus; 4]) -> BuildReport {
        let targets = statuses
            .into_iter()
            .enumerate()
            .map(|(index, status)| TargetReport {
                name: index.to_string(),
                kind: "kind".to_owned(),
                status,
                failure_allowed: false,
                outputs: OutputsState::Current,
                duration_ms: 0,
                actions: Vec::new(),
                needs: Vec::new(),
                reasons: Vec::new(),
                diagnostics: Vec::new(),
                artifacts: Vec::new(),
            });
        BuildReport {
            success: true,
            targets: targets.collect(),
            ..BuildReport::not_begun(Vec::new())
        }
    }

    #[test]
    fn only_what_is_as_before_is_rolled_back() {
        use OutputsState::{Current, Earlier, None};
        use TargetStatus::{Built, Cached, Cancelled, RolledBack, UpToDate};
        let before = [Built, RolledBack, UpToDate, Cached];
        let cases = [
            (
                [Earlier, None],
                false,
                [RolledBack, RolledBack, UpToDate, RolledBack],
            ),
            (
                [Current, Current],
                false,
                [Built, Cancelled, UpToDate, Cached],
            ),
            (
                [Current, Earlier],
                true,
                [Built, RolledBack, UpToDate, RolledBack],
            ),
        ];
        for ([first, others], partial, after) in cases {
            let mut report = report(before);
            report.roll_back(|name| if name == "0" { first } else { others });
            let statuses: Vec<_> = report.targets.iter().map(|target| target.status).collect();
            assert_eq!((statuses.as_slice(), report.partial), (&after[..], partial));
            assert!(!report.success);
            assert_eq!(report.targets[2].outputs, Current);
        }
    }
}
