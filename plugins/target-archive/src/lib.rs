//! Archives of what other targets built and of files of the project: `tar.gz`, `tar.zst` and
//! `zip`, the same bytes from the same contents on every machine.
//!
//! See [`ArchiveTarget`] for the target kind and [`create_archive_build_target`] for a target made
//! by a program.

mod advice;
mod contents;
mod entries;
mod format;
mod meter;
mod pack;
mod plan;
mod settings;
mod tar_file;
mod zip_file;

use semver::Version;
use synth_core::{
    Advice, BuildTarget, Concern, Diagnostic, Native, NativeOutcome, PathError, Plan, PlanContext,
    ProjectPath, RunContext, TargetDescription, TargetSpec, settings_schema,
};

use contents::Contents;
use settings::Settings;

/// The target kind `archive`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ArchiveTarget;

synth_core::export_target!(ArchiveTarget);

/// An archive of what it needs, and of files of the directory `source_path` (relative to the
/// project's root) if it includes any.
///
/// ```
/// use synth_target_archive::create_archive_build_target;
///
/// let release = create_archive_build_target("release", ".")?
///     .need("api")
///     .setting("format", "tar.zst")
///     .setting("root", "storefront-1.0");
/// assert_eq!(release.kind, "archive");
/// # Ok::<(), synth_core::PathError>(())
/// ```
///
/// # Errors
/// When the path is absolute or leaves the project.
pub fn create_archive_build_target(
    name: impl Into<String>,
    source_path: &str,
) -> Result<TargetSpec, PathError> {
    let source_path = ProjectPath::parse(source_path)?;
    Ok(TargetSpec::new(name, "archive", source_path))
}

impl BuildTarget for ArchiveTarget {
    fn describe(&self) -> TargetDescription {
        TargetDescription {
            kind: "archive".into(),
            crate_name: env!("CARGO_PKG_NAME").into(),
            version: Version::parse(env!("CARGO_PKG_VERSION"))
                .unwrap_or_else(|_| Version::new(0, 0, 0)),
            description: "a reproducible tar.gz, tar.zst or zip of other targets' outputs".into(),
            settings_schema: settings_schema::<Settings>(),
            setting_aliases: Vec::new(),
        }
    }

    fn validate(&self, target: &TargetSpec, context: &dyn PlanContext) -> Vec<Diagnostic> {
        match Contents::read(target, context) {
            Ok(contents) => contents.warnings,
            Err(problems) => problems,
        }
    }

    fn plan(
        &self,
        target: &TargetSpec,
        context: &dyn PlanContext,
    ) -> Result<Plan, Vec<Diagnostic>> {
        Contents::read(target, context).map(|contents| plan::plan(&contents))
    }

    fn advice(&self) -> Vec<Advice> {
        advice::advice()
    }

    fn run(
        &self,
        action: &Native,
        context: &dyn RunContext,
    ) -> Result<NativeOutcome, Vec<Diagnostic>> {
        if action.function != pack::FUNCTION {
            let message = format!("`archive` has no function `{}`", action.function);
            return Err(vec![internal("archive.run.unknown", message)]);
        }
        let parameters = serde_json::from_value(action.parameters.clone()).map_err(|error| {
            let message = format!("the parameters of `{}` have a wrong shape", action.function);
            vec![internal("archive.run.parameters", message).caused_by(&error)]
        })?;
        pack::run(&parameters, context).map_err(|problem| vec![problem])
    }
}

/// An engine and a target that do not fit together.
fn internal(code: &str, message: String) -> Diagnostic {
    Diagnostic::error(code, message).concerning(Concern::Internal)
}
