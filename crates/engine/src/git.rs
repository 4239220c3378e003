//! git, asked about a project's checkout.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use synth_core::{Concern, Diagnostic};

use crate::executor::process::{self, Interrupt};

/// How long git may take for one answer.
const GIT_TIMEOUT: Duration = Duration::from_secs(120);

/// git, at work in a project.
pub(crate) struct Git<'a> {
    program: PathBuf,
    root: &'a Path,
    until: Arc<Interrupt>,
}

impl<'a> Git<'a> {
    /// None where there is no git, or no repository around the project: nobody has to be asked.
    pub(crate) fn find(root: &'a Path) -> Option<Self> {
        let is_inside = root.ancestors().any(|above| above.join(".git").exists());
        let program = is_inside.then(|| which::which("git").ok())??;
        Some(Self {
            program,
            root,
            until: Arc::default(),
        })
    }

    pub(crate) fn at(root: &'a Path) -> Result<Self, Box<Diagnostic>> {
        let program = which::which("git").map_err(|_| {
            let problem = Diagnostic::error("affected.git", "`git` is not installed");
            let problem = problem.concerning(Concern::Environment);
            Box::new(problem.help("install it, or build without `--affected`"))
        })?;
        let git = Self {
            program,
            root,
            until: Arc::default(),
        };
        git.ask(&["rev-parse", "--git-dir"]).map_err(|problem| {
            let message = format!("`{}` is in no git repository", root.display());
            let problem = Diagnostic::error("affected.git", message).cause(problem.message.clone());
            Box::new(problem.help("build without `--affected`"))
        })?;
        Ok(git)
    }

    /// Whose processes are ended with this.
    pub(crate) fn until(self, interrupt: &Arc<Interrupt>) -> Self {
        Self {
            until: Arc::clone(interrupt),
            ..self
        }
    }

    pub(crate) fn ask(&self, arguments: &[&str]) -> Result<String, Box<Diagnostic>> {
        let directory = self.root.to_string_lossy().into_owned();
        let mut all = vec!["-C".to_owned(), directory];
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        let failed = |reason: String| {
            let message = format!("`git {}` failed", arguments.join(" "));
            Box::new(
                Diagnostic::error("affected.git", message)
                    .concerning(Concern::Environment)
                    .cause(reason),
            )
        };
        let answer =
            process::ask_until(&self.program, &all, GIT_TIMEOUT, &self.until).map_err(failed)?;
        if !answer.succeeded {
            let said = String::from_utf8_lossy(&answer.standard_error);
            let said = said.trim().lines().last().unwrap_or_default().to_owned();
            return Err(failed(format!("{}: {said}", answer.end)));
        }
        String::from_utf8(answer.standard_output)
            .map_err(|_| failed("a path that it names is not UTF-8".to_owned()))
    }
}
