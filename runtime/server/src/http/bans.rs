//! Who gets no answer from the signalling, and letting somebody in again.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{delete, get};
use axum::{Json, Router};
use serde::Serialize;
use sip::guard::{Ban, Source};

use super::error::Problem;
use super::extract::Named;
use super::limits::BANS_LISTED_MAX;
use super::{App, Shared};
use crate::control::Message;

/// The routes of this module.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/sip/bans", get(list))
        .route("/sip/bans/{address}", delete(lift))
}

#[derive(Serialize)]
struct Bans {
    items: Vec<Banned>,
}

#[derive(Serialize)]
pub(super) struct Banned {
    address: String,
    reason: &'static str,
    since: String,
    until: String,
    times: u32,
}

impl From<Ban> for Banned {
    fn from(ban: Ban) -> Self {
        Self {
            address: ban.address.to_string(),
            reason: ban.reason.name(),
            since: ban.since.rfc3339(),
            until: ban.until.rfc3339(),
            times: ban.times,
        }
    }
}

async fn list(State(app): Shared) -> Result<Json<Bans>, Problem> {
    let bans = app
        .control
        .query(|node| node.bans().take(BANS_LISTED_MAX).collect::<Vec<_>>())
        .await;
    let items = bans.ok_or_else(Problem::no_answer)?;
    Ok(Json(Bans {
        items: items.into_iter().map(Banned::from).collect(),
    }))
}

async fn lift(State(app): Shared, Named(address): Named<IpAddr>) -> Result<StatusCode, Problem> {
    let known = app
        .control
        .query(move |node| {
            let same = |ban: Ban| Source::of(ban.address) == Source::of(address);
            node.bans().any(same)
        })
        .await;
    if !known.ok_or_else(Problem::no_answer)? {
        let detail = "this address is not banned";
        return Err(Problem::not_found("ban_not_found", detail));
    }
    let told = app.control.try_send(Message::Unban { address });
    told.map_err(|_| Problem::no_answer())?;
    tracing::info!(source.ip = %address, "ban is lifted as asked over the API");
    Ok(StatusCode::ACCEPTED)
}
