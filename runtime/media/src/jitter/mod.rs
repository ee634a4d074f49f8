//! The adaptive jitter buffer: audio that comes in packets, when it will, leaves by the clock.
//!
//! The buffer is a ring of samples addressed by the sender's clock, with one bit each for "has
//! come". Reordering, duplicates and packets of any length need no special case, and nothing is
//! allocated for a packet once the buffer has grown to what its stream needs. Every 20 ms the next
//! frame is played; what has not come by then is concealed.
//!
//! Codecs without a memory are kept as they came (G.711: one byte a sample) or as samples (L16).
//! Those with one (G.722, Opus) keep their packets until they are due, because a decoder must see
//! them in order, and the next packet may tell what a lost one said.
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

mod noise;
mod ring;
mod window;

use crate::Codec;
use crate::conceal::Concealment;
use crate::jitter::noise::Noise;
use crate::jitter::ring::Ring;
use crate::jitter::window::Window;
use crate::limits::{PLAYOUT_DEPTH_MAX_MS, PLAYOUT_MS};
use crate::rate::Rate;
use crate::rtp::timestamp_diff;

/// Delay of the first packet: 30 ms, so that a good network leaves it as it is.
const START_DEPTH_MS: usize = 30;

/// How long a packet should come before the tick that needs it: 10 ms.
const SAFETY_MS: usize = 10;

/// Spare above which the delay shrinks, and where it shrinks to: 30 and 15 ms.
const SPARE_HIGH_MS: usize = 30;
const SPARE_TARGET_MS: usize = 15;

/// Ticks to wait for silence before speech is cut: 1 s.
const CUT_WAIT_TICKS: u32 = 50;

/// Ticks between two cuts into speech, so that it is sped up by 10 % at most.
const CUT_PAUSE_TICKS: u32 = 5;

/// Peak below which a frame counts as silence, where cuts are not heard: about -50 dBm0.
const QUIET_PEAK: u16 = 100;

/// Shortest and longest piece repeated or left out at once.
const PIECE_MIN_MS: usize = 1;
const PIECE_MAX_MS: usize = 10;

/// Where in a frame the cut lies, and how long its crossfade is.
const CUT_AT_MS: usize = 10;
const CUT_FADE_MS: usize = 6;

/// Samples of the longest piece that is looked at for a cut.
const WIDE_MAX: usize = Rate::Full.frame() + Rate::Full.ms(PIECE_MAX_MS);

/// Samples of the longest packet that waits to be decoded: Opus of 120 ms at 48,000 a second.
const PACKET_MAX: usize = Rate::Full.ms(120);

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
    /// Noise, because the far end said that there is nothing but that.
    Noise,
    /// Nothing: all samples are zero.
    Silence,
}

/// The jitter buffer of one received stream: about 6 KB for G.711, 19 KB and a decoder for wideband
/// codecs, all of it only once something came.
#[derive(Debug)]
pub struct Playout {
    rate: Rate,
    ring: Ring,
    /// Where playing is; `None` until the first packet.
    position: Option<Position>,
    window: Window,
    /// Samples to leave out until the spare is as wanted.
    excess: i32,
    /// Ticks until speech may be cut again.
    cut_pause: u32,
    conceal: Concealment,
    noise: Noise,
    gap: u32,
    lead: usize,
}

#[derive(Clone, Copy, Debug)]
struct Position {
    /// The next sample to play.
    next: i64,
    /// That after the newest sample that came.
    end: i64,
    /// Samples just before `next` in a row that had not come when they were due.
    dry: u32,
    /// What the sender's clock showed last, and the sample of that.
    timestamp: u32,
    sample: i64,
}

impl Position {
    /// The sample of a timestamp.
    fn of(self, codec: Codec, rate: Rate, timestamp: u32) -> i64 {
        let ticks = i64::from(timestamp_diff(timestamp, self.timestamp));
        self.sample + samples_of(codec, rate, ticks)
    }
}

/// So many ticks of the RTP clock in samples.
fn samples_of(codec: Codec, rate: Rate, ticks: i64) -> i64 {
    let (hz, clock_hz) = (i64::from(rate.hz()), i64::from(codec.clock_hz()));
    // One divides the other: G.722's clock is slower than its audio, that of Opus may be faster.
    if hz >= clock_hz {
        ticks * (hz / clock_hz)
    } else {
        ticks.div_euclid(clock_hz / hz)
    }
}

impl Playout {
    /// An empty buffer for a codec whose audio is used at a rate.
    pub fn new(codec: Codec, rate: Rate) -> Self {
        Self {
            rate,
            ring: Ring::new(codec, rate),
            position: None,
            window: Window::new(rate.ms(PLAYOUT_DEPTH_MAX_MS) as i32),
            excess: 0,
            cut_pause: 0,
            conceal: Concealment::new(rate),
            noise: Noise::default(),
            gap: 0,
            lead: 0,
        }
    }

    /// Samples a second of what it plays.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// The far end says that from `timestamp` on there is nothing but noise of -`level` dBov (RFC 3389
    /// §3), until audio comes again.
    pub fn noise(&mut self, timestamp: u32, level: u8) {
        let position = self.position;
        let since = position.map(|at| at.of(self.ring.codec(), self.rate, timestamp));
        self.noise.begin(since.unwrap_or(i64::MIN), level);
    }

    /// Forgets everything: another stream begins.
    pub fn reset(&mut self) {
        self.ring.clear_all();
        self.position = None;
        self.window.clear();
        self.excess = 0;
        self.conceal.reset();
    }

    /// Samples between the playing position and the end of what has come: the delay of a packet
    /// that arrives now, its own length included.
    pub fn depth(&self) -> usize {
        self.position
            .map_or(0, |at| usize::try_from(at.end - at.next).unwrap_or(0))
    }

    /// Whether there may be no place for one more packet of 200 ms.
    pub fn is_nearly_full(&self) -> bool {
        self.depth() + self.rate.ms(200) > self.rate.ms(PLAYOUT_MS)
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

    /// Takes one packet, the first sample of which is that of `timestamp`. `until_tick` is how many
    /// samples' time is left until the next [`Self::pull`], up to a frame's.
    pub fn store(&mut self, timestamp: u32, payload: &[u8], until_tick: u32) -> Stored {
        let Some(len) = self.len(payload) else {
            return Stored::Late;
        };
        let frame = self.rate.frame() as i32;
        let safe = self.rate.ms(SAFETY_MS) as u32;
        let needed = if until_tick < safe { frame } else { 0 };
        let (mut at, start) = self.position_for(timestamp, len);
        let mut ahead = i32::try_from(start - at.next).expect("it fits the ring");
        self.window.note(ahead - needed);
        if ahead < 0 {
            // What was played in its place was concealment: play it now, later than planned.
            let back = at.dry.min((needed - ahead).unsigned_abs());
            let newest = (at.end - at.next).max(0);
            if newest + i64::from(back) <= self.rate.ms(PLAYOUT_DEPTH_MAX_MS) as i64 {
                at.next -= i64::from(back);
                at.dry -= back;
                ahead += back.cast_signed();
                self.window.shift(back.cast_signed());
                self.excess = 0;
            }
        }
        let skip = usize::try_from(-ahead.min(0)).expect("a negated negative number is positive");
        if skip >= len {
            self.position = Some(at);
            return Stored::Late;
        }
        self.ring.put(start, skip, payload);
        self.noise.audio(start);
        at.end = at.end.max(start + len as i64);
        self.position = Some(at);
        Stored::Used
    }

    /// Takes note of a packet that is passed on instead of being played, so that those after it can
    /// be.
    pub fn pass(&mut self, payload: &[u8]) {
        self.ring.pass(payload);
    }

    /// Samples of a payload; `None` if it is none, or too long.
    fn len(&self, payload: &[u8]) -> Option<usize> {
        let codec = self.ring.codec();
        let ticks = codec.ticks(payload).filter(|ticks| *ticks > 0)?;
        let len = usize::try_from(samples_of(codec, self.rate, i64::from(ticks))).ok()?;
        (len <= self.rate.ms(PLAYOUT_MS) / 2).then_some(len)
    }

    /// Whether a packet has a place beside what is buffered. If not, storing it throws that away,
    /// because the sender's clock jumped or too much comes at once.
    pub fn fits(&self, timestamp: u32, payload: &[u8]) -> bool {
        let len = self.len(payload).unwrap_or(0);
        self.position.is_some_and(|at| {
            let start = at.of(self.ring.codec(), self.rate, timestamp);
            self.holds(at, start, len)
        })
    }

    fn holds(&self, at: Position, start: i64, len: usize) -> bool {
        let ring = self.rate.ms(PLAYOUT_MS) as i64;
        let ahead = start - at.next;
        ahead > -ring && ahead + len as i64 <= ring
    }

    /// Takes out up to 20 ms of what is buffered without its being played; tells how many samples
    /// they are. `None` if nothing is left.
    pub fn take(&mut self, out: &mut [i16]) -> Option<usize> {
        let at = self.position?;
        let (mut next, frame) = (at.next, self.rate.frame());
        let len = loop {
            let left = usize::try_from(at.end - next).ok()?;
            if left == 0 {
                return None;
            }
            let (there, len) = self.ring.run(next, left.min(frame));
            if there {
                self.ring.read(next, &mut out[..len]);
                self.ring.clear(next, len);
            }
            next += len as i64;
            if there {
                break len;
            }
        };
        self.position = Some(Position { next, ..at });
        Some(len)
    }

    /// Samples in a row before the playing position that had not come when they were due.
    pub fn dry(&self) -> u32 {
        self.position.map_or(0, |at| at.dry)
    }

    /// Whether nothing that follows a packet that is [`Stored::Late`] was played yet. If so, tells
    /// the place of its first sample, and how many samples of the sender's time before it had not
    /// come.
    pub fn missed(&self, timestamp: u32) -> Option<(i64, u32)> {
        let at = self.position?;
        let start = at.of(self.ring.codec(), self.rate, timestamp);
        let behind = u32::try_from(at.next - start).ok()?;
        Some((start, at.dry.checked_sub(behind)?))
    }

    /// The position, started or moved if this packet does not fit around it, and the packet's first
    /// sample.
    fn position_for(&mut self, timestamp: u32, len: usize) -> (Position, i64) {
        if let Some(mut at) = self.position {
            let sample = at.of(self.ring.codec(), self.rate, timestamp);
            if self.holds(at, sample, len) {
                (at.timestamp, at.sample) = (timestamp, sample);
                return (at, sample);
            }
        }
        // The first packet, or the sender's clock jumped.
        self.noise.end();
        self.ring.clear_all();
        self.window.clear();
        self.excess = 0;
        let next = -(self.rate.ms(START_DEPTH_MS) as i64);
        let at = Position {
            next,
            end: next,
            dry: 0,
            timestamp,
            sample: 0,
        };
        (at, 0)
    }

    /// Plays the next 20 ms.
    pub fn pull(&mut self, out: &mut [i16]) -> Heard {
        assert_eq!(out.len(), self.rate.frame(), "20 ms");
        let Some(mut at) = self.position else {
            if self.noise.fill(out) {
                return Heard::Noise;
            }
            out.fill(0);
            return Heard::Silence;
        };
        self.steer();
        (self.gap, self.lead) = (at.dry, 0);
        let silent_before = self.conceal.is_silent() && !self.ring.is_in_pause();
        let consumed = if at.end <= at.next {
            self.pull_dry(&mut at, out)
        } else {
            self.noise.end_if_over();
            self.pull_audio(&mut at, out)
        };
        at.next += i64::from(consumed);
        let frame = self.rate.frame();
        self.window.shift(frame as i32 - consumed.cast_signed());
        // Kept close, so that it is clear what is ahead.
        at.end = at.end.max(at.next);
        self.position = Some(at);
        if at.dry < frame as u32 {
            Heard::Audio
        } else if self.noise.fill(out) {
            Heard::Noise
        } else if silent_before {
            Heard::Silence
        } else {
            Heard::Concealed
        }
    }

    /// Decides at the end of a window how much the delay is to shrink.
    fn steer(&mut self) {
        if let Some(spare) = self.window.tick() {
            let before = self.excess;
            self.excess = if spare > self.rate.ms(SPARE_HIGH_MS) as i32 {
                spare - self.rate.ms(SPARE_TARGET_MS) as i32
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
    fn pull_dry(&mut self, at: &mut Position, out: &mut [i16]) -> u32 {
        self.conceal(at.next, out);
        self.conceal.note(out);
        let frame = out.len() as i32;
        at.dry = at.dry.saturating_add(frame.unsigned_abs());
        let moved = (self.excess.max(0) - self.window.deficit()).clamp(-frame, frame);
        self.excess -= moved.clamp(0, self.excess.max(0));
        (frame + moved).unsigned_abs()
    }

    fn pull_audio(&mut self, at: &mut Position, out: &mut [i16]) -> u32 {
        let deficit = self.window.deficit();
        if deficit > 0 {
            self.excess = 0;
        }
        let least = self.rate.ms(PIECE_MIN_MS) as i32;
        let (frame, piece_max) = (out.len(), self.rate.ms(PIECE_MAX_MS));
        let cut = if deficit >= least && self.has(at.next, frame) {
            Some(self.pull_longer(at.next, out))
        } else if self.excess >= least && self.has(at.next, frame + piece_max) {
            self.pull_shorter(at.next, out)
        } else {
            None
        };
        let Some(consumed) = cut else {
            self.read(at, out);
            self.ring.clear(at.next, frame);
            return frame as u32;
        };
        self.ring.clear(at.next, consumed);
        self.conceal.blend(&mut []);
        self.conceal.note(out);
        at.dry = 0;
        consumed as u32
    }

    /// Plays a frame of which a piece is heard twice; tells how many samples it took.
    fn pull_longer(&mut self, next: i64, out: &mut [i16]) -> usize {
        let mut wide = [0; WIDE_MAX];
        let wide = &mut wide[..out.len()];
        self.ring.read(next, wide);
        let (at, fade) = (self.rate.ms(CUT_AT_MS), self.rate.ms(CUT_FADE_MS));
        let piece = alike(wide, self.rate, out.len() - at - fade);
        let turn = at + piece;
        out[..turn].copy_from_slice(&wide[..turn]);
        out[turn..].copy_from_slice(&wide[at..wide.len() - piece]);
        crossfade(&wide[turn..turn + fade], &mut out[turn..]);
        out.len() - piece
    }

    /// Plays a frame from which a piece is left out, if it is silent or its turn has come; tells
    /// how many samples it took.
    fn pull_shorter(&mut self, next: i64, out: &mut [i16]) -> Option<usize> {
        let mut wide = [0; WIDE_MAX];
        let piece_max = self.rate.ms(PIECE_MAX_MS);
        let wide = &mut wide[..out.len() + piece_max];
        self.ring.read(next, wide);
        let quiet = wide.iter().all(|sample| sample.unsigned_abs() < QUIET_PEAK);
        if !quiet {
            if self.cut_pause > 0 {
                return None;
            }
            self.cut_pause = CUT_PAUSE_TICKS;
        }
        let most = usize::try_from(self.excess).expect("the caller checked that it is positive");
        let piece = alike(wide, self.rate, most.min(piece_max));
        let (at, fade) = (self.rate.ms(CUT_AT_MS), self.rate.ms(CUT_FADE_MS));
        let frame = out.len();
        out[..at].copy_from_slice(&wide[..at]);
        out[at..].copy_from_slice(&wide[at + piece..frame + piece]);
        crossfade(&wide[at..at + fade], &mut out[at..]);
        self.excess -= piece as i32;
        Some(frame + piece)
    }

    /// Whether the next samples have all come.
    fn has(&self, next: i64, len: usize) -> bool {
        self.ring.run(next, len) == (true, len)
    }

    /// Reads the next frame and conceals what is missing in it.
    fn read(&mut self, at: &mut Position, out: &mut [i16]) {
        let mut done = 0;
        while done < out.len() {
            let from = at.next + done as i64;
            let (mut there, mut len) = self.ring.run(from, out.len() - done);
            if !there && self.ring.recover(from) {
                (there, len) = self.ring.run(from, out.len() - done);
            }
            let piece = &mut out[done..done + len];
            if there {
                self.ring.read(from, piece);
                self.conceal
                    .blend(if self.ring.makes_up() { &mut [] } else { piece });
                at.dry = 0;
            } else {
                self.conceal(from, piece);
                at.dry = at.dry.saturating_add(len as u32);
                self.lead += if done == 0 { len } else { 0 };
            }
            self.conceal.note(piece);
            done += len;
        }
    }

    /// Fills in for samples that did not come: by the codec's own means, or by what was played
    /// before.
    fn conceal(&mut self, from: i64, out: &mut [i16]) {
        if self.ring.make_up(from, out) {
            self.conceal.pass(out.len());
            return;
        }
        self.conceal.fill(out);
        if !self.conceal.is_silent() {
            self.ring.follow(out);
        }
    }
}

/// The length of the piece that can be left out or repeated with the least notice: where the wave
/// resembles itself. The longer of two that do equally well.
fn alike(wide: &[i16], rate: Rate, most: usize) -> usize {
    let (at, fade) = (rate.ms(CUT_AT_MS), rate.ms(CUT_FADE_MS));
    // At higher rates every so many samples are enough to tell.
    let step = rate.factor();
    let distance = |piece: usize| -> u32 {
        let here = &wide[at..at + fade];
        let there = &wide[at + piece..at + piece + fade];
        let pairs = here.iter().zip(there).step_by(step);
        pairs.map(|(a, b)| u32::from(a.abs_diff(*b))).sum()
    };
    let least = rate.ms(PIECE_MIN_MS);
    assert!(
        most >= least,
        "the caller wants at least the shortest piece"
    );
    (least..=most)
        .rev()
        .step_by(step)
        .min_by_key(|&piece| distance(piece))
        .expect("the range is not empty")
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
