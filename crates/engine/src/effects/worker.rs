//! Carries effects out: as processes of the user's, as code of their kind, or as a directory of
//! releases.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use synth_core::{
    Diagnostic, EFFECT_NEEDS, EFFECT_OUTPUTS, EffectKind, EffectProcesses, Exec, Presence, Receipt,
};
use tokio::runtime::Handle;

use super::context::Context;
use super::directory::Releases;
use super::record::{Entry, Exported, Opened};
use super::run::{Doing, Hand, Stopped};
use crate::Registry;
use crate::executor::environment::{output_variable, passed_on, search_path, with_root};
use crate::executor::process::{self, Command, End};
use crate::executor::{DEFAULT_TIMEOUT, Stop, log_tail};
use crate::kind::Kind;

/// How much of a log a failure shows.
const LAST_BYTES: u64 = 2048;

/// Where effects are carried out.
pub(crate) struct Worker<'a> {
    pub(crate) root: &'a Path,
    /// The directory of the copies: `.synth/effects/<build>`.
    pub(crate) stage: PathBuf,
    pub(crate) logs: PathBuf,
    pub(crate) opened: Opened,
    pub(crate) registry: &'a Registry,
    pub(crate) runtime: Handle,
    pub(crate) stop: Stop,
    /// What earlier builds have applied last, by target and effect.
    pub(crate) before: HashMap<(String, String), String>,
    pub(crate) tell: &'a dyn Fn(Doing, &str, &str),
}

/// What a process came to.
enum Ran {
    Exited(i32),
    Problem(Diagnostic),
    Interrupted,
}

impl Worker<'_> {
    /// The copy of what a target exports.
    pub(crate) fn copy_of(stage: &Path, target: &str) -> PathBuf {
        stage.join("exports").join(target)
    }

    /// The directory that an effect works in: what it gets, by the names that it knows.
    fn place(&self, entry: &Entry) -> std::io::Result<PathBuf> {
        let name = format!("{}.{}", entry.target, entry.effect.id);
        let place = self.stage.join("work").join(name);
        if place.exists() {
            fs::remove_dir_all(&place)?;
        }
        for directory in [EFFECT_NEEDS, "scratch", "outputs"] {
            fs::create_dir_all(place.join(directory))?;
        }
        let link = |target: &str, at: PathBuf| {
            let copy = Self::copy_of(&self.stage, target);
            match copy.exists() {
                true => std::os::unix::fs::symlink(copy, at),
                false => Ok(()),
            }
        };
        link(&entry.target, place.join(EFFECT_OUTPUTS))?;
        for need in &entry.effect.needs {
            link(need, place.join(EFFECT_NEEDS).join(need))?;
        }
        Ok(place)
    }

    fn prepared(&self, entry: &Entry) -> Result<PathBuf, Stopped> {
        self.place(entry).map_err(|error| {
            let message = format!("the directory of `{}` can't be made", entry.name());
            failed(
                Diagnostic::error("effect.directory", message)
                    .concerning(synth_core::Concern::State)
                    .caused_by(&error),
            )
        })
    }

    fn log(&self, entry: &Entry) -> PathBuf {
        let name = format!("{}.{}.log", entry.target, entry.effect.id);
        self.logs.join(name)
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
        let copies = std::iter::once((&entry.target, "SYNTH_OUT".to_owned()));
        let needs = entry.effect.needs.iter();
        for (target, name) in copies.chain(needs.map(|need| (need, output_variable(need)))) {
            let copy = Self::copy_of(&self.stage, target);
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

    /// Runs one of an effect's processes.
    fn run(&self, entry: &Entry, exec: &Exec, place: &Path, receipt: Option<&Path>) -> Ran {
        let argv: Vec<String> = exec
            .argv
            .iter()
            .map(|word| with_root(word, place))
            .collect();
        let program = match self.program(entry, &argv) {
            Ok(program) => program,
            Err(problem) => return Ran::Problem(problem),
        };
        let mut environment = self.variables(entry, exec, place);
        if let Some(receipt) = receipt {
            environment.insert("SYNTH_RECEIPT".into(), receipt.into());
        }
        let directory = match exec.working_directory.as_str() {
            "" => self.root.join(entry.source_path.as_str()),
            directory => self.root.join(directory),
        };
        let command = Command {
            program,
            arguments: argv.iter().skip(1).cloned().collect(),
            directory,
            environment,
            log: self.log(entry),
            standard_output: None,
            standard_input: None,
        };
        let timeout = Self::timeout(entry);
        let running = process::run(&command, None, Instant::now() + timeout, &self.stop);
        let name = entry.name();
        let problem =
            |message: String| Diagnostic::error(format!("{}.failed", entry.effect.phase), message);
        match self.runtime.block_on(running).map(|finished| finished.end) {
            Ok(End::Exited(code)) => Ran::Exited(code),
            Ok(End::Cancelled) => Ran::Interrupted,
            Ok(End::Signalled(signal)) => Ran::Problem(self.with_log(
                entry,
                problem(format!("`{name}` was ended by signal {signal}")),
            )),
            Ok(End::TimedOut) => Ran::Problem(self.with_log(
                entry,
                problem(format!("`{name}` was ended after {} s", timeout.as_secs())),
            )),
            Err(error) => {
                let program = command.program.display();
                let message = format!("`{program}` can't be started for `{name}`");
                Ran::Problem(problem(message).caused_by(&error))
            }
        }
    }

    pub(super) fn program(&self, entry: &Entry, argv: &[String]) -> Result<PathBuf, Diagnostic> {
        let name = argv.first().map_or("", String::as_str);
        if name.contains('/') {
            return Ok(self.root.join(name));
        }
        let tool = entry.effect.tools.iter().find(|tool| tool.name == name);
        tool.map(|tool| tool.path.clone()).ok_or_else(|| {
            let message = format!(
                "`{}` runs `{name}` without declaring that tool",
                entry.name()
            );
            crate::kind::fault("plan.broken", message)
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
        let message = format!("`{}` failed{doing}: exit code {code}", entry.name());
        let code = format!("{}.failed", entry.effect.phase);
        failed(self.with_log(entry, Diagnostic::error(code, message)))
    }

    fn apply_processes(
        &self,
        entry: &Entry,
        processes: &EffectProcesses,
    ) -> Result<Receipt, Stopped> {
        let place = self.prepared(entry)?;
        let receipt = place.join("receipt.json");
        match self.run(entry, &processes.apply, &place, Some(&receipt)) {
            Ran::Exited(0) => Ok(Receipt::new(1, written_receipt(&receipt))),
            Ran::Exited(code) => Err(self.exit(entry, "", code)),
            Ran::Problem(problem) => Err(failed(problem)),
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
        let place = self.prepared(entry)?;
        let path = place.join("receipt.json");
        let text = receipt.map(|receipt| receipt.data.to_string());
        if let Some(text) = &text
            && let Err(error) = fs::write(&path, text)
        {
            let problem = Diagnostic::error("effect.directory", "the receipt can't be written");
            return Err(failed(problem.caused_by(&error)));
        }
        let stopped = match self.run(entry, undo, &place, text.as_ref().map(|_| path.as_path())) {
            Ran::Exited(0) => return Ok(()),
            Ran::Interrupted => return Err(Stopped::Interrupted),
            Ran::Exited(code) => self.exit(entry, " while it was undone", code),
            Ran::Problem(problem) => failed(problem),
        };
        Err(with_command(stopped, self.root, entry, undo))
    }

    fn check_processes(
        &self,
        entry: &Entry,
        processes: &EffectProcesses,
    ) -> Result<Presence, Stopped> {
        let Some(check) = &processes.check else {
            return Ok(Presence::Unknown);
        };
        let place = self.prepared(entry)?;
        let receipt = place.join("receipt.json");
        match self.run(entry, check, &place, Some(&receipt)) {
            Ran::Exited(0) => {
                let data = written_receipt(&receipt);
                Ok(Presence::Present(Receipt::new(1, data)))
            }
            Ran::Exited(1) => Ok(Presence::Absent),
            Ran::Exited(code) => Err(self.exit(entry, " when it was looked for", code)),
            Ran::Problem(problem) => Err(failed(problem)),
            Ran::Interrupted => Err(Stopped::Interrupted),
        }
    }

    /// Has the kind do something with a native effect.
    fn native<T>(
        &self,
        entry: &Entry,
        act: impl FnOnce(&Kind, &Context<'_>) -> Result<T, Vec<Diagnostic>>,
    ) -> Result<T, Stopped> {
        let place = self.prepared(entry)?;
        let Some(kind) = self.registry.kind(&entry.kind) else {
            return Err(failed(gone(entry)));
        };
        let log = self.log(entry);
        let deadline = Instant::now() + Self::timeout(entry);
        let context = Context::new(self, entry, &place, &log, deadline);
        let result = act(&Arc::clone(kind), &context);
        match result {
            Ok(value) => Ok(value),
            Err(_) if self.stop.cancel.is_cancelled() => Err(Stopped::Interrupted),
            Err(problems) => Err(Stopped::Failed(problems)),
        }
    }
}

impl Hand for Worker<'_> {
    fn check(&mut self, entry: &Entry) -> Result<Presence, Stopped> {
        if self.stop.cancel.is_cancelled() {
            return Err(Stopped::Interrupted);
        }
        match &entry.effect.kind {
            EffectKind::Processes(processes) => self.check_processes(entry, processes),
            EffectKind::Native(_) => self.native(entry, |kind, context| {
                kind.check_effect(&entry.effect, context)
            }),
            EffectKind::Directory(settings) => {
                let releases = Releases::new(self.root, settings, self.exported(entry)?);
                releases.check().map_err(failed)
            }
            _ => Err(failed(unknown(entry))),
        }
    }

    fn was_applied_before(&mut self, entry: &Entry) -> bool {
        let key = (entry.target.clone(), entry.effect.id.clone());
        self.before.get(&key) == Some(&entry.fingerprint)
    }

    fn apply(&mut self, entry: &Entry) -> Result<Receipt, Stopped> {
        match &entry.effect.kind {
            EffectKind::Processes(processes) => self.apply_processes(entry, processes),
            EffectKind::Native(_) => self.native(entry, |kind, context| {
                kind.apply_effect(&entry.effect, context)
            }),
            EffectKind::Directory(settings) => {
                let releases = Releases::new(self.root, settings, self.exported(entry)?);
                let copy = Self::copy_of(&self.stage, &entry.target);
                releases.apply(&copy).map_err(failed)
            }
            _ => Err(failed(unknown(entry))),
        }
    }

    fn undo(&mut self, entry: &Entry, receipt: Option<&Receipt>) -> Result<(), Stopped> {
        if self.stop.cancel.is_cancelled() {
            return Err(Stopped::Interrupted);
        }
        match &entry.effect.kind {
            EffectKind::Processes(processes) => self.undo_processes(entry, processes, receipt),
            EffectKind::Native(_) => self.native(entry, |kind, context| {
                kind.undo_effect(&entry.effect, receipt, context)
            }),
            EffectKind::Directory(settings) => {
                let releases = Releases::new(self.root, settings, self.exported(entry)?);
                releases.undo(receipt).map_err(failed)
            }
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

    fn tell(&mut self, doing: Doing, entry: &Entry) {
        (self.tell)(doing, &entry.name(), &entry.effect.description);
    }
}

fn failed(problem: Diagnostic) -> Stopped {
    Stopped::Failed(vec![problem])
}

/// What is kept of a receipt: what is no JSON is kept as a text.
fn written_receipt(path: &Path) -> serde_json::Value {
    /// Part of the room that is kept for each effect.
    const MOST_BYTES: usize = 48 * 1024;
    let Ok(mut bytes) = fs::read(path) else {
        return serde_json::Value::Null;
    };
    let value = serde_json::from_slice(&bytes).ok();
    value
        .filter(|_| bytes.len() <= MOST_BYTES)
        .unwrap_or_else(|| {
            bytes.truncate(MOST_BYTES);
            String::from_utf8_lossy(&bytes).into_owned().into()
        })
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

/// The command that undoes by hand, as one can paste it.
fn with_command(stopped: Stopped, root: &Path, entry: &Entry, undo: &Exec) -> Stopped {
    let Stopped::Failed(mut problems) = stopped else {
        return stopped;
    };
    let words: Vec<String> = undo.argv.iter().map(|word| quoted(word)).collect();
    let directory = match undo.working_directory.as_str() {
        "" => root.join(entry.source_path.as_str()),
        directory => root.join(directory),
    };
    let directory = quoted(&directory.to_string_lossy());
    if let Some(problem) = problems.pop() {
        problems.push(problem.cause(format!("by hand: cd {directory} && {}", words.join(" "))));
    }
    Stopped::Failed(problems)
}

/// As a POSIX shell takes it for one word.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-=:@%+,".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}
