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
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, Sleep, sleep};

use super::limits::{CONNECTION_QUIET, CONNECTIONS_MAX};
use super::wire::{Parts, Wire};

/// The certificate to show, which may change; without one TLS is not spoken.
pub(crate) type Identity = watch::Receiver<Option<Arc<ServerConfig>>>;

/// A listener for `axum::serve` that bounds connections, and speaks TLS with who begins so.
#[derive(Debug)]
pub(crate) struct Door {
    listener: TcpListener,
    identity: Identity,
    room: Arc<Semaphore>,
    quiet: Duration,
}

impl Door {
    /// A door in front of this listener.
    pub(crate) fn new(listener: TcpListener, identity: Identity) -> Self {
        Self::with_bounds(listener, identity, CONNECTIONS_MAX, CONNECTION_QUIET)
    }

    fn with_bounds(
        listener: TcpListener,
        identity: Identity,
        connections_max: usize,
        quiet: Duration,
    ) -> Self {
        Self {
            listener,
            identity,
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
        let identity = self.identity.borrow().clone();
        (
            Visitor {
                wire: Wire::new(stream, identity),
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
    wire: Wire,
    patience: Pin<Box<Sleep>>,
    quiet: Duration,
    /// A request is coming in, or was answered with nothing yet.
    asking: bool,
    _place: OwnedSemaphorePermit,
}

impl Visitor {
    /// The connection alone, for whoever takes it over; `None` before anything was spoken on it.
    pub(super) fn into_parts(self) -> Option<Parts> {
        self.wire.into_parts()
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
        let result = Pin::new(&mut self.wire).poll_read(cx, buffer);
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
        let result = Pin::new(&mut self.wire).poll_write(cx, bytes);
        self.wrote(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.wire).poll_write_vectored(cx, slices);
        self.wrote(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Within TLS what was taken may wait here for the far end to read.
        let result = Pin::new(&mut self.wire).poll_flush(cx);
        if result.is_pending() {
            return self.wait(cx);
        }
        result
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.wire).poll_shutdown(cx);
        if result.is_pending() {
            return self.wait(cx);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use rustls::pki_types::ServerName;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio_rustls::TlsConnector;

    use super::*;
    use crate::net::tls::{self, Tls};

    async fn pair(quiet: Duration) -> (Door, TcpStream, Visitor) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut door = Door::with_bounds(listener, watch::channel(None).1, 1, quiet);
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

    fn certificate() -> (tempfile::TempDir, Tls) {
        let folder = tempfile::TempDir::new().unwrap();
        let names = [IpAddr::from([127, 0, 0, 1])];
        let (certificate, key) = tls::self_signed(folder.path(), &names).unwrap();
        let setup = tls::Setup {
            ca: Some(certificate.clone()),
            identity: Some((certificate, key)),
            ..tls::Setup::default()
        };
        let tls = Tls::load(&setup).unwrap();
        (folder, tls)
    }

    #[tokio::test]
    #[allow(clippy::disallowed_methods)] // A client for the test.
    async fn plain_and_secure_connections_come_in_by_one_door() {
        let (_folder, tls) = certificate();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shown, identity) = watch::channel(tls.server());
        let mut door = Door::with_bounds(listener, identity, 1, Duration::from_secs(60));
        let mut near = TcpStream::connect(address).await.unwrap();
        near.write_all(b"plain").await.unwrap();
        let (mut far, _) = door.accept().await;
        assert_eq!(take(&mut far).await, "plain");
        let (_, session) = far.into_parts().unwrap();
        assert!(session.is_none());

        let talk = |name: &'static str| {
            let connector = TlsConnector::from(tls.client());
            tokio::spawn(async move {
                let stream = TcpStream::connect(address).await?;
                let name = ServerName::try_from(name).unwrap();
                let mut near = connector.connect(name, stream).await?;
                near.write_all(b"secure").await?;
                near.read_u8().await
            })
        };
        let near = talk("127.0.0.1");
        let (mut far, _) = door.accept().await;
        assert_eq!(take(&mut far).await, "secure");
        far.write_all(b"!").await.unwrap();
        far.flush().await.unwrap();
        assert_eq!(near.await.unwrap().unwrap(), b'!');
        let (_, session) = far.into_parts().unwrap();
        assert!(!session.unwrap().is_handshaking());

        // The client does not believe the certificate, and there is nothing to take over.
        let near = talk("example.com");
        let (mut far, _) = door.accept().await;
        assert!(far.read_u8().await.is_err());
        assert!(near.await.unwrap().is_err());
        assert!(far.into_parts().is_none());

        // Without a certificate it is no HTTP.
        shown.send_replace(None);
        let near = talk("127.0.0.1");
        let (mut far, _) = door.accept().await;
        assert_eq!(far.read_u8().await.unwrap(), 22);
        drop(far);
        assert!(near.await.unwrap().is_err());
    }

    #[tokio::test]
    #[allow(clippy::disallowed_methods)] // A client for the test.
    async fn a_secure_connection_that_does_not_read_is_cut() {
        let (_folder, tls) = certificate();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let identity = watch::channel(tls.server()).1;
        // Long enough for a handshake on a machine that stands still.
        let mut door = Door::with_bounds(listener, identity, 1, Duration::from_secs(4));
        let connector = TlsConnector::from(tls.client());
        let near = tokio::spawn(async move {
            let stream = TcpStream::connect(address).await?;
            let name = ServerName::try_from("127.0.0.1").unwrap();
            let mut near = connector.connect(name, stream).await?;
            near.write_all(b"x").await?;
            io::Result::Ok(near)
        });
        let (mut far, _) = door.accept().await;
        assert_eq!(take(&mut far).await, "x");
        let _near = near.await.unwrap().unwrap();
        // Small enough that the session takes each whole: what waits is the flush.
        let error = loop {
            far.write_all(&[0; 4_096]).await.unwrap();
            if let Err(error) = far.flush().await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    async fn take(far: &mut Visitor) -> String {
        let mut bytes = [0; 16];
        let count = far.read(&mut bytes).await.unwrap();
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    }

    #[tokio::test]
    async fn a_handshake_that_drips_is_cut() {
        let (_folder, tls) = certificate();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let identity = watch::channel(tls.server()).1;
        let mut door = Door::with_bounds(listener, identity, 1, Duration::from_millis(20));
        let mut near = TcpStream::connect(address).await.unwrap();
        near.write_all(&[22]).await.unwrap();
        let (mut far, _) = door.accept().await;
        let error = far.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
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
