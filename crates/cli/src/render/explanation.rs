//! Why targets are built: what is different from their last build.

use synth_engine::{
    ActionReport, ActionStatus, BuildReport, Explanation, Outlook, TargetReport, TargetStatus,
};

/// What the engine says of a step whose inputs come from another step of its target.
const FOLLOWS: &str = " left something else";

/// Of a build: each target that was not up to date, with its reasons.
pub(crate) fn of_report(report: &BuildReport) -> String {
    let mut lines = Vec::new();
    for target in &report.targets {
        if target.status == TargetStatus::UpToDate {
            continue;
        }
        let word = super::table::status(target.status);
        lines.push(format!("{} ({word}):", target.name));
        let reasons = reasons(target);
        if reasons.is_empty() {
            lines.push("  a target that it needs comes out the same, but was made anew".to_owned());
        }
        lines.extend(reasons.into_iter().map(|reason| format!("  {reason}")));
    }
    lines.join("\n")
}

/// What is different for a target, each sentence once; which step it is said of where there are
/// several.
fn reasons(target: &TargetReport) -> Vec<String> {
    // What follows from an earlier step of the same target is told there.
    let executed = |action: &&ActionReport| action.status != ActionStatus::Cached;
    let mut said: Vec<&ActionReport> = target.actions.iter().filter(executed).collect();
    if said.is_empty() {
        said = target.actions.iter().collect();
    }
    let mut found: Vec<String> = target.reasons.clone();
    for action in said {
        for reason in &action.reasons {
            let reason = match target.actions.len() {
                1 => reason.clone(),
                _ => format!("{}: {reason}", action.description),
            };
            if !found.contains(&reason) {
                found.push(reason);
            }
        }
    }
    // A step that only follows from another one explains nothing.
    let follows = |reason: &String| reason.contains(FOLLOWS);
    if !found.iter().all(follows) {
        found.retain(|reason| !follows(reason));
    }
    match target.status {
        TargetStatus::Skipped => vec!["a target that it needs failed".to_owned()],
        TargetStatus::Cancelled if found.is_empty() => vec!["the build was stopped".to_owned()],
        TargetStatus::RolledBack => vec!["it was taken back with what has failed".to_owned()],
        _ => found,
    }
}

/// Of a build that is only thought of.
pub(crate) fn of_targets(explained: &[Explanation]) -> String {
    let mut lines = Vec::new();
    for explanation in explained {
        let what = match explanation.outlook {
            Outlook::UpToDate => "is up to date",
            Outlook::Restored => "would be put in place from the cache",
            Outlook::Executed => "would be built",
            Outlook::Open => "would be looked at again",
        };
        let colon = if explanation.reasons.is_empty() {
            ""
        } else {
            ":"
        };
        lines.push(format!("{} {what}{colon}", explanation.target));
        let reasons = explanation.reasons.iter();
        lines.extend(reasons.map(|reason| format!("  {reason}")));
    }
    lines.join("\n")
}
