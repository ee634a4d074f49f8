//! The samples of a jitter buffer: those that have come, by their place.

use std::collections::VecDeque;

use crate::Codec;
use crate::codec::Decoder;
use crate::g711::{self, Law};
use crate::limits::{PLAYOUT_MS, PLAYOUT_PACKETS_MAX};
use crate::rate::Rate;

/// How long a decoder makes up what was lost: 60 ms, as everybody conceals.
const MADE_UP_MS: usize = 60;

/// How long it makes up the noise of a pause that the far end announced: Opus says again every
/// 400 ms that there is one (RFC 6716 §2.1.9), so this is long enough for one of them to be lost.
const PAUSE_MS: usize = 900;

/// Samples by their place, with a bit for each that has come.
#[derive(Debug)]
pub(super) struct Ring {
    codec: Codec,
    rate: Rate,
    samples: Samples,
    filled: Vec<u64>,
}

/// What they are kept as. Nothing is held until the first packet.
#[derive(Debug)]
enum Samples {
    /// One byte each.
    Codes { law: Law, codes: Vec<u8> },
    /// As they are.
    Plain { decoder: Decoder, ring: Vec<i16> },
    /// As they are once they are due; until then as packets.
    Packets(Box<Packets>),
}

impl Samples {
    fn codes(law: Law) -> Self {
        Self::Codes {
            law,
            codes: Vec::new(),
        }
    }
}

#[derive(Debug)]
struct Packets {
    decoder: Decoder,
    ring: Vec<i16>,
    /// In the order of their places.
    waiting: VecDeque<Waiting>,
    /// Buffers to be used again.
    spare: Vec<Vec<u8>>,
    /// The sample after the last one that was decoded or made up.
    done: i64,
    /// Samples made up in a row.
    made_up: usize,
    /// The last packet said that a pause begins.
    pause: bool,
}

#[derive(Debug)]
struct Waiting {
    start: i64,
    len: usize,
    payload: Vec<u8>,
}

impl Ring {
    pub(super) fn new(codec: Codec, rate: Rate) -> Self {
        let samples = match codec {
            Codec::Pcmu => Samples::codes(Law::Mu),
            Codec::Pcma => Samples::codes(Law::A),
            Codec::L16(_) => Samples::Plain {
                decoder: Decoder::new(codec, rate),
                ring: Vec::new(),
            },
            Codec::G722 | Codec::Opus => Samples::Packets(Box::new(Packets {
                decoder: Decoder::new(codec, rate),
                ring: Vec::new(),
                waiting: VecDeque::new(),
                spare: Vec::new(),
                done: i64::MIN,
                made_up: 0,
                pause: false,
            })),
        };
        Self {
            codec,
            rate,
            samples,
            filled: Vec::new(),
        }
    }

    pub(super) fn codec(&self) -> Codec {
        self.codec
    }

    /// Samples that it holds.
    fn size(&self) -> usize {
        self.rate.ms(PLAYOUT_MS)
    }

    /// Forgets all that came. What a decoder remembers is left: it may be the same voice.
    pub(super) fn clear_all(&mut self) {
        self.filled.fill(0);
        if let Samples::Packets(packets) = &mut self.samples {
            while let Some(waiting) = packets.waiting.pop_front() {
                packets.spare.push(waiting.payload);
            }
            packets.done = i64::MIN;
            packets.pause = false;
        }
    }

    /// Takes a packet without its first samples. It has a place, see [`super::Playout::fits`].
    pub(super) fn put(&mut self, start: i64, skip: usize, payload: &[u8]) {
        let size = self.size();
        if self.filled.is_empty() {
            self.filled.resize(size.div_ceil(64), 0);
        }
        let from = start + skip as i64;
        let len = match &mut self.samples {
            Samples::Codes { codes, .. } => {
                codes.resize(size, 0);
                let payload = &payload[skip..];
                let place = place(from, size);
                let first = payload.len().min(size - place);
                codes[place..place + first].copy_from_slice(&payload[..first]);
                codes[..payload.len() - first].copy_from_slice(&payload[first..]);
                payload.len()
            }
            Samples::Plain { decoder, ring } => {
                ring.resize(size, 0);
                // Two bytes a sample, and every sample stands for itself.
                write(ring, from, &payload[skip * 2..], |bytes, out| {
                    decoder.decode(bytes, out);
                });
                payload.len() / 2 - skip
            }
            Samples::Packets(packets) => {
                packets.ring.resize(size, 0);
                let ticks = self.codec.ticks(payload).unwrap_or(0);
                let len = super::samples_of(self.codec, self.rate, i64::from(ticks));
                let len = usize::try_from(len).unwrap_or(0);
                if !packets.put(start, len, payload) {
                    return;
                }
                packets.pause = self.codec.is_silence(payload);
                len - skip
            }
        };
        self.mark(from, len, |word, mask| *word |= mask);
    }

    /// Takes note of a packet that is not played.
    pub(super) fn pass(&mut self, payload: &[u8]) {
        if let Samples::Packets(packets) = &mut self.samples {
            packets.decoder.pass(payload);
        }
    }

    /// These samples are not needed any more.
    pub(super) fn clear(&mut self, from: i64, len: usize) {
        self.mark(from, len, |word, mask| *word &= !mask);
    }

    /// Applies `change` to each word of bits that covers the range, with the mask of its part.
    fn mark(&mut self, from: i64, len: usize, change: impl Fn(&mut u64, u64)) {
        if self.filled.is_empty() {
            return;
        }
        let size = self.size();
        assert!(len <= size, "a range goes round the ring at most once");
        let (mut at, mut left) = (place(from, size), len);
        while left > 0 {
            let bit = at % 64;
            let take = left.min(64 - bit).min(size - at);
            change(&mut self.filled[at / 64], (u64::MAX >> (64 - take)) << bit);
            at = (at + take) % size;
            left -= take;
        }
    }

    /// Whether the sample of a place has come, and for how many from there the same holds, at most
    /// `max`.
    pub(super) fn run(&self, from: i64, max: usize) -> (bool, usize) {
        if self.filled.is_empty() {
            return (false, max);
        }
        let size = self.size();
        let mut at = place(from, size);
        let there = self.filled[at / 64] >> (at % 64) & 1 == 1;
        let mut len = 0;
        while len < max {
            let bit = at % 64;
            let word = self.filled[at / 64];
            let word = if there { !word } else { word };
            let room = (64 - bit).min(size - at);
            let same = ((word >> bit).trailing_zeros() as usize).min(room);
            len += same;
            if same < room {
                break;
            }
            at = (at + same) % size;
        }
        (there, len.min(max))
    }

    /// Reads samples that have come.
    pub(super) fn read(&mut self, from: i64, out: &mut [i16]) {
        let size = self.size();
        let start = place(from, size);
        let first = out.len().min(size - start);
        let (head, tail) = out.split_at_mut(first);
        match &mut self.samples {
            Samples::Codes { law, codes } => {
                g711::decode(*law, &codes[start..start + first], head);
                g711::decode(*law, &codes[..tail.len()], tail);
            }
            Samples::Plain { ring, .. } => {
                head.copy_from_slice(&ring[start..start + first]);
                tail.copy_from_slice(&ring[..tail.len()]);
            }
            Samples::Packets(packets) => {
                packets.decode_until(from + (head.len() + tail.len()) as i64);
                head.copy_from_slice(&packets.ring[start..start + first]);
                tail.copy_from_slice(&packets.ring[..tail.len()]);
            }
        }
    }

    /// Whether the codec makes up for losses by its own means.
    pub(super) fn makes_up(&self) -> bool {
        self.codec == Codec::Opus
    }

    /// Whether the far end has announced a pause that its decoder makes a noise for.
    pub(super) fn is_in_pause(&self) -> bool {
        match &self.samples {
            Samples::Packets(packets) => packets.pause && packets.made_up < self.rate.ms(PAUSE_MS),
            Samples::Codes { .. } | Samples::Plain { .. } => false,
        }
    }

    /// Whether the next packet tells what was lost from here up to it; if so, that has come now.
    pub(super) fn recover(&mut self, from: i64) -> bool {
        let Samples::Packets(packets) = &mut self.samples else {
            return false;
        };
        let Some(len) = packets.recover(from) else {
            return false;
        };
        self.mark(from, len, |word, mask| *word |= mask);
        true
    }

    /// Writes what the codec makes up in place of samples that did not come; false if it does not.
    pub(super) fn make_up(&mut self, from: i64, out: &mut [i16]) -> bool {
        let (rate, makes_up) = (self.rate, self.makes_up());
        let Samples::Packets(packets) = &mut self.samples else {
            return false;
        };
        let limit = rate.ms(if packets.pause { PAUSE_MS } else { MADE_UP_MS });
        if !makes_up || packets.done == i64::MIN || packets.made_up >= limit {
            return false;
        }
        packets.make_up(from, out, rate)
    }

    /// Takes note of what was played in place of samples that did not come.
    pub(super) fn follow(&mut self, concealed: &[i16]) {
        if let Samples::Packets(packets) = &mut self.samples {
            packets.decoder.follow(concealed);
        }
    }
}

impl Packets {
    /// Keeps a packet in its order; false if its place is taken, or too many wait.
    fn put(&mut self, start: i64, len: usize, payload: &[u8]) -> bool {
        let after = self.waiting.partition_point(|it| it.start < start);
        let taken = self.waiting.get(after).is_some_and(|it| it.start == start);
        if taken || self.waiting.len() >= PLAYOUT_PACKETS_MAX {
            return false;
        }
        if start < self.done {
            // It takes the place of what was made up.
            self.done = start;
        }
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.clear();
        bytes.extend_from_slice(payload);
        let waiting = Waiting {
            start,
            len,
            payload: bytes,
        };
        self.waiting.insert(after, waiting);
        true
    }

    /// Decodes all packets that begin before a sample.
    fn decode_until(&mut self, end: i64) {
        while self.done < end
            && let Some(next) = self.waiting.pop_front_if(|next| next.start < end)
        {
            let Waiting {
                start,
                len,
                payload,
            } = next;
            if start + len as i64 > self.done {
                let decoder = &mut self.decoder;
                let mut samples = [0; super::PACKET_MAX];
                let samples = &mut samples[..len];
                if decoder.decode(&payload, samples) != len {
                    samples.fill(0);
                }
                copy(&mut self.ring, start, samples);
                self.done = start + len as i64;
                self.made_up = 0;
            }
            self.spare.push(payload);
        }
    }

    /// Decodes what the next packet says of the one before it, if that is just what is missing.
    fn recover(&mut self, from: i64) -> Option<usize> {
        if self.done != from || self.made_up > 0 {
            return None;
        }
        let next = self.waiting.front()?;
        let len = usize::try_from(next.start - from).ok()?;
        if len == 0 || len > next.len {
            return None;
        }
        let mut samples = [0; super::PACKET_MAX];
        let samples = &mut samples[..len];
        if !self.decoder.recover(&next.payload, samples) {
            return None;
        }
        copy(&mut self.ring, from, samples);
        self.done = next.start;
        Some(len)
    }

    /// Lets the decoder go on for as long as is missing, 10 ms at a time.
    fn make_up(&mut self, from: i64, out: &mut [i16], rate: Rate) -> bool {
        let end = from + out.len() as i64;
        if self.done < from {
            self.done = from;
        }
        let mut piece = [0; Rate::Full.ms(10)];
        let piece = &mut piece[..rate.ms(10)];
        while self.done < end {
            if !self.decoder.make_up(piece) {
                return false;
            }
            copy(&mut self.ring, self.done, piece);
            self.done += piece.len() as i64;
            self.made_up += piece.len();
        }
        let size = self.ring.len();
        let start = place(from, size);
        let first = out.len().min(size - start);
        let (head, tail) = out.split_at_mut(first);
        head.copy_from_slice(&self.ring[start..start + first]);
        tail.copy_from_slice(&self.ring[..tail.len()]);
        true
    }
}

/// Place of a sample in a ring of so many.
fn place(sample: i64, size: usize) -> usize {
    sample.rem_euclid(size as i64) as usize
}

/// Writes samples of two bytes each to their places.
fn write(ring: &mut [i16], from: i64, bytes: &[u8], mut decode: impl FnMut(&[u8], &mut [i16])) {
    let (size, count) = (ring.len(), bytes.len() / 2);
    let start = place(from, size);
    let first = count.min(size - start);
    decode(&bytes[..first * 2], &mut ring[start..start + first]);
    decode(&bytes[first * 2..count * 2], &mut ring[..count - first]);
}

fn copy(ring: &mut [i16], from: i64, samples: &[i16]) {
    let size = ring.len();
    let start = place(from, size);
    let first = samples.len().min(size - start);
    ring[start..start + first].copy_from_slice(&samples[..first]);
    ring[..samples.len() - first].copy_from_slice(&samples[first..]);
}
