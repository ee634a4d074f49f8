//! The one writing connection: a batch of events in one transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use sqlx::SqliteConnection;
use vocab::CallId;
use vocab::record::{CallEvent, CallEventKind, CallRecord};

use crate::error::{Error, Misplaced};
use crate::limits::{BATCH_EVENTS_MAX, LIVE_RECORDS_MAX};
use crate::project::{Projected, project};
use crate::rows::{EventRow, record_from, select_records};
use crate::traces::{self, Retention};
use crate::transaction::{Texts, Transaction};

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
    texts: Texts,
    /// Records as committed of calls going on. One that is missing is read from the database.
    live: BTreeMap<CallId, CallRecord>,
    /// A transaction was begun and its end not seen: it failed, or the future was dropped.
    dangling: bool,
    /// Calls left open by the process before this one, until they are closed.
    pub(crate) interrupted: Vec<CallRecord>,
}

impl Writer {
    pub(crate) fn new(conn: SqliteConnection) -> Self {
        Self {
            conn,
            texts: Texts::default(),
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
        let mut trust = Trust::FirstEvents;
        loop {
            let records = self.take_records(path, batch, trust).await?;
            let folded = Folded::new(records, batch);
            match self.write(folded.transaction()).await {
                Ok(()) => {
                    self.keep_live(folded.records);
                    return Ok(folded.appended);
                }
                Err(error) if trust == Trust::FirstEvents && is_repetition(&error) => {
                    trust = Trust::Nothing;
                }
                Err(error) => return Err(Error::sort(path, error)),
            }
        }
    }

    /// Writes a record folded anew, without events.
    pub(crate) async fn rewrite(
        &mut self,
        path: &Path,
        records: Vec<&CallRecord>,
    ) -> Result<(), Error> {
        let transaction = Transaction {
            events: Vec::new(),
            records,
        };
        self.write(transaction)
            .await
            .map_err(|e| Error::sort(path, e))
    }

    /// The committed records of the calls in a batch, `None` for calls not in the database.
    ///
    /// They are taken out of `live` until the batch is committed, so that after a failure, whose
    /// outcome may be unknown, they are read again.
    async fn take_records(
        &mut self,
        path: &Path,
        batch: &[CallEvent],
        trust: Trust,
    ) -> Result<BTreeMap<CallId, Option<CallRecord>>, Error> {
        let mut records = BTreeMap::new();
        let mut unknown = String::new();
        for event in batch {
            records.entry(event.call).or_insert_with(|| {
                let live = self.live.remove(&event.call);
                let first = event.n == 1 && matches!(event.kind, CallEventKind::Started { .. });
                if live.is_none() && !(first && trust == Trust::FirstEvents) {
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
    async fn write(&mut self, transaction: Transaction<'_>) -> Result<(), sqlx::Error> {
        if transaction.events.is_empty() && transaction.records.is_empty() {
            return Ok(());
        }
        // An append that was given up half way.
        self.roll_back().await;
        self.dangling = true;
        let written = self.texts.run(&mut self.conn, transaction).await;
        match &written {
            Ok(()) => self.dangling = false,
            Err(_) => self.roll_back().await,
        }
        written
    }

    /// See [`crate::Store::keep_traces`].
    pub(crate) async fn keep_traces(
        &mut self,
        path: &Path,
        kept: &[(CallId, Arc<[u8]>)],
        retention: Retention,
    ) -> Result<(), Error> {
        let written = traces::keep(self.begin().await, kept, retention).await;
        self.end(path, written).await
    }

    /// The connection for a change of its own, which is to be told how it went.
    pub(crate) async fn begin(&mut self) -> &mut SqliteConnection {
        self.roll_back().await;
        self.dangling = true;
        &mut self.conn
    }

    /// Ends what [`Self::begin`] began.
    pub(crate) async fn end<T>(
        &mut self,
        path: &Path,
        done: Result<T, sqlx::Error>,
    ) -> Result<T, Error> {
        match &done {
            Ok(_) => self.dangling = false,
            Err(_) => self.roll_back().await,
        }
        done.map_err(|error| Error::sort(path, error))
    }

    /// Undoes an unfinished transaction, if there is one.
    async fn roll_back(&mut self) {
        if self.dangling {
            // SQLite may have rolled back by itself, which makes this an error. Should it fail
            // otherwise, the next BEGIN says so.
            let _ = sqlx::query("ROLLBACK").execute(&mut self.conn).await;
            self.dangling = false;
        }
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

/// Whether an insert failed because the row was there.
fn is_repetition(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

/// What is believed of calls whose record is not in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Trust {
    /// That a `Started` with position 1 is the first of a new call, which saves looking it up. If it
    /// is not, the insert fails and nothing was written.
    FirstEvents,
    /// Nothing: every record is looked up.
    Nothing,
}

/// A batch folded into its calls' records.
struct Folded<'a> {
    records: BTreeMap<CallId, Option<CallRecord>>,
    /// Events to be added.
    events: Vec<&'a CallEvent>,
    /// Calls whose record is to be written.
    changed: BTreeSet<CallId>,
    appended: Appended,
}

impl<'a> Folded<'a> {
    fn new(mut records: BTreeMap<CallId, Option<CallRecord>>, batch: &'a [CallEvent]) -> Self {
        let mut appended = Appended::default();
        let mut events = Vec::with_capacity(batch.len());
        let mut changed = BTreeSet::new();
        for event in batch {
            let record = records.entry(event.call).or_default();
            match project(record, event) {
                Ok(projected @ (Projected::Changed | Projected::Counted)) => {
                    appended.added += 1;
                    events.push(event);
                    if projected == Projected::Changed {
                        changed.insert(event.call);
                    }
                }
                Ok(Projected::Repeated) => appended.repeated += 1,
                Err(misplaced) => appended.misplaced.push(misplaced),
            }
        }
        Self {
            records,
            events,
            changed,
            appended,
        }
    }

    fn transaction(&self) -> Transaction<'_> {
        let record = |call| self.records.get(call).and_then(Option::as_ref);
        Transaction {
            events: self
                .events
                .iter()
                .map(|event| EventRow::new(event))
                .collect(),
            records: self.changed.iter().filter_map(record).collect(),
        }
    }
}
