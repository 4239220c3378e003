//! Builds into the database: each in one transaction, with those that are pending, and without what
//! has become too much.

use rusqlite::{Transaction, TransactionBehavior, params};
use serde::Serialize;
use serde_json::Value;

use super::database::Database;
use super::entry::{ActionEntry, BuildEntry, TargetEntry};
use super::error::HistoryError;
use super::graph::Graph;
use super::pending::{self, Taken};

/// How many builds are kept that had something to do, and as many of those that had not.
pub(super) const MOST_BUILDS: usize = 10_000;

/// How many actions of builds are kept: the last build has all of its own.
pub(super) const MOST_ACTIONS: u64 = 500_000;

/// It is looked whether there are too many once in so many builds.
const LOOK_EVERY: i64 = 16;

impl Database {
    /// Keeps a build, and those that are pending.
    pub(super) fn keep(&mut self, entry: &BuildEntry, graph: &Graph) -> Result<(), HistoryError> {
        self.write(|transaction| {
            insert(transaction, entry)?;
            graph.draw(transaction)
        })
    }

    /// Moves in what is pending.
    pub(super) fn take_in(&mut self) -> Result<(), HistoryError> {
        match std::fs::metadata(pending::path(&self.path)) {
            Ok(file) if file.len() > 0 => self.write(|_| Ok(())),
            _ => Ok(()),
        }
    }

    fn write(
        &mut self,
        write: impl FnOnce(&Transaction<'_>) -> Result<(), HistoryError>,
    ) -> Result<(), HistoryError> {
        let behavior = TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(behavior)?;
        let taken = Taken::of(&self.path)?;
        let mut look = false;
        for entry in taken.iter().flat_map(|taken| &taken.entries) {
            look |= insert(&transaction, entry)? % LOOK_EVERY == 0;
        }
        write(&transaction)?;
        look |= transaction.last_insert_rowid() % LOOK_EVERY == 0;
        if look {
            forget(&transaction, MOST_BUILDS, MOST_ACTIONS)?;
        }
        transaction.commit()?;
        // What is left in the file is known by its ids.
        taken.map_or(Ok(()), Taken::clear)?;
        Ok(())
    }
}

/// Adds a build, unless it is there; gives its number.
pub(super) fn insert(transaction: &Transaction<'_>, entry: &BuildEntry) -> rusqlite::Result<i64> {
    const BUILD: &str = "INSERT OR IGNORE INTO builds (id, started_us, duration_ms, pipeline, \
         environment, selection, arguments, outcome, exit_code, commit_id, dirty, synth, idle, \
         target_count, executed, cached, waited, up_to_date, failed, not_done) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, \
         ?19, ?20)";
    let counts = &entry.actions;
    let added = transaction.prepare_cached(BUILD)?.execute(params![
        entry.id,
        entry.started_us,
        signed(entry.duration_ms),
        entry.pipeline,
        entry.environment,
        json(&entry.selection),
        json(&entry.arguments),
        word(&entry.outcome),
        entry.exit_code,
        entry.commit,
        entry.dirty,
        entry.synth,
        entry.idle,
        signed(entry.target_count),
        signed(counts.executed),
        signed(counts.cached),
        signed(counts.waited),
        signed(counts.up_to_date),
        signed(counts.failed),
        signed(counts.not_done),
    ])?;
    let number = transaction.last_insert_rowid();
    if added > 0 {
        for target in &entry.targets {
            insert_target(transaction, number, target)?;
        }
    }
    Ok(number)
}

fn insert_target(
    transaction: &Transaction<'_>,
    build: i64,
    target: &TargetEntry,
) -> rusqlite::Result<()> {
    const TARGET: &str = "INSERT INTO targets (build, name, kind, status, duration_ms) \
         VALUES (?1, ?2, ?3, ?4, ?5)";
    transaction.prepare_cached(TARGET)?.execute(params![
        build,
        target.name,
        target.kind,
        word(&target.status),
        signed(target.duration_ms),
    ])?;
    for action in &target.actions {
        insert_action(transaction, build, &target.name, action)?;
    }
    Ok(())
}

fn insert_action(
    transaction: &Transaction<'_>,
    build: i64,
    target: &str,
    action: &ActionEntry,
) -> rusqlite::Result<()> {
    const ACTION: &str = "INSERT INTO actions (build, target, id, phase, description, status, cache, \
         started_us, duration_ms, executed_ms, cpu_ms, peak_memory_bytes, read_bytes, \
         written_bytes, exit_code, signal, attempts, digest, log) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, \
         ?19)";
    transaction.prepare_cached(ACTION)?.execute(params![
        build,
        target,
        action.id,
        action.phase.to_string(),
        action.description,
        word(&action.status),
        action.cache.as_ref().map(word),
        action.started_us,
        signed(action.duration_ms),
        action.executed_ms.map(signed),
        action.cpu_ms.map(signed),
        action.peak_memory_bytes.map(signed),
        action.read_bytes.map(signed),
        action.written_bytes.map(signed),
        action.exit_code,
        action.signal,
        action.attempts,
        action.digest,
        action.log,
    ])?;
    Ok(())
}

/// Removes the oldest builds: those beyond so many of a sort, and those whose actions are too many.
pub(super) fn forget(
    transaction: &Transaction<'_>,
    most_builds: usize,
    most_actions: u64,
) -> rusqlite::Result<()> {
    // The actions of targets that were up to date are not there.
    const ALL: &str = "SELECT number, idle, executed + cached + waited + failed + not_done \
         FROM builds ORDER BY started_us DESC, number DESC";
    let mut surplus = Vec::new();
    let (mut idle_builds, mut builds, mut actions) = (0, 0, 0_u64);
    {
        let mut statement = transaction.prepare_cached(ALL)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (number, idle, has): (i64, bool, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let count = match idle {
                true => &mut idle_builds,
                false => &mut builds,
            };
            *count += 1;
            let is_last = !idle && *count == 1;
            let too_many = *count > most_builds;
            if !idle {
                actions = actions.saturating_add(unsigned(has));
            }
            if too_many || (!idle && !is_last && actions > most_actions) {
                surplus.push(number);
            }
        }
    }
    for number in surplus {
        let mut remove = transaction.prepare_cached("DELETE FROM builds WHERE number = ?1")?;
        remove.execute([number])?;
    }
    Ok(())
}

/// A number as the database has it.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number of the database; one that can't be is 0.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// The word that JSON has for it.
pub(super) fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
}

/// A list as one text.
pub(super) fn json<T: Serialize>(list: &[T]) -> String {
    serde_json::to_string(list).unwrap_or_default()
}
