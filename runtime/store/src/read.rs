//! What is read back: records in pages, and a call's events.

use std::path::Path;

use sqlx::SqliteExecutor;
use vocab::record::{CallEvent, CallRecord, Disposition};
use vocab::{CallId, TenantId, Wall};

use crate::error::Error;
use crate::limits::PAGE_RECORDS_MAX;
use crate::log::Word;
use crate::rows::{event_columns, event_from, record_from, select_records};

/// Which records are listed, newest first. The default is the newest page of all of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listing {
    /// Only this tenant's.
    pub tenant: Option<TenantId>,
    /// Only calls older than this one: the cursor, which is the last call of the page before.
    pub before: Option<CallId>,
    /// Only calls that reached the node at this time or later, by the millisecond in their id.
    pub since: Option<Wall>,
    /// Only calls that reached the node before this time.
    pub until: Option<Wall>,
    /// Only calls of which this became. The database is searched back until the page is full, so
    /// give `since` with a rare one.
    pub disposition: Option<Disposition>,
    /// At most so many, and at most [`PAGE_RECORDS_MAX`]. Default 100.
    pub limit: u32,
}

impl Default for Listing {
    fn default() -> Self {
        Self {
            tenant: None,
            before: None,
            since: None,
            until: None,
            disposition: None,
            limit: 100,
        }
    }
}

impl Listing {
    /// Ids from `.0` up to, not including, `.1`; the text form sorts as the ids do.
    fn range(&self) -> (String, String) {
        let first = self.since.map_or(CallId(0), first_id);
        // Sorts after every id, whose first character is at most 7.
        let end = "8".to_owned();
        let until = self.until.map(|at| first_id(at).to_string());
        let before = self.before.map(|call| call.to_string());
        let end = [until, before].into_iter().flatten().fold(end, Ord::min);
        (first.to_string(), end)
    }
}

/// The lowest id a call can have that reached the node at this time.
pub(crate) fn first_id(at: Wall) -> CallId {
    // Rounded up: an id holds milliseconds, rounded down.
    let millis = at.0.max(0).unsigned_abs().div_ceil(1_000);
    CallId(u128::from(millis.min(0xffff_ffff_ffff)) << 80)
}

pub(crate) async fn records(
    path: &Path,
    conn: impl SqliteExecutor<'_>,
    listing: &Listing,
) -> Result<Vec<CallRecord>, Error> {
    const ALL: &str = concat!(
        select_records!(),
        " WHERE call >= ?1 AND call < ?2 \
         AND (?3 IS NULL OR disposition = ?3) ORDER BY call DESC LIMIT ?4"
    );
    const OF_TENANT: &str = concat!(
        select_records!(),
        " WHERE tenant = ?5 AND call >= ?1 AND call < ?2 \
         AND (?3 IS NULL OR disposition = ?3) ORDER BY call DESC LIMIT ?4"
    );
    let (first, end) = listing.range();
    let query = sqlx::query(if listing.tenant.is_some() {
        OF_TENANT
    } else {
        ALL
    })
    .bind(first)
    .bind(end)
    .bind(listing.disposition.map(Word::text))
    .bind(i64::from(listing.limit.min(PAGE_RECORDS_MAX)));
    let query = match &listing.tenant {
        Some(tenant) => query.bind(tenant.to_string()),
        None => query,
    };
    let rows = query
        .fetch_all(conn)
        .await
        .map_err(|e| Error::sort(path, e))?;
    rows.iter().map(|row| record_from(path, row)).collect()
}

pub(crate) async fn record(
    path: &Path,
    conn: impl SqliteExecutor<'_>,
    call: CallId,
) -> Result<Option<CallRecord>, Error> {
    let sql = concat!(select_records!(), " WHERE call = ?");
    let row = sqlx::query(sql)
        .bind(call.to_string())
        .fetch_optional(conn)
        .await
        .map_err(|e| Error::sort(path, e))?;
    row.as_ref().map(|row| record_from(path, row)).transpose()
}

pub(crate) async fn events(
    path: &Path,
    conn: impl SqliteExecutor<'_>,
    call: CallId,
) -> Result<Vec<CallEvent>, Error> {
    let sql = concat!(
        "SELECT ",
        event_columns!(),
        " FROM call_event WHERE call = ? ORDER BY n"
    );
    let rows = sqlx::query(sql)
        .bind(call.to_string())
        .fetch_all(conn)
        .await
        .map_err(|e| Error::sort(path, e))?;
    rows.iter().map(|row| event_from(path, row)).collect()
}

/// Calls that have started and not ended, oldest first. As many as were up at once.
pub(crate) async fn open_calls(
    path: &Path,
    conn: impl SqliteExecutor<'_>,
) -> Result<Vec<CallRecord>, Error> {
    let sql = concat!(
        select_records!(),
        " WHERE ended_at_us IS NULL ORDER BY call"
    );
    let rows = sqlx::query(sql)
        .fetch_all(conn)
        .await
        .map_err(|e| Error::sort(path, e))?;
    rows.iter().map(|row| record_from(path, row)).collect()
}

/// Some calls after this one whose records were folded by an older release, in order.
pub(crate) async fn outdated_calls(
    path: &Path,
    conn: impl SqliteExecutor<'_>,
    after: &str,
    limit: i64,
) -> Result<Vec<String>, Error> {
    sqlx::query_scalar(
        "SELECT call FROM call_record WHERE call > ? AND projection < ? ORDER BY call LIMIT ?",
    )
    .bind(after)
    .bind(crate::project::PROJECTION)
    .bind(limit)
    .fetch_all(conn)
    .await
    .map_err(|e| Error::sort(path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_a_range_of_ids() {
        let id = |millis: u128| CallId(millis << 80).to_string();
        let all = Listing::default();
        assert_eq!(all.range(), (id(0), "8".to_owned()));
        assert!(
            CallId(u128::MAX).to_string() < all.range().1,
            "no id is left out"
        );
        let exact = Listing {
            since: Some(Wall(5_000)),
            until: Some(Wall(7_000)),
            before: Some(CallId(9 << 80)),
            ..all
        };
        assert_eq!(exact.range(), (id(5), id(7)));
        let between = Listing {
            since: Some(Wall(4_001)),
            before: Some(CallId(6 << 80)),
            ..exact
        };
        assert_eq!(between.range(), (id(5), id(6)));
        let ancient = Listing {
            since: Some(Wall(-1)),
            ..between
        };
        assert_eq!(ancient.range().0, id(0));
    }
}
