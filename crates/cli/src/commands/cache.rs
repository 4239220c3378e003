//! `synth cache`: what is in the store, whether it is sound, and what can go.

use std::time::SystemTime;

use synth_engine::{
    Cache, CacheLimits, CacheStats, Collected, Count, Verification, default_store_directory,
};

use super::{Outcome, print, print_json};
use crate::arguments::{CacheCommand, CacheGcArguments, Global, ReportFormat};
use crate::exit;
use crate::render::{ago, size};

pub(crate) fn run(global: &Global, command: &CacheCommand) -> Outcome {
    let cache = Cache::open(&default_store_directory()).map_err(|problem| vec![problem])?;
    match command {
        CacheCommand::Stats(arguments) => stats(&cache, arguments.format),
        CacheCommand::Verify(arguments) => verify(global, &cache, arguments.format),
        CacheCommand::Gc(arguments) => collect(global, &cache, arguments),
    }
}

fn stats(cache: &Cache, format: ReportFormat) -> Outcome {
    let stats = cache.stats().map_err(|problem| vec![problem])?;
    match format {
        ReportFormat::Json => print_json(&stats)?,
        ReportFormat::Human => print(&of_stats(&stats, SystemTime::now())),
    }
    Ok(exit::SUCCESS)
}

/// What is in the store, line by line.
fn of_stats(stats: &CacheStats, now: SystemTime) -> String {
    let mut lines = vec![
        line("store", &stats.directory.display().to_string()),
        line("blobs", &counted(stats.blobs)),
        line("results", &counted(stats.actions)),
    ];
    if stats.quarantined.files > 0 {
        lines.push(line("damaged", &counted(stats.quarantined)));
    }
    if let (Some(oldest), Some(newest)) = (stats.oldest, stats.newest) {
        let used = format!("{} to {} ago", ago(newest, now), ago(oldest, now));
        lines.push(line("last used", &used));
    }
    for reclaimable in &stats.reclaimable {
        if reclaimable.count.files > 0 {
            let command = format!("gc --max-age {}d", reclaimable.days);
            let freed = format!("would free {}", size(reclaimable.count.bytes));
            lines.push(format!("{command:<17}{freed}"));
        }
    }
    lines.join("\n")
}

fn line(name: &str, value: &str) -> String {
    format!("{name:<11}{value}")
}

fn counted(count: Count) -> String {
    format!("{} ({})", count.files, size(count.bytes))
}

fn verify(global: &Global, cache: &Cache, format: ReportFormat) -> Outcome {
    let found = cache.verify().map_err(|problem| vec![problem])?;
    match format {
        ReportFormat::Json => print_json(&found)?,
        ReportFormat::Human if global.quiet && found.damaged.is_empty() => {}
        ReportFormat::Human => print(&of_verification(&found)),
    }
    Ok(if found.damaged.is_empty() {
        exit::SUCCESS
    } else {
        exit::FAILED
    })
}

fn of_verification(found: &Verification) -> String {
    let mut lines: Vec<String> = found
        .damaged
        .iter()
        .map(|blob| {
            let aside = blob.moved_to.display();
            format!("damaged {}: moved to {aside}", blob.sha256)
        })
        .collect();
    if found.dropped_actions > 0 {
        let dropped = found.dropped_actions;
        lines.push(format!(
            "dropped {}: what they name is gone, or they can't be read",
            results(dropped)
        ));
    }
    let read = format!("{} and {} read", blobs(found.blobs), results(found.actions));
    lines.push(match found.damaged.len() {
        0 => format!("{read}: all blobs are what their names say"),
        1 => format!("{read}: one blob was damaged, and is made anew when it is needed"),
        more => {
            format!("{read}: {more} blobs were damaged, and are made anew when they are needed")
        }
    });
    lines.join("\n")
}

fn results(count: usize) -> String {
    match count {
        1 => "1 result".to_owned(),
        _ => format!("{count} results"),
    }
}

fn blobs(count: Count) -> String {
    let size = size(count.bytes);
    match count.files {
        1 => format!("1 blob ({size})"),
        files => format!("{files} blobs ({size})"),
    }
}

fn collect(global: &Global, cache: &Cache, arguments: &CacheGcArguments) -> Outcome {
    let limits = CacheLimits {
        max_bytes: arguments.max_size,
        max_age: arguments.max_age,
    };
    let collected = cache
        .collect(&limits, arguments.dry_run)
        .map_err(|problem| vec![problem])?;
    match arguments.format {
        ReportFormat::Json => print_json(&collected)?,
        ReportFormat::Human if global.quiet => {}
        ReportFormat::Human => print(&of_collected(&collected, arguments.dry_run)),
    }
    Ok(exit::SUCCESS)
}

fn of_collected(collected: &Collected, dry_run: bool) -> String {
    let verb = if dry_run { "would remove" } else { "removed" };
    let mut removed = format!(
        "{verb} {} and {}",
        blobs(collected.blobs),
        results(collected.actions.files)
    );
    if collected.leftovers.files > 0 {
        let leftovers = collected.leftovers;
        let what = if leftovers.files == 1 {
            "leftover"
        } else {
            "leftovers"
        };
        removed.push_str(&format!(
            ", {} {what} ({})",
            leftovers.files,
            size(leftovers.bytes)
        ));
    }
    let mut lines = vec![removed];
    if collected.spared.files > 0 {
        let spared = counted(collected.spared);
        lines.push(format!("spared {spared}: running builds may use it"));
    }
    let verb = if dry_run { "would remain" } else { "remains" };
    lines.push(format!("{} {verb}", size(collected.remaining.bytes)));
    lines.join("\n")
}
