//! Finds programs on the user's `PATH` and asks them for their version.

use std::path::{Path, PathBuf};
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

/// What a program says to `arguments`.
pub(crate) fn ask_version(path: &Path, arguments: &[String]) -> Result<String, String> {
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

/// Where a program may be, the first place first.
pub(crate) fn candidates(program: &str) -> Vec<PathBuf> {
    if program.contains('/') {
        return std::path::absolute(program).into_iter().collect();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path);
    directories
        .filter_map(|directory| std::path::absolute(directory.join(program)).ok())
        .collect()
}

/// Whether what a program is, and with it its version, is decided elsewhere than in its file: by
/// what chooses among several versions for it, such as rustup, pyenv, volta, asdf and mise do.
pub(crate) fn stands_for_another(path: &Path) -> bool {
    let is_shim = path.components().any(|part| part.as_os_str() == "shims");
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let real_name = real.file_name().unwrap_or_default().to_string_lossy();
    // `python3` is `python3.11`, and `npm` is `npm-cli.js`.
    let other_name = !real_name.starts_with(name.trim_end_matches(|c: char| c.is_ascii_digit()));
    is_shim || other_name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_chooses_among_versions_is_told_from_what_has_one() {
        use std::os::unix::fs::symlink;
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        std::fs::create_dir(directory.join("shims")).unwrap();
        for file in ["rustup", "python3.11", "npm-cli.js", "plain", "shims/node"] {
            std::fs::write(directory.join(file), "").unwrap();
        }
        symlink("rustup", directory.join("cargo")).unwrap();
        symlink("python3.11", directory.join("python3")).unwrap();
        symlink("npm-cli.js", directory.join("npm")).unwrap();
        for (name, expected) in [
            ("cargo", true),
            ("shims/node", true),
            ("python3", false),
            ("npm", false),
            ("plain", false),
        ] {
            let path = directory.join(name);
            assert_eq!(stands_for_another(&path), expected, "{name}");
        }
    }
}
