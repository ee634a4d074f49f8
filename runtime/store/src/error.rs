//! What can go wrong with the database, by what the caller does about it.

use std::path::{Path, PathBuf};

use vocab::CallId;

/// A failure of the store. Messages are one line and say what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another process has the database open.
    #[error("{path} is in use by another process{}: stop it or choose another file",
        pid.map(|pid| format!(" ({pid})")).unwrap_or_default())]
    InUse {
        /// The database.
        path: PathBuf,
        /// The other process, if it left its id.
        pid: Option<u32>,
    },
    /// The file is something else.
    #[error("{path} is not a SQLite database: move it away or choose another file")]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The file is a database of another program.
    #[error("{path} is the database of another program: choose another file")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A newer release wrote the database.
    #[error(
        "{path} was written by a newer release ({what} {found}, this one knows {known}): \
         upgrade, or restore a backup made before the newer release ran"
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// What has a newer version: the schema, or the folding of records.
        what: &'static str,
        /// The version found.
        found: i64,
        /// The newest version this binary knows.
        known: i64,
    },
    /// The database cannot be written.
    #[error("{path} is read-only: check the permissions of the file and its directory")]
    ReadOnly {
        /// The database.
        path: PathBuf,
    },
    /// The database cannot be opened or created.
    #[error("{path} cannot be opened ({reason}): check that the directory exists and is writable")]
    CannotOpen {
        /// The database.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// No room left, on the disk or up to the configured size. Nothing of the transaction was
    /// written; it can be tried again.
    #[error("no room left to write {path}: free disk space or raise the database's size limit")]
    Full {
        /// The database.
        path: PathBuf,
    },
    /// Another program held the database for too long. It can be tried again.
    #[error("{path} is locked by another program: end its transaction (a backup, a shell)")]
    Busy {
        /// The database.
        path: PathBuf,
    },
    /// The database is damaged, or holds what this release cannot have written.
    #[error(
        "{path} is damaged ({what}): restore a backup, or rescue what is left with `sqlite3 .recover`"
    )]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Anything else SQLite reports.
    #[error("{path} failed")]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// What SQLite reports.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Why an event was left out of the log. The rest of its batch was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("event {n} of call {call} left out: {why}")]
pub struct Misplaced {
    /// The call.
    pub call: CallId,
    /// The event's position.
    pub n: u32,
    /// What is wrong with it.
    pub why: Misfit,
}

/// What is wrong with a misplaced event.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, thiserror::Error)]
pub enum Misfit {
    /// The call's `Started` is not in the log.
    #[error("its call has not started")]
    NotStarted,
    /// The call has started before.
    #[error("its call has already started")]
    StartedTwice,
    /// The call is over.
    #[error("its call is over")]
    AfterEnd,
    /// The call belongs to another tenant.
    #[error("its call belongs to another tenant")]
    OtherTenant,
    /// The call has more events than [`crate::limits::CALL_EVENTS_MAX`].
    #[error("its call has too many events")]
    TooMany,
    /// Positions count from 1.
    #[error("positions count from 1")]
    Zero,
}

/// SQLite's primary result codes that a caller acts on. <https://www.sqlite.org/rescode.html>
mod code {
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const READONLY: i32 = 8;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const NOTADB: i32 = 26;
    /// The shared memory beside the database could not grow, which is for want of room.
    pub(super) const IOERR_SHMSIZE: i32 = 10 | 19 << 8;
}

impl Error {
    /// Sorts what sqlx reports by SQLite's primary result code.
    pub(crate) fn sort(path: &Path, error: sqlx::Error) -> Self {
        let path = path.to_owned();
        let reported = error.as_database_error();
        let extended = reported
            .and_then(|error| error.code())
            .and_then(|code| code.parse::<i32>().ok())
            .unwrap_or_default();
        let message = reported
            .map(|error| error.message().to_owned())
            .unwrap_or_default();
        if extended == code::IOERR_SHMSIZE {
            return Self::Full { path };
        }
        // The low byte is the primary code; the rest tells variants apart.
        match extended & 0xff {
            code::BUSY | code::LOCKED => Self::Busy { path },
            code::READONLY => Self::ReadOnly { path },
            code::CORRUPT => Self::Corrupt {
                path,
                what: message,
            },
            code::FULL => Self::Full { path },
            code::CANTOPEN => Self::CannotOpen {
                path,
                reason: message,
            },
            code::NOTADB => Self::NotADatabase { path },
            _ => Self::Sqlite {
                path,
                source: Box::new(error),
            },
        }
    }

    /// A row this release cannot have written.
    pub(crate) fn corrupt(path: &Path, what: impl Into<String>) -> Self {
        Self::Corrupt {
            path: path.to_owned(),
            what: what.into(),
        }
    }
}
