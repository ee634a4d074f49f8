//! How much of everything is alive.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use super::error::Problem;
use super::{App, Shared};

/// The routes of this module.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/status", get(status))
}

#[derive(Serialize)]
struct Status {
    version: &'static str,
    ready: bool,
    draining: bool,
    counts: Counts,
}

/// What is alive now. All zero when nobody calls, except ports, connections and contacts.
#[derive(Serialize)]
struct Counts {
    calls: usize,
    flows: usize,
    deadlines: usize,
    unwritten: usize,
    speeches: usize,
    legs: usize,
    media_sessions: usize,
    timers: usize,
    rtp_ports: usize,
    rtp_ports_free: usize,
    dialogs: usize,
    transactions: usize,
    requests: usize,
    connections: usize,
    contacts: usize,
}

impl From<node::Counts> for Counts {
    fn from(counts: node::Counts) -> Self {
        let node::Counts {
            calls,
            flows,
            deadlines,
            unwritten,
            speeches,
            engine,
            sip,
        } = counts;
        Self {
            calls,
            flows,
            deadlines,
            unwritten,
            speeches,
            legs: engine.legs,
            media_sessions: engine.sessions,
            timers: engine.timers,
            rtp_ports: engine.ports_total,
            rtp_ports_free: engine.ports_free,
            // Both sides follow dialogs; what is left on either is left.
            dialogs: sip.dialogs.max(engine.dialogs),
            transactions: sip.client_invites + sip.clients + sip.server_invites + sip.servers,
            requests: sip.requests,
            connections: sip.streams,
            contacts: sip.contacts,
        }
    }
}

async fn status(State(app): Shared) -> Result<Json<Status>, Problem> {
    let asked = app
        .control
        .query(|node| (node.counts(), node.is_draining()))
        .await;
    let (counts, draining) = asked.ok_or_else(Problem::no_answer)?;
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        ready: app.status.ready.load(Ordering::Acquire) && !draining && !app.disk.is_failing(),
        draining,
        counts: Counts::from(counts),
    }))
}
