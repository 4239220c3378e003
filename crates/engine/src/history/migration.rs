//! The tables of the history, version by version. A step is never changed once it is released:
//! another one follows it, and a database of any version before goes through those that it lacks.

use rusqlite::{Connection, TransactionBehavior};

use super::error::HistoryError;

/// What makes a database of version N one of version N + 1, from 0 on, which is an empty one.
pub(super) const STEPS: [&str; 1] = [
    // Times are microseconds since 1970 (UTC), durations milliseconds. docs/history.md tells of
    // every column.
    "CREATE TABLE builds (
         number INTEGER PRIMARY KEY,
         id TEXT NOT NULL UNIQUE,
         started_us INTEGER NOT NULL,
         duration_ms INTEGER NOT NULL,
         pipeline TEXT NOT NULL,
         environment TEXT,
         selection TEXT NOT NULL,
         arguments TEXT NOT NULL,
         outcome TEXT NOT NULL,
         exit_code INTEGER,
         commit_id TEXT,
         dirty INTEGER,
         synth TEXT NOT NULL,
         idle INTEGER NOT NULL,
         target_count INTEGER NOT NULL,
         executed INTEGER NOT NULL,
         cached INTEGER NOT NULL,
         waited INTEGER NOT NULL,
         up_to_date INTEGER NOT NULL,
         failed INTEGER NOT NULL,
         not_done INTEGER NOT NULL
     );
     CREATE INDEX builds_by_start ON builds (started_us);
     CREATE INDEX builds_by_idleness ON builds (idle, started_us);
     CREATE TABLE targets (
         build INTEGER NOT NULL REFERENCES builds (number) ON DELETE CASCADE,
         name TEXT NOT NULL,
         kind TEXT NOT NULL,
         status TEXT NOT NULL,
         duration_ms INTEGER NOT NULL,
         PRIMARY KEY (build, name)
     ) WITHOUT ROWID;
     CREATE INDEX targets_by_name ON targets (name, build);
     CREATE TABLE actions (
         build INTEGER NOT NULL REFERENCES builds (number) ON DELETE CASCADE,
         target TEXT NOT NULL,
         id TEXT NOT NULL,
         phase TEXT NOT NULL,
         description TEXT NOT NULL,
         status TEXT NOT NULL,
         cache TEXT,
         started_us INTEGER,
         duration_ms INTEGER NOT NULL,
         executed_ms INTEGER,
         cpu_ms INTEGER,
         peak_memory_bytes INTEGER,
         read_bytes INTEGER,
         written_bytes INTEGER,
         exit_code INTEGER,
         signal INTEGER,
         attempts INTEGER,
         digest TEXT,
         log TEXT,
         PRIMARY KEY (build, target, id)
     ) WITHOUT ROWID;
     CREATE TABLE graph (
         pipeline TEXT NOT NULL,
         environment TEXT NOT NULL,
         target TEXT NOT NULL,
         needs TEXT NOT NULL,
         actions TEXT NOT NULL,
         PRIMARY KEY (pipeline, environment, target)
     ) WITHOUT ROWID;",
];

/// The version of the tables that this synth knows.
pub(super) fn newest(steps: &[&str]) -> i32 {
    i32::try_from(steps.len()).unwrap_or(i32::MAX)
}

/// The version of a database: 0 for one that is empty.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Refuses a database that a later synth has written.
pub(super) fn refuse_newer(connection: &Connection, steps: &[&str]) -> Result<i32, HistoryError> {
    let found = version(connection)?;
    if found > newest(steps) || found < 0 {
        return Err(HistoryError::Newer {
            found,
            known: newest(steps),
        });
    }
    Ok(found)
}

/// Takes the steps that a database lacks, each of them whole or not at all.
pub(super) fn migrate(connection: &mut Connection, steps: &[&str]) -> Result<(), HistoryError> {
    while refuse_newer(connection, steps)? < newest(steps) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have been first.
        let found = refuse_newer(&transaction, steps)?;
        let step = usize::try_from(found).ok().and_then(|at| steps.get(at));
        if let Some(step) = step {
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "user_version", found + 1)?;
        }
        transaction.commit()?;
    }
    Ok(())
}
