//! Trunks and how they are.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use node::{TrunkTarget, TrunkView};
use serde::Serialize;

use super::error::Problem;
use super::{App, Shared};

/// The routes of this module.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/trunks", get(list))
}

#[derive(Serialize)]
struct Trunks {
    items: Vec<Trunk>,
}

#[derive(Serialize)]
struct Trunk {
    tenant: String,
    id: String,
    address: String,
    servers: Vec<Server>,
    state: &'static str,
    calls: u32,
    calls_max: Option<u32>,
}

#[derive(Serialize)]
struct Server {
    transport: String,
    address: String,
    alive: bool,
}

impl From<TrunkTarget> for Server {
    fn from(it: TrunkTarget) -> Self {
        Self {
            transport: it.target.transport.via_name().to_ascii_lowercase(),
            address: it.target.address.to_string(),
            alive: it.alive,
        }
    }
}

impl From<TrunkView> for Trunk {
    fn from(view: TrunkView) -> Self {
        Self {
            tenant: view.tenant.to_string(),
            id: view.id,
            address: view.address,
            servers: view.servers.into_iter().map(Server::from).collect(),
            state: view.state.name(),
            calls: view.calls,
            calls_max: view.calls_max,
        }
    }
}

async fn list(State(app): Shared) -> Result<Json<Trunks>, Problem> {
    let views = app.control.query(|node| node.trunks().collect::<Vec<_>>());
    let views = views.await.ok_or_else(Problem::no_answer)?;
    let items = views.into_iter().map(Trunk::from).collect();
    Ok(Json(Trunks { items }))
}
