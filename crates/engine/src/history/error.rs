//! What can be wrong with the history, and what is said of it: a build is never failed for it.

use std::io;
use std::path::Path;

use rusqlite::ErrorCode;
use synth_core::{Concern, Diagnostic};

/// Why the history can't be read or written.
#[derive(Debug, thiserror::Error)]
pub(super) enum HistoryError {
    #[error("it is of version {found}, and this synth knows those up to {known}")]
    Newer { found: i32, known: i32 },
    #[error("a row of it makes no sense: {0}")]
    Row(String),
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
    #[error(transparent)]
    File(#[from] io::Error),
}

impl HistoryError {
    /// Whether the database is none any more.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            Self::Row(_) => true,
            Self::Database(error) => matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
            ),
            Self::Newer { .. } | Self::File(_) => false,
        }
    }

    /// Whether another process has the database to itself.
    pub(super) fn is_busy(&self) -> bool {
        match self {
            Self::Database(error) => matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
            ),
            Self::Newer { .. } | Self::Row(_) | Self::File(_) => false,
        }
    }

    /// Whether the database can't be read either, wherever it is and whoever else uses it.
    pub(super) fn is_lasting(&self) -> bool {
        self.is_damage() || matches!(self, Self::Newer { .. })
    }

    /// Whether it may only be that nothing can be written here.
    pub(super) fn is_read_only(&self) -> bool {
        match self {
            Self::Database(error) => matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied)
            ),
            Self::File(error) => matches!(
                error.kind(),
                io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
            ),
            Self::Newer { .. } | Self::Row(_) => false,
        }
    }

    /// For a command that was to read it.
    pub(super) fn unreadable(&self, path: &Path) -> Diagnostic {
        let message = format!("the history `{}` can't be read", path.display());
        let problem = Diagnostic::error(self.code(), message);
        self.described(problem, path)
    }

    /// For a build that is not in it.
    pub(super) fn unwritten(&self, path: &Path) -> Diagnostic {
        let message = format!("this build is not in the history `{}`", path.display());
        let problem = Diagnostic::warning(self.code(), message);
        self.described(problem, path)
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Newer { .. } => "history.newer",
            error if error.is_damage() => "history.damaged",
            _ => "history.unusable",
        }
    }

    fn described(&self, problem: Diagnostic, path: &Path) -> Diagnostic {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let help = match self {
            Self::Newer { .. } => {
                "use the synth that has written it, or move the file away; builds work without it"
                    .to_owned()
            }
            error if error.is_damage() => format!(
                "the next build with something to do moves it to `{name}.damaged` and begins another"
            ),
            _ => "check that `.synth` can be written and its disk has room; builds work without it"
                .to_owned(),
        };
        problem
            .concerning(Concern::State)
            .caused_by(self)
            .help(help)
    }
}
