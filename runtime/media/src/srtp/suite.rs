//! The crypto suites: what encrypts, what authenticates, and how long keys and tags are.

/// A crypto suite by the name it has in SDP.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Suite {
    /// AES-256 in Galois/Counter Mode (RFC 7714 §14.1).
    AeadAes256Gcm,
    /// AES-128 in Galois/Counter Mode (RFC 7714 §14.1).
    AeadAes128Gcm,
    /// AES-256 in counter mode with tags of 80 bits (RFC 6188).
    Aes256CmHmacSha1_80,
    /// AES-128 in counter mode with tags of 80 bits (RFC 4568 §6.2.1), which every product has.
    AesCm128HmacSha1_80,
    /// AES-256 in counter mode with tags of 32 bits (RFC 6188).
    Aes256CmHmacSha1_32,
    /// AES-128 in counter mode with tags of 32 bits (RFC 4568 §6.2.2).
    AesCm128HmacSha1_32,
}

impl Suite {
    /// All of them, best first: authenticated encryption before counter mode, of that the tags
    /// nobody guesses before the short ones, and long keys before short ones. The order of
    /// processor time is nearly the same.
    pub const ALL: [Self; 6] = [
        Self::AeadAes256Gcm,
        Self::AeadAes128Gcm,
        Self::Aes256CmHmacSha1_80,
        Self::AesCm128HmacSha1_80,
        Self::Aes256CmHmacSha1_32,
        Self::AesCm128HmacSha1_32,
    ];

    /// The suite with this name, in letters of any case, as in any ABNF (RFC 4234 §2.3).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|suite| suite.name().eq_ignore_ascii_case(name))
    }

    /// The name in SDP, as IANA has it among the SRTP crypto suites of security descriptions.
    pub fn name(self) -> &'static str {
        match self {
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::Aes256CmHmacSha1_80 => "AES_256_CM_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::Aes256CmHmacSha1_32 => "AES_256_CM_HMAC_SHA1_32",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
        }
    }

    /// Length of the master key, and of the encryption keys made from it.
    pub const fn key_bytes(self) -> usize {
        match self {
            Self::AeadAes256Gcm | Self::Aes256CmHmacSha1_80 | Self::Aes256CmHmacSha1_32 => 32,
            Self::AeadAes128Gcm | Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 16,
        }
    }

    /// Length of the master salt, and of the session salts made from it: 112 bits for counter mode
    /// (RFC 3711 §8.2), 96 for GCM (RFC 7714 §12).
    pub const fn salt_bytes(self) -> usize {
        if self.is_gcm() { 12 } else { 14 }
    }

    /// Length of master key and salt together, which is what SDES carries and DTLS exports.
    pub const fn master_bytes(self) -> usize {
        self.key_bytes() + self.salt_bytes()
    }

    /// Length of the tag of an RTP packet.
    pub const fn rtp_tag_bytes(self) -> usize {
        match self {
            Self::AeadAes256Gcm | Self::AeadAes128Gcm => 16,
            Self::Aes256CmHmacSha1_80 | Self::AesCm128HmacSha1_80 => 10,
            Self::Aes256CmHmacSha1_32 | Self::AesCm128HmacSha1_32 => 4,
        }
    }

    /// Length of the tag of an RTCP packet: also 80 bits where RTP has 32 (RFC 4568 §6.2.2).
    pub const fn rtcp_tag_bytes(self) -> usize {
        if self.is_gcm() { 16 } else { 10 }
    }

    /// Whether one algorithm does both, encryption and authentication.
    pub(super) const fn is_gcm(self) -> bool {
        matches!(self, Self::AeadAes256Gcm | Self::AeadAes128Gcm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for suite in Suite::ALL {
            assert_eq!(Suite::from_name(suite.name()), Some(suite));
        }
        let lower = Suite::from_name("aes_cm_128_hmac_sha1_80");
        assert_eq!(lower, Some(Suite::AesCm128HmacSha1_80));
        for name in ["", "AES_CM_128", "F8_128_HMAC_SHA1_80"] {
            assert_eq!(Suite::from_name(name), None);
        }
    }

    #[test]
    fn lengths_are_those_of_the_standards() {
        let lengths = Suite::ALL.map(|suite| {
            let tags = (suite.rtp_tag_bytes(), suite.rtcp_tag_bytes());
            (suite.key_bytes(), suite.salt_bytes(), tags)
        });
        assert_eq!(
            lengths,
            [
                (32, 12, (16, 16)),
                (16, 12, (16, 16)),
                (32, 14, (10, 10)),
                (16, 14, (10, 10)),
                (32, 14, (4, 10)),
                (16, 14, (4, 10)),
            ]
        );
    }
}
