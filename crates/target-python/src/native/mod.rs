//! The steps of the build that run in process: what is checked, and what is written down for the
//! steps after it.

mod archive;
mod entry_points;
mod metadata;
mod modules;
mod requirements;
mod sdist;
mod wheel;
mod wheel_check;

use std::fs;
use std::path::{Path, PathBuf};

use synth_core::{Concern, Diagnostic, Native, NativeOutcome, RunContext};

/// Makes a source distribution reproducible, checks and unpacks it.
pub(crate) const FINISH_SDIST: &str = "finish-sdist";
/// Checks a wheel and writes down what its environments need.
pub(crate) const VALIDATE: &str = "validate";
/// Collects the wheels that needed targets export.
pub(crate) const COLLECT_NEEDED: &str = "collect-needed";

/// Runs the step that `action` names.
pub(crate) fn run(
    action: &Native,
    context: &dyn RunContext,
) -> Result<NativeOutcome, Vec<Diagnostic>> {
    match action.function.as_str() {
        FINISH_SDIST => sdist::finish(&parameters(action)?, context),
        VALIDATE => wheel_check::validate(&parameters(action)?, context),
        COLLECT_NEEDED => collect_needed(context).map_err(|problem| vec![problem]),
        other => Err(vec![
            Diagnostic::error(
                "python.function",
                format!("the python target has no function `{other}`"),
            )
            .concerning(Concern::Internal),
        ]),
    }
}

fn parameters<T: serde::de::DeserializeOwned>(action: &Native) -> Result<T, Vec<Diagnostic>> {
    serde_json::from_value(action.parameters.clone()).map_err(|error| {
        vec![
            Diagnostic::error(
                "python.function",
                format!("`{}` does not know its parameters", action.function),
            )
            .concerning(Concern::Internal)
            .caused_by(&error),
        ]
    })
}

fn collect_needed(context: &dyn RunContext) -> Result<NativeOutcome, Diagnostic> {
    let needs = context.inputs().join("needs");
    let wheels = context.outputs().join("wheels");
    for target in directory(&needs)? {
        if !target.is_dir() {
            continue;
        }
        for file in directory(&target)? {
            if let Some(name) = file.file_name()
                && file.extension().is_some_and(|extension| extension == "whl")
            {
                fs::copy(&file, wheels.join(name)).map_err(|error| unreadable(&file, &error))?;
                context.log(&name.to_string_lossy());
            }
        }
    }
    Ok(NativeOutcome::quiet())
}

/// The only file with that suffix in a directory.
fn only_file(directory_path: &Path, suffix: &str, what: &str) -> Result<PathBuf, Diagnostic> {
    let mut found = directory(directory_path)?;
    found.retain(|path| path.to_string_lossy().ends_with(suffix));
    match (found.pop(), found.len()) {
        (Some(path), 0) => Ok(path),
        (one, more) => Err(Diagnostic::error(
            "python.backend.result",
            format!(
                "the build backend left {} files `*{suffix}` where one {what} was expected",
                more + usize::from(one.is_some())
            ),
        )),
    }
}

/// What is in a directory, sorted.
fn directory(path: &Path) -> Result<Vec<PathBuf>, Diagnostic> {
    let entries = fs::read_dir(path).map_err(|error| unreadable(path, &error))?;
    let paths: Result<Vec<PathBuf>, _> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.map_err(|error: std::io::Error| unreadable(path, &error))?;
    paths.sort();
    Ok(paths)
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

fn unreadable(path: &Path, error: &dyn std::error::Error) -> Diagnostic {
    let name = file_name(path);
    Diagnostic::error("python.file.unreadable", format!("`{name}` can't be read")).caused_by(error)
}

fn unwritable(path: &Path, error: &dyn std::error::Error) -> Diagnostic {
    let name = file_name(path);
    Diagnostic::error(
        "python.file.unwritable",
        format!("`{name}` can't be written"),
    )
    .concerning(Concern::State)
    .caused_by(error)
}
