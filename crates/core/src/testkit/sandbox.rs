//! Takes a thread's right to open files, where the system can do that: Landlock on Linux
//! (landlock(7)). Threads and processes that it starts are bound by it too.

use std::path::Path;

/// What a thread may still open.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rights<'a> {
    /// Directories to read in.
    pub(super) read: &'a [&'a Path],
    /// Directories to read and write in.
    pub(super) write: &'a [&'a Path],
}

/// Takes everything else from this thread, for good. Tells whether the system did it.
#[cfg(target_os = "linux")]
#[must_use]
pub(super) fn restrict(rights: Rights<'_>) -> bool {
    use landlock::{
        ABI, Access, AccessFs, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError,
        RulesetStatus, path_beneath_rules,
    };
    // Newer kernels know more; this much is enforced on all that know any, as far as they do.
    let abi = ABI::V3;
    let restricted = || -> Result<_, RulesetError> {
        Ruleset::default()
            .handle_access(AccessFs::from_all(abi))?
            .create()?
            .add_rules(path_beneath_rules(rights.read, AccessFs::from_read(abi)))?
            .add_rules(path_beneath_rules(rights.write, AccessFs::from_all(abi)))?
            .restrict_self()
    };
    restricted().is_ok_and(|status| status.ruleset != RulesetStatus::NotEnforced)
}

/// No other system is asked.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub(super) fn restrict(_rights: Rights<'_>) -> bool {
    false
}
