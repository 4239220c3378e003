//! Whether a command opens a plugin or starts a process for it, as strace(1) sees the system calls.

use std::path::Path;

use anyhow::{Context, Result};

use crate::shell::{Program, Shell};

/// What became of a plugin during a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Use {
    /// Its code was mapped into a process.
    pub(crate) opened: bool,
    /// synth was started as a plugin's host.
    pub(crate) hosted: bool,
}

/// Runs a command under strace.
pub(crate) fn observe(
    shell: &Shell,
    command: &Program,
    synth: &Path,
    library: &Path,
    record: &Path,
) -> Result<Use> {
    // With the path of each file descriptor, and strings whole.
    let options = ["-f", "-y", "-s", "4096", "-e", "trace=execve,mmap", "-o"];
    let strace = Program::new("strace", options).argument(record);
    let strace = command.below(&strace);
    shell.demand(&strace)?;
    let text = std::fs::read_to_string(record).context("strace left no record")?;
    Ok(uses(
        &text,
        &synth.to_string_lossy(),
        &library.to_string_lossy(),
    ))
}

fn uses(record: &str, synth: &str, library: &str) -> Use {
    let mapped = format!("<{library}>");
    let started = format!("execve(\"{synth}\", [\"{synth}\", \"plugin-host\"");
    let lines = || record.lines();
    Use {
        opened: lines().any(|line| line.contains(&mapped) && line.contains("PROT_EXEC")),
        hosted: lines().any(|line| line.contains(&started)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_to_a_plugin_is_seen_in_the_record() {
        let first = "10 execve(\"/b/synth\", [\"/b/synth\", \"build\"], 0x7f /* 9 vars */) = 0\n";
        let read = "10 mmap(NULL, 9, PROT_READ, MAP_PRIVATE, 5</p/a.so>, 0) = 0x7f\n";
        let opened = "10 mmap(0x7f, 9, PROT_READ|PROT_EXEC, MAP_PRIVATE, 5</p/a.so>, 0x1) = 0x7f\n";
        let other = "10 mmap(0x7f, 9, PROT_READ|PROT_EXEC, MAP_PRIVATE, 5</p/b.so>, 0x1) = 0x7f\n";
        let hosted = "11 execve(\"/b/synth\", [\"/b/synth\", \"plugin-host\"], 0x7f) = 0\n";
        let sandbox = "11 execve(\"/b/synth\", [\"/b/synth\", \"sandbox-host\"], 0x7f) = 0\n";
        for (record, opened, hosted) in [
            ([first, read, other, sandbox].concat(), false, false),
            ([first, opened].concat(), true, false),
            ([first, hosted].concat(), false, true),
            ([first, hosted, opened].concat(), true, true),
        ] {
            let expected = Use { opened, hosted };
            assert_eq!(uses(&record, "/b/synth", "/p/a.so"), expected, "{record}");
        }
    }
}
