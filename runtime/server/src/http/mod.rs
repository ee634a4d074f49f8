//! HTTP: probes, metrics and the API.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use store::Store;
use vocab::Pii;

use crate::control::{Handle, Status};
use crate::metrics::Metrics;

/// What requests are answered from.
pub(crate) struct App {
    /// Records and events.
    pub(crate) store: Arc<Store>,
    /// Counters and gauges.
    pub(crate) metrics: Arc<Metrics>,
    /// The control thread.
    pub(crate) control: Handle,
    /// What `/api` asks for; without one it answers nobody.
    pub(crate) token: Option<Pii<String>>,
    /// The folder of recordings.
    pub(crate) recordings: PathBuf,
    /// Whether calls are taken.
    pub(crate) status: Arc<Status>,
}

/// All routes.
pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .with_state(Arc::new(app))
}

async fn metrics(State(app): State<Arc<App>>) -> String {
    app.metrics.render()
}
