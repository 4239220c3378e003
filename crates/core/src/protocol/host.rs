//! The host's side: a plugin as a [`BuildTarget`], and the answers to what a plugin asks.

use std::borrow::Cow;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use semver::Version;
use serde::{Deserialize, Serialize};

use super::{
    Answer, Ask, Batch, Batching, Outcome, PrepareRequest, Prepared, RunRequest, TargetAnswer,
    TargetQuestion, host_method, method, reply, written,
};
use crate::{
    Advice, BuildTarget, Concern, Detection, Diagnostic, Effect, EffectRequest, INTERFACE_VERSION,
    Message, MessageError, Native, NativeOutcome, Plan, PlanContext, Presence, Process,
    ProjectPath, Receipt, Requirement, RunContext, SourceFiles, TargetDescription, TargetSpec,
    ToolRequest,
};

/// The way to a plugin.
pub trait Channel: Send + Sync {
    /// Puts a question and gives the answer; what the plugin asks meanwhile is answered by `host`.
    ///
    /// # Errors
    /// When there is no answer: the plugin can't be opened, or ended.
    fn call(&self, method: &str, request: &str, host: &HostSide<'_>) -> Result<String, Diagnostic>;

    /// How several targets go over it.
    fn batching(&self) -> Batching {
        Batching::Serial
    }
}

/// What the host does for the method that is called.
pub enum HostSide<'a> {
    /// Nothing.
    Nothing,
    /// It shows the project.
    Plan(&'a dyn PlanContext),
    /// It shows the project to several targets.
    Batch(&'a Batch<'a>),
    /// It gives a place, a log and processes.
    Run(&'a dyn RunContext),
}

impl Ask for HostSide<'_> {
    fn ask(&self, method: &str, request: &str) -> String {
        match self {
            Self::Nothing => written(Answer::<()>::Unknown),
            Self::Plan(context) => plan_answer(*context, method, request),
            Self::Batch(batch) => batch_answer(batch, method, request),
            Self::Run(context) => run_answer(*context, method, request),
        }
    }
}

fn plan_answer(context: &dyn PlanContext, method: &str, request: &str) -> String {
    match method {
        host_method::READ => reply(request, |path: ProjectPath| {
            context.read(&path).map(|bytes| BASE64.encode(bytes))
        }),
        host_method::KIND => reply(request, |path: ProjectPath| context.kind(&path)),
        host_method::FILES => reply(request, |files: SourceFiles| context.files(&files)),
        host_method::DIRECTORIES => {
            reply(request, |files: SourceFiles| context.directories(&files))
        }
        host_method::LINK => reply(request, |path: ProjectPath| context.link(&path)),
        host_method::TOOL => reply(request, |tool: ToolRequest| context.tool(&tool)),
        host_method::IS_CANCELLED => reply(request, |()| context.is_cancelled()),
        _ => written(Answer::<()>::Unknown),
    }
}

fn batch_answer(batch: &Batch<'_>, method: &str, request: &str) -> String {
    match method {
        host_method::FOR_TARGET => {}
        host_method::IS_CANCELLED => return reply(request, |()| batch.host.is_cancelled()),
        _ => return written(Answer::<()>::Unknown),
    }
    let malformed = |reason: String| written(Answer::<()>::Malformed { reason });
    let question = match Message::<TargetQuestion>::from_json(request) {
        Ok(message) => message.body,
        Err(error) => return malformed(super::reason(&error)),
    };
    let target = usize::try_from(question.target).unwrap_or(usize::MAX);
    let context = batch.host.context(target);
    let Some(context) = context.filter(|_| batch.host.used(target, &question.used)) else {
        return malformed("there is no such target, or no such answer that it used".into());
    };
    match Message::new(&question.question).to_json() {
        Ok(request) => plan_answer(context, &question.method, &request),
        Err(error) => malformed(super::reason(&error)),
    }
}

fn run_answer(context: &dyn RunContext, method: &str, request: &str) -> String {
    match method {
        host_method::LOG => reply(request, |line: String| context.log(&line)),
        host_method::PROGRESS => reply(request, |message: String| context.progress(&message)),
        host_method::IS_CANCELLED => reply(request, |()| context.is_cancelled()),
        host_method::RUN_PROCESS => reply(request, |process: Process| context.run(&process)),
        _ => written(Answer::<()>::Unknown),
    }
}

/// A plugin's crate and version, as messages name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginName {
    /// The crate.
    pub crate_name: String,
    /// The crate's version.
    pub version: Version,
}

impl std::fmt::Display for PluginName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.crate_name, self.version)
    }
}

/// A plugin as a target kind: every method is a question over a [`Channel`].
pub struct RemoteTarget<C> {
    channel: C,
    name: PluginName,
    description: TargetDescription,
    /// Set once the plugin has said that it is what its manifest says.
    introduced: OnceLock<()>,
}

impl<C: Channel> RemoteTarget<C> {
    /// The plugin at the other end of a channel, with what its manifest says of it.
    pub fn new(channel: C, description: TargetDescription) -> Self {
        Self {
            channel,
            name: PluginName {
                crate_name: description.crate_name.clone(),
                version: description.version.clone(),
            },
            description,
            introduced: OnceLock::new(),
        }
    }

    /// What the plugin itself says that it is, where [`BuildTarget::describe`] repeats its
    /// manifest.
    ///
    /// # Errors
    /// When it can't be asked, or panics.
    pub fn describe_itself(&self) -> Result<TargetDescription, Diagnostic> {
        self.described(&HostSide::Nothing)
    }

    fn described(&self, host: &HostSide<'_>) -> Result<TargetDescription, Diagnostic> {
        self.question(method::DESCRIBE, &(), host, None)
    }

    /// Puts a question to a plugin that is what its manifest says: a library that was exchanged,
    /// or whose manifest is out of date, is found before anything is built on it.
    fn put<Q: Serialize, A>(
        &self,
        method: &str,
        question: &Q,
        host: &HostSide<'_>,
        fallback: Option<A>,
    ) -> Result<A, Diagnostic>
    where
        A: for<'de> Deserialize<'de>,
    {
        if self.introduced.get().is_none() {
            let said = self.described(host)?;
            let identity = |description: &TargetDescription| {
                let TargetDescription {
                    kind,
                    crate_name,
                    version,
                    ..
                } = description;
                format!("kind `{kind}` of {crate_name} {version}")
            };
            let (promised, said) = (identity(&self.description), identity(&said));
            if promised != said {
                return Err(Diagnostic::error(
                    "plugin.describe",
                    format!("plugin `{}` is not what its manifest says", self.name),
                )
                .concerning(Concern::Environment)
                .cause(format!("the manifest says {promised}, the library {said}"))
                .help("its authors bring `synth-target.json` up to date with the conformance test of the test kit"));
            }
            self.introduced.get_or_init(|| ());
        }
        self.question(method, question, host, fallback)
    }

    /// Puts a question. A plugin that does not know the method gives `fallback`.
    fn question<Q: Serialize, A>(
        &self,
        method: &str,
        question: &Q,
        host: &HostSide<'_>,
        fallback: Option<A>,
    ) -> Result<A, Diagnostic>
    where
        A: for<'de> Deserialize<'de>,
    {
        let request = Message::new(question)
            .to_json()
            .map_err(|error| self.misunderstood(method, &error))?;
        let answer = self.channel.call(method, &request, host)?;
        let answer = Message::<Answer<A>>::from_json(&answer).map_err(|error| {
            let problem = self.misunderstood(method, &error);
            // The body may be wrong because it is that of a newer interface.
            match Message::<serde::de::IgnoredAny>::from_json(&answer) {
                Ok(message) if message.interface != INTERFACE_VERSION => {
                    problem.cause(versions(&message.interface))
                }
                _ => problem,
            }
        })?;
        match (answer.body, fallback) {
            (Answer::Unknown, Some(value)) => Ok(value),
            (body, _) => self.settled(method, body, &answer.interface),
        }
    }

    /// What was answered to a method, by a plugin of that interface.
    fn settled<A>(
        &self,
        method: &str,
        answer: Answer<A>,
        interface: &Version,
    ) -> Result<A, Diagnostic> {
        match answer {
            Answer::Done(value) => Ok(value),
            Answer::Unknown => Err(self.fault(
                "plugin.message",
                format!("plugin `{}` does not know `{method}`", self.name),
            )),
            Answer::Malformed { reason } => Err(self
                .fault(
                    "plugin.message",
                    format!("plugin `{}` can't read `{method}`", self.name),
                )
                .cause(reason)
                .cause(versions(interface))),
            Answer::Panicked { message, place } => {
                let problem = self.fault(
                    "plugin.panic",
                    format!("plugin `{}` panicked in `{method}`", self.name),
                );
                Err(match (message.as_str(), place.as_str()) {
                    ("", "") => problem,
                    (message, "") => problem.cause(message),
                    (message, place) => problem.cause(format!("{message} (at {place})")),
                })
            }
        }
    }

    /// What a plugin says of one target of a batch; none when it is neither a plan nor an error.
    fn prepared(&self, answer: TargetAnswer) -> Option<Prepared> {
        let settled = self.settled(method::VALIDATE, answer.validate, &INTERFACE_VERSION);
        let problems = settled.unwrap_or_else(|problem| vec![problem]);
        let plan = answer.plan.map(|plan| {
            let settled = self.settled(method::PLAN, plan, &INTERFACE_VERSION);
            settled.map_err(|problem| vec![problem])?.into()
        });
        let says_enough = plan.is_some() || problems.iter().any(Diagnostic::is_error);
        says_enough.then_some(Prepared { problems, plan })
    }

    /// Puts a question about an effect.
    fn effect<A>(
        &self,
        method: &str,
        effect: &Effect,
        receipt: Option<&Receipt>,
        context: &dyn RunContext,
        fallback: Option<Outcome<A>>,
    ) -> Result<A, Vec<Diagnostic>>
    where
        A: for<'de> Deserialize<'de>,
    {
        let request = EffectRequest {
            effect: effect.clone(),
            receipt: receipt.cloned(),
            inputs: context.inputs().to_owned(),
            outputs: context.outputs().to_owned(),
            scratch: context.scratch().to_owned(),
        };
        // There may have been no other question before it: effects need no plan.
        let answer = self.put(method, &request, &HostSide::Run(context), fallback);
        answer.map_err(|problem| vec![problem])?.into()
    }

    fn fault(&self, code: &str, message: String) -> Diagnostic {
        Diagnostic::error(code, message)
            .concerning(Concern::Internal)
            .help(format!(
                "this is a fault of the plugin: report it to the authors of `{}`",
                self.name.crate_name
            ))
    }

    fn misunderstood(&self, method: &str, error: &MessageError) -> Diagnostic {
        self.fault(
            "plugin.message",
            format!(
                "what plugin `{}` says to `{method}` is not understood",
                self.name
            ),
        )
        .caused_by(error)
    }
}

fn versions(plugin: &Version) -> String {
    format!("it speaks interface {plugin}, and this synth {INTERFACE_VERSION}")
}

impl<C: Channel> BuildTarget for RemoteTarget<C> {
    fn describe(&self) -> TargetDescription {
        self.description.clone()
    }

    fn validate(&self, target: &TargetSpec, context: &dyn PlanContext) -> Vec<Diagnostic> {
        self.put(method::VALIDATE, target, &HostSide::Plan(context), None)
            .unwrap_or_else(|problem| vec![problem])
    }

    fn requirements(&self, target: &TargetSpec, context: &dyn PlanContext) -> Vec<Requirement> {
        let host = HostSide::Plan(context);
        // What stands in the way is told by `validate`.
        self.put(method::REQUIREMENTS, target, &host, Some(Vec::new()))
            .unwrap_or_default()
    }

    fn plan(
        &self,
        target: &TargetSpec,
        context: &dyn PlanContext,
    ) -> Result<Plan, Vec<Diagnostic>> {
        let answer: Result<Outcome<Plan>, Diagnostic> =
            self.put(method::PLAN, target, &HostSide::Plan(context), None);
        answer.map_err(|problem| vec![problem])?.into()
    }

    fn batching(&self) -> Batching {
        self.channel.batching()
    }

    fn prepare(&self, batch: &Batch<'_>) -> Option<Vec<Prepared>> {
        let request = PrepareRequest {
            answers: Cow::Borrowed(batch.answers),
            targets: batch.targets.iter().copied().map(Cow::Borrowed).collect(),
        };
        let host = HostSide::Batch(batch);
        // Whoever fails, or does not know the method, is asked for each target by itself.
        let answers: Vec<TargetAnswer> = self
            .put(method::PREPARE, &request, &host, Some(Vec::new()))
            .ok()?;
        if answers.len() != batch.targets.len() {
            return None;
        }
        let answers = answers.into_iter().enumerate();
        answers
            .map(|(target, answer)| {
                let is_told = batch.host.used(target, &answer.used);
                self.prepared(answer).filter(|_| is_told)
            })
            .collect()
    }

    fn run(
        &self,
        action: &Native,
        context: &dyn RunContext,
    ) -> Result<NativeOutcome, Vec<Diagnostic>> {
        let request = RunRequest {
            action: action.clone(),
            inputs: context.inputs().to_owned(),
            outputs: context.outputs().to_owned(),
            scratch: context.scratch().to_owned(),
        };
        let answer: Result<Outcome<NativeOutcome>, Diagnostic> =
            self.question(method::RUN, &request, &HostSide::Run(context), None);
        answer.map_err(|problem| vec![problem])?.into()
    }

    fn advice(&self) -> Vec<Advice> {
        // What has failed is told without it.
        self.put(method::ADVICE, &(), &HostSide::Nothing, Some(Vec::new()))
            .unwrap_or_default()
    }

    fn check_effect(
        &self,
        effect: &Effect,
        context: &dyn RunContext,
    ) -> Result<Presence, Vec<Diagnostic>> {
        let unknown = Some(Outcome::Success(Presence::Unknown));
        self.effect(method::CHECK_EFFECT, effect, None, context, unknown)
    }

    fn apply_effect(
        &self,
        effect: &Effect,
        context: &dyn RunContext,
    ) -> Result<Receipt, Vec<Diagnostic>> {
        self.effect(method::APPLY_EFFECT, effect, None, context, None)
    }

    fn undo_effect(
        &self,
        effect: &Effect,
        receipt: Option<&Receipt>,
        context: &dyn RunContext,
    ) -> Result<(), Vec<Diagnostic>> {
        self.effect(method::UNDO_EFFECT, effect, receipt, context, None)
    }

    fn clean(&self, target: &TargetSpec) -> Vec<ProjectPath> {
        self.put(method::CLEAN, target, &HostSide::Nothing, Some(Vec::new()))
            // The engine catches it and tells the user; there is no other way to say it.
            .unwrap_or_else(|problem| std::panic::resume_unwind(Box::new(problem)))
    }

    fn detect(&self, directory: &ProjectPath, context: &dyn PlanContext) -> Option<Detection> {
        self.put(
            method::DETECT,
            directory,
            &HostSide::Plan(context),
            Some(None),
        )
        .unwrap_or_default()
    }
}
