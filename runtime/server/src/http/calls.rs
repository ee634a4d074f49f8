//! Calls: their records, their events, and ending one.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use store::Listing;
use store::limits::PAGE_RECORDS_MAX;
use vocab::record::Disposition;
use vocab::{CallId, Wall};

use super::error::Problem;
use super::extract::{Named, Parameters, TENANT, read};
use super::limits::PAGE_RECORDS;
use super::record::{Event, Record};
use super::{App, Shared};
use crate::control::Message;

/// The routes of this module.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/calls", get(list).post(super::actions::make))
        .route("/calls/{id}", get(one).delete(hang_up))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    tenant: Option<String>,
    before: Option<String>,
    limit: Option<String>,
    disposition: Option<String>,
    since: Option<String>,
    until: Option<String>,
}

impl Wanted {
    fn listing(&self) -> Result<Listing, Problem> {
        let before = "before: the `next` of the page before";
        let limit = self.limit.as_deref().map(|text| {
            let limit = text
                .parse()
                .ok()
                .filter(|limit| (1..=PAGE_RECORDS_MAX).contains(limit));
            let what = || Problem::parameter(format!("limit: from 1 to {PAGE_RECORDS_MAX}"));
            limit.ok_or_else(what)
        });
        let disposition = self.disposition.as_deref().map(disposition);
        let since = self.since.as_deref().map(|text| moment("since", text));
        let until = self.until.as_deref().map(|text| moment("until", text));
        Ok(Listing {
            tenant: read(self.tenant.as_deref(), TENANT)?,
            before: read(self.before.as_deref(), before)?,
            since: since.transpose()?,
            until: until.transpose()?,
            disposition: disposition.transpose()?,
            limit: limit.transpose()?.unwrap_or(PAGE_RECORDS),
        })
    }
}

fn disposition(text: &str) -> Result<Disposition, Problem> {
    const ALL: [Disposition; 6] = [
        Disposition::Active,
        Disposition::Answered,
        Disposition::NoAnswer,
        Disposition::Busy,
        Disposition::Failed,
        Disposition::Interrupted,
    ];
    let found = ALL
        .into_iter()
        .find(|disposition| disposition.name() == text);
    found.ok_or_else(|| {
        let names = ALL.map(Disposition::name).join(", ");
        Problem::parameter(format!("disposition: one of {names}"))
    })
}

pub(super) fn moment(name: &'static str, text: &str) -> Result<Wall, Problem> {
    let moment: Result<jiff::Timestamp, _> = text.parse();
    moment
        .map(|moment| Wall(moment.as_microsecond()))
        .map_err(|_| {
            Problem::parameter(format!(
                "{name}: a time as in 2026-11-21T14:03:07Z (RFC 3339); + is written %2B in a URL"
            ))
        })
}

#[derive(Serialize)]
struct Page {
    items: Vec<Record>,
    next: Option<String>,
}

async fn list(
    State(app): Shared,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Json<Page>, Problem> {
    let listing = wanted.listing()?;
    let records = app.store.records(&listing).await?;
    assert!(
        records.len() <= listing.limit as usize,
        "a page is no longer than asked for"
    );
    // A full page may be the last: then the next one is empty.
    let full = records.len() == listing.limit as usize;
    let last = records.last().filter(|_| full);
    Ok(Json(Page {
        next: last.map(|record| record.call.to_string()),
        items: records.iter().map(Record::from).collect(),
    }))
}

#[derive(Serialize)]
struct Detail {
    #[serde(flatten)]
    record: Record,
    events: Vec<Event>,
}

async fn one(State(app): Shared, Named(call): Named<CallId>) -> Result<Json<Detail>, Problem> {
    let Some(record) = app.store.record(call).await? else {
        return Err(unknown());
    };
    let events = app.store.events(call).await?;
    // Events may have come since the record was read; it counts those it was folded from.
    let known = events.iter().take_while(|event| event.n <= record.events);
    Ok(Json(Detail {
        record: Record::from(&record),
        events: known.map(Event::from).collect(),
    }))
}

async fn hang_up(State(app): Shared, Named(call): Named<CallId>) -> Result<StatusCode, Problem> {
    let live = app
        .control
        .query(move |node| node.live_calls().any(|live| live == call))
        .await;
    if !live.ok_or_else(Problem::no_answer)? {
        return Err(match app.store.record(call).await? {
            Some(_) => Problem::conflict("call_over", "this call is over"),
            None => unknown(),
        });
    }
    let told = app.control.try_send(Message::Hangup { call });
    told.map_err(|_| Problem::no_answer())?;
    tracing::info!(call.id = %call, "call is hung up as asked over the API");
    Ok(StatusCode::ACCEPTED)
}

fn unknown() -> Problem {
    Problem::not_found("call_not_found", "no call has this id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read() {
        for (text, expected) in [
            ("1970-01-01T00:00:01Z", Some(1_000_000)),
            ("1970-01-01T08:00:00.25+08:00", Some(250_000)),
            ("1970-01-01T08:00:00 08:00", None),
            ("1970-01-01", None),
            ("now", None),
        ] {
            assert_eq!(
                moment("since", text).ok().map(|wall| wall.0),
                expected,
                "{text}"
            );
        }
    }
}
