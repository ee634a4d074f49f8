//! How many requests at once, and how long one may take.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;

use super::error::Problem;
use super::limits::{REQUEST_TIME, REQUESTS_MAX};

/// Room for requests.
#[derive(Clone)]
pub(super) struct Room(Arc<Semaphore>);

impl Room {
    /// Room for [`REQUESTS_MAX`].
    pub(super) fn new() -> Self {
        Self::with(REQUESTS_MAX)
    }

    /// Room for some.
    pub(super) fn with(requests_max: usize) -> Self {
        Self(Arc::new(Semaphore::new(requests_max)))
    }
}

/// Refuses what is too much, and gives up what takes too long. The bodies of answers are not
/// counted: the connections they go out on are.
pub(super) async fn keep(State(room): State<Room>, request: Request, next: Next) -> Response {
    let Ok(_place) = room.0.try_acquire() else {
        return Problem::unavailable("overloaded", "too many requests at once; try again")
            .into_response();
    };
    match tokio::time::timeout(REQUEST_TIME, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            "timeout",
            "this takes too long; ask for less, as by `since`",
        )
        .into_response(),
    }
}
