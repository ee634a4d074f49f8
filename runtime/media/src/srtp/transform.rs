//! Encrypting and authenticating the bytes of one packet: counter mode with HMAC-SHA1
//! (RFC 3711 §4.1.1, §4.2.1) and GCM (RFC 7714). Knows nothing of streams and replays.

use aes::Block;
use hmac::{Hmac, KeyInit, Mac};
use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use sha1::Sha1;
use zeroize::Zeroizing;

use super::error::Error;
use super::keys::{Aes, BLOCK_BYTES, SessionKeys};

/// Longest tag: the one of GCM.
pub(super) const TAG_BYTES_MAX: usize = 16;

/// Blocks of key stream made at a time: as many as the processor's units have in flight, and the
/// ten of 20 ms of G.711 in few rounds.
const STREAM_BLOCKS: usize = 16;

/// Most blocks of one packet: the counter within a packet has 16 bits (RFC 3711 §4.1.1).
const PACKET_BLOCKS_MAX: usize = 1 << 16;

/// Which packet it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// An RTP packet.
    Rtp {
        ssrc: u32,
        /// Roll-over counter and sequence number, 48 bits.
        index: u64,
    },
    /// An RTCP packet.
    Rtcp {
        ssrc: u32,
        /// Counts packets, 31 bits.
        index: u32,
    },
}

/// The bit beside the index of an RTCP packet that tells it is encrypted (RFC 3711 §3.4).
pub(super) const ENCRYPTED: u32 = 1 << 31;

impl Place {
    fn ssrc_and_index(self) -> (u32, u64) {
        match self {
            Self::Rtp { ssrc, index } => (ssrc, index),
            Self::Rtcp { ssrc, index } => (ssrc, index.into()),
        }
    }

    /// What counter mode authenticates behind the packet: the roll-over counter, which is not
    /// sent, or the word with the index, which is (RFC 3711 §4.2).
    fn suffix(self) -> [u8; 4] {
        match self {
            Self::Rtp { index, .. } => ((index >> 16) as u32).to_be_bytes(),
            Self::Rtcp { index, .. } => (ENCRYPTED | index).to_be_bytes(),
        }
    }

    /// Source, zeros and index as GCM's salt is mixed with them (RFC 7714 §8.1, §9.1). Both kinds
    /// come out alike: an RTCP index is shorter, and zeros stand before it.
    fn nonce(self) -> [u8; 12] {
        let (ssrc, index) = self.ssrc_and_index();
        let mut nonce = [0; 12];
        nonce[2..6].copy_from_slice(&ssrc.to_be_bytes());
        nonce[6..].copy_from_slice(&index.to_be_bytes()[2..]);
        nonce
    }
}

/// A tag, at the length of its suite.
#[derive(Clone, Copy)]
pub(super) struct Tag {
    bytes: [u8; TAG_BYTES_MAX],
    len: usize,
}

impl Tag {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Keys at work on one kind of packet, RTP or RTCP.
pub(super) enum Transform {
    Counter(Counter),
    Gcm(Gcm),
}

impl Transform {
    /// What protects packets whose tags have `tag_bytes`.
    pub(super) fn new(keys: &SessionKeys, tag_bytes: usize) -> Self {
        if keys.suite.is_gcm() {
            assert_eq!(tag_bytes, TAG_BYTES_MAX, "GCM has one length of tags here");
            Self::Gcm(Gcm::new(keys))
        } else {
            Self::Counter(Counter::new(keys, tag_bytes))
        }
    }

    /// Encrypts what follows the first `clear` bytes, and authenticates all.
    pub(super) fn seal(&self, place: Place, packet: &mut [u8], clear: usize) -> Result<Tag, Error> {
        check_len(packet)?;
        match self {
            Self::Counter(it) => Ok(it.seal(place, packet, clear)),
            Self::Gcm(it) => it.seal(place, packet, clear),
        }
    }

    /// The opposite. If it fails, the part that was encrypted is nothing to be used.
    pub(super) fn open(
        &self,
        place: Place,
        packet: &mut [u8],
        clear: usize,
        tag: &[u8],
    ) -> Result<(), Error> {
        check_len(packet)?;
        match self {
            Self::Counter(it) => it.open(place, packet, clear, tag),
            Self::Gcm(it) => it.open(place, packet, clear, tag),
        }
    }
}

fn check_len(packet: &[u8]) -> Result<(), Error> {
    if packet.len() > PACKET_BLOCKS_MAX * BLOCK_BYTES {
        return Err(Error::Length);
    }
    Ok(())
}

/// AES in counter mode with HMAC-SHA1.
pub(super) struct Counter {
    aes: Aes,
    /// The salt where the counter's blocks have it: its last 16 bits are zero.
    salt: Zeroizing<u128>,
    /// Has taken its key in already; each packet continues a copy.
    mac: Hmac<Sha1>,
    tag_bytes: usize,
}

impl Counter {
    fn new(keys: &SessionKeys, tag_bytes: usize) -> Self {
        let mut salt = [0; BLOCK_BYTES];
        salt[..keys.salt().len()].copy_from_slice(keys.salt());
        Self {
            aes: Aes::new(keys.encryption()),
            salt: Zeroizing::new(u128::from_be_bytes(salt)),
            mac: Hmac::new_from_slice(keys.authentication())
                .expect("HMAC takes keys of any length"),
            tag_bytes,
        }
    }

    fn seal(&self, place: Place, packet: &mut [u8], clear: usize) -> Tag {
        self.crypt(place, &mut packet[clear..]);
        let mut tag = Tag {
            bytes: [0; TAG_BYTES_MAX],
            len: self.tag_bytes,
        };
        let whole = self.mac(place, packet).finalize().into_bytes();
        tag.bytes[..self.tag_bytes].copy_from_slice(&whole[..self.tag_bytes]);
        tag
    }

    fn open(&self, place: Place, packet: &mut [u8], clear: usize, tag: &[u8]) -> Result<(), Error> {
        assert_eq!(tag.len(), self.tag_bytes, "the caller cuts the packet");
        let mac = self.mac(place, packet);
        mac.verify_truncated_left(tag).map_err(|_| Error::Tag)?;
        self.crypt(place, &mut packet[clear..]);
        Ok(())
    }

    fn mac(&self, place: Place, packet: &[u8]) -> Hmac<Sha1> {
        let mut mac = self.mac.clone();
        mac.update(packet);
        mac.update(&place.suffix());
        mac
    }

    /// Adds the key stream, which both encrypts and decrypts.
    fn crypt(&self, place: Place, bytes: &mut [u8]) {
        let (ssrc, index) = place.ssrc_and_index();
        let mut counter = *self.salt ^ (u128::from(ssrc) << 64) ^ (u128::from(index) << 16);
        for part in bytes.chunks_mut(STREAM_BLOCKS * BLOCK_BYTES) {
            let mut stream = [Block::default(); STREAM_BLOCKS];
            let stream = &mut stream[..part.len().div_ceil(BLOCK_BYTES)];
            for block in &mut *stream {
                *block = counter.to_be_bytes().into();
                counter = counter.wrapping_add(1);
            }
            self.aes.encrypt(stream);
            let (whole, rest) = part.as_chunks_mut::<BLOCK_BYTES>();
            for (bytes, key) in whole.iter_mut().zip(&*stream) {
                let mixed = u128::from_ne_bytes(*bytes) ^ u128::from_ne_bytes((*key).into());
                *bytes = mixed.to_ne_bytes();
            }
            let last = stream.last().expect("a part is not empty");
            for (byte, key) in rest.iter_mut().zip(last) {
                *byte ^= key;
            }
        }
    }
}

/// AES in Galois/Counter Mode.
pub(super) struct Gcm {
    key: LessSafeKey,
    salt: Zeroizing<[u8; 12]>,
}

impl Gcm {
    fn new(keys: &SessionKeys) -> Self {
        let algorithm = match keys.encryption().len() {
            16 => &AES_128_GCM,
            _ => &AES_256_GCM,
        };
        let key = UnboundKey::new(algorithm, keys.encryption()).expect("suites know their keys");
        let salt = keys.salt().try_into().expect("suites know their salts");
        Self {
            key: LessSafeKey::new(key),
            salt: Zeroizing::new(salt),
        }
    }

    fn seal(&self, place: Place, packet: &mut [u8], clear: usize) -> Result<Tag, Error> {
        let (head, body) = packet.split_at_mut(clear);
        let mut rtcp = [0; 12];
        let known = known(place, head, &mut rtcp);
        let sealed = self
            .key
            .seal_in_place_separate_tag(self.nonce(place), Aad::from(known), body)
            .map_err(|_| Error::Length)?;
        let bytes = sealed.as_ref().try_into();
        Ok(Tag {
            bytes: bytes.expect("a tag of GCM has 16 bytes"),
            len: TAG_BYTES_MAX,
        })
    }

    fn open(&self, place: Place, packet: &mut [u8], clear: usize, tag: &[u8]) -> Result<(), Error> {
        let (head, body) = packet.split_at_mut(clear);
        let mut rtcp = [0; 12];
        let known = known(place, head, &mut rtcp);
        let tag = tag.try_into().expect("the caller cuts the packet");
        self.key
            .open_in_place_separate_tag(self.nonce(place), Aad::from(known), tag, body, 0..)
            .map_err(|_| Error::Tag)?;
        Ok(())
    }

    fn nonce(&self, place: Place) -> Nonce {
        let mut nonce = place.nonce();
        for (byte, salt) in nonce.iter_mut().zip(self.salt.iter()) {
            *byte ^= salt;
        }
        Nonce::assume_unique_for_key(nonce)
    }
}

/// What GCM authenticates without encrypting it: the head, and of RTCP also the word with the
/// index, which lies elsewhere in the packet (RFC 7714 §8.2, §9.2).
fn known<'a>(place: Place, head: &'a [u8], rtcp: &'a mut [u8; 12]) -> &'a [u8] {
    match place {
        Place::Rtp { .. } => head,
        Place::Rtcp { .. } => {
            rtcp[..8].copy_from_slice(head);
            rtcp[8..].copy_from_slice(&place.suffix());
            rtcp
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::hex;
    use super::super::suite::Suite;
    use super::*;

    /// The first and the last whole blocks of the longest key stream.
    fn check_stream(suite: Suite, key: &str, expected: &[(usize, &str)]) {
        let salt = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD");
        let counter = Counter::new(&SessionKeys::of(suite, &hex(key), &salt), 10);
        let mut stream = vec![0; 0xff02 * BLOCK_BYTES];
        counter.crypt(Place::Rtp { ssrc: 0, index: 0 }, &mut stream);
        for (block, expected) in expected {
            let at = block * BLOCK_BYTES;
            assert_eq!(stream[at..at + BLOCK_BYTES], hex(expected), "{block:x}");
        }
    }

    #[test]
    fn rfc_3711_appendix_b_2() {
        check_stream(
            Suite::AesCm128HmacSha1_80,
            "2B7E151628AED2A6ABF7158809CF4F3C",
            &[
                (0x0000, "E03EAD0935C95E80E166B16DD92B4EB4"),
                (0x0001, "D23513162B02D0F72A43A2FE4A5F97AB"),
                (0x0002, "41E95B3BB0A2E8DD477901E4FCA894C0"),
                (0xfeff, "EC8CDF7398607CB0F2D21675EA9EA1E4"),
                (0xff00, "362B7C3C6773516318A077D7FC5073AE"),
                (0xff01, "6A2CC3787889374FBEB4C81B17BA6C44"),
            ],
        );
    }

    #[test]
    fn rfc_6188_section_7_1() {
        check_stream(
            Suite::Aes256CmHmacSha1_80,
            "57f82fe3613fd170a85ec93c40b1f0922ec4cb0dc025b58272147cc438944a98",
            &[
                (0x0000, "92bdd28a93c3f52511c677d08b5515a4"),
                (0x0001, "9da71b2378a854f67050756ded165bac"),
                (0x0002, "63c4868b7096d88421b563b8c94c9a31"),
                (0xfeff, "cea518c90fd91ced9cbb18c078a54711"),
                (0xff00, "3dbc4814f4da5f00a08772b63c6a046d"),
                (0xff01, "6eb246913062a16891433e97dd01a57f"),
            ],
        );
    }

    #[test]
    fn the_key_stream_is_not_longer_than_its_counter() {
        let keys = SessionKeys::of(Suite::AesCm128HmacSha1_32, &[1; 16], &[2; 14]);
        let transform = Transform::new(&keys, 4);
        let place = Place::Rtp { ssrc: 1, index: 2 };
        let mut packet = vec![0; PACKET_BLOCKS_MAX * BLOCK_BYTES];
        assert!(transform.seal(place, &mut packet, 12).is_ok());
        packet.push(0);
        let refused = transform.seal(place, &mut packet, 12);
        assert_eq!(refused.map(|tag| tag.len), Err(Error::Length));
    }
}
