//! How loud a session is to those it talks with, and they to it.

use vocab::SessionId;

use crate::rate::{Frame, Rate};
use crate::screen::Screen;

/// Milliseconds over which something gets louder or softer: as long as received audio takes over from
/// concealed, so that neither clicks.
const RAMP_MS: usize = 4;

/// One, as a factor of [`Volume`].
const ONE: i32 = 1 << 12;

/// Loudest and softest change, in dB: as much as makes a whisper a voice. More would only make noise.
pub const GAIN_DB_MAX: i8 = 24;

/// What a session takes part with on a bridge or in a conference.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Part {
    /// The others do not hear it.
    pub muted: bool,
    /// It does not hear the others.
    pub deaf: bool,
    /// How much louder than it is the others hear it, in dB; cut off at ±[`GAIN_DB_MAX`].
    pub said_db: i8,
    /// How much louder than they are it hears the others, in dB; cut off likewise.
    pub heard_db: i8,
    /// Of the others this one alone hears it.
    pub coaches: Option<SessionId>,
    /// In a conference, keys that it presses are sent to this member, as they would be on a bridge.
    pub keys_to: Option<SessionId>,
    /// The others hear a short beep in place of each key that it presses, and nothing of the key: no
    /// tone, and no event is sent on. What it says reaches them 40 ms later.
    pub screened: bool,
}

/// A [`Part`] with how far it has come about.
#[derive(Debug, Default)]
pub(crate) struct Voice {
    part: Part,
    said: Volume,
    heard: Volume,
    screen: Option<Box<Screen>>,
}

impl Voice {
    pub(crate) fn set(&mut self, part: Part) {
        self.part = part;
        match (part.screened, &self.screen) {
            (true, None) => self.screen = Some(Box::default()),
            (false, Some(_)) => {
                // What was held back is left out: what follows rises from silence.
                self.screen = None;
                self.said.now = 0;
            }
            (true, Some(_)) | (false, None) => {}
        }
        self.said.wanted = factor(part.muted, part.said_db);
        self.heard.wanted = factor(part.deaf, part.heard_db);
    }

    /// Nothing is different from what was received.
    pub(crate) fn is_plain(&self) -> bool {
        let even = self.said.is_one() && self.heard.is_one();
        even && self.part.coaches.is_none() && self.screen.is_none()
    }

    /// Keys that it presses are not for the others.
    pub(crate) fn is_screened(&self) -> bool {
        self.screen.is_some()
    }

    pub(crate) fn coaches(&self) -> Option<SessionId> {
        self.part.coaches
    }

    pub(crate) fn keys_to(&self) -> Option<SessionId> {
        self.part.keys_to
    }

    /// Makes what it says what the others hear; false if that is nothing.
    pub(crate) fn say(&mut self, frame: &mut Frame) -> bool {
        if let Some(screen) = &mut self.screen {
            screen.pass(frame);
        }
        self.said.apply(frame)
    }

    /// Makes what the others say what it hears; false if that is nothing.
    pub(crate) fn hear(&mut self, frame: &mut Frame) -> bool {
        self.heard.apply(frame)
    }

    /// Time passed in which nobody said anything, or nobody was there.
    pub(crate) fn settle(&mut self) {
        self.said.now = self.said.wanted;
        self.heard.now = self.heard.wanted;
    }
}

/// A factor that changes without a click, in 1/[`ONE`].
#[derive(Debug)]
struct Volume {
    now: i32,
    wanted: i32,
}

impl Default for Volume {
    fn default() -> Self {
        Self {
            now: ONE,
            wanted: ONE,
        }
    }
}

impl Volume {
    fn is_one(&self) -> bool {
        (self.now, self.wanted) == (ONE, ONE)
    }

    fn apply(&mut self, frame: &mut Frame) -> bool {
        let (from, to) = (self.now, self.wanted);
        self.now = to;
        if (from, to) == (ONE, ONE) {
            return true;
        }
        if (from, to) == (0, 0) {
            frame.fill(0);
            return false;
        }
        let ramp = frame.rate().ms(RAMP_MS);
        let (first, rest) = frame.split_at_mut(ramp);
        for (sample, n) in first.iter_mut().zip(0..) {
            *sample = scaled(*sample, from + (to - from) * n / ramp as i32);
        }
        for sample in rest {
            *sample = scaled(*sample, to);
        }
        true
    }
}

fn scaled(sample: i16, factor: i32) -> i16 {
    // 16 bits by 16: a factor of 24 dB is below 2^16.
    let scaled = (i32::from(sample) * factor) >> 12;
    scaled.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}

fn factor(silent: bool, db: i8) -> i32 {
    if silent {
        return 0;
    }
    let db = f64::from(db.clamp(-GAIN_DB_MAX, GAIN_DB_MAX));
    (f64::from(ONE) * 10_f64.powf(db / 20.0)).round() as i32
}

/// Lets a frame begin from silence.
pub(crate) fn rise(frame: &mut Frame) {
    let ramp = frame.rate().ms(RAMP_MS) as i32;
    for (sample, n) in frame.iter_mut().zip(0..ramp) {
        *sample = scaled(*sample, ONE * n / ramp);
    }
}

/// What is left of a last sample while it falls to silence: as many samples as [`rise`] takes.
pub(crate) fn fall(last: i32, rate: Rate) -> impl Iterator<Item = i32> {
    let ramp = rate.ms(RAMP_MS) as i32;
    (0..ramp).map(move |n| last * (ramp - n) / ramp)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(part: Part, frames: usize) -> Vec<i16> {
        let mut voice = Voice::default();
        voice.set(part);
        let mut all = Vec::new();
        for _ in 0..frames {
            let mut frame = Frame::new(Rate::Narrow);
            frame.fill(1_000);
            voice.say(&mut frame);
            all.extend_from_slice(&frame);
        }
        all
    }

    #[test]
    fn gains_are_what_they_say() {
        for (db, level) in [
            (0, 1_000),
            (6, 1_995),
            (-6, 501),
            (20, 10_000),
            (24, 15_848),
            (60, 15_848),
            (-24, 63),
            (-128, 63),
        ] {
            let part = Part {
                said_db: db,
                ..Part::default()
            };
            let all = said(part, 2);
            let last = i32::from(all[319]);
            assert!((last - level).abs() <= 1, "{db} dB: {last}");
            assert!(
                all.windows(2).all(|two| (two[1] - two[0]).abs() < 500),
                "{db} dB: no click"
            );
        }
    }

    #[test]
    fn the_loudest_is_cut_off_and_not_turned_around() {
        let mut voice = Voice::default();
        voice.set(Part {
            heard_db: 24,
            ..Part::default()
        });
        let mut frame = Frame::new(Rate::Wide);
        frame.fill(i16::MIN);
        assert!(voice.hear(&mut frame));
        assert!(frame.iter().all(|&sample| sample == i16::MIN));
    }

    #[test]
    fn who_is_muted_fades_and_is_not_heard_then() {
        let mut voice = Voice::default();
        voice.set(Part {
            muted: true,
            ..Part::default()
        });
        assert!(!voice.is_plain());
        let mut frame = Frame::new(Rate::Narrow);
        frame.fill(8_000);
        assert!(voice.say(&mut frame), "it fades");
        assert_eq!((frame[0], frame[32], frame[159]), (8_000, 0, 0));
        frame.fill(8_000);
        assert!(!voice.say(&mut frame));
        assert!(frame.iter().all(|&sample| sample == 0));
        voice.set(Part::default());
        frame.fill(8_000);
        assert!(voice.say(&mut frame), "it rises");
        assert_eq!((frame[0], frame[32], frame[159]), (0, 8_000, 8_000));
        assert!(voice.is_plain());
    }
}
