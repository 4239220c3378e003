//! How much memory a command needs at once, as GNU time tells.

use std::fs;

use anyhow::{Context, Result};

use crate::shell::{Program, Shell};

use super::contender::Contender;

/// The most that one process of a build held, in KiB: synth's own, as those that it starts are small.
pub(crate) fn peak(shell: &Shell, contender: &Contender<'_>) -> Result<u64> {
    let record = contender.tree.directory.with_extension("memory");
    let time = Program::new("time", ["--format=%M", "--output"]).argument(&record);
    shell.demand(&contender.command().below(&time))?;
    let text = fs::read_to_string(&record).context("time left no figure")?;
    let kibibytes = text.trim().parse();
    kibibytes.with_context(|| format!("`{text}` is no amount of memory"))
}
