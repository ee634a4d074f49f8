//! Media to and from browsers (RFC 8827): the way there by ICE, and its keys by DTLS.
//!
//! A [`Transport`] stands between the sockets for browsers and a session's secure RTP. It finds out at which address
//! the browser is, as the lite side of ICE (RFC 8445 §2.5): the browser checks, we answer. Then the two
//! shake hands by DTLS (RFC 6347, RFC 9147), and what comes of that are the keys of SRTP in both
//! directions (RFC 5764). Packets of audio do not pass it: they are RTP like any other's.

mod fingerprint;
mod identity;
mod transport;

#[cfg(test)]
mod tests;

pub use fingerprint::Fingerprint;
pub use identity::Identity;
pub use transport::{
    Agreed, Credentials, Door, Event, Failure, Far, Kind, Near, Path, Role, Transport, Ways, kind,
    name,
};
