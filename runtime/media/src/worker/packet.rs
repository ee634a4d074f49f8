//! The bytes of one datagram to send.

use std::fmt;

/// Bytes kept without an allocation: a G.711 packet of 20 ms has 172, up to 16 more where it is
/// encrypted; Opus about 100, a compound RTCP packet of ours about 120.
const INLINE_BYTES: usize = 200;

/// One RTP or RTCP packet, ready for the socket.
///
/// Up to 200 bytes are held inline, so an ordinary 20 ms packet costs no allocation. Longer ones
/// (L16, and packets of 30 ms and more) are on the heap.
#[derive(Clone)]
pub struct Packet(Bytes);

#[derive(Clone)]
enum Bytes {
    Inline { len: u8, bytes: [u8; INLINE_BYTES] },
    Heap(Box<[u8]>),
}

impl Packet {
    /// The bytes for the wire.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Bytes::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Bytes::Heap(bytes) => bytes,
        }
    }

    /// A packet of `len` zero bytes that `fill` then writes.
    pub(crate) fn build(len: usize, fill: impl FnOnce(&mut [u8])) -> Self {
        if len <= INLINE_BYTES {
            let mut bytes = [0; INLINE_BYTES];
            fill(&mut bytes[..len]);
            let len = u8::try_from(len).expect("an inline packet has at most 200 bytes");
            Self(Bytes::Inline { len, bytes })
        } else {
            let mut bytes = vec![0; len].into_boxed_slice();
            fill(&mut bytes);
            Self(Bytes::Heap(bytes))
        }
    }
}

impl AsRef<[u8]> for Packet {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl PartialEq for Packet {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Packet {}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Packet({} bytes)", self.as_bytes().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_packets_hold_what_was_written() {
        for len in [0, 12, 172, INLINE_BYTES, INLINE_BYTES + 1, 1_500] {
            let packet = Packet::build(len, |bytes| bytes.fill(7));
            assert_eq!(packet.as_bytes(), vec![7; len]);
        }
    }

    #[test]
    fn audio_is_not_printed() {
        assert_eq!(
            format!("{:?}", Packet::build(172, |_| ())),
            "Packet(172 bytes)"
        );
    }
}
