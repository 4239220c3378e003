//! What a target's table asks for, and everything that is wrong with it.

use synth_core::{
    Diagnostic, FileKind, PlanContext, PlanError, ProjectPath, SourceFiles, TargetSpec,
};

use crate::effects::{self, EffectCommand};
use crate::patterns;
use crate::programs::{self, Program};
use crate::resources;
use crate::settings::Settings;

/// The shell that a script is given to.
const SHELL: [&str; 2] = ["sh", "-euc"];

/// The longest argument that Linux hands to a process is 128 KiB.
const MOST_SCRIPT_BYTES: usize = 120 * 1024;

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) settings: Settings,
    /// Program and arguments, as they were said.
    pub(crate) argv: Vec<String>,
    /// What the first of them is.
    pub(crate) program: Program,
    /// Other programs, with the place of each.
    pub(crate) tools: Vec<(Program, Vec<String>)>,
    /// What publishes, if anything does.
    pub(crate) effects: Vec<EffectCommand>,
}

/// What was found of a target's table.
pub(crate) struct Reading {
    /// None when one of the problems is an error.
    pub(crate) recipe: Option<Recipe>,
    pub(crate) problems: Vec<Diagnostic>,
}

/// Reads a target's table.
pub(crate) fn read(target: &TargetSpec, context: &dyn PlanContext) -> Reading {
    let settings: Settings = match target.settings_as() {
        Ok(settings) => settings,
        Err(problem) => {
            return Reading {
                recipe: None,
                problems: vec![problem],
            };
        }
    };
    let mut problems = pattern_problems(&settings);
    let patterns_are_sound = problems.is_empty();
    problems.extend(other_problems(target, &settings));
    problems.extend(resources::problems(&settings));
    let (argv, program) = match argv(target, &settings) {
        Ok((argv, program)) => (argv, Some(program)),
        Err(found) => {
            problems.extend(found);
            (Vec::new(), None)
        }
    };
    problems.extend(programs::shell_words(&settings));
    let (tools, found) = programs::tools(&settings.tools);
    problems.extend(found);
    let (effects, found) = effects::read(&settings);
    problems.extend(found);
    if patterns_are_sound {
        let found = file_problems(target, &settings, program.as_ref(), context);
        problems.extend(found.unwrap_or_else(|error| vec![unreadable(target, &error)]));
    }
    let sound = !problems.iter().any(Diagnostic::is_error);
    let recipe = program.filter(|_| sound).map(|program| Recipe {
        settings,
        argv,
        program,
        tools,
        effects,
    });
    Reading { recipe, problems }
}

impl Recipe {
    /// The setting that names the program.
    pub(crate) fn program_setting(&self) -> Vec<String> {
        let setting = match (&self.settings.script, &self.settings.shell) {
            (Some(_), Some(_)) => "shell",
            (Some(_), None) => return vec!["script".to_owned()],
            (None, _) => "command",
        };
        vec![setting.to_owned(), "0".to_owned()]
    }
}

/// What is run, as it was said.
fn argv(
    target: &TargetSpec,
    settings: &Settings,
) -> Result<(Vec<String>, Program), Vec<Diagnostic>> {
    let argv = match (&settings.command, &settings.script) {
        (Some(command), None) if settings.shell.is_none() => command.clone(),
        (None, Some(script)) => {
            check_script(script)?;
            let default = || SHELL.map(ToOwned::to_owned).to_vec();
            let mut argv = settings.shell.clone().unwrap_or_else(default);
            if !argv.is_empty() {
                argv.push(script.clone());
            }
            argv
        }
        _ => return Err(vec![not_one(target, settings)]),
    };
    let setting = match (&settings.script, &settings.shell) {
        (None, _) => "command",
        (Some(_), Some(_)) => "shell",
        (Some(_), None) => "script",
    };
    if let Some(index) = argv.iter().position(|argument| argument.contains('\0')) {
        let message = format!("an argument of `{setting}` holds a NUL character");
        let place = [setting, &index.to_string()];
        return Err(vec![error("command.nul", message, &place).help(
            "an argument can't hold one; write such data to a file from a program",
        )]);
    }
    let Some(first) = argv.first() else {
        let problem = error("command.empty", format!("`{setting}` is empty"), &[setting]);
        return Err(vec![
            problem.help("name a program and its arguments: `[\"make\", \"all\"]`"),
        ]);
    };
    match Program::parse(first) {
        Ok(program) => Ok((argv, program)),
        Err(problem) => Err(vec![problem.at_setting([setting, "0"])]),
    }
}

/// A table that says nothing to run, or several things.
fn not_one(target: &TargetSpec, settings: &Settings) -> Diagnostic {
    let name = &target.name;
    match (&settings.command, &settings.script) {
        (Some(_), Some(_)) => {
            let message = format!("target `{name}` has both `command` and `script`");
            error("command.both", message, &["script"]).help("keep the one that is to run")
        }
        (Some(_), None) => {
            let message = "`shell` is set, but there is no script".to_owned();
            error("command.shell.unused", message, &["shell"])
                .help("no shell reads `command`: write `script` instead, or leave `shell` out")
        }
        (None, _) => {
            let message = format!("target `{name}` has nothing to run");
            error("command.none", message, &[])
                .help("add `command = [\"make\"]`, or lines for a shell in `script`")
        }
    }
}

fn check_script(script: &str) -> Result<(), Vec<Diagnostic>> {
    if script.trim().is_empty() {
        let problem = error("command.empty", "`script` is empty".to_owned(), &["script"]);
        return Err(vec![problem.help("write the lines that a shell is to run")]);
    }
    if script.len() > MOST_SCRIPT_BYTES {
        let kilobytes = script.len() / 1024;
        let problem = format!("`script` has {kilobytes} KiB, more than a process can be given");
        let problem = error("command.script.long", problem, &["script"]);
        let help = "put it into a file below the source directory: `command = [\"./build.sh\"]`";
        return Err(vec![problem.help(help)]);
    }
    Ok(())
}

/// Each is looked for at any depth, which takes its time with thousands of them.
const MOST_SCRATCH: usize = 100;

fn pattern_problems(settings: &Settings) -> Vec<Diagnostic> {
    let optional = |patterns: &Option<Vec<String>>| patterns.clone().unwrap_or_default();
    let mut problems = Vec::new();
    for (setting, patterns) in [
        ("inputs", optional(&settings.inputs)),
        ("exclude", settings.exclude.clone()),
        ("outputs", settings.outputs.clone()),
        ("scratch", settings.scratch.clone()),
        ("artifacts", optional(&settings.artifacts)),
    ] {
        problems.extend(patterns::check(setting, &patterns));
    }
    if settings.scratch.len() > MOST_SCRATCH {
        let message = format!(
            "`scratch` has {} patterns, and {MOST_SCRATCH} are the most",
            settings.scratch.len()
        );
        let problem = error("command.scratch.many", message, &["scratch"]);
        problems.push(problem.help("name directories, or use `*`"));
    }
    for (index, output) in settings.outputs.iter().enumerate() {
        let place = ["outputs".to_owned(), index.to_string()];
        if ["**", "*"].contains(&patterns::normal(output)) {
            problems.push(
                Diagnostic::error(
                    "command.outputs.everything",
                    format!("`{output}` of `outputs` leaves nothing to be an input"),
                )
                .at_setting(place)
                .help("name the files or the directory that the command writes, such as `dist/**`"),
            );
            continue;
        }
        let inputs = settings.inputs.iter().flatten();
        let same = |input: &&String| patterns::normal(input) == patterns::normal(output);
        if inputs.clone().any(|input| same(&input)) {
            problems.push(
                Diagnostic::error(
                    "command.overlap",
                    format!("`{output}` is both among `inputs` and among `outputs`"),
                )
                .at_setting(place)
                .help("a file is either read or left: have the command write elsewhere; one that only checks has no outputs"),
            );
        }
    }
    problems
}

/// What is wrong with everything but the command and the patterns.
fn other_problems(target: &TargetSpec, settings: &Settings) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    for (index, name) in settings.pass_environment.iter().enumerate() {
        let stem = name.strip_suffix('*').unwrap_or(name);
        if name.is_empty() || stem.contains(['*', '=', '\0', ' ']) {
            let message = match name.as_str() {
                "" => "an empty text can't be a variable's name".to_owned(),
                name => format!("`{}` can't be a variable's name", name.escape_debug()),
            };
            let place = ["pass_environment", &index.to_string()];
            problems.push(
                error("command.variable", message, &place)
                    .help("name variables, not values; only the last character may be `*`"),
            );
        }
    }
    if settings.timeout_seconds == Some(0) {
        let message = "`timeout_seconds` is 0, which leaves no time".to_owned();
        problems.push(
            error("command.timeout", message, &["timeout_seconds"])
                .help("leave it out for an hour"),
        );
    }
    if settings.outputs.is_empty() {
        let unused = [
            ("output_path", target.output_path_chosen),
            ("artifacts", settings.artifacts.is_some()),
        ];
        problems.extend(unused.iter().filter(|(_, said)| *said).map(|(key, _)| {
            let message = format!("`{key}` has no effect without `outputs`");
            Diagnostic::warning("command.unused", message)
                .at_setting([*key])
                .help("say in `outputs` what the command leaves")
        }));
    }
    if !target.dependencies.is_empty() {
        problems.push(
            Diagnostic::warning(
                "command.unused",
                "a command installs no packages: `dependencies` has no effect",
            )
            .at_setting(["dependencies"])
            .help("targets that it uses are named in `needs`, programs in `tools`"),
        );
    }
    problems
}

/// What is wrong with the settings when they are held against the files that are there.
fn file_problems(
    target: &TargetSpec,
    settings: &Settings,
    program: Option<&Program>,
    context: &dyn PlanContext,
) -> Result<Vec<Diagnostic>, PlanError> {
    let below = || SourceFiles::below(target.source_path.clone());
    let mut problems = Vec::new();
    let mut listed = None;
    if let Some(inputs) = settings.inputs.as_ref().filter(|inputs| !inputs.is_empty()) {
        let files = context.files(&below().include(inputs).exclude(&settings.exclude))?;
        problems.extend(unmatched(settings, inputs, &files));
        listed = Some(files);
    }
    if let Some(Program::Source(path)) = program {
        let problem = source_program(target, settings, path, listed.as_deref(), context)?;
        problems.extend(problem);
    }
    if !settings.outputs.is_empty() && !target.output_path_chosen {
        let foreign = context.files(&below().include(&settings.outputs))?;
        problems.extend(foreign_outputs(target, &foreign));
    }
    Ok(problems)
}

/// Inputs that are none: patterns that match nothing, or nothing but outputs.
fn unmatched(settings: &Settings, inputs: &[String], files: &[String]) -> Vec<Diagnostic> {
    let outputs = patterns::set(&settings.outputs).unwrap_or_default();
    let mut problems = Vec::new();
    for (index, input) in inputs.iter().enumerate() {
        let place = ["inputs".to_owned(), index.to_string()];
        let one = patterns::set(std::slice::from_ref(input)).unwrap_or_default();
        let mut matched = files.iter().filter(|file| one.is_match(file)).peekable();
        if matched.peek().is_none() {
            let message = format!("no source matches `{input}` of `inputs`");
            let problem = Diagnostic::warning("command.inputs.unmatched", message)
                .at_setting(place)
                .help("patterns are relative to `source_path`; what other targets leave is no source: name them in `needs`");
            problems.push(problem);
        } else if matched.all(|file| outputs.is_match(file)) {
            let message = format!("all that `{input}` of `inputs` matches is among `outputs`");
            let problem = Diagnostic::error("command.overlap", message)
                .at_setting(place)
                .help("a file is either read or left: have the command write elsewhere; one that only checks has no outputs");
            problems.push(problem);
        }
    }
    if files.is_empty() {
        // A command without any of its inputs is a slip, not a choice.
        for problem in &mut problems {
            problem.severity = synth_core::Severity::Error;
        }
    }
    problems
}

/// Why a program below the source directory can't be run.
fn source_program(
    target: &TargetSpec,
    settings: &Settings,
    path: &ProjectPath,
    listed: Option<&[String]>,
    context: &dyn PlanContext,
) -> Result<Option<Diagnostic>, PlanError> {
    let Ok(place) = target.source_path.join(path.as_str()) else {
        return Ok(None);
    };
    let problem = |message: String| {
        let setting = if settings.shell.is_some() {
            "shell"
        } else {
            "command"
        };
        error("command.program", message, &[setting, "0"])
    };
    Ok(match context.kind(&place)? {
        None | Some(FileKind::Other) => Some(
            problem(format!("there is no program `{path}` in `{}`", target.source_path))
                .help("a program on the `PATH` is named without `/`; what another target leaves is reached through `SYNTH_OUT_NAME` in a `script`"),
        ),
        Some(FileKind::Directory) => Some(
            problem(format!("`{path}` in `{}` is a directory", target.source_path))
                .help("name the program in it"),
        ),
        Some(FileKind::File | FileKind::Symlink) => {
            let mut without = settings.exclude.clone();
            without.extend(settings.outputs.clone());
            let left_out = patterns::set(&without).unwrap_or_default();
            let listed = listed.is_none_or(|files| files.iter().any(|file| file == path.as_str()));
            let is_input = listed
                && !left_out.is_match(path.as_str())
                && settings.inputs.as_ref().is_none_or(|inputs| !inputs.is_empty());
            (!is_input).then(|| {
                problem(format!("the program `{path}` is not among the inputs"))
                    .help("add it to `inputs`; what `exclude` and `outputs` match is none")
            })
        }
    })
}

/// Files that are there where outputs go, and are not synth's.
fn foreign_outputs(target: &TargetSpec, files: &[String]) -> Option<Diagnostic> {
    let (first, others) = files.split_first()?;
    let others = match others.len() {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    let message = format!(
        "`outputs` of target `{}` match files that synth did not write: `{first}`{others}",
        target.name
    );
    Some(
        Diagnostic::warning("command.outputs.present", message)
            .at_setting(["outputs"])
            .help("they count as outputs and not as sources, and are replaced by nothing but the same bytes: remove them, or move them away"),
    )
}

fn unreadable(target: &TargetSpec, cause: &PlanError) -> Diagnostic {
    let message = format!("the sources of target `{}` can't be read", target.name);
    error("command.sources", message, &["source_path"]).caused_by(cause)
}

pub(crate) fn error(code: &str, message: String, setting: &[&str]) -> Diagnostic {
    Diagnostic::error(code, message).at_setting(setting.iter().copied())
}
