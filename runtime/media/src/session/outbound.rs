//! The stream a session sends.

use vocab::{Now, Rng};

use crate::codec::{Encoder, OPUS_BYTES_MAX};
use crate::rate::{Frame, Rate};
use crate::rtcp::{self, SenderInfo};
use crate::rtp::{HEADER_BYTES, Header, sequence_diff, timestamp_diff};
use crate::session::inbound::Received;
use crate::session::{Step, To};
use crate::telephone_event::Report;
use crate::worker::Packet;
use crate::{Codec, OpusParams, StreamParams, g711, srtp};

/// A relayed packet this far behind the newest is no longer sent on (RFC 3550 §A.1 calls what is
/// further behind a jump).
const RELAY_MISORDER_MAX: i16 = 100;

/// Longest payload: 60 ms of G.722, 40 ms of wideband L16, or what Opus may take.
const PAYLOAD_MAX: usize = {
    let longest = Rate::Wide.ms(40) * 2;
    if longest > OPUS_BYTES_MAX {
        longest
    } else {
        OPUS_BYTES_MAX
    }
};

/// Numbers and times of the stream that is sent.
///
/// Without a pause: as many packets as the time needs, silence if there is nothing else, so that
/// routers on the way keep the path open and the far end never doubts the call; only Opus with DTX
/// pauses. While packets are relayed, they are sent as they come instead, and the clock runs on
/// beside them.
#[derive(Debug)]
pub(crate) struct Outbound {
    ssrc: u32,
    sequence: u16,
    /// Of the frame of the next tick.
    timestamp: u32,
    codec: Codec,
    opus: OpusParams,
    /// Made for the first frame that is encoded: who is only passed on needs none.
    encoder: Option<Encoder>,
    /// Samples that wait until there are enough for a packet.
    pending: Vec<i16>,
    /// Secures what is sent, reports as well.
    guard: Option<Box<srtp::Sender>>,
    /// The next audio packet follows something else than audio (RFC 3551 §4.1).
    marker: bool,
    relay: Option<Relay>,
    /// Of sources that we were before.
    packets_before: u64,
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
    pub(crate) fn new(rng: &mut Rng, params: &StreamParams) -> Self {
        Self {
            ssrc: rng.u32(),
            sequence: first_sequence(rng),
            timestamp: rng.u32(),
            codec: params.codec,
            opus: params.opus,
            encoder: None,
            pending: Vec::new(),
            guard: guard(params),
            marker: true,
            relay: None,
            packets_before: 0,
            packets: 0,
            octets: 0,
        }
    }

    /// Something else was negotiated. A clock of another speed needs a source of its own (RFC 7160
    /// §4.1).
    ///
    /// Another key, or another far end to whom a key is new, gets a source of its own as well: no
    /// number is used twice with a key, even if an old one comes back, and who knows nothing of what
    /// was sent before begins with a roll-over counter of zero (RFC 3711 §3.3.1).
    pub(crate) fn configure(&mut self, rng: &mut Rng, old: &StreamParams, params: &StreamParams) {
        let elsewhere = params.srtp.is_some() && old.remote_rtp != params.remote_rtp;
        if old.srtp != params.srtp || elsewhere {
            self.guard = guard(params);
            self.renew(rng);
        }
        if (self.codec, self.opus) == (params.codec, params.opus) {
            return;
        }
        self.end_relay();
        self.pending.clear();
        self.encoder = None;
        self.marker = true;
        if self.codec.clock_hz() != params.codec.clock_hz() {
            self.renew(rng);
        }
        (self.codec, self.opus) = (params.codec, params.opus);
    }

    /// Goes on as another source.
    fn renew(&mut self, rng: &mut Rng) {
        self.end_relay();
        self.pending.clear();
        self.marker = true;
        (self.ssrc, self.sequence) = (rng.u32(), first_sequence(rng));
        self.timestamp = rng.u32();
        (self.packets_before, self.packets) = (self.packets_before + self.packets, 0);
        self.octets = 0;
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
        self.packets_before + self.packets
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
        let step = self.codec.clock_hz() / 50;
        self.timestamp = self.timestamp.wrapping_add(ticks.wrapping_mul(step));
    }

    /// So many samples on the clock of the stream.
    fn ticks(&self, samples: usize) -> u32 {
        let rate = self.codec.rate(self.opus).hz();
        (samples as u64 * u64::from(self.codec.clock_hz()) / u64::from(rate)) as u32
    }

    /// Sends a frame; `None` is silence, which costs no encoding where it has a code. Packets of
    /// another length than 20 ms are cut from what has come together.
    pub(crate) fn audio(
        &mut self,
        step: &mut Step<'_>,
        params: &StreamParams,
        to: To,
        frame: Option<&Frame>,
    ) {
        let rate = params.rate();
        let length = rate.ms(usize::from(params.ptime_ms));
        if length == rate.frame() && self.pending.is_empty() {
            let timestamp = self.timestamp;
            match frame {
                Some(frame) => self.packet(step, params, to, timestamp, frame),
                None => self.silence(step, params, to, timestamp, rate),
            }
            return;
        }
        let waited = self.pending.len();
        let mut pending = std::mem::take(&mut self.pending);
        match frame {
            Some(frame) => pending.extend_from_slice(frame),
            None => pending.resize(waited + rate.frame(), 0),
        }
        let mut timestamp = self.timestamp.wrapping_sub(self.ticks(waited));
        let mut sent = 0;
        while pending.len() - sent >= length {
            self.packet(step, params, to, timestamp, &pending[sent..sent + length]);
            timestamp = timestamp.wrapping_add(self.ticks(length));
            sent += length;
        }
        pending.drain(..sent);
        self.pending = pending;
    }

    fn silence(
        &mut self,
        step: &mut Step<'_>,
        params: &StreamParams,
        to: To,
        timestamp: u32,
        rate: Rate,
    ) {
        match params.codec.law() {
            Some(law) => {
                let header = self.audio_header(params, timestamp);
                let code = g711::silence(law);
                self.send(step, to, header, rate.frame(), |payload| payload.fill(code));
            }
            None => {
                let silence = Frame::new(rate);
                self.packet(step, params, to, timestamp, &silence);
            }
        }
    }

    /// Encodes samples into a packet and sends it, unless silence needs none.
    fn packet(
        &mut self,
        step: &mut Step<'_>,
        params: &StreamParams,
        to: To,
        timestamp: u32,
        samples: &[i16],
    ) {
        if let Some(law) = params.codec.law() {
            let header = self.audio_header(params, timestamp);
            return self.send(step, to, header, samples.len(), |payload| {
                g711::encode(law, samples, payload);
            });
        }
        let mut bytes = [0; PAYLOAD_MAX];
        let encoder = self
            .encoder
            .get_or_insert_with(|| Encoder::new(params.codec, params.opus));
        let len = encoder.encode(samples, &mut bytes);
        if len == 0 {
            self.marker = true;
            return;
        }
        let header = self.audio_header(params, timestamp);
        self.send(step, to, header, len, |payload| {
            payload.copy_from_slice(&bytes[..len]);
        });
    }

    fn audio_header(&mut self, params: &StreamParams, timestamp: u32) -> Header {
        let header = self.header(params.payload_type, timestamp);
        Header {
            marker: std::mem::take(&mut self.marker),
            ..header
        }
    }

    /// Sends a report of a key in place of a frame.
    pub(crate) fn event(&mut self, step: &mut Step<'_>, to: To, header: Header, report: Report) {
        let header = Header {
            sequence: self.next_sequence(),
            ssrc: self.ssrc,
            ..header
        };
        self.marker = true;
        // What waits would come after the key: it is of the same 20 to 40 ms, and nobody misses it.
        self.pending.clear();
        let bytes = report.to_bytes();
        self.send(step, to, header, bytes.len(), |payload| {
            payload.copy_from_slice(&bytes)
        });
    }

    /// Passes on a packet of the other side of a bridge: the payload untouched, the header ours.
    pub(crate) fn relay(
        &mut self,
        step: &mut Step<'_>,
        to: To,
        received: Received<'_>,
        payload_type: u8,
    ) {
        let Received {
            header,
            payload,
            ticks,
            first,
            ..
        } = received;
        self.pending.clear();
        // An encoder of Opus would be made in vain: it has nothing to take note of.
        if self.codec == Codec::G722 && ticks > 0 {
            let encoder = || Encoder::new(self.codec, self.opus);
            self.encoder.get_or_insert_with(encoder).pass(payload);
        }
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
        let end = timestamp.wrapping_add(ticks);
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
            payload_type,
            sequence,
            timestamp,
            ssrc: self.ssrc,
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
        to: To,
        header: Header,
        payload_bytes: usize,
        payload: impl FnOnce(&mut [u8]),
    ) {
        self.packets += 1;
        self.octets += payload_bytes as u64;
        let len = HEADER_BYTES + payload_bytes;
        let added = self.guard.as_ref().map_or(0, |it| it.rtp_added_bytes());
        let mut good = true;
        let packet = Packet::build(len + added, |bytes| {
            let (head, body) = bytes.split_at_mut(HEADER_BYTES);
            head.copy_from_slice(&header.to_bytes());
            payload(&mut body[..payload_bytes]);
            if let Some(guard) = &mut self.guard {
                good = guard.protect(bytes, len).is_ok();
            }
        });
        if good {
            step.send(to, packet);
        } else {
            step.counts.dropped += 1;
        }
    }

    /// A report, secured if media is; `None` if that cannot be done any more.
    pub(crate) fn seal(&mut self, len: usize, write: impl FnOnce(&mut [u8])) -> Option<Packet> {
        let added = self.guard.as_ref().map_or(0, |it| it.rtcp_added_bytes());
        let mut good = true;
        let packet = Packet::build(len + added, |bytes| {
            write(&mut bytes[..len]);
            if let Some(guard) = &mut self.guard {
                good = guard.protect_rtcp(bytes, len).is_ok();
            }
        });
        good.then_some(packet)
    }
}

/// Below half its range, or a far end that misses the first packets would be wrong about the roll-over
/// counter (RFC 3711 §3.3.1).
fn first_sequence(rng: &mut Rng) -> u16 {
    (rng.u32() & 0x7fff) as u16
}

fn guard(params: &StreamParams) -> Option<Box<srtp::Sender>> {
    let keys = params.srtp.as_ref()?;
    Some(Box::new(srtp::Sender::new(&keys.send)))
}
