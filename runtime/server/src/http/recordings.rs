//! Recordings: WAV files, whole or in part.

mod body;
mod range;
mod whole;

use std::io;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::fs::File;
use tokio::io::{AsyncSeekExt, SeekFrom};
use vocab::{CallId, RecordingId, Wall};

use super::error::Problem;
use super::extract::Named;
use super::{App, Shared};
use crate::recorder;

use body::{FileBody, SpanBody};
use range::{Part, Wish};

/// Says that a recording ends before its call did, because the disk took no more.
const CUT: HeaderName = HeaderName::from_static("recording-cut");

/// The routes of this module.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/calls/{id}/recording", get(of_call))
        .route("/recordings/{id}", get(by_id))
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
        [] => send(&app, RecordingId::of_call(call), &headers).await,
        [(only, _)] => send(&app, only, &headers).await,
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
    let folder = app.recordings.clone();
    #[allow(clippy::disallowed_methods)] // The shell's own task.
    let read = tokio::task::spawn_blocking(move || whole::assemble(&folder, &segments)).await;
    let read = read.unwrap_or_else(|error| Err(io::Error::other(error)));
    let whole = read.map_err(|error| unreadable(&error, RecordingId::of_call(call)))?;
    let sent = Sent {
        name: RecordingId::of_call(call),
        bytes: whole.bytes,
        changed: whole.changed,
        cut: whole.cut,
    };
    let (part, answer) = sent.answer(headers)?;
    let spans = whole::part(&whole.spans, part.first, part.bytes);
    Ok(answer.body(Body::new(SpanBody::new(spans))))
}

async fn by_id(
    State(app): Shared,
    Named(id): Named<RecordingId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    send(&app, id, &headers).await
}

/// Why a recording is not sent.
fn unreadable(error: &io::Error, id: RecordingId) -> Problem {
    if error.kind() == io::ErrorKind::NotFound {
        return Problem::not_found("recording_not_found", "no recording has this id");
    }
    tracing::error!(%error, recording = %id, "a recording cannot be read");
    Problem::internal()
}

/// Sends the file, or the part of it that is asked for (RFC 9110 §14). Of a call that is going on
/// this is what was written so far.
async fn send(app: &App, id: RecordingId, headers: &HeaderMap) -> Result<Response, Problem> {
    // The id was parsed: the path stays in the folder.
    let path = recorder::path(&app.recordings, id);
    let failed = |error: io::Error| unreadable(&error, id);
    #[allow(clippy::disallowed_methods)] // The shell's own task.
    let opened = tokio::task::spawn_blocking(move || open(&path)).await;
    let opened = opened.unwrap_or_else(|error| Err(io::Error::other(error)));
    let (mut file, cut) = opened.map_err(failed)?;
    let metadata = file.metadata().await.map_err(failed)?;
    let changed = metadata.modified().ok();
    let changed = changed.and_then(Since1970::elapsed_since_1970);
    let sent = Sent {
        name: id,
        bytes: metadata.len(),
        changed: changed.unwrap_or_default(),
        cut,
    };
    let (part, answer) = sent.answer(headers)?;
    file.seek(SeekFrom::Start(part.first))
        .await
        .map_err(failed)?;
    Ok(answer.body(Body::new(FileBody::new(file, part.bytes))))
}

/// What is known of audio that is sent.
struct Sent {
    name: RecordingId,
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
        let head = [
            (header::CONTENT_TYPE, "audio/wav".to_owned()),
            (header::ACCEPT_RANGES, "bytes".to_owned()),
            (header::ETAG, tag),
            (
                header::CONTENT_DISPOSITION,
                format!("inline; filename=\"{id}.wav\""),
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

/// Opens a recording; tells whether it is cut.
fn open(path: &Path) -> io::Result<(File, bool)> {
    let mut file = std::fs::File::open(path)?;
    let cut = recorder::is_cut(&mut file)?;
    Ok((File::from_std(file), cut))
}

/// A file's time as a number.
trait Since1970 {
    fn elapsed_since_1970(self) -> Option<u128>;
}

impl Since1970 for std::time::SystemTime {
    fn elapsed_since_1970(self) -> Option<u128> {
        Some(self.duration_since(Self::UNIX_EPOCH).ok()?.as_micros())
    }
}
