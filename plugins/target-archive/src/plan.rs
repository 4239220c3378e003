//! The plan: one action that has everything laid out at its place, and packs it.

use serde_json::json;
use synth_core::{Action, InputSource, Native, Phase, Plan, ProjectPath};

use crate::contents::Contents;
use crate::pack::{self, Parameters};

/// Where the archive's contents are laid out.
const TREE: &str = "tree";

/// The plan of a target without problems.
pub(crate) fn plan(contents: &Contents) -> Plan {
    let parameters = Parameters {
        name: contents.name.clone(),
        formats: contents.formats.clone(),
        level: contents.level,
        root: contents.root.clone(),
        tree: TREE.into(),
        time: contents.time,
    };
    let mut pack = Action::new(
        "pack",
        Phase::Assemble,
        format!("pack {}", file_names(contents)),
        Native::new(pack::FUNCTION).parameters(json!(parameters)),
    )
    .output_directory(pack::OUTPUT, pack::OUTPUT);
    if let Some(sources) = &contents.sources {
        pack = pack.input(TREE, InputSource::Source(sources.clone()));
    }
    for (need, place) in &contents.needs {
        let name = need.clone();
        pack = pack.input(below(TREE, place), InputSource::Target { name });
    }
    let mut plan = Plan {
        warnings: contents.warnings.clone(),
        ..Plan::default()
    }
    .action(pack)
    .export("pack", pack::OUTPUT, "");
    for format in &contents.formats {
        // The name may hold what a pattern takes for a wildcard; the extension is enough.
        let pattern = format!("*.{}", format.extension());
        plan = plan.artifact(format.artifact_kind(), pattern);
    }
    plan
}

fn file_names(contents: &Contents) -> String {
    let names = contents.formats.iter().map(|format| format.extension());
    let extensions: Vec<&str> = names.collect();
    format!("{}.{}", contents.name, extensions.join(", ."))
}

fn below(directory: &str, place: &ProjectPath) -> String {
    if place.is_root() {
        directory.to_owned()
    } else {
        format!("{directory}/{}", place.as_str())
    }
}
