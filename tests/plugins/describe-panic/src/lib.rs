//! A plugin that panics when it is asked what it is.

use synth_core::{
    BuildTarget, Diagnostic, Native, NativeOutcome, Plan, PlanContext, RunContext,
    TargetDescription, TargetSpec,
};

struct DescribePanic;

synth_core::export_target!(DescribePanic);

impl BuildTarget for DescribePanic {
    fn describe(&self) -> TargetDescription {
        panic!("describe met what it did not expect")
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
