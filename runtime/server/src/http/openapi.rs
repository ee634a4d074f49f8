//! The document of the API. Its tests call what it names and compare what comes back.

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderName, header};
use axum::routing::get;

use super::App;

/// OpenAPI 3.1, as it is in the reference.
pub(super) const DOCUMENT: &str = include_str!("../../../../docs/reference/openapi.json");

/// The routes of this module.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/openapi.json", get(document))
}

async fn document() -> ([(HeaderName, &'static str); 1], &'static str) {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT)
}
