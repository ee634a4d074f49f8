//! The signalling of calls, and of what belongs to no call.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use vocab::{CallId, Wall};

use super::error::Problem;
use super::extract::{Named, Parameters};
use super::{App, Shared};
use crate::trace::sheet::{Line, Sheet};
use crate::trace::{self, Address, Filter, RING_PAGE_MAX, Stage, Trace, ladder};

/// Columns of a ladder for which no width is asked.
const WIDTH: usize = 100;

/// Messages of the ring if the request does not say.
const RING_PAGE: usize = 100;

/// The routes of this module.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/calls/{id}/trace", get(of_call))
        .route("/calls/{id}/trace.pcap", get(capture))
        .route("/sip/messages", get(messages))
}

async fn find(app: &App, call: CallId) -> Result<(Stage, Trace), Problem> {
    if let Some(found) = app.traces.of_call(&app.store, call).await? {
        return Ok(found);
    }
    Err(match app.store.record(call).await? {
        Some(_) => Problem::not_found(
            "trace_not_found",
            "nothing is kept of this call's signalling: see keep_days and keep_mb under [sip.trace]",
        ),
        None => Problem::not_found("call_not_found", "no call has this id"),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Look {
    width: Option<String>,
}

async fn of_call(
    State(app): Shared,
    Named(call): Named<CallId>,
    Parameters(look): Parameters<Look>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let width = match look.width.map(|width| width.parse()) {
        None => WIDTH,
        Some(Ok(width)) if ladder::WIDTHS.contains(&width) => width,
        Some(_) => {
            let (least, most) = (ladder::WIDTHS.start(), ladder::WIDTHS.end());
            return Err(Problem::parameter(format!("width: from {least} to {most}")));
        }
    };
    let (stage, trace) = find(&app, call).await?;
    let events = app.store.events(call).await?;
    let sheet = Sheet::new(call, stage, &trace, &events);
    if !wants_text(&headers) {
        return Ok(Json(sheet).into_response());
    }
    let style = ladder::Style {
        width,
        colour: false,
    };
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok((kind, ladder::text(&sheet, style)).into_response())
}

/// Whether plain text is asked for, and JSON is not before it.
fn wants_text(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT);
    let accept = accept.and_then(|accept| accept.to_str().ok());
    let mut kinds = accept.unwrap_or_default().split(',');
    let first = kinds.find_map(|kind| match kind.split(';').next().map(str::trim) {
        Some("text/plain") => Some(true),
        Some("application/json" | "*/*") => Some(false),
        Some(_) | None => None,
    });
    first.unwrap_or(false)
}

async fn capture(State(app): Shared, Named(call): Named<CallId>) -> Result<Response, Problem> {
    let (_, trace) = find(&app, call).await?;
    let name = HeaderValue::try_from(format!("attachment; filename=\"{call}.pcap\""));
    let head = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/vnd.tcpdump.pcap"),
        ),
        (
            header::CONTENT_DISPOSITION,
            name.expect("an id is fine in a header"),
        ),
    ];
    Ok((head, trace::pcap(trace.packets())).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    user: Option<String>,
    address: Option<String>,
    limit: Option<String>,
}

#[derive(Serialize)]
struct Messages {
    items: Vec<Line>,
}

async fn messages(
    State(app): Shared,
    Parameters(wanted): Parameters<Wanted>,
) -> Result<Json<Messages>, Problem> {
    let address = wanted.address.as_deref().map(|text| {
        let port = text.parse::<SocketAddr>().map(Address::Port);
        let address = port.or_else(|_| text.parse().map(Address::Host));
        let what = "address: an IP address, with or without a port";
        address.map_err(|_| Problem::parameter(what))
    });
    let limit = match wanted.limit.map(|limit| limit.parse()) {
        None => RING_PAGE,
        Some(Ok(limit)) if (1..=RING_PAGE_MAX).contains(&limit) => limit,
        Some(_) => {
            return Err(Problem::parameter(format!(
                "limit: from 1 to {RING_PAGE_MAX}"
            )));
        }
    };
    let filter = Filter {
        user: wanted.user,
        address: address.transpose()?,
    };
    let found = app.traces.ring(&filter, limit);
    // Times count from the oldest that is shown.
    let start = found.last().map_or(Wall(0), |message| message.at);
    let items = found.iter().map(|message| Line::new(start, None, message));
    Ok(Json(Messages {
        items: items.collect(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_given_to_whom_asks_for_it() {
        for (accept, expected) in [
            (None, false),
            (Some("text/plain"), true),
            (Some("text/plain; charset=utf-8, */*"), true),
            (Some("application/json, text/plain"), false),
            (Some("*/*"), false),
            (Some("text/html"), false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            }
            assert_eq!(wants_text(&headers), expected, "{accept:?}");
        }
    }
}
