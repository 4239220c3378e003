//! What waits for what in a pipeline, and how long each action takes: kept target by target, each as
//! its last build tells that did something for it.

use std::collections::{BTreeMap, HashSet};

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};

use super::error::HistoryError;
use super::write::json;
use crate::report::{BuildReport, TargetReport, TargetStatus};

/// The graph of a pipeline, as far as a build tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Graph {
    pub(super) pipeline: String,
    /// Empty when none is selected.
    pub(super) environment: String,
    pub(super) targets: Vec<GraphTarget>,
    /// The names of all targets, where the build was one of all of them.
    pub(super) all: Option<HashSet<String>>,
}

/// A target.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct GraphTarget {
    pub(super) name: String,
    pub(super) needs: Vec<String>,
    pub(super) actions: Vec<GraphAction>,
}

/// An action.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct GraphAction {
    pub(super) id: String,
    pub(super) description: String,
    pub(super) after: Vec<String>,
    /// None where nobody knows.
    pub(super) executed_ms: Option<u64>,
}

impl Graph {
    pub(super) fn of(report: &BuildReport, is_of_all: bool) -> Self {
        let targets = report.targets.iter();
        let names = || targets.clone().map(|target| target.name.clone());
        Self {
            pipeline: report.pipeline.clone(),
            environment: report.environment.clone().unwrap_or_default(),
            targets: targets.clone().filter_map(GraphTarget::of).collect(),
            all: (is_of_all && !report.targets.is_empty()).then(|| names().collect()),
        }
    }

    /// Writes it over what was known.
    pub(super) fn draw(&self, transaction: &Transaction<'_>) -> Result<(), HistoryError> {
        const DRAW: &str = "INSERT INTO graph (pipeline, environment, target, needs, actions) \
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (pipeline, environment, target) \
             DO UPDATE SET needs = excluded.needs, actions = excluded.actions";
        for target in &self.targets {
            let mut actions = target.actions.clone();
            if actions.iter().any(|action| action.executed_ms.is_none()) {
                self.remember(transaction, &target.name, &mut actions)?;
            }
            let (needs, actions) = (json(&target.needs), json(&actions));
            let place = (&self.pipeline, &self.environment, &target.name);
            transaction
                .prepare_cached(DRAW)?
                .execute(params![place.0, place.1, place.2, needs, actions])?;
        }
        self.forget_others(transaction)
    }

    /// What this build does not tell of durations, an earlier one may.
    fn remember(
        &self,
        transaction: &Transaction<'_>,
        target: &str,
        actions: &mut [GraphAction],
    ) -> Result<(), HistoryError> {
        const KNOWN: &str = "SELECT actions FROM graph \
             WHERE pipeline = ?1 AND environment = ?2 AND target = ?3";
        let mut statement = transaction.prepare_cached(KNOWN)?;
        let known: Option<String> = statement
            .query_row(params![self.pipeline, self.environment, target], |row| {
                row.get(0)
            })
            .optional()?;
        let known = known.as_deref().unwrap_or("[]");
        let known: Vec<GraphAction> = serde_json::from_str(known).unwrap_or_default();
        let known: BTreeMap<&str, u64> = known
            .iter()
            .filter_map(|action| Some((action.id.as_str(), action.executed_ms?)))
            .collect();
        for action in actions {
            let before = known.get(action.id.as_str()).copied();
            action.executed_ms = action.executed_ms.or(before);
        }
        Ok(())
    }

    /// Removes targets that the pipeline has no more.
    fn forget_others(&self, transaction: &Transaction<'_>) -> Result<(), HistoryError> {
        const NAMES: &str = "SELECT target FROM graph WHERE pipeline = ?1 AND environment = ?2";
        const REMOVE: &str =
            "DELETE FROM graph WHERE pipeline = ?1 AND environment = ?2 AND target = ?3";
        let Some(all) = &self.all else {
            return Ok(());
        };
        let mut statement = transaction.prepare_cached(NAMES)?;
        let names = statement.query_map(params![self.pipeline, self.environment], |row| {
            row.get::<_, String>(0)
        })?;
        let names: Vec<String> = names.collect::<Result<_, _>>()?;
        for name in names.iter().filter(|name| !all.contains(*name)) {
            let place = params![self.pipeline, self.environment, name];
            transaction.prepare_cached(REMOVE)?.execute(place)?;
        }
        Ok(())
    }

    /// The targets of a pipeline that are known.
    pub(super) fn read(
        connection: &Connection,
        pipeline: &str,
        environment: &str,
    ) -> Result<Vec<GraphTarget>, HistoryError> {
        const ALL: &str = "SELECT target, needs, actions FROM graph \
             WHERE pipeline = ?1 AND environment = ?2 ORDER BY target";
        let mut statement = connection.prepare(ALL)?;
        let mut rows = statement.query(params![pipeline, environment])?;
        let mut targets = Vec::new();
        while let Some(row) = rows.next()? {
            let (needs, actions): (String, String) = (row.get(1)?, row.get(2)?);
            let senseless = |error: serde_json::Error| HistoryError::Row(error.to_string());
            targets.push(GraphTarget {
                name: row.get(0)?,
                needs: serde_json::from_str(&needs).map_err(senseless)?,
                actions: serde_json::from_str(&actions).map_err(senseless)?,
            });
        }
        Ok(targets)
    }
}

impl GraphTarget {
    /// None when the report does not tell: of a target that was up to date, or not planned.
    fn of(report: &TargetReport) -> Option<Self> {
        let is_planned = !report.actions.is_empty() || report.status.is_success();
        if report.status == TargetStatus::UpToDate || !is_planned {
            return None;
        }
        let actions = report.actions.iter().map(|action| GraphAction {
            id: action.id.clone(),
            description: action.description.clone(),
            after: action.after.clone(),
            executed_ms: action.executed_ms,
        });
        Some(Self {
            name: report.name.clone(),
            needs: report.needs.clone(),
            actions: actions.collect(),
        })
    }
}
