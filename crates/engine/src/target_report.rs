//! A target's part of the report, made when it has ended: how, what it has to say, what it left.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use synth_core::{Artifact, Diagnostic, ProjectPath};

use crate::action_graph::{ActionGraph, ActionState, TargetState, comes_after};
use crate::config::{FailureStrategy, Pipeline};
use crate::patterns::PathPatterns;
use crate::report::{ActionReport, ActionStatus, OutputsState, TargetReport, TargetStatus};
use crate::schedule::{ActionRecord, Finished, PlannedTarget, Workshop};
use crate::settled::Settled;
use crate::tree::{Tree, TreeEntry};

/// How many of a failed action's last lines a report holds.
const LAST_LINES: usize = 20;

pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A moment, in microseconds since 1970.
pub(crate) fn microseconds(time: SystemTime) -> i64 {
    let of = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => of(after),
        Err(before) => -of(before.duration()),
    }
}

pub(crate) fn target_report(
    pipeline: &Pipeline,
    planned: &PlannedTarget,
    workshop: &Workshop,
    finished: &Finished<'_>,
) -> TargetReport {
    let name = &planned.spec.name;
    if let Some(settled) = &planned.settled {
        return unchanged_report(pipeline, planned, workshop, finished, settled);
    }
    let mut diagnostics: Vec<Diagnostic> = finished.record.diagnostics.clone();
    let mut actions = Vec::new();
    for index in finished.graph.actions_of(finished.index) {
        let node = finished.graph.node(*index);
        let record = &finished.actions[*index];
        let located = record.diagnostics.iter().cloned();
        diagnostics.extend(located.map(|diagnostic| pipeline.locate(name, diagnostic)));
        let failed = node.state == ActionState::Failed;
        let log = record.log.as_deref().filter(|log| log.exists());
        actions.push(ActionReport {
            id: node.action.id.clone(),
            phase: node.action.phase,
            description: node.action.description.clone(),
            after: comes_after(&node.action)
                .map(ToOwned::to_owned)
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
            status: action_status(node.state),
            waited: record.waited,
            reasons: record.reasons.clone(),
            started_us: record.started.map(microseconds),
            duration_ms: milliseconds(record.duration),
            executed_ms: record
                .result
                .as_ref()
                .map(|result| milliseconds(result.duration)),
            cpu_ms: record.usage.map(|usage| milliseconds(usage.cpu)),
            peak_memory_bytes: record
                .usage
                .map(|usage| usage.peak_memory_bytes)
                .filter(|bytes| *bytes > 0),
            read_bytes: record.usage.and_then(|usage| usage.read_bytes),
            written_bytes: record.usage.and_then(|usage| usage.written_bytes),
            digest: record.digest.as_ref().map(|digest| digest.sha256.clone()),
            attempts: (record.attempts > 0).then_some(record.attempts),
            flaky: node.state == ActionState::Executed && record.attempts > 1,
            retries: record.retries.clone(),
            exit_code: record.exit_code,
            signal: record
                .usage
                .filter(|_| failed)
                .and_then(|usage| usage.signal),
            trouble: record.trouble.clone(),
            command: record.command.clone(),
            log: log.map(|log| relative(log, &pipeline.root)),
            last_lines: log.filter(|_| failed).map(last_lines).unwrap_or_default(),
            kept: workshop
                .kept
                .as_ref()
                .filter(|_| failed)
                .and_then(|kept| kept.of(name, &node.action.id)),
        });
    }
    diagnostics.extend(planned.plan.warnings.iter().cloned());
    diagnostics.extend(planned.problems.iter().cloned());
    diagnostics.sort_by_key(|diagnostic| !diagnostic.is_error());
    let status = status(pipeline, finished, &diagnostics);
    let artifacts = match &finished.record.tree {
        Some(tree) if status.is_success() => artifacts(planned, tree, finished),
        _ => Vec::new(),
    };
    TargetReport {
        name: name.clone(),
        kind: planned.spec.kind.clone(),
        status,
        failure_allowed: finished.failure_allowed,
        outputs: match status.is_success() {
            true => OutputsState::Current,
            false => workshop.outputs.of_earlier_builds(&planned.spec),
        },
        duration_ms: milliseconds(finished.record.duration),
        actions,
        needs: planned.spec.needs.clone(),
        reasons: finished.record.reasons.clone(),
        diagnostics,
        artifacts,
    }
}

/// The report of a target whose outputs were to be put in place again, and nothing else.
fn unchanged_report(
    pipeline: &Pipeline,
    planned: &PlannedTarget,
    workshop: &Workshop,
    finished: &Finished<'_>,
    settled: &Settled,
) -> TargetReport {
    let mut report = settled.report.clone();
    let problems = finished.record.diagnostics.iter().cloned();
    report.diagnostics = problems.chain(report.diagnostics).collect();
    report.status = status(pipeline, finished, &report.diagnostics);
    report.failure_allowed = finished.failure_allowed;
    report.duration_ms = milliseconds(finished.record.duration);
    report.needs.clone_from(&planned.spec.needs);
    report.reasons.clone_from(&finished.record.reasons);
    for action in &mut report.actions {
        match report.status {
            TargetStatus::Skipped => action.status = ActionStatus::Skipped,
            TargetStatus::Cancelled => action.status = ActionStatus::Cancelled,
            _ => {
                let begun = SystemTime::now().checked_sub(finished.record.duration);
                action.started_us = begun.map(microseconds);
            }
        }
    }
    if !report.status.is_success() {
        report.outputs = workshop.outputs.of_earlier_builds(&planned.spec);
        report.artifacts.clear();
    }
    report
}

fn status(
    pipeline: &Pipeline,
    finished: &Finished<'_>,
    diagnostics: &[Diagnostic],
) -> TargetStatus {
    let states: Vec<ActionState> = finished
        .graph
        .actions_of(finished.index)
        .iter()
        .map(|index| finished.graph.node(*index).state)
        .collect();
    let failed = states.contains(&ActionState::Failed);
    if failed || diagnostics.iter().any(Diagnostic::is_error) {
        TargetStatus::Failed
    } else if finished.graph.target_state(finished.index) == TargetState::Failed {
        TargetStatus::Skipped
    } else if !finished.record.committed {
        let rolls_back = pipeline.failure_strategy == FailureStrategy::Rollback;
        match &finished.record.tree {
            Some(_) if rolls_back => TargetStatus::RolledBack,
            _ => TargetStatus::Cancelled,
        }
    } else if states.contains(&ActionState::Executed) {
        TargetStatus::Built
    } else if finished.record.written {
        TargetStatus::Cached
    } else {
        TargetStatus::UpToDate
    }
}

pub(crate) fn action_status(state: ActionState) -> ActionStatus {
    match state {
        ActionState::Executed => ActionStatus::Executed,
        ActionState::Cached => ActionStatus::Cached,
        ActionState::Failed => ActionStatus::Failed,
        ActionState::Skipped => ActionStatus::Skipped,
        ActionState::Waiting | ActionState::Running | ActionState::Cancelled => {
            ActionStatus::Cancelled
        }
    }
}

/// Attributes of the artifacts of one kind, gathered from a target's actions.
pub(crate) fn attributes(
    target: usize,
    graph: &ActionGraph,
    actions: &[ActionRecord],
    artifact_kind: &str,
) -> BTreeMap<String, String> {
    graph
        .actions_of(target)
        .iter()
        .filter_map(|index| actions[*index].result.as_ref())
        .filter_map(|result| result.outcome.attributes.get(artifact_kind))
        .flatten()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn artifacts(planned: &PlannedTarget, tree: &Tree, finished: &Finished<'_>) -> Vec<Artifact> {
    let mut found = Vec::new();
    for rule in &planned.plan.artifacts {
        let attributes = attributes(finished.index, finished.graph, finished.actions, &rule.kind);
        let artifact = |path: ProjectPath, digest, size| Artifact {
            kind: rule.kind.clone(),
            path,
            digest,
            size,
            attributes: attributes.clone(),
        };
        let in_place = planned.plan.in_place;
        let place = if in_place {
            &planned.spec.source_path
        } else {
            &planned.spec.output_path
        };
        if rule.pattern.is_empty() && !in_place {
            found.push(artifact(place.clone(), tree.digest(), tree.size()));
            continue;
        }
        // What is among the sources is no directory of its own: each file is an artifact then.
        let pattern = match rule.pattern.as_str() {
            "" => "**",
            pattern => pattern,
        };
        let Ok(pattern) = PathPatterns::new(&[pattern.to_owned()]) else {
            continue;
        };
        for (path, entry) in tree.leaves() {
            if let TreeEntry::File(file) = entry
                && pattern.is_match(&path)
                && let Ok(path) = place.join(&path)
            {
                found.push(artifact(path, file.digest.clone(), file.digest.size));
            }
        }
    }
    found
}

fn relative(path: &Path, root: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .display()
        .to_string()
}

fn last_lines(log: &Path) -> Vec<String> {
    /// Of a log without line breaks no more than this is shown.
    const MOST_BYTES: u64 = 64 * 1024;
    let text = crate::executor::log_tail(log, MOST_BYTES);
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.len().saturating_sub(LAST_LINES);
    lines[first..].iter().map(|line| shortened(line)).collect()
}

/// A line as it is worth in a report.
fn shortened(line: &str) -> String {
    const MOST_CHARACTERS: usize = 500;
    match line.char_indices().nth(MOST_CHARACTERS) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    }
}
