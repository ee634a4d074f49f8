//! Plugins: their versions, and the way back.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use node::PluginChange;
use plugin::{Listed, Standing};
use serde::Serialize;

use super::error::Problem;
use super::extract::Named;
use super::{App, Shared};
use crate::control::Message;

/// The routes of this module.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/plugins", get(list))
        .route("/plugins/{name}/rollback", post(roll_back))
}

#[derive(Serialize)]
struct Versions {
    items: Vec<Version>,
}

#[derive(Serialize)]
pub(super) struct Version {
    name: String,
    version: String,
    standing: &'static str,
    live: u32,
    runs: u64,
    faults: u64,
    sha256: String,
}

impl From<Listed> for Version {
    fn from(listed: Listed) -> Self {
        let mut sha256 = String::with_capacity(64);
        for byte in listed.sha256 {
            write!(sha256, "{byte:02x}").expect("a string takes everything");
        }
        Self {
            name: listed.plugin.name.to_string(),
            version: listed.plugin.version.to_string(),
            standing: listed.standing.name(),
            live: listed.live,
            runs: listed.runs,
            faults: listed.faults,
            sha256,
        }
    }
}

async fn list(State(app): Shared) -> Result<Json<Versions>, Problem> {
    let listed = app.control.query(|node| node.plugins().list()).await;
    let items = listed.ok_or_else(Problem::no_answer)?;
    Ok(Json(Versions {
        items: items.into_iter().map(Version::from).collect(),
    }))
}

/// Only what runs is rolled back; the file in the plugins' folder stays, and is taken again when
/// it changes or the server starts. `jackfield plugin rollback` changes the file.
async fn roll_back(State(app): Shared, Named(name): Named<String>) -> Result<StatusCode, Problem> {
    let listed = app.control.query(|node| node.plugins().list()).await;
    let mut versions = listed.ok_or_else(Problem::no_answer)?;
    versions.retain(|listed| *listed.plugin.name == *name);
    let is = |standing| versions.iter().any(|listed| listed.standing == standing);
    if !is(Standing::Current) {
        return Err(Problem::not_found(
            "plugin_not_found",
            "no plugin of this name takes calls",
        ));
    }
    if !is(Standing::Standby) {
        let detail = "no earlier version of this plugin is kept";
        return Err(Problem::conflict("no_earlier_version", detail));
    }
    tracing::info!(plugin.name = %name, "plugin is rolled back as asked over the API");
    let told = app
        .control
        .try_send(Message::Plugin(PluginChange::Rollback { name }));
    told.map_err(|_| Problem::no_answer())?;
    Ok(StatusCode::ACCEPTED)
}
