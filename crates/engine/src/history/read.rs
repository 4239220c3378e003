//! Builds out of the database: the last of them, those of a target, the one that somebody means.

use rusqlite::{OptionalExtension, Row, params};
use serde::de::DeserializeOwned;
use serde_json::Value;
use synth_core::Diagnostic;

use super::database::Database;
use super::entry::{ActionEntry, BuildEntry, Counts, TargetEntry};
use super::error::HistoryError;
use super::write::{signed, unsigned};

/// Which builds are wanted.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// How many, at the most.
    pub limit: u64,
    /// Those that did something for this target, or failed at it.
    pub target: Option<String>,
    /// Those that failed: that of the target, if one is named.
    pub failed: bool,
}

/// How somebody says which build is meant.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Found {
    One(Box<BuildEntry>),
    /// The ids of those that it could be, some of them.
    Several(Vec<String>),
    None,
}

/// Builds that began and had something to do: not those whose targets could not be planned, or which were
/// ended while they waited for another.
pub(super) const DID_SOMETHING: &str = "idle = 0 AND outcome <> 'not_begun' AND target_count > 0";

const COLUMNS: &str = "number, id, started_us, duration_ms, pipeline, environment, selection, \
     arguments, outcome, exit_code, commit_id, dirty, synth, idle, target_count, executed, cached, \
     waited, up_to_date, failed, not_done";

impl Database {
    /// Builds, the last first.
    pub(super) fn builds(&self, filter: &Filter) -> Result<Vec<BuildEntry>, Diagnostic> {
        self.read_builds(filter)
            .map_err(|error| self.failed(&error))
    }

    fn read_builds(&self, filter: &Filter) -> Result<Vec<BuildEntry>, HistoryError> {
        let wanted = match (&filter.target, filter.failed) {
            (None, false) => "?1 IS NULL",
            (None, true) => "?1 IS NULL AND outcome IN ('failed', 'not_begun')",
            (Some(_), false) => "EXISTS (SELECT 1 FROM targets WHERE build = number AND name = ?1)",
            (Some(_), true) => {
                "EXISTS (SELECT 1 FROM targets WHERE build = number AND name = ?1 \
                 AND status = 'failed')"
            }
        };
        let query = format!(
            "SELECT {COLUMNS} FROM builds WHERE {wanted} \
             ORDER BY started_us DESC, number DESC LIMIT ?2"
        );
        let mut statement = self.connection.prepare(&query)?;
        let mut rows = statement.query(params![filter.target, signed(filter.limit)])?;
        let mut builds = Vec::new();
        while let Some(row) = rows.next()? {
            builds.push(self.build(row)?);
        }
        Ok(builds)
    }

    /// The build that is meant by `last`, by an id or by its beginning.
    pub(super) fn find(&self, name: &str) -> Result<Found, HistoryError> {
        /// More are not told.
        const MOST: usize = 5;
        const SAME: &str = "SELECT id FROM builds WHERE substr(id, 1, length(?1)) = ?1 ORDER BY id";
        if name == "last" {
            let last = format!(
                "SELECT {COLUMNS} FROM builds WHERE {DID_SOMETHING} \
                 ORDER BY started_us DESC, number DESC LIMIT 1"
            );
            return self.find_by(&last, "");
        }
        let exact = format!("SELECT {COLUMNS} FROM builds WHERE id = ?1");
        let found = self.find_by(&exact, name)?;
        if found != Found::None {
            return Ok(found);
        }
        let mut statement = self.connection.prepare(SAME)?;
        let ids = statement.query_map([name], |row| row.get(0))?.take(MOST);
        let ids: Vec<String> = ids.collect::<Result<_, _>>()?;
        match ids.as_slice() {
            [] => Ok(Found::None),
            [id] => self.find_by(&exact, id),
            _ => Ok(Found::Several(ids)),
        }
    }

    fn find_by(&self, query: &str, name: &str) -> Result<Found, HistoryError> {
        let mut statement = self.connection.prepare(query)?;
        let mut rows = match statement.parameter_count() {
            0 => statement.query([])?,
            _ => statement.query([name])?,
        };
        Ok(match rows.next()? {
            Some(row) => Found::One(Box::new(self.build(row)?)),
            None => Found::None,
        })
    }

    fn build(&self, row: &Row<'_>) -> Result<BuildEntry, HistoryError> {
        let number: i64 = row.get(0)?;
        let count = |column: usize| row.get(column).map(unsigned);
        Ok(BuildEntry {
            id: row.get(1)?,
            started_us: row.get(2)?,
            duration_ms: count(3)?,
            pipeline: row.get(4)?,
            environment: row.get(5)?,
            selection: list(row, 6)?,
            arguments: list(row, 7)?,
            outcome: meaning(row, 8)?,
            exit_code: row.get(9)?,
            commit: row.get(10)?,
            dirty: row.get(11)?,
            synth: row.get(12)?,
            idle: row.get(13)?,
            target_count: count(14)?,
            actions: Counts {
                executed: count(15)?,
                cached: count(16)?,
                waited: count(17)?,
                up_to_date: count(18)?,
                failed: count(19)?,
                not_done: count(20)?,
            },
            targets: self.targets(number)?,
        })
    }

    fn targets(&self, build: i64) -> Result<Vec<TargetEntry>, HistoryError> {
        const TARGETS: &str =
            "SELECT name, kind, status, duration_ms FROM targets WHERE build = ?1 ORDER BY name";
        let mut statement = self.connection.prepare_cached(TARGETS)?;
        let mut rows = statement.query([build])?;
        let mut targets = Vec::new();
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            targets.push(TargetEntry {
                kind: row.get(1)?,
                status: meaning(row, 2)?,
                duration_ms: row.get(3).map(unsigned)?,
                actions: self.actions(build, &name)?,
                name,
            });
        }
        Ok(targets)
    }

    fn actions(&self, build: i64, target: &str) -> Result<Vec<ActionEntry>, HistoryError> {
        const ACTIONS: &str = "SELECT id, phase, description, status, cache, started_us, \
             duration_ms, executed_ms, cpu_ms, peak_memory_bytes, read_bytes, written_bytes, \
             exit_code, signal, attempts, digest, log \
             FROM actions WHERE build = ?1 AND target = ?2 ORDER BY id";
        let mut statement = self.connection.prepare_cached(ACTIONS)?;
        let mut rows = statement.query(params![build, target])?;
        let mut actions = Vec::new();
        while let Some(row) = rows.next()? {
            let count = |column: usize| {
                let number: Option<i64> = row.get(column)?;
                Ok::<_, rusqlite::Error>(number.map(unsigned))
            };
            let cache: Option<String> = row.get(4)?;
            actions.push(ActionEntry {
                id: row.get(0)?,
                phase: meaning(row, 1)?,
                description: row.get(2)?,
                status: meaning(row, 3)?,
                cache: cache.map(of_word).transpose()?,
                started_us: row.get(5)?,
                duration_ms: row.get(6).map(unsigned)?,
                executed_ms: count(7)?,
                cpu_ms: count(8)?,
                peak_memory_bytes: count(9)?,
                read_bytes: count(10)?,
                written_bytes: count(11)?,
                exit_code: row.get(12)?,
                signal: row.get(13)?,
                attempts: row.get(14)?,
                digest: row.get(15)?,
                log: row.get(16)?,
            });
        }
        Ok(actions)
    }

    /// The id of the build of a number.
    pub(super) fn id(&self, number: i64) -> Result<Option<String>, HistoryError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT id FROM builds WHERE number = ?1")?;
        Ok(statement.query_row([number], |row| row.get(0)).optional()?)
    }
}

/// What a word of the database means.
fn meaning<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T, HistoryError> {
    of_word(row.get(column)?)
}

fn of_word<T: DeserializeOwned>(word: String) -> Result<T, HistoryError> {
    serde_json::from_value(Value::String(word)).map_err(senseless)
}

fn list(row: &Row<'_>, column: usize) -> Result<Vec<String>, HistoryError> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(senseless)
}

fn senseless(error: serde_json::Error) -> HistoryError {
    HistoryError::Row(error.to_string())
}
