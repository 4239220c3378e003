//! What a workspace remembers from build to build, target by target, in `.synth/records.db`: an
//! SQLite database, in which a record is written or not and nothing in between, whenever a build is
//! ended. It is not synchronized with the disk: after a power failure it may be damaged, and then it
//! is set aside and begun anew.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use crate::store::{StoreError, io_error};

/// The version of the tables. A database with another one is begun anew: what it holds is made
/// again, or, for outputs, found to be as it was written.
const VERSION: i32 = 1;

/// How long another process may keep the database to itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// A target's plan.
    Plan,
    /// The keys of a target's actions.
    Keys,
    /// What a target has put among its sources.
    InPlace,
    /// What was written to an output directory.
    Output,
}

impl Sort {
    /// Its number in the database: never another's.
    fn number(self) -> i32 {
        match self {
            Self::Plan => 1,
            Self::Keys => 2,
            Self::InPlace => 3,
            Self::Output => 4,
        }
    }
}

/// The records of a workspace. The database is opened when it is needed.
#[derive(Debug)]
pub(crate) struct Records {
    path: PathBuf,
    connection: OnceLock<rusqlite::Result<Mutex<Connection>>>,
}

impl Records {
    /// The records of the workspace at a root.
    pub(crate) fn of(root: &Path) -> Self {
        Self::at(root.join(".synth/records.db"))
    }

    fn at(path: PathBuf) -> Self {
        Self {
            path,
            connection: OnceLock::new(),
        }
    }

    /// A record; none where there is none, or none that can be read.
    pub(crate) fn get(&self, sort: Sort, name: &str) -> Option<Vec<u8>> {
        const GET: &str = "SELECT value FROM records WHERE sort = ?1 AND name = ?2";
        let connection = self.existing()?;
        let mut statement = connection.prepare_cached(GET).ok()?;
        let found = statement.query_row(params![sort.number(), name], |row| row.get(0));
        found.optional().ok().flatten()
    }

    /// All records of one sort.
    pub(crate) fn all(&self, sort: Sort) -> Vec<Vec<u8>> {
        const ALL: &str = "SELECT value FROM records WHERE sort = ?1 ORDER BY name";
        let read = || -> Option<Vec<Vec<u8>>> {
            let connection = self.existing()?;
            let mut statement = connection.prepare_cached(ALL).ok()?;
            let rows = statement
                .query_map([sort.number()], |row| row.get(0))
                .ok()?;
            Some(rows.flatten().collect())
        };
        read().unwrap_or_default()
    }

    /// Keeps records of one sort, all or none of them.
    pub(crate) fn put<'a>(
        &self,
        sort: Sort,
        records: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<(), StoreError> {
        const PUT: &str = "INSERT INTO records (sort, name, value) VALUES (?1, ?2, ?3) \
                           ON CONFLICT (sort, name) DO UPDATE SET value = excluded.value";
        let mut connection = self.open()?;
        let put = || -> rusqlite::Result<()> {
            let transaction = connection.transaction()?;
            {
                let mut statement = transaction.prepare_cached(PUT)?;
                for (name, value) in records {
                    statement.execute(params![sort.number(), name, value])?;
                }
            }
            transaction.commit()
        };
        put().map_err(|error| self.failed("writing", &error))
    }

    /// Forgets a record.
    pub(crate) fn remove(&self, sort: Sort, name: &str) -> Result<(), StoreError> {
        const REMOVE: &str = "DELETE FROM records WHERE sort = ?1 AND name = ?2";
        let Some(connection) = self.existing() else {
            return Ok(());
        };
        let remove = || -> rusqlite::Result<()> {
            let mut statement = connection.prepare_cached(REMOVE)?;
            statement.execute(params![sort.number(), name]).map(drop)
        };
        remove().map_err(|error| self.failed("writing", &error))
    }

    /// The database, unless there is none.
    fn existing(&self) -> Option<MutexGuard<'_, Connection>> {
        if self.connection.get().is_none() && !self.path.exists() {
            return None;
        }
        self.open().ok()
    }

    fn open(&self) -> Result<MutexGuard<'_, Connection>, StoreError> {
        let opened = self.connection.get_or_init(|| {
            let opened = connect(&self.path).or_else(|error| {
                if !is_damaged(&error) {
                    return Err(error);
                }
                set_aside(&self.path);
                connect(&self.path)
            });
            let opened = opened.or_else(|error| match has_no_room(&error) {
                true => connect_alone(&self.path),
                false => Err(error),
            });
            opened.map(Mutex::new)
        });
        match opened {
            Ok(connection) => Ok(connection.lock().unwrap_or_else(PoisonError::into_inner)),
            Err(error) => Err(self.failed("opening", error)),
        }
    }

    fn failed(&self, doing: &'static str, error: &rusqlite::Error) -> StoreError {
        let kind = match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => io::ErrorKind::StorageFull,
            _ => io::ErrorKind::Other,
        };
        io_error(doing, &self.path)(io::Error::new(kind, error.to_string()))
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    prepare(Connection::open(path)?)
}

/// For this process alone. That takes no file to be shared with others (SQLite, "Write-Ahead
/// Logging", section 8), and so works where there is no room for one: what is known is known on a
/// full disk too.
fn connect_alone(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "locking_mode", "exclusive")?;
    prepare(connection)
}

fn prepare(mut connection: Connection) -> rusqlite::Result<Connection> {
    connection.busy_timeout(PATIENCE)?;
    // A build that is killed leaves what it had written; only the system's own end could harm.
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "off")?;
    let version: i32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version != VERSION {
        let transaction = connection.transaction()?;
        transaction.execute_batch(
            "DROP TABLE IF EXISTS records;
             CREATE TABLE records (
                 sort INTEGER NOT NULL,
                 name TEXT NOT NULL,
                 value BLOB NOT NULL,
                 PRIMARY KEY (sort, name)
             )",
        )?;
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.commit()?;
    }
    Ok(connection)
}

fn is_damaged(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

fn has_no_room(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure | ErrorCode::CannotOpen)
    )
}

/// Moves a damaged database out of the way; what belongs to it would harm the next one.
fn set_aside(path: &Path) {
    let _ = std::fs::rename(path, path.with_extension("db.damaged"));
    for ending in ["db-wal", "db-shm"] {
        let _ = std::fs::remove_file(path.with_extension(ending));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(records: &Records, name: &str) -> Option<String> {
        let value = records.get(Sort::Plan, name)?;
        Some(String::from_utf8(value).unwrap())
    }

    #[test]
    fn records_are_kept_replaced_and_forgotten_by_sort_and_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("records.db");
        let records = Records::at(path.clone());
        assert_eq!(record(&records, "a"), None);
        assert!(!path.exists(), "to ask makes no database");
        let both = [("a", b"1".as_slice()), ("b", b"2")];
        records.put(Sort::Plan, both).unwrap();
        records.put(Sort::Keys, [("a", b"key".as_slice())]).unwrap();
        records.put(Sort::Plan, [("a", b"3".as_slice())]).unwrap();
        drop(records);
        let records = Records::at(path);
        assert_eq!(record(&records, "a").as_deref(), Some("3"));
        assert_eq!(records.all(Sort::Plan), [b"3", b"2"]);
        records.remove(Sort::Plan, "a").unwrap();
        assert_eq!(record(&records, "a"), None);
        assert_eq!(records.get(Sort::Keys, "a").as_deref(), Some(&b"key"[..]));
    }

    #[test]
    fn a_damaged_database_is_set_aside_and_begun_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("records.db");
        std::fs::write(&path, "this is no database, however long it is".repeat(40)).unwrap();
        let records = Records::at(path.clone());
        assert_eq!(record(&records, "a"), None);
        records.put(Sort::Plan, [("a", b"1".as_slice())]).unwrap();
        assert_eq!(record(&records, "a").as_deref(), Some("1"));
        assert!(path.with_extension("db.damaged").exists());
    }
}
