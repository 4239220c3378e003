//! Builds: what is declared is left, the same each time.

use crate::Diagnostic;
use crate::testkit::TestPipeline;

/// The last lines of the log of an action that failed, which are shown.
const MOST_LINES: usize = 20;

pub(super) fn check(pipeline: &TestPipeline) -> Vec<Diagnostic> {
    if pipeline.plan_only {
        return Vec::new();
    }
    let session = match pipeline.session() {
        Ok(session) => session,
        Err(failed) => return failed.diagnostics,
    };
    match session.build(pipeline, true) {
        Ok(built) => {
            let outcomes = built.outcomes.values();
            let mut findings: Vec<Diagnostic> =
                outcomes.flat_map(super::messages::survives).collect();
            findings.extend(built.doubts);
            findings
        }
        Err(failed) => {
            let finding = Diagnostic::error(
                "conformance.build.failed",
                "the pipeline to check can't be built",
            );
            let problems = failed.diagnostics.into_iter();
            let finding = problems.fold(finding, |finding, problem| {
                let finding = finding.cause(format!("{}: {}", problem.code, problem.message));
                let finding = problem.causes.into_iter().fold(finding, Diagnostic::cause);
                problem.help.into_iter().fold(finding, Diagnostic::help)
            });
            let skipped = failed.log.len().saturating_sub(MOST_LINES);
            let lines = failed.log.into_iter().skip(skipped);
            let finding = lines.fold(finding, |finding, line| finding.cause(format!("| {line}")));
            vec![finding.help(
                "give a pipeline that can be built here, or say `.plan_only()` where its tools are not there in tests",
            )]
        }
    }
}
