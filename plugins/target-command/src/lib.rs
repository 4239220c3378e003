//! Any command or script as a synth target: run when one of the files that it reads has changed,
//! taken from the cache otherwise.
//!
//! See [`CommandTarget`] for the target kind and [`create_command_build_target`] for a target made
//! by a program.

mod advice;
mod effects;
mod patterns;
mod plan;
mod programs;
mod recipe;
mod resources;
mod settings;

use semver::Version;
use synth_core::{
    Advice, BuildTarget, Concern, Diagnostic, Native, NativeOutcome, PathError, Plan, PlanContext,
    ProjectPath, Requirement, RunContext, TargetDescription, TargetSpec, settings_schema,
};

use settings::Settings;

/// The target kind `command`.
#[derive(Clone, Copy, Debug, Default)]
pub struct CommandTarget;

synth_core::export_target!(CommandTarget);

/// A command that runs in the directory `source_path`, relative to the project's root.
///
/// ```
/// use synth_target_command::create_command_build_target;
///
/// let app = create_command_build_target("app", "src", ["cc", "-o", "app", "main.c"])?
///     .setting("outputs", vec!["app"]);
/// assert_eq!(app.settings["command"][0], "cc");
/// # Ok::<(), synth_core::PathError>(())
/// ```
///
/// # Errors
/// When the path is absolute or leaves the project.
pub fn create_command_build_target<S: Into<String>>(
    name: impl Into<String>,
    source_path: &str,
    command: impl IntoIterator<Item = S>,
) -> Result<TargetSpec, PathError> {
    let source_path = ProjectPath::parse(source_path)?;
    let command: Vec<String> = command.into_iter().map(Into::into).collect();
    Ok(TargetSpec::new(name, "command", source_path).setting("command", command))
}

impl BuildTarget for CommandTarget {
    fn describe(&self) -> TargetDescription {
        TargetDescription {
            kind: "command".into(),
            crate_name: env!("CARGO_PKG_NAME").into(),
            version: Version::parse(env!("CARGO_PKG_VERSION"))
                .unwrap_or_else(|_| Version::new(0, 0, 0)),
            description: "any command or script, cached by what it reads".into(),
            settings_schema: settings_schema::<Settings>(),
            setting_aliases: Vec::new(),
        }
    }

    fn validate(&self, target: &TargetSpec, context: &dyn PlanContext) -> Vec<Diagnostic> {
        recipe::read(target, context).problems
    }

    fn requirements(&self, target: &TargetSpec, context: &dyn PlanContext) -> Vec<Requirement> {
        let Some(recipe) = recipe::read(target, context).recipe else {
            return Vec::new();
        };
        let mut programs = vec![&recipe.program];
        programs.extend(recipe.tools.iter().map(|(tool, _)| tool));
        programs::requirements(&programs)
    }

    fn plan(
        &self,
        target: &TargetSpec,
        context: &dyn PlanContext,
    ) -> Result<Plan, Vec<Diagnostic>> {
        let reading = recipe::read(target, context);
        match reading.recipe {
            // Its warnings have been told by `validate`.
            Some(recipe) => plan::plan(target, &recipe, context),
            None => Err(reading.problems),
        }
    }

    fn advice(&self) -> Vec<Advice> {
        advice::advice()
    }

    fn run(
        &self,
        action: &Native,
        _context: &dyn RunContext,
    ) -> Result<NativeOutcome, Vec<Diagnostic>> {
        let message = format!("`command` has no function `{}`", action.function);
        let problem = Diagnostic::error("command.run.unknown", message);
        Err(vec![problem.concerning(Concern::Internal)])
    }
}
