//! `.synth/history.db`: opened, brought up to date, set aside when it is damaged. It is written with
//! a log ahead (WAL) that is not synchronized build by build: after a power failure the last builds
//! may be missing, and nothing else.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use synth_core::{Concern, Diagnostic};

use super::entry::BuildEntry;
use super::error::HistoryError;
use super::graph::Graph;
use super::migration::{self, STEPS};
use super::pending;
use crate::records::set_aside;

/// How long another process may keep the database to itself: a build that is over waits no longer, and
/// is pending then.
const PATIENCE: Duration = Duration::from_secs(1);

/// The log ahead is moved into the database, and both are synchronized with the disk, whenever it has
/// so many pages (of 4 KiB).
const LOG_PAGES: i32 = 256;

/// The history of a workspace, opened.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
}

impl Database {
    /// Opens it, makes it where there is none, and brings it up to date.
    pub(super) fn open(path: &Path) -> Result<Self, HistoryError> {
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(PATIENCE)?;
        // One that is left alone is not even prepared.
        migration::refuse_newer(&connection, &STEPS)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "normal")?;
        connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        migration::migrate(&mut connection, &STEPS)?;
        Ok(Self {
            connection,
            path: path.to_owned(),
        })
    }

    /// Opens one for a command that shows it, with all that is pending moved in; none where there is
    /// none. Where nothing can be written, or another process writes, it is shown as it is.
    pub(super) fn for_reading(path: &Path) -> Result<Option<Self>, Diagnostic> {
        if !path.exists() && !pending::path(path).exists() {
            return Ok(None);
        }
        let opened = Self::open(path).and_then(|mut database| match database.take_in() {
            Err(error) if error.is_lasting() => Err(error),
            _ => Ok(database),
        });
        match opened {
            Ok(database) => Ok(Some(database)),
            Err(error) if error.is_lasting() => Err(error.unreadable(path)),
            Err(_) if !path.exists() => Ok(None),
            Err(_) => {
                let read = Self::read_only(path);
                read.map(Some).map_err(|error| error.unreadable(path))
            }
        }
    }

    fn read_only(path: &Path) -> Result<Self, HistoryError> {
        let looked = |connection: Connection| -> Result<Connection, HistoryError> {
            let found = migration::refuse_newer(&connection, &STEPS)?;
            if found == migration::newest(&STEPS) {
                return Ok(connection);
            }
            let reason =
                format!("its tables are of version {found}, and can't be brought up to date");
            Err(HistoryError::File(std::io::Error::new(
                std::io::ErrorKind::ReadOnlyFilesystem,
                reason,
            )))
        };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(path, flags).map_err(HistoryError::from);
        let connection = match opened.and_then(looked) {
            Err(error) if error.is_read_only() => {
                // Without the files of its log, which nobody can make here, it is taken as it stands
                // (SQLite, "Uniform Resource Identifiers", section 3.3).
                let mut address = url::Url::from_file_path(path).map_err(|()| error)?;
                address.set_query(Some("immutable=1"));
                let flags = flags | OpenFlags::SQLITE_OPEN_URI;
                looked(Connection::open_with_flags(address.as_str(), flags)?)?
            }
            opened => opened?,
        };
        Ok(Self {
            connection,
            path: path.to_owned(),
        })
    }

    /// What went wrong while it was read.
    pub(super) fn failed(&self, error: &HistoryError) -> Diagnostic {
        error.unreadable(&self.path)
    }
}

/// Keeps a build. When it could not be kept, or an earlier history was damaged, says so.
pub(super) fn keep(path: &Path, entry: &BuildEntry, graph: &Graph) -> Option<Diagnostic> {
    let attempt = || {
        let mut database = Database::open(path)?;
        database.keep(entry, graph)
    };
    let error = match attempt() {
        Ok(()) => return None,
        Err(error) if error.is_damage() => error,
        Err(error) if error.is_busy() => {
            let pending = pending::append(path, entry).map_err(HistoryError::from);
            return pending.err().map(|error| error.unwritten(path));
        }
        Err(error) => return Some(error.unwritten(path)),
    };
    set_aside(path);
    match attempt() {
        Ok(()) => {
            let message = format!(
                "the history `{}` was damaged, and begins anew",
                path.display()
            );
            let problem = Diagnostic::warning("history.damaged", message);
            let aside = path.with_extension("db.damaged");
            let help = format!("what it held is in `{}`", aside.display());
            Some(
                problem
                    .concerning(Concern::State)
                    .caused_by(&error)
                    .help(help),
            )
        }
        Err(error) => Some(error.unwritten(path)),
    }
}

/// Keeps a build that had nothing to do, as cheaply as can be.
pub(super) fn keep_idle(path: &Path, entry: &BuildEntry) -> Option<Diagnostic> {
    let kept = pending::append(path, entry).map_err(HistoryError::from);
    let kept = kept.and_then(|many| match many {
        true => match Database::open(path).and_then(|mut database| database.take_in()) {
            // Another one does, or the next build.
            Err(error) if error.is_busy() => Ok(()),
            taken => taken,
        },
        false => Ok(()),
    });
    kept.err().map(|error| error.unwritten(path))
}
