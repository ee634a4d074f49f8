//! The SQL of one transaction, handed to SQLite in as few pieces as possible.
//!
//! Handing a statement to SQLite's thread and waiting for it costs about as much as inserting ten
//! rows. So a small transaction, as most are, is a single piece of SQL from `BEGIN` to `COMMIT`,
//! and a large one goes in chunks. Each text is prepared once: there are texts for a few numbers
//! of rows only, and the rows too many are filled with nulls, which the text skips.

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, Sqlite, SqliteConnection};
use vocab::record::CallRecord;

use crate::rows::{
    EVENT_VALUES, EventRow, RECORD_VALUES, bind_record, event_columns, record_columns,
};

/// What one transaction writes.
#[derive(Default)]
pub(crate) struct Transaction<'a> {
    pub(crate) events: Vec<EventRow<'a>>,
    pub(crate) records: Vec<&'a CallRecord>,
}

/// Numbers of rows there are texts for.
const SIZES: [usize; 5] = [0, 1, 4, 32, 128];

/// Most rows of a table in a transaction that is handed over as one.
const SMALL: usize = 32;

/// The tables written to. Records of calls going on and of calls that are over are written by
/// different statements: naming `ended_at_us` makes SQLite write the index of open calls.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Table {
    Events,
    Going,
    Over,
}

/// The texts made so far, at most 64 of a whole transaction and 12 of a chunk.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    whole: BTreeMap<[usize; 3], Arc<str>>,
    chunks: BTreeMap<(Table, usize), Arc<str>>,
}

/// A row ready to be bound.
enum Row<'a> {
    Event(EventRow<'a>),
    Record(&'a CallRecord),
}

impl Texts {
    /// Writes and commits. After an error a transaction may still be open.
    pub(crate) async fn run(
        &mut self,
        conn: &mut SqliteConnection,
        transaction: Transaction<'_>,
    ) -> Result<(), sqlx::Error> {
        let (going, over): (Vec<_>, Vec<_>) = transaction
            .records
            .into_iter()
            .partition(|record| record.ended_at.is_none());
        let tables = [
            (
                Table::Events,
                transaction
                    .events
                    .into_iter()
                    .map(Row::Event)
                    .collect::<Vec<_>>(),
            ),
            (Table::Going, going.into_iter().map(Row::Record).collect()),
            (Table::Over, over.into_iter().map(Row::Record).collect()),
        ];
        if tables.iter().all(|(_, rows)| rows.len() <= SMALL) {
            let sizes = [0, 1, 2].map(|i: usize| size(tables[i].1.len()));
            let mut query = sqlx::query(AssertSqlSafe(self.whole(sizes)));
            for ((table, rows), size) in tables.into_iter().zip(sizes) {
                query = bind(query, table, rows.into_iter(), size);
            }
            query.execute(conn).await?;
            return Ok(());
        }
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *conn).await?;
        for (table, rows) in tables {
            let mut rows = rows.into_iter();
            while rows.len() > 0 {
                let largest = SIZES[SIZES.len() - 1];
                let count = if rows.len() >= largest {
                    largest
                } else {
                    rows.len().min(SMALL)
                };
                let size = size(count);
                let query = sqlx::query(AssertSqlSafe(self.chunk(table, size)));
                bind(query, table, rows.by_ref().take(count), size)
                    .execute(&mut *conn)
                    .await?;
            }
        }
        sqlx::query("COMMIT").execute(conn).await?;
        Ok(())
    }

    fn whole(&mut self, sizes: [usize; 3]) -> Arc<str> {
        let text = self.whole.entry(sizes).or_insert_with(|| {
            let [events, going, over] = sizes;
            let inserts = [
                insert(Table::Events, events),
                insert(Table::Going, going),
                insert(Table::Over, over),
            ];
            format!("BEGIN IMMEDIATE; {} COMMIT", inserts.concat()).into()
        });
        Arc::clone(text)
    }

    fn chunk(&mut self, table: Table, size: usize) -> Arc<str> {
        let text = self
            .chunks
            .entry((table, size))
            .or_insert_with(|| insert(table, size).into());
        Arc::clone(text)
    }
}

/// The smallest number of rows there is a text for that holds so many.
fn size(rows: usize) -> usize {
    SIZES
        .into_iter()
        .find(|&size| size >= rows)
        .expect("chunks are no larger than texts")
}

/// Inserts so many rows, those with a null in the first column left out.
fn insert(table: Table, size: usize) -> String {
    if size == 0 {
        return String::new();
    }
    let events = concat!("INSERT INTO call_event (", event_columns!(), ")");
    let records = concat!(
        "INSERT INTO call_record (",
        record_columns!(),
        ", events, projection)"
    );
    // What is not listed does not change after a call's first event.
    let going = "ON CONFLICT (call) DO UPDATE SET \
        answered_at_us = excluded.answered_at_us, plugin = excluded.plugin, \
        plugin_version = excluded.plugin_version, outcome = excluded.outcome, \
        fault = excluded.fault, recording = excluded.recording, messages = excluded.messages, \
        interaction = excluded.interaction, \
        events = excluded.events, disposition = excluded.disposition, \
        projection = excluded.projection";
    let over = ", ended_at_us = excluded.ended_at_us, cause = excluded.cause, \
        ended_by = excluded.ended_by";
    let row = format!("({})", vec!["?"; values(table)].join(","));
    let rows = vec![row; size].join(",");
    let select = format!("SELECT * FROM (VALUES {rows}) WHERE column1 IS NOT NULL");
    match table {
        Table::Events => format!("{events} {select};"),
        Table::Going => format!("{records} {select} {going};"),
        Table::Over => format!("{records} {select} {going}{over};"),
    }
}

/// Values in each row.
fn values(table: Table) -> usize {
    match table {
        Table::Events => EVENT_VALUES,
        Table::Going | Table::Over => RECORD_VALUES,
    }
}

type Bound<'q> = Query<'q, Sqlite, SqliteArguments>;

/// Binds rows, and nulls for the rows missing to `size`.
fn bind<'q, 'r>(
    mut query: Bound<'q>,
    table: Table,
    rows: impl ExactSizeIterator<Item = Row<'r>>,
    size: usize,
) -> Bound<'q> {
    let missing = size - rows.len();
    for row in rows {
        query = match row {
            Row::Event(event) => event.bind(query),
            Row::Record(record) => bind_record(query, record),
        };
    }
    (0..missing * values(table)).fold(query, |query, _| query.bind(None::<i64>))
}
