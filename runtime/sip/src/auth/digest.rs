//! The digest itself.

use md5::Md5;
use sha2::{Digest as _, Sha256};

/// A digest algorithm.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Algorithm {
    /// `MD5` (RFC 7616 §3.3); what phones of the last twenty years know.
    Md5,
    /// `MD5-sess`.
    Md5Sess,
    /// `SHA-256` (RFC 8760).
    Sha256,
    /// `SHA-256-sess`.
    Sha256Sess,
}

impl Algorithm {
    /// The algorithm of this name, by any case.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Md5, Self::Md5Sess, Self::Sha256, Self::Sha256Sess]
            .into_iter()
            .find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(name))
    }

    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Md5Sess => "MD5-sess",
            Self::Sha256 => "SHA-256",
            Self::Sha256Sess => "SHA-256-sess",
        }
    }

    /// Whether its hash is the better one.
    pub(super) fn is_stronger(self, other: Self) -> bool {
        matches!(self, Self::Sha256 | Self::Sha256Sess)
            && matches!(other, Self::Md5 | Self::Md5Sess)
    }

    pub(super) fn is_session(self) -> bool {
        match self {
            Self::Md5Sess | Self::Sha256Sess => true,
            Self::Md5 | Self::Sha256 => false,
        }
    }

    /// Lower-case hexadecimal hash of the parts joined by colons.
    fn hash(self, parts: &[&str]) -> String {
        let text = parts.join(":");
        match self {
            Self::Md5 | Self::Md5Sess => hex(&Md5::digest(text)),
            Self::Sha256 | Self::Sha256Sess => hex(&Sha256::digest(text)),
        }
    }
}

/// Everything that goes into a response value.
pub(super) struct Inputs<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) user: &'a str,
    pub(super) realm: &'a str,
    pub(super) password: &'a str,
    pub(super) method: &'a str,
    pub(super) uri: &'a str,
    pub(super) nonce: &'a str,
    /// Client nonce that made the session key of the `-sess` algorithms.
    pub(super) session_cnonce: &'a str,
    /// `qop=auth`; `None` as in RFC 2069.
    pub(super) qop: Option<Qop<'a>>,
}

/// What `qop=auth` adds.
#[derive(Clone, Copy)]
pub(super) struct Qop<'a> {
    /// As written: eight hexadecimal digits.
    pub(super) nc: &'a str,
    pub(super) cnonce: &'a str,
}

impl Inputs<'_> {
    /// The response value in lower-case hexadecimal (RFC 7616 §3.4.1 to §3.4.3).
    pub(super) fn response(&self) -> String {
        let hash = |parts: &[&str]| self.algorithm.hash(parts);
        let mut a1 = hash(&[self.user, self.realm, self.password]);
        if self.algorithm.is_session() {
            a1 = hash(&[&a1, self.nonce, self.session_cnonce]);
        }
        let a2 = hash(&[self.method, self.uri]);
        match self.qop {
            Some(Qop { nc, cnonce }) => hash(&[&a1, self.nonce, nc, cnonce, "auth", &a2]),
            None => hash(&[&a1, self.nonce, &a2]),
        }
    }
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|&byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}
