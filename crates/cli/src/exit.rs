//! Exit codes: constant, so that scripts can rely on them.

use synth_core::{Concern, Diagnostic};

/// Everything asked for was done.
pub const SUCCESS: u8 = 0;
/// A target failed, or the store was found damaged.
pub const FAILED: u8 = 1;
/// The command line or the configuration is wrong.
pub const USAGE: u8 = 2;
/// A tool or a plugin that is needed is missing or can't be used.
pub const TOOL_MISSING: u8 = 3;
/// The store or the workspace's state can't be used: no room, no permission.
pub const STATE: u8 = 4;
/// A publish, or its undoing, is unfinished: `synth recover` goes on with it.
pub const UNFINISHED: u8 = 5;
/// synth itself, or a target kind, is at fault.
pub const INTERNAL: u8 = 70;
/// Ended because the terminal was closed (128 + SIGHUP).
pub const HUNG_UP: u8 = 129;
/// Ended by Ctrl-C (128 + SIGINT).
pub const INTERRUPTED: u8 = 130;
/// Ended by SIGTERM (128 + SIGTERM).
pub const TERMINATED: u8 = 143;

/// The exit code for problems that kept a command from beginning.
pub(crate) fn of_problems(problems: &[Diagnostic]) -> u8 {
    of_errors(problems.iter(), USAGE)
}

/// The exit code for what targets of a build that failed have to say.
pub(crate) fn of_failures<'a>(problems: impl Iterator<Item = &'a Diagnostic>) -> u8 {
    of_errors(problems, FAILED)
}

/// A fault of synth's own, or of a kind's code, is always told. A tool or a plugin that is missing,
/// or a state that can't be used, is told when it is all that is wrong: else the project has
/// something to mend first.
fn of_errors<'a>(problems: impl Iterator<Item = &'a Diagnostic>, project: u8) -> u8 {
    let concerns: Vec<Concern> = problems
        .filter(|problem| problem.is_error())
        .map(|problem| problem.concern)
        .collect();
    let all = |concern| !concerns.is_empty() && concerns.iter().all(|one| *one == concern);
    if concerns.contains(&Concern::Internal) {
        INTERNAL
    } else if all(Concern::State) {
        STATE
    } else if all(Concern::Environment) {
        TOOL_MISSING
    } else {
        project
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_follows_from_whose_concern_it_is() {
        use Concern::{Environment, Internal, Project, State};
        for (concerns, code) in [
            (vec![], USAGE),
            (vec![Project], USAGE),
            (vec![Project, Environment, State], USAGE),
            (vec![Environment, Environment], TOOL_MISSING),
            (vec![State], STATE),
            (vec![Project, Internal], INTERNAL),
        ] {
            let problems: Vec<Diagnostic> = concerns
                .iter()
                .map(|concern| Diagnostic::error("a.b", "c").concerning(*concern))
                .collect();
            assert_eq!(of_problems(&problems), code, "{concerns:?}");
        }
    }
}
