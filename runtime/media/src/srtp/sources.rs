//! What is remembered of each source: how far its packet numbers are, and which of the latest were
//! seen (RFC 3711 §3.2.1, §3.3.1, §3.3.2).

use super::error::Error;
use crate::limits::SRTP_SOURCES_MAX;

/// Packets behind the newest one of which it is known whether they were seen.
///
/// RFC 3711 §3.3.2 asks for 64 at least; twice that is 2.5 s of packets of 20 ms, longer than any
/// jitter buffer waits.
pub(super) const WINDOW: u64 = u128::BITS as u64;

/// Half of the range of sequence numbers.
const HALF: u16 = 1 << 15;

/// Largest RTP packet number: 32 bits of roll-over counter and 16 of sequence number.
const RTP_INDEX_MAX: u64 = (1 << 48) - 1;

/// Largest RTCP packet number: 31 bits (RFC 3711 §3.4).
pub(super) const RTCP_INDEX_MAX: u64 = (1 << 31) - 1;

/// The newest packet number, and which of the [`WINDOW`] up to it were seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Window {
    newest: u64,
    /// Bit `n` is the packet `n` before the newest.
    seen: u128,
}

impl Window {
    fn new(index: u64) -> Self {
        Self {
            newest: index,
            seen: 1,
        }
    }

    fn check(&self, index: u64) -> Result<(), Error> {
        let Some(behind) = self.newest.checked_sub(index) else {
            return Ok(());
        };
        if behind >= WINDOW {
            return Err(Error::Old);
        }
        if self.seen >> behind & 1 == 1 {
            return Err(Error::Replayed);
        }
        Ok(())
    }

    fn commit(&mut self, index: u64) {
        assert_eq!(self.check(index), Ok(()), "checked before the packet was");
        match index.checked_sub(self.newest) {
            Some(ahead) => {
                let ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
                self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
                self.newest = index;
            }
            None => self.seen |= 1 << (self.newest - index),
        }
    }
}

/// The number of the packet with this sequence number, given the newest one: the roll-over counter
/// is the one that brings the two closest (RFC 3711 §3.3.1, Appendix A).
fn estimate(newest: u64, sequence: u16) -> Result<u64, Error> {
    let (roll_over, last) = (newest >> 16, newest as u16);
    let roll_over = if last < HALF && sequence.saturating_sub(last) > HALF {
        roll_over.checked_sub(1).ok_or(Error::Old)?
    } else if last >= HALF && last - HALF > sequence {
        roll_over + 1
    } else {
        roll_over
    };
    let index = roll_over << 16 | u64::from(sequence);
    if index > RTP_INDEX_MAX {
        return Err(Error::Exhausted);
    }
    Ok(index)
}

/// One source's two series of packet numbers; `None` before the first packet with this key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Source {
    ssrc: u32,
    rtp: Option<Window>,
    rtcp: Option<Window>,
    /// The newest RTP packet of the key before this one.
    before: Option<u64>,
}

impl Source {
    fn new(ssrc: u32) -> Self {
        Self {
            ssrc,
            rtp: None,
            rtcp: None,
            before: None,
        }
    }
}

/// Where a packet belongs that has a place but is not yet counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    /// Where its source is; one beyond the last if it is new.
    at: usize,
    ssrc: u32,
    /// The packet's number.
    pub(super) index: u64,
}

/// All sources of one direction.
///
/// At most [`SRTP_SOURCES_MAX`]: one more is refused, for forgetting an old one would let its
/// packets be played again. They take memory as they come, and most calls have one or two.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Sources {
    all: Vec<Source>,
    /// Whose packet came last: nearly always the next one's, too.
    last: usize,
}

impl Sources {
    /// The number of an RTP packet, unless it is old or was seen.
    pub(super) fn rtp(&self, ssrc: u32, sequence: u16) -> Result<Entry, Error> {
        let at = self.find(ssrc)?;
        let source = self.all.get(at);
        let index = if let Some(window) = source.and_then(|it| it.rtp) {
            let index = estimate(window.newest, sequence)?;
            window.check(index)?;
            index
        } else if let Some(before) = source.and_then(|it| it.before) {
            // Before zero there is nothing: it begins again.
            estimate(before, sequence).unwrap_or(sequence.into())
        } else {
            sequence.into()
        };
        Ok(Entry { at, ssrc, index })
    }

    /// The other number that the first RTP packet with a new key can have: the one with a roll-over
    /// counter of zero.
    pub(super) fn rtp_again(&self, entry: Entry) -> Option<Entry> {
        let source = self.all.get(entry.at)?;
        let index = entry.index & u64::from(u16::MAX);
        (source.rtp.is_none() && entry.index != index).then_some(Entry { index, ..entry })
    }

    /// Whether an RTCP packet with this number is neither old nor was seen.
    pub(super) fn rtcp(&self, ssrc: u32, index: u32) -> Result<Entry, Error> {
        let at = self.find(ssrc)?;
        let index = u64::from(index);
        if let Some(window) = self.all.get(at).and_then(|source| source.rtcp) {
            window.check(index)?;
        }
        Ok(Entry { at, ssrc, index })
    }

    /// The number of the next RTCP packet.
    pub(super) fn next_rtcp(&self, ssrc: u32) -> Result<Entry, Error> {
        let at = self.find(ssrc)?;
        let window = self.all.get(at).and_then(|source| source.rtcp);
        let index = window.map_or(0, |window| window.newest + 1);
        if index > RTCP_INDEX_MAX {
            return Err(Error::Exhausted);
        }
        Ok(Entry { at, ssrc, index })
    }

    /// Counts an RTP packet that is good.
    pub(super) fn commit_rtp(&mut self, entry: Entry) {
        let source = self.source(entry);
        source.before = None;
        commit(&mut source.rtp, entry.index);
    }

    /// Counts an RTCP packet that is good.
    pub(super) fn commit_rtcp(&mut self, entry: Entry) {
        let source = self.source(entry);
        commit(&mut source.rtcp, entry.index);
    }

    /// Forgets what was seen, as with a new key. RTP packet numbers go on, RTCP ones begin again.
    pub(super) fn rekey(&mut self) {
        for source in &mut self.all {
            let newest = source.rtp.map(|window| window.newest);
            *source = Source {
                before: newest.or(source.before),
                ..Source::new(source.ssrc)
            };
        }
    }

    /// Where a source is, or one beyond the last.
    fn find(&self, ssrc: u32) -> Result<usize, Error> {
        if self.all.get(self.last).is_some_and(|it| it.ssrc == ssrc) {
            return Ok(self.last);
        }
        match self.all.iter().position(|it| it.ssrc == ssrc) {
            Some(at) => Ok(at),
            None if self.all.len() < SRTP_SOURCES_MAX => Ok(self.all.len()),
            None => Err(Error::Sources),
        }
    }

    fn source(&mut self, entry: Entry) -> &mut Source {
        if entry.at == self.all.len() {
            self.all.push(Source::new(entry.ssrc));
        }
        self.last = entry.at;
        let source = &mut self.all[entry.at];
        assert_eq!(source.ssrc, entry.ssrc, "nothing came between");
        source
    }
}

fn commit(window: &mut Option<Window>, index: u64) {
    match window {
        Some(window) => window.commit(index),
        None => *window = Some(Window::new(index)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_guessed_as_in_rfc_3711_appendix_a() {
        for (newest, sequence, index) in [
            (0x0000_0000, 0x0001, Ok(0x0000_0001)),
            (0x0000_ffff, 0x0000, Ok(0x0001_0000)),
            (0x0001_0000, 0xffff, Ok(0x0000_ffff)),
            (0x0001_7fff, 0x8000, Ok(0x0001_8000)),
            // As far one way as the other: the roll-over counter stays.
            (0x0001_0000, 0x8000, Ok(0x0001_8000)),
            (0x0001_8000, 0x0000, Ok(0x0001_0000)),
            (0x0001_0000, 0x8001, Ok(0x0000_8001)),
            (0x0001_8001, 0x0000, Ok(0x0002_0000)),
            (0x0000_0005, 0xfffe, Err(Error::Old)),
            (RTP_INDEX_MAX - 1, 0xffff, Ok(RTP_INDEX_MAX)),
            (RTP_INDEX_MAX, 0x0000, Err(Error::Exhausted)),
        ] {
            assert_eq!(estimate(newest, sequence), index, "{newest:x} {sequence:x}");
        }
    }

    #[test]
    fn each_number_is_taken_once_and_only_within_the_window() {
        let mut window = Window::new(1_000);
        assert_eq!(window.check(1_000), Err(Error::Replayed));
        window.commit(1_200);
        assert_eq!(window.check(1_200 - WINDOW), Err(Error::Old));
        window.commit(1_200 - WINDOW + 1);
        assert_eq!(window.check(1_200 - WINDOW + 1), Err(Error::Replayed));
        window.commit(1_199);
        window.commit(1_201);
        for seen in [1_199, 1_200, 1_201] {
            assert_eq!(window.check(seen), Err(Error::Replayed));
        }
        assert_eq!(window.check(1_198), Ok(()));
        window.commit(1 << 40);
        assert_eq!(window.check(1_201), Err(Error::Old));
        assert_eq!(window.check((1 << 40) - 1), Ok(()));
    }

    /// Whatever comes, a set that forgets nothing agrees.
    #[test]
    fn a_window_agrees_with_a_set() {
        let mut rng = vocab::Rng::from_u64(3711);
        let mut window = Window::new(500);
        let mut seen = std::collections::BTreeSet::from([500]);
        for _ in 0..20_000 {
            let newest = *seen.last().expect("never empty");
            let index = (newest + rng.below(8)).saturating_sub(rng.below(200));
            let expected = match () {
                () if index + WINDOW <= newest => Err(Error::Old),
                () if seen.contains(&index) => Err(Error::Replayed),
                () => Ok(()),
            };
            assert_eq!(window.check(index), expected);
            if expected.is_ok() {
                window.commit(index);
                seen.insert(index);
            }
        }
    }

    #[test]
    fn one_source_too_many_is_refused() {
        let mut sources = Sources::default();
        for ssrc in 0..SRTP_SOURCES_MAX as u32 {
            let entry = sources.rtp(ssrc, 9).expect("room");
            sources.commit_rtp(entry);
        }
        assert_eq!(sources.rtp(1 << 30, 1), Err(Error::Sources));
        assert_eq!(sources.next_rtcp(1 << 30), Err(Error::Sources));
        assert_eq!(sources.rtp(5, 9), Err(Error::Replayed));
        assert!(sources.rtp(5, 10).is_ok());
    }

    #[test]
    fn a_key_ends_with_its_numbers() {
        let mut sources = Sources::default();
        let entry = sources.rtcp(1, RTCP_INDEX_MAX as u32).expect("the last");
        sources.commit_rtcp(entry);
        assert_eq!(sources.next_rtcp(1), Err(Error::Exhausted));
        sources.rekey();
        assert_eq!(sources.next_rtcp(1).map(|entry| entry.index), Ok(0));
    }
}
