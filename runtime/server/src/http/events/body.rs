//! The body of an endless answer, made as things happen.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Bytes;
use http_body::{Body, Frame};
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::{Filter, write};
use crate::feed::Feed;

/// A listener hears at least this often, or the connection would be taken for dead. Proxies give
/// up after 30 s and more.
const STILL_HERE: Duration = Duration::from_secs(10);

/// Events in one piece.
const PIECE_MAX: usize = 256;

/// Where a listener stands.
pub(super) struct Spot {
    pub(super) feed: Arc<Feed>,
    pub(super) news: watch::Receiver<u64>,
    pub(super) filter: Filter,
    /// The last event that was looked at.
    pub(super) seq: u64,
    /// There may be events that are not told: the listener must look for itself.
    pub(super) gap: bool,
    pub(super) begun: bool,
    pub(super) _place: OwnedSemaphorePermit,
}

impl Spot {
    /// The next piece; `None` at the end, when the server stops.
    async fn piece(mut self) -> Option<(Self, Bytes)> {
        let mut out = String::new();
        if !std::mem::replace(&mut self.begun, true) {
            // The client knows at once that it is heard, and how long to wait before it comes back.
            out += "retry: 1000\n: listening\n\n";
        }
        loop {
            // Looked at before the news are read, so that none falls between.
            self.news.borrow_and_update();
            let after = self.feed.after(self.seq, PIECE_MAX);
            if std::mem::take(&mut self.gap) || after.lost > 0 {
                let _ = write!(out, "event: gap\ndata: {{\"lost\":{}}}\n\n", after.lost);
            }
            let more = !after.news.is_empty();
            for (seq, news) in &after.news {
                self.seq = *seq;
                if self.filter.fits(news) {
                    write(&mut out, self.feed.run(), *seq, news);
                }
            }
            if !out.is_empty() {
                return Some((self, Bytes::from(out)));
            }
            if more {
                continue;
            }
            match tokio::time::timeout(STILL_HERE, self.news.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_stopped)) => return None,
                Err(_quiet) => out += ": still here\n\n",
            }
            if !out.is_empty() {
                return Some((self, Bytes::from(out)));
            }
        }
    }
}

type Next = Pin<Box<dyn Future<Output = Option<(Spot, Bytes)>> + Send>>;

/// The pieces, each made when the one before was taken.
pub(super) struct Pieces(Option<Next>);

impl Pieces {
    pub(super) fn of(spot: Spot) -> Self {
        Self(Some(Box::pin(spot.piece())))
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(next) = &mut self.0 else {
            return Poll::Ready(None);
        };
        match ready!(next.as_mut().poll(cx)) {
            Some((spot, bytes)) => {
                self.0 = Some(Box::pin(spot.piece()));
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            None => {
                self.0 = None;
                Poll::Ready(None)
            }
        }
    }
}
