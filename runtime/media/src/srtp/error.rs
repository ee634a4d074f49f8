//! Why a packet is not protected, or not taken.

use thiserror::Error as ThisError;

/// Why a packet is not protected, or not taken. Nothing is remembered of such a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ThisError)]
#[non_exhaustive]
pub enum Error {
    /// Shorter than its header, or than its header, tag and what else is added.
    #[error("the packet ends too early")]
    Truncated,
    /// Not version 2.
    #[error("the packet is not version 2")]
    Version,
    /// The buffer is shorter than the packet and what is added to it; or the packet is longer than
    /// one packet's key stream, 1 MiB.
    #[error("the packet or what is added to it does not fit")]
    Length,
    /// It was made with another key, or changed on its way.
    #[error("the packet does not authenticate")]
    Tag,
    /// It names another master key than the one that was agreed.
    #[error("the packet names another master key")]
    Mki,
    /// An RTCP packet that is not encrypted, while encryption was agreed.
    #[error("the packet is not encrypted")]
    Clear,
    /// A packet with this number was protected or taken before.
    #[error("the packet was seen before")]
    Replayed,
    /// Too far behind the newest packet to tell whether it was seen before.
    #[error("the packet is too old")]
    Old,
    /// As many sources as are kept apart for one key, and this is one more.
    #[error("too many sources")]
    Sources,
    /// The last packet number of the key was used: 2^48 of RTP, 2^31 of RTCP (RFC 3711 §9.2).
    #[error("the key is used up")]
    Exhausted,
}
