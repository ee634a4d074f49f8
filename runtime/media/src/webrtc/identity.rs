//! Who we are for browsers.

use std::fmt;

use super::Fingerprint;

/// A certificate that nobody signed but we: its fingerprint in the description makes it ours (RFC 8122).
/// One for all sessions of a server, made at its start.
#[derive(Clone)]
pub struct Identity {
    pub(super) certificate: Vec<u8>,
    pub(super) key: Vec<u8>,
    fingerprint: Fingerprint,
}

impl Identity {
    /// From a certificate (DER) with a key of the curve P-256 (PKCS #8, DER).
    pub fn new(certificate: Vec<u8>, key: Vec<u8>) -> Self {
        let fingerprint = Fingerprint::of(&certificate);
        Self {
            certificate,
            key,
            fingerprint,
        }
    }

    /// What our descriptions say.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.fingerprint).finish()
    }
}
