//! What a description says of a certificate.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// SHA-256 of a certificate, as in `a=fingerprint:sha-256 4A:AD:…` (RFC 8122 §5). Browsers send no
/// other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

/// Name of the function in a description.
const NAME: &str = "sha-256";

impl Fingerprint {
    /// Of a certificate in DER.
    pub fn of(certificate: &[u8]) -> Self {
        Self(Sha256::digest(certificate).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = ' ';
        f.write_str(NAME)?;
        for byte in self.0 {
            write!(f, "{between}{byte:02X}")?;
            between = ':';
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = ();

    /// Reads the value of the attribute, letters of any case.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (name, digits) = text.trim().split_once(' ').ok_or(())?;
        if !name.eq_ignore_ascii_case(NAME) {
            return Err(());
        }
        let mut bytes = [0; 32];
        let mut pairs = digits.trim().split(':');
        for byte in &mut bytes {
            let pair = pairs.next().filter(|pair| pair.len() == 2).ok_or(())?;
            if !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(());
            }
            *byte = u8::from_str_radix(pair, 16).map_err(drop)?;
        }
        pairs.next().is_none().then_some(Self(bytes)).ok_or(())
    }
}
