//! What handlers are given of a request, with problems for what makes no sense.

use std::str::FromStr;

use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use serde::de::DeserializeOwned;

use super::error::Problem;
use super::limits::BODY_BYTES_MAX;

/// The one parameter of the path, read as an id. Text that cannot be one names nothing.
pub(super) struct Named<T>(pub(super) T);

impl<T: FromStr, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let nothing = || Problem::not_found("not_found", "this path names nothing: check its id");
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| nothing())?;
        text.parse().map(Self).map_err(|_| nothing())
    }
}

/// Parameters behind the `?`. Names that are not known are refused, so that a misspelled filter
/// does not list everything.
pub(super) struct Parameters<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(parameters)) => Ok(Self(parameters)),
            Err(rejection) => {
                let text = rejection.body_text();
                let what = text.trim_start_matches("Failed to deserialize query string: ");
                Err(Problem::parameter(what.to_owned()))
            }
        }
    }
}

/// A parameter that is read as something, if it is there. Else `what` says what it should be.
pub(super) fn read<T: FromStr>(
    text: Option<&str>,
    what: &'static str,
) -> Result<Option<T>, Problem> {
    let value = text.map(|text| text.parse().map_err(|_| Problem::parameter(what)));
    value.transpose()
}

/// What a parameter that names a tenant should be.
pub(super) const TENANT: &str = "tenant: 1 to 63 characters of a-z, 0-9 and -";

/// What one that names a call should be.
pub(super) const CALL: &str = "call: a call's id";

/// The body: one JSON object of [`BODY_BYTES_MAX`] at most. Fields that are not known are refused by
/// its type, so that a misspelled one is not passed over.
pub(super) struct Told<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Told<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not_json",
                "send JSON, with the header Content-Type: application/json",
            ));
        }
        let body: Bytes = to_bytes(request.into_body(), BODY_BYTES_MAX)
            .await
            .map_err(|_| {
                let detail = format!("the body has more than {BODY_BYTES_MAX} bytes");
                Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
            })?;
        serde_json::from_slice(&body).map(Self).map_err(|error| {
            let detail = format!("the body is not as it should be: {error}");
            Problem::new(StatusCode::BAD_REQUEST, "bad_body", detail)
        })
    }
}
