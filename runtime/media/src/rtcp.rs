//! RTCP: sender and receiver reports, names and goodbyes (RFC 3550 §6).

use std::time::Duration;

use thiserror::Error;
use vocab::{Rng, Wall};

use crate::limits::CNAME_BYTES_MAX;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;

/// The item of a source description that holds the canonical name (RFC 3550 §6.5.1).
const ITEM_CNAME: u8 = 1;

/// Length of a report block (RFC 3550 §6.4.1).
const BLOCK_BYTES: usize = 24;

/// Seconds from 1900 (NTP) to 1970 (Unix): RFC 868 gives the same number.
const NTP_UNIX_S: i64 = 2_208_988_800;

/// Why bytes are not a compound RTCP packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum RtcpError {
    /// A packet's length field passes the end, or nothing is there.
    #[error("a packet ends before its length says")]
    Truncated,
    /// Not version 2.
    #[error("a packet is not RTCP version 2")]
    Version,
    /// The first packet is no report (RFC 3550 §6.1).
    #[error("the first packet is not a report")]
    First,
    /// A packet is shorter than its kind and count ask for.
    #[error("a packet is too short for its kind")]
    Short,
    /// Padding before the last packet, or a count that does not fit (RFC 3550 §6.4.1).
    #[error("padding where none may be")]
    Padding,
}

/// What a sender tells about its stream (RFC 3550 §6.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SenderInfo {
    /// When the report was sent: NTP time, 32.32 bits of seconds since 1900.
    pub ntp: u64,
    /// The same moment on the RTP clock.
    pub rtp_timestamp: u32,
    /// RTP packets sent so far.
    pub packets: u32,
    /// Payload bytes sent so far.
    pub octets: u32,
}

/// What a receiver tells about one source (RFC 3550 §6.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Block {
    /// Whose stream is reported on.
    pub ssrc: u32,
    /// Share lost since the last report, in 256ths.
    pub fraction_lost: u8,
    /// Packets lost since the beginning; 24 bits, signed: duplicates count against losses.
    pub lost: i32,
    /// Highest sequence number received, with the count of its wraps above bit 16.
    pub highest_sequence: u32,
    /// Interarrival jitter in samples (§A.8).
    pub jitter: u32,
    /// Middle 32 bits of the NTP time in the last sender report from this source; 0 if none.
    pub last_report: u32,
    /// Time since that report arrived, in 1/65,536 s.
    pub since_report: u32,
}

/// One packet of a compound.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rtcp<'a> {
    /// SR: from a source that sends.
    Sender {
        /// Who reports.
        ssrc: u32,
        /// On its own stream.
        info: SenderInfo,
        /// On the streams it receives.
        blocks: Blocks<'a>,
    },
    /// RR: from a source that only receives.
    Receiver {
        /// Who reports.
        ssrc: u32,
        /// On the streams it receives.
        blocks: Blocks<'a>,
    },
    /// SDES: who a source is.
    Description {
        /// The first source described.
        ssrc: u32,
        /// Its canonical name, if given.
        cname: Option<&'a [u8]>,
    },
    /// BYE: a source has left.
    Goodbye {
        /// The first source leaving.
        ssrc: u32,
    },
    /// A kind that is not used here.
    Other {
        /// Its packet type.
        kind: u8,
    },
}

/// The report blocks of one report, read one by one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Blocks<'a>(&'a [u8]);

impl Iterator for Blocks<'_> {
    type Item = Block;

    fn next(&mut self) -> Option<Block> {
        let (block, rest) = self.0.split_first_chunk::<BLOCK_BYTES>()?;
        self.0 = rest;
        // The loss is 24 bits, signed: moved up and back down to carry the sign along.
        let lost = word(block, 4) << 8;
        Some(Block {
            ssrc: word(block, 0),
            fraction_lost: block[4],
            lost: lost.cast_signed() >> 8,
            highest_sequence: word(block, 8),
            jitter: word(block, 12),
            last_report: word(block, 16),
            since_report: word(block, 20),
        })
    }
}

/// A compound packet whose structure was checked; iterates over its packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Compound<'a>(&'a [u8]);

impl<'a> Compound<'a> {
    /// Checks a datagram as RFC 3550 §A.2 asks, and every packet for its least length.
    ///
    /// # Errors
    /// [`RtcpError`] names the rule that is broken; none of the packets should then be used.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RtcpError> {
        let mut rest = bytes;
        let mut first = true;
        while first || !rest.is_empty() {
            let (packet, tail) = split(rest)?;
            if first && !matches!(packet[1], SENDER_REPORT | RECEIVER_REPORT) {
                return Err(RtcpError::First);
            }
            if packet[0] & 0x20 != 0 {
                let padding = usize::from(*packet.last().expect("a packet has its header"));
                if !tail.is_empty()
                    || padding == 0
                    || padding % 4 != 0
                    || padding > packet.len() - 4
                {
                    return Err(RtcpError::Padding);
                }
            }
            read(packet).ok_or(RtcpError::Short)?;
            (rest, first) = (tail, false);
        }
        Ok(Self(bytes))
    }
}

impl<'a> Iterator for Compound<'a> {
    type Item = Rtcp<'a>;

    fn next(&mut self) -> Option<Rtcp<'a>> {
        if self.0.is_empty() {
            return None;
        }
        let (packet, rest) = split(self.0).expect("checked by parse");
        self.0 = rest;
        Some(read(packet).expect("checked by parse"))
    }
}

/// The first packet by its length field, and the rest.
fn split(bytes: &[u8]) -> Result<(&[u8], &[u8]), RtcpError> {
    let head = bytes.first_chunk::<4>().ok_or(RtcpError::Truncated)?;
    if head[0] >> 6 != 2 {
        return Err(RtcpError::Version);
    }
    let len = (usize::from(u16::from_be_bytes([head[2], head[3]])) + 1) * 4;
    bytes.split_at_checked(len).ok_or(RtcpError::Truncated)
}

/// One packet, or `None` if it is too short for what it says it is.
fn read(packet: &[u8]) -> Option<Rtcp<'_>> {
    let count = usize::from(packet[0] & 0x1f);
    let body = match packet[0] & 0x20 {
        0 => &packet[4..],
        _ => {
            &packet[4..packet
                .len()
                .checked_sub(usize::from(*packet.last()?))?
                .max(4)]
        }
    };
    match packet[1] {
        SENDER_REPORT => {
            let (head, rest) = body.split_first_chunk::<24>()?;
            let info = SenderInfo {
                ntp: u64::from(word(head, 4)) << 32 | u64::from(word(head, 8)),
                rtp_timestamp: word(head, 12),
                packets: word(head, 16),
                octets: word(head, 20),
            };
            let blocks = Blocks(rest.get(..count * BLOCK_BYTES)?);
            Some(Rtcp::Sender {
                ssrc: word(head, 0),
                info,
                blocks,
            })
        }
        RECEIVER_REPORT => {
            let (head, rest) = body.split_first_chunk::<4>()?;
            let blocks = Blocks(rest.get(..count * BLOCK_BYTES)?);
            Some(Rtcp::Receiver {
                ssrc: word(head, 0),
                blocks,
            })
        }
        // A description or goodbye of nobody is legal, and useless (§6.5, §6.6).
        SOURCE_DESCRIPTION | GOODBYE if count == 0 => Some(Rtcp::Other { kind: packet[1] }),
        SOURCE_DESCRIPTION => {
            let (head, items) = body.split_first_chunk::<4>()?;
            Some(Rtcp::Description {
                ssrc: word(head, 0),
                cname: cname(items)?,
            })
        }
        GOODBYE => Some(Rtcp::Goodbye {
            ssrc: word(body.get(..count * 4)?, 0),
        }),
        kind => Some(Rtcp::Other { kind }),
    }
}

/// The canonical name among the items of the first chunk; outer `None` if an item is cut off.
fn cname(mut items: &[u8]) -> Option<Option<&[u8]>> {
    loop {
        match items {
            [] => return None,
            [0, ..] => return Some(None),
            [kind, len, rest @ ..] => {
                let (text, tail) = rest.split_at_checked(usize::from(*len))?;
                if *kind == ITEM_CNAME {
                    return Some(Some(text));
                }
                items = tail;
            }
            [_] => return None,
        }
    }
}

/// The big-endian word at `at`.
fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("a word has four bytes"))
}

/// A compound packet of ours: one report, our name, and perhaps a goodbye.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outgoing<'a> {
    /// We.
    pub ssrc: u32,
    /// Our stream; makes it a sender report.
    pub sender: Option<SenderInfo>,
    /// The stream we receive.
    pub block: Option<Block>,
    /// Our canonical name, at most 24 bytes.
    pub cname: &'a str,
    /// We leave.
    pub goodbye: bool,
}

impl Outgoing<'_> {
    /// Length of what [`Self::write`] writes.
    pub fn len_bytes(&self) -> usize {
        self.report_len() + self.description_len() + if self.goodbye { 8 } else { 0 }
    }

    /// Writes the compound packet.
    ///
    /// # Panics
    /// If `out` is not [`Self::len_bytes`] long or the name is longer than 24 bytes.
    pub fn write(&self, out: &mut [u8]) {
        assert_eq!(out.len(), self.len_bytes(), "the caller sized the packet");
        assert!(self.cname.len() <= CNAME_BYTES_MAX, "our names are short");
        out.fill(0);
        let (report, rest) = out.split_at_mut(self.report_len());
        self.write_report(report);
        let (description, goodbye) = rest.split_at_mut(self.description_len());
        head(description, 1, SOURCE_DESCRIPTION);
        put(description, 4, self.ssrc);
        description[8] = ITEM_CNAME;
        description[9] = u8::try_from(self.cname.len()).expect("at most 24 bytes");
        description[10..10 + self.cname.len()].copy_from_slice(self.cname.as_bytes());
        if self.goodbye {
            head(goodbye, 1, GOODBYE);
            put(goodbye, 4, self.ssrc);
        }
    }

    fn report_len(&self) -> usize {
        8 + if self.sender.is_some() { 20 } else { 0 }
            + if self.block.is_some() { BLOCK_BYTES } else { 0 }
    }

    /// Header, source, item head and text, then one to four zeros up to a word (§6.5).
    fn description_len(&self) -> usize {
        (4 + 4 + 2 + self.cname.len() + 1).next_multiple_of(4)
    }

    fn write_report(&self, report: &mut [u8]) {
        let kind = if self.sender.is_some() {
            SENDER_REPORT
        } else {
            RECEIVER_REPORT
        };
        head(report, u8::from(self.block.is_some()), kind);
        put(report, 4, self.ssrc);
        let mut at = 8;
        if let Some(info) = self.sender {
            put(report, at, (info.ntp >> 32) as u32);
            put(report, at + 4, info.ntp as u32);
            put(report, at + 8, info.rtp_timestamp);
            put(report, at + 12, info.packets);
            put(report, at + 16, info.octets);
            at += 20;
        }
        if let Some(block) = self.block {
            let lost = block.lost.clamp(-(1 << 23), (1 << 23) - 1).cast_unsigned() & 0xff_ffff;
            put(report, at, block.ssrc);
            put(report, at + 4, u32::from(block.fraction_lost) << 24 | lost);
            put(report, at + 8, block.highest_sequence);
            put(report, at + 12, block.jitter);
            put(report, at + 16, block.last_report);
            put(report, at + 20, block.since_report);
        }
    }
}

fn head(packet: &mut [u8], count: u8, kind: u8) {
    let words = u16::try_from(packet.len() / 4 - 1).expect("our packets are short");
    packet[0] = 2 << 6 | count;
    packet[1] = kind;
    packet[2..4].copy_from_slice(&words.to_be_bytes());
}

fn put(packet: &mut [u8], at: usize, value: u32) {
    packet[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

/// NTP time: 32.32 bits of seconds since 1900, wrapping in 2036 as everybody's does.
pub fn ntp(wall: Wall) -> u64 {
    let seconds = wall.seconds().wrapping_add(NTP_UNIX_S).cast_unsigned();
    let micros = wall.0.rem_euclid(1_000_000).cast_unsigned();
    (seconds << 32) | ((micros << 32) / 1_000_000)
}

/// The middle 32 bits of an NTP time: 16.16 bits of seconds (RFC 3550 §4).
pub fn ntp_middle(ntp: u64) -> u32 {
    (ntp >> 16) as u32
}

/// A duration in units of 1/65,536 s, at most 18 hours.
pub fn to_units(length: Duration) -> u32 {
    u32::try_from((length.as_micros() << 16) / 1_000_000).unwrap_or(u32::MAX)
}

/// The time a report took to the far end and back (RFC 3550 §6.4.1), from a block about our own
/// stream that arrived at NTP time `arrival`. `None` if the far end had no report of ours yet, or
/// if its numbers are nonsense: negative, or over a minute.
pub fn round_trip(block: &Block, arrival: u64) -> Option<Duration> {
    if block.last_report == 0 {
        return None;
    }
    let units = ntp_middle(arrival)
        .wrapping_sub(block.last_report)
        .wrapping_sub(block.since_report);
    (units < 60 << 16).then(|| Duration::from_micros((u64::from(units) * 1_000_000) >> 16))
}

/// Time until the next report: 5 s on average, spread evenly over 2.5 to 7.5 s, so that calls that
/// begin together do not report together (RFC 3550 §6.2, §6.3.1; with two members the 5 % share
/// of the bandwidth always allows the minimum interval).
pub fn interval(rng: &mut Rng) -> Duration {
    Duration::from_millis(2_500 + rng.below(5_001))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: Block = Block {
        ssrc: 7,
        fraction_lost: 12,
        lost: -3,
        highest_sequence: 0x0002_fffe,
        jitter: 44,
        last_report: 0xb705_2000,
        since_report: 0x0005_4000,
    };

    fn compound(sender: bool, block: bool, goodbye: bool) -> Vec<u8> {
        let info = SenderInfo {
            ntp: 1 << 40 | 9,
            rtp_timestamp: 5,
            packets: 6,
            octets: 960,
        };
        let outgoing = Outgoing {
            ssrc: 99,
            sender: sender.then_some(info),
            block: block.then_some(BLOCK),
            cname: "abcdef",
            goodbye,
        };
        let mut bytes = vec![1; outgoing.len_bytes()];
        outgoing.write(&mut bytes);
        bytes
    }

    #[test]
    fn what_is_written_reads_back() {
        for (sender, block, goodbye) in [
            (true, true, false),
            (true, false, true),
            (false, true, true),
            (false, false, false),
        ] {
            let bytes = compound(sender, block, goodbye);
            assert_eq!(bytes.len() % 4, 0);
            let packets: Vec<Rtcp<'_>> = Compound::parse(&bytes).expect("valid").collect();
            let blocks: Vec<Block> = match packets[0] {
                Rtcp::Sender {
                    ssrc: 99,
                    info,
                    blocks,
                } => {
                    assert!(sender && info.packets == 6 && info.ntp == 1 << 40 | 9);
                    blocks.collect()
                }
                Rtcp::Receiver { ssrc: 99, blocks } => {
                    assert!(!sender);
                    blocks.collect()
                }
                Rtcp::Sender { .. }
                | Rtcp::Receiver { .. }
                | Rtcp::Description { .. }
                | Rtcp::Goodbye { .. }
                | Rtcp::Other { .. } => panic!("{:?} is no report of ours", packets[0]),
            };
            assert_eq!(blocks, if block { vec![BLOCK] } else { vec![] });
            assert_eq!(
                packets[1],
                Rtcp::Description {
                    ssrc: 99,
                    cname: Some(b"abcdef")
                }
            );
            assert_eq!(
                packets.get(2),
                goodbye.then_some(&Rtcp::Goodbye { ssrc: 99 })
            );
        }
    }

    #[test]
    fn bad_compounds_are_refused() {
        let good = compound(true, true, true);
        assert!(Compound::parse(&good).is_ok());
        for cut in 1..good.len() {
            // Cut at a packet's end it is a shorter compound; anywhere else it is refused.
            let whole = [52, 72].contains(&cut);
            assert_eq!(Compound::parse(&good[..cut]).is_ok(), whole, "cut at {cut}");
        }
        for (bytes, error) in [
            (&[][..], RtcpError::Truncated),
            (&[0x00, 201, 0, 1, 0, 0, 0, 1], RtcpError::Version),
            (&[0x80, 202, 0, 1, 0, 0, 0, 1], RtcpError::First),
            (&[0x80, 201, 0, 0], RtcpError::Short),
            (&[0x81, 201, 0, 1, 0, 0, 0, 1], RtcpError::Short),
            (&[0x80, 200, 0, 1, 0, 0, 0, 1], RtcpError::Short),
            (&[0xa0, 201, 0, 1, 0, 0, 0, 0], RtcpError::Padding),
            (&[0xa0, 201, 0, 1, 0, 0, 0, 8], RtcpError::Padding),
        ] {
            assert_eq!(Compound::parse(bytes), Err(error), "{bytes:?}");
        }
    }

    #[test]
    fn the_example_of_the_standard_comes_out() {
        // RFC 3550 §6.4.1, figure 2: 6.125 s.
        let arrival = 0xb710_8000_u64 << 16;
        assert_eq!(
            round_trip(&BLOCK, arrival),
            Some(Duration::from_millis(6_125))
        );
        assert_eq!(
            round_trip(
                &Block {
                    last_report: 0,
                    ..BLOCK
                },
                arrival
            ),
            None
        );
        assert_eq!(round_trip(&BLOCK, 0xb705_2000_u64 << 16), None);
    }

    #[test]
    fn ntp_time_of_known_moments() {
        assert_eq!(ntp(Wall(0)), 2_208_988_800 << 32);
        assert_eq!(ntp(Wall(1_500_000)), 2_208_988_801 << 32 | 1 << 31);
        assert_eq!(to_units(Duration::from_millis(500)), 1 << 15);
    }

    #[test]
    fn intervals_spread_around_five_seconds() {
        let mut rng = Rng::from_u64(3);
        let all: Vec<u128> = (0..1_000).map(|_| interval(&mut rng).as_millis()).collect();
        assert!(all.iter().all(|ms| (2_500..=7_500).contains(ms)));
        assert!((4_800..5_200).contains(&(all.iter().sum::<u128>() / 1_000)));
    }
}
