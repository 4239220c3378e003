//! Plans and builds the targets of a test pipeline, one action after the other.

use std::collections::BTreeMap;
use std::fmt;

use super::action::{Done, Run, RunSettings};
use super::context::ProjectContext;
use super::panics::catch;
use super::patterns::glob_set;
use super::pipeline::TestPipeline;
use super::soundness;
use super::tree::{Entry, FileTree};
use crate::{
    Action, ActionKind, BuildTarget, Concern, Diagnostic, Input, InputSource, NativeOutcome, Plan,
    PlanContext, PlanError, ProjectPath, TargetSpec,
};

/// A target that was built.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
/// # fn main() -> Result<(), synth_core::testkit::Failed> {
/// use synth_core::testkit::TestPipeline;
///
/// let built = TestPipeline::new(Greet).file("names.txt", "Ada\n").build()?;
/// assert_eq!(built.outputs.text("greetings.txt"), Some("Hello, Ada!\n"));
/// assert_eq!(built.artifacts[0].path, "greetings.txt");
/// assert!(built.warnings.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Built {
    /// Its plan.
    pub plan: Plan,
    /// What it exports, below its output path (or its source path, when it is built in place).
    pub outputs: FileTree,
    /// What of that its plan calls artifacts.
    pub artifacts: Vec<BuiltArtifact>,
    /// Warnings of `validate`, of the plan and of native actions.
    pub warnings: Vec<Diagnostic>,
    /// What its actions wrote to their logs, line by line, in the order in which they ran.
    pub log: Vec<String>,
    /// What its native actions said that they were at.
    pub progress: Vec<String>,
    /// What native actions answered, by action.
    pub(super) outcomes: BTreeMap<String, NativeOutcome>,
    /// What native actions did not do the same way the second time.
    pub(super) doubts: Vec<Diagnostic>,
}

/// An exported file, or everything exported, that a plan calls an artifact.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
/// # fn main() -> Result<(), synth_core::testkit::Failed> {
/// use synth_core::testkit::{BuiltArtifact, TestPipeline};
///
/// let built = TestPipeline::new(Greet).file("names.txt", "Ada\n").build()?;
/// let BuiltArtifact { kind, path, .. } = &built.artifacts[0];
/// assert_eq!((kind.as_str(), path.as_str()), ("greet.text", "greetings.txt"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltArtifact {
    /// What it is, as the plan says it.
    pub kind: String,
    /// Where it is below the output path; empty for the output directory as a whole.
    pub path: String,
    /// What native actions say of artifacts of this kind.
    pub attributes: BTreeMap<String, String>,
}

/// A target that was not built, or has no plan. Shown, it is all that is known of why.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/testkit/greet.example"));
/// # fn main() {
/// use synth_core::testkit::TestPipeline;
///
/// let failed = TestPipeline::new(Greet).build().unwrap_err();
/// assert_eq!(failed.diagnostics[0].code, "greet.names.missing");
/// assert_eq!(
///     failed.to_string(),
///     "target `greet` was not built\n\
///      error greet.names.missing: there is no `names.txt`\n\
///     \x20 help: write a name on each line of it\n"
/// );
/// # }
/// ```
#[derive(Clone)]
pub struct Failed {
    /// The target's name.
    pub target: String,
    /// The action that failed; none when no plan was made.
    pub action: Option<String>,
    /// Why.
    pub diagnostics: Vec<Diagnostic>,
    /// What the action wrote to its log.
    pub log: Vec<String>,
}

impl Failed {
    pub(super) fn of(target: &TargetSpec, diagnostics: Vec<Diagnostic>) -> Self {
        Self {
            target: target.name.clone(),
            action: None,
            diagnostics,
            log: Vec::new(),
        }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.action {
            None => writeln!(formatter, "target `{}` was not built", self.target)?,
            Some(action) => writeln!(
                formatter,
                "target `{}` was not built: `{action}` failed",
                self.target
            )?,
        }
        for diagnostic in &self.diagnostics {
            formatter.write_str(&super::in_words(diagnostic))?;
        }
        self.log
            .iter()
            .try_for_each(|line| writeln!(formatter, "| {line}"))
    }
}

// What `unwrap` shows: a test that fails is to be understood at once.
impl fmt::Debug for Failed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl std::error::Error for Failed {}

/// A project made ready.
pub(super) struct Session {
    pub(super) context: ProjectContext,
    /// What the stand-ins of needed targets export.
    pub(super) needed: BTreeMap<String, FileTree>,
}

impl Session {
    /// A plan that can be carried out.
    pub(super) fn plan(&self, kind: &dyn BuildTarget, target: &TargetSpec) -> Result<Plan, Failed> {
        let failed = |problems| Failed::of(target, problems);
        let panicked = |method: &str, panic: String| {
            let message = format!("the target kind `{}` panicked in `{method}`", target.kind);
            let problem = Diagnostic::error("internal.panic", message).cause(panic);
            failed(vec![problem.concerning(Concern::Internal)])
        };
        let found = catch(|| kind.validate(target, &self.context))
            .map_err(|panic| panicked("validate", panic))?;
        let (errors, mut warnings): (Vec<_>, Vec<_>) =
            found.into_iter().partition(Diagnostic::is_error);
        if !errors.is_empty() {
            return Err(failed(errors));
        }
        let mut plan = catch(|| kind.plan(target, &self.context))
            .map_err(|panic| panicked("plan", panic))?
            .map_err(failed)?;
        let faults = soundness::faults(&plan, target);
        if !faults.is_empty() {
            let message = format!("the plan of target `{}` can't be carried out", target.name);
            let problem = Diagnostic::error("plan.broken", message).concerning(Concern::Internal);
            let problem = faults.into_iter().fold(problem, Diagnostic::cause);
            return Err(failed(vec![problem]));
        }
        warnings.append(&mut plan.warnings);
        plan.warnings = warnings;
        Ok(plan)
    }

    /// Builds all targets of the pipeline; the one under test is given back. With `verify`,
    /// native actions are run once more, with no right to open anything but what is theirs.
    pub(super) fn build(&self, pipeline: &TestPipeline, verify: bool) -> Result<Built, Failed> {
        let mut exported = self.needed.clone();
        let mut waiting: Vec<_> = pipeline.others.iter().collect();
        loop {
            let is_ready = |target: &TargetSpec| {
                let mut needs = target.needs.iter();
                needs.all(|name| exported.contains_key(name))
            };
            let next = waiting.iter().position(|(_, target)| is_ready(target));
            let Some(next) = next else { break };
            let (kind, target) = waiting.remove(next);
            let build = TargetBuild::new(self, kind.as_ref(), target, &exported, &pipeline.run);
            let built = build.run(false)?;
            exported.insert(target.name.clone(), built.outputs);
        }
        let target = &pipeline.target;
        let missing = target
            .needs
            .iter()
            .find(|name| !exported.contains_key(*name));
        if let Some(name) = missing {
            let message = format!(
                "target `{}` needs `{name}`, which is not there",
                target.name
            );
            let problem = Diagnostic::error("config.needs", message)
                .help("add it with `TestPipeline::needed` or `TestPipeline::with`");
            return Err(Failed::of(target, vec![problem]));
        }
        TargetBuild::new(
            self,
            pipeline.kind.as_ref(),
            target,
            &exported,
            &pipeline.run,
        )
        .run(verify)
    }
}

/// One target being built.
struct TargetBuild<'a> {
    session: &'a Session,
    kind: &'a dyn BuildTarget,
    target: &'a TargetSpec,
    /// What other targets export.
    exported: &'a BTreeMap<String, FileTree>,
    settings: &'a RunSettings,
    done: BTreeMap<String, Done>,
    doubts: Vec<Diagnostic>,
    log: Vec<String>,
    progress: Vec<String>,
}

impl<'a> TargetBuild<'a> {
    fn new(
        session: &'a Session,
        kind: &'a dyn BuildTarget,
        target: &'a TargetSpec,
        exported: &'a BTreeMap<String, FileTree>,
        settings: &'a RunSettings,
    ) -> Self {
        Self {
            session,
            kind,
            target,
            exported,
            settings,
            done: BTreeMap::new(),
            doubts: Vec::new(),
            log: Vec::new(),
            progress: Vec::new(),
        }
    }

    fn run(mut self, verify: bool) -> Result<Built, Failed> {
        let plan = self.session.plan(self.kind, self.target)?;
        let mut waiting: Vec<&Action> = plan.actions.iter().collect();
        while !waiting.is_empty() {
            // A sound plan has no circle: there is always one whose turn it is.
            let next = waiting.iter().position(|action| self.is_ready(action));
            let action = waiting.remove(next.unwrap_or_default());
            self.carry_out(action, verify)?;
        }
        let (outputs, artifacts) = self
            .exports(&plan)
            .map_err(|problem| Failed::of(self.target, vec![problem]))?;
        let outcomes: BTreeMap<String, NativeOutcome> = self
            .done
            .into_iter()
            .map(|(id, done)| (id, done.outcome))
            .collect();
        let mut warnings = plan.warnings.clone();
        let said = outcomes.values().flat_map(|outcome| &outcome.diagnostics);
        warnings.extend(said.cloned());
        Ok(Built {
            plan,
            outputs,
            artifacts,
            warnings,
            log: self.log,
            progress: self.progress,
            outcomes,
            doubts: self.doubts,
        })
    }

    fn is_ready(&self, action: &Action) -> bool {
        let mut befores = soundness::befores(action);
        befores.all(|before| self.done.contains_key(before))
    }

    fn carry_out(&mut self, action: &Action, verify: bool) -> Result<(), Failed> {
        let failed = |diagnostics, log| Failed {
            action: Some(action.id.clone()),
            log,
            ..Failed::of(self.target, diagnostics)
        };
        let inputs = self
            .inputs(action)
            .map_err(|problem| failed(vec![problem], Vec::new()))?;
        let run = |sandboxed| Run {
            kind: self.kind,
            action,
            inputs: &inputs,
            settings: self.settings,
            sandboxed,
        };
        let done = run(false)
            .carry_out()
            .map_err(|not| failed(not.diagnostics, not.log))?;
        if verify && matches!(action.kind, ActionKind::Native(_)) {
            let again = run(true).carry_out();
            self.doubts.extend(doubt(action, &done, again));
        }
        self.log.extend(done.log.iter().cloned());
        self.progress.extend(done.progress.iter().cloned());
        self.done.insert(action.id.clone(), done);
        Ok(())
    }

    /// What an action's directory holds when it begins.
    fn inputs(&self, action: &Action) -> Result<FileTree, Diagnostic> {
        let problem = |reason: String| {
            let message = format!("the inputs of `{}` can't be laid out", action.description);
            Diagnostic::error("input.unreadable", message).cause(reason)
        };
        let mut tree = FileTree::default();
        for input in &action.inputs {
            self.lay_out(input, &mut tree).map_err(problem)?;
        }
        Ok(tree)
    }

    fn lay_out(&self, input: &Input, tree: &mut FileTree) -> Result<(), String> {
        let in_words = |error: PlanError| error.to_string();
        let at = super::tree::normal(&input.at).map_err(|error| error.to_string())?;
        let laid = match &input.from {
            InputSource::Source(files) => {
                let paths = self.session.context.files(files).map_err(in_words)?;
                tree.merge(&at, &self.files(&files.root, &paths)?)
            }
            InputSource::Files { root, paths } => tree.merge(&at, &self.files(root, paths)?),
            InputSource::Output { action, output } => {
                let outputs = self.done.get(action).map(|done| &done.outputs);
                match outputs.and_then(|outputs| outputs.get(output)) {
                    Some(left) => left.put(tree, &at),
                    None => return Err(format!("`{action}` left no `{output}`")),
                }
            }
            InputSource::Target { name } => match self.exported.get(name) {
                Some(exports) => tree.merge(&at, exports),
                None => return Err(format!("there is no target `{name}`")),
            },
            InputSource::Inline(file) if file.executable => {
                tree.insert(&at, Entry::program(&file.text))
            }
            InputSource::Inline(file) => tree.insert(&at, Entry::file(&file.text)),
        };
        laid.map_err(|conflict| conflict.to_string())
    }

    /// Files of the project, one by one.
    fn files(&self, root: &ProjectPath, paths: &[String]) -> Result<FileTree, String> {
        let mut tree = FileTree::default();
        for path in paths {
            let whole = root.join(path).map_err(|error| error.to_string())?;
            let entry = self.session.context.entry(&whole);
            let entry = entry.map_err(|error| error.to_string())?;
            let entry = entry.ok_or_else(|| format!("`{whole}` does not exist"))?;
            let at = super::tree::normal(path).map_err(|error| error.to_string())?;
            tree.insert(&at, entry.clone())
                .map_err(|conflict| conflict.to_string())?;
        }
        Ok(tree)
    }

    /// What the target exports, and which of it are artifacts.
    fn exports(&self, plan: &Plan) -> Result<(FileTree, Vec<BuiltArtifact>), Diagnostic> {
        let broken = |reason: String| {
            let message = format!(
                "the exports of target `{}` can't be put together",
                self.target.name
            );
            Diagnostic::error("plan.broken", message)
                .concerning(Concern::Internal)
                .cause(reason)
        };
        let mut tree = FileTree::default();
        for export in &plan.exports {
            let outputs = self.done.get(&export.action).map(|done| &done.outputs);
            let left = outputs
                .and_then(|outputs| outputs.get(&export.output))
                .ok_or_else(|| broken(format!("`{}` is not there", export.output)))?;
            let at =
                super::tree::normal(&export.path).map_err(|error| broken(error.to_string()))?;
            left.put(&mut tree, &at)
                .map_err(|conflict| broken(conflict.to_string()))?;
        }
        let mut artifacts = Vec::new();
        for rule in &plan.artifacts {
            let attributes: BTreeMap<String, String> = self
                .done
                .values()
                .filter_map(|done| done.outcome.attributes.get(&rule.kind))
                .flatten()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            let mut found = |path: &str| {
                artifacts.push(BuiltArtifact {
                    kind: rule.kind.clone(),
                    path: path.to_owned(),
                    attributes: attributes.clone(),
                });
            };
            if rule.pattern.is_empty() && !plan.in_place {
                found("");
                continue;
            }
            let pattern = match rule.pattern.as_str() {
                "" => "**",
                pattern => pattern,
            };
            let globs =
                glob_set(&[pattern.to_owned()]).map_err(|error| broken(error.to_string()))?;
            tree.paths()
                .into_iter()
                .filter(|path| tree.file(path).is_some() && globs.is_match(path))
                .for_each(&mut found);
        }
        Ok((tree, artifacts))
    }
}

/// What a second run of a native action shows.
fn doubt(
    action: &Action,
    first: &Done,
    again: Result<Done, super::action::NotDone>,
) -> Option<Diagnostic> {
    match again {
        Ok(again) if again.outputs == first.outputs && again.outcome == first.outcome => None,
        Ok(again) => {
            let differing = first
                .outputs
                .iter()
                .find(|(name, left)| again.outputs.get(*name) != Some(left));
            let what = match differing {
                Some((name, _)) => format!("other bytes in its output `{name}`"),
                None => "another outcome".into(),
            };
            let message = format!(
                "the native action `{}` gave {what} the second time",
                action.id
            );
            Some(
                Diagnostic::error("conformance.native.differs", message)
                    .help("what it leaves must follow from its inputs and parameters: no clock, no random numbers, no order of a hash map, no files that are not its inputs"),
            )
        }
        Err(not_done) => {
            let message = format!(
                "the native action `{}` failed where it could open nothing but its own directories",
                action.id
            );
            let problem = Diagnostic::error("conformance.native.undeclared", message)
                .help("everything that it reads has to be an input of the action; inputs are not to be written, and temporary files go to `RunContext::scratch`");
            let causes = not_done.diagnostics.into_iter().flat_map(|diagnostic| {
                let mut texts = vec![diagnostic.message];
                texts.extend(diagnostic.causes);
                texts
            });
            Some(causes.fold(problem, Diagnostic::cause))
        }
    }
}
