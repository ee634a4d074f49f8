//! Keep-alives over UDP: a phone asks by STUN whether its flow is still there, and where it is seen
//! from (RFC 5626 §4.4.2 and §8). Nothing else of STUN is done on a SIP port.

use std::net::{IpAddr, SocketAddr};

/// Every STUN message has it behind its length (RFC 8489 §5).
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// Bytes before the attributes.
const HEADER_BYTES: usize = 20;

const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;

/// Attributes from here on may be skipped by who does not know them (RFC 8489 §14).
const OPTIONAL: u16 = 0x8000;

/// Whether a datagram is STUN: SIP begins with a letter, STUN with 0 or 1 (RFC 5626 §8.1).
pub(crate) fn is_stun(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(0 | 1))
}

/// The answer to a binding request that came from this address; `None` if it is none, or asks for
/// what has to be understood and is not.
pub(crate) fn answer(bytes: &[u8], remote: SocketAddr) -> Option<Vec<u8>> {
    let (header, mut attributes) = bytes.split_at_checked(HEADER_BYTES)?;
    let plain = word(header, 0)? == BINDING_REQUEST
        && usize::from(word(header, 2)?) == attributes.len()
        && header[4..8] == COOKIE;
    if !plain {
        return None;
    }
    while !attributes.is_empty() {
        let length = usize::from(word(attributes, 2)?).next_multiple_of(4);
        if word(attributes, 0)? < OPTIONAL {
            return None;
        }
        attributes = attributes.get(4 + length..)?;
    }
    Some(success(&header[4..], remote))
}

/// `key` is the cookie and the transaction: what addresses are hidden with, from boxes on the way
/// that rewrite every address they see (§14.2).
fn success(key: &[u8], remote: SocketAddr) -> Vec<u8> {
    let (family, ip) = match remote.ip() {
        IpAddr::V4(ip) => (1, ip.octets().to_vec()),
        IpAddr::V6(ip) => (2, ip.octets().to_vec()),
    };
    let hidden = |bytes: &[u8]| -> Vec<u8> {
        let pairs = bytes.iter().zip(key);
        pairs.map(|(byte, key)| byte ^ key).collect()
    };
    let value = [
        &[0, family][..],
        &hidden(&remote.port().to_be_bytes()),
        &hidden(&ip),
    ]
    .concat();
    // 8 or 20 bytes: whole words, and far below what the length can say.
    let length = value.len() as u16;
    [
        &BINDING_SUCCESS.to_be_bytes()[..],
        &(length + 4).to_be_bytes(),
        key,
        &XOR_MAPPED_ADDRESS.to_be_bytes(),
        &length.to_be_bytes(),
        &value,
    ]
    .concat()
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes([bytes[0], bytes[1]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The transaction of RFC 5769's examples.
    const TRANSACTION: [u8; 12] = [
        0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae,
    ];

    fn request(attributes: &[u8]) -> Vec<u8> {
        let length = u16::try_from(attributes.len()).unwrap();
        [
            &[0, 1][..],
            &length.to_be_bytes(),
            &COOKIE,
            &TRANSACTION,
            attributes,
        ]
        .concat()
    }

    #[test]
    fn addresses_are_told_as_in_rfc_5769() {
        // §2.2 and §2.3.
        let v4 = answer(&request(&[]), "192.0.2.1:32853".parse().unwrap()).unwrap();
        assert_eq!(v4[..4], [1, 1, 0, 12]);
        assert_eq!(v4[4..20], [&COOKIE[..], &TRANSACTION].concat());
        assert_eq!(
            v4[20..],
            [
                0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43
            ]
        );
        let remote = "[2001:db8:1234:5678:11:2233:4455:6677]:32853";
        let v6 = answer(&request(&[]), remote.parse().unwrap()).unwrap();
        assert_eq!(
            v6[20..],
            [
                0x00, 0x20, 0x00, 0x14, 0x00, 0x02, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3,
                0xf1, 0x79, 0xbc, 0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9
            ]
        );
    }

    #[test]
    fn only_whole_binding_requests_are_answered() {
        let remote = "192.0.2.1:32853".parse().unwrap();
        // SOFTWARE with three bytes and one of padding may be skipped, USERNAME may not.
        let software = [0x80, 0x22, 0, 3, b'a', b'b', b'c', 0];
        let username = [0x00, 0x06, 0, 4, b'a', b'b', b'c', b'd'];
        assert!(answer(&request(&software), remote).is_some());
        assert_eq!(answer(&request(&username), remote), None);
        let whole = request(&software);
        for length in 0..whole.len() {
            assert_eq!(answer(&whole[..length], remote), None, "{length} bytes");
        }
        for at in [0, 1, 3, 4, 7, 23] {
            let mut broken = whole.clone();
            broken[at] ^= 0x40;
            assert_eq!(answer(&broken, remote), None, "byte {at}");
        }
    }
}
