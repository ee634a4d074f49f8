//! Parts of files as the body of an answer, read piece by piece as the far end takes them.

// The shell's own tasks.
#![allow(clippy::disallowed_methods)]

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Bytes;
use http_body::{Body, Frame, SizeHint};
use store::Format;
use tokio::sync::mpsc;

use super::whole::Span;
use crate::archive::{self, Archive, Source};
use crate::http::limits::CHUNK_BYTES;

/// Pieces that are read ahead of what the far end takes.
const AHEAD: usize = 2;

/// Spans one after the other, each opened when its turn comes.
pub(super) struct SpanBody {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    left: u64,
}

impl SpanBody {
    /// All of these. Reading ends when the body is dropped.
    pub(super) fn new(archive: Archive, spans: Vec<Span>) -> Self {
        Self::sending(archive, None, spans)
    }

    /// One of audio, which is opened first.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(super) async fn open(archive: Archive, span: Span) -> io::Result<Self> {
        let file = match &span {
            Span::Audio { source, format, .. } => Some(open(&archive, source, *format).await?),
            Span::Bytes(_) | Span::Silence(_) => None,
        };
        Ok(Self::sending(archive, file, vec![span]))
    }

    /// The first of them may be open.
    fn sending(archive: Archive, mut file: Option<File>, spans: Vec<Span>) -> Self {
        let left = spans.iter().map(Span::len).sum();
        let (sender, pieces) = mpsc::channel(AHEAD);
        tokio::spawn(async move {
            for span in spans {
                let sent = match send(&archive, file.take(), span, &sender).await {
                    Ok(sent) => sent,
                    // The connection is cut, which the far end notices: the length was promised.
                    Err(error) => {
                        drop(sender.send(Err(error)).await);
                        false
                    }
                };
                if !sent {
                    return;
                }
            }
        });
        Self { pieces, left }
    }
}

type File = Box<dyn archive::Bytes>;

async fn open(archive: &Archive, source: &Source, format: Format) -> io::Result<File> {
    match format {
        Format::Wav => archive.open(source).await,
        Format::Opus => archive.open_coded(source).await,
    }
}

/// Sends one span; `false` if nobody takes it any more.
async fn send(
    archive: &Archive,
    file: Option<File>,
    span: Span,
    sender: &mpsc::Sender<io::Result<Bytes>>,
) -> io::Result<bool> {
    match span {
        Span::Bytes(bytes) => Ok(sender.send(Ok(bytes.into())).await.is_ok()),
        Span::Silence(mut left) => {
            while left > 0 {
                let now = left.min(CHUNK_BYTES as u64);
                left -= now;
                let zeros = vec![0; usize::try_from(now).map_err(io::Error::other)?];
                if sender.send(Ok(zeros.into())).await.is_err() {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Span::Audio {
            source,
            format,
            from,
            bytes,
        } => {
            let mut file = match file {
                Some(file) => file,
                None => open(archive, &source, format).await?,
            };
            let mut at = Some(from);
            let mut left = bytes;
            while left > 0 {
                let wanted = left.min(CHUNK_BYTES as u64);
                let seek = at.take();
                let read = tokio::task::spawn_blocking(move || piece(file, seek, wanted)).await;
                let (again, piece) = read.map_err(io::Error::other)??;
                file = again;
                left -= piece.len() as u64;
                if sender.send(Ok(piece.into())).await.is_err() {
                    return Ok(false);
                }
            }
            Ok(true)
        }
    }
}

/// Reads so many bytes, from a place if one is given.
fn piece(mut file: File, at: Option<u64>, wanted: u64) -> io::Result<(File, Vec<u8>)> {
    if let Some(at) = at {
        file.seek(SeekFrom::Start(at))?;
    }
    let mut piece = vec![0; usize::try_from(wanted).map_err(io::Error::other)?];
    file.read_exact(&mut piece)?;
    Ok((file, piece))
}

impl Body for SpanBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let piece = std::task::ready!(self.pieces.poll_recv(cx));
        Poll::Ready(piece.map(|piece| {
            let piece = piece?;
            self.left -= piece.len() as u64;
            Ok(Frame::data(piece))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
