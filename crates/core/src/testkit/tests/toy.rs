//! A target kind whose every part can be replaced by a bad one.

use std::fs;

use schemars::JsonSchema;
use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::testkit::TestPipeline;
use crate::{
    Action, BuildTarget, Diagnostic, InputSource, Native, NativeOutcome, Phase, Plan, PlanContext,
    RunContext, SourceFiles, TargetDescription, TargetSpec, settings_schema,
};

/// The settings of the good toy.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// Said first.
    pub(crate) greeting: String,
    /// How often.
    pub(crate) times: Option<u8>,
    /// Names beside those in the file.
    pub(crate) names: Vec<String>,
}

pub(crate) type Answer = Result<NativeOutcome, Vec<Diagnostic>>;

/// A kind made of functions.
#[derive(Clone, Copy)]
pub(crate) struct Toy {
    pub(crate) describe: fn() -> TargetDescription,
    pub(crate) validate: fn(&TargetSpec, &dyn PlanContext) -> Vec<Diagnostic>,
    pub(crate) plan: fn(&TargetSpec, &dyn PlanContext) -> Result<Plan, Vec<Diagnostic>>,
    pub(crate) run: fn(&Native, &dyn RunContext) -> Answer,
}

impl Default for Toy {
    fn default() -> Self {
        Self {
            describe: description,
            validate,
            plan,
            run,
        }
    }
}

impl Toy {
    /// A pipeline that the good toy builds.
    pub(crate) fn pipeline(self) -> TestPipeline {
        TestPipeline::new(self)
            .file("names.txt", "Ada\n")
            .setting("greeting", "Hello")
    }
}

pub(crate) fn description() -> TargetDescription {
    TargetDescription {
        kind: "toy".into(),
        crate_name: "synth-target-toy".into(),
        version: Version::new(1, 2, 3),
        description: "a toy".into(),
        settings_schema: settings_schema::<Settings>(),
        setting_aliases: Vec::new(),
    }
}

pub(crate) fn validate(target: &TargetSpec, _context: &dyn PlanContext) -> Vec<Diagnostic> {
    target.settings_as::<Settings>().err().into_iter().collect()
}

pub(crate) fn plan(
    target: &TargetSpec,
    _context: &dyn PlanContext,
) -> Result<Plan, Vec<Diagnostic>> {
    let settings: Settings = target.settings_as().map_err(|problem| vec![problem])?;
    Ok(one_action(
        target,
        Native::new("toy").parameters(json!(settings)),
    ))
}

/// A plan of one action that leaves `out.txt`.
pub(crate) fn one_action(target: &TargetSpec, kind: impl Into<crate::ActionKind>) -> Plan {
    let names = SourceFiles::below(target.source_path.clone()).include(["names.txt"]);
    let action = Action::new("toy", Phase::Build, "make a toy", kind)
        .input("", InputSource::Source(names))
        .output_file("text", "out.txt");
    Plan::default()
        .action(action)
        .export("toy", "text", "out.txt")
        .artifact("toy.text", "*.txt")
}

pub(crate) fn run(action: &Native, context: &dyn RunContext) -> Answer {
    let failed = |error: std::io::Error| vec![Diagnostic::error("toy", error.to_string())];
    let names = fs::read_to_string(context.inputs().join("names.txt")).map_err(failed)?;
    let greeting = action.parameters["greeting"].as_str().unwrap_or_default();
    context.log("at work");
    fs::write(
        context.outputs().join("out.txt"),
        format!("{greeting} {names}"),
    )
    .map_err(failed)?;
    Ok(NativeOutcome::quiet().attribute("toy.text", "greeting", greeting))
}

impl BuildTarget for Toy {
    fn describe(&self) -> TargetDescription {
        (self.describe)()
    }

    fn validate(&self, target: &TargetSpec, context: &dyn PlanContext) -> Vec<Diagnostic> {
        (self.validate)(target, context)
    }

    fn plan(
        &self,
        target: &TargetSpec,
        context: &dyn PlanContext,
    ) -> Result<Plan, Vec<Diagnostic>> {
        (self.plan)(target, context)
    }

    fn run(&self, action: &Native, context: &dyn RunContext) -> Answer {
        (self.run)(action, context)
    }
}
