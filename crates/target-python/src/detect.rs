//! What `synth init` finds: Python projects, and whether their tests can be run as they are.

use serde_json::Value;
use synth_core::{DetectedSetting, Detection, PlanContext, ProjectPath};

use crate::names;
use crate::project::Project;
use crate::test_requirements;

/// A Python project in a directory.
pub(crate) fn detect(directory: &ProjectPath, context: &dyn PlanContext) -> Option<Detection> {
    let project = Project::read(directory, context).ok()?;
    let backend = project.build_system().backend;
    let backend = backend.split([':', '.']).next().unwrap_or_default();
    let found = match &project.pyproject {
        Some(_) => format!("pyproject.toml ({backend})"),
        None => format!("setup.py ({backend})"),
    };
    let own_name = project.name().map(|name| names::normalized(&name));
    let name = own_name.filter(|name| is_target_name(name));
    let name = name.or_else(|| directory.file_name().map(ToOwned::to_owned));
    let reason = why_not_test(&project, context);
    let settings = reason.map(|comment| DetectedSetting {
        key: "tests".into(),
        value: Value::Bool(false),
        comment: comment.into(),
    });
    Some(Detection {
        name: name.unwrap_or_else(|| "package".into()),
        found,
        settings: settings.into_iter().collect(),
        confidence: 100,
        owns_subdirectories: true,
    })
}

/// Why tests that are there can't be run without someone's say.
fn why_not_test(project: &Project, context: &dyn PlanContext) -> Option<&'static str> {
    let sources = project.sources(&[], context).ok()?;
    if !project.has_tests(&sources, context).ok()? {
        return None;
    }
    if project.is_source_distribution {
        return Some(
            "an unpacked source distribution: its tests may need what was not packed, or \
             other versions than today's; remove this line to run them",
        );
    }
    let declared = test_requirements::declared(project, None, context).ok()?;
    (!declared.bring_pytest(project)).then_some(
        "there are tests, but the project does not declare what they need: list that in \
         `test_dependencies` and remove this line",
    )
}

fn is_target_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

#[cfg(test)]
mod tests {
    use synth_core::testkit::TestProject;

    use super::*;

    fn detected(files: &[(&str, &str)]) -> String {
        let directory = TestProject::new().unwrap();
        for (path, text) in files {
            directory
                .write(&format!("services/api/{path}"), text)
                .unwrap();
        }
        let path = ProjectPath::parse("services/api").unwrap();
        match detect(&path, &directory) {
            Some(found) => {
                let settings = found.settings.iter();
                let settings: Vec<String> = settings
                    .map(|setting| format!(" {} = {}", setting.key, setting.value))
                    .collect();
                format!("{}: {}{}", found.name, found.found, settings.concat())
            }
            None => "nothing".into(),
        }
    }

    #[test]
    fn projects_are_detected() {
        const PROJECT: &str = "[project]\nname = \"My.Shop\"\nversion = \"1\"\n\
            [build-system]\nrequires = []\nbuild-backend = \"hatchling.build\"\n";
        let with_pytest = format!("{PROJECT}[dependency-groups]\ntest = [\"pytest\"]\n");
        for (files, expected) in [
            (
                &[("pyproject.toml", PROJECT)][..],
                "my-shop: pyproject.toml (hatchling)",
            ),
            (&[("setup.py", "")], "api: setup.py (setuptools)"),
            (&[("pyproject.toml", "[tool.ruff]\n")], "nothing"),
            (
                &[("pyproject.toml", PROJECT), ("tests/test_a.py", "")],
                "my-shop: pyproject.toml (hatchling) tests = false",
            ),
            (
                &[("pyproject.toml", &with_pytest), ("tests/test_a.py", "")],
                "my-shop: pyproject.toml (hatchling)",
            ),
            (
                &[
                    ("pyproject.toml", &with_pytest),
                    ("tests/test_a.py", ""),
                    ("PKG-INFO", ""),
                ],
                "my-shop: pyproject.toml (hatchling) tests = false",
            ),
        ] {
            assert_eq!(detected(files), expected, "{files:?}");
        }
    }
}
