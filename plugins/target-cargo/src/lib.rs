//! Programs and libraries in Rust, built with Cargo: the packages of a lock file brought in, and
//! everything else without network, so that two builds of the same sources give the same bytes.
//!
//! See [`CargoTarget`] for the target kind and [`create_cargo_build_target`] for a target made by
//! a program.

mod advice;
mod build;
mod configuration;
mod detect;
mod document;
mod install;
mod invocation;
mod lock;
mod manifest;
mod messages;
mod plan;
mod project;
mod selection;
mod settings;
mod test;
mod toolchain;
mod workspace;

use semver::Version;
use serde::de::DeserializeOwned;
use synth_core::{
    Advice, BuildTarget, Concern, Detection, Diagnostic, Native, NativeOutcome, PathError, Plan,
    PlanContext, ProjectPath, Requirement, RunContext, TargetDescription, TargetSpec,
    settings_schema,
};

use project::Project;
use settings::Settings;

/// The target kind `cargo`.
#[derive(Clone, Copy, Debug, Default)]
pub struct CargoTarget;

synth_core::export_target!(CargoTarget);

/// What Cargo makes of the package or workspace in the directory `source_path` (relative to the
/// project's root).
///
/// ```
/// use synth_target_cargo::create_cargo_build_target;
///
/// let server = create_cargo_build_target("server", "server")?
///     .setting("features", vec!["tls"])
///     .setting("tests", true);
/// assert_eq!(server.kind, "cargo");
/// # Ok::<(), synth_core::PathError>(())
/// ```
///
/// # Errors
/// When the path is absolute or leaves the project.
pub fn create_cargo_build_target(
    name: impl Into<String>,
    source_path: &str,
) -> Result<TargetSpec, PathError> {
    let source_path = ProjectPath::parse(source_path)?;
    Ok(TargetSpec::new(name, "cargo", source_path))
}

impl BuildTarget for CargoTarget {
    fn describe(&self) -> TargetDescription {
        TargetDescription {
            kind: "cargo".into(),
            crate_name: env!("CARGO_PKG_NAME").into(),
            version: Version::parse(env!("CARGO_PKG_VERSION"))
                .unwrap_or_else(|_| Version::new(0, 0, 0)),
            description: "programs and libraries in Rust, built with Cargo from a lock file".into(),
            settings_schema: settings_schema::<Settings>(),
            setting_aliases: Vec::new(),
        }
    }

    fn validate(&self, target: &TargetSpec, context: &dyn PlanContext) -> Vec<Diagnostic> {
        match Project::read(target, context) {
            Ok(project) => project.warnings,
            Err(problems) => problems,
        }
    }

    fn requirements(&self, target: &TargetSpec, _context: &dyn PlanContext) -> Vec<Requirement> {
        let settings = target.settings_as::<Settings>();
        settings.map_or_else(
            |_| Vec::new(),
            |settings| toolchain::requirements(&settings),
        )
    }

    fn plan(
        &self,
        target: &TargetSpec,
        context: &dyn PlanContext,
    ) -> Result<Plan, Vec<Diagnostic>> {
        let project = Project::read(target, context)?;
        plan::plan(target, &project, context).map_err(|problem| vec![problem])
    }

    fn advice(&self) -> Vec<Advice> {
        advice::advice()
    }

    fn run(
        &self,
        action: &Native,
        context: &dyn RunContext,
    ) -> Result<NativeOutcome, Vec<Diagnostic>> {
        let one = |problem| vec![problem];
        match action.function.as_str() {
            install::FUNCTION => install::run(&parameters(action)?, context).map_err(one),
            build::FUNCTION => build::run(&parameters(action)?, context),
            test::FUNCTION => test::run(&parameters(action)?, context).map_err(one),
            unknown => {
                let message = format!("`cargo` has no function `{unknown}`");
                Err(vec![internal("cargo.run.unknown", message)])
            }
        }
    }

    fn detect(&self, directory: &ProjectPath, context: &dyn PlanContext) -> Option<Detection> {
        detect::detect(directory, context)
    }
}

/// A native action's parameters, as the plan wrote them.
fn parameters<T: DeserializeOwned>(action: &Native) -> Result<T, Vec<Diagnostic>> {
    serde_json::from_value(action.parameters.clone()).map_err(|error| {
        let message = format!("the parameters of `{}` have a wrong shape", action.function);
        vec![internal("cargo.run.parameters", message).caused_by(&error)]
    })
}

/// An engine and a target that do not fit together.
fn internal(code: &str, message: String) -> Diagnostic {
    Diagnostic::error(code, message).concerning(Concern::Internal)
}
