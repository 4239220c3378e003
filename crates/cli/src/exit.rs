//! Exit codes: constant, so that scripts can rely on them.

use synth_core::Diagnostic;

/// Everything asked for was done.
pub const SUCCESS: u8 = 0;
/// A target failed.
pub const FAILED: u8 = 1;
/// The command line or the configuration is wrong.
pub const USAGE: u8 = 2;
/// A tool that is needed is missing or does not work.
pub const TOOL_MISSING: u8 = 3;
/// The store or the workspace's state can't be used: no room, no permission.
pub const STATE: u8 = 4;
/// synth itself, or a target kind, is at fault.
pub const INTERNAL: u8 = 70;
/// Ended by Ctrl-C (128 + SIGINT).
pub const INTERRUPTED: u8 = 130;
/// Ended by SIGTERM (128 + SIGTERM).
pub const TERMINATED: u8 = 143;

/// The exit code for problems that kept a command from beginning.
pub(crate) fn of_problems(problems: &[Diagnostic]) -> u8 {
    let all = |area: &str| {
        let mut errors = problems
            .iter()
            .filter(|problem| problem.is_error())
            .peekable();
        errors.peek().is_some() && errors.all(|problem| problem.code.starts_with(area))
    };
    if all("tool.") {
        TOOL_MISSING
    } else if all("state.") || all("store.") {
        STATE
    } else if all("internal") {
        INTERNAL
    } else {
        USAGE
    }
}

/// The exit code for what targets of a build that failed have to say.
pub(crate) fn of_failures<'a>(problems: impl Iterator<Item = &'a Diagnostic>) -> u8 {
    let codes: Vec<&str> = problems
        .filter(|problem| problem.is_error())
        .map(|problem| problem.code.as_str())
        .collect();
    let any = |area: &str| codes.iter().any(|code| code.starts_with(area));
    if any("internal") {
        INTERNAL
    } else if any("store.") || any("state.") {
        STATE
    } else if !codes.is_empty() && codes.iter().all(|code| code.starts_with("tool.")) {
        TOOL_MISSING
    } else {
        FAILED
    }
}
