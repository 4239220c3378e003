//! What a workspace remembers from build to build, target by target, in `.synth/records.db`: an
//! SQLite database, in which a record is written or not and nothing in between, whenever a build is
//! ended. It is not synchronized with the disk: after a power failure it may be damaged, and then it
//! is set aside and begun anew, as if `.synth` had been removed.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior, params};
use serde::{Deserialize, Serialize};

use crate::store::{StoreError, io_error};

/// The version of the tables. A database with another one is begun anew, as if `.synth` had been
/// removed.
const VERSION: i32 = 1;

/// How long another process may keep the database to itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a record is about. Written down by its place here: a new one comes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Sort {
    /// A target's plan.
    Plan,
    /// The keys of a target's actions.
    Keys,
    /// What a target has put among its sources.
    InPlace,
    /// What was written to an output directory.
    Output,
    /// What a build has proven of a target.
    Proved,
}

impl Sort {
    /// Its number in the database: never another's.
    fn number(self) -> i32 {
        match self {
            Self::Plan => 1,
            Self::Keys => 2,
            Self::InPlace => 3,
            Self::Output => 4,
            Self::Proved => 5,
        }
    }
}

/// The records of a workspace. The database is opened when it is needed.
#[derive(Debug)]
pub(crate) struct Records {
    path: PathBuf,
    connection: Mutex<Option<Connection>>,
}

impl Records {
    /// The records of the workspace at a root: for all of this process the same, so that it never
    /// waits for itself.
    pub(crate) fn of(root: &Path) -> Arc<Self> {
        static OPEN: Mutex<BTreeMap<PathBuf, Weak<Records>>> = Mutex::new(BTreeMap::new());
        let path = root.join(".synth/records.db");
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(records) = open.get(&path).and_then(Weak::upgrade) {
            return records;
        }
        let records = Arc::new(Self::at(path.clone()));
        open.retain(|_, records| records.strong_count() > 0);
        open.insert(path, Arc::downgrade(&records));
        records
    }

    fn at(path: PathBuf) -> Self {
        Self {
            path,
            connection: Mutex::default(),
        }
    }

    /// Whether records can be read and written, so that later none is taken for missing.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        const CHECK: &str = "SELECT COUNT(*) FROM records WHERE sort = 0";
        if !self.path.exists() {
            return Ok(());
        }
        self.with("reading", |connection| {
            connection.query_row(CHECK, [], |_| Ok(()))
        })
    }

    /// A record; none where there is none, or none that can be read.
    pub(crate) fn get(&self, sort: Sort, name: &str) -> Option<Vec<u8>> {
        const GET: &str = "SELECT value FROM records WHERE sort = ?1 AND name = ?2";
        self.read(|connection| {
            let mut statement = connection.prepare_cached(GET)?;
            let found = statement.query_row(params![sort.number(), name], |row| row.get(0));
            found.optional()
        })?
    }

    /// All records of one sort.
    pub(crate) fn all(&self, sort: Sort) -> Vec<Vec<u8>> {
        const ALL: &str = "SELECT value FROM records WHERE sort = ?1 ORDER BY name";
        let all = self.read(|connection| {
            let mut statement = connection.prepare_cached(ALL)?;
            let rows = statement.query_map([sort.number()], |row| row.get(0))?;
            rows.collect()
        });
        all.unwrap_or_default()
    }

    /// Keeps records of one sort, all or none of them.
    pub(crate) fn put<'a>(
        &self,
        sort: Sort,
        records: impl IntoIterator<Item = (&'a str, &'a [u8])> + Clone,
    ) -> Result<(), StoreError> {
        const PUT: &str = "INSERT INTO records (sort, name, value) VALUES (?1, ?2, ?3) \
                           ON CONFLICT (sort, name) DO UPDATE SET value = excluded.value";
        self.with("writing", |connection| {
            let transaction = connection.transaction()?;
            {
                let mut statement = transaction.prepare_cached(PUT)?;
                for (name, value) in records.clone() {
                    statement.execute(params![sort.number(), name, value])?;
                }
            }
            transaction.commit()
        })
    }

    /// Keeps records of one sort, all or none of them, each as the newest of those whose names differ in
    /// the last word only, all of one length; of these so many stay.
    pub(crate) fn put_newest<'a>(
        &self,
        sort: Sort,
        most: u32,
        records: impl IntoIterator<Item = (&'a str, &'a [u8])> + Clone,
    ) -> Result<(), StoreError> {
        // What replaces another has a new row, after all others.
        const PUT: &str = "INSERT OR REPLACE INTO records (sort, name, value) VALUES (?1, ?2, ?3)";
        // In ASCII `!` comes after the space.
        const FORGET: &str = "DELETE FROM records WHERE rowid IN (\
                              SELECT rowid FROM records \
                              WHERE sort = ?1 AND name >= ?2 || ' ' AND name < ?2 || '!' \
                              AND length(name) = length(?4) \
                              ORDER BY rowid DESC LIMIT -1 OFFSET ?3)";
        self.with("writing", |connection| {
            let transaction = connection.transaction()?;
            {
                let mut put = transaction.prepare_cached(PUT)?;
                let mut forget = transaction.prepare_cached(FORGET)?;
                for (name, value) in records.clone() {
                    put.execute(params![sort.number(), name, value])?;
                    let common = name.rsplit_once(' ').map_or(name, |(common, _)| common);
                    forget.execute(params![sort.number(), common, most, name])?;
                }
            }
            transaction.commit()
        })
    }

    /// Forgets a record.
    pub(crate) fn remove(&self, sort: Sort, name: &str) -> Result<(), StoreError> {
        const REMOVE: &str = "DELETE FROM records WHERE sort = ?1 AND name = ?2";
        if !self.path.exists() {
            return Ok(());
        }
        self.with("writing", |connection| {
            let mut statement = connection.prepare_cached(REMOVE)?;
            statement.execute(params![sort.number(), name]).map(drop)
        })
    }

    fn read<T>(&self, read: impl FnMut(&mut Connection) -> rusqlite::Result<T>) -> Option<T> {
        self.path
            .exists()
            .then(|| self.with("reading", read).ok())?
    }

    /// Does something with the database. One that turns out to be damaged is begun anew.
    fn with<T>(
        &self,
        doing: &'static str,
        mut work: impl FnMut(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let mut connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut again = true;
        loop {
            let mut attempt = || {
                let open = match connection.take() {
                    Some(open) => open,
                    None => connect(&self.path).or_else(|error| match has_no_room(&error) {
                        true => connect_alone(&self.path),
                        false => Err(error),
                    })?,
                };
                work(connection.insert(open))
            };
            match attempt() {
                Err(error) if again && is_damaged(&error) => {
                    again = false;
                    *connection = None;
                    set_aside(&self.path);
                }
                done => return done.map_err(|error| self.failed(doing, &error)),
            }
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
    let version = |connection: &Connection| -> rusqlite::Result<i32> {
        connection.pragma_query_value(None, "user_version", |row| row.get(0))
    };
    if version(&connection)? != VERSION {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have been first.
        if version(&transaction)? == VERSION {
            return transaction.commit().map(|()| connection);
        }
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
pub(crate) fn set_aside(path: &Path) {
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
    fn of_records_with_all_but_a_word_in_common_the_newest_stay() {
        let directory = tempfile::tempdir().unwrap();
        let records = Records::at(directory.path().join("records.db"));
        let put = |name: &str| {
            let record = [(name, name.as_bytes())];
            records.put_newest(Sort::Proved, 2, record).unwrap();
        };
        for name in ["a 1", "ab 1", "a 2", "b 1", "a 1", "a b 1", "a 3"] {
            put(name);
        }
        records.put(Sort::Plan, [("a 9", b"".as_slice())]).unwrap();
        // Of `a`, what was put first was put again.
        let all = records.all(Sort::Proved);
        let names: Vec<&str> = all.iter().map(|n| str::from_utf8(n).unwrap()).collect();
        assert_eq!(names, ["a 1", "a 3", "a b 1", "ab 1", "b 1"]);
        assert_eq!(records.all(Sort::Plan).len(), 1);
    }

    #[test]
    fn a_database_that_is_damaged_within_is_begun_anew_too() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("records.db");
        let records = Records::at(path.clone());
        let large = vec![7; 100_000];
        for name in ["a", "b"] {
            records
                .put(Sort::Output, [(name, large.as_slice())])
                .unwrap();
        }
        drop(records);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[4096..].fill(0xaa);
        std::fs::write(&path, bytes).unwrap();
        let records = Records::at(path.clone());
        records.put(Sort::Output, [("a", b"1".as_slice())]).unwrap();
        assert_eq!(records.get(Sort::Output, "a").as_deref(), Some(&b"1"[..]));
        assert_eq!(records.get(Sort::Output, "b"), None);
        assert!(path.with_extension("db.damaged").exists());
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
