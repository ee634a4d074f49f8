//! Audio of many calls over a few sockets.
//!
//! A call is known by the server's port, so many share a socket. Each socket has its turn once in
//! 20 ms, at its own moment, and sends a packet of each of its calls in one system call.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::bail;
use media::rtp::{self, Header, Rtp};
use media::telephone_event::{Report, code_of};
use server::clock::Clock;
use server::net::batch::{self, Receiver};
use vocab::Mono;

use super::roomy;
use super::tally::Packets;

/// Sockets. Each burst of a busy server spreads over all, so that small buffers hold it.
const LINES: usize = 60;

/// Where the search for free pairs of ports begins; above those of servers under load.
const PORT_FIRST: u16 = 40_000;

const FRAME: Duration = Duration::from_millis(20);
const FRAME_SAMPLES: usize = 160;

/// After this a packet is late.
const LATE: i64 = 20_000_000;

/// Datagrams taken in one system call, and the largest.
const DATAGRAMS: usize = 64;
const DATAGRAM_BYTES: usize = 512;

/// Packets of one key: 100 ms of it, and its end three times (RFC 4733 §2.5.1.4).
const KEY_PACKETS: u16 = 5;
const KEY_ENDS: u16 = 3;

/// A call's stream: its socket and its far end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct StreamId {
    line: usize,
    far: SocketAddr,
}

pub(super) struct Audio {
    lines: Vec<Line>,
    receiver: Receiver,
    /// What callers say, encoded, in frames.
    frames: Vec<[u8; FRAME_SAMPLES]>,
    packets: Packets,
}

struct Line {
    rtp: UdpSocket,
    /// Reports are not looked at.
    _rtcp: UdpSocket,
    port: u16,
    next: Mono,
    streams: HashMap<SocketAddr, Stream>,
    batch: Vec<(SocketAddr, Datagram)>,
}

/// One packet.
struct Datagram {
    bytes: [u8; rtp::HEADER_BYTES + FRAME_SAMPLES],
    len: usize,
}

impl AsRef<[u8]> for Datagram {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

struct Stream {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    frame: usize,
    key: Option<Key>,
    inbound: Inbound,
}

struct Key {
    code: u8,
    /// Of its beginning.
    timestamp: u32,
    sent: u16,
}

/// A stream that is received.
#[derive(Debug, Default)]
pub(super) struct Inbound {
    ssrc: Option<u32>,
    first_timestamp: u32,
    last_sequence: u16,
    /// Least difference between arrival and what the timestamp says, in nanoseconds.
    base: i64,
    received: u64,
}

impl Audio {
    pub(super) fn new(samples: &[i16]) -> anyhow::Result<Self> {
        let codes: Vec<u8> = samples
            .iter()
            .map(|&sample| media::g711::ulaw_encode(sample))
            .collect();
        let frames: Vec<[u8; FRAME_SAMPLES]> = codes
            .chunks_exact(FRAME_SAMPLES)
            .filter_map(|frame| frame.try_into().ok())
            .collect();
        anyhow::ensure!(!frames.is_empty(), "callers have nothing to say");
        let mut lines = Vec::with_capacity(LINES);
        let mut port = PORT_FIRST;
        while lines.len() < LINES {
            let Some(next) = port.checked_add(2) else {
                bail!("no free ports for audio")
            };
            let bind = |port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port));
            if let (Ok(rtp), Ok(rtcp)) = (bind(port), bind(port + 1)) {
                roomy(&rtp);
                // Spread over the 20 ms.
                let next = Mono(lines.len() as u64 * FRAME.as_nanos() as u64 / LINES as u64);
                let (streams, batch) = (HashMap::new(), Vec::new());
                lines.push(Line {
                    rtp,
                    _rtcp: rtcp,
                    port,
                    next,
                    streams,
                    batch,
                });
            }
            port = next;
        }
        let receiver = Receiver::new(DATAGRAMS, DATAGRAM_BYTES);
        Ok(Self {
            lines,
            receiver,
            frames,
            packets: Packets::default(),
        })
    }

    /// The port on which a call will receive.
    pub(super) fn port_for(&self, call: u64) -> u16 {
        self.lines[call as usize % LINES].port
    }

    /// Begins the stream of a call that was answered.
    pub(super) fn open(&mut self, now: Mono, call: u64, far: SocketAddr) -> StreamId {
        let line = call as usize % LINES;
        let stream = Stream {
            ssrc: call as u32,
            sequence: now.0 as u16,
            timestamp: (now.0 / 125_000) as u32,
            frame: call as usize % self.frames.len(),
            key: None,
            inbound: Inbound::default(),
        };
        self.lines[line].streams.insert(far, stream);
        StreamId { line, far }
    }

    /// Ends a stream; tells how many packets it received.
    pub(super) fn close(&mut self, stream: StreamId) -> u64 {
        let removed = self.lines[stream.line].streams.remove(&stream.far);
        removed.map_or(0, |stream| stream.inbound.received)
    }

    /// Presses a key.
    pub(super) fn press(&mut self, stream: StreamId, key: char) {
        if let Some(stream) = self.lines[stream.line].streams.get_mut(&stream.far)
            && let Some(code) = code_of(key)
        {
            stream.key = Some(Key {
                code,
                timestamp: stream.timestamp,
                sent: 0,
            });
        }
    }

    pub(super) fn take_tally(&mut self) -> Packets {
        std::mem::take(&mut self.packets)
    }

    /// Takes what has arrived.
    pub(super) fn receive(&mut self, clock: &Clock) {
        for line in &mut self.lines {
            loop {
                // An ICMP error of an earlier packet is no reason to stop.
                if self.receiver.receive(&line.rtp).unwrap_or(0) == 0 {
                    break;
                }
                let arrived = clock.now().mono;
                for (from, bytes) in self.receiver.iter() {
                    if let Some(stream) = line.streams.get_mut(&from)
                        && let Ok(packet) = Rtp::parse(bytes)
                    {
                        stream
                            .inbound
                            .take(&mut self.packets, arrived, packet.header);
                    }
                }
                if !self.receiver.was_full() {
                    break;
                }
            }
        }
    }

    /// Sends what is due.
    pub(super) fn send(&mut self, now: Mono) {
        for line in &mut self.lines {
            if line.next > now {
                continue;
            }
            // What was missed is left out; the line keeps its moment.
            let frames = now.since(line.next).as_nanos() / FRAME.as_nanos() + 1;
            let frames = u32::try_from(frames).unwrap_or(u32::MAX);
            line.next = line.next + FRAME * frames;
            line.batch.clear();
            for (to, stream) in &mut line.streams {
                // Its clock goes on meanwhile: what comes after that is not late.
                let missed = (frames - 1).wrapping_mul(FRAME_SAMPLES as u32);
                stream.timestamp = stream.timestamp.wrapping_add(missed);
                line.batch.push((*to, stream.next_packet(&self.frames)));
            }
            self.packets.sent += batch::send(&line.rtp, &line.batch) as u64;
        }
    }
}

impl Stream {
    fn next_packet(&mut self, frames: &[[u8; FRAME_SAMPLES]]) -> Datagram {
        let mut bytes = [0; rtp::HEADER_BYTES + FRAME_SAMPLES];
        let (head, payload) = bytes.split_at_mut(rtp::HEADER_BYTES);
        let mut header = Header {
            marker: false,
            payload_type: 0,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
        };
        let len = match &mut self.key {
            Some(key) => {
                header.payload_type = 101;
                header.timestamp = key.timestamp;
                header.marker = key.sent == 0;
                key.sent += 1;
                let duration = key.sent.min(KEY_PACKETS) * FRAME_SAMPLES as u16;
                let end = key.sent > KEY_PACKETS;
                let report = Report {
                    code: key.code,
                    end,
                    duration,
                }
                .to_bytes();
                payload[..report.len()].copy_from_slice(&report);
                if key.sent == KEY_PACKETS + KEY_ENDS {
                    self.key = None;
                }
                report.len()
            }
            None => {
                payload.copy_from_slice(&frames[self.frame % frames.len()]);
                FRAME_SAMPLES
            }
        };
        head.copy_from_slice(&header.to_bytes());
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(FRAME_SAMPLES as u32);
        self.frame += 1;
        Datagram {
            bytes,
            len: rtp::HEADER_BYTES + len,
        }
    }
}

impl Inbound {
    pub(super) fn take(&mut self, packets: &mut Packets, arrived: Mono, header: Header) {
        packets.received += 1;
        self.received += 1;
        if self.ssrc != Some(header.ssrc) {
            self.ssrc = Some(header.ssrc);
            self.first_timestamp = header.timestamp;
            self.last_sequence = header.sequence;
            self.base = arrived.0 as i64;
            return;
        }
        let step = rtp::sequence_diff(header.sequence, self.last_sequence);
        if step > 0 {
            packets.lost += step as u64 - 1;
            self.last_sequence = header.sequence;
        }
        let samples = rtp::timestamp_diff(header.timestamp, self.first_timestamp);
        let offset = arrived.0 as i64 - i64::from(samples) * 125_000;
        self.base = self.base.min(offset);
        packets.late += u64::from(offset - self.base > LATE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inbound(arrivals_ms: &[(u16, u64)]) -> Packets {
        let (mut stream, mut packets) = (Inbound::default(), Packets::default());
        for &(sequence, ms) in arrivals_ms {
            let timestamp = u32::from(sequence) * FRAME_SAMPLES as u32;
            let header = Header {
                sequence,
                timestamp,
                ssrc: 7,
                ..Header::default()
            };
            stream.take(&mut packets, Mono(ms * 1_000_000), header);
        }
        packets
    }

    #[test]
    fn packets_are_late_by_their_streams_own_clock() {
        // The third comes 21 ms after it is due, the fifth never; the first is 5 ms late itself.
        let packets = inbound(&[(0, 5), (1, 20), (2, 61), (3, 79), (5, 100)]);
        assert_eq!((packets.received, packets.late, packets.lost), (5, 1, 1));
        assert!((packets.late_percent() - 100.0 * 2.0 / 6.0).abs() < 1e-9);
    }

    #[test]
    fn a_key_is_its_packets_and_three_ends() {
        let frames = [[0xff; FRAME_SAMPLES]];
        let mut stream = Stream {
            ssrc: 1,
            sequence: 65_535,
            timestamp: 1_000,
            frame: 0,
            key: Some(Key {
                code: 1,
                timestamp: 1_000,
                sent: 0,
            }),
            inbound: Inbound::default(),
        };
        let mut seen = Vec::new();
        for _ in 0..9 {
            let datagram = stream.next_packet(&frames);
            let packet = Rtp::parse(datagram.as_ref()).expect("RTP");
            let report =
                Report::parse(packet.payload).filter(|_| packet.header.payload_type == 101);
            let report = report.map(|report| (report.end, report.duration));
            seen.push((packet.header.sequence, packet.header.timestamp, report));
        }
        assert_eq!(seen[0], (65_535, 1_000, Some((false, 160))));
        assert_eq!(seen[4], (3, 1_000, Some((false, 800))));
        assert_eq!(seen[5], (4, 1_000, Some((true, 800))));
        assert_eq!(seen[7], (6, 1_000, Some((true, 800))));
        assert_eq!(seen[8], (7, 1_000 + 8 * 160, None));
    }
}
