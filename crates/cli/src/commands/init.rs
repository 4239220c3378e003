//! `synth init`: asks every kind what it finds below the directory, and writes that down.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use serde_json::Value;
use synth_core::{Detection, Diagnostic, PlanContext, ProjectPath, Severity};
use synth_engine::plugin::Survey;
use synth_engine::{CONFIG_FILE_NAMES, Project, Registry};

use super::{Outcome, directory, plugin_options, print};
use crate::arguments::{Global, InitArguments};
use crate::exit;
use crate::render::diagnostics;

/// How deep below the directory targets are looked for.
const DEEPEST: usize = 6;

/// A detection below this is a hint, which counts only where nothing surer is.
const SURE: u8 = 50;

/// Directories that hold what was built or brought in, never a target of their own.
const NEVER_TARGETS: [&str; 9] = [
    "node_modules",
    "target",
    "dist",
    "build",
    "out",
    "venv",
    "vendor",
    "third_party",
    "__pycache__",
];

/// Below a project these belong to it: its tests and samples are no targets.
const PARTS_OF_A_PROJECT: [&str; 9] = [
    "tests", "test", "docs", "doc", "examples", "example", "fixtures", "samples", "testdata",
];

/// A target that was found.
struct Found {
    kind: String,
    directory: ProjectPath,
    detection: Detection,
}

pub(crate) fn run(global: &Global, arguments: &InitArguments, linked: &Registry) -> Outcome {
    let root = directory(global)?;
    let present = CONFIG_FILE_NAMES
        .iter()
        .find(|name| root.join(name).exists());
    if let (Some(present), false) = (present, arguments.force) {
        return Err(vec![
            Diagnostic::error("init.exists", format!("`{present}` is there already"))
                .help("replace it with `synth init --force`"),
        ]);
    }
    // What a synth.toml that is to be replaced says does not matter.
    let options = plugin_options(global, &root)?;
    let (plugins, problems) = Survey::without_configuration(&root, &options);
    if problems.iter().any(Diagnostic::is_error) {
        return Err(problems);
    }
    diagnostics::show(&problems, Some(&root));
    let registry = plugins.registry(linked);
    let project = Project::at(root.clone());
    let mut search = Search {
        registry: &registry,
        root: &root,
        context: project.as_ref(),
        found: Vec::new(),
        failed: BTreeSet::new(),
    };
    search.look_below(&ProjectPath::root(), &[], 0);
    let found = name_apart(search.found);
    if found.is_empty() {
        return Err(vec![
            Diagnostic::error(
                "init.nothing",
                format!("nothing to build was found below `{}`", root.display()),
            )
            .help("looked for pyproject.toml, Dockerfile, package.json, index.html and their like")
            .help("write `synth.toml` by hand: see the README"),
        ]);
    }
    write(&root, &text(&root, &found))?;
    if !global.quiet {
        print("wrote synth.toml:");
        for target in &found {
            let Found {
                kind,
                directory,
                detection,
            } = target;
            print(&format!(
                "  {} ({kind}): {} in {directory}",
                detection.name, detection.found
            ));
        }
        print("next: `synth check`, then `synth build`");
    }
    Ok(exit::SUCCESS)
}

fn write(root: &Path, text: &str) -> Result<(), Vec<Diagnostic>> {
    std::fs::write(root.join(CONFIG_FILE_NAMES[0]), text).map_err(|error| {
        vec![
            Diagnostic::error("state.unusable", "`synth.toml` can't be written")
                .concerning(synth_core::Concern::State)
                .caused_by(&error),
        ]
    })
}

struct Search<'a> {
    registry: &'a Registry,
    root: &'a Path,
    context: &'a dyn PlanContext,
    found: Vec<Found>,
    /// Kinds that could not look, and are not asked again.
    failed: BTreeSet<String>,
}

impl Search<'_> {
    /// Looks in a directory and below it. `owners` are the kinds that own it.
    fn look_below(&mut self, directory: &ProjectPath, owners: &[String], depth: usize) {
        let mut here: Vec<Found> = Vec::new();
        for kind in self.registry.kinds() {
            let detection = self.detect(kind, directory);
            if let Some(detection) = detection.filter(|_| !owners.iter().any(|owner| owner == kind))
            {
                here.push(Found {
                    kind: kind.to_owned(),
                    directory: directory.clone(),
                    detection,
                });
            }
        }
        let any_sure = here.iter().any(|found| found.detection.confidence >= SURE);
        here.retain(|found| found.detection.confidence >= SURE || (!any_sure && owners.is_empty()));
        let mut owners = owners.to_vec();
        let owning = here
            .iter()
            .filter(|found| found.detection.owns_subdirectories);
        owners.extend(owning.map(|found| found.kind.clone()));
        self.found.append(&mut here);
        if depth == DEEPEST {
            return;
        }
        for name in self.subdirectories(directory) {
            let part = !owners.is_empty() && PARTS_OF_A_PROJECT.contains(&name.as_str());
            if name.starts_with('.') || NEVER_TARGETS.contains(&name.as_str()) || part {
                continue;
            }
            if let Ok(below) = directory.join(&name) {
                self.look_below(&below, &owners, depth + 1);
            }
        }
    }

    /// What a kind finds in a directory. That it can't look is told, and the others look.
    fn detect(&mut self, kind: &str, directory: &ProjectPath) -> Option<Detection> {
        if self.failed.contains(kind) {
            return None;
        }
        let looked = self
            .registry
            .kind(kind)?
            .detect(directory, self.context)
            .map_err(|mut problem| {
                problem.severity = Severity::Warning;
                diagnostics::show(&[problem], None);
                self.failed.insert(kind.to_owned());
            });
        looked.ok().flatten()
    }

    fn subdirectories(&self, directory: &ProjectPath) -> Vec<String> {
        let entries = std::fs::read_dir(self.root.join(directory.as_str()));
        let mut names: Vec<String> = entries
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }
}

/// Gives targets of one name different ones: the later ones get their kind, then a number.
fn name_apart(mut found: Vec<Found>) -> Vec<Found> {
    let mut taken: Vec<String> = Vec::new();
    for target in &mut found {
        let name = target_name(&target.detection.name);
        let with_kind = format!("{name}-{}", target.kind);
        let numbered = (2..).map(|number| format!("{with_kind}-{number}"));
        let free = [name, with_kind.clone()]
            .into_iter()
            .chain(numbered)
            .find(|candidate| !taken.contains(candidate))
            .unwrap_or_default();
        taken.push(free.clone());
        target.detection.name = free;
    }
    found
}

/// Only what a target's name may hold.
fn target_name(text: &str) -> String {
    let replaced: String = text
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') {
                c
            } else {
                '-'
            }
        })
        .collect();
    let trimmed = replaced.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    if trimmed.is_empty() {
        "target".into()
    } else {
        trimmed.to_owned()
    }
}

fn text(root: &Path, found: &[Found]) -> String {
    let name = root.file_name().map_or_else(
        || "pipeline".into(),
        |name| name.to_string_lossy().into_owned(),
    );
    let mut text = format!(
        "# What `synth build` builds here. Paths are relative to this file.\n\
         name = {}\n\n\
         # What happens to the rest when a target fails: \"stop_all\", \"continue\" or \"rollback\".\n\
         failure_strategy = \"stop_all\"\n",
        value(&Value::from(name))
    );
    for target in found {
        let Found {
            kind,
            directory,
            detection,
        } = target;
        // Writing to a String does not fail.
        let _ = write!(
            text,
            "\n# {}\n[targets.{}]\ntype = {}\nsource_path = {}\n",
            one_line(&detection.found),
            key(&detection.name),
            value(&Value::from(kind.as_str())),
            value(&Value::from(directory.to_string())),
        );
        for setting in &detection.settings {
            if !setting.comment.is_empty() {
                let _ = writeln!(text, "# {}", one_line(&setting.comment));
            }
            let _ = writeln!(text, "{} = {}", setting.key, value(&setting.value));
        }
    }
    text
}

/// A name as a TOML key.
fn key(name: &str) -> String {
    let bare = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if bare {
        name.to_owned()
    } else {
        value(&Value::from(name))
    }
}

/// A value as TOML, on one line.
fn value(value: &Value) -> String {
    toml::Value::try_from(value).map_or_else(|_| "\"\"".into(), |value| value.to_string())
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
