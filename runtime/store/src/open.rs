//! Opening a database: the lock, the checks, the settings, the migrations.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqliteConnection};

use crate::error::Error;
use crate::limits::{BUSY_TIMEOUT, WAL_PAGES};
use crate::project::PROJECTION;

/// The migrations of this binary, oldest first.
fn migrations() -> Migrator {
    sqlx::migrate!("./migrations")
}

/// What a file must hold in its header's application id: "JFLD", set by the first migration.
const APPLICATION: i64 = 0x4a46_4c44;

/// What a commit survives.
///
/// Measured on a busy 2-core virtual machine, for 12 events of 12 calls in
/// a transaction: 15 µs of CPU an event and a median of 0.2 ms a commit with [`ProcessCrash`]
/// against 27 µs and 4 ms (99th percentile 13 ms) with [`PowerLoss`], where each commit waits for
/// the disk. A first event is to be committed within 20 ms and a call is to cost 0.25 to 0.4 ms
/// of CPU in all, so the former is the default.
///
/// [`ProcessCrash`]: Durability::ProcessCrash
/// [`PowerLoss`]: Durability::PowerLoss
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Durability {
    /// `kill -9`: what was committed is with the operating system. The loss of power or a crash
    /// of the kernel may take the last seconds, but never damages the database.
    #[default]
    ProcessCrash,
    /// The loss of power, too. For fast disks with a cache that survives it.
    PowerLoss,
}

/// How a database is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// What a commit survives.
    pub durability: Durability,
    /// Connections that read at the same time, at least 1. Default 2; about 1 MiB each.
    pub readers: u32,
    /// Largest size of the database in bytes, rounded down to pages of 4 KiB; its write-ahead log
    /// is not counted. Default none: up to what the disk holds.
    pub bytes_max: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            readers: 2,
            bytes_max: None,
        }
    }
}

/// An open database.
pub(crate) struct Opened {
    /// Absolute.
    pub(crate) path: PathBuf,
    pub(crate) writer: SqliteConnection,
    pub(crate) readers: SqlitePool,
    /// The records were folded by an older release.
    pub(crate) outdated: bool,
    /// Held as long as the database is open.
    pub(crate) lock: File,
}

pub(crate) async fn open(path: &Path, options: Options) -> Result<Opened, Error> {
    assert!(options.readers > 0, "somebody must be able to read");
    // Absolute, also because SQLite would take a name starting with `file:` for a URI.
    let path = std::path::absolute(path).map_err(|e| cannot_open(path, &e))?;
    let lock = lock(&path)?;
    let mut writer = connect(&path).await?;
    let (found, known) = (schema(&path, &mut writer).await?, newest());
    if found > known {
        return Err(Error::Newer {
            path,
            what: "schema",
            found,
            known,
        });
    }
    configure(&path, &mut writer, options).await?;
    migrate(&path, &mut writer).await?;
    let outdated = outdated(&path, &mut writer).await?;
    let readers = readers(&path, options);
    Ok(Opened {
        path,
        writer,
        readers,
        outdated,
        lock,
    })
}

/// Takes the lock beside the database, which the system releases when this process ends.
///
/// SQLite's own locks would let a second process write between our transactions, with a picture
/// of the records in its memory that is not ours.
fn lock(path: &Path) -> Result<File, Error> {
    let mut name = OsString::from(path);
    name.push("-lock");
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&name)
        .map_err(|e| cannot_open(path, &e))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.take(16).read_to_string(&mut holder);
            return Err(Error::InUse {
                path: path.to_owned(),
                pid: holder.trim().parse().ok(),
            });
        }
        Err(TryLockError::Error(e)) => return Err(cannot_open(path, &e)),
    }
    // Only for the message above: a full disk must not keep the database from being opened.
    let _ = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

/// Connects for writing, without changing anything yet.
async fn connect(path: &Path) -> Result<SqliteConnection, Error> {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .busy_timeout(BUSY_TIMEOUT)
        .thread_name(|_| "store-write".to_owned())
        .disable_statement_logging()
        .connect()
        .await
        .map_err(|e| Error::sort(path, e))
}

/// The schema's version found in the file: 0 if it is new and empty.
async fn schema(path: &Path, writer: &mut SqliteConnection) -> Result<i64, Error> {
    let sort = |e| Error::sort(path, e);
    let application: i64 = sqlx::query_scalar("PRAGMA application_id")
        .fetch_one(&mut *writer)
        .await
        .map_err(sort)?;
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema")
        .fetch_one(&mut *writer)
        .await
        .map_err(sort)?;
    let migrations: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'")
            .fetch_one(&mut *writer)
            .await
            .map_err(sort)?;
    match (application, tables, migrations) {
        (0, 0, 0) => Ok(0),
        (APPLICATION, _, 1) => {
            sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations")
                .fetch_one(writer)
                .await
                .map_err(sort)
        }
        // A crash between sqlx's own table and the first migration leaves just that table, which
        // other programs that use sqlx have too, but not empty.
        (0, _, 1) => {
            let applied: i64 = sqlx::query_scalar("SELECT count(*) FROM _sqlx_migrations")
                .fetch_one(writer)
                .await
                .map_err(sort)?;
            if applied == 0 {
                Ok(0)
            } else {
                Err(Error::Foreign {
                    path: path.to_owned(),
                })
            }
        }
        (_, _, _) => Err(Error::Foreign {
            path: path.to_owned(),
        }),
    }
}

/// The newest schema this binary knows.
fn newest() -> i64 {
    migrations()
        .iter()
        .map(|migration| migration.version)
        .max()
        .expect("there are migrations")
}

/// Settings of the writing connection; write-ahead logging is one of the file, too.
async fn configure(
    path: &Path,
    writer: &mut SqliteConnection,
    options: Options,
) -> Result<(), Error> {
    let sort = |e| Error::sort(path, e);
    let journal: String = sqlx::query_scalar("PRAGMA journal_mode = WAL")
        .fetch_one(&mut *writer)
        .await
        .map_err(sort)?;
    if journal != "wal" {
        // Network file systems cannot share the memory that readers and the writer need.
        let reason = "its file system does not support write-ahead logging".to_owned();
        return Err(Error::CannotOpen {
            path: path.to_owned(),
            reason,
        });
    }
    let synchronous = match options.durability {
        Durability::PowerLoss => "FULL",
        Durability::ProcessCrash => "NORMAL",
    };
    // No memory mapping: a read error of the disk would be a SIGBUS, which ends every call.
    let mut settings = format!(
        "PRAGMA synchronous = {synchronous}; PRAGMA wal_autocheckpoint = {WAL_PAGES}; \
         PRAGMA journal_size_limit = {}; PRAGMA cache_size = -4096; PRAGMA mmap_size = 0;",
        u64::from(WAL_PAGES) * 4_096
    );
    if let Some(bytes) = options.bytes_max {
        settings.push_str(&format!(
            "PRAGMA max_page_count = {};",
            (bytes / 4_096).max(1)
        ));
    }
    sqlx::raw_sql(AssertSqlSafe(settings))
        .execute(writer)
        .await
        .map_err(sort)?;
    Ok(())
}

async fn migrate(path: &Path, writer: &mut SqliteConnection) -> Result<(), Error> {
    // Not `run`, whose future cannot be sent to another thread.
    let migrated = migrations().run_direct(None, writer, false).await;
    migrated.map_err(|error| {
        if let MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) = error {
            Error::sort(path, error)
        } else {
            Error::Sqlite {
                path: path.to_owned(),
                source: Box::new(error),
            }
        }
    })
}

/// Whether the records were folded by an older release. `user_version` holds the version of the
/// folding that all records have reached.
async fn outdated(path: &Path, writer: &mut SqliteConnection) -> Result<bool, Error> {
    let sort = |e| Error::sort(path, e);
    let found: i64 = sqlx::query_scalar("PRAGMA user_version")
        .fetch_one(&mut *writer)
        .await
        .map_err(sort)?;
    if found > PROJECTION {
        let path = path.to_owned();
        return Err(Error::Newer {
            path,
            what: "projection",
            found,
            known: PROJECTION,
        });
    }
    Ok(found < PROJECTION)
}

fn readers(path: &Path, options: Options) -> SqlitePool {
    let connect = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("cache_size", "-1024")
        .pragma("mmap_size", "0")
        .thread_name(|_| "store-read".to_owned())
        .disable_statement_logging();
    SqlitePoolOptions::new()
        .max_connections(options.readers)
        .acquire_timeout(Duration::from_secs(5))
        .test_before_acquire(false)
        .connect_lazy_with(connect)
}

fn cannot_open(path: &Path, error: &std::io::Error) -> Error {
    let (path, kind) = (path.to_owned(), error.kind());
    if matches!(
        kind,
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied
    ) {
        Error::ReadOnly { path }
    } else if kind == ErrorKind::StorageFull {
        Error::Full { path }
    } else {
        Error::CannotOpen {
            path,
            reason: error.to_string(),
        }
    }
}

/// Ends the writing connection.
pub(crate) async fn close(path: &Path, writer: SqliteConnection) -> Result<(), Error> {
    writer.close().await.map_err(|e| Error::sort(path, e))
}
