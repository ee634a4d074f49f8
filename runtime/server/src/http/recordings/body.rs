//! Part of a file as the body of an answer, read piece by piece as the far end takes it.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::fs::File;
use tokio::io::{AsyncRead, ReadBuf};

use super::whole::Span;
use crate::http::limits::CHUNK_BYTES;

/// The next `left` bytes of a file.
pub(super) struct FileBody {
    file: File,
    left: u64,
    buffer: Box<[u8]>,
}

impl FileBody {
    /// So many bytes from where the file stands.
    pub(super) fn new(file: File, bytes: u64) -> Self {
        let buffer = CHUNK_BYTES.min(usize::try_from(bytes).unwrap_or(CHUNK_BYTES));
        Self {
            file,
            left: bytes,
            buffer: vec![0; buffer].into(),
        }
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let this = &mut *self;
        let wanted = this
            .buffer
            .len()
            .min(usize::try_from(this.left).unwrap_or(usize::MAX));
        let mut buffer = ReadBuf::new(&mut this.buffer[..wanted]);
        if let Err(error) = ready!(Pin::new(&mut this.file).poll_read(cx, &mut buffer)) {
            return Poll::Ready(Some(Err(error)));
        }
        let read = buffer.filled();
        if read.is_empty() {
            // The length was promised; the connection is cut, which the far end notices.
            return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())));
        }
        assert!(
            read.len() as u64 <= this.left,
            "no more is read than was promised"
        );
        this.left -= read.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(Bytes::copy_from_slice(read)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Spans one after the other, each file opened when its turn comes.
pub(super) struct SpanBody {
    spans: VecDeque<Span>,
    file: Option<FileBody>,
    left: u64,
}

impl SpanBody {
    /// All of these.
    pub(super) fn new(spans: Vec<Span>) -> Self {
        Self {
            left: spans.iter().map(Span::len).sum(),
            spans: spans.into(),
            file: None,
        }
    }
}

impl Body for SpanBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        loop {
            if let Some(file) = &mut this.file {
                let frame = ready!(Pin::new(file).poll_frame(cx));
                if let Some(frame) = frame {
                    let bytes = frame.as_ref().ok().and_then(Frame::data_ref);
                    this.left -= bytes.map_or(0, |bytes| bytes.len() as u64);
                    return Poll::Ready(Some(frame));
                }
                this.file = None;
            }
            let bytes = match this.spans.pop_front() {
                None => return Poll::Ready(None),
                Some(Span::Bytes(bytes)) => Bytes::from(bytes),
                Some(Span::Silence(left)) => {
                    let now = left.min(CHUNK_BYTES as u64);
                    if left > now {
                        this.spans.push_front(Span::Silence(left - now));
                    }
                    Bytes::from(vec![0; usize::try_from(now).unwrap_or(CHUNK_BYTES)])
                }
                Some(Span::File { path, from, bytes }) => {
                    // Opening is a matter of microseconds, unlike reading.
                    let opened = std::fs::File::open(path).and_then(|mut file| {
                        io::Seek::seek(&mut file, io::SeekFrom::Start(from))?;
                        Ok(file)
                    });
                    match opened {
                        Ok(file) => this.file = Some(FileBody::new(File::from_std(file), bytes)),
                        Err(error) => return Poll::Ready(Some(Err(error))),
                    }
                    continue;
                }
            };
            this.left -= bytes.len() as u64;
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
