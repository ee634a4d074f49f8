//! Rows of the two tables, converted by hand both ways.

use std::path::Path;
use std::sync::Arc;

use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Column, Row, Sqlite};
use vocab::flow::PluginRef;
use vocab::record::{CallEvent, CallRecord};
use vocab::{CallId, TenantId, Wall};

use crate::error::Error;
use crate::log::{self, Word, party_from_text, party_text};
use crate::project::PROJECTION;

/// The columns of `call_event`, `call` first, in the order of [`event_from`] and [`EventRow`].
macro_rules! event_columns {
    () => {
        "call, n, tenant, at_us, kind, payload"
    };
}

/// The columns of `call_record` but the last two, `call` first, in the order of [`record_from`] and
/// [`bind_record`].
macro_rules! record_columns {
    () => {
        "call, tenant, direction, from_party, to_number, user, sip_call_id, started_at_us, \
         answered_at_us, ended_at_us, disposition, cause, ended_by, plugin, plugin_version, \
         outcome, fault, recording, messages, interaction, consent"
    };
}

/// Reads records, in the order of [`record_from`]; a `WHERE` clause follows.
///
/// The row of a call going on is not written for events that only count: its `events` may lag
/// behind, so they are counted where they are.
macro_rules! select_records {
    () => {
        concat!(
            "SELECT ",
            $crate::rows::record_columns!(),
            ", CASE WHEN ended_at_us IS NULL \
             THEN (SELECT max(n) FROM call_event AS e WHERE e.call = call_record.call) \
             ELSE events END FROM call_record"
        )
    };
}

pub(crate) use {event_columns, record_columns, select_records};

/// Values bound for each row of `call_event`.
pub(crate) const EVENT_VALUES: usize = 6;

/// Values bound for each row of `call_record`, `projection` included.
pub(crate) const RECORD_VALUES: usize = 23;

type Insert<'q> = Query<'q, Sqlite, SqliteArguments>;

/// An event ready to be bound.
pub(crate) struct EventRow<'a> {
    event: &'a CallEvent,
    payload: String,
}

impl<'a> EventRow<'a> {
    /// Encodes an event.
    pub(crate) fn new(event: &'a CallEvent) -> Self {
        Self {
            event,
            payload: log::encode(&event.kind),
        }
    }

    /// Binds its values.
    pub(crate) fn bind<'q>(self, query: Insert<'q>) -> Insert<'q> {
        let Self { event, payload } = self;
        query
            .bind(event.call.to_string())
            .bind(i64::from(event.n))
            .bind(event.tenant.to_string())
            .bind(event.at.0)
            .bind(event.kind.name())
            .bind(payload)
    }
}

/// Binds the values of a record.
pub(crate) fn bind_record<'q>(query: Insert<'q>, record: &CallRecord) -> Insert<'q> {
    let messages: Vec<_> = record.messages.iter().map(ToString::to_string).collect();
    query
        .bind(record.call.to_string())
        .bind(record.tenant.to_string())
        .bind(record.direction.text())
        .bind(party_text(&record.from))
        .bind(record.to.clone())
        .bind(record.user.clone())
        .bind(record.sip_call_id.clone())
        .bind(record.started_at.0)
        .bind(record.answered_at.map(|at| at.0))
        .bind(record.ended_at.map(|at| at.0))
        .bind(record.disposition.text())
        .bind(record.cause.map(Word::text))
        .bind(record.ended_by.map(Word::text))
        .bind(
            record
                .plugin
                .as_ref()
                .map(|plugin| Arc::clone(&plugin.name)),
        )
        .bind(
            record
                .plugin
                .as_ref()
                .map(|plugin| Arc::clone(&plugin.version)),
        )
        .bind(record.outcome.clone())
        .bind(record.fault.clone())
        .bind(record.recording.map(|recording| recording.to_string()))
        .bind(messages.join(" "))
        .bind((record.interaction != record.call).then(|| record.interaction.to_string()))
        .bind(record.consent.map(Word::text))
        .bind(i64::from(record.events))
        .bind(PROJECTION)
}

/// The event in a row of [`event_columns`].
pub(crate) fn event_from(path: &Path, row: &SqliteRow) -> Result<CallEvent, Error> {
    let row = Reading { path, row };
    let call: CallId = row.parsed(0)?;
    let n: i64 = row.value(1)?;
    let kind: &str = row.value(4)?;
    let corrupt = |what: &str| Error::corrupt(path, format!("event {n} of call {call}: {what}"));
    Ok(CallEvent {
        tenant: row.parsed::<TenantId>(2)?,
        call,
        n: u32::try_from(n).map_err(|_| corrupt("position out of range"))?,
        at: Wall(row.value(3)?),
        kind: log::decode(kind, row.value(5)?).map_err(|what| corrupt(&what))?,
    })
}

/// The record in a row of [`select_records`].
pub(crate) fn record_from(path: &Path, row: &SqliteRow) -> Result<CallRecord, Error> {
    let row = Reading { path, row };
    let name: Option<String> = row.value(13)?;
    let version: Option<String> = row.value(14)?;
    let plugin = name.zip(version);
    let messages: &str = row.value(18)?;
    Ok(CallRecord {
        call: row.parsed(0)?,
        tenant: row.parsed(1)?,
        direction: row.word(2)?.ok_or_else(|| row.corrupt(2))?,
        from: party_from_text(row.value(3)?).ok_or_else(|| row.corrupt(3))?,
        to: row.value(4)?,
        user: row.value(5)?,
        sip_call_id: row.value(6)?,
        started_at: Wall(row.value(7)?),
        answered_at: row.value::<Option<i64>>(8)?.map(Wall),
        ended_at: row.value::<Option<i64>>(9)?.map(Wall),
        disposition: row.word(10)?.ok_or_else(|| row.corrupt(10))?,
        cause: row.word(11)?,
        ended_by: row.word(12)?,
        plugin: plugin.map(|(name, version)| PluginRef {
            name: name.into(),
            version: version.into(),
        }),
        outcome: row.value(15)?,
        fault: row.value(16)?,
        recording: row
            .value::<Option<&str>>(17)?
            .map(|text| text.parse().map_err(|_| row.corrupt(17)))
            .transpose()?,
        messages: messages
            .split_whitespace()
            .map(|text| text.parse().map_err(|_| row.corrupt(18)))
            .collect::<Result<_, _>>()?,
        interaction: match row.value::<Option<&str>>(19)? {
            Some(text) => text.parse().map_err(|_| row.corrupt(19))?,
            None => row.parsed(0)?,
        },
        consent: row.word(20)?,
        events: u32::try_from(row.value::<i64>(21)?).map_err(|_| row.corrupt(21))?,
    })
}

/// A row being read, whose errors name the database and the column.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'r> {
    pub(crate) path: &'r Path,
    pub(crate) row: &'r SqliteRow,
}

impl<'r> Reading<'r> {
    pub(crate) fn value<T>(self, column: usize) -> Result<T, Error>
    where
        T: sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite>,
    {
        self.row
            .try_get(column)
            .map_err(|error| Error::corrupt(self.path, error.to_string()))
    }

    pub(crate) fn parsed<T: std::str::FromStr>(self, column: usize) -> Result<T, Error> {
        self.value::<&str>(column)?
            .parse()
            .map_err(|_| self.corrupt(column))
    }

    pub(crate) fn word<T: Word>(self, column: usize) -> Result<Option<T>, Error> {
        self.value::<Option<&str>>(column)?
            .map(|text| T::from_text(text).ok_or_else(|| self.corrupt(column)))
            .transpose()
    }

    /// The column does not hold what this release writes. Names it, not its private value.
    pub(crate) fn corrupt(self, column: usize) -> Error {
        let name = self.row.column(column).name();
        Error::corrupt(self.path, format!("a row with a bad `{name}`"))
    }
}
