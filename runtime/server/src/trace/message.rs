//! One SIP message as it is kept, and all of a call's.

use std::net::SocketAddr;
use std::sync::Arc;

use vocab::Wall;

use super::limits::{MESSAGE_BYTES_MAX, MESSAGE_OVERHEAD};
use super::mask::mask;

/// Which way a message went, seen from the node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// It was received.
    In,
    /// It was sent.
    Out,
}

/// What carried it. Beside `sip::Transport`, because rows of old traces name it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Carrier {
    /// A datagram.
    Udp,
    /// A stream.
    Tcp,
    /// A stream that is protected.
    Tls,
    /// A WebSocket.
    Ws,
    /// A WebSocket that is protected.
    Wss,
}

impl Carrier {
    /// What a hop uses.
    pub(crate) fn of(transport: sip::Transport) -> Self {
        match transport {
            sip::Transport::Udp => Self::Udp,
            sip::Transport::Tcp => Self::Tcp,
            sip::Transport::Tls => Self::Tls,
            sip::Transport::Ws => Self::Ws,
            sip::Transport::Wss => Self::Wss,
        }
    }

    /// Stable lower-case name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    /// The carrier of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let mut all = [Self::Udp, Self::Tcp, Self::Tls, Self::Ws, Self::Wss].into_iter();
        all.find(|carrier| carrier.name() == name)
    }

    /// Whether the network carried it as datagrams.
    pub(crate) fn is_datagram(self) -> bool {
        match self {
            Self::Udp => true,
            Self::Tcp | Self::Tls | Self::Ws | Self::Wss => false,
        }
    }
}

/// A message, masked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Message {
    /// When it was read or written.
    pub(crate) at: Wall,
    pub(crate) way: Way,
    pub(crate) carrier: Carrier,
    /// Our side.
    pub(crate) local: SocketAddr,
    /// The other side.
    pub(crate) remote: SocketAddr,
    /// As it went over the network, but for what is masked and cut.
    pub(crate) bytes: Arc<[u8]>,
    /// Bytes that were cut off at its end.
    pub(crate) cut: u32,
}

impl Message {
    /// A message as it came, masked and cut here.
    pub(crate) fn new(
        (at, way, carrier): (Wall, Way, Carrier),
        (local, remote): (SocketAddr, SocketAddr),
        mut bytes: Vec<u8>,
    ) -> Self {
        mask(&mut bytes);
        let cut = bytes.len().saturating_sub(MESSAGE_BYTES_MAX);
        bytes.truncate(MESSAGE_BYTES_MAX);
        Self {
            at,
            way,
            carrier,
            local,
            remote,
            bytes: bytes.into(),
            cut: u32::try_from(cut).unwrap_or(u32::MAX),
        }
    }

    /// Memory it takes.
    pub(super) fn cost(&self) -> usize {
        self.bytes.len() + MESSAGE_OVERHEAD
    }

    /// Where it came from and where it went.
    pub(crate) fn ends(&self) -> (SocketAddr, SocketAddr) {
        match self.way {
            Way::In => (self.remote, self.local),
            Way::Out => (self.local, self.remote),
        }
    }
}

/// A dialog of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Leg {
    /// The leg's number within the call.
    pub(crate) n: u16,
    /// The dialog's `Call-ID`. A leg that rings several phones has several.
    pub(crate) sip_call_id: Arc<str>,
}

/// The signalling of one call.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Trace {
    pub(crate) legs: Vec<Leg>,
    /// In the order in which they were read and written.
    pub(crate) messages: Vec<Message>,
    /// Messages that were not kept, because there were too many.
    pub(crate) left_out: u64,
}
