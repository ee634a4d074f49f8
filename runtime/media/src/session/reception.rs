//! What arrives of a stream and what does not (RFC 3550 Appendix A).

use vocab::Mono;

use crate::rtcp::Block;
use crate::rtp::{CLOCK_HZ, Header, timestamp_diff};

/// A step forward by more than this is a jump, not loss (RFC 3550 §A.1).
const DROPOUT_MAX: u16 = 3_000;

/// A packet this far behind may still be a late one (RFC 3550 §A.1).
const MISORDER_MAX: u16 = 100;

/// What a packet is to the stream it belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Arrival {
    /// The next packet, or one that was overtaken.
    Fresh,
    /// The first packet of a stream: there was none, or it began anew.
    First,
    /// It was here before.
    Duplicate,
    /// It does not fit. If the next one continues from it, a new stream has begun.
    Stray,
}

/// Sequence numbers and timing of the stream of one source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reception {
    /// Ticks a second of the timestamps.
    clock_hz: u32,
    stream: Option<Stream>,
    /// Source and sequence number with which a stray packet would become a new stream.
    candidate: Option<(u32, u16)>,
    /// Packets lost of streams that ended.
    lost_before: u64,
}

#[derive(Clone, Copy, Debug)]
struct Stream {
    ssrc: u32,
    base: u32,
    /// Highest number with its wraps.
    highest: u32,
    /// Bit n: the packet n before the highest has come.
    seen: u128,
    /// Packets without duplicates, and those.
    unique: u64,
    duplicates: u64,
    /// Both at the last report (§A.3).
    expected_prior: u64,
    received_prior: u64,
    /// Arrival minus timestamp of the last packet, and 16 times the jitter (§A.8).
    transit: Option<u32>,
    jitter: u32,
}

impl Default for Reception {
    fn default() -> Self {
        Self {
            clock_hz: CLOCK_HZ,
            stream: None,
            candidate: None,
            lost_before: 0,
        }
    }
}

impl Reception {
    /// Timestamps count so many ticks a second from now on.
    pub(crate) fn set_clock(&mut self, clock_hz: u32) {
        if std::mem::replace(&mut self.clock_hz, clock_hz) != clock_hz
            && let Some(stream) = &mut self.stream
        {
            (stream.transit, stream.jitter) = (None, 0);
        }
    }

    /// A moment on that clock.
    pub(crate) fn ticks(&self, now: Mono) -> u32 {
        // In microseconds the product fits for ten years.
        (now.0 / 1_000 * u64::from(self.clock_hz) / 1_000_000) as u32
    }

    /// Takes note of a packet. `arrival` is the time on the stream's clock, or `None` if the
    /// packet's timestamp says nothing about when it was sent (telephone events).
    pub(crate) fn note(&mut self, header: &Header, arrival: Option<u32>) -> Arrival {
        let known = match &mut self.stream {
            Some(stream) if stream.ssrc == header.ssrc => stream.place(header.sequence),
            Some(_) => Arrival::Stray,
            None => Arrival::First,
        };
        let begins = match known {
            Arrival::Stray => {
                let expected = (header.ssrc, header.sequence);
                let follows = self.candidate == Some(expected);
                self.candidate = Some((header.ssrc, header.sequence.wrapping_add(1)));
                if !follows {
                    return Arrival::Stray;
                }
                true
            }
            Arrival::First => true,
            Arrival::Fresh | Arrival::Duplicate => false,
        };
        if begins {
            self.lost_before = self.lost();
            self.stream = Some(Stream::new(header));
        }
        // Only packets in a row begin a new stream.
        self.candidate = None;
        let stream = self
            .stream
            .as_mut()
            .expect("there is one, or it was just begun");
        if known == Arrival::Duplicate {
            stream.duplicates += 1;
            return Arrival::Duplicate;
        }
        if let Some(arrival) = arrival {
            stream.time(arrival.wrapping_sub(header.timestamp), self.clock_hz);
        }
        if begins {
            Arrival::First
        } else {
            Arrival::Fresh
        }
    }

    /// Packets that never came, of all streams.
    pub(crate) fn lost(&self) -> u64 {
        let current = self
            .stream
            .map_or(0, |stream| stream.expected().saturating_sub(stream.unique));
        self.lost_before + current
    }

    /// Interarrival jitter in µs.
    pub(crate) fn jitter_us(&self) -> u32 {
        // 16ths are kept.
        self.stream.map_or(0, |stream| {
            let us = u64::from(stream.jitter) * 62_500 / u64::from(self.clock_hz);
            u32::try_from(us).unwrap_or(u32::MAX)
        })
    }

    /// The block of the next report, without the times of the far end's report (§6.4.1).
    pub(crate) fn report(&mut self) -> Option<Block> {
        let stream = self.stream.as_mut()?;
        let expected = stream.expected();
        let received = stream.unique + stream.duplicates;
        let expected_now = expected - stream.expected_prior;
        let lost_now = expected_now.saturating_sub(received - stream.received_prior);
        (stream.expected_prior, stream.received_prior) = (expected, received);
        let fraction = (lost_now * 256)
            .checked_div(expected_now)
            .unwrap_or(0)
            .min(255);
        let lost = expected.cast_signed() - received.cast_signed();
        Some(Block {
            ssrc: stream.ssrc,
            fraction_lost: u8::try_from(fraction).expect("at most 255"),
            lost: i32::try_from(lost.clamp(-(1 << 23), (1 << 23) - 1)).expect("24 bits"),
            highest_sequence: stream.highest,
            jitter: stream.jitter >> 4,
            last_report: 0,
            since_report: 0,
        })
    }
}

impl Stream {
    fn new(header: &Header) -> Self {
        let base = u32::from(header.sequence);
        Self {
            ssrc: header.ssrc,
            base,
            highest: base,
            seen: 1,
            unique: 1,
            duplicates: 0,
            expected_prior: 0,
            received_prior: 0,
            transit: None,
            jitter: 0,
        }
    }

    fn expected(&self) -> u64 {
        u64::from(self.highest - self.base) + 1
    }

    /// Finds a number's place among those seen (§A.1).
    fn place(&mut self, sequence: u16) -> Arrival {
        let step = sequence.wrapping_sub(self.highest as u16);
        let back = step.wrapping_neg();
        if step == 0 {
            return Arrival::Duplicate;
        }
        if step < DROPOUT_MAX {
            let Some(highest) = self.highest.checked_add(u32::from(step)) else {
                // After 4 billion packets the count begins anew.
                return Arrival::Stray;
            };
            self.highest = highest;
            self.seen = self.seen.checked_shl(u32::from(step)).unwrap_or(0) | 1;
            self.unique += 1;
            return Arrival::Fresh;
        }
        if back > MISORDER_MAX {
            return Arrival::Stray;
        }
        let bit = 1 << back;
        if self.seen & bit != 0 || u32::from(back) > self.highest - self.base {
            // What came before the first packet is not counted either (§A.1).
            return Arrival::Duplicate;
        }
        self.seen |= bit;
        self.unique += 1;
        Arrival::Fresh
    }

    fn time(&mut self, transit: u32, clock_hz: u32) {
        if let Some(before) = self.transit.replace(transit) {
            let change = timestamp_diff(transit, before).unsigned_abs();
            if change < clock_hz {
                self.jitter = self.jitter + change - ((self.jitter + 8) >> 4);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(ssrc: u32, sequence: u16) -> Header {
        let timestamp = u32::from(sequence) * 160;
        Header {
            marker: false,
            payload_type: 0,
            sequence,
            timestamp,
            ssrc,
        }
    }

    fn feed(reception: &mut Reception, sequences: &[u16]) -> Vec<Arrival> {
        sequences
            .iter()
            .map(|&sequence| reception.note(&header(1, sequence), None))
            .collect()
    }

    #[test]
    fn losses_duplicates_and_disorder_are_told_apart() {
        use Arrival::{Duplicate, First, Fresh};
        let mut reception = Reception::default();
        let arrivals = feed(&mut reception, &[65_534, 65_535, 1, 0, 0, 5, 3, 1]);
        assert_eq!(
            arrivals,
            [
                First, Fresh, Fresh, Fresh, Duplicate, Fresh, Fresh, Duplicate
            ]
        );
        assert_eq!(reception.lost(), 2, "2 and 4 are missing");
        let block = reception.report().expect("something came");
        assert_eq!(block.highest_sequence, 0x1_0005);
        assert_eq!(
            (block.lost, block.fraction_lost),
            (0, 0),
            "duplicates count against losses"
        );
        feed(&mut reception, &[6, 8, 10, 12]);
        let block = reception.report().expect("something came");
        assert_eq!((block.lost, block.fraction_lost), (3, (3 * 256 / 7) as u8));
        assert_eq!(reception.lost(), 5);
    }

    #[test]
    fn a_jump_needs_two_packets_in_a_row() {
        use Arrival::{First, Fresh, Stray};
        let mut reception = Reception::default();
        let arrivals = feed(
            &mut reception,
            &[10, 11, 13, 30_000, 14, 30_001, 30_002, 30_003],
        );
        assert_eq!(
            arrivals,
            [First, Fresh, Fresh, Stray, Fresh, Stray, First, Fresh]
        );
        assert_eq!(reception.lost(), 1, "of the old stream");
    }

    #[test]
    fn another_source_needs_two_packets_in_a_row() {
        use Arrival::{First, Fresh, Stray};
        let mut reception = Reception::default();
        let packets = [(1, 5), (2, 80), (1, 6), (2, 81), (2, 82), (1, 7)];
        let arrivals = packets.map(|(ssrc, seq)| reception.note(&header(ssrc, seq), None));
        assert_eq!(arrivals, [First, Stray, Fresh, Stray, First, Stray]);
        assert_eq!(reception.report().map(|block| block.ssrc), Some(2));
    }

    #[test]
    fn jitter_follows_the_formula() {
        let mut reception = Reception::default();
        // Alternately on time and 16 samples (2 ms) late: the estimate tends to 16.
        for n in 0..400 {
            let late = u32::from(n % 2) * 16;
            let packet = header(1, n);
            reception.note(&packet, Some(packet.timestamp + late));
        }
        assert!(
            (1_800..=2_000).contains(&reception.jitter_us()),
            "{}",
            reception.jitter_us()
        );
        assert_eq!(reception.report().map(|block| block.jitter), Some(15));
    }
}
