//! `synth plugin verify`: everything that can be known of a library, up to opening it once in a
//! process of its own.

use synth_core::Diagnostic;
use synth_engine::Registry;
use synth_engine::plugin::{FoundPlugin, Selection, verify};

use super::{Outcome, Scene, missing, print};
use crate::arguments::{Global, PluginVerifyArguments};
use crate::exit;
use crate::render::diagnostics;

pub(crate) fn run(
    global: &Global,
    arguments: &PluginVerifyArguments,
    linked: &Registry,
) -> Outcome {
    let scene = Scene::new(global)?;
    let found = match &arguments.plugin {
        Some(name) => scene.find(name)?,
        None => scene.survey.found.clone(),
    };
    let selections = scene.survey.selections(linked);
    let mut problems: Vec<Diagnostic> = Vec::new();
    for found in &found {
        let own = verify(
            found,
            &scene.survey.limits(&found.kind),
            &scene.options.host,
        );
        let chosen = selections.get(&found.kind);
        match own.err().or_else(|| of_selection(chosen, &problems)) {
            Some(problem) => {
                diagnostics::show(std::slice::from_ref(&problem), Some(&scene.directory));
                problems.push(problem);
            }
            None if !global.quiet => print(&line(found)),
            None => {}
        }
    }
    if arguments.plugin.is_none() {
        for (_, problem) in missing(&scene.survey, &selections) {
            diagnostics::show(std::slice::from_ref(problem), Some(&scene.directory));
            problems.push(problem.clone());
        }
    }
    if !global.quiet && found.is_empty() && problems.is_empty() {
        print("no plugins are found");
    }
    Ok(if problems.is_empty() {
        exit::SUCCESS
    } else {
        exit::of_problems(&problems)
    })
}

/// A conflict or a wrong pin, told once.
fn of_selection(selection: Option<&Selection>, told: &[Diagnostic]) -> Option<Diagnostic> {
    match selection {
        Some(Selection::Unusable(problem)) => {
            let is_told = told.iter().any(|told| told.message == problem.message);
            (!is_told).then(|| problem.clone())
        }
        _ => None,
    }
}

fn line(found: &FoundPlugin) -> String {
    let name = found
        .file
        .as_ref()
        .map(|file| file.name())
        .unwrap_or_default();
    format!(
        "{:>10} {}: {name} at {}",
        "good",
        found.kind,
        found.path.display()
    )
}
