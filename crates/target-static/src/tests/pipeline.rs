//! Runs the native actions of a plan one after the other, as an engine would, without caches.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::{StaticTarget, create_static_build_target};
use synth_core::testkit::{TestProject, TestRun};
use synth_core::{
    Action, ActionKind, BuildTarget, Diagnostic, InputSource, NativeOutcome, Place, Plan,
    PlanContext, RunContext, TargetSpec,
};

/// A site that was built.
#[derive(Debug)]
pub(crate) struct Site {
    /// Its files by path; bytes that are no text are replaced.
    pub(crate) files: BTreeMap<String, String>,
    /// The attributes of the artifact.
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) warnings: Vec<Diagnostic>,
}

/// A project whose directory `web` holds these files.
pub(crate) fn project(files: &[(&str, &str)]) -> TestProject {
    let project = TestProject::new().unwrap();
    fs::create_dir(project.path().join("web")).unwrap();
    for (path, text) in files {
        project.write(&format!("web/{path}"), text).unwrap();
    }
    project
}

/// The target `site` with the sources `web`.
pub(crate) fn target() -> TargetSpec {
    create_static_build_target("site", "web").unwrap()
}

/// Plans and builds a target.
pub(crate) fn build(project: &TestProject, target: &TargetSpec) -> Result<Site, Vec<Diagnostic>> {
    let plan = StaticTarget.plan(target, project)?;
    let mut runs: BTreeMap<String, TestRun> = BTreeMap::new();
    let mut problems = Vec::new();
    let mut outcomes: Vec<NativeOutcome> = Vec::new();
    for action in &plan.actions {
        let run = TestRun::new().unwrap();
        materialize(action, project, &runs, &run);
        for output in &action.outputs {
            fs::create_dir_all(run.outputs().join(&output.path)).unwrap();
        }
        let ActionKind::Native(native) = &action.kind else {
            panic!("{} is not native", action.id);
        };
        match StaticTarget.run(native, &run) {
            Ok(outcome) => outcomes.push(outcome),
            Err(mut found) => problems.append(&mut found),
        }
        runs.insert(action.id.clone(), run);
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut site = Site {
        files: exported(&plan, &runs),
        attributes: BTreeMap::new(),
        warnings: Vec::new(),
    };
    for mut outcome in outcomes {
        let attributes = outcome.attributes.remove("static.site");
        site.attributes.extend(attributes.unwrap_or_default());
        site.warnings.append(&mut outcome.diagnostics);
    }
    Ok(site)
}

fn materialize(
    action: &Action,
    project: &TestProject,
    runs: &BTreeMap<String, TestRun>,
    run: &TestRun,
) {
    for input in &action.inputs {
        let to = run.inputs().join(&input.at);
        match &input.from {
            InputSource::Source(files) => {
                for file in project.files(files).unwrap() {
                    let root = project.path().join(files.root.as_str());
                    copy(&root.join(&file), &to.join(&file));
                }
            }
            InputSource::Output { action, output } => {
                assert_eq!(output, "site");
                copy(&runs[action].outputs().join(output), &to);
            }
            InputSource::Target { name } => copy(&project.path().join("dist").join(name), &to),
            other => panic!("{other:?}"),
        }
    }
}

fn exported(plan: &Plan, runs: &BTreeMap<String, TestRun>) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for export in &plan.exports {
        assert_eq!(export.path, "");
        let root = runs[&export.action].outputs().join(&export.output);
        list(&root, &root, &mut files);
    }
    files
}

fn list(root: &Path, directory: &Path, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            let bytes = fs::read(&path).unwrap();
            files.insert(
                name.to_owned(),
                String::from_utf8_lossy(&bytes).into_owned(),
            );
        }
    }
}

fn copy(from: &Path, to: &Path) {
    if from.is_symlink() {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(fs::read_link(from).unwrap(), to).unwrap();
    } else if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
    }
}

/// Diagnostics as lines, for snapshots.
pub(crate) fn render(diagnostics: &[Diagnostic]) -> String {
    let mut text = String::new();
    for diagnostic in diagnostics {
        let severity = if diagnostic.is_error() {
            "error"
        } else {
            "warning"
        };
        text.push_str(&format!("{severity}[{}]", diagnostic.code));
        match &diagnostic.place {
            Some(Place::File {
                path,
                position,
                line_text,
            }) => {
                text.push_str(&format!(" {path}"));
                if let Some(position) = position {
                    text.push_str(&format!(":{}:{}", position.line, position.column));
                }
                if let (Some(position), Some(line)) = (position, line_text) {
                    let start = usize::try_from(position.column).unwrap() - 1;
                    let length = usize::try_from(position.length).unwrap();
                    let marked: String = line.chars().skip(start).take(length).collect();
                    text.push_str(&format!(" `{marked}`"));
                }
            }
            Some(Place::Setting { path }) => text.push_str(&format!(" {}", path.join("."))),
            _ => {}
        }
        text.push_str(&format!("\n  {}\n", diagnostic.message));
        for help in &diagnostic.help {
            text.push_str(&format!("  help: {help}\n"));
        }
    }
    text
}
