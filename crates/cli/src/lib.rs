//! The `synth` command as a library: arguments in; progress, reports and exit codes out. Also the
//! one place that knows both the engine and the kinds that synth brings, and so the front for
//! those who build from Rust.

#![forbid(unsafe_code)]

mod arguments;
mod commands;
pub mod exit;
mod render;
mod size;

use std::path::Path;
use std::process::ExitCode;
#[cfg(any(feature = "python", feature = "docker", feature = "static"))]
use std::sync::Arc;

use clap::Parser;
use synth_core::Diagnostic;

pub use synth_engine::{BuildManager, BuildOrchestrator, BuildReport, BuildResult, Registry};
#[cfg(feature = "docker")]
pub use synth_target_docker::create_docker_build_target;
#[cfg(feature = "python")]
pub use synth_target_python::create_python_build_target;
#[cfg(feature = "static")]
pub use synth_target_static::create_static_build_target;

/// The kinds that this build of synth brings.
#[must_use]
pub fn kinds() -> Registry {
    let registry = Registry::new();
    #[cfg(feature = "python")]
    let registry = registry.with(Arc::new(synth_target_python::PythonTarget));
    #[cfg(feature = "docker")]
    let registry = registry.with(Arc::new(synth_target_docker::DockerTarget));
    #[cfg(feature = "static")]
    let registry = registry.with(Arc::new(synth_target_static::StaticTarget));
    registry
}

/// Builds what a configuration file describes, with the kinds that synth brings.
///
/// ```
/// let directory = tempfile::tempdir()?;
/// std::fs::create_dir(directory.path().join("web"))?;
/// std::fs::write(
///     directory.path().join("web/index.html"),
///     "<!doctype html><html lang=en><title>Shop</title><p>Open</p></html>",
/// )?;
/// let config = directory.path().join("synth.toml");
/// std::fs::write(&config, "[targets.site]\ntype = \"static\"\nsource_path = \"web\"\n")?;
///
/// let report = synth_cli::orchestrate_build_pipeline(&config)
///     .map_err(|problems| format!("{problems:?}"))?;
/// assert!(report.success);
/// assert!(directory.path().join("dist/site/index.html").is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// When the build did not begin: every problem.
pub fn orchestrate_build_pipeline(config: &Path) -> Result<BuildReport, Vec<Diagnostic>> {
    synth_engine::orchestrate_build_pipeline(config, kinds())
}

/// Does what the command line asks for.
#[must_use]
pub fn main() -> ExitCode {
    main_with(kinds)
}

/// As [`main`], with other kinds than those that synth brings: the `main` of a program that is
/// `synth` with a kind of one's own linked in.
///
/// ```no_run
/// # use std::process::ExitCode;
/// fn main() -> ExitCode {
///     // .with(Arc::new(MyTarget)), for a kind that implements `synth_core::BuildTarget`.
///     synth_cli::main_with(|| synth_cli::kinds().without("docker"))
/// }
/// ```
#[must_use]
pub fn main_with(kinds: impl FnOnce() -> Registry) -> ExitCode {
    if let Some(code) = host() {
        return code;
    }
    let arguments = match arguments::Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version go to standard output and are no error.
            let code = if error.use_stderr() {
                exit::USAGE
            } else {
                exit::SUCCESS
            };
            // Nobody is left to tell when the terminal is gone.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    ExitCode::from(commands::run(&arguments, &commands::Kinds::new(kinds)))
}

/// The word that makes synth serve a plugin instead of reading its command line: for synth alone,
/// which starts itself with it.
pub(crate) const PLUGIN_HOST: &str = "plugin-host";

/// The word that makes synth the host of a sandbox: for synth alone too.
pub(crate) const SANDBOX_HOST: &str = "sandbox-host";

/// Serves a plugin or a sandbox when that is what the process was started for.
fn host() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let word = arguments.next()?;
    let served = if word == PLUGIN_HOST {
        let service = arguments.next().unwrap_or_default();
        synth_engine::plugin::serve(&service.to_string_lossy())
    } else if word == SANDBOX_HOST {
        synth_engine::sandbox::serve()
    } else {
        return None;
    };
    Some(match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            render::diagnostics::show(&[problem], None);
            ExitCode::from(exit::USAGE)
        }
    })
}
