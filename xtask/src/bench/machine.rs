//! What was measured on: the class of the machine and versions, no names.

use std::fs;

use anyhow::Result;

use crate::shell::{Program, Shell};

/// One line a fact, for the page.
pub(crate) fn describe(shell: &Shell) -> Result<String> {
    let field = |path: &str, name: &str, separator: char| -> String {
        let text = fs::read_to_string(path).unwrap_or_default();
        let value = text
            .lines()
            .filter_map(|line| line.split_once(separator))
            .find(|(key, _)| key.trim() == name);
        value.map_or("unknown".to_owned(), |(_, value)| {
            value.trim().trim_matches('"').to_owned()
        })
    };
    let asked = |program: &str, arguments: &[&str]| {
        let program = Program::new(program, arguments.iter().copied());
        shell.ask(&program).unwrap_or_else(|| "unknown".to_owned())
    };
    let kilobytes: u64 = field("/proc/meminfo", "MemTotal", ':')
        .trim_end_matches(" kB")
        .parse()
        .unwrap_or_default();
    Ok(format!(
        "- Machine: {}, {} processors, {} GiB of memory, {}, Linux {}.\n\
         - Versions: synth {} at {}, {}, {}.\n",
        field("/proc/cpuinfo", "model name", ':'),
        std::thread::available_parallelism()?,
        kilobytes.div_ceil(1024 * 1024),
        field("/etc/os-release", "PRETTY_NAME", '='),
        asked("uname", &["-r"]),
        env!("CARGO_PKG_VERSION"),
        asked("git", &["rev-parse", "--short=12", "HEAD"]),
        asked("rustc", &["--version"]),
        asked("hyperfine", &["--version"]),
    ))
}
