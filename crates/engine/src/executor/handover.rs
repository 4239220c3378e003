//! Hands a file to a program of the user's, outside of any build: `docker load` of an image.

use std::path::Path;
use std::time::{Duration, Instant};

use synth_core::Diagnostic;
use tokio_util::sync::CancellationToken;

use super::process::{self, Command, End};
use super::{Stop, log_tail};

/// How long the program may take: an hour.
const TIMEOUT: Duration = Duration::from_secs(3600);

/// How much of what the program said is given back.
const OUTPUT_BYTES: u64 = 4096;

/// Runs a program of the user's `PATH`, with the user's environment and `input` as its standard
/// input. Gives the last of what it said.
///
/// # Errors
/// When there is no such program, or it fails.
pub async fn handover(
    argv: &[&str],
    input: &Path,
    cancel: &CancellationToken,
) -> Result<String, Diagnostic> {
    let Some((name, arguments)) = argv.split_first() else {
        return Err(Diagnostic::error("handover", "there is no program to run"));
    };
    let failed = |reason: String| {
        Diagnostic::error("handover.failed", format!("`{}` failed", argv.join(" "))).cause(reason)
    };
    let program = which::which(name).map_err(|_| {
        Diagnostic::error("tool.missing", format!("`{name}` was not found"))
            .concerning(synth_core::Concern::Environment)
            .help(format!("install `{name}`, or see that it is on the `PATH`"))
    })?;
    let log = tempfile::NamedTempFile::new().map_err(|error| failed(error.to_string()))?;
    let command = Command {
        program,
        arguments: arguments
            .iter()
            .map(|argument| (*argument).to_owned())
            .collect(),
        directory: std::env::temp_dir(),
        environment: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .collect(),
        log: log.path().to_owned(),
        standard_output: None,
        standard_input: Some(input.to_owned()),
    };
    let stop = Stop {
        cancel: cancel.clone(),
        ..Stop::default()
    };
    let finished = process::run(&command, None, Instant::now() + TIMEOUT, &stop)
        .await
        .map_err(|error| failed(error.to_string()))?;
    let said = log_tail(log.path(), OUTPUT_BYTES);
    match finished.end {
        End::Exited(0) => Ok(said),
        _ => Err(failed(said.trim().to_owned())),
    }
}
