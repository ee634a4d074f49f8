//! Part of a file as the body of an answer, read piece by piece as the far end takes it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::fs::File;
use tokio::io::{AsyncRead, ReadBuf};

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
