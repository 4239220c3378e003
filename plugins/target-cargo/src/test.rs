//! Runs the project's tests.

use serde::{Deserialize, Serialize};
use synth_core::{Diagnostic, NativeOutcome, ProcessOutcome, RunContext};

use crate::invocation::{Invocation, failed, target_directory};
use crate::selection::Selection;

/// The name of the native function.
pub(crate) const FUNCTION: &str = "test";

/// Names of failed tests that are told; the log has all.
const MOST_NAMES: usize = 20;

/// What it is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Parameters {
    pub(crate) invocation: Invocation,
    pub(crate) selection: Selection,
    pub(crate) arguments: Vec<String>,
}

/// Builds and runs them.
///
/// # Errors
/// When one fails, or they can't be built.
pub(crate) fn run(
    parameters: &Parameters,
    context: &dyn RunContext,
) -> Result<NativeOutcome, Diagnostic> {
    let invocation = &parameters.invocation;
    let target = target_directory(context);
    let mut arguments = vec![
        "--offline".to_owned(),
        format!("--target-dir={}", target.to_string_lossy()),
    ];
    arguments.extend(parameters.selection.arguments());
    arguments.extend(parameters.arguments.iter().cloned());
    let environment = invocation.build_environment(context)?;
    let outcome = invocation.run("test", &arguments, environment, None, context)?;
    if outcome.succeeded() {
        Ok(NativeOutcome::quiet())
    } else {
        Err(problem(&outcome, context))
    }
}

fn problem(outcome: &ProcessOutcome, context: &dyn RunContext) -> Diagnostic {
    let names = failed_tests(&outcome.last_output);
    if names.is_empty() {
        return failed("cargo.test.failed", "test", outcome, context);
    }
    let count = names.len();
    let what = if count == 1 { "test" } else { "tests" };
    names.iter().take(MOST_NAMES).fold(
        Diagnostic::error("cargo.test.failed", format!("{count} {what} failed"))
            .help("the log of the action has what they said"),
        |problem, name| problem.cause(format!("`{name}` failed")),
    )
}

/// The names of failed tests: the list that ends what the test harness says.
fn failed_tests(said: &str) -> Vec<&str> {
    let Some((_, list)) = said.rsplit_once("failures:\n") else {
        return Vec::new();
    };
    list.lines()
        .map_while(|line| line.strip_prefix("    "))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_tests_are_listed_last() {
        let harness = "failures:\n\n---- a::b stdout ----\nfailures: none\n\nfailures:\n    a::b\n    src/lib.rs - c (line 3)\n\ntest result: FAILED.\n";
        for (said, expected) in [
            (harness, vec!["a::b", "src/lib.rs - c (line 3)"]),
            ("error: could not compile `app`\n", vec![]),
            ("failures:\n", vec![]),
        ] {
            assert_eq!(failed_tests(said), expected, "{said}");
        }
    }
}
