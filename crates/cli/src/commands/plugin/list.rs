//! `synth plugin list`: every library that is found, and what becomes of it.

use serde::Serialize;
use synth_core::Diagnostic;
use synth_engine::Registry;
use synth_engine::plugin::{FoundPlugin, Record, Survey};

use super::{Outcome, Scene, State, isolation, missing, print, print_json, state, table};
use crate::arguments::{Global, PluginListArguments, ReportFormat};
use crate::exit;
use crate::render::diagnostics;

/// The JSON form.
#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    plugins: Vec<PluginReport<'a>>,
    /// What synth.toml or synth.lock asks for and is nowhere found.
    missing: Vec<MissingReport<'a>>,
}

#[derive(Serialize)]
struct MissingReport<'a> {
    kind: &'a str,
    problem: &'a Diagnostic,
}

#[derive(Serialize)]
pub(super) struct PluginReport<'a> {
    kind: &'a str,
    #[serde(rename = "crate")]
    crate_name: Option<&'a str>,
    version: Option<String>,
    description: Option<&'a str>,
    interface: Option<String>,
    triple: Option<&'a str>,
    rustc: Option<&'a str>,
    isolation: &'static str,
    path: String,
    found_in: &'static str,
    sha256: Option<&'a str>,
    installed_from: Option<String>,
    /// Whether it brings its kind.
    chosen: bool,
    /// Whether a target of synth.toml is of its kind.
    used: bool,
    /// Whether synth.lock has its digest.
    pinned: bool,
    problem: Option<&'a Diagnostic>,
}

pub(crate) fn run(global: &Global, arguments: &PluginListArguments, linked: &Registry) -> Outcome {
    let scene = Scene::new(global)?;
    let survey = &scene.survey;
    let selections = survey.selections(linked);
    let states: Vec<(&FoundPlugin, State<'_>)> = survey
        .found
        .iter()
        .map(|found| (found, state(survey, found, selections.get(&found.kind))))
        .collect();
    let missing = missing(survey, &selections);
    if arguments.format == ReportFormat::Json {
        let plugins = states
            .iter()
            .map(|(found, state)| report(survey, found, state));
        let missing = missing.iter();
        print_json(&Report {
            version: 1,
            plugins: plugins.collect(),
            missing: missing
                .map(|(kind, problem)| MissingReport { kind, problem })
                .collect(),
        })?;
        return Ok(exit::SUCCESS);
    }
    if states.is_empty() && missing.is_empty() {
        print("no plugins are found");
        return Ok(exit::SUCCESS);
    }
    let rows = states
        .iter()
        .map(|(found, state)| row(survey, found, state));
    let absent = missing
        .iter()
        .map(|(kind, _)| [kind, "", "", "", "not installed", ""].map(ToOwned::to_owned));
    let header = [
        "kind",
        "plugin",
        "interface",
        "isolation",
        "state",
        "library",
    ];
    print(&table(header, rows.chain(absent)));
    if !global.quiet {
        show_problems(&scene, &states, &missing);
    }
    Ok(exit::SUCCESS)
}

/// Why libraries can't be used: each reason once, below the table.
fn show_problems(
    scene: &Scene,
    states: &[(&FoundPlugin, State<'_>)],
    missing: &[(&str, &Diagnostic)],
) {
    let mut shown: Vec<&Diagnostic> = missing.iter().map(|(_, problem)| *problem).collect();
    for (_, state) in states {
        if let State::Unusable(problem) = state
            && !shown.contains(problem)
        {
            shown.push(problem);
        }
    }
    if !shown.is_empty() {
        print("");
    }
    for problem in shown {
        let mut problem = problem.clone();
        problem.severity = synth_core::Severity::Warning;
        diagnostics::show(&[problem], Some(&scene.directory));
    }
}

fn row(survey: &Survey, found: &FoundPlugin, state: &State<'_>) -> [String; 6] {
    let file = found.file.as_ref();
    let unknown = || "?".to_owned();
    [
        found.kind.clone(),
        file.map_or_else(unknown, |file| file.name()),
        file.map_or_else(unknown, |file| file.manifest.interface.to_string()),
        isolation(survey, &found.kind).to_owned(),
        state.words(survey.uses(&found.kind)),
        found.path.display().to_string(),
    ]
}

pub(super) fn report<'a>(
    survey: &Survey,
    found: &'a FoundPlugin,
    state: &State<'a>,
) -> PluginReport<'a> {
    let file = found.file.as_ref();
    let manifest = file.map(|file| &file.manifest);
    let record = file.and_then(Record::read);
    PluginReport {
        kind: &found.kind,
        crate_name: manifest.map(|manifest| manifest.crate_name.as_str()),
        version: manifest.map(|manifest| manifest.version.to_string()),
        description: manifest.map(|manifest| manifest.target.description.as_str()),
        interface: manifest.map(|manifest| manifest.interface.to_string()),
        triple: manifest.map(|manifest| manifest.triple.as_str()),
        rustc: manifest.map(|manifest| manifest.rustc.as_str()),
        isolation: isolation(survey, &found.kind),
        path: found.path.display().to_string(),
        found_in: found.origin.name(),
        sha256: file.map(|file| file.sha256.as_str()),
        installed_from: record.map(|record| record.source.to_string()),
        chosen: matches!(state, State::Chosen { .. }),
        used: survey.uses(&found.kind),
        pinned: matches!(state, State::Chosen { pinned: true }),
        problem: match state {
            State::Unusable(problem) => Some(problem),
            _ => None,
        },
    }
}
