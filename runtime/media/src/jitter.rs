//! The adaptive jitter buffer: audio that comes in packets, when it will, leaves by the clock.
//!
//! G.711 has one byte for each sample, so the buffer is a ring of samples addressed by RTP
//! timestamp, with one bit each for "has come". Reordering, duplicates and packets of any length
//! need no special case, and nothing is allocated. Every 20 ms the next 160 samples are decoded;
//! what has not come by then is concealed.
//!
//! # How deep
//!
//! For each packet that arrives, its *spare* is how many samples the playing position could move
//! ahead and the packet would still come 10 ms before the tick that needs it. The lowest but one
//! of the last two to four seconds steers (the very lowest may be one stray packet):
//!
//! - below zero, the position is held back by as much, and the delay grows;
//! - above 30 ms, the position moves ahead until 15 ms are left, and the delay shrinks.
//!
//! While nothing comes the position simply moves. In audio up to 10 ms at a time are repeated or
//! left out where the wave resembles itself, with a crossfade; left out only in silence, unless a
//! second passes without any. This one rule also follows a sender whose clock runs
//! fast or slow: its packets' spare grows or falls slowly.

use crate::limits::{PLAYOUT_DEPTH_MAX, PLAYOUT_SAMPLES};
use crate::rtp::timestamp_diff;
use crate::{Codec, g711};

/// Samples handed out by the clock: 20 ms.
pub const FRAME: usize = 160;

/// A frame of audio.
pub type Frame = [i16; FRAME];

const FRAME_I32: i32 = FRAME as i32;
const WORDS: usize = PLAYOUT_SAMPLES / 64;

/// Delay of the first packet: 30 ms, so that a good network leaves it as it is.
const START_DEPTH: u32 = 240;

/// Samples a packet should come before the tick that needs it: 10 ms.
const SAFETY: u32 = 80;

/// Spare above which the delay shrinks, and where it shrinks to.
const SPARE_HIGH: i32 = 240;
const SPARE_TARGET: i32 = 120;

/// Ticks of one half of the observed time: 2 s.
const WINDOW_TICKS: u32 = 100;

/// Packets that must have been seen in that time before the delay may shrink.
const WINDOW_PACKETS: u32 = 20;

/// Ticks to wait for silence before speech is cut: 1 s.
const CUT_WAIT_TICKS: u32 = 50;

/// Ticks between two cuts into speech, so that it is sped up by 10 % at most.
const CUT_PAUSE_TICKS: u32 = 5;

/// Concealed audio has faded to silence after this many samples: 60 ms.
const FADE: u32 = 480;

/// Samples over which real audio takes over from concealed: 4 ms.
const BLEND: usize = 32;

/// Peak below which a frame counts as silence, where cuts are not heard: about -50 dBm0.
const QUIET_PEAK: u16 = 100;

/// Shortest and longest piece repeated or left out at once: 1 to 10 ms.
const PIECE_MIN: usize = 8;
const PIECE_MAX: usize = 80;

/// Where in a frame the cut lies, and how long its crossfade is.
const CUT_AT: usize = 80;
const CUT_FADE: usize = 48;

/// What became of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stored {
    /// All or some of it will be played.
    Used,
    /// All of it is too late or empty.
    Late,
}

/// What a frame holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard {
    /// Audio that was received, perhaps with concealed pieces.
    Audio,
    /// Only the echo of what came before.
    Concealed,
    /// Nothing: all samples are zero.
    Silence,
}

/// The jitter buffer of one received stream: about 5 KB.
#[derive(Clone, Debug)]
pub struct Playout {
    codes: [u8; PLAYOUT_SAMPLES],
    filled: [u64; WORDS],
    /// Where playing is; `None` until the first packet.
    position: Option<Position>,
    window: Window,
    /// Samples to leave out until the spare is as wanted.
    excess: i32,
    /// Ticks until speech may be cut again.
    cut_pause: u32,
    conceal: Concealment,
    gap: u32,
    lead: usize,
}

#[derive(Clone, Copy, Debug)]
struct Position {
    /// Timestamp of the next sample to play.
    next: u32,
    /// Timestamp after the newest sample that came.
    end: u32,
    /// Samples just before `next` in a row that had not come when they were due.
    dry: u32,
}

impl Default for Playout {
    fn default() -> Self {
        Self::new()
    }
}

impl Playout {
    /// An empty buffer.
    pub fn new() -> Self {
        Self {
            codes: [0; PLAYOUT_SAMPLES],
            filled: [0; WORDS],
            position: None,
            window: Window::default(),
            excess: 0,
            cut_pause: 0,
            conceal: Concealment::default(),
            gap: 0,
            lead: 0,
        }
    }

    /// Forgets everything: another stream begins.
    pub fn reset(&mut self) {
        self.filled = [0; WORDS];
        self.position = None;
        self.window = Window::default();
        self.excess = 0;
        self.conceal.lost = FADE;
    }

    /// Samples between the playing position and the end of what has come: the delay of a packet
    /// that arrives now, its own length included.
    pub fn depth(&self) -> usize {
        self.position.map_or(0, |at| {
            usize::try_from(timestamp_diff(at.end, at.next)).unwrap_or(0)
        })
    }

    /// Samples of the sender's time that had not come when the last frame began: those before it in
    /// a row that were lost or never sent. Audio that came late, but came, leaves none.
    pub fn gap(&self) -> u32 {
        self.gap
    }

    /// Samples at the start of the last frame that had not come, if the rest of it had.
    pub fn lead(&self) -> usize {
        self.lead
    }

    /// Takes the encoded samples of one packet, the first of which is that of `timestamp`.
    /// `until_tick` is how many samples' time is left until the next [`Self::pull`], up to 160.
    pub fn store(&mut self, timestamp: u32, codes: &[u8], until_tick: u32) -> Stored {
        let Ok(len) = u32::try_from(codes.len()) else {
            return Stored::Late;
        };
        if len == 0 || codes.len() > PLAYOUT_SAMPLES / 2 {
            return Stored::Late;
        }
        let needed = if until_tick < SAFETY { FRAME_I32 } else { 0 };
        let mut at = self.position_for(timestamp, len);
        let mut ahead = timestamp_diff(timestamp, at.next);
        self.window.note(ahead - needed);
        if ahead < 0 {
            // What was played in its place was concealment: play it now, later than planned.
            let back = at.dry.min((needed - ahead).unsigned_abs());
            let newest = timestamp_diff(at.end, at.next).max(0).unsigned_abs();
            if newest + back <= PLAYOUT_DEPTH_MAX as u32 {
                at.next = at.next.wrapping_sub(back);
                at.dry -= back;
                ahead += back.cast_signed();
                self.window.shift(back.cast_signed());
                self.excess = 0;
            }
        }
        let skip = usize::try_from(-ahead.min(0)).expect("a negated negative number is positive");
        if skip >= codes.len() {
            self.position = Some(at);
            return Stored::Late;
        }
        self.put(timestamp.wrapping_add(skip as u32), &codes[skip..]);
        let end = timestamp.wrapping_add(len);
        if timestamp_diff(end, at.end) > 0 {
            at.end = end;
        }
        self.position = Some(at);
        Stored::Used
    }

    /// Whether a packet of so many samples has a place beside what is buffered. If not, storing it
    /// throws that away, because the sender's clock jumped or too much comes at once.
    pub fn fits(&self, timestamp: u32, len: usize) -> bool {
        let ring = PLAYOUT_SAMPLES as i32;
        self.position.is_some_and(|at| {
            let ahead = timestamp_diff(timestamp, at.next);
            ahead > -ring && ahead <= ring.saturating_sub(i32::try_from(len).unwrap_or(ring))
        })
    }

    /// Takes out up to 20 ms of what is buffered without its being played; tells how many samples
    /// they are. `None` if nothing is left.
    pub fn take(&mut self, codec: Codec, out: &mut Frame) -> Option<usize> {
        let Position { mut next, end, dry } = self.position?;
        let len = loop {
            let left = usize::try_from(timestamp_diff(end, next)).ok()?;
            if left == 0 {
                return None;
            }
            let (there, len) = self.run(next, left.min(FRAME));
            if there {
                self.decode(codec, next, &mut out[..len]);
                self.clear(next, len);
            }
            next = next.wrapping_add(len as u32);
            if there {
                break len;
            }
        };
        self.position = Some(Position { next, end, dry });
        Some(len)
    }

    /// Samples in a row before the playing position that had not come when they were due.
    pub fn dry(&self) -> u32 {
        self.position.map_or(0, |at| at.dry)
    }

    /// Whether nothing that follows a packet that is [`Stored::Late`] was played yet. If so, tells
    /// how many samples of the sender's time before it had not come.
    pub fn missed(&self, timestamp: u32) -> Option<u32> {
        let at = self.position?;
        let behind = u32::try_from(timestamp_diff(at.next, timestamp)).ok()?;
        at.dry.checked_sub(behind)
    }

    /// The position, started or moved if this packet does not fit around it.
    fn position_for(&mut self, timestamp: u32, len: u32) -> Position {
        if let Some(at) = self.position.filter(|_| self.fits(timestamp, len as usize)) {
            return at;
        }
        // The first packet, or the sender's clock jumped.
        self.filled = [0; WORDS];
        self.window = Window::default();
        self.excess = 0;
        let next = timestamp.wrapping_sub(START_DEPTH);
        Position {
            next,
            end: next,
            dry: 0,
        }
    }

    /// Plays the next 20 ms.
    pub fn pull(&mut self, codec: Codec, out: &mut Frame) -> Heard {
        let Some(mut at) = self.position else {
            out.fill(0);
            return Heard::Silence;
        };
        self.steer();
        (self.gap, self.lead) = (at.dry, 0);
        let lost_before = self.conceal.lost;
        let buffered = timestamp_diff(at.end, at.next);
        let consumed = if buffered <= 0 {
            self.pull_dry(&mut at, out)
        } else {
            self.pull_audio(codec, &mut at, out)
        };
        at.next = at.next.wrapping_add(consumed);
        self.window.shift(FRAME_I32 - consumed.cast_signed());
        if timestamp_diff(at.end, at.next) < 0 {
            // Kept close, so that the difference never wraps while nothing comes.
            at.end = at.next;
        }
        self.position = Some(at);
        if at.dry < FRAME as u32 {
            Heard::Audio
        } else if lost_before >= FADE {
            Heard::Silence
        } else {
            Heard::Concealed
        }
    }

    /// Decides at the end of a window how much the delay is to shrink.
    fn steer(&mut self) {
        if let Some(spare) = self.window.tick() {
            let before = self.excess;
            self.excess = if spare > SPARE_HIGH {
                spare - SPARE_TARGET
            } else {
                0
            };
            if before == 0 {
                self.cut_pause = CUT_WAIT_TICKS;
            }
        }
        self.cut_pause = self.cut_pause.saturating_sub(1);
    }

    /// Nothing is there: conceals, and uses the gap to set the delay right at no cost.
    fn pull_dry(&mut self, at: &mut Position, out: &mut Frame) -> u32 {
        self.conceal.fill(out);
        at.dry = at.dry.saturating_add(FRAME as u32);
        let moved = (self.excess.max(0) - self.window.deficit()).clamp(-FRAME_I32, FRAME_I32);
        self.excess -= moved.clamp(0, self.excess.max(0));
        (FRAME_I32 + moved).unsigned_abs()
    }

    fn pull_audio(&mut self, codec: Codec, at: &mut Position, out: &mut Frame) -> u32 {
        let deficit = self.window.deficit();
        if deficit > 0 {
            self.excess = 0;
        }
        let cut = if deficit >= PIECE_MIN as i32 && self.has(at.next, FRAME) {
            Some(self.pull_longer(codec, at.next, out))
        } else if self.excess >= PIECE_MIN as i32 && self.has(at.next, FRAME + PIECE_MAX) {
            self.pull_shorter(codec, at.next, out)
        } else {
            None
        };
        let Some(consumed) = cut else {
            self.read(codec, at, out);
            self.clear(at.next, FRAME);
            return FRAME as u32;
        };
        self.clear(at.next, consumed);
        self.conceal.lost = 0;
        self.conceal.heard(out);
        at.dry = 0;
        consumed as u32
    }

    /// Plays a frame of which a piece is heard twice; tells how many samples it took.
    fn pull_longer(&self, codec: Codec, next: u32, out: &mut Frame) -> usize {
        let mut wide = [0; FRAME];
        self.decode(codec, next, &mut wide);
        let piece = alike(&wide, FRAME - CUT_AT - CUT_FADE);
        repeat_piece(&wide, piece, out);
        FRAME - piece
    }

    /// Plays a frame from which a piece is left out, if it is silent or its turn has come; tells
    /// how many samples it took.
    fn pull_shorter(&mut self, codec: Codec, next: u32, out: &mut Frame) -> Option<usize> {
        let mut wide = [0; FRAME + PIECE_MAX];
        self.decode(codec, next, &mut wide);
        let quiet = wide.iter().all(|sample| sample.unsigned_abs() < QUIET_PEAK);
        if !quiet {
            if self.cut_pause > 0 {
                return None;
            }
            self.cut_pause = CUT_PAUSE_TICKS;
        }
        let most = usize::try_from(self.excess).expect("the caller checked that it is positive");
        let piece = alike(&wide, most.min(PIECE_MAX));
        drop_piece(&wide, piece, out);
        self.excess -= piece as i32;
        Some(FRAME + piece)
    }

    /// Whether the next samples have all come.
    fn has(&self, next: u32, len: usize) -> bool {
        self.run(next, len) == (true, len)
    }

    /// Decodes the next frame and conceals what is missing in it.
    fn read(&mut self, codec: Codec, at: &mut Position, out: &mut Frame) {
        let mut done = 0;
        while done < FRAME {
            let from = at.next.wrapping_add(done as u32);
            let (there, len) = self.run(from, FRAME - done);
            let piece = &mut out[done..done + len];
            if there {
                self.decode(codec, from, piece);
                self.conceal.blend(piece);
                at.dry = 0;
            } else {
                self.conceal.fill(piece);
                at.dry = at.dry.saturating_add(len as u32);
                self.lead += if done == 0 { len } else { 0 };
            }
            done += len;
        }
        self.conceal.heard(out);
    }

    fn put(&mut self, timestamp: u32, codes: &[u8]) {
        let start = index(timestamp);
        let first = codes.len().min(PLAYOUT_SAMPLES - start);
        self.codes[start..start + first].copy_from_slice(&codes[..first]);
        self.codes[..codes.len() - first].copy_from_slice(&codes[first..]);
        self.mark(timestamp, codes.len(), |word, mask| *word |= mask);
    }

    fn clear(&mut self, timestamp: u32, len: usize) {
        self.mark(timestamp, len, |word, mask| *word &= !mask);
    }

    /// Applies `change` to each word of bits that covers the range, with the mask of its part.
    fn mark(&mut self, timestamp: u32, len: usize, change: impl Fn(&mut u64, u64)) {
        assert!(
            len <= PLAYOUT_SAMPLES,
            "a range goes round the ring at most once"
        );
        let (mut at, mut left) = (index(timestamp), len);
        while left > 0 {
            let bit = at % 64;
            let take = left.min(64 - bit);
            change(&mut self.filled[at / 64], (u64::MAX >> (64 - take)) << bit);
            at = (at + take) % PLAYOUT_SAMPLES;
            left -= take;
        }
    }

    /// Whether the sample of `timestamp` has come, and for how many from there the same holds,
    /// at most `max`.
    fn run(&self, timestamp: u32, max: usize) -> (bool, usize) {
        let mut at = index(timestamp);
        let there = self.filled[at / 64] >> (at % 64) & 1 == 1;
        let mut len = 0;
        while len < max {
            let bit = at % 64;
            let word = if there {
                !self.filled[at / 64]
            } else {
                self.filled[at / 64]
            };
            let same = ((word >> bit).trailing_zeros() as usize).min(64 - bit);
            len += same;
            if same < 64 - bit {
                break;
            }
            at = (at + same) % PLAYOUT_SAMPLES;
        }
        (there, len.min(max))
    }

    fn decode(&self, codec: Codec, timestamp: u32, out: &mut [i16]) {
        let start = index(timestamp);
        let first = out.len().min(PLAYOUT_SAMPLES - start);
        let (head, tail) = out.split_at_mut(first);
        g711::decode(codec, &self.codes[start..start + first], head);
        g711::decode(codec, &self.codes[..tail.len()], tail);
    }
}

/// Place of a timestamp in the ring.
fn index(timestamp: u32) -> usize {
    timestamp as usize % PLAYOUT_SAMPLES
}

/// The length of the piece that can be left out or repeated with the least notice: where the wave
/// resembles itself. The longer of two that do equally well.
fn alike(wide: &[i16], most: usize) -> usize {
    let distance = |piece: usize| -> u32 {
        let here = &wide[CUT_AT..CUT_AT + CUT_FADE];
        let there = &wide[CUT_AT + piece..CUT_AT + piece + CUT_FADE];
        here.iter()
            .zip(there)
            .map(|(a, b)| u32::from(a.abs_diff(*b)))
            .sum()
    };
    assert!(
        most >= PIECE_MIN,
        "the caller wants at least the shortest piece"
    );
    (PIECE_MIN..=most)
        .rev()
        .min_by_key(|&piece| distance(piece))
        .expect("the range is not empty")
}

fn drop_piece(wide: &[i16; FRAME + PIECE_MAX], piece: usize, out: &mut Frame) {
    out[..CUT_AT].copy_from_slice(&wide[..CUT_AT]);
    out[CUT_AT..].copy_from_slice(&wide[CUT_AT + piece..FRAME + piece]);
    crossfade(&wide[CUT_AT..CUT_AT + CUT_FADE], &mut out[CUT_AT..]);
}

fn repeat_piece(wide: &Frame, piece: usize, out: &mut Frame) {
    let turn = CUT_AT + piece;
    out[..turn].copy_from_slice(&wide[..turn]);
    out[turn..].copy_from_slice(&wide[CUT_AT..FRAME - piece]);
    crossfade(&wide[turn..turn + CUT_FADE], &mut out[turn..]);
}

/// Fades from `old` into what `new` holds, over the length of `old`.
fn crossfade(old: &[i16], new: &mut [i16]) {
    let len = old.len() as i32;
    for (i, (old, new)) in old.iter().zip(new.iter_mut()).enumerate() {
        let part = i as i32;
        let mixed = (i32::from(*old) * (len - part) + i32::from(*new) * part) / len;
        *new = i16::try_from(mixed).expect("between two samples lies a sample");
    }
}

/// Fills gaps with the last frame again and again, fading.
#[derive(Clone, Debug)]
struct Concealment {
    /// The last frame played.
    last: Frame,
    /// Samples concealed in a row; from [`FADE`] on they are zero.
    lost: u32,
}

impl Default for Concealment {
    fn default() -> Self {
        Self {
            last: [0; FRAME],
            lost: FADE,
        }
    }
}

impl Concealment {
    fn sample(&self, lost: u32) -> i16 {
        let gain = FADE.saturating_sub(lost).cast_signed();
        let sample = i32::from(self.last[lost as usize % FRAME]) * gain / FADE.cast_signed();
        i16::try_from(sample).expect("the gain is at most one")
    }

    fn fill(&mut self, out: &mut [i16]) {
        if self.lost >= FADE {
            out.fill(0);
            return;
        }
        for sample in out {
            *sample = self.sample(self.lost);
            self.lost += 1;
        }
    }

    /// Fades from concealed audio into what came; ends the gap.
    fn blend(&mut self, piece: &mut [i16]) {
        if self.lost > 0 && self.lost < FADE {
            let mut old = [0; BLEND];
            let len = BLEND.min(piece.len());
            for (lost, sample) in (self.lost..).zip(&mut old[..len]) {
                *sample = self.sample(lost);
            }
            crossfade(&old[..len], piece);
        }
        self.lost = 0;
    }

    /// Remembers the frame, if it ends with real audio.
    fn heard(&mut self, frame: &Frame) {
        if self.lost == 0 {
            self.last = *frame;
        }
    }
}

/// The lowest spares of the packets of the last two to four seconds.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    now: Lows,
    before: Option<Lows>,
    ticks: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Lows {
    packets: u32,
    lowest: i32,
    second: i32,
    highest: i32,
}

impl Window {
    fn note(&mut self, spare: i32) {
        let lows = &mut self.now;
        match lows.packets {
            0 => {
                (lows.lowest, lows.second, lows.highest) = (spare, i32::MAX / 2, spare);
            }
            _ if spare < lows.lowest => (lows.second, lows.lowest) = (lows.lowest, spare),
            _ => lows.second = lows.second.min(spare),
        }
        lows.highest = lows.highest.max(spare);
        lows.packets = lows.packets.saturating_add(1);
    }

    /// The position moved back by so many samples (ahead if negative): all spares changed.
    fn shift(&mut self, by: i32) {
        for lows in [Some(&mut self.now), self.before.as_mut()]
            .into_iter()
            .flatten()
        {
            lows.lowest = lows.lowest.saturating_add(by);
            lows.second = lows.second.saturating_add(by);
            lows.highest = lows.highest.saturating_add(by);
        }
    }

    /// How far the spare that steers is below zero, as far as the greatest depth allows.
    fn deficit(&self) -> i32 {
        if self.now.packets < 2 {
            return 0;
        }
        let room = PLAYOUT_DEPTH_MAX as i32 - self.now.highest;
        (-self.now.second).min(room).max(0)
    }

    /// Counts a tick; at the end of a half gives the spare that steers, if enough was seen.
    fn tick(&mut self) -> Option<i32> {
        self.ticks += 1;
        if self.ticks < WINDOW_TICKS {
            return None;
        }
        self.ticks = 0;
        let now = std::mem::take(&mut self.now);
        let enough = now.packets >= WINDOW_PACKETS;
        let before = std::mem::replace(&mut self.before, enough.then_some(now));
        before
            .filter(|_| enough)
            .map(|before| before.second.min(now.second))
    }
}
