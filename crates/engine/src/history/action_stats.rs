//! The part of the figures that goes through actions: which are slow, which pass only when they are
//! tried again, and what the cache has saved.

use std::cmp::Reverse;
use std::collections::HashMap;

use rusqlite::{Row, params};

use super::database::Database;
use super::error::HistoryError;
use super::figures::{change, percentile};
use super::stats::{ActionTrend, Bounds, Flaky, MOST_TOLD, Stats, text};
use super::write::unsigned;

/// What is gathered of an action.
#[derive(Debug, Default)]
struct Gathered {
    /// As its last build calls it.
    description: String,
    now: Vec<u64>,
    before: Vec<u64>,
    passed_on_retry: u64,
    /// The number of the last build in which it did.
    last_retried: i64,
}

/// By target and action.
type All = HashMap<String, HashMap<String, Gathered>>;

impl Database {
    /// Adds what actions tell to the figures of builds.
    pub(super) fn add_actions(
        &self,
        bounds: Bounds,
        stats: &mut Stats,
    ) -> Result<(), HistoryError> {
        const ACTIONS: &str = "SELECT builds.number, builds.started_us >= ?2, target, actions.id, \
             description, status, cache, coalesce(executed_ms, actions.duration_ms), attempts \
             FROM builds CROSS JOIN actions ON actions.build = builds.number \
             WHERE builds.started_us >= ?1 AND builds.idle = 0 ORDER BY builds.started_us";
        let mut all = All::new();
        let mut statement = self.connection.prepare(ACTIONS)?;
        let mut rows = statement.query(params![bounds.before, bounds.now])?;
        while let Some(row) = rows.next()? {
            let is_now: bool = row.get(1)?;
            let took = row.get(7).map(unsigned)?;
            match text(row, 5)? {
                "executed" => gathered(&mut all, row)?.add(row, is_now, took)?,
                "cached" if is_now => stats.now.saved_ms += took,
                "cached" => stats.before.saved_ms += took,
                _ => {}
            }
        }
        stats.flaky_actions = self.flaky(&all)?;
        stats.slowest_actions = slowest(all);
        Ok(())
    }

    fn flaky(&self, all: &All) -> Result<Vec<Flaky>, HistoryError> {
        let mut found = Vec::new();
        for (target, actions) in all {
            for (action, gathered) in actions {
                if gathered.passed_on_retry > 0 {
                    found.push(Flaky {
                        target: target.clone(),
                        action: action.clone(),
                        description: gathered.description.clone(),
                        passed_on_retry: gathered.passed_on_retry,
                        executed: count(&gathered.now),
                        last_build: self.id(gathered.last_retried)?.unwrap_or_default(),
                    });
                }
            }
        }
        found.sort_by_cached_key(|flaky| {
            let name = (flaky.target.clone(), flaky.action.clone());
            (Reverse(flaky.passed_on_retry), name)
        });
        Ok(found)
    }
}

impl Gathered {
    /// An execution that succeeded.
    fn add(&mut self, row: &Row<'_>, is_now: bool, took: u64) -> Result<(), HistoryError> {
        let description = text(row, 4)?;
        if self.description != description {
            description.clone_into(&mut self.description);
        }
        if !is_now {
            self.before.push(took);
            return Ok(());
        }
        self.now.push(took);
        let attempts: Option<i64> = row.get(8)?;
        if attempts.is_some_and(|attempts| attempts > 1) {
            self.passed_on_retry += 1;
            self.last_retried = row.get(0)?;
        }
        Ok(())
    }
}

/// What is gathered of a row's action.
fn gathered<'a>(all: &'a mut All, row: &Row<'_>) -> Result<&'a mut Gathered, HistoryError> {
    let (target, action) = (text(row, 2)?, text(row, 3)?);
    let actions = all.entry(target.to_owned()).or_default();
    Ok(actions.entry(action.to_owned()).or_default())
}

fn slowest(all: All) -> Vec<ActionTrend> {
    let of_target = |(target, actions): (String, HashMap<String, Gathered>)| {
        actions
            .into_iter()
            .filter_map(move |(action, gathered)| trend(target.clone(), action, gathered))
    };
    let mut trends: Vec<ActionTrend> = all.into_iter().flat_map(of_target).collect();
    trends.sort_by_cached_key(|trend| {
        let name = (trend.target.clone(), trend.action.clone());
        (Reverse(trend.median_ms), name)
    });
    trends.truncate(MOST_TOLD);
    trends
}

/// None of an action that was not executed in the time that counts.
fn trend(target: String, action: String, mut gathered: Gathered) -> Option<ActionTrend> {
    let median_ms = percentile(&mut gathered.now, 50)?;
    let before_median_ms = percentile(&mut gathered.before, 50);
    Some(ActionTrend {
        target,
        action,
        description: gathered.description,
        executed: count(&gathered.now),
        total_ms: gathered.now.iter().sum(),
        median_ms,
        p90_ms: percentile(&mut gathered.now, 90)?,
        before_median_ms,
        change: change(Some(median_ms), before_median_ms),
    })
}

fn count(values: &[u64]) -> u64 {
    u64::try_from(values.len()).unwrap_or(u64::MAX)
}
