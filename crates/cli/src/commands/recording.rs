//! What `synth build` leaves in the history.

use std::path::Path;

use synth_core::Diagnostic;
use synth_engine::{BuildReport, Pipeline, Recording, Requested};

use crate::arguments::{BuildArguments, Global};
use crate::exit;

/// A build begins.
pub(super) fn begin(global: &Global, arguments: &BuildArguments, pipeline: &Pipeline) -> Recording {
    Recording::begin(pipeline, requested(global, arguments))
}

/// A build had nothing to do. A warning when that could not be kept.
pub(super) fn idle(
    global: &Global,
    arguments: &BuildArguments,
    root: &Path,
    report: &BuildReport,
) -> Option<Diagnostic> {
    Recording::idle(root, requested(global, arguments), report, exit::SUCCESS)
}

/// A build did not begin. A warning when that could not be kept.
pub(super) fn not_begun(recording: Recording, code: u8, is_cancelled: bool) -> Option<Diagnostic> {
    let nothing = BuildReport::not_begun(Vec::new());
    recording.end(&nothing, Some(code), is_cancelled)
}

fn requested(global: &Global, arguments: &BuildArguments) -> Requested {
    let selection = arguments.targets.targets.clone();
    let line = std::env::args_os().skip(1);
    Requested {
        is_of_all: selection.is_empty() && !arguments.affected && global.pipeline.is_none(),
        selection,
        arguments: line
            .map(|argument| argument.to_string_lossy().into_owned())
            .collect(),
    }
}
