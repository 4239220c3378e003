//! The tools of a test: found on the `PATH`, pretended, or missing on purpose.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::process;
use crate::{Digest, Tool, ToolError, ToolRequest};

/// How long a program may take to say its version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(30);

/// What a test says of a tool.
#[derive(Clone, Debug)]
pub(super) enum Pretended {
    /// It is there, for plans; it can't be run.
    Tool(Tool),
    /// It is a program with these bytes.
    Program {
        version_output: String,
        bytes: Vec<u8>,
    },
    /// It is not there.
    Missing,
}

/// The tools that a project finds.
#[derive(Default)]
pub(super) struct Tools {
    pretended: BTreeMap<String, Result<Tool, ToolError>>,
    /// Holds the pretended programs.
    _directory: Option<tempfile::TempDir>,
    found: Mutex<HashMap<ToolRequest, Result<Tool, ToolError>>>,
}

impl Tools {
    /// Puts pretended programs on the disk.
    pub(super) fn new(pretended: &BTreeMap<String, Pretended>) -> std::io::Result<Self> {
        let mut directory = None;
        let mut known = BTreeMap::new();
        for (name, tool) in pretended {
            let tool = match tool {
                Pretended::Tool(tool) => Ok(tool.clone()),
                Pretended::Missing => Err(ToolError::Missing {
                    program: name.clone(),
                }),
                Pretended::Program {
                    version_output,
                    bytes,
                } => {
                    let directory = match &mut directory {
                        Some(directory) => directory,
                        none => none.insert(super::temporary_directory()?),
                    };
                    Ok(Tool {
                        name: name.clone(),
                        path: write_program(directory.path(), name, bytes)?,
                        version_output: version_output.clone(),
                        digest: digest(bytes),
                    })
                }
            };
            known.insert(name.clone(), tool);
        }
        Ok(Self {
            pretended: known,
            _directory: directory,
            found: Mutex::default(),
        })
    }

    pub(super) fn find(&self, request: &ToolRequest) -> Result<Tool, ToolError> {
        if let Some(known) = self.pretended.get(&request.name) {
            return known.clone();
        }
        // Asked outside of the lock: a program may take its time.
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = found.get(request) {
            return known.clone();
        }
        drop(found);
        let tool = look_for(request);
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.entry(request.clone()).or_insert(tool).clone()
    }
}

fn write_program(directory: &Path, name: &str, bytes: &[u8]) -> std::io::Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let path = directory.join(name);
    fs::write(&path, bytes)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

fn look_for(request: &ToolRequest) -> Result<Tool, ToolError> {
    let broken = |reason: String| ToolError::Broken {
        program: request.program.clone(),
        reason,
    };
    let path = which::which(&request.program).map_err(|_| ToolError::Missing {
        program: request.program.clone(),
    })?;
    let path = std::path::absolute(path).map_err(|error| broken(error.to_string()))?;
    let bytes = fs::read(&path).map_err(|error| broken(error.to_string()))?;
    let version_output = if request.version_arguments.is_empty() {
        String::new()
    } else {
        process::ask(&path, &request.version_arguments, VERSION_TIMEOUT).map_err(broken)?
    };
    Ok(Tool {
        name: request.name.clone(),
        path,
        version_output,
        digest: digest(&bytes),
    })
}

/// The digest of some bytes.
pub(super) fn digest(bytes: &[u8]) -> Digest {
    Digest {
        sha256: hex::encode(Sha256::digest(bytes)),
        size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
    }
}
