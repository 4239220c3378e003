//! Any settings: reported, never a panic, and never a plan that can't be carried out.

use std::collections::BTreeSet;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use serde_json::Value;

use super::generate::{Attempt, Generator, fewer, smaller_objects};
use super::shown;
use crate::testkit::TestPipeline;
use crate::testkit::build::Session;
use crate::testkit::panics::catch;
use crate::testkit::soundness;
use crate::{BuildTarget, Diagnostic, PlanContext, ProjectPath, SourceFiles, TargetSpec};

/// Settings tried, for all pipelines together.
const MOST_ATTEMPTS: usize = 400;

/// How long a kind may take over one target before it is taken to hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many smaller settings are tried to find the smallest that still do it.
const MOST_SHRINKS: usize = 400;

/// Faults shown; more say nothing new.
const MOST_FINDINGS: usize = 5;

pub(super) fn check(pipelines: &[TestPipeline]) -> Vec<Diagnostic> {
    check_with(pipelines, PATIENCE)
}

/// The check, with another patience.
pub(super) fn check_with(pipelines: &[TestPipeline], patience: Duration) -> Vec<Diagnostic> {
    let each = (MOST_ATTEMPTS / pipelines.len().max(1)).max(50);
    let mut findings: Vec<Diagnostic> = Vec::new();
    for pipeline in pipelines {
        for finding in of_pipeline(pipeline, each, patience) {
            let is_known = |known: &Diagnostic| known.causes == finding.causes;
            if !findings.iter().any(is_known) && findings.len() < MOST_FINDINGS {
                findings.push(finding);
            }
        }
    }
    findings
}

fn of_pipeline(pipeline: &TestPipeline, most: usize, patience: Duration) -> Vec<Diagnostic> {
    let description = match catch(|| pipeline.kind.describe()) {
        Ok(description) => description,
        Err(_) => return Vec::new(),
    };
    let session = match pipeline.session() {
        Ok(session) => Arc::new(session),
        Err(failed) => return failed.diagnostics,
    };
    let base = &pipeline.target.settings;
    let mut attempts: Vec<(TargetSpec, bool)> = odd_targets(&pipeline.target, &session.context)
        .into_iter()
        .map(|target| (target, false))
        .collect();
    let made_up = Generator::new(&description.settings_schema).attempts(base, most);
    attempts.extend(made_up.into_iter().map(|Attempt { settings, fits }| {
        let target = TargetSpec {
            settings,
            ..pipeline.target.clone()
        };
        (target, fits)
    }));
    sweep(&pipeline.kind, &session, attempts, patience)
}

/// Tries all of them on a thread, so that one on which the kind hangs is known.
fn sweep(
    kind: &Arc<dyn BuildTarget>,
    session: &Arc<Session>,
    attempts: Vec<(TargetSpec, bool)>,
    patience: Duration,
) -> Vec<Diagnostic> {
    let (sender, receiver) = mpsc::channel();
    let (thread_kind, thread_session) = (Arc::clone(kind), Arc::clone(session));
    let targets: Vec<TargetSpec> = attempts.iter().map(|(target, _)| target.clone()).collect();
    let thread = std::thread::spawn(move || {
        for (target, fits) in attempts {
            let fault = fault(thread_kind.as_ref(), &thread_session, &target, fits);
            if sender
                .send(fault.map(|fault| (target, fits, fault)))
                .is_err()
            {
                return;
            }
        }
    });
    let mut findings = Vec::new();
    let mut seen = BTreeSet::new();
    for target in &targets {
        match receiver.recv_timeout(patience) {
            Ok(None) => {}
            Ok(Some((target, fits, fault))) => {
                if seen.len() < MOST_FINDINGS && seen.insert(fault.place()) {
                    findings.push(smallest(kind.as_ref(), session, target, fits, fault));
                }
            }
            // It has ended; what it found is below.
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                // The thread can't be ended; it ends with the tests.
                let message = format!(
                    "`validate` or `plan` gave no answer within {} s",
                    patience.as_secs()
                );
                let finding = Diagnostic::error("conformance.settings.hangs", message);
                findings.push(finding.cause(in_words(target)).help("see that every loop ends, and that nothing waits for the network, for input or for a lock"));
                return findings;
            }
        }
    }
    if thread.join().is_err() {
        let message = "the thread on which the kind was asked has panicked";
        findings.push(Diagnostic::error("conformance.settings.panics", message));
    }
    findings
}

/// What a kind did wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fault {
    Panic { method: &'static str, panic: String },
    Unsound { fault: String },
    Lost { reason: String },
}

impl Fault {
    /// What makes it the same fault as another one.
    fn place(&self) -> String {
        match self {
            // Where a panic is: what it says may quote the settings.
            Self::Panic { method, panic } => {
                let place: Vec<&str> = panic.split(": ").take(1).collect();
                format!("{method} {}", place.concat())
            }
            Self::Unsound { fault } => {
                // Names in backticks may come from the settings.
                fault.split('`').step_by(2).collect()
            }
            Self::Lost { .. } => "lost".into(),
        }
    }
}

/// Asks a kind all that is asked before a target is built.
fn fault(
    kind: &dyn BuildTarget,
    session: &Session,
    target: &TargetSpec,
    fits: bool,
) -> Option<Fault> {
    let context = &session.context;
    let panics = |method, panic| Fault::Panic { method, panic };
    let problems = match catch(|| kind.validate(target, context)) {
        Ok(problems) => problems,
        Err(panic) => return Some(panics("validate", panic)),
    };
    if let Err(panic) = catch(|| kind.requirements(target, context)) {
        return Some(panics("requirements", panic));
    }
    if let Err(panic) = catch(|| kind.clean(target)) {
        return Some(panics("clean", panic));
    }
    let lost = |lost: Diagnostic| Fault::Lost {
        reason: lost.causes.join(": "),
    };
    if let Some(finding) = super::messages::survives(&problems) {
        return Some(lost(finding));
    }
    // The engine plans what is valid alone; a plugin's host may still ask.
    match catch(|| kind.plan(target, context)) {
        Err(panic) => Some(panics("plan", panic)),
        Ok(Err(problems)) => super::messages::survives(&problems).map(lost),
        Ok(Ok(plan)) => {
            if !fits || problems.iter().any(Diagnostic::is_error) {
                return None;
            }
            let mut faults = soundness::faults(&plan, target).into_iter();
            faults.next().map(|fault| Fault::Unsound { fault })
        }
    }
}

/// The fault with the least settings that bring it about.
fn smallest(
    kind: &dyn BuildTarget,
    session: &Session,
    mut target: TargetSpec,
    fits: bool,
    mut found: Fault,
) -> Diagnostic {
    let place = found.place();
    let mut tries = 0;
    // What the schema allows is to stay something that it allows.
    let candidates = if fits { fewer } else { smaller_objects };
    'smaller: loop {
        for settings in candidates(&target.settings) {
            tries += 1;
            if tries > MOST_SHRINKS {
                break 'smaller;
            }
            let less = TargetSpec {
                settings,
                ..target.clone()
            };
            if let Some(fault) = fault(kind, session, &less, fits)
                && fault.place() == place
            {
                (target, found) = (less, fault);
                continue 'smaller;
            }
        }
        break;
    }
    let (code, message, reason, help) = match found {
        Fault::Panic { method, panic } => (
            "panics",
            format!("`{method}` panicked on what may stand in synth.toml"),
            panic,
            "report it: `Diagnostic::error(..).at_setting([\"key\"])`; read settings with `TargetSpec::settings_as`, and index and slice nothing unchecked",
        ),
        Fault::Unsound { fault } => (
            "unsound",
            "`validate` accepts what `plan` makes a plan of that can't be carried out".into(),
            fault,
            "have `validate` report such settings, with what to write instead",
        ),
        Fault::Lost { reason } => (
            "lost",
            "a diagnostic does not survive being a message".into(),
            reason,
            "put nothing but text and positions into a diagnostic",
        ),
    };
    Diagnostic::error(format!("conformance.settings.{code}"), message)
        .cause(reason)
        .cause(in_words(&target))
        .help(help)
}

/// What matters of a target.
fn in_words(target: &TargetSpec) -> String {
    let settings = Value::Object(target.settings.clone());
    let mut words = format!("settings {}", shown(&settings));
    if !target.source_path.is_root() {
        words.push_str(&format!(", source_path {:?}", target.source_path.as_str()));
    }
    if !target.dependencies.is_empty() {
        words.push_str(&format!(", dependencies {:?}", target.dependencies));
    }
    if !target.environment.is_empty() {
        words.push_str(&format!(", environment {:?}", target.environment));
    }
    words
}

/// Targets that are odd in what every target has.
fn odd_targets(target: &TargetSpec, context: &dyn PlanContext) -> Vec<TargetSpec> {
    let mut found = Vec::new();
    // Nothing is there, or a file where a directory should be.
    let all = context.files(&SourceFiles::below(ProjectPath::root()));
    let files = all.unwrap_or_default();
    let paths = ["nothing/here", "é b/日本"].into_iter();
    for path in paths.chain(files.first().map(String::as_str)) {
        let source_path = ProjectPath::parse(path).unwrap_or_default();
        found.push(TargetSpec {
            source_path,
            ..target.clone()
        });
    }
    for dependency in ["", "é", "a b", "requests>=2", "../x", "-r", "\u{0}", "a\nb"] {
        found.push(target.clone().dependency(dependency));
    }
    for (name, value) in [
        ("PATH", ""),
        ("A", "é\n\u{1b}[1m"),
        ("HOME", "/"),
        ("PYTHONPATH", "x"),
    ] {
        found.push(target.clone().variable(name, value));
    }
    for name in ["A", "9", "a.b-c_d"] {
        let output_path = ProjectPath::parse(&format!("out/{name}")).unwrap_or_default();
        found.push(TargetSpec {
            name: name.into(),
            output_path,
            ..target.clone()
        });
    }
    found
}
