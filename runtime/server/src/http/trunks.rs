//! Trunks and how they are.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use node::TrunkView;
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
    state: &'static str,
    calls: u32,
    calls_max: Option<u32>,
}

impl From<TrunkView> for Trunk {
    fn from(view: TrunkView) -> Self {
        Self {
            tenant: view.tenant.to_string(),
            id: view.id,
            address: view.address.to_string(),
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
