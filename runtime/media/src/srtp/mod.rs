//! Secure RTP: packets encrypted and authenticated (RFC 3711, RFC 6188, RFC 7714).
//!
//! A [`MasterKey`] is the secret of one direction. [`sdes`] takes it from SDP and puts ours there;
//! DTLS can bring one as well. A [`Sender`] protects what leaves with ours, a [`Receiver`] takes
//! what arrives with theirs, each both RTP and RTCP, each with its own idea of how far every
//! source's packet numbers are.
//!
//! ```
//! use jackfield_media::srtp::{ADDED_BYTES_MAX, MasterKey, Receiver, Sender, Suite};
//!
//! let key = MasterKey::random(Suite::AeadAes128Gcm, &mut vocab::Rng::from_u64(1));
//! let (mut sender, mut receiver) = (Sender::new(&key), Receiver::new(&key));
//! let packet = [&[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9][..], b"audio"].concat();
//!
//! let mut buffer = [0; 1_500];
//! buffer[..packet.len()].copy_from_slice(&packet);
//! let len = sender.protect(&mut buffer, packet.len()).expect("a good packet");
//! assert!(len <= packet.len() + ADDED_BYTES_MAX);
//! let len = receiver.unprotect(&mut buffer[..len]).expect("the same key");
//! assert_eq!(&buffer[..len], packet);
//! ```
//!
//! Packets are worked on where they lie, and nothing is allocated for one, except for the first of
//! a source or of a new key. A packet that is refused changes nothing that is remembered; its bytes
//! are spoiled.
//!
//! What is not here: the key derivation rate (always zero), unencrypted or unauthenticated streams,
//! encrypted header extensions (RFC 6904), and several master keys at once.
//!
//! **Invariant:** no packet number is protected twice with one key, whatever the caller does: that
//! would give away the key stream, and with GCM the power to forge. So contexts are not cloned, and
//! a number that was used is refused.
//!
//! A far end that gets its key late does not see the first packets. It then takes the roll-over
//! counter for zero, so a stream begins with a sequence number below 32,768 (RFC 3711 §3.3.1).

pub mod sdes;

mod error;
mod keys;
mod receiver;
mod sender;
mod sources;
mod suite;
mod transform;

#[cfg(test)]
mod tests;

pub use error::Error;
pub use keys::{MASTER_BYTES_MAX, MasterKey, Mki};
pub use receiver::Receiver;
pub use sender::Sender;
pub use suite::Suite;

use keys::SessionKeys;
use transform::Transform;

use crate::rtp::HEADER_BYTES;

/// The most that is added to a packet: GCM's tag, the word with the index of an RTCP packet, and
/// the longest master key identifier.
pub const ADDED_BYTES_MAX: usize = transform::TAG_BYTES_MAX + INDEX_BYTES + 4;

/// Length of the word with the index of an RTCP packet (RFC 3711 §3.4).
const INDEX_BYTES: usize = 4;

/// What is not encrypted of an RTCP packet: the first header and the first source (RFC 3711 §3.4).
const RTCP_HEAD_BYTES: usize = 8;

/// A master key at work, in either direction.
struct Protection {
    key: MasterKey,
    rtp: Transform,
    rtcp: Transform,
}

impl Protection {
    fn new(key: &MasterKey) -> Self {
        Self::of(key, &key.rtp(), &key.rtcp())
    }

    fn of(key: &MasterKey, rtp: &SessionKeys, rtcp: &SessionKeys) -> Self {
        let suite = key.suite();
        Self {
            key: key.clone(),
            rtp: Transform::new(rtp, suite.rtp_tag_bytes()),
            rtcp: Transform::new(rtcp, suite.rtcp_tag_bytes()),
        }
    }

    fn mki_bytes(&self) -> usize {
        self.key.mki().map_or(0, |mki| mki.len_bytes().into())
    }

    /// What is added to an RTP packet.
    fn rtp_added(&self) -> Added {
        let suite = self.key.suite();
        Added::new(suite, suite.rtp_tag_bytes(), 0, self.mki_bytes())
    }

    /// What is added to an RTCP packet.
    fn rtcp_added(&self) -> Added {
        let suite = self.key.suite();
        let tag = suite.rtcp_tag_bytes();
        Added::new(suite, tag, INDEX_BYTES, self.mki_bytes())
    }
}

/// Where the parts lie that are added to a packet, counted from its end.
///
/// Counter mode has index, MKI, tag (RFC 3711 §3.1, §3.4). GCM's tag belongs to the ciphertext, so
/// it comes first: tag, index, MKI (RFC 7714 §8.2, §9.2).
#[derive(Clone, PartialEq, Eq, Debug)]
struct Added {
    tag: std::ops::Range<usize>,
    index: std::ops::Range<usize>,
    mki: std::ops::Range<usize>,
    len: usize,
}

impl Added {
    fn new(suite: Suite, tag: usize, index: usize, mki: usize) -> Self {
        let len = tag + index + mki;
        assert!(len <= ADDED_BYTES_MAX, "callers count on the most");
        let first = if suite.is_gcm() { tag } else { 0 };
        let last = first + index + mki;
        Self {
            tag: if suite.is_gcm() { 0..tag } else { last..len },
            index: first..first + index,
            mki: first + index..last,
            len,
        }
    }
}

/// The fields of an RTP packet that are never encrypted, as far as they matter here.
struct RtpHead {
    /// Length of header, contributors and extension.
    len: usize,
    sequence: u16,
    ssrc: u32,
}

impl RtpHead {
    /// [`Rtp::parse`](crate::rtp::Rtp::parse) cannot be used: the padding is encrypted.
    fn parse(packet: &[u8]) -> Result<Self, Error> {
        let (fixed, rest) = packet
            .split_first_chunk::<HEADER_BYTES>()
            .ok_or(Error::Truncated)?;
        check_version(fixed)?;
        let contributors = usize::from(fixed[0] & 0x0f) * 4;
        let extension = match fixed[0] & 0x10 {
            0 => 0,
            _ => {
                let rest = rest.get(contributors..).ok_or(Error::Truncated)?;
                let head = rest.first_chunk::<4>().ok_or(Error::Truncated)?;
                4 + usize::from(u16::from_be_bytes([head[2], head[3]])) * 4
            }
        };
        if rest.len() < contributors + extension {
            return Err(Error::Truncated);
        }
        Ok(Self {
            len: HEADER_BYTES + contributors + extension,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        })
    }
}

/// The first source of an RTCP packet: that of its sender.
fn rtcp_ssrc(packet: &[u8]) -> Result<u32, Error> {
    let head = packet
        .first_chunk::<RTCP_HEAD_BYTES>()
        .ok_or(Error::Truncated)?;
    check_version(head)?;
    Ok(u32::from_be_bytes([head[4], head[5], head[6], head[7]]))
}

fn check_version(packet: &[u8]) -> Result<(), Error> {
    match packet[0] >> 6 {
        2 => Ok(()),
        _ => Err(Error::Version),
    }
}

/// Bytes written in hexadecimal, with spaces and line ends between.
#[cfg(test)]
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|it| !it.is_whitespace())
        .map(|it| it.to_digit(16).expect("a digit") as u8)
        .collect();
    digits.chunks(2).map(|it| it[0] << 4 | it[1]).collect()
}
