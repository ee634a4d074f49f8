//! RTP packets (RFC 3550 §5): read where they lie, written in place.

use thiserror::Error;

/// Length of a header without contributing sources or an extension.
pub const HEADER_BYTES: usize = 12;

/// Samples a second of the RTP clock of every format used here (RFC 3551 §4.5.14, RFC 4733).
pub const CLOCK_HZ: u32 = 8_000;

/// Why bytes are not an RTP packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum RtpError {
    /// Shorter than its header, contributing sources and extension say.
    #[error("the packet ends within its header")]
    Truncated,
    /// Not version 2.
    #[error("the packet is not RTP version 2")]
    Version,
    /// The padding count is zero or larger than what follows the header (RFC 3550 §5.1).
    #[error("the padding count does not fit the packet")]
    Padding,
}

/// A packet that was received; its parts borrow from the datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rtp<'a> {
    /// The fixed header's fields.
    pub header: Header,
    /// Contributing sources, four bytes each, at most 15 of them.
    pub contributors: &'a [u8],
    /// The header extension: what its profile defines, and its words.
    pub extension: Option<(u16, &'a [u8])>,
    /// What is carried, without padding.
    pub payload: &'a [u8],
}

/// The fields of the fixed header that vary.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Header {
    /// For audio: the first packet after a silence (RFC 3551 §4.1).
    pub marker: bool,
    /// What the payload is, 0 to 127.
    pub payload_type: u8,
    /// Counts packets, wrapping.
    pub sequence: u16,
    /// Sampling instant of the first sample, in samples, wrapping.
    pub timestamp: u32,
    /// The synchronization source.
    pub ssrc: u32,
}

impl<'a> Rtp<'a> {
    /// Reads a datagram.
    ///
    /// # Errors
    /// [`RtpError`] names the rule of RFC 3550 §5.1 or Appendix A.1 that the bytes break.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RtpError> {
        let Some((fixed, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Err(RtpError::Truncated);
        };
        if fixed[0] >> 6 != 2 {
            return Err(RtpError::Version);
        }
        let contributors_len = usize::from(fixed[0] & 0x0f) * 4;
        let (contributors, rest) = rest
            .split_at_checked(contributors_len)
            .ok_or(RtpError::Truncated)?;
        let (extension, rest) = match fixed[0] & 0x10 {
            0 => (None, rest),
            _ => {
                let (head, rest) = rest.split_first_chunk::<4>().ok_or(RtpError::Truncated)?;
                let words = usize::from(u16::from_be_bytes([head[2], head[3]]));
                let (body, rest) = rest
                    .split_at_checked(words * 4)
                    .ok_or(RtpError::Truncated)?;
                (Some((u16::from_be_bytes([head[0], head[1]]), body)), rest)
            }
        };
        let payload = match fixed[0] & 0x20 {
            0 => rest,
            _ => {
                let padding = usize::from(*rest.last().ok_or(RtpError::Padding)?);
                if padding == 0 || padding > rest.len() {
                    return Err(RtpError::Padding);
                }
                &rest[..rest.len() - padding]
            }
        };
        let header = Header {
            marker: fixed[1] & 0x80 != 0,
            payload_type: fixed[1] & 0x7f,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        };
        Ok(Self {
            header,
            contributors,
            extension,
            payload,
        })
    }
}

impl Header {
    /// The header as bytes: no contributors, extension or padding.
    pub fn to_bytes(self) -> [u8; HEADER_BYTES] {
        assert!(self.payload_type < 128, "payload types have seven bits");
        let mut bytes = [0; HEADER_BYTES];
        bytes[0] = 2 << 6;
        bytes[1] = u8::from(self.marker) << 7 | self.payload_type;
        bytes[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        bytes
    }
}

/// Whether a datagram is RTCP rather than RTP when both share a port: packet types 192 to 223
/// (RFC 5761 §4).
pub fn is_rtcp(bytes: &[u8]) -> bool {
    bytes.len() >= 8 && bytes[0] >> 6 == 2 && (192..=223).contains(&bytes[1])
}

/// How far `a` is ahead of `b` on the wrapping 32 bit clock; negative if behind.
pub fn timestamp_diff(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b).cast_signed()
}

/// How far `a` is ahead of `b` on the wrapping 16 bit count; negative if behind.
pub fn sequence_diff(a: u16, b: u16) -> i16 {
    a.wrapping_sub(b).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(first: u8, tail: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first, 0x80, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        bytes.extend_from_slice(tail);
        bytes
    }

    #[test]
    fn headers_read_back() {
        for header in [
            Header::default(),
            Header {
                marker: true,
                payload_type: 101,
                sequence: 65_535,
                timestamp: 9,
                ssrc: 1,
            },
            Header {
                marker: false,
                payload_type: 127,
                sequence: 7,
                timestamp: !0,
                ssrc: !0,
            },
        ] {
            let mut bytes = header.to_bytes().to_vec();
            bytes.extend_from_slice(b"audio");
            let read = Rtp::parse(&bytes).expect("what we write is valid");
            assert_eq!(read.header, header);
            assert_eq!(read.payload, b"audio");
        }
    }

    #[test]
    fn every_part_is_found() {
        let bytes = packet(
            0xb1,
            &[0, 0, 0, 9, 0xbe, 0xde, 0, 1, 1, 2, 3, 4, 7, 7, 0, 2],
        );
        let read = Rtp::parse(&bytes).expect("valid");
        assert_eq!(read.contributors, [0, 0, 0, 9]);
        assert_eq!(read.extension, Some((0xbede, &[1, 2, 3, 4][..])));
        assert_eq!(read.payload, [7, 7]);
        assert!(read.header.marker);
    }

    #[test]
    fn bad_packets_are_refused() {
        for (bytes, error) in [
            (vec![], RtpError::Truncated),
            (packet(0x80, &[])[..11].to_vec(), RtpError::Truncated),
            (packet(0x40, &[]), RtpError::Version),
            (packet(0xc0, &[]), RtpError::Version),
            (packet(0x81, &[0, 0, 0]), RtpError::Truncated),
            (packet(0x90, &[0, 0, 0]), RtpError::Truncated),
            (packet(0x90, &[0, 0, 0, 1, 0, 0, 0]), RtpError::Truncated),
            (packet(0xa0, &[]), RtpError::Padding),
            (packet(0xa0, &[5, 0]), RtpError::Padding),
            (packet(0xa0, &[5, 3]), RtpError::Padding),
        ] {
            assert_eq!(Rtp::parse(&bytes), Err(error), "{bytes:?}");
        }
        let all_padding = packet(0xa0, &[0, 2]);
        assert_eq!(Rtp::parse(&all_padding).map(|rtp| rtp.payload.len()), Ok(0));
    }

    #[test]
    fn differences_wrap() {
        assert_eq!(timestamp_diff(5, u32::MAX - 4), 10);
        assert_eq!(timestamp_diff(u32::MAX, 0), -1);
        assert_eq!(sequence_diff(0, 65_535), 1);
        assert_eq!(sequence_diff(65_000, 200), -736);
    }
}
