//! `synth stats`: figures of builds.

use synth_engine::{Stats, Window};

use super::{Outcome, print, print_json, root};
use crate::arguments::{Global, ReportFormat, StatsArguments};
use crate::exit;
use crate::render::figures;

/// How many days count when nothing is said.
const DAYS: u32 = 30;

pub(crate) fn run(global: &Global, arguments: &StatsArguments) -> Outcome {
    let window = match (arguments.last, arguments.since) {
        (Some(builds), _) => Window::Last(builds),
        (None, days) => Window::Days(days.unwrap_or(DAYS)),
    };
    let stats: Stats =
        synth_engine::stats(&root(global)?, window).map_err(|problem| vec![problem])?;
    match arguments.shown.format() {
        ReportFormat::Json => print_json(&stats)?,
        ReportFormat::Human => print(&figures::of_stats(&stats)),
    }
    Ok(exit::SUCCESS)
}
