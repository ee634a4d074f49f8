//! A message as a HEP packet, version 3, for a capture server such as Homer.
//!
//! "The Hitchhiker's Extension Protocol", revision 32: a head of six bytes, then chunks. All
//! numbers are big-endian.

use std::net::IpAddr;

use vocab::{CallId, Pii};

use super::message::Message;

/// How packets are marked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Marks {
    /// Tells capture agents apart.
    pub(crate) capture_id: u32,
    /// What the collector asks of its agents.
    pub(crate) key: Option<Pii<String>>,
}

/// Chunks of the generic vendor.
mod chunk {
    /// Address family: 2 for IPv4, 10 for IPv6, as Linux numbers them.
    pub(super) const FAMILY: u16 = 0x01;
    /// Protocol number of IANA.
    pub(super) const PROTOCOL: u16 = 0x02;
    pub(super) const SOURCE_V4: u16 = 0x03;
    pub(super) const TARGET_V4: u16 = 0x04;
    pub(super) const SOURCE_V6: u16 = 0x05;
    pub(super) const TARGET_V6: u16 = 0x06;
    pub(super) const SOURCE_PORT: u16 = 0x07;
    pub(super) const TARGET_PORT: u16 = 0x08;
    pub(super) const SECONDS: u16 = 0x09;
    /// Microseconds of the second.
    pub(super) const MICROS: u16 = 0x0a;
    /// What the payload is: 1 for SIP.
    pub(super) const KIND: u16 = 0x0b;
    pub(super) const CAPTURE_ID: u16 = 0x0c;
    pub(super) const KEY: u16 = 0x0e;
    pub(super) const PAYLOAD: u16 = 0x0f;
    /// Joins the dialogs of one call.
    pub(super) const CORRELATION: u16 = 0x11;
}

/// The packet. It fits into a datagram, because a kept message is bounded.
pub(super) fn packet(message: &Message, call: Option<CallId>, marks: &Marks) -> Vec<u8> {
    let (from, to) = message.ends();
    let (source, target) = (from.ip().to_canonical(), to.ip().to_canonical());
    let mut out = b"HEP3\0\0".to_vec();
    match (source, target) {
        (IpAddr::V4(source), IpAddr::V4(target)) => {
            put(&mut out, chunk::FAMILY, &[2]);
            put(&mut out, chunk::SOURCE_V4, &source.octets());
            put(&mut out, chunk::TARGET_V4, &target.octets());
        }
        (source, target) => {
            put(&mut out, chunk::FAMILY, &[10]);
            put(&mut out, chunk::SOURCE_V6, &v6(source));
            put(&mut out, chunk::TARGET_V6, &v6(target));
        }
    }
    let protocol = if message.carrier.is_datagram() { 17 } else { 6 };
    put(&mut out, chunk::PROTOCOL, &[protocol]);
    put(&mut out, chunk::SOURCE_PORT, &from.port().to_be_bytes());
    put(&mut out, chunk::TARGET_PORT, &to.port().to_be_bytes());
    let at = u64::try_from(message.at.0).unwrap_or_default();
    let seconds = u32::try_from(at / 1_000_000).unwrap_or(u32::MAX);
    let micros = u32::try_from(at % 1_000_000).expect("below a million");
    put(&mut out, chunk::SECONDS, &seconds.to_be_bytes());
    put(&mut out, chunk::MICROS, &micros.to_be_bytes());
    put(&mut out, chunk::KIND, &[1]);
    put(&mut out, chunk::CAPTURE_ID, &marks.capture_id.to_be_bytes());
    if let Some(key) = &marks.key {
        put(&mut out, chunk::KEY, key.reveal().as_bytes());
    }
    if let Some(call) = call {
        put(&mut out, chunk::CORRELATION, call.to_string().as_bytes());
    }
    put(&mut out, chunk::PAYLOAD, &message.bytes);
    let length = u16::try_from(out.len()).expect("messages are bounded");
    out[4..6].copy_from_slice(&length.to_be_bytes());
    out
}

/// A chunk: vendor 0, its type, its length with this head of six bytes, its value.
fn put(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(6 + value.len()).expect("messages are bounded");
    out.extend([0, 0]);
    out.extend(kind.to_be_bytes());
    out.extend(length.to_be_bytes());
    out.extend(value);
}

fn v6(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

#[cfg(test)]
mod tests {
    use vocab::Wall;

    use super::super::message::{Carrier, Way};
    use super::*;

    fn hex(message: &Message, call: Option<CallId>, key: Option<&str>) -> String {
        let marks = Marks {
            capture_id: 2_001,
            key: key.map(|key| Pii::new(key.to_owned())),
        };
        let packet = packet(message, call, &marks);
        packet.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn message(way: Way, carrier: Carrier, ends: (&str, &str)) -> Message {
        let ends = (ends.0.parse().unwrap(), ends.1.parse().unwrap());
        Message::new(
            (Wall(1_700_000_000_000_123), way, carrier),
            ends,
            b"hey".to_vec(),
        )
    }

    #[test]
    fn a_packet_is_written_chunk_by_chunk() {
        let received = message(
            Way::In,
            Carrier::Udp,
            ("192.0.2.1:5060", "198.51.100.7:5062"),
        );
        let expected = [
            "48455033 006e",
            "0000 0001 0007 02",
            "0000 0003 000a c6336407",
            "0000 0004 000a c0000201",
            "0000 0002 0007 11",
            "0000 0007 0008 13c6",
            "0000 0008 0008 13c4",
            "0000 0009 000a 6553f100",
            "0000 000a 000a 0000007b",
            "0000 000b 0007 01",
            "0000 000c 000a 000007d1",
            "0000 000e 0008 6d65",
            "0000 000f 0009 686579",
        ];
        assert_eq!(
            hex(&received, None, Some("me")),
            expected.concat().replace(' ', "")
        );
    }

    #[test]
    fn a_stream_over_ipv6_and_a_known_call() {
        let sent = message(
            Way::Out,
            Carrier::Tcp,
            ("[2001:db8::1]:5060", "[2001:db8::2]:5062"),
        );
        let call = CallId(1);
        let text: String = call
            .to_string()
            .bytes()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let expected = [
            "48455033 009e",
            "0000 0001 0007 0a",
            "0000 0005 0016 20010db8000000000000000000000001",
            "0000 0006 0016 20010db8000000000000000000000002",
            "0000 0002 0007 06",
            "0000 0007 0008 13c4",
            "0000 0008 0008 13c6",
            "0000 0009 000a 6553f100",
            "0000 000a 000a 0000007b",
            "0000 000b 0007 01",
            "0000 000c 000a 000007d1",
            &format!("0000 0011 0020 {text}"),
            "0000 000f 0009 686579",
        ];
        assert_eq!(
            hex(&sent, Some(call), None),
            expected.concat().replace(' ', "")
        );
    }
}
