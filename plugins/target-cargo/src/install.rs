//! Brings packages in: the only step with network. What it leaves follows from Cargo.lock alone.

use serde::{Deserialize, Serialize};
use synth_core::{Diagnostic, NativeOutcome, RunContext};

use crate::invocation::{Invocation, VENDOR, failed};

/// The name of the native function.
pub(crate) const FUNCTION: &str = "install";

/// What it is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Parameters {
    pub(crate) invocation: Invocation,
    /// Only from what Cargo has downloaded before.
    pub(crate) offline: bool,
}

/// Writes every package of the lock file into the vendor directory.
///
/// # Errors
/// When Cargo fails.
pub(crate) fn run(
    parameters: &Parameters,
    context: &dyn RunContext,
) -> Result<NativeOutcome, Diagnostic> {
    let directory = context.outputs().join(VENDOR);
    let mut arguments = vec![
        // Otherwise the directory of a package would be called by its version or not, depending
        // on whether there is another version of it.
        "--versioned-dirs".to_owned(),
        // A mirror that the user has configured is used.
        "--respect-source-config".to_owned(),
        "--quiet".to_owned(),
    ];
    if parameters.offline {
        arguments.push("--offline".to_owned());
    }
    arguments.push(directory.to_string_lossy().into_owned());
    let outcome = parameters.invocation.run(
        "vendor",
        &arguments,
        parameters.invocation.install_environment(),
        // Advice on configuration, which the build has of its own.
        Some(context.scratch().join("configuration.toml")),
        context,
    )?;
    if outcome.succeeded() {
        Ok(NativeOutcome::quiet())
    } else {
        Err(failed("cargo.install.failed", "vendor", &outcome, context))
    }
}
