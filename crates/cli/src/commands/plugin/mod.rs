//! `synth plugin`: one file a command.

mod info;
mod install;
mod list;
mod new;
mod remove;
mod update;
mod verify;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use comfy_table::{ContentArrangement, Table, presets};
use synth_core::Diagnostic;
use synth_engine::Registry;
use synth_engine::plugin::{
    FoundPlugin, Isolation, Origin, PROJECT_PLUGIN_DIRECTORY, PinState, PluginOptions, Selection,
    Survey,
};

use super::{Outcome, directory, plugin_options, print, print_json};
use crate::arguments::{Global, PluginCommand};
use crate::render::diagnostics;

pub(crate) fn run(global: &Global, command: &PluginCommand, linked: &Registry) -> Outcome {
    match command {
        PluginCommand::New(arguments) => new::run(global, arguments, linked),
        PluginCommand::Install(arguments) => install::run(global, arguments, linked),
        PluginCommand::List(arguments) => list::run(global, arguments, linked),
        PluginCommand::Info(arguments) => info::run(global, arguments, linked),
        PluginCommand::Verify(arguments) => verify::run(global, arguments, linked),
        PluginCommand::Remove(arguments) => remove::run(global, arguments),
        PluginCommand::Update(arguments) => update::run(global, arguments, linked),
    }
}

/// What the commands look at: the plugins of a directory, with a synth.toml or without.
struct Scene {
    directory: PathBuf,
    options: PluginOptions,
    survey: Survey,
}

impl Scene {
    fn new(global: &Global) -> Result<Self, Vec<Diagnostic>> {
        let directory = directory(global)?;
        let options = plugin_options(global, &directory)?;
        let config = global.config.as_deref();
        let (survey, warnings) = Survey::of_directory(&directory, config, &options)?;
        if !global.quiet {
            diagnostics::show(&warnings, Some(&directory));
        }
        Ok(Self {
            directory,
            options,
            survey,
        })
    }

    /// The same again, after something was installed or removed.
    fn again(&self, global: &Global) -> Result<Survey, Vec<Diagnostic>> {
        let config = global.config.as_deref();
        Survey::of_directory(&self.directory, config, &self.options).map(|(survey, _)| survey)
    }

    /// The user's plugin directory, or the project's.
    fn install_directory(&self, project: bool) -> Result<PathBuf, Vec<Diagnostic>> {
        if project {
            let root = self.survey.root().unwrap_or(&self.directory);
            return Ok(root.join(PROJECT_PLUGIN_DIRECTORY));
        }
        self.options.directories.user.clone().ok_or_else(|| {
            vec![
                Diagnostic::error("plugin.home", "the user has no directory for plugins")
                    .concerning(synth_core::Concern::Environment)
                    .help("set `HOME` or `XDG_DATA_HOME`, or install with `--project`"),
            ]
        })
    }

    /// The libraries of a kind, or the one in a file.
    fn find(&self, plugin: &str) -> Result<Vec<FoundPlugin>, Vec<Diagnostic>> {
        if is_file_name(plugin) {
            let path = self.directory.join(plugin);
            return Ok(vec![FoundPlugin::at(&path, Origin::Flag)]);
        }
        let of_kind = |found: &&FoundPlugin| found.kind == plugin;
        let found: Vec<FoundPlugin> = self.survey.found.iter().filter(of_kind).cloned().collect();
        if found.is_empty() {
            return Err(vec![not_found(&self.survey, plugin)]);
        }
        Ok(found)
    }
}

/// Whether a word names a file and no kind or crate.
fn is_file_name(word: &str) -> bool {
    let end = Path::new(word).extension();
    word.contains('/') || end.is_some_and(|end| end == "so" || end == "dylib")
}

fn not_found(survey: &Survey, kind: &str) -> Diagnostic {
    let mut kinds: Vec<&str> = survey
        .found
        .iter()
        .map(|found| found.kind.as_str())
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    let problem = Diagnostic::error("plugin.unknown", format!("no plugin for `{kind}` is found"));
    let problem = if kinds.is_empty() {
        problem
    } else {
        problem.help(format!("there are plugins for {}", words(&kinds)))
    };
    problem.help(format!("`synth plugin install {kind}` installs one"))
}

/// `a`, `b`.
fn words(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}

/// What became of a library when the kinds' libraries were chosen.
enum State<'a> {
    /// It is the one that brings its kind.
    Chosen { pinned: bool },
    /// It can't be used.
    Unusable(&'a Diagnostic),
    /// Another one was chosen, or the kind that is linked in.
    Other,
}

fn state<'a>(
    survey: &Survey,
    found: &'a FoundPlugin,
    selection: Option<&'a Selection>,
) -> State<'a> {
    if let Some(problem) = &found.problem {
        // The one of the selection has its place in synth.toml.
        return State::Unusable(match selection {
            Some(Selection::Unusable(placed)) if placed.message == problem.message => placed,
            _ => problem,
        });
    }
    match (selection, &found.file) {
        (Some(Selection::Plugin(chosen)), Some(file)) if chosen.sha256 == file.sha256 => {
            let pin = survey.lock.pin(&found.kind);
            State::Chosen {
                pinned: pin.is_some_and(|pin| pin.compare(file) == PinState::Same),
            }
        }
        (Some(Selection::Unusable(problem)), _) => State::Unusable(problem),
        _ => State::Other,
    }
}

impl State<'_> {
    fn words(&self, used: bool) -> String {
        match self {
            Self::Chosen { pinned } => {
                let mut words = vec![if used { "in use" } else { "ready" }];
                words.extend(pinned.then_some("pinned"));
                words.join(", ")
            }
            Self::Unusable(problem) => format!("unusable ({})", problem.code),
            Self::Other => "not chosen".to_owned(),
        }
    }
}

/// The kinds that synth.toml or synth.lock asks for and no library is found for, and what is told
/// of each.
fn missing<'a>(
    survey: &Survey,
    selections: &'a BTreeMap<String, Selection>,
) -> Vec<(&'a str, &'a Diagnostic)> {
    let absent = selections
        .iter()
        .filter_map(|(kind, selection)| match selection {
            Selection::Unusable(problem) => Some((kind.as_str(), problem)),
            _ => None,
        });
    absent
        .filter(|(kind, _)| !survey.found.iter().any(|found| found.kind == *kind))
        .collect()
}

fn isolation(survey: &Survey, kind: &str) -> &'static str {
    match survey.limits(kind).isolation {
        Isolation::Process => "process",
        Isolation::None => "none",
    }
}

/// A table in the style of all reports.
fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    if header.iter().any(|title| !title.is_empty()) {
        table.set_header(header);
    }
    for row in rows {
        table.add_row(row);
    }
    let lines: Vec<String> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n")
}
