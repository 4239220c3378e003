//! Figures of a workspace's builds: now, and in the time before that is as long.

use std::collections::HashMap;
use std::time::SystemTime;

use rusqlite::{OptionalExtension, params};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use synth_core::Diagnostic;

use super::critical_path::{CriticalPath, critical_path};
use super::database::Database;
use super::entry::Counts;
use super::error::HistoryError;
use super::figures::{change, percentile, share};
use super::graph::Graph;
use super::read::DID_SOMETHING;
use super::write::unsigned;
use crate::target_report::microseconds;

/// The version of the shape of figures. A field added leaves it; anything else raises it.
pub const STATS_VERSION: u32 = 1;

/// How many targets and actions are told of: those that take longest.
pub(super) const MOST_TOLD: usize = 10;

/// Which builds count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// Those of the last days, beside those of as many days before.
    Days(u32),
    /// The last that had something to do, beside as many before.
    Last(u32),
}

/// Figures of builds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stats {
    /// The version of the shape of these figures.
    pub version: u32,
    /// Which builds count.
    pub window: Window,
    /// Those builds.
    pub now: Period,
    /// The builds of the time before that is as long, or as many builds before.
    pub before: Period,
    /// By what part the median duration is larger than before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub median_change: Option<f64>,
    /// The targets whose builds took most time together.
    pub targets: Vec<TargetTrend>,
    /// The actions whose executions take longest, by their medians.
    pub slowest_actions: Vec<ActionTrend>,
    /// The actions that only passed when they were tried again, the most frequent first.
    pub flaky_actions: Vec<Flaky>,
    /// What bounds a build of everything, by the last executions of all actions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critical_path: Option<CriticalPath>,
}

/// Builds of a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Period {
    /// Builds that had something to do.
    pub builds: u64,
    /// Builds that had nothing to do.
    pub idle_builds: u64,
    /// Of those with something to do.
    pub succeeded: u64,
    /// Of those with something to do.
    pub failed: u64,
    /// Ended by a signal.
    pub cancelled: u64,
    /// Whose targets could not be planned.
    pub not_begun: u64,
    /// What part of those that succeeded or failed has succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success_rate: Option<f64>,
    /// Of those that succeeded and had something to do, in milliseconds (nearest rank).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub median_ms: Option<u64>,
    /// Nine of ten of them took no longer, in milliseconds (nearest rank).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p90_ms: Option<u64>,
    /// The actions of builds with something to do.
    pub actions: Counts,
    /// What part of those that were done needed no execution: cached, waited for, or up to date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hit_rate: Option<f64>,
    /// How long the executions took whose results came from the cache, in milliseconds; those of
    /// targets that were up to date are not in it.
    pub saved_ms: u64,
}

/// How long a target takes when something of it is executed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TargetTrend {
    /// The target's name.
    pub target: String,
    /// Builds that executed something of it and succeeded with it.
    pub built: u64,
    /// Builds that failed at it.
    pub failed: u64,
    /// Of those that succeeded, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub median_ms: Option<u64>,
    /// Nine of ten of them took no longer, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p90_ms: Option<u64>,
    /// The median of the time before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_median_ms: Option<u64>,
    /// By what part it is larger than before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<f64>,
}

/// How long an action takes when it is executed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActionTrend {
    /// The target's name.
    pub target: String,
    /// The action's name in the plan.
    pub action: String,
    /// What a person is told.
    pub description: String,
    /// How often it was executed and succeeded.
    pub executed: u64,
    /// All of that together, in milliseconds.
    pub total_ms: u64,
    /// Of these executions, in milliseconds.
    pub median_ms: u64,
    /// Nine of ten of them took no longer, in milliseconds.
    pub p90_ms: u64,
    /// The median of the time before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_median_ms: Option<u64>,
    /// By what part it is larger than before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<f64>,
}

/// An action that does not always pass at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Flaky {
    /// The target's name.
    pub target: String,
    /// The action's name in the plan.
    pub action: String,
    /// What a person is told.
    pub description: String,
    /// How often it passed, and not at the first attempt.
    pub passed_on_retry: u64,
    /// How often it passed at all.
    pub executed: u64,
    /// The last build in which it did so.
    pub last_build: String,
}

/// The beginnings of both times, in microseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) now: i64,
    pub(super) before: i64,
}

impl Stats {
    /// Of no builds.
    pub(super) fn none(window: Window) -> Self {
        Self {
            version: STATS_VERSION,
            window,
            now: Period::default(),
            before: Period::default(),
            median_change: None,
            targets: Vec::new(),
            slowest_actions: Vec::new(),
            flaky_actions: Vec::new(),
            critical_path: None,
        }
    }

    /// The JSON Schema (2020-12) of figures.
    #[must_use]
    pub fn schema() -> serde_json::Value {
        synth_core::settings_schema::<Self>()
    }
}

impl Database {
    /// Figures as of this moment.
    pub(super) fn stats(&self, window: Window) -> Result<Stats, Diagnostic> {
        let now = microseconds(SystemTime::now());
        self.stats_at(window, now)
            .map_err(|error| self.failed(&error))
    }

    /// Figures as of a moment, in microseconds since 1970.
    pub(super) fn stats_at(&self, window: Window, now: i64) -> Result<Stats, HistoryError> {
        let bounds = self.bounds(window, now)?;
        let mut stats = Stats::none(window);
        self.add_builds(bounds, &mut stats)?;
        stats.median_change = change(stats.now.median_ms, stats.before.median_ms);
        stats.targets = self.target_trends(bounds)?;
        self.add_actions(bounds, &mut stats)?;
        stats.critical_path = self.critical_path()?;
        Ok(stats)
    }

    fn bounds(&self, window: Window, now: i64) -> Result<Bounds, HistoryError> {
        const DAY: i64 = 86_400_000_000;
        let nth = format!(
            "SELECT started_us FROM builds WHERE {DID_SOMETHING} \
             ORDER BY started_us DESC LIMIT 1 OFFSET ?1"
        );
        let last = |count: i64| -> rusqlite::Result<i64> {
            let mut statement = self.connection.prepare_cached(&nth)?;
            let found = statement.query_row([count - 1], |row| row.get(0));
            Ok(found.optional()?.unwrap_or(i64::MIN))
        };
        Ok(match window {
            Window::Days(days) => {
                let long = DAY.saturating_mul(i64::from(days));
                Bounds {
                    now: now.saturating_sub(long),
                    before: now.saturating_sub(long.saturating_mul(2)),
                }
            }
            Window::Last(builds) => Bounds {
                now: last(i64::from(builds).max(1))?,
                before: last(i64::from(builds).max(1) * 2)?,
            },
        })
    }

    fn add_builds(&self, bounds: Bounds, stats: &mut Stats) -> Result<(), HistoryError> {
        const BUILDS: &str = "SELECT started_us >= ?2, idle, outcome, duration_ms, executed, cached, \
             waited, up_to_date, failed, not_done FROM builds WHERE started_us >= ?1";
        let (mut now, mut before) = (Vec::new(), Vec::new());
        let mut statement = self.connection.prepare(BUILDS)?;
        let mut rows = statement.query(params![bounds.before, bounds.now])?;
        while let Some(row) = rows.next()? {
            let (period, durations) = match row.get(0)? {
                true => (&mut stats.now, &mut now),
                false => (&mut stats.before, &mut before),
            };
            if row.get(1)? {
                period.idle_builds += 1;
                continue;
            }
            period.builds += 1;
            match row.get_ref(2)?.as_str().unwrap_or_default() {
                "succeeded" => {
                    period.succeeded += 1;
                    durations.push(row.get(3).map(unsigned)?);
                }
                "failed" => period.failed += 1,
                "cancelled" => period.cancelled += 1,
                _ => period.not_begun += 1,
            }
            let actions = &mut period.actions;
            for (column, count) in [
                (4, &mut actions.executed),
                (5, &mut actions.cached),
                (6, &mut actions.waited),
                (7, &mut actions.up_to_date),
                (8, &mut actions.failed),
                (9, &mut actions.not_done),
            ] {
                *count += row.get(column).map(unsigned)?;
            }
        }
        for (period, durations) in [(&mut stats.now, &mut now), (&mut stats.before, &mut before)] {
            let Counts {
                executed,
                cached,
                waited,
                up_to_date,
                failed,
                ..
            } = period.actions;
            let hits = cached + waited + up_to_date;
            period.median_ms = percentile(durations, 50);
            period.p90_ms = percentile(durations, 90);
            period.success_rate = share(period.succeeded, period.succeeded + period.failed);
            period.hit_rate = share(hits, hits + executed + failed);
        }
        Ok(())
    }

    fn target_trends(&self, bounds: Bounds) -> Result<Vec<TargetTrend>, HistoryError> {
        // What was executed and taken back took as long.
        const TARGETS: &str = "SELECT builds.started_us >= ?2, name, \
             CASE WHEN status = 'rolled_back' AND EXISTS (SELECT 1 FROM actions \
             WHERE actions.build = builds.number AND actions.target = name \
             AND actions.status = 'executed') THEN 'built' ELSE status END, targets.duration_ms \
             FROM builds CROSS JOIN targets ON targets.build = builds.number \
             WHERE builds.started_us >= ?1 AND builds.idle = 0";
        let mut found: HashMap<String, Times> = HashMap::new();
        let mut statement = self.connection.prepare(TARGETS)?;
        let mut rows = statement.query(params![bounds.before, bounds.now])?;
        while let Some(row) = rows.next()? {
            let name = text(row, 1)?;
            let times = found.entry(name.to_owned()).or_default();
            let is_now: bool = row.get(0)?;
            match text(row, 2)? {
                "built" if is_now => times.now.push(row.get(3).map(unsigned)?),
                "built" => times.before.push(row.get(3).map(unsigned)?),
                "failed" if is_now => times.failed += 1,
                _ => {}
            }
        }
        found.retain(|_, times| !times.now.is_empty() || times.failed > 0);
        let mut trends: Vec<(u64, TargetTrend)> = found
            .into_iter()
            .map(|(target, mut times)| {
                let median_ms = percentile(&mut times.now, 50);
                let before_median_ms = percentile(&mut times.before, 50);
                let trend = TargetTrend {
                    target,
                    built: u64::try_from(times.now.len()).unwrap_or(u64::MAX),
                    failed: times.failed,
                    median_ms,
                    p90_ms: percentile(&mut times.now, 90),
                    before_median_ms,
                    change: change(median_ms, before_median_ms),
                };
                (times.now.iter().sum(), trend)
            })
            .collect();
        trends.sort_by(|(took, one), (others, other)| {
            others.cmp(took).then_with(|| one.target.cmp(&other.target))
        });
        trends.truncate(MOST_TOLD);
        Ok(trends.into_iter().map(|(_, trend)| trend).collect())
    }

    fn critical_path(&self) -> Result<Option<CriticalPath>, HistoryError> {
        let last = format!(
            "SELECT pipeline, coalesce(environment, '') FROM builds WHERE {DID_SOMETHING} \
             ORDER BY started_us DESC LIMIT 1"
        );
        let last = self.connection.query_row(&last, [], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        });
        let Some((pipeline, environment)) = last.optional()? else {
            return Ok(None);
        };
        let targets = Graph::read(&self.connection, &pipeline, &environment)?;
        Ok(critical_path(&pipeline, &environment, &targets))
    }
}

/// How long something took, build by build.
#[derive(Debug, Default)]
struct Times {
    now: Vec<u64>,
    before: Vec<u64>,
    failed: u64,
}

/// A column that is a text.
pub(super) fn text<'a>(row: &'a rusqlite::Row<'_>, column: usize) -> Result<&'a str, HistoryError> {
    let value = row.get_ref(column)?;
    let text = value.as_str();
    text.map_err(|error| HistoryError::Row(error.to_string()))
}
