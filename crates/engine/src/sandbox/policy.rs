//! How one build keeps its actions to what they declare: as it was asked for, as far as the system
//! allows.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

use synth_core::{Concern, Diagnostic, ProjectPath};

use super::client::{Client, Inputs};
use super::view::{Machine, Needs, View};
use super::wire::Trouble;
use crate::config::{Pipeline, SandboxMode};
use crate::plugin::HostProgram;

/// A build's sandbox, made when the first action needs it.
pub(crate) struct Sandbox {
    asked: SandboxMode,
    read: Vec<PathBuf>,
    machine: Machine,
    project: PathBuf,
    targets: Vec<(String, ProjectPath)>,
    host: Option<HostProgram>,
    client: OnceLock<Result<Client, Trouble>>,
    /// One that starts before it is known whether it is needed.
    early: Mutex<Option<Receiver<Result<Client, Trouble>>>>,
    open: OnceLock<Option<Client>>,
}

impl Sandbox {
    /// Of a build with this store. Without a program that can be its host there is none, and whoever
    /// has not asked for one is not told.
    pub(crate) fn new(
        pipeline: &Pipeline,
        asked: Option<SandboxMode>,
        host: Option<HostProgram>,
        store: &Path,
    ) -> Self {
        let asked = asked.or(pipeline.sandbox.mode);
        let default = match host {
            Some(_) => SandboxMode::default(),
            None => SandboxMode::Off,
        };
        let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let home = std::env::var_os("HOME").map(PathBuf::from);
        Self {
            asked: asked.unwrap_or(default),
            read: pipeline.sandbox.read.clone(),
            project: pipeline.root.clone(),
            targets: pipeline
                .every_target
                .iter()
                .map(|target| (target.name.clone(), target.output_path.clone()))
                .collect(),
            machine: Machine {
                home: home
                    .filter(|home| home.is_absolute())
                    .map(|home| real(&home)),
                hidden: vec![real(&pipeline.root), real(store)],
            },
            host,
            client: OnceLock::new(),
            early: Mutex::default(),
            open: OnceLock::new(),
        }
    }

    /// Where actions run that are kept to what they declare; none where they are not. May take a
    /// moment, the first time.
    pub(crate) fn client(&self) -> Option<&Client> {
        if self.asked != SandboxMode::Strict {
            return None;
        }
        self.started().as_ref().ok()
    }

    /// Where actions run that see the machine as it is; none where nothing can end all that they
    /// start. May take a moment, the first time.
    pub(crate) fn open(&self) -> Option<&Client> {
        let start = || Client::start_open(self.host.as_ref()?).ok();
        self.open.get_or_init(start).as_ref()
    }

    /// Where inputs can be laid out in memory, if anywhere.
    pub(crate) fn inputs(&self) -> Option<&Inputs> {
        self.client()?.inputs()
    }

    fn started(&self) -> &Result<Client, Trouble> {
        self.client.get_or_init(|| {
            let early = self.early.lock().unwrap_or_else(PoisonError::into_inner);
            let early = early.as_ref().and_then(|early| early.recv().ok());
            early.unwrap_or_else(|| start(self.host.as_ref()))
        })
    }

    /// Begins to start the sandbox's process beside what else is to be done, because something is
    /// likely to be executed. Until it is, nothing tells the difference.
    pub(crate) fn expect_use(&self) {
        if self.asked != SandboxMode::Strict || self.client.get().is_some() {
            return;
        }
        let mut early = self.early.lock().unwrap_or_else(PoisonError::into_inner);
        if early.is_none() {
            let (to, from) = mpsc::channel();
            let host = self.host.clone();
            // When nobody takes it, it ends.
            let started = thread::Builder::new().spawn(move || {
                let _ = to.send(start(host.as_ref()));
            });
            *early = started.ok().map(|_| from);
        }
    }

    /// How actions are kept to what they declare, as it turned out.
    pub(crate) fn mode(&self) -> SandboxMode {
        match (self.asked, self.client()) {
            (SandboxMode::Strict, None) => SandboxMode::Warn,
            (asked, _) => asked,
        }
    }

    /// What of it decides what an action may see, for its key.
    pub(crate) fn identity(&self) -> String {
        self.identity_in(self.mode())
    }

    /// As [`Sandbox::identity`], unless the system turns out not to allow what was asked for: of
    /// an action whose result is known nobody has to wait for the answer.
    pub(crate) fn expected_identity(&self) -> String {
        match self.client.get() {
            None => self.identity_in(self.asked),
            Some(_) => self.identity(),
        }
    }

    fn identity_in(&self, mode: SandboxMode) -> String {
        if mode != SandboxMode::Strict {
            return "none".into();
        }
        let read: BTreeSet<&PathBuf> = self.read.iter().collect();
        let read = read.into_iter().map(|path| format!(" {}", path.display()));
        format!("strict{}", read.collect::<String>())
    }

    /// The project's directory.
    pub(crate) fn project(&self) -> &Path {
        &self.project
    }

    /// Where targets put their outputs, by name.
    pub(crate) fn targets(&self) -> &[(String, ProjectPath)] {
        &self.targets
    }

    /// What an action sees beside the system.
    pub(crate) fn view(&self, needs: Needs<'_>) -> View {
        self.machine.view(&Needs {
            read: &self.read,
            ..needs
        })
    }

    /// That there is none though one was asked for. Nothing where it was not needed.
    pub(crate) fn warning(&self) -> Option<Diagnostic> {
        let trouble = self.client.get()?.as_ref().err()?;
        Some(
            Diagnostic::warning(
                "sandbox.unavailable",
                "actions run without a sandbox: this system does not allow one",
            )
            .concerning(Concern::Environment)
            .caused_by(trouble)
            .help(advice()),
        )
    }
}

fn start(host: Option<&HostProgram>) -> Result<Client, Trouble> {
    match host {
        Some(host) => Client::start(host),
        None => Err(Trouble {
            step: "starting the sandbox's process".into(),
            reason: "this program has none".into(),
        }),
    }
}

/// What to do where namespaces are not allowed.
fn advice() -> String {
    const SILENCE: &str = "set `sandbox = \"warn\"` in synth.toml to build without";
    if cfg!(not(target_os = "linux")) {
        return SILENCE.into();
    }
    let is_set =
        |path: &str, value: &str| fs::read_to_string(path).is_ok_and(|text| text.trim() == value);
    let allow =
        |setting: &str| format!("let users make namespaces with `sysctl {setting}`, or {SILENCE}");
    if is_set(
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
    ) {
        return allow("kernel.apparmor_restrict_unprivileged_userns=0");
    }
    if is_set("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        return allow("kernel.unprivileged_userns_clone=1");
    }
    if is_set("/proc/sys/user/max_user_namespaces", "0") {
        return allow("user.max_user_namespaces=10000");
    }
    format!(
        "in a container, allow namespaces (`--security-opt seccomp=unconfined --security-opt \
         systempaths=unconfined`), or {SILENCE}"
    )
}
