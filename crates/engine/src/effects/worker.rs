//! Carries effects out: as processes of the user's, as code of their kind, or as a directory of
//! releases.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use synth_core::{
    Diagnostic, DirectoryPublish, EFFECT_NEEDS, EFFECT_OUTPUTS, EffectKind, EffectProcesses, Exec,
    Presence, Receipt,
};

use super::again::Attempt;
use super::context::Context;
use super::directory::Releases;
use super::hold::Processes;
use super::receipt;
use super::record::{Entry, Exported, Opened};
use super::run::{Doing, Hand, Stopped};
use super::staging::{self, StagingError};
use crate::Registry;
use crate::executor::environment::{output_variable, passed_on, search_path, with_root};
use crate::executor::process::{Command, End};
use crate::executor::{DEFAULT_TIMEOUT, Stop, log_tail};
use crate::kind::Kind;
use crate::state::Logs;

/// What is said of a plugin whose process crashed, or had to be ended.
const ENDED: [&str; 6] = [
    "plugin.ended",
    "plugin.memory",
    "plugin.message",
    "plugin.output",
    "plugin.silent",
    "plugin.timeout",
];

/// The name of the file that an effect's process writes for its undoing.
const RECEIPT: &str = "receipt";

/// How much of a log a failure shows.
const LAST_BYTES: u64 = 2048;

/// Where effects are carried out.
pub(crate) struct Worker<'a> {
    pub(crate) root: &'a Path,
    /// The directory of the copies: `.synth/effects/<build>`.
    pub(crate) stage: PathBuf,
    pub(crate) logs: Logs,
    pub(crate) opened: Opened,
    pub(crate) registry: &'a Registry,
    pub(crate) processes: Processes,
    pub(crate) stop: Stop,
    /// What earlier builds have applied last, by target and effect.
    pub(crate) before: HashMap<(String, String), String>,
    pub(crate) tell: &'a dyn Fn(Doing, &str, &str),
    /// Of the last attempt to apply an effect.
    pub(super) last: Cell<Attempt>,
}

/// What a process came to.
enum Ran {
    Exited(i32),
    /// By a signal, which it may not have been ready for.
    Ended(Diagnostic),
    NotStarted(Diagnostic),
    Interrupted,
}

impl Worker<'_> {
    /// The copy of what a target exports.
    pub(crate) fn copy_of(stage: &Path, target: &str) -> PathBuf {
        stage.join("exports").join(target)
    }

    /// The directory that an effect works in, with copies of its own of what it gets: whatever it
    /// does to them, the next one gets what was proven. To undo, it does without what is gone.
    fn place(&self, entry: &Entry, doing: Doing) -> Result<PathBuf, StagingError> {
        let name = format!("{}.{}", entry.target, entry.effect.id);
        let place = self.stage.join("work").join(name);
        let made = || -> std::io::Result<()> {
            if place.exists() {
                fs::remove_dir_all(&place)?;
            }
            for directory in [EFFECT_NEEDS, "scratch", "outputs"] {
                fs::create_dir_all(place.join(directory))?;
            }
            Ok(())
        };
        made().map_err(|source| StagingError::Io {
            path: place.display().to_string(),
            source,
        })?;
        let own = std::iter::once((&entry.target, place.join(EFFECT_OUTPUTS)));
        let needs = entry.effect.needs.iter();
        let needs = needs.map(|need| (need, place.join(EFFECT_NEEDS).join(need)));
        for (target, at) in own.chain(needs) {
            let Some(exported) = self.opened.exports.get(target) else {
                continue;
            };
            match staging::copy(&Self::copy_of(&self.stage, target), &at, exported) {
                Err(StagingError::Changed(_)) if doing == Doing::Undoing => {
                    let _ = fs::remove_dir_all(&at);
                }
                copied => copied?,
            }
        }
        Ok(place)
    }

    fn prepared(&self, entry: &Entry, doing: Doing) -> Result<PathBuf, Stopped> {
        self.place(entry, doing).map_err(|error| {
            let message = format!("the directory of `{}` can't be made", entry.name());
            let problem = Diagnostic::error("effect.directory", message)
                .concerning(synth_core::Concern::State)
                .caused_by(&error);
            failed(match &error {
                StagingError::Io { source, .. } => match crate::store::advice(source) {
                    Some(advice) => problem.help(advice),
                    None => problem,
                },
                StagingError::Changed(_) => problem,
            })
        })
    }

    /// The log of an effect, which is going to be written.
    pub(super) fn log(&self, entry: &Entry) -> PathBuf {
        let name = format!("{}.{}.log", entry.target, entry.effect.id);
        self.logs.file(&name)
    }

    fn timeout(entry: &Entry) -> Duration {
        let seconds = entry.effect.timeout_seconds;
        seconds.map_or(DEFAULT_TIMEOUT, Duration::from_secs)
    }

    fn exported(&self, entry: &Entry) -> Result<&Exported, Stopped> {
        self.opened.exports.get(&entry.target).ok_or_else(|| {
            let message = format!("the journal does not say what `{}` exports", entry.target);
            failed(Diagnostic::error("effect.journal.read", message))
        })
    }

    pub(super) fn variables(
        &self,
        entry: &Entry,
        exec: &Exec,
        place: &Path,
    ) -> BTreeMap<String, OsString> {
        let mut variables: BTreeMap<String, OsString> = BTreeMap::from([
            ("PATH".into(), search_path(&entry.effect.tools)),
            ("TMPDIR".into(), place.join("scratch").into()),
            ("LANG".into(), "C.UTF-8".into()),
            ("TZ".into(), "UTC".into()),
            ("SYNTH_BUILD".into(), self.opened.build.clone().into()),
            ("SYNTH_EFFECT".into(), entry.effect.id.clone().into()),
        ]);
        // Credentials are below it: an effect acts for the user.
        let home = std::env::var_os("HOME").map(|home| ("HOME".to_owned(), home));
        variables.extend(home);
        let own = std::iter::once(("SYNTH_OUT".to_owned(), place.join(EFFECT_OUTPUTS)));
        let needs = entry.effect.needs.iter();
        let needs = needs.map(|need| (output_variable(need), place.join(EFFECT_NEEDS).join(need)));
        for (name, copy) in own.chain(needs) {
            if copy.exists() {
                variables.insert(name, copy.into());
            }
        }
        if let Some(exported) = self.opened.exports.get(&entry.target) {
            variables.insert("SYNTH_DIGEST".into(), exported.digest.clone().into());
        }
        variables.extend(passed_on(&exec.pass_environment, std::env::vars_os()));
        let declared = exec.environment.iter();
        variables
            .extend(declared.map(|(name, value)| (name.clone(), with_root(value, place).into())));
        variables
    }

    /// One of an effect's processes.
    fn command(
        &self,
        entry: &Entry,
        exec: &Exec,
        place: &Path,
        receipt: Option<&Path>,
    ) -> Result<Command, Diagnostic> {
        let argv: Vec<String> = exec
            .argv
            .iter()
            .map(|word| with_root(word, place))
            .collect();
        let mut environment = self.variables(entry, exec, place);
        if let Some(receipt) = receipt {
            environment.insert("SYNTH_RECEIPT".into(), receipt.into());
        }
        Ok(Command {
            program: self.program(entry, &argv)?,
            arguments: argv.into_iter().skip(1).collect(),
            directory: match exec.working_directory.as_str() {
                "" => self.root.join(entry.source_path.as_str()),
                directory => self.root.join(directory),
            },
            environment,
            log: self.log(entry),
            standard_output: None,
            standard_input: None,
        })
    }

    fn run(&self, entry: &Entry, command: &Command) -> Ran {
        let timeout = Self::timeout(entry);
        let deadline = Instant::now() + timeout;
        let finished = self.processes.run(command, deadline, &self.stop);
        let name = entry.name();
        let problem =
            |message: String| Diagnostic::error(format!("{}.failed", entry.effect.phase), message);
        match finished.map(|finished| finished.end) {
            Ok(End::Exited(code)) => Ran::Exited(code),
            Ok(End::Cancelled) => Ran::Interrupted,
            Ok(End::Signalled(signal)) => Ran::Ended(self.with_log(
                entry,
                problem(format!("`{name}` was ended by signal {signal}")),
            )),
            Ok(End::TimedOut) => Ran::Ended(self.with_log(
                entry,
                problem(format!("`{name}` was ended after {} s", timeout.as_secs())),
            )),
            Err(error) => {
                let program = command.program.display();
                let message = format!("`{program}` can't be started for `{name}`");
                Ran::NotStarted(problem(message).caused_by(&error))
            }
        }
    }

    /// The program of an argument vector: the tool that was planned, or what the user has of that
    /// name by now.
    pub(super) fn program(&self, entry: &Entry, argv: &[String]) -> Result<PathBuf, Diagnostic> {
        let name = argv.first().map_or("", String::as_str);
        if name.contains('/') {
            return Ok(self.root.join(name));
        }
        let tool = entry.effect.tools.iter().find(|tool| tool.name == name);
        let planned = tool.map(|tool| tool.path.clone());
        let found = planned.filter(|path| path.is_file());
        found.or_else(|| which::which(name).ok()).ok_or_else(|| {
            let message = format!("`{}` needs `{name}`, which is not there", entry.name());
            Diagnostic::error("effect.tool.missing", message)
                .concerning(synth_core::Concern::Environment)
                .help(format!("install `{name}`, or put it on the PATH"))
        })
    }

    /// The last lines and where the rest is.
    fn with_log(&self, entry: &Entry, problem: Diagnostic) -> Diagnostic {
        let log = self.log(entry);
        let tail = log_tail(&log, LAST_BYTES);
        let lines: Vec<&str> = tail.trim_end().lines().rev().take(5).collect();
        let problem = lines.into_iter().rev().fold(problem, Diagnostic::cause);
        let log = log.strip_prefix(self.root).unwrap_or(&log);
        problem.help(format!("its log is `{}`", log.display()))
    }

    fn exit(&self, entry: &Entry, doing: &str, code: i32) -> Stopped {
        failed(self.exited(entry, doing, code))
    }

    fn exited(&self, entry: &Entry, doing: &str, code: i32) -> Diagnostic {
        let message = format!("`{}` failed{doing}: exit code {code}", entry.name());
        let code = format!("{}.failed", entry.effect.phase);
        self.with_log(entry, Diagnostic::error(code, message))
    }

    fn apply_processes(
        &self,
        entry: &Entry,
        processes: &EffectProcesses,
    ) -> Result<Receipt, Stopped> {
        let place = self.prepared(entry, Doing::Applying)?;
        let receipt = place.join(RECEIPT);
        let command = self.command(entry, &processes.apply, &place, Some(&receipt));
        match self.run(entry, &command.map_err(failed)?) {
            // It has happened: without its receipt it could not be undone.
            Ran::Exited(0) => match receipt::read(&receipt) {
                Ok(data) => Ok(Receipt::new(1, data)),
                Err(problem) => Err(Stopped::Unclear(vec![problem])),
            },
            Ran::Exited(code) => {
                self.exited_with(code);
                Err(self.exit(entry, "", code))
            }
            Ran::Ended(problem) => Err(Stopped::Unclear(vec![problem])),
            Ran::NotStarted(problem) => Err(failed(problem)),
            Ran::Interrupted => Err(Stopped::Interrupted),
        }
    }

    fn undo_processes(
        &self,
        entry: &Entry,
        processes: &EffectProcesses,
        receipt: Option<&Receipt>,
    ) -> Result<(), Stopped> {
        let Some(undo) = &processes.undo else {
            let message = format!("`{}` has no undo", entry.name());
            return Err(failed(Diagnostic::error("effect.irreversible", message)));
        };
        let place = self.prepared(entry, Doing::Undoing)?;
        let path = place.join(RECEIPT);
        let bytes = receipt.and_then(|receipt| receipt::bytes(&receipt.data));
        if let Some(bytes) = &bytes
            && let Err(error) = fs::write(&path, bytes)
        {
            let problem = Diagnostic::error("effect.directory", "the receipt can't be written");
            return Err(failed(problem.caused_by(&error)));
        }
        let path = bytes.map(|_| path);
        let command = self.command(entry, undo, &place, path.as_deref());
        let command = command.map_err(failed)?;
        let problem = match self.run(entry, &command) {
            Ran::Exited(0) => return Ok(()),
            Ran::Interrupted => return Err(Stopped::Interrupted),
            Ran::Exited(code) => self.exited(entry, " while it was undone", code),
            Ran::Ended(problem) | Ran::NotStarted(problem) => problem,
        };
        Err(failed(problem.cause(by_hand(&command, undo))))
    }

    fn check_processes(
        &self,
        entry: &Entry,
        processes: &EffectProcesses,
    ) -> Result<Presence, Stopped> {
        let Some(check) = &processes.check else {
            return Ok(Presence::Unknown);
        };
        let place = self.prepared(entry, Doing::AlreadyThere)?;
        let receipt = place.join(RECEIPT);
        let command = self.command(entry, check, &place, Some(&receipt));
        match self.run(entry, &command.map_err(failed)?) {
            Ran::Exited(0) => {
                let data = receipt::read(&receipt).map_err(failed)?;
                Ok(Presence::Present(Receipt::new(1, data)))
            }
            Ran::Exited(1) => Ok(Presence::Absent),
            Ran::Exited(code) => Err(self.exit(entry, " when it was looked for", code)),
            Ran::Ended(problem) | Ran::NotStarted(problem) => Err(failed(problem)),
            Ran::Interrupted => Err(Stopped::Interrupted),
        }
    }

    /// Has the kind do something with a native effect.
    fn native<T>(
        &self,
        entry: &Entry,
        doing: Doing,
        act: impl FnOnce(&Kind, &Context<'_>) -> Result<T, Vec<Diagnostic>>,
    ) -> Result<T, Stopped> {
        let place = self.prepared(entry, doing)?;
        let Some(kind) = self.registry.kind(&entry.kind) else {
            return Err(failed(gone(entry)));
        };
        let log = self.log(entry);
        let deadline = Instant::now() + Self::timeout(entry);
        let context = Context::new(self, entry, &place, &log, deadline);
        let result = act(&Arc::clone(kind), &context);
        let ended = |problem: &Diagnostic| ENDED.contains(&problem.code.as_str());
        match result {
            Ok(value) => Ok(value),
            Err(_) if self.stop.cancel.is_cancelled() => Err(Stopped::Interrupted),
            Err(problems) if problems.iter().any(ended) => Err(Stopped::Unclear(problems)),
            Err(problems) => Err(Stopped::Failed(problems)),
        }
    }

    fn releases<'a>(
        &'a self,
        entry: &'a Entry,
        settings: &'a DirectoryPublish,
    ) -> Result<Releases<'a>, Stopped> {
        let exported = self.exported(entry)?;
        let build = &self.opened.build;
        Ok(Releases::new(build, self.root, settings, exported))
    }
}

impl Hand for Worker<'_> {
    fn check(&mut self, entry: &Entry) -> Result<Presence, Stopped> {
        if self.stop.cancel.is_cancelled() {
            return Err(Stopped::Interrupted);
        }
        match &entry.effect.kind {
            EffectKind::Processes(processes) => self.check_processes(entry, processes),
            EffectKind::Native(_) => self.native(entry, Doing::AlreadyThere, |kind, context| {
                kind.check_effect(&entry.effect, context)
            }),
            EffectKind::Directory(settings) => {
                self.releases(entry, settings)?.check().map_err(failed)
            }
            _ => Err(failed(unknown(entry))),
        }
    }

    fn was_applied_before(&mut self, entry: &Entry) -> bool {
        let key = (entry.target.clone(), entry.effect.id.clone());
        self.before.get(&key) == Some(&entry.fingerprint)
    }

    fn apply(&mut self, entry: &Entry) -> Result<Receipt, Stopped> {
        self.begin_attempt(entry);
        match &entry.effect.kind {
            EffectKind::Processes(processes) => self.apply_processes(entry, processes),
            EffectKind::Native(_) => self.native(entry, Doing::Applying, |kind, context| {
                kind.apply_effect(&entry.effect, context)
            }),
            EffectKind::Directory(settings) => {
                let copy = Self::copy_of(&self.stage, &entry.target);
                self.releases(entry, settings)?.apply(&copy).map_err(failed)
            }
            _ => Err(failed(unknown(entry))),
        }
    }

    fn again(&mut self, entry: &Entry, attempt: u32, problems: &[Diagnostic]) -> bool {
        self.passes(entry, attempt, problems)
    }

    fn undo(&mut self, entry: &Entry, receipt: Option<&Receipt>) -> Result<(), Stopped> {
        if self.stop.cancel.is_cancelled() {
            return Err(Stopped::Interrupted);
        }
        match &entry.effect.kind {
            EffectKind::Processes(processes) => self.undo_processes(entry, processes, receipt),
            EffectKind::Native(_) => self.native(entry, Doing::Undoing, |kind, context| {
                kind.undo_effect(&entry.effect, receipt, context)
            }),
            EffectKind::Directory(settings) => self
                .releases(entry, settings)?
                .undo(receipt)
                .map_err(failed),
            _ => Err(failed(unknown(entry))),
        }
    }

    fn missing(&mut self, entry: &Entry) -> Option<Diagnostic> {
        if !matches!(entry.effect.kind, EffectKind::Native(_)) {
            return None;
        }
        let is_there = self.registry.kind(&entry.kind).is_some_and(|kind| {
            kind.problem().is_none() && kind.description().crate_name == entry.crate_name
        });
        (!is_there).then(|| gone(entry))
    }

    fn settled(&mut self, entry: &Entry, receipt: &Receipt) {
        if let EffectKind::Directory(settings) = &entry.effect.kind
            && let Ok(releases) = self.releases(entry, settings)
        {
            releases.prune(receipt);
        }
    }

    fn tell(&mut self, doing: Doing, entry: &Entry) {
        (self.tell)(doing, &entry.name(), &entry.effect.description);
    }
}

fn failed(problem: Diagnostic) -> Stopped {
    Stopped::Failed(vec![problem])
}

fn gone(entry: &Entry) -> Diagnostic {
    let message = format!(
        "`{}` was done by {} {}, which is not there",
        entry.name(),
        entry.crate_name,
        entry.crate_version
    );
    Diagnostic::error("effect.plugin", message)
        .concerning(synth_core::Concern::Environment)
        .help(format!(
            "`synth plugin install {}@{}`, then try again",
            entry.crate_name, entry.crate_version
        ))
}

fn unknown(entry: &Entry) -> Diagnostic {
    let message = format!("this synth can't carry out `{}`", entry.name());
    Diagnostic::error("effect.unknown", message).help("use the synth that journaled it")
}

/// What undoes it by hand, as one can paste it: with what synth tells the command, and what is
/// declared; what is passed on, the user has.
fn by_hand(command: &Command, undo: &Exec) -> String {
    let told = |name: &str| name.starts_with("SYNTH_") || undo.environment.contains_key(name);
    let variables = command.environment.iter().filter(|(name, _)| told(name));
    let variables = variables.map(|(name, value)| format!("{name}={}", value.to_string_lossy()));
    let words = variables
        .chain([command.program.to_string_lossy().into_owned()])
        .chain(command.arguments.iter().cloned());
    let words: Vec<String> = words.map(|word| quoted(&word)).collect();
    let directory = quoted(&command.directory.to_string_lossy());
    format!("by hand: cd {directory} && env {}", words.join(" "))
}

/// As a POSIX shell takes it for one word.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-=:@%+,".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}
