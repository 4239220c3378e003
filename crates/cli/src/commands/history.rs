//! `synth history`: the builds of the project.

use std::time::{Duration, SystemTime};

use comfy_table::{ContentArrangement, Table, presets};
use synth_engine::{BuildEntry, Counts, Filter, Outcome, TargetEntry, TargetStatus};

use super::{Outcome as Code, print, print_json, root};
use crate::arguments::{Global, HistoryArguments, ReportFormat};
use crate::exit;
use crate::render::{ago, duration, table};

pub(crate) fn run(global: &Global, arguments: &HistoryArguments) -> Code {
    let root = root(global)?;
    let filter = Filter {
        limit: arguments.limit,
        target: arguments.target.clone(),
        failed: arguments.failed,
    };
    let list = synth_engine::builds(&root, &filter).map_err(|problem| vec![problem])?;
    match arguments.shown.format() {
        ReportFormat::Json => print_json(&list)?,
        ReportFormat::Human if list.builds.is_empty() => print("no builds"),
        ReportFormat::Human => {
            let target = arguments.target.as_deref();
            print(&of_builds(&list.builds, target, SystemTime::now()));
        }
    }
    Ok(exit::SUCCESS)
}

/// One line a build; with a target, its part of them.
fn of_builds(builds: &[BuildEntry], target: Option<&str>, now: SystemTime) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(["build", "when", "took", "outcome", "what it did", "commit"]);
    for build in builds {
        let named = |one: &&TargetEntry| Some(one.name.as_str()) == target;
        let part = build.targets.iter().find(named);
        let (took, outcome, work) = match part {
            Some(part) => (
                part.duration_ms,
                table::status(part.status).to_owned(),
                of_actions(part),
            ),
            None => (build.duration_ms, outcome(build), work(build)),
        };
        table.add_row([
            build.id.clone(),
            format!("{} ago", ago(build.started_us / 1_000_000, now)),
            duration(Duration::from_millis(took)),
            outcome,
            work,
            commit(build),
        ]);
    }
    let lines = table.lines().map(|line| line.trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

fn outcome(build: &BuildEntry) -> String {
    let word = match build.outcome {
        Outcome::Succeeded => return "succeeded".to_owned(),
        Outcome::Failed => "failed",
        Outcome::Cancelled => "cancelled",
        Outcome::NotBegun => "did not begin",
    };
    match build.exit_code {
        Some(code) => format!("{word} ({code})"),
        None => word.to_owned(),
    }
}

/// Its targets, by how they ended.
fn work(build: &BuildEntry) -> String {
    let all = build.target_count;
    if build.idle {
        return match all {
            1 => "nothing to do for 1 target".to_owned(),
            all => format!("nothing to do for {all} targets"),
        };
    }
    let statuses = [
        TargetStatus::Built,
        TargetStatus::Cached,
        TargetStatus::RolledBack,
        TargetStatus::Failed,
        TargetStatus::Skipped,
        TargetStatus::Cancelled,
    ];
    let mut parts: Vec<String> = statuses
        .into_iter()
        .filter_map(|status| {
            let of_status = |target: &&TargetEntry| target.status == status;
            let count = build.targets.iter().filter(of_status).count();
            (count > 0).then(|| format!("{count} {}", table::status(status)))
        })
        .collect();
    let told = u64::try_from(build.targets.len()).unwrap_or(u64::MAX);
    let up_to_date = all.saturating_sub(told);
    if up_to_date > 0 {
        parts.push(format!("{up_to_date} up to date"));
    }
    parts.join(", ")
}

/// A target's actions, by where their results came from.
fn of_actions(target: &TargetEntry) -> String {
    let mut counts = Counts::default();
    for action in &target.actions {
        *counts.of_action(action) += 1;
    }
    let parts = [
        (counts.executed, "executed"),
        (counts.cached, "cached"),
        (counts.waited, "waited for"),
        (counts.failed, "failed"),
        (counts.not_done, "not done"),
    ];
    let shown = parts.into_iter().filter(|(count, _)| *count > 0);
    let shown: Vec<String> = shown
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    shown.join(", ")
}

/// The commit, and whether there was more than it.
fn commit(build: &BuildEntry) -> String {
    const SHORT: usize = 10;
    let Some(commit) = &build.commit else {
        return String::new();
    };
    let short = commit.get(..SHORT).unwrap_or(commit);
    match build.dirty {
        Some(true) => format!("{short}, changed"),
        _ => short.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn entry(id: &str, minutes: i64, outcome: Outcome, targets: &[TargetStatus]) -> BuildEntry {
        let target = |(index, status): (usize, &TargetStatus)| TargetEntry {
            name: format!("target-{index}"),
            kind: "static".to_owned(),
            status: *status,
            duration_ms: 40,
            actions: Vec::new(),
        };
        BuildEntry {
            id: id.to_owned(),
            started_us: (1_000_000 - minutes * 60) * 1_000_000,
            duration_ms: 1234,
            pipeline: "shop".to_owned(),
            environment: None,
            selection: Vec::new(),
            arguments: Vec::new(),
            outcome,
            exit_code: Some(u8::from(outcome != Outcome::Succeeded)),
            commit: Some("0123456789abcdef".to_owned()),
            dirty: Some(outcome == Outcome::Failed),
            synth: "0.1.0".to_owned(),
            idle: outcome == Outcome::Succeeded && targets.is_empty(),
            target_count: 3,
            actions: Counts::default(),
            targets: targets.iter().enumerate().map(target).collect(),
        }
    }

    #[test]
    fn builds_are_told_in_a_line_each() {
        use TargetStatus::{Built, Failed, Skipped};
        let no_commit = BuildEntry {
            commit: None,
            exit_code: None,
            target_count: 0,
            ..entry("e", 60 * 24 * 3, Outcome::NotBegun, &[])
        };
        let builds = [
            entry("a", 0, Outcome::Succeeded, &[]),
            entry("b", 5, Outcome::Succeeded, &[Built, Built, Built]),
            entry("c", 90, Outcome::Failed, &[Built, Failed, Skipped]),
            entry("d", 3000, Outcome::Cancelled, &[Built]),
            no_commit,
        ];
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        insta::assert_snapshot!(of_builds(&builds, None, now), @"
        build  when        took   outcome        what it did                   commit
        a      0 s ago     1.2 s  succeeded      nothing to do for 3 targets   0123456789
        b      5 min ago   1.2 s  succeeded      3 built                       0123456789
        c      1 h ago     1.2 s  failed (1)     1 built, 1 failed, 1 skipped  0123456789, changed
        d      2 days ago  1.2 s  cancelled (1)  1 built, 2 up to date         0123456789
        e      3 days ago  1.2 s  did not begin
        ");
        insta::assert_snapshot!(of_builds(&builds[2..3], Some("target-1"), now), @"
        build  when     took   outcome  what it did  commit
        c      1 h ago  40 ms  failed                0123456789, changed
        ");
    }
}
