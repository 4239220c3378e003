//! One file a command: arguments resolved, the engine asked, the answer shown.

mod build;
mod cache;
mod check;
mod clean;
mod effects;
mod explain;
mod history;
mod init;
#[cfg(feature = "docker")]
mod load;
mod log;
mod plan;
mod plugin;
mod recording;
mod schema;
mod signals;
mod stats;

use std::cell::{OnceCell, RefCell};
use std::io::Write;
use std::path::{Path, PathBuf};

use synth_core::{Diagnostic, EffectPhase};
use synth_engine::plugin::{
    HostProgram, PLUGIN_DIR_VARIABLE, PluginDirectories, PluginOptions, default_plugin_directory,
};
use synth_engine::{LoadOptions, Loaded, Registry, default_store_directory};

use crate::arguments::{Arguments, Command, Global};
use crate::render::diagnostics;
use crate::{PLUGIN_HOST, exit};

/// Does what was asked for; gives the exit code.
pub(crate) fn run(arguments: &Arguments, kinds: &Kinds<'_>) -> u8 {
    let global = &arguments.global;
    let result = match &arguments.command {
        Command::Build(arguments) => build::run(global, arguments, kinds),
        Command::Publish(arguments) => {
            effects::publish(global, arguments, EffectPhase::Publish, kinds)
        }
        Command::Deploy(arguments) => {
            effects::publish(global, arguments, EffectPhase::Deploy, kinds)
        }
        Command::Rollback(arguments) => effects::rollback(global, arguments, kinds),
        Command::Recover(arguments) => effects::recover(global, arguments, kinds),
        Command::Plan(arguments) => plan::run(global, arguments, kinds.get()),
        Command::Explain(arguments) => explain::run(global, arguments, kinds.get()),
        Command::History(arguments) => history::run(global, arguments),
        Command::Log(arguments) => log::run(global, arguments),
        Command::Stats(arguments) => stats::run(global, arguments),
        Command::Check(arguments) => check::run(global, arguments, kinds.get()),
        Command::Clean(arguments) => clean::run(global, arguments, kinds.get()),
        Command::Cache(command) => cache::run(global, command),
        Command::Init(arguments) => init::run(global, arguments, kinds.get()),
        Command::Schema(arguments) => schema::run(global, arguments, kinds.get()),
        Command::Plugin(command) => plugin::run(global, command, kinds.get()),
    };
    result.unwrap_or_else(|problems| {
        diagnostics::show(&problems, directory(global).ok().as_deref());
        let errors = problems.iter().filter(|problem| problem.is_error()).count();
        if errors > 1 {
            crate::render::tell(&format!("{errors} errors"));
        }
        exit::of_problems(&problems)
    })
}

/// The kinds that are linked in, asked what they are when somebody wants to know.
pub(crate) struct Kinds<'a> {
    make: RefCell<Option<Box<dyn FnOnce() -> Registry + 'a>>>,
    made: OnceCell<Registry>,
}

impl<'a> Kinds<'a> {
    pub(crate) fn new(make: impl FnOnce() -> Registry + 'a) -> Self {
        Self {
            make: RefCell::new(Some(Box::new(make))),
            made: OnceCell::new(),
        }
    }

    pub(crate) fn get(&self) -> &Registry {
        self.made.get_or_init(|| {
            let make = self.make.take();
            make.map_or_else(Registry::new, |make| make())
        })
    }
}

/// What a command gives: an exit code, or the problems that kept it from beginning.
type Outcome = Result<u8, Vec<Diagnostic>>;

/// The directory to work in, absolute.
fn directory(global: &Global) -> Result<PathBuf, Vec<Diagnostic>> {
    let given = global.directory.as_deref().unwrap_or(Path::new("."));
    let problem = |error: std::io::Error| {
        vec![
            Diagnostic::error(
                "command.directory",
                format!("`{}` can't be used as a directory", given.display()),
            )
            .caused_by(&error),
        ]
    };
    let directory = std::fs::canonicalize(given).map_err(problem)?;
    if !directory.is_dir() {
        return Err(problem(std::io::ErrorKind::NotADirectory.into()));
    }
    Ok(directory)
}

/// The directory that holds the project's state: that of the configuration file, which is not read.
fn root(global: &Global) -> Result<PathBuf, Vec<Diagnostic>> {
    let directory = directory(global)?;
    let Some(config) = &global.config else {
        return Ok(directory);
    };
    let above = directory.join(config);
    let above = above.parent().unwrap_or(&directory);
    std::fs::canonicalize(above).map_err(|error| {
        let message = format!("`{}` can't be used as a directory", above.display());
        vec![Diagnostic::error("command.directory", message).caused_by(&error)]
    })
}

/// The pipeline that the command line means, reduced to the targets it names, with the kinds that
/// are linked in and those of plugins.
fn load(global: &Global, targets: &[String], linked: &Registry) -> Result<Loaded, Vec<Diagnostic>> {
    let options = load_options(global);
    let directory = directory(global)?;
    let plugins = plugin_options(global, &directory)?;
    let mut loaded = Loaded::read(&directory, &options, linked, &plugins)?;
    loaded.pipeline = loaded.pipeline.select(targets)?;
    Ok(loaded)
}

/// What is read, and how.
fn load_options(global: &Global) -> LoadOptions {
    LoadOptions {
        config: global.config.clone(),
        environment: global.environment.clone(),
        pipeline: global.pipeline.clone(),
    }
}

/// Where plugins are looked for, and the program that hosts them: this one.
fn plugin_options(global: &Global, directory: &Path) -> Result<PluginOptions, Vec<Diagnostic>> {
    let variable = std::env::var_os(PLUGIN_DIR_VARIABLE).unwrap_or_default();
    let named = std::env::split_paths(&variable).filter(|path| !path.as_os_str().is_empty());
    Ok(PluginOptions {
        directories: PluginDirectories {
            flag: global
                .plugin_dir
                .iter()
                .map(|path| directory.join(path))
                .collect(),
            variable: named.map(|path| directory.join(path)).collect(),
            user: default_plugin_directory(),
        },
        index: Some(default_store_directory().join("plugins.json")),
        locked: global.locked,
        host: host_program(PLUGIN_HOST)?,
    })
}

/// This program, with the word that makes it serve something.
fn host_program(word: &str) -> Result<HostProgram, Vec<Diagnostic>> {
    let program = std::env::current_exe().map_err(|error| {
        vec![
            Diagnostic::error("internal", "synth can't tell where its own executable is")
                .concerning(synth_core::Concern::Internal)
                .caused_by(&error),
        ]
    })?;
    Ok(HostProgram {
        program,
        arguments: vec![word.into()],
    })
}

/// What waits for processes and signals.
fn runtime() -> Result<tokio::runtime::Runtime, Vec<Diagnostic>> {
    /// Each action that runs has one.
    const MOST_THREADS: usize = 8192;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(MOST_THREADS)
        .build()
        .map_err(|error| {
            let problem = Diagnostic::error("internal", "no threads can be started");
            let problem = problem.concerning(synth_core::Concern::Internal);
            vec![problem.caused_by(&error)]
        })
}

/// Writes to standard output, for people: when it can't be written, what was done is done.
fn print(text: &str) {
    let _ = writeln!(anstream::stdout(), "{text}");
}

/// Writes a value as JSON to standard output.
fn print_json<T: serde::Serialize>(value: &T) -> Result<(), Vec<Diagnostic>> {
    let text = serde_json::to_string_pretty(value).map_err(|error| {
        vec![
            Diagnostic::error("internal", "the report can't be written")
                .concerning(synth_core::Concern::Internal)
                .caused_by(&error),
        ]
    })?;
    match writeln!(anstream::stdout(), "{text}") {
        Ok(()) => Ok(()),
        // A reader that has gone away (`| head`) has what it wanted.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(vec![
            Diagnostic::error("state.output", "standard output can't be written")
                .concerning(synth_core::Concern::State)
                .caused_by(&error),
        ]),
    }
}
