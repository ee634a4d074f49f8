//! Recordings: audio, whole or in part, and the index of what there is.

mod body;
pub(super) mod index;
mod range;
mod whole;

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use store::Format;
use vocab::{CallId, RecordingId, Wall};

use super::error::Problem;
use super::extract::{Named, Parameters};
use super::{App, Shared};
use crate::archive::{NotFound, Source};

use body::SpanBody;
use range::{Part, Wish};
use whole::Span;

/// Says that a recording ends before its call did, because the disk took no more.
const CUT: HeaderName = HeaderName::from_static("recording-cut");

/// The routes of this module.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/calls/{id}/recording", get(of_call))
        .route("/recordings", get(index::list))
        .route("/recordings/{id}", get(by_id).delete(index::delete))
        .route("/recordings/{id}/about", get(index::one))
        .route("/recordings/{id}/verify", post(index::verify))
}

/// How the audio is wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    format: Option<String>,
}

async fn of_call(
    State(app): Shared,
    Named(call): Named<CallId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let events = app.store.events(call).await?;
    let segments = whole::segments(&events);
    match segments[..] {
        // A release before segments recorded all in one file.
        [] => send(&app, RecordingId::of_call(call), Format::Wav, &headers).await,
        [(only, _)] => send(&app, only, Format::Wav, &headers).await,
        [..] => send_whole(&app, call, segments, &headers).await,
    }
}

/// Sends several segments as one file, as [`send`] does.
async fn send_whole(
    app: &App,
    call: CallId,
    segments: Vec<(RecordingId, Wall)>,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let mut sources = Vec::with_capacity(segments.len());
    for (id, at) in segments {
        // Those that are not there are left out: the disk took nothing of them, or they were deleted.
        let found = find(app, id).await?;
        sources.extend(found.map(|source| (source, at)));
    }
    let id = RecordingId::of_call(call);
    listened(app, headers, id, sources.first().map(|(source, _)| source)).await?;
    #[allow(clippy::disallowed_methods)] // The shell's own task.
    let read = tokio::task::spawn_blocking(move || whole::assemble(sources)).await;
    let read = read.unwrap_or_else(|error| Err(io::Error::other(error)));
    let whole = read.map_err(|error| unreadable(&error, id))?;
    let sent = Sent {
        name: id,
        format: Format::Wav,
        bytes: whole.bytes,
        changed: whole.changed,
        cut: whole.cut,
    };
    let (part, answer) = sent.answer(headers)?;
    let spans = whole::part(&whole.spans, part.first, part.bytes);
    Ok(answer.body(Body::new(SpanBody::new(app.archive.clone(), spans))))
}

async fn by_id(
    State(app): Shared,
    Named(id): Named<RecordingId>,
    Parameters(wanted): Parameters<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let format = match wanted.format.as_deref() {
        None => Format::Wav,
        Some(text) => {
            let mut all = Format::ALL.into_iter();
            let known = all.find(|format| format.name() == text);
            known.ok_or_else(|| Problem::parameter("format: wav or opus"))?
        }
    };
    send(&app, id, format, &headers).await
}

async fn find(app: &App, id: RecordingId) -> Result<Option<Source>, Problem> {
    app.archive.find(id).await.map_err(|error| match error {
        NotFound::Index(error) => error.into(),
        NotFound::File(error) => unreadable(&error, id),
    })
}

/// Why a recording is not sent.
fn unreadable(error: &io::Error, id: RecordingId) -> Problem {
    if error.kind() == io::ErrorKind::NotFound {
        return Problem::not_found("recording_not_found", "no recording has this id");
    }
    tracing::error!(%error, recording = %id, "a recording cannot be read");
    if matches!(
        error.kind(),
        io::ErrorKind::NotConnected | io::ErrorKind::TimedOut
    ) {
        return Problem::unavailable(
            "store_away",
            "the recording is in the object store, which does not answer; try again",
        );
    }
    if error.kind() == io::ErrorKind::PermissionDenied {
        return Problem::conflict(
            "no_key",
            "the recording is encrypted with a key that the tenant's configuration does not name",
        );
    }
    Problem::internal()
}

/// Sends the file, or the part of it that is asked for (RFC 9110 §14). Of a call that is going on
/// this is what was written so far.
async fn send(
    app: &App,
    id: RecordingId,
    format: Format,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let failed = |error: io::Error| unreadable(&error, id);
    let found = find(app, id).await?;
    let source = found.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
    let asked = source.clone();
    #[allow(clippy::disallowed_methods)] // The shell's own task.
    let known = tokio::task::spawn_blocking(move || asked.audio()).await;
    let known = known.unwrap_or_else(|error| Err(io::Error::other(error)));
    let known = known.map_err(failed)?;
    let bytes = match format {
        Format::Wav => known.bytes,
        Format::Opus => source.coded_bytes().ok_or_else(|| {
            let detail = "this recording is not kept as Opus; ask for format=wav";
            Problem::new(StatusCode::NOT_ACCEPTABLE, "not_coded", detail)
        })?,
    };
    listened(app, headers, id, Some(&source)).await?;
    let sent = Sent {
        name: id,
        format,
        bytes,
        changed: known.version,
        cut: known.cut,
    };
    let (part, answer) = sent.answer(headers)?;
    let span = Span::Audio {
        source,
        format,
        from: part.first,
        bytes: part.bytes,
    };
    // What cannot be opened is said now and not in the middle of an answer.
    let spans = SpanBody::open(app.archive.clone(), span).await;
    Ok(answer.body(Body::new(spans.map_err(failed)?)))
}

/// Notes that somebody listens, once for each that begins at the beginning.
async fn listened(
    app: &App,
    headers: &HeaderMap,
    id: RecordingId,
    source: Option<&Source>,
) -> Result<(), Problem> {
    let range = headers.get(header::RANGE).map(HeaderValue::as_bytes);
    let first = range.is_none_or(|range| range.starts_with(b"bytes=0-"));
    let Some(Source::Kept(kept)) = source.filter(|_| first) else {
        return Ok(());
    };
    let entry = index::entry(app, &kept.segment.tenant, None, "recording.listened", id);
    Ok(app.store.note(&entry).await?)
}

/// What is known of audio that is sent.
struct Sent {
    name: RecordingId,
    format: Format,
    bytes: u64,
    /// When it was last written on, as a number.
    changed: u128,
    cut: bool,
}

/// An answer without its body.
struct Head(Response);

impl Head {
    fn body(mut self, body: Body) -> Response {
        *self.0.body_mut() = body;
        self.0
    }
}

impl Sent {
    /// The part that is asked for, and what is said of it.
    ///
    /// # Errors
    /// When there is no such part.
    fn answer(&self, headers: &HeaderMap) -> Result<(Part, Head), Problem> {
        let (bytes, id) = (self.bytes, self.name);
        let tag = format!("\"{bytes:x}-{:x}\"", self.changed);
        // With `If-Range`, a part is of use only if the file is still the one that is known.
        let same = headers
            .get(header::IF_RANGE)
            .is_none_or(|known| known.as_bytes() == tag.as_bytes());
        let wish = headers.get(header::RANGE).filter(|_| same);
        let wish = wish.map_or(Wish::Whole, |range| range::wish(range, bytes));
        let (status, part) = match wish {
            Wish::Whole => (StatusCode::OK, Part { first: 0, bytes }),
            Wish::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
            Wish::Nothing => {
                let size = HeaderValue::try_from(format!("bytes */{bytes}"));
                let size = size.expect("digits are fine in a header");
                let detail = "the recording does not have these bytes";
                let code = "range_not_satisfiable";
                return Err(
                    Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, code, detail)
                        .with(header::CONTENT_RANGE, size),
                );
            }
        };
        assert!(
            part.first + part.bytes <= bytes,
            "a part is within the file"
        );
        let (kind, ending) = match self.format {
            Format::Wav => ("audio/wav", "wav"),
            Format::Opus => ("audio/ogg", "opus"),
        };
        let head = [
            (header::CONTENT_TYPE, kind.to_owned()),
            (header::ACCEPT_RANGES, "bytes".to_owned()),
            (header::ETAG, tag),
            (
                header::CONTENT_DISPOSITION,
                format!("inline; filename=\"{id}.{ending}\""),
            ),
        ];
        let mut response = (status, head).into_response();
        if status == StatusCode::PARTIAL_CONTENT {
            let range = HeaderValue::try_from(part.content_range(bytes));
            let range = range.expect("digits are fine in a header");
            response.headers_mut().insert(header::CONTENT_RANGE, range);
        }
        if self.cut {
            let yes = HeaderValue::from_static("true");
            response.headers_mut().insert(CUT, yes);
        }
        Ok((part, Head(response)))
    }
}
