//! The recording of a call that is up: begun, paused, resumed and stopped.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use node::{Control, RecordStep};
use serde::Deserialize;
use vocab::CallId;

use super::actions::{self, Answer, Party};
use super::error::Problem;
use super::extract::{Named, Told};
use super::{App, Shared};

/// The routes of this module.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/calls/{id}/recording/start", post(start))
        .route("/calls/{id}/recording/pause", post(pause))
        .route("/calls/{id}/recording/resume", post(resume))
        .route("/calls/{id}/recording/stop", post(stop))
}

/// Who asks, for the call's events.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    leg: Option<Party>,
}

/// Who asks, and when the recording goes on by itself.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pause {
    leg: Option<Party>,
    max_s: Option<u16>,
}

async fn start(
    State(app): Shared,
    Named(call): Named<CallId>,
    Told(Asked { leg }): Told<Asked>,
) -> Result<Json<Answer>, Problem> {
    ask(&app, call, leg, RecordStep::Start).await
}

async fn pause(
    State(app): Shared,
    Named(call): Named<CallId>,
    Told(Pause { leg, max_s }): Told<Pause>,
) -> Result<Json<Answer>, Problem> {
    let lasting = max_s.map(|seconds| Duration::from_secs(seconds.into()));
    ask(&app, call, leg, RecordStep::Pause { lasting }).await
}

async fn resume(
    State(app): Shared,
    Named(call): Named<CallId>,
    Told(Asked { leg }): Told<Asked>,
) -> Result<Json<Answer>, Problem> {
    ask(&app, call, leg, RecordStep::Resume).await
}

async fn stop(
    State(app): Shared,
    Named(call): Named<CallId>,
    Told(Asked { leg }): Told<Asked>,
) -> Result<Json<Answer>, Problem> {
    ask(&app, call, leg, RecordStep::Stop).await
}

async fn ask(
    app: &App,
    call: CallId,
    by: Option<Party>,
    step: RecordStep,
) -> Result<Json<Answer>, Problem> {
    let by = by.map(Into::into);
    let answer = app
        .control
        .control(Control::Record { call, by, step })
        .await;
    match answer.ok().flatten().ok_or_else(Problem::no_answer)? {
        Ok(done) => {
            tracing::info!(call.id = %call, step = ?step, "recording as asked over the API");
            Ok(Json(done.into()))
        }
        Err(error) => Err(actions::not_done(app, call, &error).await?),
    }
}
