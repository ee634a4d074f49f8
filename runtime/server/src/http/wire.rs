//! A connection of HTTP, with or without TLS: the first byte that comes tells which.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::{ServerConfig, ServerConnection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

/// First byte of TLS: the type of a handshake record (RFC 8446 §5.1). No method of HTTP begins so.
const HANDSHAKE: u8 = 22;

/// What a connection was before TLS, and the session if there is one.
pub(super) type Parts = (TcpStream, Option<Box<ServerConnection>>);

/// One connection.
pub(super) enum Wire {
    /// Nothing has come yet.
    Fresh(TcpStream, Option<Arc<ServerConfig>>),
    /// HTTP as it is.
    Plain(TcpStream),
    /// A handshake goes on.
    Handshake(Box<Accept<TcpStream>>),
    /// HTTP within TLS.
    Secure(Box<TlsStream<TcpStream>>),
    /// Its handshake failed.
    Broken,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Fresh(..) => "Fresh",
            Self::Plain(_) => "Plain",
            Self::Handshake(_) => "Handshake",
            Self::Secure(_) => "Secure",
            Self::Broken => "Broken",
        })
    }
}

impl Wire {
    /// One that was just accepted; what to show whoever begins with TLS.
    pub(super) fn new(stream: TcpStream, identity: Option<Arc<ServerConfig>>) -> Self {
        Self::Fresh(stream, identity)
    }

    /// What it is made of; `None` before HTTP was spoken on it.
    pub(super) fn into_parts(self) -> Option<Parts> {
        match self {
            Self::Plain(stream) => Some((stream, None)),
            Self::Secure(stream) => {
                let (stream, session) = stream.into_inner();
                Some((stream, Some(Box::new(session))))
            }
            Self::Fresh(..) | Self::Handshake(_) | Self::Broken => None,
        }
    }

    /// Ready once it is known what is spoken and the handshake is over, if there is one.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match self {
                Self::Fresh(stream, _) => {
                    let mut byte = [0];
                    let seen = ready!(stream.poll_peek(cx, &mut ReadBuf::new(&mut byte)))?;
                    let Self::Fresh(stream, identity) = std::mem::replace(self, Self::Broken)
                    else {
                        unreachable!("seen above");
                    };
                    *self = match identity {
                        Some(config) if seen > 0 && byte[0] == HANDSHAKE => {
                            let accept = TlsAcceptor::from(config).accept(stream);
                            Self::Handshake(Box::new(accept))
                        }
                        // TLS where there is no certificate to show is answered as bad HTTP.
                        Some(_) | None => Self::Plain(stream),
                    };
                }
                Self::Handshake(accept) => match ready!(Pin::new(accept.as_mut()).poll(cx)) {
                    Ok(stream) => *self = Self::Secure(Box::new(stream)),
                    Err(error) => {
                        *self = Self::Broken;
                        return Poll::Ready(Err(error));
                    }
                },
                Self::Plain(_) | Self::Secure(_) => return Poll::Ready(Ok(())),
                Self::Broken => return Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            }
        }
    }
}

/// What an open connection is, to be read or written.
enum Open<'a> {
    Plain(Pin<&'a mut TcpStream>),
    Secure(Pin<&'a mut TlsStream<TcpStream>>),
}

impl Wire {
    fn open(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Open<'_>>> {
        ready!(self.poll_open(cx))?;
        Poll::Ready(Ok(match self {
            Self::Plain(stream) => Open::Plain(Pin::new(stream)),
            Self::Secure(stream) => Open::Secure(Pin::new(stream.as_mut())),
            Self::Fresh(..) | Self::Handshake(_) | Self::Broken => {
                unreachable!("it is open by now")
            }
        }))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match ready!(self.open(cx))? {
            Open::Plain(stream) => stream.poll_read(cx, buffer),
            Open::Secure(stream) => stream.poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match ready!(self.open(cx))? {
            Open::Plain(stream) => stream.poll_write(cx, bytes),
            Open::Secure(stream) => stream.poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match ready!(self.open(cx))? {
            Open::Plain(stream) => stream.poll_write_vectored(cx, slices),
            Open::Secure(stream) => stream.poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        // Both do, and which it will be is not known from the start.
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Secure(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
            // Nothing was written.
            Self::Fresh(..) | Self::Handshake(_) | Self::Broken => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Fresh(stream, _) | Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Secure(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
            Self::Handshake(_) | Self::Broken => Poll::Ready(Ok(())),
        }
    }
}
