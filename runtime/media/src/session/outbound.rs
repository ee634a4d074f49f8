//! The stream a session sends.

use std::net::SocketAddr;

use vocab::{Now, Rng};

use crate::jitter::{FRAME, Frame};
use crate::rtcp::{self, SenderInfo};
use crate::rtp::{HEADER_BYTES, Header, sequence_diff, timestamp_diff};
use crate::session::Step;
use crate::telephone_event::Report;
use crate::worker::Packet;
use crate::{Channel, Codec, StreamParams, g711};

/// A relayed packet this far behind the newest is no longer sent on (RFC 3550 §A.1 calls what is
/// further behind a jump).
const RELAY_MISORDER_MAX: i16 = 100;

/// Numbers and times of the stream that is sent.
///
/// Without a pause: each 20 ms one packet, silence if there is nothing else, so that routers on
/// the way keep the path open and the far end never doubts the call. While packets are relayed,
/// they are sent as they come instead, and the clock runs on beside them.
#[derive(Clone, Debug)]
pub(crate) struct Outbound {
    ssrc: u32,
    sequence: u16,
    /// Of the frame of the next tick.
    timestamp: u32,
    /// The next audio packet follows something else than audio (RFC 3551 §4.1).
    marker: bool,
    relay: Option<Relay>,
    packets: u64,
    octets: u64,
}

/// How numbers of packets that are passed on become ours.
#[derive(Clone, Copy, Debug)]
struct Relay {
    sequence_offset: u16,
    timestamp_offset: u32,
    /// Incoming numbers below this are not passed on.
    lowest: u16,
    /// Highest incoming number so far.
    highest: u16,
    /// Our timestamp after the newest audio passed on.
    end: u32,
}

impl Outbound {
    /// A stream with random source, first number and first timestamp (RFC 3550 §5.1).
    pub(crate) fn new(rng: &mut Rng) -> Self {
        Self {
            ssrc: rng.u32(),
            sequence: (rng.u32() & 0xffff) as u16,
            timestamp: rng.u32(),
            marker: true,
            relay: None,
            packets: 0,
            octets: 0,
        }
    }

    /// Our synchronization source.
    pub(crate) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// The timestamp of the next tick's frame.
    pub(crate) fn timestamp(&self) -> u32 {
        self.timestamp
    }

    /// Packets sent.
    pub(crate) fn packets(&self) -> u64 {
        self.packets
    }

    /// Our part of a sender report, if anything was sent.
    pub(crate) fn sender_info(&self, now: Now) -> Option<SenderInfo> {
        (self.packets > 0).then(|| SenderInfo {
            ntp: rtcp::ntp(now.wall),
            rtp_timestamp: self.timestamp,
            // Both counts wrap (RFC 3550 §6.4.1).
            packets: self.packets as u32,
            octets: self.octets as u32,
        })
    }

    /// The clock moves on by so many ticks.
    pub(crate) fn advance(&mut self, ticks: u32) {
        self.timestamp = self
            .timestamp
            .wrapping_add(ticks.wrapping_mul(FRAME as u32));
    }

    /// Sends a frame; `None` is silence, which costs no encoding.
    pub(crate) fn audio(
        &mut self,
        step: &mut Step<'_>,
        params: &StreamParams,
        to: SocketAddr,
        frame: Option<&Frame>,
    ) {
        let header = self.header(params.payload_type, self.timestamp);
        let header = Header {
            marker: std::mem::take(&mut self.marker),
            ..header
        };
        self.send(step, to, header, FRAME, |payload| {
            encode(params.codec, frame, payload)
        });
    }

    /// Sends a report of a key in place of a frame.
    pub(crate) fn event(
        &mut self,
        step: &mut Step<'_>,
        to: SocketAddr,
        header: Header,
        report: Report,
    ) {
        let header = Header {
            sequence: self.next_sequence(),
            ssrc: self.ssrc,
            ..header
        };
        self.marker = true;
        let bytes = report.to_bytes();
        self.send(step, to, header, bytes.len(), |payload| {
            payload.copy_from_slice(&bytes)
        });
    }

    /// Passes on a packet of the other side of a bridge: the payload untouched, the header ours.
    /// `first` tells that its stream has just begun.
    pub(crate) fn relay(
        &mut self,
        step: &mut Step<'_>,
        to: SocketAddr,
        header: Header,
        payload: &[u8],
        first: bool,
    ) {
        if first {
            self.end_relay();
        }
        let begins = self.relay.is_none();
        let relay = self.relay.get_or_insert(Relay {
            sequence_offset: self.sequence.wrapping_sub(header.sequence),
            timestamp_offset: self.timestamp.wrapping_sub(header.timestamp),
            lowest: header.sequence,
            highest: header.sequence,
            end: self.timestamp,
        });
        if sequence_diff(header.sequence, relay.lowest) < 0 {
            return;
        }
        if sequence_diff(header.sequence, relay.highest) > 0 {
            relay.highest = header.sequence;
            let lowest = header
                .sequence
                .wrapping_sub(RELAY_MISORDER_MAX.unsigned_abs());
            if sequence_diff(lowest, relay.lowest) > 0 {
                relay.lowest = lowest;
            }
        }
        let timestamp = header.timestamp.wrapping_add(relay.timestamp_offset);
        let end = timestamp.wrapping_add(payload.len() as u32);
        if timestamp_diff(end, relay.end) > 0 {
            relay.end = end;
        }
        let sequence = header.sequence.wrapping_add(relay.sequence_offset);
        let after = sequence.wrapping_add(1);
        if sequence_diff(after, self.sequence) > 0 {
            self.sequence = after;
        }
        let marker = header.marker || begins;
        let header = Header {
            marker,
            sequence,
            timestamp,
            ssrc: self.ssrc,
            ..header
        };
        self.send(step, to, header, payload.len(), |bytes| {
            bytes.copy_from_slice(payload)
        });
    }

    /// Nothing is passed on any more: the clock goes on behind what was.
    pub(crate) fn end_relay(&mut self) {
        if let Some(relay) = self.relay.take() {
            if timestamp_diff(relay.end, self.timestamp) > 0 {
                self.timestamp = relay.end;
            }
            self.marker = true;
        }
    }

    fn header(&mut self, payload_type: u8, timestamp: u32) -> Header {
        let sequence = self.next_sequence();
        Header {
            marker: false,
            payload_type,
            sequence,
            timestamp,
            ssrc: self.ssrc,
        }
    }

    fn next_sequence(&mut self) -> u16 {
        assert!(
            self.relay.is_none(),
            "a relay ends before other packets are sent"
        );
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        sequence
    }

    fn send(
        &mut self,
        step: &mut Step<'_>,
        to: SocketAddr,
        header: Header,
        payload_bytes: usize,
        payload: impl FnOnce(&mut [u8]),
    ) {
        self.packets += 1;
        self.octets += payload_bytes as u64;
        let packet = Packet::build(HEADER_BYTES + payload_bytes, |bytes| {
            let (head, body) = bytes.split_at_mut(HEADER_BYTES);
            head.copy_from_slice(&header.to_bytes());
            payload(body);
        });
        step.send(Channel::Rtp, to, packet);
    }
}

fn encode(codec: Codec, frame: Option<&Frame>, payload: &mut [u8]) {
    match frame {
        Some(frame) => g711::encode(codec, frame, payload),
        None => payload.fill(g711::silence(codec)),
    }
}
