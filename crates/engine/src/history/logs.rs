//! The logs of a build, as far as they are still there.

use std::path::{Component, Path, PathBuf};

use synth_core::Diagnostic;

use super::database::Database;
use super::entry::{ActionEntry, BuildEntry};
use super::read::Found;
use crate::report::ActionStatus;
use crate::state::KEPT_LOGS;

/// The logs of a build's actions, those that failed first.
#[derive(Clone, Debug)]
pub struct BuildLogs {
    /// The build's name.
    pub build: String,
    /// What each of its actions has printed that were executed.
    pub logs: Vec<LogFile>,
    /// Of how many builds, the last ones, logs are kept.
    pub kept_builds: usize,
}

/// What an action has printed.
#[derive(Clone, Debug)]
pub struct LogFile {
    /// The target's name.
    pub target: String,
    /// The action.
    pub action: ActionEntry,
    /// Its log; none when it is gone.
    pub path: Option<PathBuf>,
}

/// The logs that are asked for.
pub(super) fn of(
    database: &Database,
    root: &Path,
    name: &str,
    target: Option<&str>,
    action: Option<&str>,
) -> Result<BuildLogs, Diagnostic> {
    let found = database
        .find(name)
        .map_err(|error| database.failed(&error))?;
    let build = match found {
        Found::One(build) => build,
        Found::Several(ids) => return Err(several(name, &ids)),
        Found::None => return Err(no_build(name)),
    };
    check(&build, target, action)?;
    let mut logs = Vec::new();
    for of_target in &build.targets {
        if target.is_some_and(|target| of_target.name != target) {
            continue;
        }
        let wanted = |one: &&ActionEntry| action.is_none_or(|action| one.id == action);
        let executed = of_target.actions.iter().filter(wanted);
        logs.extend(executed.filter_map(|action| {
            let path = root.join(own(action.log.as_deref()?)?);
            Some(LogFile {
                target: of_target.name.clone(),
                action: action.clone(),
                path: Some(path).filter(|path| path.is_file()),
            })
        }));
    }
    logs.sort_by_key(|log| {
        (
            log.action.status != ActionStatus::Failed,
            log.action.started_us,
        )
    });
    Ok(BuildLogs {
        build: build.id,
        logs,
        kept_builds: KEPT_LOGS,
    })
}

/// A path of a log, if it is one: whoever changes the database shows nobody other files.
fn own(path: &str) -> Option<&Path> {
    let path = Path::new(path);
    let is_plain = path
        .components()
        .all(|component| matches!(component, Component::Normal(_)));
    (is_plain && path.starts_with(".synth/logs")).then_some(path)
}

/// What is named has to be part of the build.
fn check(build: &BuildEntry, target: Option<&str>, action: Option<&str>) -> Result<(), Diagnostic> {
    let Some(target) = target else {
        return Ok(());
    };
    let id = &build.id;
    let Some(of_target) = build.targets.iter().find(|one| one.name == target) else {
        let message = format!("build {id} did nothing for target `{target}`");
        let names: Vec<&str> = build.targets.iter().map(|one| one.name.as_str()).collect();
        return Err(
            Diagnostic::error("history.target", message).help(match names.as_slice() {
                [] => "every target was up to date, or none was begun".to_owned(),
                names => format!("it did something for {}", some(names)),
            }),
        );
    };
    let Some(action) = action else {
        return Ok(());
    };
    if of_target.actions.iter().any(|one| one.id == action) {
        return Ok(());
    }
    let message = format!("target `{target}` has no action `{action}` in build {id}");
    let names = of_target.actions.iter().map(|one| one.id.as_str());
    let names: Vec<&str> = names.collect();
    Err(
        Diagnostic::error("history.action", message).help(match names.as_slice() {
            [] => "it has none: it could not be planned".to_owned(),
            names => format!("its actions are {}", some(names)),
        }),
    )
}

pub(super) fn no_build(name: &str) -> Diagnostic {
    let message = match name {
        "last" => "no build of this workspace had anything to do".to_owned(),
        name => format!("there is no build `{name}` in the history"),
    };
    Diagnostic::error("history.build", message).help("`synth history` lists the builds")
}

fn several(name: &str, ids: &[String]) -> Diagnostic {
    let message = format!("the ids of several builds begin with `{name}`");
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    Diagnostic::error("history.build", message).help(format!(
        "write more of the one that you mean: {}",
        some(&ids)
    ))
}

/// Names, and not too many of them.
fn some(names: &[&str]) -> String {
    const MOST: usize = 10;
    let shown: Vec<String> = names
        .iter()
        .take(MOST)
        .map(|name| format!("`{name}`"))
        .collect();
    match names.len().saturating_sub(MOST) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_logs_are_shown() {
        for (path, is_log) in [
            (".synth/logs/20260101T000000.000000Z-1/a.run.log", true),
            (".synth/records.db", false),
            (".synth/logs/../../secret", false),
            ("/etc/passwd", false),
            ("", false),
        ] {
            assert_eq!(own(path).is_some(), is_log, "{path}");
        }
    }
}
