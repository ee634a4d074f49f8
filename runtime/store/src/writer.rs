//! The one writing connection: a batch of events in one transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use sqlx::{AssertSqlSafe, SqliteConnection};
use vocab::CallId;
use vocab::record::{CallEvent, CallRecord};

use crate::error::{Error, Misplaced};
use crate::limits::{BATCH_EVENTS_MAX, LIVE_RECORDS_MAX};
use crate::project::{Projected, project};
use crate::rows::{
    EVENT_VALUES, EventRow, RECORD_VALUES, bind_record, event_columns, record_columns, record_from,
    select_records,
};

/// What became of a batch.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Appended {
    /// Events added to the log.
    pub added: usize,
    /// Events that were in the log already.
    pub repeated: usize,
    /// Events left out. Each is a bug of whoever made it, to be logged as an error.
    pub misplaced: Vec<Misplaced>,
}

/// The writing connection and the records of the calls it has written to.
#[derive(Debug)]
pub(crate) struct Writer {
    conn: SqliteConnection,
    statements: Statements,
    /// Records as committed of calls going on. One that is missing is read from the database.
    live: BTreeMap<CallId, CallRecord>,
    /// A transaction was begun and its end not seen: it failed, or the future was dropped.
    dangling: bool,
    /// Calls left open by the process before this one, until they are closed.
    pub(crate) interrupted: Vec<CallRecord>,
}

impl Writer {
    pub(crate) fn new(conn: SqliteConnection) -> Self {
        let statements = Statements::new();
        Self {
            conn,
            statements,
            live: BTreeMap::new(),
            dangling: false,
            interrupted: Vec::new(),
        }
    }

    pub(crate) fn conn(&mut self) -> &mut SqliteConnection {
        &mut self.conn
    }

    pub(crate) fn into_conn(self) -> SqliteConnection {
        self.conn
    }

    /// See [`crate::Store::append`].
    pub(crate) async fn append(
        &mut self,
        path: &Path,
        batch: &[CallEvent],
    ) -> Result<Appended, Error> {
        assert!(batch.len() <= BATCH_EVENTS_MAX, "a batch is bounded");
        self.clear_dangling().await;
        let mut records = self.take_records(path, batch).await?;
        let mut appended = Appended::default();
        let mut rows = Vec::with_capacity(batch.len());
        let mut changed = BTreeSet::new();
        for event in batch {
            let record = records.entry(event.call).or_default();
            match project(record, event) {
                Ok(projected @ (Projected::Changed | Projected::Counted)) => {
                    appended.added += 1;
                    rows.push(EventRow::new(event));
                    if projected == Projected::Changed {
                        changed.insert(event.call);
                    }
                }
                Ok(Projected::Repeated) => appended.repeated += 1,
                Err(misplaced) => appended.misplaced.push(misplaced),
            }
        }
        if !rows.is_empty() {
            let changed = changed
                .iter()
                .filter_map(|call| records.get(call)?.as_ref())
                .collect();
            self.write(rows, changed)
                .await
                .map_err(|e| Error::sort(path, e))?;
        }
        self.keep_live(records);
        Ok(appended)
    }

    /// Writes a record folded anew, without events.
    pub(crate) async fn rewrite(
        &mut self,
        path: &Path,
        records: Vec<&CallRecord>,
    ) -> Result<(), Error> {
        self.clear_dangling().await;
        self.write(Vec::new(), records)
            .await
            .map_err(|e| Error::sort(path, e))
    }

    /// Undoes what an earlier append left unfinished.
    async fn clear_dangling(&mut self) {
        if self.dangling {
            // SQLite may have rolled back by itself, which makes this an error. Should it fail
            // otherwise, the next BEGIN says so.
            let _ = sqlx::query("ROLLBACK").execute(&mut self.conn).await;
            self.dangling = false;
        }
    }

    /// The committed records of the calls in a batch, `None` for calls not in the database.
    ///
    /// They are taken out of `live` until the batch is committed, so that after a failure, whose
    /// outcome may be unknown, they are read again.
    async fn take_records(
        &mut self,
        path: &Path,
        batch: &[CallEvent],
    ) -> Result<BTreeMap<CallId, Option<CallRecord>>, Error> {
        let mut records = BTreeMap::new();
        let mut unknown = String::new();
        for event in batch {
            records.entry(event.call).or_insert_with(|| {
                let live = self.live.remove(&event.call);
                if live.is_none() {
                    let comma = if unknown.is_empty() { "" } else { "," };
                    unknown.push_str(&format!("{comma}\"{}\"", event.call));
                }
                live
            });
        }
        if !unknown.is_empty() {
            let rows = sqlx::query(concat!(
                select_records!(),
                " WHERE call IN (SELECT value FROM json_each(?))"
            ))
            .bind(format!("[{unknown}]"))
            .fetch_all(&mut self.conn)
            .await
            .map_err(|e| Error::sort(path, e))?;
            for row in &rows {
                let record = record_from(path, row)?;
                records.insert(record.call, Some(record));
            }
        }
        Ok(records)
    }

    /// One transaction. After an error nothing of it is in the database, or, if the error came
    /// while committing, all of it may be.
    async fn write(
        &mut self,
        rows: Vec<EventRow<'_>>,
        records: Vec<&CallRecord>,
    ) -> Result<(), sqlx::Error> {
        self.dangling = true;
        let conn = &mut self.conn;
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *conn).await?;
        let mut rows = rows.into_iter();
        while let Some((size, sql)) = self.statements.events.fitting(rows.len()) {
            let query = sqlx::query(AssertSqlSafe(sql));
            let query = rows
                .by_ref()
                .take(size)
                .fold(query, |query, row| row.bind(query));
            query.execute(&mut *conn).await?;
        }
        let (going, over) = records
            .into_iter()
            .partition(|record| record.ended_at.is_none());
        write_records(conn, &self.statements.going, going).await?;
        write_records(conn, &self.statements.over, over).await?;
        sqlx::query("COMMIT").execute(conn).await?;
        self.dangling = false;
        Ok(())
    }

    fn keep_live(&mut self, records: BTreeMap<CallId, Option<CallRecord>>) {
        if self.live.len() > LIVE_RECORDS_MAX {
            self.live.clear();
        }
        let open = records
            .into_values()
            .flatten()
            .filter(|record| record.ended_at.is_none());
        self.live.extend(open.map(|record| (record.call, record)));
    }
}

async fn write_records(
    conn: &mut SqliteConnection,
    statements: &Sizes,
    records: Vec<&CallRecord>,
) -> Result<(), sqlx::Error> {
    let mut records = records.into_iter();
    while let Some((size, sql)) = statements.fitting(records.len()) {
        let query = sqlx::query(AssertSqlSafe(sql));
        let query = records.by_ref().take(size).fold(query, bind_record);
        query.execute(&mut *conn).await?;
    }
    Ok(())
}

/// The insert statements, prepared once for each number of rows in powers of two.
///
/// Handing a statement to SQLite's thread and back costs more than inserting a row, so a batch
/// takes as few statements as possible.
#[derive(Debug)]
struct Statements {
    events: Sizes,
    /// Records of calls going on.
    going: Sizes,
    /// Records of calls that are over.
    over: Sizes,
}

/// One statement's text for 1, 2, 4, … rows.
#[derive(Debug)]
struct Sizes(Vec<Arc<str>>);

impl Statements {
    fn new() -> Self {
        let events = concat!("INSERT INTO call_event (", event_columns!(), ") VALUES ");
        let records = concat!(
            "INSERT INTO call_record (",
            record_columns!(),
            ", events, projection) VALUES "
        );
        // What is not listed does not change after a call's first event.
        let going = " ON CONFLICT (call) DO UPDATE SET \
            answered_at_us = excluded.answered_at_us, plugin = excluded.plugin, \
            plugin_version = excluded.plugin_version, outcome = excluded.outcome, \
            fault = excluded.fault, recording = excluded.recording, \
            messages = excluded.messages, events = excluded.events, \
            disposition = excluded.disposition, projection = excluded.projection";
        // Apart, because naming this column makes SQLite write the index of open calls.
        let over = format!(
            "{going}, ended_at_us = excluded.ended_at_us, cause = excluded.cause, \
            ended_by = excluded.ended_by"
        );
        Self {
            events: Sizes::new(events, EVENT_VALUES, "", 6),
            going: Sizes::new(records, RECORD_VALUES, going, 5),
            over: Sizes::new(records, RECORD_VALUES, &over, 5),
        }
    }
}

impl Sizes {
    /// Texts for up to 2^`log2_max` rows of so many values.
    fn new(head: &str, values: usize, tail: &str, log2_max: u32) -> Self {
        let row = format!("({})", vec!["?"; values].join(","));
        let text = |log2: u32| {
            format!(
                "{head}{}{tail}",
                vec![row.as_str(); 1_usize << log2].join(",")
            )
        };
        Self((0..=log2_max).map(|log2| text(log2).into()).collect())
    }

    /// The largest statement that so many rows fill, and its number of rows.
    fn fitting(&self, rows: usize) -> Option<(usize, Arc<str>)> {
        let log2 = (rows.checked_ilog2()? as usize).min(self.0.len() - 1);
        Some((1 << log2, Arc::clone(&self.0[log2])))
    }
}
