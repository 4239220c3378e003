//! Static sites: pages, style sheets, scripts and images, minified, their links checked, listed
//! in a manifest; made from the sources as they are, or by the command of anyone's tool chain.
//!
//! See [`StaticTarget`] for the target kind and [`create_static_build_target`] for a target made
//! by a program.

mod advice;
mod assemble;
mod checks;
mod command;
mod detect;
mod html;
mod links;
mod manifest;
mod optimize;
mod plan;
mod programs;
mod project;
mod settings;
mod stack;
#[cfg(test)]
mod tests;
mod text;
mod toolchain;
mod tree;

use semver::Version;
use serde::de::DeserializeOwned;
use synth_core::{
    Advice, BuildTarget, Concern, Detection, Diagnostic, Native, NativeOutcome, PathError, Plan,
    PlanContext, ProjectPath, Requirement, RunContext, TargetDescription, TargetSpec,
    settings_schema,
};

use project::Project;
use settings::Settings;

/// The target kind `static`.
#[derive(Clone, Copy, Debug, Default)]
pub struct StaticTarget;

/// A static site from the directory `source_path` (relative to the project's root). The
/// directory is the site; for one that a tool chain makes, add its command.
///
/// ```
/// use synth_target_static::create_static_build_target;
///
/// let plain = create_static_build_target("docs", "docs")?;
/// assert_eq!(plain.kind, "static");
/// assert_eq!(plain.output_path.as_str(), "dist/docs");
///
/// let built = create_static_build_target("web", "web")?
///     .setting("install_command", "npm ci")
///     .setting("build_command", "npm run build")
///     .setting("build_output", "dist");
/// assert_eq!(built.settings["build_output"], "dist");
/// # Ok::<(), synth_core::PathError>(())
/// ```
///
/// # Errors
/// When the path is absolute or leaves the project.
pub fn create_static_build_target(
    name: impl Into<String>,
    source_path: &str,
) -> Result<TargetSpec, PathError> {
    let source_path = ProjectPath::parse(source_path)?;
    Ok(TargetSpec::new(name, "static", source_path))
}

#[cfg(feature = "plugin")]
synth_core::export_target!(StaticTarget);

impl BuildTarget for StaticTarget {
    fn describe(&self) -> TargetDescription {
        TargetDescription {
            kind: "static".into(),
            crate_name: env!("CARGO_PKG_NAME").into(),
            version: Version::parse(env!("CARGO_PKG_VERSION"))
                .unwrap_or_else(|_| Version::new(0, 0, 0)),
            description: "a static site: minified, links checked, listed in a manifest".into(),
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
        let Ok(settings) = target.settings_as::<Settings>() else {
            return Vec::new();
        };
        let commands = [
            (
                &settings.install_command,
                "install_command",
                "fetches what the site is built with",
            ),
            (&settings.build_command, "build_command", "builds the site"),
        ];
        let mut requirements: Vec<Requirement> = Vec::new();
        for (command, setting, purpose) in commands {
            for requirement in command
                .iter()
                .flat_map(|command| programs::requirements(command, setting, purpose))
            {
                if !requirements
                    .iter()
                    .any(|known| known.tool == requirement.tool)
                {
                    requirements.push(requirement);
                }
            }
        }
        requirements
    }

    fn plan(
        &self,
        target: &TargetSpec,
        context: &dyn PlanContext,
    ) -> Result<Plan, Vec<Diagnostic>> {
        plan::plan(target, context)
    }

    fn advice(&self) -> Vec<Advice> {
        advice::advice()
    }

    fn run(
        &self,
        action: &Native,
        context: &dyn RunContext,
    ) -> Result<NativeOutcome, Vec<Diagnostic>> {
        match action.function.as_str() {
            assemble::FUNCTION => assemble::run(&parameters(action)?, context),
            optimize::FUNCTION => optimize::run(&parameters(action)?, context),
            links::FUNCTION => links::run(&parameters(action)?, context),
            manifest::FUNCTION => manifest::run(&parameters(action)?, context),
            unknown => {
                let message = format!("the target kind `static` has no function `{unknown}`");
                Err(vec![internal("static.run.unknown", message)])
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
        vec![internal("static.run.parameters", message).caused_by(&error)]
    })
}

/// An engine and a target that do not fit together.
fn internal(code: &str, message: String) -> Diagnostic {
    Diagnostic::error(code, message).concerning(Concern::Internal)
}
