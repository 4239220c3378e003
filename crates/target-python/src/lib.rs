//! The target kind `python`: a Python project becomes a tested wheel and source distribution.
//!
//! The project's own backend builds them (PEP 517) in an isolated environment; the wheel is built
//! from the source distribution, checked against the standards, installed into a clean
//! environment and imported, and the project's tests run against it.

mod advice;
mod check;
mod detect;
mod interpreter;
mod lock;
mod names;
mod native;
mod plan;
mod poetry;
mod project;
mod pyproject;
mod requirements_file;
mod settings;
mod test_requirements;

use semver::Version;
use synth_core::{
    Advice, BuildTarget, Detection, Diagnostic, Native, NativeOutcome, PathError, Plan,
    PlanContext, ProjectPath, Requirement, RunContext, TargetDescription, TargetSpec,
    settings_schema,
};

use crate::plan::Planner;
use crate::project::Project;
use crate::settings::Settings;

/// The kind that synth.toml names.
const KIND: &str = "python";

/// The target kind `python`.
#[derive(Clone, Copy, Debug, Default)]
pub struct PythonTarget;

#[cfg(feature = "plugin")]
synth_core::export_target!(PythonTarget);

/// A Python target by its name and the directory of its sources; what it builds goes to
/// `dist/<name>`.
///
/// ```
/// use synth_target_python::create_python_build_target;
///
/// let target = create_python_build_target("api", "services/api")?
///     .dependency("requests>=2")
///     .setting("tests", false);
/// assert_eq!(target.kind, "python");
/// assert_eq!(target.output_path.as_str(), "dist/api");
/// # Ok::<(), synth_core::PathError>(())
/// ```
///
/// # Errors
/// When `source_path` is absolute or leaves the project.
pub fn create_python_build_target(
    name: impl Into<String>,
    source_path: &str,
) -> Result<TargetSpec, PathError> {
    let source_path = ProjectPath::parse(source_path)?;
    Ok(TargetSpec::new(name, KIND, source_path))
}

impl BuildTarget for PythonTarget {
    fn describe(&self) -> TargetDescription {
        TargetDescription {
            kind: KIND.into(),
            crate_name: env!("CARGO_PKG_NAME").into(),
            version: Version::parse(env!("CARGO_PKG_VERSION"))
                .unwrap_or_else(|_| Version::new(0, 0, 0)),
            description: "a Python project as wheel and source distribution".into(),
            settings_schema: settings_schema::<Settings>(),
            setting_aliases: Vec::new(),
        }
    }

    fn validate(&self, target: &TargetSpec, context: &dyn PlanContext) -> Vec<Diagnostic> {
        check::problems(target, context)
    }

    fn requirements(&self, target: &TargetSpec, context: &dyn PlanContext) -> Vec<Requirement> {
        let settings = target.settings_as::<Settings>();
        let project = Project::read(&target.source_path, context);
        match (settings, project) {
            (Ok(settings), Ok(project)) => {
                interpreter::requirements(target, &settings, &project, context)
            }
            _ => Vec::new(),
        }
    }

    fn plan(
        &self,
        target: &TargetSpec,
        context: &dyn PlanContext,
    ) -> Result<Plan, Vec<Diagnostic>> {
        let one = |problem: Diagnostic| vec![problem];
        let settings: Settings = target.settings_as().map_err(one)?;
        let project = Project::read(&target.source_path, context).map_err(one)?;
        let plan = Planner::new(target, &settings, &project, context)?.plan();
        Ok(Plan {
            warnings: check::warnings(target, &project),
            ..plan
        })
    }

    fn advice(&self) -> Vec<Advice> {
        advice::advice()
    }

    fn run(
        &self,
        action: &Native,
        context: &dyn RunContext,
    ) -> Result<NativeOutcome, Vec<Diagnostic>> {
        native::run(action, context)
    }

    fn detect(&self, directory: &ProjectPath, context: &dyn PlanContext) -> Option<Detection> {
        detect::detect(directory, context)
    }
}
