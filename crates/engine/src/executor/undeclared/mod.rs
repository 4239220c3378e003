//! What an action did beyond what it declares: files that it left or changed, and, where it failed,
//! what it may have looked for.

mod reads;
mod writes;

pub(super) use reads::{LOG_BYTES, Search, look_for_reads};
pub(super) use writes::{look_for_writes, output_patterns};

/// How many of one sort are told.
const MOST_TOLD: usize = 5;

/// Paths for a person: the first few, and how many more there are.
fn listed(paths: &[String]) -> String {
    let named: Vec<String> = paths
        .iter()
        .take(MOST_TOLD)
        .map(|path| format!("`{path}`"))
        .collect();
    match paths.len().saturating_sub(named.len()) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// Paths as a list of synth.toml: the first few.
fn setting(paths: &[String]) -> String {
    let named: Vec<String> = paths
        .iter()
        .take(MOST_TOLD)
        .map(|path| format!("{path:?}"))
        .collect();
    format!("[{}]", named.join(", "))
}
