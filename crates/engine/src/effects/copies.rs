//! The copies that the effects of a publish get: made before anything begins, and once more where a
//! crash has left them incomplete.

use std::fs;
use std::path::Path;

use synth_core::{Concern, Diagnostic};

use super::publish::go_on;
use super::record::Opened;
use super::staging::{self, StagingError};
use super::worker::Worker;
use crate::executor::Stop;

/// Copies what was proven.
pub(super) fn stage(
    root: &Path,
    stage: &Path,
    opened: &Opened,
    stop: &Stop,
) -> Result<(), Vec<Diagnostic>> {
    for (target, exported) in &opened.exports {
        go_on(stop)?;
        let from = root.join(exported.place.as_str());
        let to = Worker::copy_of(stage, target);
        staging::copy_synchronized(&from, &to, exported)
            .map_err(|error| vec![not_copied(target, &error)])?;
    }
    Ok(())
}

/// As [`stage`], where the copies of the build that died are not whole. They are replaced when
/// there are others.
pub(super) fn restage(
    root: &Path,
    directory: &Path,
    opened: &Opened,
    stop: &Stop,
) -> Result<(), Vec<Diagnostic>> {
    const NEW: &str = "new";
    for (target, exported) in &opened.exports {
        go_on(stop)?;
        let to = Worker::copy_of(directory, target);
        if staging::holds(&to, exported) {
            continue;
        }
        let from = root.join(exported.place.as_str());
        let new = directory.join(NEW);
        let failed = |source: std::io::Error| {
            let path = to.display().to_string();
            vec![not_copied(target, &StagingError::Io { path, source })]
        };
        if new.exists() {
            fs::remove_dir_all(&new).map_err(failed)?;
        }
        staging::copy_synchronized(&from, &new, exported).map_err(|error| {
            let problem = not_copied(target, &error);
            vec![match error {
                StagingError::Changed(_) => {
                    problem.help("if that is gone for good, `synth recover --undo` is what is left")
                }
                StagingError::Io { .. } => problem,
            }]
        })?;
        if to.exists() {
            fs::remove_dir_all(&to).map_err(failed)?;
        }
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        fs::rename(&new, &to).map_err(failed)?;
    }
    Ok(())
}

fn not_copied(target: &str, error: &StagingError) -> Diagnostic {
    let problem = Diagnostic::error(
        "effect.changed",
        format!("what target `{target}` exports can't be published"),
    )
    .caused_by(error);
    match error {
        StagingError::Changed(_) => {
            problem.help("`synth build` first: only what it has proven is published")
        }
        StagingError::Io { source, .. } => problem
            .concerning(Concern::State)
            .help(crate::store::advice(source).unwrap_or("check that `.synth` can be written")),
    }
}
