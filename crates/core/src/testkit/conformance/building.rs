//! Builds: what is declared is left, the same each time.

use crate::Diagnostic;
use crate::testkit::TestPipeline;

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
            let words = failed.to_string();
            let lines = words.lines().filter(|line| !line.is_empty());
            let finding = lines.map(str::trim).fold(finding, Diagnostic::cause);
            vec![finding.help(
                "give a pipeline that can be built here, or say `.plan_only()` where its tools are not there in tests",
            )]
        }
    }
}
