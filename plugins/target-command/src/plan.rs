//! From what is asked for to an action.

use synth_core::{
    Action, Diagnostic, Exec, InputSource, Phase, Plan, PlanContext, SourceFiles, TargetSpec,
};

use crate::effects;
use crate::programs::{self, Program};
use crate::recipe::Recipe;
use crate::resources;
use crate::settings::Settings;

/// The kind of the artifacts.
const ARTIFACT: &str = "command.output";

/// The project's directory in the action's root: sources are at the same paths in it as in the
/// project, and nothing else is in it.
const PROJECT: &str = "project";

/// The plan: one action that runs the command in the source directory.
pub(crate) fn plan(
    target: &TargetSpec,
    recipe: &Recipe,
    context: &dyn PlanContext,
) -> Result<Plan, Vec<Diagnostic>> {
    let settings = &recipe.settings;
    let mut programs = vec![(&recipe.program, recipe.program_setting())];
    programs.extend(
        recipe
            .tools
            .iter()
            .map(|(tool, place)| (tool, place.clone())),
    );
    let effect_programs: Vec<_> = recipe
        .effects
        .iter()
        .map(|command| {
            let place = vec![command.setting.to_owned(), "0".to_owned()];
            (&command.program, place)
        })
        .chain(
            recipe
                .tools
                .iter()
                .map(|(tool, place)| (tool, place.clone())),
        )
        .collect();
    let effect = match recipe.effects.is_empty() {
        true => None,
        // They are no tools of the action, which does not run again when one of them changes, and
        // who only builds need not have them.
        false => {
            let found = effect_programs.iter().filter_map(|program| {
                let program = std::slice::from_ref(program);
                programs::find(program, context).ok()
            });
            let tools: Vec<_> = found.flatten().collect();
            effects::effect(target, settings, &recipe.effects, &tools)
        }
    };
    let tools = programs::find(&programs, context)?;
    let directory = match target.source_path.as_str() {
        "" => PROJECT.to_owned(),
        path => format!("{PROJECT}/{path}"),
    };
    let exec = Exec::new(argv(recipe, &directory))
        .working_directory(&directory)
        .variables(target.environment.clone())
        .pass(settings.pass_environment.clone());
    let checks = settings.outputs.is_empty();
    let phase = if checks { Phase::Test } else { Phase::Build };
    let mut action = Action::new("run", phase, description(recipe), exec)
        .input(&directory, sources(target, recipe))
        .scratch(scratch(settings, &directory));
    for name in &target.needs {
        let needed = InputSource::Target { name: name.clone() };
        action = action.input(format!("needs/{name}"), needed);
    }
    action = tools.into_iter().fold(action, Action::tool);
    action.resources = resources::of(recipe);
    if settings.network {
        action = action.with_network();
    }
    if let Some(seconds) = settings.timeout_seconds {
        action = action.timeout_seconds(seconds);
    }
    let mut plan = Plan::default();
    plan.effects.extend(effect);
    if checks {
        return Ok(plan.action(action).in_place());
    }
    action = action.output_files("outputs", directory, settings.outputs.clone());
    plan = plan.action(action).export("run", "outputs", "");
    if !target.output_path_chosen {
        plan = plan.in_place();
    }
    let artifacts = settings.artifacts.clone();
    let artifacts = artifacts.unwrap_or_else(|| vec![String::new()]);
    Ok(artifacts
        .into_iter()
        .fold(plan, |plan, pattern| plan.artifact(ARTIFACT, pattern)))
}

/// What the command reads of the project.
fn sources(target: &TargetSpec, recipe: &Recipe) -> InputSource {
    let settings = &recipe.settings;
    let root = target.source_path.clone();
    if settings.inputs.as_ref().is_some_and(Vec::is_empty) {
        // Its directory is there, with nothing in it.
        let paths = Vec::new();
        return InputSource::Files { root, paths };
    }
    let files = SourceFiles::below(root)
        .include(settings.inputs.iter().flatten())
        .exclude(&settings.exclude)
        .exclude(at_any_depth(&settings.scratch))
        .exclude(&settings.outputs);
    InputSource::Source(files)
}

/// What it may leave, where it is in the action's root.
fn scratch(settings: &Settings, directory: &str) -> Vec<String> {
    let patterns = at_any_depth(&settings.scratch);
    patterns
        .map(|pattern| format!("{directory}/{pattern}"))
        .collect()
}

/// Patterns of which those without `/` mean a name anywhere.
fn at_any_depth(patterns: &[String]) -> impl Iterator<Item = String> {
    patterns.iter().map(|pattern| {
        let pattern = pattern.trim_start_matches("./");
        match pattern.trim_end_matches('/').contains('/') {
            true => pattern.to_owned(),
            false => format!("**/{pattern}"),
        }
    })
}

/// Program and arguments, the program where it is in the action's root.
fn argv(recipe: &Recipe, directory: &str) -> Vec<String> {
    let mut argv = recipe.argv.clone();
    if let Some(first) = argv.first_mut() {
        *first = match &recipe.program {
            Program::Tool(request) => request.name.clone(),
            Program::Source(path) => format!("{directory}/{path}"),
        };
    }
    argv
}

/// What a person is told while it runs.
fn description(recipe: &Recipe) -> String {
    /// A longer command is cut.
    const MOST_CHARACTERS: usize = 60;
    if recipe.settings.script.is_some() {
        return "run the script".to_owned();
    }
    let command = recipe.argv.join(" ");
    let line: String = command
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    match line.char_indices().nth(MOST_CHARACTERS) {
        Some((end, _)) => format!("run {}..", &line[..end]),
        None => format!("run {line}"),
    }
}
