//! Finds packages and workspaces for `synth init`.

use synth_core::{Detection, PlanContext, ProjectPath, TargetSpec};

use crate::project::Project;

/// The package or workspace in a directory, if something can be exported from it. Members of a
/// workspace further up are built with that.
pub(crate) fn detect(directory: &ProjectPath, context: &dyn PlanContext) -> Option<Detection> {
    if !context.exists(&directory.join("Cargo.toml").ok()?) {
        return None;
    }
    let target = TargetSpec::new("detected", "cargo", directory.clone());
    // Without a lock file, too, it is a package; what is missing is told when it is built.
    let project = match Project::read(&target, context) {
        Ok(project) => Some(project),
        Err(problems) => {
            let is_lock = |code: &str| code == "cargo.lock.missing";
            if !problems.iter().all(|problem| is_lock(&problem.code)) {
                return None;
            }
            None
        }
    };
    let package = project
        .as_ref()
        .and_then(|project| match project.packages.as_slice() {
            [package] => Some(package.clone()),
            _ => None,
        });
    let name = package.or_else(|| directory.file_name().map(ToOwned::to_owned));
    let found = match &project {
        None => "Cargo.toml, without Cargo.lock".to_owned(),
        Some(project) => format!("Cargo.toml ({})", summary(project)),
    };
    Some(Detection {
        name: name.unwrap_or_else(|| "cargo".to_owned()),
        found,
        settings: Vec::new(),
        confidence: 100,
        owns_subdirectories: false,
    })
}

fn summary(project: &Project) -> String {
    let names: Vec<&str> = project
        .binaries
        .iter()
        .chain(&project.libraries)
        .map(String::as_str)
        .collect();
    names.join(", ")
}
