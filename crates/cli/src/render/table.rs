//! The table at the end of a build, and what is shown of a failure.

use std::path::Path;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table, presets};
use synth_core::Artifact;
use synth_engine::{
    ActionReport, ActionStatus, BuildReport, KeptDirectory, OutputsState, TargetReport,
    TargetStatus,
};

use super::{diagnostics, duration, size};

/// More targets than these that are up to date are counted and not shown.
const MOST_UP_TO_DATE: usize = 30;

/// A build's targets: status, time, where results came from, artifacts. Of many targets those that
/// were up to date are left out, unless `all` are wanted.
pub(crate) fn of_report(report: &BuildReport, all: bool) -> String {
    let is_up_to_date = |target: &&TargetReport| target.status == TargetStatus::UpToDate;
    let up_to_date = report.targets.iter().filter(is_up_to_date).count();
    let left_out = up_to_date > MOST_UP_TO_DATE && !all;
    if left_out && up_to_date == report.targets.len() {
        return format!("{up_to_date} targets");
    }
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(["target", "status", "time", "actions", "artifacts"]);
    for target in &report.targets {
        if left_out && is_up_to_date(&target) {
            continue;
        }
        table.add_row([
            target.name.clone(),
            status_of(target),
            duration(Duration::from_millis(target.duration_ms)),
            actions(&target.actions),
            artifacts(&target.artifacts),
        ]);
    }
    let mut lines: Vec<String> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    if left_out {
        lines.push(format!("and {up_to_date} targets that were up to date"));
    }
    lines.join("\n")
}

/// The line below the table.
pub(crate) fn summary(report: &BuildReport) -> String {
    let count = |wanted: fn(TargetStatus) -> bool| {
        report
            .targets
            .iter()
            .filter(|target| wanted(target.status))
            .count()
    };
    let took = duration(Duration::from_millis(report.duration_ms));
    let succeeded = count(TargetStatus::is_success);
    let up_to_date = count(|status| status == TargetStatus::UpToDate);
    let all = report.targets.len();
    let (text, color) = if up_to_date == all {
        (
            format!("everything is up to date ({took})"),
            AnsiColor::Green,
        )
    } else if succeeded == all {
        (
            format!("{all} of {all} targets succeeded in {took}"),
            AnsiColor::Green,
        )
    } else {
        let failed = count(|status| status == TargetStatus::Failed);
        let left = all - succeeded - failed;
        let left = if left == 0 {
            String::new()
        } else {
            format!(", {left} not built")
        };
        let is_back = count(|status| status == TargetStatus::RolledBack) > 0;
        let failed = match failed {
            0 if is_back => "rolled back".to_owned(),
            0 => "stopped".to_owned(),
            failed if report.success => format!("{failed} failed (allowed)"),
            failed => format!("{failed} failed"),
        };
        (
            format!("{failed}{left}, {succeeded} of {all} targets succeeded in {took}"),
            match report.success {
                true => AnsiColor::Yellow,
                false => AnsiColor::Red,
            },
        )
    };
    let style = Style::new().bold().fg_color(Some(color.into()));
    format!("{style}{text}{style:#}{}", partial(report))
}

/// Of a build whose outputs are not all of one time: which are of which. Of one that was rolled back,
/// that they are not.
fn partial(report: &BuildReport) -> String {
    let of = |state| {
        let targets = report.targets.iter();
        let names: Vec<&str> = targets
            .filter(|target| target.outputs == state)
            .map(|target| target.name.as_str())
            .collect();
        shortened(&names)
    };
    let is_back = |target: &TargetReport| target.status == TargetStatus::RolledBack;
    if !report.partial {
        return match report.targets.iter().any(is_back) {
            true => "\nrolled back: all outputs are as they were before".to_owned(),
            false => String::new(),
        };
    }
    let states = [
        (OutputsState::Earlier, "are those of an earlier build"),
        (OutputsState::None, "are not there"),
    ];
    let lines = states.into_iter().filter_map(|(state, what)| {
        let names = of(state)?;
        Some(format!("\npartial: the outputs of {names} {what}"))
    });
    lines.collect()
}

/// Names as one text, some of them if they are many; none when there are none.
fn shortened(names: &[&str]) -> Option<String> {
    const MOST: usize = 10;
    let shown = names.iter().take(MOST).copied().collect::<Vec<_>>();
    let more = names.len() - shown.len();
    match (shown.is_empty(), more) {
        (true, _) => None,
        (_, 0) => Some(shown.join(", ")),
        (_, more) => Some(format!("{} and {more} more", shown.join(", "))),
    }
}

/// Everything that a target has to say: diagnostics, of failed actions their last lines, commands
/// and logs, and which succeeded only when they were tried again.
pub(crate) fn show_target(target: &TargetReport, root: &Path) {
    diagnostics::show(&target.diagnostics, Some(root));
    for action in &target.actions {
        if action.flaky {
            show_flaky(&target.name, action);
        }
        if action.status != ActionStatus::Failed {
            continue;
        }
        if !action.last_lines.is_empty() {
            let bold = Style::new().bold();
            let (name, description) = (&target.name, &action.description);
            crate::render::tell(&format!(
                "{bold}{name}: last lines of \"{description}\"{bold:#}"
            ));
            for line in &action.last_lines {
                crate::render::tell(&format!("  | {line}"));
            }
        }
        crate::render::tell(&format!("  action: {} ({})", action.id, action.phase));
        if let Some(command) = &action.command {
            crate::render::tell(&format!("  command: {}", pasteable(command)));
        }
        if let Some(log) = &action.log {
            crate::render::tell(&format!("  log: {log}"));
        }
        if let Some(kept) = &action.kept {
            show_kept(kept);
        }
        crate::render::tell("");
    }
}

/// A command, unless it is longer than anybody pastes.
fn pasteable(command: &str) -> String {
    const MOST_CHARACTERS: usize = 4000;
    const SHOWN: usize = 200;
    let count = command.chars().count();
    if count <= MOST_CHARACTERS {
        return command.to_owned();
    }
    let beginning: String = command.chars().take(SHOWN).collect();
    format!("{beginning}.. ({count} characters; `--format json` has all of them)")
}

/// That an action has succeeded only when it was tried again, and what kept it from that before.
fn show_flaky(target: &str, action: &ActionReport) {
    let attempts = action.attempts.unwrap_or_default();
    let reasons: Vec<&str> = action
        .retries
        .iter()
        .map(|retry| retry.reason.as_str())
        .collect();
    crate::render::tell(&format!(
        "{:>10} {target}: {} passed at attempt {attempts} only ({})",
        "flaky",
        action.description,
        reasons.join("; ")
    ));
}

fn show_kept(kept: &KeptDirectory) {
    crate::render::tell(&format!("  kept: {}", kept.directory));
    if let Some(rerun) = &kept.rerun {
        crate::render::tell(&format!("  again: {rerun}"));
    }
    for difference in &kept.differences {
        crate::render::tell(&format!("    {difference}"));
    }
}

fn status_of(target: &TargetReport) -> String {
    let allowed = match target.failure_allowed {
        true => " (allowed)",
        false => "",
    };
    format!("{}{allowed}", status(target.status))
}

pub(crate) fn status(status: TargetStatus) -> &'static str {
    match status {
        TargetStatus::Built => "built",
        TargetStatus::Cached => "cached",
        TargetStatus::UpToDate => "up to date",
        TargetStatus::Failed => "failed",
        TargetStatus::Skipped => "skipped",
        TargetStatus::Cancelled => "cancelled",
        TargetStatus::RolledBack => "rolled back",
    }
}

fn actions(actions: &[ActionReport]) -> String {
    let count = |status| {
        actions
            .iter()
            .filter(|action| action.status == status)
            .count()
    };
    let counts = [
        (count(ActionStatus::Executed), "executed"),
        (count(ActionStatus::Cached), "cached"),
        (count(ActionStatus::Failed), "failed"),
    ];
    let shown: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    shown.join(", ")
}

/// One line for each, as far as a person reads them; the JSON report has all.
fn artifacts(artifacts: &[Artifact]) -> String {
    /// A target with more has them counted.
    const MOST_SHOWN: usize = 10;
    let mut lines: Vec<String> = artifacts.iter().take(MOST_SHOWN).map(artifact).collect();
    let more = artifacts.len() - lines.len();
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}

fn artifact(artifact: &Artifact) -> String {
    format!(
        "{}  {}  {}",
        artifact.path,
        size(artifact.size),
        artifact.digest.short()
    )
}
