//! Events as they happen, as server-sent events.
//!
//! Source: HTML Living Standard §9.2.

// Waiting for what happens is what this file does.
#![allow(clippy::disallowed_methods)]

mod body;

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Value, json};
use vocab::{CallId, TenantId};

use super::error::Problem;
use super::extract::{CALL, Parameters, TENANT, read};
use super::record::Event;
use super::{App, Shared};
use crate::feed::{News, What};
use body::{Pieces, Spot};

/// The routes of this module.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/events", get(listen))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    tenant: Option<String>,
    call: Option<String>,
    kind: Option<String>,
}

/// Which events are told.
#[derive(Clone, Debug, Default)]
struct Filter {
    tenant: Option<TenantId>,
    call: Option<CallId>,
    /// A kind, or the beginning of one that ends with a dot.
    kind: Option<String>,
}

impl Filter {
    fn read(wanted: Wanted) -> Result<Self, Problem> {
        Ok(Self {
            tenant: read(wanted.tenant.as_deref(), TENANT)?,
            call: read(wanted.call.as_deref(), CALL)?,
            kind: wanted.kind,
        })
    }

    fn fits(&self, news: &News) -> bool {
        let kind = |wanted: &String| {
            news.kind() == wanted || (wanted.ends_with('.') && news.kind().starts_with(wanted))
        };
        self.tenant
            .as_ref()
            .is_none_or(|tenant| news.tenant() == Some(tenant))
            && self.call.is_none_or(|wanted| news.call() == Some(wanted))
            && self.kind.as_ref().is_none_or(kind)
    }
}

async fn listen(
    State(app): Shared,
    headers: HeaderMap,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Response, Problem> {
    let filter = Filter::read(wanted)?;
    let busy = || Problem::unavailable("too_many_listeners", "so many listen already; try again");
    let place = Arc::clone(&app.listeners)
        .try_acquire_owned()
        .map_err(|_| busy())?;
    let stopping = || Problem::unavailable("draining", "the server is stopping");
    let news = app.feed.listen().ok_or_else(stopping)?;
    let feed = Arc::clone(&app.feed);
    // A number of another run, or of the future, says nothing: what came since is not known.
    let last = feed.last();
    let (seq, gap) = match headers.get("last-event-id") {
        None => (last, false),
        Some(value) => {
            let known = value.to_str().ok();
            let known = known.and_then(|text| read_id(text, (feed.run(), last)));
            known.map_or((last, true), |seq| (seq, false))
        }
    };
    let spot = Spot {
        feed,
        news,
        filter,
        seq,
        gap,
        begun: false,
        _place: place,
    };
    let headers: [(HeaderName, HeaderValue); 2] = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/event-stream"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((StatusCode::OK, headers, Body::new(Pieces::of(spot))).into_response())
}

/// The id of an event: the run and the number within it.
fn write_id(run: i64, seq: u64) -> String {
    format!("{run}-{seq}")
}

fn read_id(text: &str, (run, last): (i64, u64)) -> Option<u64> {
    let (of, seq) = text.rsplit_once('-')?;
    let seq = seq.parse().ok()?;
    (of.parse() == Ok(run) && seq <= last).then_some(seq)
}

/// One event in the words of the stream.
fn write(out: &mut String, run: i64, seq: u64, news: &News) {
    let (id, kind) = (write_id(run, seq), news.kind());
    // JSON has no line break outside of strings, and none within.
    let _ = write!(out, "id: {id}\nevent: {kind}\ndata: {}\n\n", told(news));
}

/// What a person or a program is told.
pub(super) fn told(news: &News) -> Value {
    let tenant = news.tenant().map(ToString::to_string);
    match news {
        News::Call(event) => {
            let mut value = serde_json::to_value(Event::from(&**event)).unwrap_or_default();
            value["tenant"] = json!(tenant);
            value["call"] = json!(event.call.to_string());
            value
        }
        News::Other(other) => {
            let mut value = match &other.what {
                What::PhoneRegistered {
                    user,
                    contacts,
                    refreshed,
                } => json!({ "user": user, "contacts": contacts, "refreshed": refreshed }),
                What::PhoneUnregistered { user, why } => json!({ "user": user, "why": why }),
                What::TrunkChanged { trunk, state } => json!({ "trunk": trunk, "state": state }),
                What::PartyTalking { call, leg, talking } => {
                    json!({ "call": call.to_string(), "leg": leg, "talking": talking })
                }
                What::PartySpeaker { call, leg } => {
                    json!({ "call": call.to_string(), "leg": leg })
                }
                What::SourceBanned { source, reason } => {
                    json!({ "source": source, "reason": reason })
                }
            };
            value["at"] = json!(other.at.rfc3339());
            value["kind"] = json!(news.kind());
            value["tenant"] = json!(tenant);
            value
        }
    }
}
