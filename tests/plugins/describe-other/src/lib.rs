//! A plugin whose manifest was not brought up to date.

use synth_core::{
    BuildTarget, Diagnostic, Native, NativeOutcome, Plan, PlanContext, RunContext,
    TargetDescription, TargetSpec,
};

struct DescribeOther;

synth_core::export_target!(DescribeOther);

impl BuildTarget for DescribeOther {
    fn describe(&self) -> TargetDescription {
        TargetDescription {
            kind: "describe-other-by-now".into(),
            crate_name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").parse().unwrap(),
            description: "What it is now".into(),
            settings_schema: serde_json::json!({ "type": "object", "properties": {} }),
            setting_aliases: Vec::new(),
        }
    }

    fn validate(&self, _: &TargetSpec, _: &dyn PlanContext) -> Vec<Diagnostic> {
        Vec::new()
    }

    fn plan(&self, _: &TargetSpec, _: &dyn PlanContext) -> Result<Plan, Vec<Diagnostic>> {
        Ok(Plan::default())
    }

    fn run(&self, _: &Native, _: &dyn RunContext) -> Result<NativeOutcome, Vec<Diagnostic>> {
        Ok(NativeOutcome::quiet())
    }
}
