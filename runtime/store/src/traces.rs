//! The signalling of calls that are over, one packed row each.

use std::path::Path;
use std::sync::Arc;

use sqlx::{SqliteConnection, SqliteExecutor};
use vocab::{CallId, Wall};

use crate::error::Error;
use crate::limits::FORGOTTEN_MAX;
use crate::read::first_id;

/// How much is kept of past calls' signalling.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retention {
    /// Calls that reached the node before this are forgotten.
    pub since: Wall,
    /// Bytes of all traces; beyond it the oldest are forgotten.
    pub bytes_max: u64,
}

/// Adds rows and removes old ones in one transaction. After an error it may still be open.
pub(crate) async fn keep(
    conn: &mut SqliteConnection,
    traces: &[(CallId, Arc<[u8]>)],
    retention: Retention,
) -> Result<(), sqlx::Error> {
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *conn).await?;
    for (call, trace) in traces {
        sqlx::query(
            "INSERT INTO sip_trace (call, bytes, trace) VALUES (?, ?, ?) \
             ON CONFLICT (call) DO NOTHING",
        )
        .bind(call.to_string())
        .bind(i64::try_from(trace.len()).unwrap_or(i64::MAX))
        .bind(&trace[..])
        .execute(&mut *conn)
        .await?;
    }
    sqlx::query(
        "DELETE FROM sip_trace WHERE call IN \
         (SELECT call FROM sip_trace WHERE call < ? ORDER BY call LIMIT ?)",
    )
    .bind(first_id(retention.since).to_string())
    .bind(FORGOTTEN_MAX)
    .execute(&mut *conn)
    .await?;
    // The oldest whose predecessors are not yet enough.
    sqlx::query(
        "DELETE FROM sip_trace WHERE call IN \
         (SELECT call FROM \
          (SELECT call, sum(bytes) OVER (ORDER BY call) - bytes AS before FROM \
           (SELECT call, bytes FROM sip_trace ORDER BY call LIMIT ?2)) \
          WHERE before < (SELECT bytes FROM sip_trace_total) - ?1)",
    )
    .bind(i64::try_from(retention.bytes_max).unwrap_or(i64::MAX))
    .bind(FORGOTTEN_MAX)
    .execute(&mut *conn)
    .await?;
    sqlx::query("COMMIT").execute(conn).await?;
    Ok(())
}

pub(crate) async fn read(
    path: &Path,
    conn: impl SqliteExecutor<'_>,
    call: CallId,
) -> Result<Option<Vec<u8>>, Error> {
    sqlx::query_scalar("SELECT trace FROM sip_trace WHERE call = ?")
        .bind(call.to_string())
        .fetch_optional(conn)
        .await
        .map_err(|e| Error::sort(path, e))
}
