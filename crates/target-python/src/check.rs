//! Everything wrong with a target that can be seen before anything runs.

use synth_core::{Diagnostic, PlanContext, PlanError, SourceFiles, TargetSpec};

use crate::interpreter;
use crate::plan;
use crate::project::Project;
use crate::pyproject::{PyProject, requirement_problem};
use crate::settings::Settings;
use crate::test_requirements;

/// Packages that take the version from version control, and the variable that states it instead.
const VERSION_FROM_CONTROL: [(&str, &str); 5] = [
    ("setuptools-scm", "SETUPTOOLS_SCM_PRETEND_VERSION"),
    ("setuptools_scm", "SETUPTOOLS_SCM_PRETEND_VERSION"),
    ("hatch-vcs", "SETUPTOOLS_SCM_PRETEND_VERSION"),
    ("pbr", "PBR_VERSION"),
    (
        "poetry-dynamic-versioning",
        "POETRY_DYNAMIC_VERSIONING_BYPASS",
    ),
];

/// The problems of a target.
pub(crate) fn problems(target: &TargetSpec, context: &dyn PlanContext) -> Vec<Diagnostic> {
    let settings: Settings = match target.settings_as() {
        Ok(settings) => settings,
        Err(problem) => return vec![problem],
    };
    let mut problems = check_settings(target, &settings);
    problems.extend(check_patterns(target, &settings, context));
    let project = match Project::read(&target.source_path, context) {
        Ok(project) => project,
        Err(problem) => {
            problems.push(problem);
            return problems;
        }
    };
    problems.extend(project.pyproject.iter().flat_map(PyProject::check));
    // That there is no Python at all is a matter of the environment, which is checked for all
    // targets together.
    if let Err(problem) = interpreter::find(target, &settings, &project, context)
        && (problem.place.is_some() || !problem.causes.is_empty())
    {
        problems.push(problem);
    }
    if let Err(problem) = plan::sources(&settings, &project, context) {
        problems.push(problem);
    }
    if settings.locked
        && let Err(problem) = project.locked_versions(context)
    {
        problems.push(problem);
    }
    if settings.tests != Some(false)
        && let Err(problem) =
            test_requirements::declared(&project, settings.test_groups.as_deref(), context)
    {
        problems.push(problem);
    }
    problems
}

/// What is excluded by something that is no pattern.
fn check_patterns(
    target: &TargetSpec,
    settings: &Settings,
    context: &dyn PlanContext,
) -> Vec<Diagnostic> {
    // The first one lists nothing: it is the patterns that are asked for.
    let nothing = SourceFiles::below(target.source_path.clone()).exclude(["*"]);
    let problem = |patterns: &[String]| match context.files(&nothing.clone().exclude(patterns)) {
        Err(PlanError::Pattern { pattern, reason }) => Some((pattern, reason)),
        _ => None,
    };
    if problem(&settings.exclude).is_none() {
        return Vec::new();
    }
    let patterns = settings.exclude.chunks(1).enumerate();
    patterns
        .filter_map(|(index, pattern)| {
            let (pattern, reason) = problem(pattern)?;
            let message = format!("`{pattern}` is not a pattern: {reason}");
            let problem = Diagnostic::error("python.exclude.pattern", message)
                .at_setting(["exclude".to_owned(), index.to_string()])
                .help("to mean one of `*?[]{}` itself, put it into `[]`: `[{]`");
            Some(problem)
        })
        .collect()
}

/// What a user should know beside the plan.
pub(crate) fn warnings(target: &TargetSpec, project: &Project) -> Vec<Diagnostic> {
    if project.is_source_distribution {
        return Vec::new();
    }
    let requires = project.build_system().requires;
    let found = VERSION_FROM_CONTROL.iter().find(|(package, variable)| {
        let stated = |name: &String| name.starts_with(variable);
        requires.iter().any(|each| each.starts_with(package))
            && !target.environment.keys().any(stated)
    });
    let Some((package, variable)) = found else {
        return Vec::new();
    };
    vec![
        Diagnostic::warning(
            "python.version.from_control",
            format!(
                "`{package}` takes the version from version control, which a build does not see"
            ),
        )
        .in_file(project.path("pyproject.toml").as_str())
        .help(format!(
            "state it: `environment = {{ {variable} = \"1.2.3\" }}`"
        )),
    ]
}

fn check_settings(target: &TargetSpec, settings: &Settings) -> Vec<Diagnostic> {
    let lists = [
        ("dependencies", &target.dependencies),
        ("test_dependencies", &settings.test_dependencies),
        ("build_dependencies", &settings.build_dependencies),
    ];
    let mut problems: Vec<Diagnostic> = lists
        .into_iter()
        .flat_map(|(key, list)| list.iter().enumerate().map(move |item| (key, item)))
        .filter_map(|(key, (index, text))| {
            let reason = requirement_problem(text)?;
            let message = format!("`{text}` is not a requirement: {reason}");
            Some(
                Diagnostic::error("python.requirement.syntax", message)
                    .at_setting([key.to_owned(), index.to_string()])
                    .help("write it as PEP 508 says, such as `requests[socks]>=2.31,<3`"),
            )
        })
        .collect();
    let command = settings.test_command.as_ref();
    if command.is_some_and(crate::settings::Command::is_empty) {
        problems.push(
            Diagnostic::error("python.test_command.empty", "`test_command` runs nothing")
                .at_setting(["test_command"])
                .help("leave it out for pytest, or set `tests = false` for no tests"),
        );
    }
    let imports = settings.imports.iter().flatten().enumerate();
    for (index, name) in imports {
        let part = |part: &str| {
            !part.is_empty() && !part.contains(|c: char| !c.is_alphanumeric() && c != '_')
        };
        if !name.split('.').all(part) {
            let message = format!("`{name}` is not the name of a module");
            problems.push(
                Diagnostic::error("python.imports.name", message)
                    .at_setting(["imports".to_owned(), index.to_string()])
                    .help("write it as in an import statement: `package.module`"),
            );
        }
    }
    problems
}
