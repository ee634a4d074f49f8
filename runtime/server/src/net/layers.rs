//! What lies between a stream's bytes and SIP: nothing, TLS, a WebSocket, or one in the other.
//!
//! No I/O: bytes from the socket go in, messages come out, and the other way round.

use std::io::{Read as _, Write as _};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, Connection, ServerConnection};
use sip::Transport;
use sip::message::Host;
use vocab::Rng;

use super::limits::WAITING_MAX;
use super::tls::Tls;
use super::websocket::{Event, Origins, WebSocket};

/// What came out of bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Received {
    /// All handshakes are over.
    Opened,
    /// Bytes of SIP; of a WebSocket one whole message.
    Bytes(Vec<u8>),
    /// The other side closes.
    Closed,
}

/// The layers of one connection.
#[derive(Debug)]
pub struct Layers {
    tls: Option<Box<Connection>>,
    websocket: Option<Box<WebSocket>>,
    /// Bytes for the socket, where nothing encrypts them.
    plain: Vec<u8>,
    open: bool,
}

impl Layers {
    /// For a connection that came in.
    ///
    /// # Errors
    /// There is no certificate to show.
    pub fn accept(transport: Transport, tls: &Tls, origins: &Origins) -> Result<Self, String> {
        let session = if transport.is_secure() {
            let config = tls.server().ok_or("no certificate is configured")?;
            let session = ServerConnection::new(config).map_err(|error| error.to_string())?;
            Some(Connection::Server(session))
        } else {
            None
        };
        let websocket = transport
            .is_websocket()
            .then(|| WebSocket::server(origins.clone()));
        Ok(Self::new(session, websocket))
    }

    /// For a WebSocket whose handshakes somebody else has answered, that of TLS included.
    pub fn upgraded(tls: Option<Box<ServerConnection>>) -> Self {
        let session = tls.map(|session| Connection::Server(*session));
        Self::new(session, Some(WebSocket::open()))
    }

    /// What carries SIP on a WebSocket of these layers.
    pub fn websocket(&self) -> Transport {
        if self.tls.is_some() {
            Transport::Wss
        } else {
            Transport::Ws
        }
    }

    /// For a connection that we open to this host.
    ///
    /// # Errors
    /// The host is no name that a certificate could have.
    pub fn connect(
        transport: Transport,
        tls: &Tls,
        host: &Host,
        rng: &mut Rng,
    ) -> Result<Self, String> {
        let session = if transport.is_secure() {
            let name = match host {
                Host::Address(address) => ServerName::from(*address),
                Host::Name(name) => ServerName::try_from(name.to_string())
                    .map_err(|_| format!("{name} is no name of a host"))?,
            };
            let session = ClientConnection::new(tls.client(), name);
            Some(Connection::Client(
                session.map_err(|error| error.to_string())?,
            ))
        } else {
            None
        };
        let websocket = transport
            .is_websocket()
            .then(|| WebSocket::client(&host.to_string(), "/sip", rng.fork()));
        Ok(Self::new(session, websocket))
    }

    fn new(mut tls: Option<Connection>, websocket: Option<WebSocket>) -> Self {
        if let Some(session) = &mut tls {
            session.set_buffer_limit(Some(2 * WAITING_MAX));
        }
        let secured = tls.as_ref().is_none_or(|session| !session.is_handshaking());
        let open = secured && websocket.as_ref().is_none_or(WebSocket::is_open);
        Self {
            tls: tls.map(Box::new),
            websocket: websocket.map(Box::new),
            plain: Vec::new(),
            open,
        }
    }

    /// All handshakes are over.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Feeds bytes from the socket.
    ///
    /// # Errors
    /// What is wrong with them. [`Self::take_out`] has what to say at parting.
    pub fn receive(&mut self, bytes: &[u8], out: &mut Vec<Received>) -> Result<(), String> {
        let mut bytes = bytes;
        while !bytes.is_empty() {
            let Some(session) = &mut self.tls else {
                return self.plain(bytes, out);
            };
            session
                .read_tls(&mut bytes)
                .map_err(|error| error.to_string())?;
            let (plain, closed) = decrypted(session)?;
            if !session.is_handshaking() && self.websocket.is_none() && !self.open {
                self.open = true;
                out.push(Received::Opened);
            }
            if !plain.is_empty() {
                self.plain(&plain, out)?;
            }
            if closed {
                out.push(Received::Closed);
                return Ok(());
            }
        }
        Ok(())
    }

    /// Feeds what somebody else has read and decrypted, and what the session holds of that.
    ///
    /// # Errors
    /// As for [`Self::receive`].
    pub fn resume(&mut self, read: &[u8], out: &mut Vec<Received>) -> Result<(), String> {
        let (held, closed) = match &mut self.tls {
            Some(session) => decrypted(session)?,
            None => (Vec::new(), false),
        };
        for bytes in [read, &held] {
            if !bytes.is_empty() {
                self.plain(bytes, out)?;
            }
        }
        if closed {
            out.push(Received::Closed);
        }
        Ok(())
    }

    fn plain(&mut self, bytes: &[u8], out: &mut Vec<Received>) -> Result<(), String> {
        let Some(websocket) = &mut self.websocket else {
            out.push(Received::Bytes(bytes.to_vec()));
            return Ok(());
        };
        let mut events = Vec::new();
        let result = websocket.receive(bytes, &mut events);
        for event in events {
            out.push(match event {
                Event::Opened => {
                    self.open = true;
                    Received::Opened
                }
                Event::Message(message) => Received::Bytes(message),
                Event::Closed => Received::Closed,
            });
        }
        result
    }

    /// Sends one message. To be called once [`Self::is_open`].
    pub fn send(&mut self, message: &[u8]) {
        debug_assert!(self.open, "messages wait for the handshakes");
        match &mut self.websocket {
            Some(websocket) => websocket.send(message),
            None => self.plain.extend_from_slice(message),
        }
    }

    /// Says that we close.
    pub fn close(&mut self) {
        if let Some(session) = &mut self.tls {
            session.send_close_notify();
        }
    }

    /// Bytes for the socket since the last time.
    pub fn take_out(&mut self) -> Vec<u8> {
        if let Some(websocket) = &mut self.websocket {
            self.plain.append(&mut websocket.take_out());
        }
        let Some(session) = &mut self.tls else {
            return std::mem::take(&mut self.plain);
        };
        // Before the handshake is over it is kept in the session, within its bound.
        if session.writer().write_all(&self.plain).is_ok() {
            self.plain.clear();
        }
        let mut out = Vec::new();
        while session.wants_write() {
            if session.write_tls(&mut out).is_err() {
                break;
            }
        }
        out
    }
}

/// What a session has decrypted, and whether its other side has closed it.
fn decrypted(session: &mut Connection) -> Result<(Vec<u8>, bool), String> {
    let state = session
        .process_new_packets()
        .map_err(|error| said(&error))?;
    let mut plain = vec![0; state.plaintext_bytes_to_read()];
    session
        .reader()
        .read_exact(&mut plain)
        .map_err(|error| error.to_string())?;
    Ok((plain, state.peer_has_closed()))
}

/// What a TLS error means, for the log.
fn said(error: &rustls::Error) -> String {
    let text = error.to_string();
    if matches!(error, rustls::Error::InvalidCertificate(_)) {
        return format!("its certificate is not believed: {text}; name who vouches for it as ca");
    }
    text
}
