//! Runs an action's processes where the build wants them: in its sandbox, or as any process.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use synth_core::{Action, ActionKind, Network};

use super::Stop;
use super::environment::{Directories, passed_on};
use super::process::{self, Command, Finished};
use crate::jobserver::Share;
use crate::sandbox::{Client, Needs, Request, Sandbox, Text, View};

/// Where an action's processes run.
pub(super) struct Place<'a> {
    pub(super) sandbox: &'a Sandbox,
    /// The directory that holds those of the action.
    pub(super) directory: &'a Path,
    /// Whether they see it where it is, and not only in the place that is the same for all.
    pub(super) also_in_place: bool,
    /// The name of its inputs, where they are in memory.
    pub(super) inputs: Option<&'a str>,
    /// Where its processes take further jobs from.
    pub(super) jobserver: Option<&'a Share>,
}

impl Place<'_> {
    /// The directories as processes of the action see them.
    pub(super) fn directories(&self) -> Directories {
        if self.sandbox.client().is_some() && !self.also_in_place {
            Directories::inside()
        } else {
            Directories::below(self.directory)
        }
    }

    /// What an action sees of the machine beside the system; none where it sees everything.
    pub(super) fn shown(&self, action: &Action) -> Option<Vec<PathBuf>> {
        self.sandbox.client()?;
        let pass: &[String] = match &action.kind {
            ActionKind::Exec(exec) => &exec.pass_environment,
            ActionKind::Native(native) => &native.pass_environment,
            _ => &[],
        };
        let passed: Vec<_> = passed_on(pass, std::env::vars_os()).collect();
        let view = self.view(action, &passed);
        Some(view.shown.into_iter().map(|shown| shown.path).collect())
    }

    fn view(&self, action: &Action, passed: &[(String, OsString)]) -> View {
        self.sandbox.view(Needs {
            tools: &action.tools,
            passed,
            read: &[],
            network: action.network == Network::Allowed,
        })
    }

    /// Runs a process to its end, to `deadline`, or until it is stopped.
    pub(super) async fn run(
        &self,
        action: &Action,
        command: &Command,
        passed: &[(String, OsString)],
        deadline: Instant,
        stop: &Stop,
    ) -> io::Result<Finished> {
        let Some(client) = self.sandbox.client() else {
            return match self.sandbox.open() {
                Some(client) => run_open(client, command, self.jobserver, deadline, stop).await,
                None => process::run(command, self.jobserver, deadline, stop).await,
            };
        };
        let view = self.view(action, passed);
        let request = Request {
            directory: self.directory.to_owned(),
            inputs: self.inputs.map(ToOwned::to_owned),
            also_in_place: self.also_in_place,
            shown: view.shown,
            links: view.links,
            hidden: view.hidden,
            network: action.network == Network::Allowed,
            ..request(command, self.jobserver)
        };
        send(client, &request, command, self.jobserver, deadline, stop).await
    }
}

/// Runs a process that sees the machine as it is. It ends, with all that it has started, when synth
/// does.
pub(crate) async fn run_open(
    client: &Client,
    command: &Command,
    jobserver: Option<&Share>,
    deadline: Instant,
    stop: &Stop,
) -> io::Result<Finished> {
    let request = request(command, jobserver);
    send(client, &request, command, jobserver, deadline, stop).await
}

/// What to run, and nothing of what it is to see.
fn request(command: &Command, jobserver: Option<&Share>) -> Request {
    Request {
        program: command.program.clone(),
        arguments: command.arguments.iter().map(Text::from).collect(),
        working_directory: command.directory.clone(),
        environment: command
            .environment
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        jobserver: jobserver.map(|share| share.terms),
        ..Request::default()
    }
}

async fn send(
    client: &Client,
    request: &Request,
    command: &Command,
    jobserver: Option<&Share>,
    deadline: Instant,
    stop: &Stop,
) -> io::Result<Finished> {
    let streams = command.streams()?;
    let ends = jobserver.map(|share| &share.ends);
    client.run(request, streams, ends, deadline, stop).await
}
