//! How Cargo is called, the same for every step: on which package, with which configuration and in
//! which environment.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use synth_core::{Diagnostic, Process, ProcessOutcome, RunContext};

use crate::lock::{self, Source};

/// Where the sources are laid out, below an action's root.
pub(crate) const SOURCE: &str = "source";

/// Where packages are that were brought in.
pub(crate) const VENDOR: &str = "vendor";

/// The compiler's wrapper: see `rustc.sh`.
pub(crate) const WRAPPER: &str = "rustc.sh";

/// The wrapper's text.
pub(crate) const WRAPPER_TEXT: &str = include_str!("rustc.sh");

/// The variable by which Cargo is told of a wrapper.
const WRAPPER_VARIABLE: &str = "RUSTC_WRAPPER";

/// Flags for compilers of C, to which build scripts add their own.
const C_FLAGS: [&str; 2] = ["CFLAGS", "CXXFLAGS"];

/// What holds for every call of Cargo.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Invocation {
    /// The manifest, relative to the sources.
    pub(crate) manifest: String,
    /// Files of configuration among the sources, outermost first.
    pub(crate) configuration: Vec<String>,
    /// What is taken from the vendor directory.
    pub(crate) vendored: BTreeSet<Source>,
    /// The compiler.
    pub(crate) rustc: PathBuf,
    /// Whether crates need numbers that do not follow from absolute paths.
    pub(crate) stable_metadata: bool,
    /// The target's own variables.
    pub(crate) environment: BTreeMap<String, String>,
}

impl Invocation {
    /// Runs `cargo SUBCOMMAND` with the arguments that every subcommand takes.
    ///
    /// # Errors
    /// When it can't be started, or is to stop.
    pub(crate) fn run(
        &self,
        subcommand: &str,
        arguments: &[String],
        environment: BTreeMap<String, String>,
        standard_output: Option<PathBuf>,
        context: &dyn RunContext,
    ) -> Result<ProcessOutcome, Diagnostic> {
        let source = context.inputs().join(SOURCE);
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let mut argv = vec![
            "cargo".to_owned(),
            subcommand.to_owned(),
            format!("--manifest-path={}", text(source.join(&self.manifest))),
            "--locked".to_owned(),
        ];
        for file in &self.configuration {
            argv.push(format!("--config={}", text(source.join(file))));
        }
        argv.extend_from_slice(arguments);
        context.run(&Process {
            argv,
            // Cargo reads configuration in the directory that it starts in and all above it: in
            // the user's home, for one. Here there is none.
            working_directory: PathBuf::from("/"),
            environment,
            standard_output,
        })
    }

    /// The variables of a step that makes something: without network, its own home for Cargo, and
    /// a compiler that keeps the action's directories to itself.
    ///
    /// # Errors
    /// When Cargo's home can't be written.
    pub(crate) fn build_environment(
        &self,
        context: &dyn RunContext,
    ) -> Result<BTreeMap<String, String>, Diagnostic> {
        let inputs = context.inputs();
        let home = context.scratch().join("cargo-home");
        let configuration = if self.vendored.is_empty() {
            String::new()
        } else {
            lock::vendored(&self.vendored, &inputs.join(VENDOR).to_string_lossy())
        };
        fs::create_dir_all(&home)
            .and_then(|()| fs::write(home.join("config.toml"), configuration))
            .map_err(|error| {
                Diagnostic::error("cargo.home", "a home for Cargo can't be made").caused_by(&error)
            })?;
        let mut variables = self.environment.clone();
        for name in C_FLAGS {
            // Build scripts cut them at spaces, so a directory with one can't be kept secret.
            if let Some(flags) = prefix_maps(&[inputs, context.scratch()]) {
                let own = variables.remove(name).unwrap_or_default();
                variables.insert(name.into(), format!("{own} {flags}").trim().to_owned());
            }
        }
        if let Some(own) = variables.remove(WRAPPER_VARIABLE) {
            variables.insert("SYNTH_RUSTC_WRAPPER".into(), own);
        }
        if self.stable_metadata {
            variables.insert("SYNTH_STABLE_METADATA".into(), "1".into());
        }
        let path = |path: &Path| path.to_string_lossy().into_owned();
        variables.extend([
            (WRAPPER_VARIABLE.to_owned(), path(&inputs.join(WRAPPER))),
            (
                "SYNTH_CARGO_TARGET".to_owned(),
                path(&target_directory(context)),
            ),
            ("CARGO_HOME".to_owned(), path(&home)),
        ]);
        variables.extend(self.common());
        Ok(variables)
    }

    /// The variables of a step that brings packages in, with the user's own home for Cargo: its
    /// downloads, registries and credentials.
    pub(crate) fn install_environment(&self) -> BTreeMap<String, String> {
        let mut variables = self.environment.clone();
        variables.extend(self.common());
        variables
    }

    fn common(&self) -> [(String, String); 4] {
        [
            ("RUSTC", self.rustc.to_string_lossy().as_ref()),
            ("CARGO_INCREMENTAL", "0"),
            ("CARGO_TERM_COLOR", "never"),
            ("CARGO_TERM_PROGRESS_WHEN", "never"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
    }
}

/// Lines of what Cargo says of a failure that are told; the log has all.
const MOST_LINES: usize = 10;

/// Where Cargo builds.
pub(crate) fn target_directory(context: &dyn RunContext) -> PathBuf {
    context.scratch().join("target")
}

/// Flags that have a compiler of C (GCC 8, Clang 10 and later) write other names for directories.
fn prefix_maps(directories: &[&Path]) -> Option<String> {
    let mut flags = Vec::new();
    for directory in directories {
        let directory = directory.to_str()?;
        if directory.contains(|c: char| c.is_whitespace() || c == '=') {
            return None;
        }
        flags.push(format!("-ffile-prefix-map={directory}=/build"));
    }
    Some(flags.join(" "))
}

/// A call of Cargo that failed, in the words that Cargo has for it.
pub(crate) fn failed(
    code: &str,
    subcommand: &str,
    outcome: &ProcessOutcome,
    context: &dyn RunContext,
) -> Diagnostic {
    let end = match outcome.exit_code {
        Some(code) => format!("failed with exit code {code}"),
        None => "was ended by a signal".to_owned(),
    };
    let mut problem = Diagnostic::error(code, format!("`cargo {subcommand}` {end}"));
    // Where this happened to run says nothing to anybody.
    let source = context.inputs().join(SOURCE);
    let source = source.to_string_lossy();
    let said = outcome
        .last_output
        .replace(&format!("{source}/"), "")
        .replace(&*source, ".");
    let lines = said.lines().skip_while(|line| !line.starts_with("error"));
    for line in lines.take(MOST_LINES) {
        let line = line.trim();
        if !line.is_empty() && line != "Caused by:" {
            problem = problem.cause(line.strip_prefix("error: ").unwrap_or(line));
        }
    }
    for (words, help) in [
        (
            "--locked",
            "Cargo.lock does not fit Cargo.toml: `cargo update --workspace` corrects it",
        ),
        (
            "can't find crate for `std`",
            "the toolchain lacks the platform of `target`: `rustup target add` brings it in",
        ),
        (
            "linker `cc` not found",
            "install a C compiler, which links programs: `apt-get install gcc`",
        ),
        (
            "offline",
            "without network only what is vendored or was downloaded before can be used",
        ),
    ] {
        if said.contains(words) {
            problem = problem.help(help);
        }
    }
    problem
}
