//! The plugin's side: answers questions by calling the [`BuildTarget`], and gives it contexts that
//! ask the host.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::{
    Answer, Ask, FoundTool, Outcome, PrepareRequest, Ran, Read, RunRequest, host_method, method,
    reply, turn, turn::Turn, written,
};
use crate::{
    BuildTarget, Concern, Diagnostic, EffectRequest, FileKind, Message, PlanContext, PlanError,
    Process, ProcessOutcome, ProjectPath, RunContext, SourceFiles, TargetSpec, Tool, ToolError,
    ToolRequest,
};

/// Answers one question. A panic of the target is an answer too; `place` tells where the last one
/// of this thread was.
pub fn answer(
    target: &dyn BuildTarget,
    method: &str,
    request: &str,
    host: &dyn Ask,
    place: &dyn Fn() -> String,
) -> String {
    let call = || called(target, method, request, host, place);
    caught(call, place).unwrap_or_else(written::<()>)
}

/// Calls. The error is the answer of a method that panicked.
pub(super) fn caught<T, A>(
    call: impl FnOnce() -> T,
    place: &dyn Fn() -> String,
) -> Result<T, Answer<A>> {
    std::panic::catch_unwind(AssertUnwindSafe(call)).map_err(|payload| {
        let message = describe_panic(payload.as_ref());
        // To drop it can panic again, with a payload that nobody would catch the panic of.
        if let Err(next) = std::panic::catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(next);
        }
        Answer::Panicked {
            message,
            place: place(),
        }
    })
}

/// The message of a panic.
#[must_use]
pub fn describe_panic(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}

fn called(
    target: &dyn BuildTarget,
    method: &str,
    request: &str,
    host: &dyn Ask,
    place: &dyn Fn() -> String,
) -> String {
    let context = Host { host, turn: None };
    let context: &dyn PlanContext = &context;
    match method {
        method::DESCRIBE => reply(request, |()| target.describe()),
        method::VALIDATE => reply(request, |spec: TargetSpec| target.validate(&spec, context)),
        method::REQUIREMENTS => reply(request, |spec: TargetSpec| {
            target.requirements(&spec, context)
        }),
        method::PLAN => reply(request, |spec: TargetSpec| {
            Outcome::from(target.plan(&spec, context))
        }),
        method::PREPARE => reply(request, |request: PrepareRequest<'static>| {
            turn::prepare(target, &request, host, place)
        }),
        method::RUN => reply(request, |request: RunRequest| {
            let context = RunHost::of_action(host, &request);
            Outcome::from(target.run(&request.action, &context))
        }),
        method::ADVICE => reply(request, |()| target.advice()),
        method::CHECK_EFFECT => reply(request, |request: EffectRequest| {
            let context = RunHost::of_effect(host, &request);
            Outcome::from(target.check_effect(&request.effect, &context))
        }),
        method::APPLY_EFFECT => reply(request, |request: EffectRequest| {
            let context = RunHost::of_effect(host, &request);
            Outcome::from(target.apply_effect(&request.effect, &context))
        }),
        method::UNDO_EFFECT => reply(request, |request: EffectRequest| {
            let context = RunHost::of_effect(host, &request);
            let receipt = request.receipt.as_ref();
            Outcome::from(target.undo_effect(&request.effect, receipt, &context))
        }),
        method::CLEAN => reply(request, |spec: TargetSpec| target.clean(&spec)),
        method::DETECT => reply(request, |directory: ProjectPath| {
            target.detect(&directory, context)
        }),
        _ => written(Answer::<()>::Unknown),
    }
}

/// Puts a question to the host. The error says why there is no usable answer.
fn ask<Q: Serialize, A>(host: &dyn Ask, method: &str, question: &Q) -> Result<A, String>
where
    A: for<'de> Deserialize<'de>,
{
    let request = Message::new(question)
        .to_json()
        .map_err(|error| super::reason(&error))?;
    understood(method, &host.ask(method, &request))
}

/// Reads what the host answered to a question. The error says why that can't be used.
pub(super) fn understood<A>(method: &str, answer: &str) -> Result<A, String>
where
    A: for<'de> Deserialize<'de>,
{
    let answer = Message::<Answer<A>>::from_json(answer).map_err(|error| super::reason(&error))?;
    match answer.body {
        Answer::Done(value) => Ok(value),
        Answer::Unknown => Err(format!(
            "synth speaks interface {} and does not know `{method}`",
            answer.interface
        )),
        Answer::Malformed { reason } => Err(format!("synth can't answer `{method}`: {reason}")),
        Answer::Panicked { message, .. } => Err(format!("synth failed in `{method}`: {message}")),
    }
}

/// The host as a [`PlanContext`].
pub(super) struct Host<'a> {
    host: &'a dyn Ask,
    /// Whose turn it is, where several targets are prepared together.
    turn: Option<&'a Turn<'a>>,
}

impl<'a> Host<'a> {
    pub(super) fn of_turn(host: &'a dyn Ask, turn: &'a Turn<'a>) -> Self {
        let turn = Some(turn);
        Self { host, turn }
    }

    fn ask<Q: Serialize, A>(&self, method: &'static str, question: &Q) -> Result<A, String>
    where
        A: for<'de> Deserialize<'de>,
    {
        match self.turn {
            Some(turn) => turn.ask(self.host, method, question),
            None => ask(self.host, method, question),
        }
    }

    fn read<Q: Serialize, A>(
        &self,
        method: &'static str,
        path: &ProjectPath,
        question: &Q,
    ) -> Result<A, PlanError>
    where
        A: for<'de> Deserialize<'de>,
    {
        let answer: Result<Read<A>, String> = self.ask(method, question);
        answer.unwrap_or_else(|reason| {
            Err(PlanError::Io {
                path: path.clone(),
                reason,
            })
        })
    }
}

impl PlanContext for Host<'_> {
    fn read(&self, path: &ProjectPath) -> Result<Vec<u8>, PlanError> {
        let text: String = self.read(host_method::READ, path, path)?;
        BASE64.decode(text).map_err(|error| PlanError::Io {
            path: path.clone(),
            reason: error.to_string(),
        })
    }

    fn kind(&self, path: &ProjectPath) -> Result<Option<FileKind>, PlanError> {
        self.read(host_method::KIND, path, path)
    }

    fn files(&self, files: &SourceFiles) -> Result<Vec<String>, PlanError> {
        self.read(host_method::FILES, &files.root, files)
    }

    fn directories(&self, files: &SourceFiles) -> Result<Vec<String>, PlanError> {
        self.read(host_method::DIRECTORIES, &files.root, files)
    }

    fn link(&self, path: &ProjectPath) -> Result<Option<String>, PlanError> {
        self.read(host_method::LINK, path, path)
    }

    fn tool(&self, request: &ToolRequest) -> Result<Tool, ToolError> {
        let answer: Result<FoundTool, String> = self.ask(host_method::TOOL, request);
        answer.unwrap_or_else(|reason| {
            Err(ToolError::Broken {
                program: request.program.clone(),
                reason,
            })
        })
    }

    fn is_cancelled(&self) -> bool {
        // A host that does not know the question has nothing against going on.
        ask(self.host, host_method::IS_CANCELLED, &()).unwrap_or(false)
    }
}

/// The host as a [`RunContext`].
struct RunHost<'a> {
    host: &'a dyn Ask,
    inputs: &'a Path,
    outputs: &'a Path,
    scratch: &'a Path,
}

impl<'a> RunHost<'a> {
    fn of_action(host: &'a dyn Ask, request: &'a RunRequest) -> Self {
        Self {
            host,
            inputs: &request.inputs,
            outputs: &request.outputs,
            scratch: &request.scratch,
        }
    }

    fn of_effect(host: &'a dyn Ask, request: &'a EffectRequest) -> Self {
        Self {
            host,
            inputs: &request.inputs,
            outputs: &request.outputs,
            scratch: &request.scratch,
        }
    }
}

impl RunContext for RunHost<'_> {
    fn inputs(&self) -> &Path {
        self.inputs
    }

    fn outputs(&self) -> &Path {
        self.outputs
    }

    fn scratch(&self) -> &Path {
        self.scratch
    }

    fn log(&self, line: &str) {
        // A log that can't be written is no reason to fail what it tells of.
        let _: Result<(), String> = ask(self.host, host_method::LOG, &line);
    }

    fn progress(&self, message: &str) {
        // Nor is a display.
        let _: Result<(), String> = ask(self.host, host_method::PROGRESS, &message);
    }

    fn is_cancelled(&self) -> bool {
        // Without a host there is nobody to go on for.
        ask(self.host, host_method::IS_CANCELLED, &()).unwrap_or(true)
    }

    fn run(&self, process: &Process) -> Result<ProcessOutcome, Diagnostic> {
        let answer: Result<Ran, String> = ask(self.host, host_method::RUN_PROCESS, process);
        answer.unwrap_or_else(|reason| {
            Err(
                Diagnostic::error("plugin.host", "synth can't run a process for the plugin")
                    .concerning(Concern::Internal)
                    .cause(reason),
            )
        })
    }
}
