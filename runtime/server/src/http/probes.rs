//! `/healthz`, `/readyz` and `/metrics`: for machines, without a token and without private data.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, header};
use axum::routing::get;

use super::error::Problem;
use super::{App, Shared};
use crate::disk::Trouble;

/// The routes of this module.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/healthz", get(healthy))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
}

/// Whether the control thread turns: if not, the process is to be started again.
async fn healthy(State(app): Shared) -> Result<&'static str, Problem> {
    match app.control.query(|_| ()).await {
        Some(()) => Ok("ok\n"),
        None => Err(Problem::unavailable(
            "stuck",
            "the call control does not answer",
        )),
    }
}

/// Whether calls should be sent here.
async fn ready(State(app): Shared) -> Result<&'static str, Problem> {
    if app.status.draining.load(Ordering::Acquire) {
        return Err(Problem::unavailable(
            "draining",
            "no more calls are taken; live ones go on",
        ));
    }
    if !app.status.ready.load(Ordering::Acquire) {
        return Err(Problem::unavailable(
            "starting",
            "not everything is started yet",
        ));
    }
    match app.disk.trouble() {
        Some(Trouble::Full) => Err(Problem::unavailable(
            "disk_full",
            "the disk is full: free space in the data folder; live calls go on",
        )),
        Some(Trouble::Broken) => Err(Problem::unavailable(
            "disk_failing",
            "the data folder cannot be written, the log says why; live calls go on",
        )),
        None => Ok("ready\n"),
    }
}

async fn metrics(State(app): Shared) -> Result<([(HeaderName, &'static str); 1], String), Problem> {
    // What is alive now, not half a second ago; if nobody answers, what was last known.
    if let Some(counts) = app.control.query(|node| node.counts()).await {
        app.metrics.counts(&counts);
    }
    // Counting some ten thousand open files takes milliseconds: not on a thread that serves.
    #[allow(clippy::disallowed_methods)] // The shell's own task.
    let rendered = tokio::task::spawn_blocking(move || app.metrics.render()).await;
    let text = rendered.map_err(|error| {
        tracing::error!(%error, "the metrics could not be written: this is a bug");
        Problem::internal()
    })?;
    Ok((
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        text,
    ))
}
