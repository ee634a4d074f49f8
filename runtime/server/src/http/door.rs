//! Where connections come in: so many at once, and none that only sits there.

// The one place of HTTP that waits for time to pass.
#![allow(clippy::disallowed_methods)]

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

use super::limits::{CONNECTION_QUIET, CONNECTIONS_MAX};

/// A listener for `axum::serve` that bounds connections.
#[derive(Debug)]
pub(crate) struct Door {
    listener: TcpListener,
    room: Arc<Semaphore>,
    quiet: Duration,
}

impl Door {
    /// A door in front of this listener.
    pub(crate) fn new(listener: TcpListener) -> Self {
        Self::with_bounds(listener, CONNECTIONS_MAX, CONNECTION_QUIET)
    }

    fn with_bounds(listener: TcpListener, connections_max: usize, quiet: Duration) -> Self {
        Self {
            listener,
            room: Arc::new(Semaphore::new(connections_max)),
            quiet,
        }
    }
}

impl Listener for Door {
    type Io = Visitor;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Visitor, SocketAddr) {
        let room = Arc::clone(&self.room);
        let place = room
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        let (stream, from) = Listener::accept(&mut self.listener).await;
        // An answer goes out in one piece; without it, it would wait for the far end's ACK.
        drop(stream.set_nodelay(true));
        let patience = Box::pin(sleep(self.quiet));
        (
            Visitor {
                stream,
                patience,
                quiet: self.quiet,
                asking: false,
                _place: place,
            },
            from,
        )
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection with limited patience: it begins anew with the first byte of a request and with
/// each piece of an answer that is taken, not with every byte that drips in.
#[derive(Debug)]
pub(crate) struct Visitor {
    stream: TcpStream,
    patience: Pin<Box<Sleep>>,
    quiet: Duration,
    /// A request is coming in, or was answered with nothing yet.
    asking: bool,
    _place: OwnedSemaphorePermit,
}

impl Visitor {
    /// The connection alone, for whoever takes it over.
    pub(super) fn into_stream(self) -> TcpStream {
        self.stream
    }

    fn begin_anew(&mut self) {
        self.patience.as_mut().reset(Instant::now() + self.quiet);
    }

    /// What becomes of an operation that would wait.
    fn wait<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        match self.patience.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }

    fn wrote(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match result {
            Poll::Ready(Ok(_)) => {
                self.asking = false;
                self.begin_anew();
                result
            }
            Poll::Ready(Err(_)) => result,
            Poll::Pending => self.wait(cx),
        }
    }
}

impl AsyncRead for Visitor {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if result.is_pending() {
            return self.wait(cx);
        }
        if buffer.filled().len() > before && !self.asking {
            self.asking = true;
            self.begin_anew();
        }
        result
    }
}

impl AsyncWrite for Visitor {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.wrote(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn pair(quiet: Duration) -> (Door, TcpStream, Visitor) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut door = Door::with_bounds(listener, 1, quiet);
        let near = TcpStream::connect(address).await.unwrap();
        let (far, _) = door.accept().await;
        (door, near, far)
    }

    #[tokio::test]
    async fn a_connection_that_says_nothing_is_cut() {
        let (_door, _near, mut far) = pair(Duration::from_millis(1)).await;
        let error = far.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_connection_that_does_not_read_is_cut() {
        let (_door, _near, mut far) = pair(Duration::from_millis(1)).await;
        let error = far.write_all(&vec![0; 64 << 20]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn one_more_waits_until_there_is_room() {
        let (mut door, near, far) = pair(Duration::from_secs(60)).await;
        let address = door.local_addr().unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        let full = {
            let mut accept = Box::pin(door.accept());
            futures_poll(&mut accept).await
        };
        assert!(full.is_none(), "there is room for one");
        drop((near, far));
        let (mut far, _) = door.accept().await;
        second.write_all(b"x").await.unwrap();
        assert_eq!(far.read_u8().await.unwrap(), b'x');
    }

    /// Polls once.
    async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        std::future::poll_fn(|cx| {
            Poll::Ready(match Pin::new(&mut *future).poll(cx) {
                Poll::Ready(value) => Some(value),
                Poll::Pending => None,
            })
        })
        .await
    }
}
