//! Finds programs on the user's `PATH` and asks them for their version.

use std::path::Path;
use std::time::Duration;

use synth_core::{Tool, ToolError, ToolRequest};

use crate::digest::FileDigests;
use crate::executor::process;

/// How long a program may take to say its version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(30);

/// Looks for a program.
pub(crate) fn find(request: &ToolRequest, digests: &FileDigests) -> Result<Tool, ToolError> {
    let missing = || ToolError::Missing {
        program: request.program.clone(),
    };
    let broken = |reason: String| ToolError::Broken {
        program: request.program.clone(),
        reason,
    };
    let path = which::which(&request.program).map_err(|_| missing())?;
    let path = std::path::absolute(&path).map_err(|error| broken(error.to_string()))?;
    let digest = digests
        .digest(&path)
        .map_err(|error| broken(error.to_string()))?;
    let version_output = if request.version_arguments.is_empty() {
        String::new()
    } else {
        ask_version(&path, &request.version_arguments).map_err(broken)?
    };
    Ok(Tool {
        name: request.name.clone(),
        path,
        version_output,
        digest,
    })
}

fn ask_version(path: &Path, arguments: &[String]) -> Result<String, String> {
    let answer = process::ask(path, arguments, VERSION_TIMEOUT)?;
    let standard_output = String::from_utf8_lossy(&answer.standard_output);
    let standard_error = String::from_utf8_lossy(&answer.standard_error);
    if !answer.succeeded {
        let said = standard_error.trim().lines().last().unwrap_or_default();
        return Err(format!("{}: {said}", answer.end));
    }
    let said = match standard_output.trim() {
        "" => standard_error.trim(),
        said => said,
    };
    Ok(said.to_owned())
}
