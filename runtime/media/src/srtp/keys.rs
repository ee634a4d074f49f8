//! Master keys, and the session keys that are derived from them (RFC 3711 §4.3).

use std::fmt;

use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use aes::{Aes128Enc, Aes256Enc, Block};
use subtle::ConstantTimeEq;
use vocab::Rng;
use zeroize::Zeroizing;

use super::suite::Suite;

/// Length of AES blocks (FIPS 197 §3.4).
pub(super) const BLOCK_BYTES: usize = 16;

/// Longest master key and salt: AES-256 and the salt of counter mode.
pub const MASTER_BYTES_MAX: usize = 46;

/// Length of the key that HMAC-SHA1 authenticates with (RFC 3711 §8.2).
const MAC_KEY_BYTES: usize = 20;

/// What a key is derived for: the labels of RFC 3711 §4.3.1 and §4.3.2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum Label {
    RtpEncryption = 0,
    RtpAuthentication = 1,
    RtpSalt = 2,
    RtcpEncryption = 3,
    RtcpAuthentication = 4,
    RtcpSalt = 5,
}

/// A master key identifier: the bytes that each packet carries to say which master key it was made
/// with (RFC 3711 §3.1).
///
/// One to four of them. The standard allows 128 in SDES; products that send any send one or four.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mki {
    value: u32,
    len: u8,
}

impl Mki {
    /// The value in `len` bytes; `None` if it does not fit them, or they are not one to four.
    pub fn new(value: u32, len: u8) -> Option<Self> {
        let fits = match len {
            1..=3 => value >> (8 * len) == 0,
            4 => true,
            _ => false,
        };
        fits.then_some(Self { value, len })
    }

    /// The number.
    pub fn value(self) -> u32 {
        self.value
    }

    /// How many bytes it takes in a packet.
    pub fn len_bytes(self) -> u8 {
        self.len
    }

    /// Whether these are its bytes.
    pub(super) fn is(self, bytes: &[u8]) -> bool {
        self.value.to_be_bytes()[usize::from(4 - self.len)..] == *bytes
    }

    /// Writes it over all of `out`, which has its length.
    pub(super) fn write(self, out: &mut [u8]) {
        out.copy_from_slice(&self.value.to_be_bytes()[usize::from(4 - self.len)..]);
    }
}

/// A suite's master key and salt: the one secret of one direction.
///
/// Wiped when dropped. `Debug` prints the suite only, comparing takes the same time wherever two
/// keys differ.
#[derive(Clone)]
pub struct MasterKey {
    suite: Suite,
    bytes: Zeroizing<[u8; MASTER_BYTES_MAX]>,
    mki: Option<Mki>,
}

impl MasterKey {
    /// The key and the salt behind it, as SDES carries them.
    ///
    /// `None` if they are not [`Suite::master_bytes`] long.
    pub fn new(suite: Suite, key_and_salt: &[u8]) -> Option<Self> {
        if key_and_salt.len() != suite.master_bytes() {
            return None;
        }
        let mut bytes = Zeroizing::new([0; MASTER_BYTES_MAX]);
        bytes[..key_and_salt.len()].copy_from_slice(key_and_salt);
        let mki = None;
        Some(Self { suite, bytes, mki })
    }

    /// A new one.
    pub fn random(suite: Suite, rng: &mut Rng) -> Self {
        let mut bytes = Zeroizing::new([0; MASTER_BYTES_MAX]);
        rng.fill(&mut bytes[..suite.master_bytes()]);
        let mki = None;
        Self { suite, bytes, mki }
    }

    /// The same key with an identifier, which each packet then carries.
    pub fn with_mki(self, mki: Mki) -> Self {
        let mki = Some(mki);
        Self { mki, ..self }
    }

    /// What the key is for.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// What packets made with it carry to say so; mostly nothing.
    pub fn mki(&self) -> Option<Mki> {
        self.mki
    }

    /// The key and the salt behind it, for those who send them to the far end.
    pub fn expose(&self) -> &[u8] {
        &self.bytes[..self.suite.master_bytes()]
    }

    /// The keys of RTP packets.
    pub(super) fn rtp(&self) -> SessionKeys {
        self.derive(
            Label::RtpEncryption,
            Label::RtpAuthentication,
            Label::RtpSalt,
        )
    }

    /// The keys of RTCP packets.
    pub(super) fn rtcp(&self) -> SessionKeys {
        self.derive(
            Label::RtcpEncryption,
            Label::RtcpAuthentication,
            Label::RtcpSalt,
        )
    }

    fn derive(&self, encryption: Label, authentication: Label, salt: Label) -> SessionKeys {
        let (key, master_salt) = self.expose().split_at(self.suite.key_bytes());
        let mut keys = SessionKeys {
            suite: self.suite,
            encryption: Zeroizing::default(),
            authentication: Zeroizing::default(),
            salt: Zeroizing::default(),
        };
        let prf = Prf::new(key, master_salt);
        prf.fill(encryption, &mut keys.encryption[..self.suite.key_bytes()]);
        prf.fill(authentication, &mut *keys.authentication);
        prf.fill(salt, &mut keys.salt[..self.suite.salt_bytes()]);
        keys
    }
}

impl PartialEq for MasterKey {
    fn eq(&self, other: &Self) -> bool {
        self.suite == other.suite
            && self.mki == other.mki
            && bool::from(self.bytes[..].ct_eq(&other.bytes[..]))
    }
}

impl Eq for MasterKey {}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.suite.name())
    }
}

/// The keys that packets of one kind are protected with.
pub(super) struct SessionKeys {
    pub(super) suite: Suite,
    /// [`Suite::key_bytes`] of it are used.
    encryption: Zeroizing<[u8; 32]>,
    /// Of counter mode only.
    authentication: Zeroizing<[u8; MAC_KEY_BYTES]>,
    /// [`Suite::salt_bytes`] of it are used; zeros follow.
    salt: Zeroizing<[u8; 14]>,
}

impl SessionKeys {
    pub(super) fn encryption(&self) -> &[u8] {
        &self.encryption[..self.suite.key_bytes()]
    }

    pub(super) fn authentication(&self) -> &[u8; MAC_KEY_BYTES] {
        &self.authentication
    }

    pub(super) fn salt(&self) -> &[u8] {
        &self.salt[..self.suite.salt_bytes()]
    }

    /// Session keys as they are, for vectors that begin below the derivation.
    #[cfg(test)]
    pub(super) fn of(suite: Suite, encryption: &[u8], salt: &[u8]) -> Self {
        let mut keys = Self {
            suite,
            encryption: Zeroizing::default(),
            authentication: Zeroizing::default(),
            salt: Zeroizing::default(),
        };
        keys.encryption[..encryption.len()].copy_from_slice(encryption);
        keys.salt[..salt.len()].copy_from_slice(salt);
        keys
    }
}

/// AES with the key length that is asked for, which encrypts blocks and never decrypts one.
pub(super) enum Aes {
    Short(Aes128Enc),
    Long(Aes256Enc),
}

impl Aes {
    /// # Panics
    /// If the key has neither 16 nor 32 bytes: suites have no other.
    pub(super) fn new(key: &[u8]) -> Self {
        if let Ok(key) = <&Array<u8, _>>::try_from(key) {
            Self::Short(Aes128Enc::new(key))
        } else {
            let key = key.try_into().expect("keys have 16 or 32 bytes");
            Self::Long(Aes256Enc::new(key))
        }
    }

    pub(super) fn encrypt(&self, blocks: &mut [Block]) {
        match self {
            Self::Short(aes) => aes.encrypt_blocks(blocks),
            Self::Long(aes) => aes.encrypt_blocks(blocks),
        }
    }
}

/// The pseudo-random function of key derivation: AES in counter mode with the master key
/// (RFC 3711 §4.3.3, RFC 6188 §3).
///
/// Keys are derived once, never again by packet number: the key derivation rate is zero, which is
/// what everybody uses and the only one that SDES attributes are accepted with.
struct Prf {
    aes: Aes,
    /// The master salt in front, zeros behind: a salt of GCM is made as long as one of counter
    /// mode by zeros at its end (RFC 7714 §11).
    salt: [u8; BLOCK_BYTES],
}

impl Prf {
    fn new(key: &[u8], master_salt: &[u8]) -> Self {
        let mut salt = [0; BLOCK_BYTES];
        salt[..master_salt.len()].copy_from_slice(master_salt);
        let aes = Aes::new(key);
        Self { aes, salt }
    }

    fn fill(&self, label: Label, out: &mut [u8]) {
        let mut counter = self.salt;
        // The label stands before the 48 bits of the packet number, which are zero at rate zero.
        counter[7] ^= label as u8;
        for (n, part) in out.chunks_mut(BLOCK_BYTES).enumerate() {
            let mut block = counter;
            block[15] = u8::try_from(n).expect("keys have at most a few blocks");
            let mut block = [Block::from(block)];
            self.aes.encrypt(&mut block);
            part.copy_from_slice(&block[0][..part.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::hex;
    use super::*;

    fn derive(key: &str, salt: &str, label: Label, len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        Prf::new(&hex(key), &hex(salt)).fill(label, &mut out);
        out
    }

    #[test]
    fn rfc_3711_appendix_b_3() {
        let check = |label, expected: &str| {
            let key = "E1F97A0D3E018BE0D64FA32C06DE4139";
            let salt = "0EC675AD498AFEEBB6960B3AABE6";
            let expected = hex(expected);
            assert_eq!(derive(key, salt, label, expected.len()), expected);
        };
        check(Label::RtpEncryption, "C61E7A93744F39EE10734AFE3FF7A087");
        check(Label::RtpSalt, "30CBBC08863D8C85D49DB34A9AE1");
        check(
            Label::RtpAuthentication,
            "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA48F0A0ACF3C34E2359E6CDBCE
             E049646C43D9327AD175578EF72270986371C10C9A369AC2F94A8C5FBCDDDC25
             6D6E919A48B610EF17C2041E474035766B68642C59BBFC2F34DB60DBDFB2",
        );
    }

    #[test]
    fn rfc_6188_section_7_2() {
        let check = |label, expected: &str| {
            let key = "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6";
            let salt = "3b04803de51ee7c96423ab5b78d2";
            let expected = hex(expected);
            assert_eq!(derive(key, salt, label, expected.len()), expected);
        };
        check(
            Label::RtpEncryption,
            "5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4",
        );
        check(Label::RtpSalt, "fa31791685ca444a9e07c6c64e93");
        check(
            Label::RtpAuthentication,
            "fd9c32d39ed5fbb5a9dc96b30818454d1313dc05",
        );
    }

    #[test]
    fn keys_have_the_length_of_their_suite() {
        let mut rng = Rng::from_u64(1);
        for suite in Suite::ALL {
            let key = MasterKey::random(suite, &mut rng);
            assert_eq!(key.expose().len(), suite.master_bytes());
            assert!(suite.master_bytes() <= MASTER_BYTES_MAX);
            assert_eq!(MasterKey::new(suite, key.expose()).as_ref(), Some(&key));
            assert_eq!(MasterKey::new(suite, &key.expose()[1..]), None);
            assert_ne!(MasterKey::random(suite, &mut rng), key);
            assert_eq!(key.rtp().encryption().len(), suite.key_bytes());
            assert_ne!(key.rtp().encryption(), key.rtcp().encryption());
        }
    }

    #[test]
    fn identifiers_fit_their_bytes() {
        for (value, len, fits) in [
            (0, 0, false),
            (255, 1, true),
            (256, 1, false),
            (1 << 24, 3, false),
            (u32::MAX, 4, true),
            (1, 5, false),
        ] {
            assert_eq!(Mki::new(value, len).is_some(), fits, "{value}:{len}");
        }
        let mki = Mki::new(0x0102, 3).expect("fits");
        let mut bytes = [9; 3];
        mki.write(&mut bytes);
        assert_eq!(bytes, [0, 1, 2]);
        assert!(mki.is(&bytes) && !mki.is(&[1, 2]) && !mki.is(&[0, 1, 3]));
    }

    #[test]
    fn keys_are_not_printed() {
        let key = MasterKey::new(Suite::AesCm128HmacSha1_80, &[7; 30]);
        assert_eq!(
            format!("{key:?}"),
            "Some(MasterKey(AES_CM_128_HMAC_SHA1_80))"
        );
    }
}
