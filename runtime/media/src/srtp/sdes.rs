//! Keys in SDP: the `a=crypto` attribute of security descriptions (RFC 4568), with the suites of
//! RFC 6188 and RFC 7714.
//!
//! Each side tells the key of what *it* sends. An offer lists [`offer`]s, one for each suite; who
//! answers [`choose`]s one and sends back its tag with a key of its own ([`Crypto::answer`]); who
//! offered finds its own again with [`accepted`].
//!
//! The keys stand there for everybody who reads the signaling: whether it is encrypted, too, is
//! for the caller to see to.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use thiserror::Error;
use vocab::Rng;
use zeroize::Zeroizing;

use super::keys::{MASTER_BYTES_MAX, MasterKey, Mki};
use super::suite::Suite;
use crate::limits::SDES_BYTES_MAX;

/// The name of the attribute.
pub const ATTRIBUTE: &str = "crypto";

/// Written with padding, read with and without it: both are seen.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Characters of the longest master key in base64, and the bytes that many may decode to.
const BASE64_CHARS_MAX: usize = MASTER_BYTES_MAX.div_ceil(3) * 4;
const DECODED_BYTES_MAX: usize = BASE64_CHARS_MAX / 4 * 3;

/// Longest life of a master key in packets (RFC 4568 §6.1).
const LIFETIME_MAX: u64 = 1 << 48;

/// Why an attribute is not used. It is left out, and the others of the description still count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum SdesError {
    /// Not what the grammar of RFC 4568 §9 says, or longer than 512 bytes.
    #[error("the attribute is malformed")]
    Malformed,
    /// A suite that we do not know, or nobody does.
    #[error("the suite is unknown")]
    Suite,
    /// A key that is not `inline`, or more than one.
    #[error("not one key that is given inline")]
    Method,
    /// Key and salt are not as long as the suite's.
    #[error("the key does not fit the suite")]
    Key,
    /// No packets, or more than 2^48.
    #[error("the lifetime of the key is out of range")]
    Lifetime,
    /// A master key identifier of more than four bytes, or one that does not fit its bytes.
    #[error("the master key identifier is out of range")]
    Mki,
    /// A session parameter that would have to be kept to: a key derivation rate, error correction,
    /// no encryption or no authentication (RFC 4568 §6.3).
    #[error("a session parameter is not supported")]
    Parameter,
}

/// One `a=crypto` attribute that can be used.
#[derive(Clone, PartialEq, Eq)]
pub struct Crypto {
    /// Tells it from the others of its description; an answer repeats it. At most nine digits.
    pub tag: u32,
    /// Protects what the sender of the description sends.
    pub key: MasterKey,
    /// After how many packets its sender means to change the key; told, and not kept to. The end of
    /// the packet numbers is, whatever stands here.
    pub lifetime: Option<u64>,
}

impl Crypto {
    /// Reads what follows `a=crypto:`.
    ///
    /// Takes a window size hint, which ours covers or does not, and unknown parameters that their
    /// sender marked as optional with `-` (RFC 4568 §6.3.7).
    ///
    /// # Errors
    /// [`SdesError`] says what makes the attribute unusable. [`SdesError::Suite`] is ordinary.
    pub fn parse(value: &str) -> Result<Self, SdesError> {
        if value.len() > SDES_BYTES_MAX {
            return Err(SdesError::Malformed);
        }
        let mut words = value.split_ascii_whitespace();
        let mut word = || words.next().ok_or(SdesError::Malformed);
        let (tag, suite, keys) = (word()?, word()?, word()?);
        if !(1..=9).contains(&tag.len()) {
            return Err(SdesError::Malformed);
        }
        let tag = digits(tag).and_then(|tag| u32::try_from(tag).ok());
        let tag = tag.ok_or(SdesError::Malformed)?;
        let suite = Suite::from_name(suite).ok_or(SdesError::Suite)?;
        let (key, lifetime) = parse_key(suite, keys)?;
        if !words.all(is_harmless) {
            return Err(SdesError::Parameter);
        }
        Ok(Self { tag, key, lifetime })
    }

    /// What follows `a=crypto:`. It holds the key, so it is never logged.
    pub fn to_value(&self) -> String {
        let mut text = format!("{} {} inline:", self.tag, self.key.suite().name());
        BASE64.encode_string(self.key.expose(), &mut text);
        if let Some(lifetime) = self.lifetime {
            text += &match lifetime.is_power_of_two() {
                true => format!("|2^{}", lifetime.ilog2()),
                false => format!("|{lifetime}"),
            };
        }
        if let Some(mki) = self.key.mki() {
            text += &format!("|{}:{}", mki.value(), mki.len_bytes());
        }
        text
    }

    /// Our answer to this one: the same tag and suite, and a new key for what we send.
    pub fn answer(&self, rng: &mut Rng) -> Self {
        Self {
            tag: self.tag,
            key: MasterKey::random(self.key.suite(), rng),
            lifetime: None,
        }
    }
}

impl fmt::Debug for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Crypto({} {})", self.tag, self.key.suite().name())
    }
}

/// Attributes for an offer: these suites in this order, with tags from one and a new key each.
pub fn offer(suites: &[Suite], rng: &mut Rng) -> Vec<Crypto> {
    (1..)
        .zip(suites)
        .map(|(tag, suite)| Crypto {
            tag,
            key: MasterKey::random(*suite, rng),
            lifetime: None,
        })
        .collect()
}

/// The best of the offered attributes: that of the suite that comes first in `suites`, which are
/// ours. Of two with that suite the first, which its sender prefers (RFC 4568 §5.1.1).
///
/// Attributes that cannot be read or used are passed over.
pub fn choose<'a>(offered: impl IntoIterator<Item = &'a str>, suites: &[Suite]) -> Option<Crypto> {
    offered
        .into_iter()
        .filter_map(|value| Crypto::parse(value).ok())
        .filter_map(|crypto| {
            let rank = suites.iter().position(|it| *it == crypto.key.suite())?;
            Some((rank, crypto))
        })
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, crypto)| crypto)
}

/// Which of the attributes that we offered an answer has taken: the one with its tag, if it also
/// names that one's suite (RFC 4568 §5.1.3).
pub fn accepted<'a>(offered: &'a [Crypto], answer: &Crypto) -> Option<&'a Crypto> {
    offered
        .iter()
        .find(|it| it.tag == answer.tag && it.key.suite() == answer.key.suite())
}

/// `inline:` key and salt, perhaps a lifetime, perhaps a master key identifier.
fn parse_key(suite: Suite, keys: &str) -> Result<(MasterKey, Option<u64>), SdesError> {
    let (method, info) = keys.split_once(':').ok_or(SdesError::Malformed)?;
    if !method.eq_ignore_ascii_case("inline") || info.contains(';') {
        return Err(SdesError::Method);
    }
    let mut parts = info.split('|');
    let key = decode(suite, parts.next().unwrap_or_default())?;
    let (first, second) = (parts.next(), parts.next());
    if parts.next().is_some() {
        return Err(SdesError::Malformed);
    }
    // The colon tells one from the other where only one is there.
    let (lifetime, mki) = match (first, second) {
        (Some(mki), None) if mki.contains(':') => (None, Some(mki)),
        (lifetime, mki) => (lifetime, mki),
    };
    let lifetime = lifetime.map(parse_lifetime).transpose()?;
    Ok(match mki.map(parse_mki).transpose()? {
        Some(mki) => (key.with_mki(mki), lifetime),
        None => (key, lifetime),
    })
}

fn decode(suite: Suite, text: &str) -> Result<MasterKey, SdesError> {
    if text.len() > BASE64_CHARS_MAX {
        return Err(SdesError::Key);
    }
    let mut bytes = Zeroizing::new([0; DECODED_BYTES_MAX]);
    let len = BASE64
        .decode_slice(text, &mut bytes[..])
        .map_err(|_| SdesError::Key)?;
    MasterKey::new(suite, &bytes[..len]).ok_or(SdesError::Key)
}

/// A number of packets, or `2^` and its exponent.
fn parse_lifetime(text: &str) -> Result<u64, SdesError> {
    let packets = match text.strip_prefix("2^") {
        Some(exponent) => {
            let exponent = digits(exponent).ok_or(SdesError::Malformed)?;
            let exponent = u32::try_from(exponent).map_err(|_| SdesError::Lifetime)?;
            1_u64.checked_shl(exponent).ok_or(SdesError::Lifetime)?
        }
        None => digits(text).ok_or(SdesError::Malformed)?,
    };
    if packets == 0 || packets > LIFETIME_MAX {
        return Err(SdesError::Lifetime);
    }
    Ok(packets)
}

/// Value and length.
fn parse_mki(text: &str) -> Result<Mki, SdesError> {
    let (value, len) = text.split_once(':').ok_or(SdesError::Malformed)?;
    let value = digits(value).ok_or(SdesError::Malformed)?;
    let len = digits(len).ok_or(SdesError::Malformed)?;
    let value = u32::try_from(value).map_err(|_| SdesError::Mki)?;
    let len = u8::try_from(len).map_err(|_| SdesError::Mki)?;
    Mki::new(value, len).ok_or(SdesError::Mki)
}

/// Whether a session parameter changes nothing: a hint about the replay window, or one that its
/// sender says may be ignored.
fn is_harmless(parameter: &str) -> bool {
    parameter.starts_with("WSH=") || parameter.starts_with('-')
}

/// A number of nothing but digits; the largest if it has more than fit.
fn digits(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

    #[test]
    fn the_examples_of_rfc_4568_are_read() {
        // §10.1 asks for none of the optional parts, §6.1 has the others.
        for (value, tag, lifetime, mki) in [
            (
                "1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4",
                1,
                Some(1 << 20),
                Mki::new(1, 4),
            ),
            (
                "2 AES_CM_128_HMAC_SHA1_32 inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj|2^20|1:4",
                2,
                Some(1 << 20),
                Mki::new(1, 4),
            ),
            (
                "1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR|2^20|1:32",
                0,
                None,
                None,
            ),
            (
                "1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj",
                1,
                None,
                None,
            ),
        ] {
            match Crypto::parse(value) {
                Ok(crypto) => {
                    let read = (crypto.tag, crypto.lifetime, crypto.key.mki());
                    assert_eq!(read, (tag, lifetime, mki), "{value}");
                    assert_eq!(crypto.to_value(), value);
                }
                // 32 bytes of identifier in each packet.
                Err(error) => assert_eq!((tag, error), (0, SdesError::Mki), "{value}"),
            }
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_its_cause() {
        use SdesError as E;
        let suite = "1 AES_CM_128_HMAC_SHA1_80 inline:";
        for (tail, error) in [
            ("|2^48", None),
            ("|9", None),
            ("|4096:2", None),
            (" WSH=64", None),
            (" -MINE=1 WSH=1024", None),
            ("|2^49", Some(E::Lifetime)),
            ("|2^99999999999999999999", Some(E::Lifetime)),
            ("|0", Some(E::Lifetime)),
            ("|2^", Some(E::Malformed)),
            ("|", Some(E::Malformed)),
            ("|2^20|", Some(E::Malformed)),
            ("|2^20|1", Some(E::Malformed)),
            ("|1:4|2^20", Some(E::Malformed)),
            ("|2^20|1:4|9", Some(E::Malformed)),
            ("|256:1", Some(E::Mki)),
            ("|1:0", Some(E::Mki)),
            ("|1:5", Some(E::Mki)),
            ("|1:300", Some(E::Mki)),
            (";inline:AAAA", Some(E::Method)),
            (" UNENCRYPTED_SRTP", Some(E::Parameter)),
            (" UNENCRYPTED_SRTCP", Some(E::Parameter)),
            (" UNAUTHENTICATED_SRTP", Some(E::Parameter)),
            (" KDR=0", Some(E::Parameter)),
            (" WSH=64 FEC_ORDER=FEC_SRTP", Some(E::Parameter)),
            (" NEW=1", Some(E::Parameter)),
            ("A", Some(E::Key)),
            ("*", Some(E::Key)),
        ] {
            let value = format!("{suite}{KEY}{tail}");
            assert_eq!(Crypto::parse(&value).err(), error, "{tail}");
        }
        for (value, error) in [
            ("", E::Malformed),
            ("1", E::Malformed),
            ("1 AES_CM_128_HMAC_SHA1_80", E::Malformed),
            ("1 AES_CM_128_HMAC_SHA1_80 inline", E::Malformed),
            ("1 AES_CM_128_HMAC_SHA1_80 inline:", E::Key),
            ("1 AES_CM_128_HMAC_SHA1_80 uri:x", E::Method),
            ("x AES_CM_128_HMAC_SHA1_80 inline:x", E::Malformed),
            ("+1 AES_CM_128_HMAC_SHA1_80 inline:x", E::Malformed),
            ("1234567890 AES_CM_128_HMAC_SHA1_80 inline:x", E::Malformed),
            ("1 F8_128_HMAC_SHA1_80 inline:x", E::Suite),
            ("1 AES_256_CM_HMAC_SHA1_80 inline:AAAA", E::Key),
        ] {
            assert_eq!(Crypto::parse(value).err(), Some(error), "{value}");
        }
        let short = format!("1 AEAD_AES_256_GCM inline:{KEY}");
        assert_eq!(Crypto::parse(&short).err(), Some(E::Key));
        let long = format!("{suite}{KEY} {}", "-X ".repeat(SDES_BYTES_MAX));
        assert_eq!(Crypto::parse(&long).err(), Some(E::Malformed));
    }

    #[test]
    fn keys_of_every_suite_read_back_with_and_without_padding() {
        let mut rng = Rng::from_u64(4568);
        for crypto in offer(&Suite::ALL, &mut rng) {
            let value = crypto.to_value();
            assert_eq!(Crypto::parse(&value), Ok(crypto.clone()));
            let bare = value.trim_end_matches('=');
            assert_eq!(Crypto::parse(bare), Ok(crypto));
        }
    }

    #[test]
    fn offers_and_answers_meet() {
        let mut rng = Rng::from_u64(1);
        let offered = offer(&Suite::ALL, &mut rng);
        assert_eq!(
            offered.iter().map(|it| it.tag).collect::<Vec<_>>(),
            [1, 2, 3, 4, 5, 6]
        );
        let values: Vec<_> = offered.iter().map(Crypto::to_value).collect();
        let values = || values.iter().map(String::as_str);
        let ours = [Suite::Aes256CmHmacSha1_32, Suite::AesCm128HmacSha1_80];
        let chosen = choose(values(), &ours).expect("both are offered");
        assert_eq!(chosen, offered[4]);
        assert_eq!(choose(values(), &[]), None);
        assert_eq!(choose(["1 NEW inline:x", "nonsense"], &Suite::ALL), None);

        let answer = chosen.answer(&mut rng);
        assert_ne!(answer.key, chosen.key);
        assert_eq!(accepted(&offered, &answer), Some(&offered[4]));
        let other_tag = Crypto {
            tag: 1,
            ..answer.clone()
        };
        assert_eq!(accepted(&offered, &other_tag), None);
        let no_tag = Crypto { tag: 7, ..answer };
        assert_eq!(accepted(&offered, &no_tag), None);
    }

    #[test]
    fn of_two_with_one_suite_the_first_counts() {
        let line = |tag| format!("{tag} AES_CM_128_HMAC_SHA1_80 inline:{KEY}");
        let (first, second) = (line(4), line(3));
        let chosen = choose([&first[..], &second], &Suite::ALL).expect("good ones");
        assert_eq!(chosen.tag, 4);
    }

    #[test]
    fn keys_are_not_printed() {
        let value = format!("7 AES_CM_128_HMAC_SHA1_80 inline:{KEY}");
        let crypto = Crypto::parse(&value).expect("a good one");
        assert_eq!(format!("{crypto:?}"), "Crypto(7 AES_CM_128_HMAC_SHA1_80)");
    }
}
