//! The one error type of HTTP: RFC 9457 problems, with a `code` for programs.

use std::borrow::Cow;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Why a request was not answered as wished.
///
/// `type` is `about:blank`, so `title` is the status' own phrase (RFC 9457 §4.2.1); `code` tells
/// the causes apart and is stable, `detail` is for a person. Neither holds internal detail.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem.
    pub(super) fn new(
        status: StatusCode,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        debug_assert!(status.is_client_error() || status.is_server_error());
        Self {
            status,
            code,
            detail: detail.into(),
            header: None,
        }
    }

    /// The same with one more header.
    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some((name, value));
        self
    }

    /// A parameter that makes no sense.
    pub(super) fn parameter(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_parameter", detail)
    }

    /// There is no such thing.
    pub(super) fn not_found(code: &'static str, detail: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// It cannot be done in the present state.
    pub(super) fn conflict(code: &'static str, detail: &'static str) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// It cannot be done now; worth another try in a second.
    pub(super) fn unavailable(code: &'static str, detail: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
            .with(header::RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// The control thread has not answered, or has no room for a message.
    pub(super) fn no_answer() -> Self {
        Self::unavailable("busy", "the call control did not answer in time; try again")
    }
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Body {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or_default(),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
        };
        let body = serde_json::to_string(&body).expect("texts and a number are valid JSON");
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (self.status, kind, body).into_response();
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        // This is where it is handled; the answer does not say what the matter is.
        tracing::error!(%error, "call records cannot be read");
        if matches!(error, store::Error::Busy { .. }) {
            return Self::unavailable("store_busy", "the database is held by another program");
        }
        Self::internal()
    }
}

impl Problem {
    /// Something failed that the log tells about.
    pub(super) fn internal() -> Self {
        let detail = "the server could not do this; its log says why";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }
}

/// No such path.
pub(super) async fn no_route() -> Problem {
    Problem::not_found(
        "no_such_path",
        "there is nothing here; see /api/v1/openapi.json",
    )
}

/// The path has other methods.
pub(super) async fn no_method() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "no_such_method",
        "this cannot be done here; see /api/v1/openapi.json",
    )
}
