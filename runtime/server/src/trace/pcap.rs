//! What went over the network as a capture file, which Wireshark, tshark, tcpdump and sngrep read.
//!
//! The classic format (draft-ietf-opsawg-pcap): microseconds, and raw IP as link type. What the
//! network really carried was not captured, so its headers are made anew: UDP for datagrams, and
//! for streams one TCP segment a message, numbered so that readers put them together again. What
//! TLS protected is shown as TCP, readable, because that is what it is for.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use vocab::Wall;

use super::message::Trace;

/// Magic of a file with microseconds, in our byte order.
const MAGIC: u32 = 0xa1b2_c3d4;

/// `LINKTYPE_RAW`: packets begin with their IPv4 or IPv6 header.
const LINK_RAW: u32 = 101;

/// Longest packet: all that IP can carry.
const SNAPLEN: u32 = 65_535;

/// Protocol numbers of IANA.
const TCP: u8 = 6;
const UDP: u8 = 17;

/// Hops a packet may still take; what hosts commonly send.
const TTL: u8 = 64;

/// ACK and PSH: data on a connection that is up (RFC 9293 §3.1).
const FLAGS: u8 = 0x18;

/// What one packet carried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet<'a> {
    pub(crate) at: Wall,
    /// Else a piece of a stream.
    pub(crate) datagram: bool,
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    /// Up to 65,000 of them.
    pub(crate) bytes: &'a [u8],
}

impl Trace {
    /// What carried its messages.
    pub(crate) fn packets(&self) -> impl Iterator<Item = Packet<'_>> {
        self.messages.iter().map(|message| {
            let (from, to) = message.ends();
            Packet {
                at: message.at,
                datagram: message.carrier.is_datagram(),
                from,
                to,
                bytes: &message.bytes,
            }
        })
    }
}

/// The capture file.
pub(crate) fn file<'a>(packets: impl IntoIterator<Item = Packet<'a>>) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(MAGIC.to_le_bytes());
    out.extend([2, 0, 4, 0]);
    out.extend([0; 8]);
    out.extend(SNAPLEN.to_le_bytes());
    out.extend(LINK_RAW.to_le_bytes());
    let mut sent = BTreeMap::new();
    for carried in packets {
        let packet = packet(carried, &mut sent);
        let at = u64::try_from(carried.at.0).unwrap_or_default();
        // Seconds are 32 bits without sign, enough until 2106.
        let seconds = u32::try_from(at / 1_000_000).unwrap_or(u32::MAX);
        let micros = u32::try_from(at % 1_000_000).expect("below a million");
        let length = u32::try_from(packet.len()).expect("messages are bounded");
        for field in [seconds, micros, length, length] {
            out.extend(field.to_le_bytes());
        }
        out.extend(packet);
    }
    out
}

/// Bytes sent so far from one end of a stream to the other.
type Sent = BTreeMap<(SocketAddr, SocketAddr), u32>;

fn packet(carried: Packet<'_>, sent: &mut Sent) -> Vec<u8> {
    let (from, to) = (carried.from, carried.to);
    let (source, target) = same_family(from.ip(), to.ip());
    let ports = [from.port().to_be_bytes(), to.port().to_be_bytes()].concat();
    let payload = carried.bytes;
    let (protocol, mut body) = if carried.datagram {
        let length = u16::try_from(8 + payload.len()).expect("messages are bounded");
        (UDP, [&ports, &length.to_be_bytes()[..], &[0; 2]].concat())
    } else {
        let bytes = u32::try_from(payload.len()).expect("messages are bounded");
        let acked = sent.get(&(to, from)).copied().unwrap_or(0);
        let number = sent.entry((from, to)).or_default();
        let header = [
            &ports,
            &number.wrapping_add(1).to_be_bytes()[..],
            &acked.wrapping_add(1).to_be_bytes(),
            // Five words of header, and the largest window.
            &[5 << 4, FLAGS, 0xff, 0xff],
            // Checksum and urgent pointer.
            &[0; 4],
        ];
        *number = number.wrapping_add(bytes);
        (TCP, header.concat())
    };
    let sum_at = if protocol == UDP { 6 } else { 16 };
    body.extend_from_slice(payload);
    let length = u16::try_from(body.len()).expect("messages are bounded");
    let (mut packet, pseudo) = match (source, target) {
        (IpAddr::V4(source), IpAddr::V4(target)) => {
            let ends = [source.octets(), target.octets()].concat();
            let total = (20 + length).to_be_bytes();
            // RFC 791 §3.1: version and header length, then the whole length.
            let mut header = vec![
                0x45, 0, total[0], total[1], 0, 0, 0x40, 0, TTL, protocol, 0, 0,
            ];
            header.extend(&ends);
            let sum = checksum(&[&header]);
            header[10..12].copy_from_slice(&sum.to_be_bytes());
            (header, ends)
        }
        (source, target) => {
            let ends = [mapped(source).octets(), mapped(target).octets()].concat();
            let bytes = length.to_be_bytes();
            // RFC 8200 §3.
            let mut header = vec![0x60, 0, 0, 0, bytes[0], bytes[1], protocol, TTL];
            header.extend(&ends);
            (header, ends)
        }
    };
    // RFC 768, RFC 9293 §3.1 and RFC 8200 §8.1 sum the same fields.
    let sum = checksum(&[&pseudo, &[0, protocol], &length.to_be_bytes(), &body]);
    // Zero says that there is none.
    let sum = if sum == 0 { 0xffff } else { sum };
    body[sum_at..sum_at + 2].copy_from_slice(&sum.to_be_bytes());
    packet.extend(body);
    packet
}

/// Both ends in one family: a socket for both shows IPv4 peers as such.
fn same_family(a: IpAddr, b: IpAddr) -> (IpAddr, IpAddr) {
    (a.to_canonical(), b.to_canonical())
}

fn mapped(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

/// The checksum of RFC 1071. All pieces but the last are of even length.
fn checksum(pieces: &[&[u8]]) -> u16 {
    let mut sum = 0u64;
    for pair in pieces.iter().flat_map(|piece| piece.chunks(2)) {
        sum += u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("it was folded")
}

#[cfg(test)]
mod tests {
    use vocab::Wall;

    use super::super::message::{Carrier, Message, Way};
    use super::*;

    fn message(way: Way, carrier: Carrier, ends: (&str, &str), text: &[u8]) -> Message {
        let ends = (ends.0.parse().unwrap(), ends.1.parse().unwrap());
        Message::new(
            (Wall(1_700_000_000_000_123), way, carrier),
            ends,
            text.to_vec(),
        )
    }

    fn trace(messages: Vec<Message>) -> Trace {
        Trace {
            messages,
            ..Trace::default()
        }
    }

    /// Records of a file: times and packets.
    fn records(mut file: &[u8]) -> Vec<((u32, u32), Vec<u8>)> {
        file = &file[24..];
        let mut records = Vec::new();
        while !file.is_empty() {
            let field = |n: usize| u32::from_le_bytes(file[4 * n..4 * n + 4].try_into().unwrap());
            assert_eq!(field(2), field(3), "nothing is cut");
            let end = 16 + field(2) as usize;
            records.push(((field(0), field(1)), file[16..end].to_vec()));
            file = &file[end..];
        }
        records
    }

    #[test]
    fn a_datagram_is_written_byte_by_byte() {
        let ends = ("192.0.2.1:5060", "198.51.100.7:5062");
        let file = file(trace(vec![message(Way::In, Carrier::Udp, ends, b"hey")]).packets());
        let expected = [
            "d4c3b2a1 0200 0400 00000000 00000000 ffff0000 65000000",
            "00f15365 7b000000 1f000000 1f000000",
            "45 00 001f 0000 4000 40 11 4e92 c6336407 c0000201",
            "13c6 13c4 000b 0aac 686579",
        ];
        let hex: String = file.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected.concat().replace(' ', ""));
    }

    #[test]
    fn checksums_are_right_in_every_kind_of_packet() {
        for (carrier, ends, protocol) in [
            (Carrier::Udp, ("192.0.2.1:5060", "192.0.2.2:5060"), UDP),
            (Carrier::Tcp, ("192.0.2.1:5060", "192.0.2.2:5060"), TCP),
            (
                Carrier::Udp,
                ("[2001:db8::1]:5060", "[2001:db8::2]:5060"),
                UDP,
            ),
            (
                Carrier::Tcp,
                ("[2001:db8::1]:5060", "[2001:db8::2]:5060"),
                TCP,
            ),
            (Carrier::Udp, ("192.0.2.1:5060", "[2001:db8::2]:5060"), UDP),
            (
                Carrier::Udp,
                ("192.0.2.1:5060", "[::ffff:192.0.2.2]:5060"),
                UDP,
            ),
        ] {
            for text in [&b"abc"[..], b"abcd", &[b'x'; 59_999]] {
                let file = file(trace(vec![message(Way::Out, carrier, ends, text)]).packets());
                let (at, packet) = records(&file).remove(0);
                assert_eq!(at, (1_700_000_000, 123));
                let (pseudo, body, found) = if packet[0] >> 4 == 4 {
                    assert_eq!(checksum(&[&packet[..20]]), 0, "the header's sum");
                    (&packet[12..20], &packet[20..], packet[9])
                } else {
                    (&packet[8..40], &packet[40..], packet[6])
                };
                assert_eq!(found, protocol);
                let length = u16::try_from(body.len()).unwrap().to_be_bytes();
                assert_eq!(checksum(&[pseudo, &[0, protocol], &length, body]), 0);
                assert!(body.ends_with(text));
            }
        }
    }

    #[test]
    fn segments_of_a_stream_follow_each_other() {
        let ends = ("192.0.2.1:5060", "192.0.2.2:5060");
        let trace = trace(vec![
            message(Way::In, Carrier::Tcp, ends, b"12345"),
            message(Way::Out, Carrier::Tcp, ends, b"123"),
            message(Way::In, Carrier::Tcp, ends, b"1"),
        ]);
        let file = file(trace.packets());
        let numbers: Vec<_> = records(&file)
            .iter()
            .map(|(_, packet)| (packet[27], packet[31]))
            .collect();
        assert_eq!(
            numbers,
            [(1, 1), (1, 6), (6, 4)],
            "sequence and acknowledgement"
        );
    }
}
