//! The border of a phone: what it is set up with, fed, and what comes out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use media::negotiate::Capabilities;
use media::{Channel, Packet};
use sip::{Hop, Transport};
use vocab::Pii;
use vocab::call::{Cause, Side};

use super::{Digits, LadderLine, Step};

/// Settings of a phone.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its user name; also what it shows as caller.
    pub user: String,
    /// The host part of its address, usually the registrar's.
    pub domain: String,
    /// Digest password, for registration and calls.
    pub password: Option<Pii<String>>,
    /// Its own address for signalling.
    pub sip: SocketAddr,
    /// Its own address for RTP; RTCP is the next port up.
    pub rtp: SocketAddr,
    /// How it signals.
    pub transport: Transport,
    /// Codecs in order of preference, and whether RFC 4733 digits are offered.
    pub capabilities: Capabilities,
    /// How it sends digits.
    pub digits: Digits,
    /// Answer calls by itself after this long; `None` lets it ring, for three minutes at most.
    pub answer_after: Option<Duration>,
    /// What it does once a call is up.
    pub script: Vec<Step>,
    /// Vanish from the network without a word when the script is over, instead of hanging up.
    pub vanish: bool,
}

/// Something the phone is fed.
#[derive(Debug)]
pub enum Input<'a> {
    /// From the network, for signalling.
    Sip(sip::Input<'a>),
    /// From the network, for media.
    Media {
        /// Which socket.
        channel: Channel,
        /// Who sent it.
        from: SocketAddr,
        /// The datagram.
        bytes: &'a [u8],
    },
    /// Call somebody. Nothing happens while a call is being set up or is up.
    Call {
        /// Request URI, such as `sip:1000@192.0.2.1`.
        uri: String,
        /// Where the request goes.
        next_hop: SocketAddr,
        /// Give up after this long without an answer.
        timeout: Duration,
    },
    /// Register with the registrar at this address.
    Register {
        /// Where the request goes.
        next_hop: SocketAddr,
        /// For how long.
        expires: Duration,
    },
    /// Hang up.
    Hangup,
    /// Hold the far end by re-INVITE, or talk again (RFC 3264 §8.4). Nothing happens without a call
    /// that is up.
    Hold {
        /// Nothing that it sends is heard.
        on: bool,
    },
    /// Ask the far end by REFER to call somebody else (RFC 3515). Nothing happens without a call
    /// that is up.
    Refer {
        /// A SIP URI.
        to: String,
    },
    /// [`Phone::deadline`] has come.
    Timeout,
}

/// Something the phone asks for.
#[derive(Debug)]
pub enum Output {
    /// Send these bytes.
    Transmit {
        /// Where.
        hop: Hop,
        /// One whole SIP message.
        bytes: Arc<[u8]>,
    },
    /// Close a stream.
    CloseStream {
        /// Which.
        conn: sip::ConnId,
    },
    /// Send a datagram from a media socket.
    Media {
        /// Which socket.
        channel: Channel,
        /// The receiver.
        to: SocketAddr,
        /// The datagram.
        packet: Packet,
    },
    /// Something happened.
    News(News),
}

/// What a phone reports.
#[derive(Clone, PartialEq, Debug)]
pub enum News {
    /// A message went over the wire.
    Ladder(LadderLine),
    /// The registrar has answered; `None` if it has not.
    Registered {
        /// The final status.
        status: Option<u16>,
    },
    /// Somebody calls this phone.
    Ringing,
    /// The far end of our call is ringing.
    FarRinging,
    /// The call is up.
    Answered,
    /// A step of the script begins.
    Step {
        /// Its place, from 0.
        index: usize,
    },
    /// A digit was heard.
    Heard {
        /// Which.
        digit: Pii<char>,
    },
    /// The call is over.
    Ended {
        /// Why.
        cause: Cause,
        /// Who ended it.
        by: Side,
        /// The final status of a call that was never answered.
        status: Option<u16>,
    },
}
