//! What arrived at an RTP end, kept as it came.

use std::net::SocketAddrV4;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use media::Codec;
use media::g711::{self, Law};
use media::rtp::{Rtp, is_rtcp, sequence_diff, timestamp_diff};
use vocab::Mono;

use super::prompt::{Prompt, encoded};

/// Longest conversation that is kept: ten minutes.
const SAMPLES_MAX: usize = 8_000 * 600;

/// A packet later than this against the earliest has missed its turn.
const LATE_US: i64 = 20_000;

/// Audio packets of one direction.
///
/// This is not the product's jitter buffer: packets are taken in their order, and each lies where
/// its timestamp says.
#[derive(Clone, Debug)]
pub struct Capture {
    codec: Codec,
    /// Payloads one after another.
    codes: Vec<u8>,
    /// Where each packet lies on the sender's clock, and its length.
    places: Vec<(usize, usize)>,
    /// When each came, against when its timestamp says, in µs.
    transits: Vec<i64>,
    first: Option<(u32, Mono)>,
    sequence: u16,
    ssrc: u32,
    /// Packets of the audio codec.
    pub packets: u64,
    /// Packets that never came, or too late for their place in the order.
    pub lost: u64,
    /// Packets that no caller should get: of another source or payload type, or malformed.
    pub strange: u64,
}

impl Capture {
    /// Nothing yet.
    pub fn new(codec: Codec) -> Self {
        Self {
            codec,
            codes: Vec::new(),
            places: Vec::new(),
            transits: Vec::new(),
            first: None,
            sequence: 0,
            ssrc: 0,
            packets: 0,
            lost: 0,
            strange: 0,
        }
    }

    /// Takes a datagram in. True if it was audio.
    pub fn take(&mut self, now: Mono, datagram: &[u8]) -> bool {
        if is_rtcp(datagram) {
            // Reports may share the port of media.
            return false;
        }
        let Ok(packet) = Rtp::parse(datagram) else {
            self.strange += 1;
            return false;
        };
        let header = packet.header;
        let (first, start) = *self.first.get_or_insert_with(|| {
            (self.sequence, self.ssrc) = (header.sequence.wrapping_sub(1), header.ssrc);
            (header.timestamp, now)
        });
        if header.payload_type != self.codec.payload_type() || header.ssrc != self.ssrc {
            self.strange += 1;
            return false;
        }
        self.packets += 1;
        let step = sequence_diff(header.sequence, self.sequence);
        if step < 1 {
            // Its gap is counted already.
            return false;
        }
        self.lost += u64::from(step.unsigned_abs()) - 1;
        self.sequence = header.sequence;
        let place = usize::try_from(timestamp_diff(header.timestamp, first)).unwrap_or(0);
        assert!(
            place < SAMPLES_MAX,
            "the sender's clock runs away: {place} samples"
        );
        let waited = i64::try_from(now.since(start).as_micros()).unwrap_or(i64::MAX);
        self.transits.push(waited - place as i64 * 125);
        self.places.push((place, packet.payload.len()));
        self.codes.extend_from_slice(packet.payload);
        true
    }

    /// The audio that came to a phone of ours, by its capture file (`jackfield call --pcap`).
    ///
    /// # Errors
    /// If that is none, or shows no offer of audio over IPv4.
    pub fn of_phone(codec: Codec, file: &Path) -> anyhow::Result<Self> {
        let file = std::fs::read(file).with_context(|| file.display().to_string())?;
        let packets = datagrams(&file)?;
        // The phone says first where it takes audio.
        let offer = packets.iter().find_map(|packet| {
            let text = String::from_utf8_lossy(packet.payload);
            let (_, rest) = text.split_once("\r\nm=audio ")?;
            rest.split(' ').next()?.parse::<u16>().ok()
        });
        let port = offer.context("no offer of audio")?;
        let mut capture = Self::new(codec);
        for packet in packets.iter().filter(|packet| packet.to.port() == port) {
            capture.take(packet.at, packet.payload);
        }
        Ok(capture)
    }

    /// Makes sure that all of these came: every sample, in this order, and no packet was lost. When
    /// they came does not matter.
    ///
    /// # Errors
    /// With what did not.
    pub fn check(&self, prompts: &[Prompt]) -> anyhow::Result<()> {
        let codes = prompts.iter().map(|prompt| {
            let name = prompt.name().to_owned();
            (name, encoded(self.codec, prompt.speech()))
        });
        self.check_codes(&codes.collect::<Vec<_>>()).map(|_| ())
    }

    /// The same for what goes by these names; gives where the last of it ends.
    pub(super) fn check_codes(&self, expected: &[(String, Vec<u8>)]) -> anyhow::Result<usize> {
        ensure!(self.lost == 0, "{} packets were lost", self.lost);
        ensure!(self.strange == 0, "{} packets were strange", self.strange);
        let mut at = 0;
        for (name, codes) in expected {
            let found = self.find(codes, at);
            at = found.with_context(|| format!("{name} was not heard as it is"))?;
        }
        Ok(at)
    }

    /// Whether there has been any audio.
    pub fn has_begun(&self) -> bool {
        self.packets > 0
    }

    /// Payloads one after another, as if nothing had been lost or left out.
    pub fn codes(&self) -> &[u8] {
        &self.codes
    }

    /// What an ear at this end heard: silence where nothing came.
    pub fn heard(&self) -> Vec<i16> {
        let end = self
            .places
            .iter()
            .map(|(place, length)| place + length)
            .max()
            .unwrap_or(0);
        let mut heard = vec![0; end];
        let mut rest = self.codes.as_slice();
        for &(place, length) in &self.places {
            let (codes, behind) = rest.split_at(length);
            g711::decode(law(self.codec), codes, &mut heard[place..place + length]);
            rest = behind;
        }
        heard
    }

    /// The end of the first place at or after `from` in [`Self::codes`] where `cue` is.
    pub fn find(&self, cue: &[u8], from: usize) -> Option<usize> {
        let at = self
            .codes
            .get(from..)?
            .windows(cue.len())
            .position(|window| window == cue)?;
        Some(from + at + cue.len())
    }

    /// Packets that came over 20 ms later than the quickest one, by the sender's clock.
    pub fn late(&self) -> u64 {
        let quickest = self.transits.iter().min().copied().unwrap_or(0);
        self.transits
            .iter()
            .filter(|transit| **transit - quickest > LATE_US)
            .count() as u64
    }
}

/// A datagram in a capture file.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// When it went.
    pub at: Mono,
    /// Where it came from.
    pub from: SocketAddrV4,
    /// Where it went to.
    pub to: SocketAddrV4,
    /// What was in it.
    pub payload: &'a [u8],
}

/// Datagrams over IPv4 in a capture file: raw IP or Ethernet, microseconds, no options.
///
/// # Errors
/// If it is none, or cut off in the middle of a packet.
pub fn datagrams(file: &[u8]) -> anyhow::Result<Vec<Datagram<'_>>> {
    let word = |at: &[u8], n: usize| u32::from_le_bytes([at[n], at[n + 1], at[n + 2], at[n + 3]]);
    ensure!(
        file.len() >= 24 && word(file, 0) == 0xa1b2_c3d4,
        "no capture file"
    );
    // LINKTYPE_RAW and LINKTYPE_ETHERNET of the pcap file format.
    let before_ip = match word(file, 20) {
        101 => 0,
        1 => 14,
        other => bail!("a capture file of link type {other}"),
    };
    let mut rest = &file[24..];
    let mut found = Vec::new();
    while rest.len() >= 16 {
        let (head, behind) = rest.split_at(16);
        let length = word(head, 8) as usize;
        ensure!(behind.len() >= length, "the capture file is cut off");
        let (packet, behind) = behind.split_at(length);
        rest = behind;
        let packet = packet.get(before_ip..).unwrap_or_default();
        // RFC 791: version 4, five words of header, protocol 17.
        if packet.len() >= 28 && packet[0] == 0x45 && packet[9] == 17 {
            let micros = u64::from(word(head, 0)) * 1_000_000 + u64::from(word(head, 4));
            let end = |ip: usize, port: usize| {
                let ip: [u8; 4] = packet[ip..ip + 4].try_into().expect("four bytes");
                let port = u16::from_be_bytes([packet[port], packet[port + 1]]);
                SocketAddrV4::new(ip.into(), port)
            };
            found.push(Datagram {
                at: Mono(micros * 1_000),
                from: end(12, 20),
                to: end(16, 22),
                payload: &packet[28..],
            });
        }
    }
    Ok(found)
}

/// The law of phones that have nothing but G.711.
pub(super) fn law(codec: Codec) -> Law {
    codec.law().expect("these phones have G.711")
}

#[cfg(test)]
mod tests {
    use media::rtp::Header;
    use vocab::Now;

    use super::*;

    fn packet(sequence: u16, timestamp: u32, code: u8) -> Vec<u8> {
        let header = Header {
            sequence,
            timestamp,
            ssrc: 7,
            ..Header::default()
        };
        [&header.to_bytes()[..], &[code; 160]].concat()
    }

    #[test]
    fn packets_lie_where_their_timestamp_says() {
        let mut capture = Capture::new(Codec::Pcmu);
        let at = |ms: u64| (Now::default() + std::time::Duration::from_millis(ms)).mono;
        assert!(capture.take(at(0), &packet(65_535, 1_000, 1)));
        assert!(capture.take(at(20), &packet(0, 1_160, 2)));
        // One is lost, one comes twice, one is late, one is no RTP.
        assert!(capture.take(at(90), &packet(2, 1_480, 3)));
        assert!(!capture.take(at(91), &packet(2, 1_480, 3)));
        assert!(!capture.take(at(92), b"hello"));
        assert_eq!((capture.lost, capture.strange, capture.late()), (1, 1, 1));
        let heard = capture.heard();
        assert_eq!(heard.len(), 640);
        let samples = [1, 2, 3].map(g711::ulaw_decode);
        assert_eq!(
            [heard[0], heard[160], heard[320], heard[480]],
            [samples[0], samples[1], 0, samples[2]]
        );
        assert_eq!(capture.find(&[2, 2, 3, 3], 10), Some(322));
        assert_eq!(capture.find(&[1, 2], 200), None);
    }
}
