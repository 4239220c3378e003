//! Plans: the same each time, resting on nothing but the context, and fit to be carried out.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::{change, difference};
use crate::testkit::TestPipeline;
use crate::testkit::panics::catch;
use crate::testkit::record::{Exchange, Recorder, Replay};
use crate::testkit::sandbox::{Rights, restrict};
use crate::testkit::soundness;
use crate::{Concern, Diagnostic, Plan, PlanContext, TargetSpec};

/// How often a target is planned: of two things in an order that is that of a hash map, one in
/// 2^15 runs puts them in the same order each time.
const TIMES: usize = 16;

pub(super) fn check(pipeline: &TestPipeline) -> Vec<Diagnostic> {
    let session = match pipeline.session() {
        Ok(session) => session,
        Err(failed) => return failed.diagnostics,
    };
    if let Some(finding) = validates(pipeline, &session.context) {
        return vec![finding];
    }
    // The first time with all rights: thread pools that it starts keep those.
    let recorder = Recorder::new(&session.context);
    let started = SystemTime::now();
    let first = match plan(pipeline, &recorder) {
        Ok(plan) => plan,
        Err(finding) => return vec![finding],
    };
    let record = recorder.record();
    let mut findings = Vec::new();
    findings.extend(again(pipeline, &record, &first));
    if findings.is_empty() {
        findings.extend(without_files(pipeline, &record, &first));
    }
    findings.extend(time_in(&first, &pipeline.target, &record, started));
    let faults = soundness::faults(&first, &pipeline.target);
    findings.extend(faults.into_iter().map(|fault| {
        finding("unsound", format!("the plan can't be carried out: {fault}"))
            .help("the engine refuses such a plan")
    }));
    findings
}

/// The pipeline is one that can be planned.
fn validates(pipeline: &TestPipeline, context: &dyn PlanContext) -> Option<Diagnostic> {
    let ask = || catch(|| pipeline.kind.validate(&pipeline.target, context));
    let (first, then) = match (ask(), ask()) {
        (Ok(first), Ok(then)) => (first, then),
        (Err(panic), _) | (_, Err(panic)) => {
            return Some(finding("validate.panics", "`validate` panicked").cause(panic));
        }
    };
    if first != then {
        let json = |found: &[Diagnostic]| serde_json::to_value(found).unwrap_or_default();
        let how = change(&json(&first), &json(&then));
        return Some(
            finding(
                "validate.differs",
                "`validate` gave two answers to one question",
            )
            .cause(how),
        );
    }
    let error = first.into_iter().find(Diagnostic::is_error)?;
    let problem = finding(
        "invalid",
        "`validate` finds a problem in the pipeline to check",
    );
    let problem = problem.cause(format!("{}: {}", error.code, error.message));
    let problem = error.causes.into_iter().fold(problem, Diagnostic::cause);
    Some(problem.help("conformance is checked with pipelines that can be built: mend this one"))
}

fn plan(pipeline: &TestPipeline, context: &dyn PlanContext) -> Result<Plan, Diagnostic> {
    match catch(|| pipeline.kind.plan(&pipeline.target, context)) {
        Ok(Ok(plan)) => Ok(plan),
        Ok(Err(problems)) => {
            let problem = finding(
                "refused",
                "`plan` gave none, though `validate` found no problem",
            );
            let is_environment = |problem: &Diagnostic| problem.concern == Concern::Environment;
            let problem = problem.help(if problems.iter().any(is_environment) {
                "give the pipeline the tools that it needs: `.tool(..)` or `.script_tool(..)`"
            } else {
                "what can be seen without building is for `validate` to report"
            });
            let causes = problems.iter();
            Err(causes
                .map(|cause| format!("{}: {}", cause.code, cause.message))
                .fold(problem, Diagnostic::cause))
        }
        Err(panic) => Err(finding("panics", "`plan` panicked").cause(panic)),
    }
}

/// The same questions and the same plan, however often.
fn again(pipeline: &TestPipeline, record: &[Exchange], first: &Plan) -> Option<Diagnostic> {
    for _ in 1..TIMES {
        let replay = Replay::new(record);
        let then = plan(pipeline, &replay);
        if let Some(question) = replay.unknown().into_iter().next() {
            return Some(
                finding("asks", format!("`plan` {question} the second time, and not the first"))
                    .help("what is asked must follow from the settings and from earlier answers: no clock, no random numbers, no state, no order of a hash map"),
            );
        }
        let problem = || {
            finding("differs", "`plan` gave two plans for one target").help(
                "no clock, no random numbers, no state; use `BTreeMap` or sort where order shows",
            )
        };
        match then {
            Ok(then) if then == *first => {}
            Ok(then) => return Some(problem().cause(change(&in_json(first), &in_json(&then)))),
            Err(finding) => return Some(problem().cause(finding.message)),
        }
    }
    None
}

/// The same plan from a thread that has no right to open any file.
fn without_files(pipeline: &TestPipeline, record: &[Exchange], first: &Plan) -> Option<Diagnostic> {
    let planned = std::thread::scope(|scope| {
        let thread = scope
            .spawn(|| restrict(Rights::default()).then(|| plan(pipeline, &Replay::new(record))));
        thread.join()
    });
    let how = match planned {
        // Where the system can't take the right, there is nothing to compare.
        Ok(None) => return None,
        Ok(Some(Ok(then))) if then == *first => return None,
        Ok(Some(Ok(then))) => {
            let names = ["with all rights", "without"];
            difference(&in_json(first), &in_json(&then), names)
        }
        Ok(Some(Err(finding))) => {
            let causes = finding.causes.join(": ");
            format!("{} ({causes})", finding.message)
        }
        Err(_) => "its thread panicked".into(),
    };
    Some(
        finding("reads", "`plan` reads files by itself: without the right to open any, it differs")
            .cause(how)
            .help("ask the `PlanContext`: what a plan rests on has to be known, so that it is made again when that changes"),
    )
}

/// The present time in a plan, in one of the forms that do not change from one moment to the
/// next.
fn time_in(
    plan: &Plan,
    target: &TargetSpec,
    record: &[Exchange],
    started: SystemTime,
) -> Option<Diagnostic> {
    let text = in_json(plan).to_string();
    // What the settings or the project say is no clock's.
    let mut known = serde_json::to_string(target).unwrap_or_default();
    for exchange in record {
        match exchange {
            Exchange::Read(_, Ok(bytes)) => known.push_str(&String::from_utf8_lossy(bytes)),
            other => known.push_str(&format!("{other:?}")),
        }
    }
    let seconds = |time: SystemTime| {
        time.duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs()
    };
    let zone = jiff::tz::TimeZone::UTC;
    let today = jiff::Timestamp::try_from(started)
        .ok()?
        .to_zoned(zone)
        .date();
    let mut forms: Vec<String> = (seconds(started)..=seconds(SystemTime::now()))
        .map(|second| second.to_string())
        .collect();
    forms.push(today.to_string());
    forms.push(today.strftime("%Y%m%d").to_string());
    let form = forms
        .into_iter()
        .find(|form| text.contains(form.as_str()) && !known.contains(form.as_str()))?;
    Some(
        finding("time", format!("the plan holds the present time: `{form}`"))
            .help("a plan that changes with the clock is never found in the cache: use SOURCE_DATE_EPOCH, which every process sees"),
    )
}

fn in_json(plan: &Plan) -> Value {
    serde_json::to_value(plan).unwrap_or_default()
}

fn finding(code: &str, message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(format!("conformance.plan.{code}"), message)
}
