//! A plugin as a target kind: opened when it is first asked something, in this process or in one
//! of its own, and what a user is told when that goes wrong.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use synth_core::abi::LoadedPlugin;
use synth_core::protocol::{Batching, Channel, HostSide, RemoteTarget, method};
use synth_core::{BuildTarget, Concern, Diagnostic};

use super::index::FileState;
use super::library;
use super::process::{Guest, HostProgram, Lost};
use super::serve::Service;
use super::{Isolation, PluginFile, PluginLimits};
use crate::executor::process::End;

/// A plugin as a target kind. Nothing of the library is executed before the first question.
#[must_use]
pub fn open(file: PluginFile, limits: PluginLimits, host: HostProgram) -> Arc<dyn BuildTarget> {
    let description = file.manifest.describe();
    match limits.isolation {
        Isolation::None => Arc::new(RemoteTarget::new(Inside::new(file), description)),
        Isolation::Process => {
            let channel = Beside::new(file, limits, host);
            Arc::new(RemoteTarget::new(channel, description))
        }
    }
}

/// Opens a plugin in a process of its own, and compares what it says of itself with its manifest.
///
/// # Errors
/// When it can't be opened, or is not what its manifest says.
pub fn examine(
    file: &PluginFile,
    limits: &PluginLimits,
    host: &HostProgram,
) -> Result<(), Diagnostic> {
    let promised = file.manifest.describe();
    let channel = Beside::new(file.clone(), limits.clone(), host.clone());
    let said = RemoteTarget::new(channel, promised.clone()).describe_itself()?;
    if said == promised {
        return Ok(());
    }
    Err(Diagnostic::error(
        "plugin.describe",
        format!("plugin `{}` is not what its manifest says", file.name()),
    )
    .concerning(Concern::Environment)
    .cause("its kind, version, description or settings schema differs")
    .help("its authors bring `synth-target.json` up to date with the conformance test of the test kit"))
}

/// A library as it was when its digest was compared and its plans were looked up.
struct Settled {
    file: PluginFile,
    state: Option<FileState>,
}

impl Settled {
    fn new(file: PluginFile) -> Self {
        let state = state_of(&file);
        Self { file, state }
    }

    /// Another library in its place is neither the one that was pinned nor the one that what it
    /// makes is remembered for.
    fn check(&self) -> Result<(), Diagnostic> {
        if state_of(&self.file) == self.state {
            return Ok(());
        }
        Err(Diagnostic::error(
            "plugin.changed",
            format!(
                "the library of plugin `{}` was replaced or removed meanwhile",
                self.file.name()
            ),
        )
        .concerning(Concern::Environment)
        .cause(format!("it is `{}`", self.file.path.display()))
        .help("run the command again, when the library is in its place"))
    }
}

fn state_of(file: &PluginFile) -> Option<FileState> {
    let metadata = std::fs::metadata(&file.path).ok()?;
    Some(FileState::of(&metadata))
}

fn not_opened(file: &PluginFile, reason: &str) -> Diagnostic {
    Diagnostic::error(
        "plugin.open",
        format!("plugin `{}` can't be opened", file.name()),
    )
    .concerning(Concern::Environment)
    .cause(reason)
    .help(format!(
        "install it again, built for this synth: `{}`",
        file.path.display()
    ))
}

/// A library in this process.
struct Inside {
    settled: Settled,
    plugin: OnceLock<Result<LoadedPlugin, Box<Diagnostic>>>,
}

impl Inside {
    fn new(file: PluginFile) -> Self {
        Self {
            settled: Settled::new(file),
            plugin: OnceLock::new(),
        }
    }
}

impl Channel for Inside {
    fn call(&self, method: &str, request: &str, host: &HostSide<'_>) -> Result<String, Diagnostic> {
        let plugin = self.plugin.get_or_init(|| {
            self.settled.check()?;
            let file = &self.settled.file;
            library::open(&file.path)
                .map_err(|error| Box::new(not_opened(file, &error.to_string())))
        });
        match plugin {
            Ok(plugin) => Ok(plugin.call(method, request, host)),
            Err(problem) => Err((**problem).clone()),
        }
    }

    fn batching(&self) -> Batching {
        Batching::Parallel
    }
}

/// A library in processes of their own: one serves one call at a time, so that a process that ends
/// costs the one target that was asked about. Those that plan are used again; a native action has
/// one to itself, which sees the action's directories alone.
struct Beside {
    settled: Settled,
    limits: PluginLimits,
    host: HostProgram,
    idle: Mutex<Vec<Guest>>,
}

impl Beside {
    fn new(file: PluginFile, limits: PluginLimits, host: HostProgram) -> Self {
        Self {
            settled: Settled::new(file),
            limits,
            host,
            idle: Mutex::default(),
        }
    }

    fn start(&self, host: &HostSide<'_>) -> Result<Guest, (Lost, String)> {
        let (readable, writable) = match host {
            HostSide::Run(context) => (
                vec![context.inputs().to_owned()],
                vec![context.outputs().to_owned(), context.scratch().to_owned()],
            ),
            HostSide::Plan(_) | HostSide::Batch(_) | HostSide::Nothing => (Vec::new(), Vec::new()),
        };
        let service = Service {
            library: self.settled.file.path.clone(),
            memory_bytes: self.limits.memory_bytes,
            readable,
            writable,
        };
        let (output, timeout) = (self.limits.output_bytes, self.limits.answer_timeout);
        Guest::start(&self.host, &service, output, timeout, host)
    }

    /// How long an answer may take. Targets that are not prepared together by then are asked for one
    /// by one, each with the time that it may take.
    fn timeout(&self, host: &HostSide<'_>) -> Duration {
        const OF_BATCH: Duration = Duration::from_secs(5);
        match host {
            HostSide::Batch(_) => self.limits.answer_timeout.min(OF_BATCH),
            _ => self.limits.answer_timeout,
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Guest>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Channel for Beside {
    fn call(&self, method: &str, request: &str, host: &HostSide<'_>) -> Result<String, Diagnostic> {
        let runs = matches!(host, HostSide::Run(_));
        let waiting = if runs { None } else { self.idle().pop() };
        let fail = |(lost, said): (Lost, String)| self.failed(method, &lost, &said);
        let mut guest = match waiting {
            Some(guest) => guest,
            None => {
                self.settled.check()?;
                self.start(host).map_err(fail)?
            }
        };
        let answer = guest.call(method, request, host, self.timeout(host));
        let answer = match answer {
            Ok(answer) => answer,
            Err(lost) => {
                let said = guest.end();
                return Err(fail((lost, said)));
            }
        };
        if let HostSide::Run(context) = host {
            // What a native action prints belongs to its log.
            let said = guest.end();
            said.lines().for_each(|line| context.log(line));
        } else {
            // What was printed before is none of the next call's.
            drop(guest.take_output());
            self.idle().push(guest);
        }
        Ok(answer)
    }
}

impl Beside {
    fn failed(&self, method: &str, lost: &Lost, said: &str) -> Diagnostic {
        let file = &self.settled.file;
        let name = file.name();
        let during = during(method);
        let fault = |code: &str, message: String| {
            Diagnostic::error(code, message).concerning(Concern::Internal)
        };
        let report = format!(
            "this is a fault of the plugin: report it to the authors of `{}`",
            file.manifest.crate_name
        );
        let setting = |key: &str| {
            let kind = &file.manifest.target.kind;
            format!("or allow it more: `{key}` in `[plugins]`, `{kind} = {{ {key} = .. }}`")
        };
        let out_of_memory = said.contains("memory allocation of");
        let problem = match lost {
            Lost::Refused(reason) => return not_opened(file, reason),
            Lost::NotStarted(error) => {
                return fault("plugin.process", format!("plugin `{name}` got no process"))
                    .concerning(Concern::State)
                    .caused_by(error);
            }
            Lost::Cancelled => {
                return fault(
                    "plugin.cancelled",
                    format!("plugin `{name}` was ended {during}"),
                )
                .concerning(Concern::Project);
            }
            Lost::Ended(_) if out_of_memory => fault(
                "plugin.memory",
                format!(
                    "plugin `{name}` ran out of memory {during}: it may have {} MiB",
                    self.limits.memory_bytes / (1024 * 1024)
                ),
            )
            .help(report)
            .help(setting("memory_mb")),
            Lost::Ended(end) => fault(
                "plugin.ended",
                format!("the process of plugin `{name}` {} {during}", ending(*end)),
            )
            .help(report),
            Lost::TimedOut(limit) => fault(
                "plugin.timeout",
                format!(
                    "plugin `{name}` gave no answer within {} {during}",
                    shown(*limit)
                ),
            )
            .help(report)
            .help(setting("timeout_seconds")),
            Lost::Silent => fault(
                "plugin.silent",
                format!("the process of plugin `{name}` was stopped, or hangs, {during}"),
            ),
            Lost::Flooded => fault(
                "plugin.output",
                format!(
                    "plugin `{name}` wrote more than {} MiB to its log {during}",
                    self.limits.output_bytes / (1024 * 1024)
                ),
            )
            .help(report),
            Lost::Nonsense(error) => fault(
                "plugin.message",
                format!("what plugin `{name}` sent {during} is no message"),
            )
            .caused_by(error)
            .help(report),
        };
        match lost {
            // Of too much, the last is no clue.
            Lost::Flooded => problem,
            _ => last_lines(said).fold(problem, Diagnostic::cause),
        }
    }
}

/// The last lines that a process printed, as they are worth in a message.
fn last_lines(said: &str) -> impl Iterator<Item = String> {
    const MOST_LINES: usize = 5;
    const MOST_CHARACTERS: usize = 200;
    // Not what every panic says, whatever it was.
    let is_noise = |line: &str| {
        let line = line.trim_start_matches("note: ");
        line.trim().is_empty()
            || line.starts_with("run with `RUST_BACKTRACE")
            || line.starts_with("thread caused")
    };
    let lines: Vec<&str> = said.lines().filter(|line| !is_noise(line)).collect();
    let first = lines.len().saturating_sub(MOST_LINES);
    let lines: Vec<String> = lines[first..]
        .iter()
        .map(|line| line.chars().take(MOST_CHARACTERS).collect())
        .collect();
    lines.into_iter()
}

fn during(method: &str) -> &'static str {
    match method {
        method::DESCRIBE => "while it described itself",
        method::VALIDATE => "while it validated",
        method::REQUIREMENTS => "while it told what it needs",
        method::PLAN | method::PREPARE => "while it planned",
        method::RUN => "while it ran",
        method::ADVICE => "while it told what to do about a failure",
        method::CLEAN => "while it told what to remove",
        _ => "while it looked for targets",
    }
}

fn shown(limit: Duration) -> String {
    format!("{} s", limit.as_secs_f64())
}

fn ending(end: End) -> String {
    match end {
        End::Exited(code) => format!("exited with code {code}"),
        End::Signalled(signal) => {
            let name = match signal {
                4 => " (SIGILL)",
                6 => " (SIGABRT)",
                7 => " (SIGBUS)",
                8 => " (SIGFPE)",
                9 => " (SIGKILL)",
                11 => " (SIGSEGV)",
                15 => " (SIGTERM)",
                _ => "",
            };
            format!("was ended by signal {signal}{name}")
        }
        End::TimedOut | End::Cancelled => "was ended".to_owned(),
    }
}
