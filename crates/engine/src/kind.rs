//! A target kind as the engine calls it: every call is guarded, so that a panic is a problem of
//! the target that it was made for and not the end of the build.

use std::sync::Arc;

use synth_core::protocol::{Batch, Batching, Prepared};
use synth_core::{
    Advice, BuildTarget, Concern, Detection, Diagnostic, Effect, Native, NativeOutcome, Plan,
    PlanContext, Presence, ProjectPath, Receipt, Requirement, RunContext, TargetDescription,
    TargetSpec,
};

use crate::guard::{Panic, guarded};

/// A target kind.
pub struct Kind {
    /// Its code, or why it can't be used.
    target: Result<Arc<dyn BuildTarget>, Diagnostic>,
    description: TargetDescription,
    identity: Option<String>,
}

impl Kind {
    pub(crate) fn new(
        target: Arc<dyn BuildTarget>,
        description: TargetDescription,
        identity: Option<String>,
    ) -> Self {
        Self {
            target: Ok(target),
            description,
            identity,
        }
    }

    /// A kind that takes any settings, and whose targets have that problem.
    pub(crate) fn broken(kind: String, problem: Diagnostic) -> Self {
        let description = TargetDescription {
            kind,
            crate_name: String::new(),
            version: semver::Version::new(0, 0, 0),
            description: "Can't be used".into(),
            settings_schema: serde_json::json!({
                "type": "object",
                "additionalProperties": true,
            }),
            setting_aliases: Vec::new(),
        };
        Self {
            target: Err(problem),
            description,
            identity: None,
        }
    }

    /// What it is, without asking it.
    #[must_use]
    pub fn description(&self) -> &TargetDescription {
        &self.description
    }

    /// What tells its code from that of another version: none when that is not known.
    pub(crate) fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    /// How it is best asked for several targets.
    pub(crate) fn batching(&self) -> Batching {
        let batching = self.call("in `batching`", |kind| kind.batching());
        batching.unwrap_or_default()
    }

    /// Why it can't be used, if it can't.
    #[must_use]
    pub fn problem(&self) -> Option<&Diagnostic> {
        self.target.as_ref().err()
    }

    pub(crate) fn validate(
        &self,
        target: &TargetSpec,
        context: &dyn PlanContext,
    ) -> Vec<Diagnostic> {
        self.call("in `validate`", |kind| kind.validate(target, context))
            .unwrap_or_else(|problem| vec![problem])
    }

    pub(crate) fn requirements(
        &self,
        target: &TargetSpec,
        context: &dyn PlanContext,
    ) -> Result<Vec<Requirement>, Diagnostic> {
        self.call("in `requirements`", |kind| {
            kind.requirements(target, context)
        })
    }

    pub(crate) fn plan(
        &self,
        target: &TargetSpec,
        context: &dyn PlanContext,
    ) -> Result<Plan, Vec<Diagnostic>> {
        self.call("in `plan`", |kind| kind.plan(target, context))
            .unwrap_or_else(|problem| Err(vec![problem]))
            .map_err(|problems| self.with_reason(problems, "in `plan`"))
    }

    /// Validates and plans several targets with one call; none when they are to be asked for one
    /// by one. So they are when the call fails: whose fault it is comes out then.
    pub(crate) fn prepare(&self, batch: &Batch<'_>) -> Option<Vec<Prepared>> {
        let prepared = self
            .call("in `prepare`", |kind| kind.prepare(batch))
            .ok()??;
        let of_each = prepared.into_iter().map(|Prepared { problems, plan }| {
            let with_reason = |problems| self.with_reason(problems, "in `plan`");
            let plan = plan.map(|plan| plan.map_err(with_reason));
            Prepared { problems, plan }
        });
        Some(of_each.collect())
    }

    pub(crate) fn run(
        &self,
        action: &Native,
        context: &dyn RunContext,
    ) -> Result<NativeOutcome, Vec<Diagnostic>> {
        let doing = format!("in `run` of `{}`", action.function);
        self.call(&doing, |kind| kind.run(action, context))
            .unwrap_or_else(|problem| Err(vec![problem]))
            .map_err(|problems| self.with_reason(problems, &doing))
    }

    /// What it knows of failures that people meet.
    pub(crate) fn advice(&self) -> Result<Vec<Advice>, Diagnostic> {
        self.call("in `advice`", |kind| kind.advice())
    }

    pub(crate) fn check_effect(
        &self,
        effect: &Effect,
        context: &dyn RunContext,
    ) -> Result<Presence, Vec<Diagnostic>> {
        self.effect("check_effect", effect, |kind| {
            kind.check_effect(effect, context)
        })
    }

    pub(crate) fn apply_effect(
        &self,
        effect: &Effect,
        context: &dyn RunContext,
    ) -> Result<Receipt, Vec<Diagnostic>> {
        self.effect("apply_effect", effect, |kind| {
            kind.apply_effect(effect, context)
        })
    }

    pub(crate) fn undo_effect(
        &self,
        effect: &Effect,
        receipt: Option<&Receipt>,
        context: &dyn RunContext,
    ) -> Result<(), Vec<Diagnostic>> {
        self.effect("undo_effect", effect, |kind| {
            kind.undo_effect(effect, receipt, context)
        })
    }

    fn effect<T>(
        &self,
        method: &str,
        effect: &Effect,
        call: impl FnOnce(&dyn BuildTarget) -> Result<T, Vec<Diagnostic>>,
    ) -> Result<T, Vec<Diagnostic>> {
        let doing = format!("in `{method}` of `{}`", effect.id);
        self.call(&doing, call)
            .unwrap_or_else(|problem| Err(vec![problem]))
            .map_err(|problems| self.with_reason(problems, &doing))
    }

    pub(crate) fn clean(&self, target: &TargetSpec) -> Result<Vec<ProjectPath>, Diagnostic> {
        self.call("in `clean`", |kind| kind.clean(target))
    }

    /// Whether a directory holds something of this kind.
    ///
    /// # Errors
    /// When it can't be used, or panics.
    pub fn detect(
        &self,
        directory: &ProjectPath,
        context: &dyn PlanContext,
    ) -> Result<Option<Detection>, Diagnostic> {
        self.call("in `detect`", |kind| kind.detect(directory, context))
    }

    fn call<T>(
        &self,
        doing: &str,
        call: impl FnOnce(&dyn BuildTarget) -> T,
    ) -> Result<T, Diagnostic> {
        let target = self.target.as_ref().map_err(Clone::clone)?;
        guarded(|| call(target.as_ref())).map_err(|panic| panicked(&self.name(), doing, panic))
    }

    fn name(&self) -> String {
        format!("the target kind `{}`", self.description.kind)
    }

    /// A failure has at least one error that tells why.
    fn with_reason(&self, mut problems: Vec<Diagnostic>, doing: &str) -> Vec<Diagnostic> {
        if !problems.iter().any(Diagnostic::is_error) {
            let message = format!("{} gave no reason for its failure {doing}", self.name());
            problems.push(fault("internal.kind.silent", message));
        }
        problems
    }
}

/// What a kind says of itself.
///
/// # Errors
/// When it panics.
pub(crate) fn describe(target: &dyn BuildTarget) -> Result<TargetDescription, Diagnostic> {
    guarded(|| target.describe())
        .map_err(|panic| panicked("a target kind that is linked in", "in `describe`", panic))
}

fn panicked(who: &str, doing: &str, panic: Panic) -> Diagnostic {
    let problem = fault("internal.panic", format!("{who} panicked {doing}"));
    match panic {
        Panic::Told(problem) => *problem,
        Panic::Message { message, place } => match place {
            Some(place) => problem.cause(format!("{message} (at {place})")),
            None => problem.cause(message),
        },
    }
}

pub(crate) fn fault(code: &str, message: String) -> Diagnostic {
    Diagnostic::error(code, message)
        .concerning(Concern::Internal)
        .help("this is a fault of the target kind: report it to its authors")
}
