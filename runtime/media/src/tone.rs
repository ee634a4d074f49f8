//! Tones: DTMF, ringback, busy, beep and special information.
//!
//! A [`Tone`] is a small machine that writes samples into whatever frame it is given. Its
//! oscillators run on through pauses and from step to step, and every sounding step rises and
//! falls over 5 ms, so nothing clicks.

use std::f64::consts::TAU;
use std::time::Duration;

use vocab::Clip;
use vocab::call::Beep;

/// Peak of a sine at 0 dBm0. Full scale is 3.14 dBm0 (ITU-T G.711 §4, A-law).
const PEAK_AT_0_DBM0: f64 = 22_826.0;

/// Samples over which a step rises and falls: 5 ms, long enough not to click and short against
/// the 40 ms that a digit must last at least (ITU-T Q.24 table A-1).
const RAMP_SAMPLES: u32 = 40;

/// Longest tone that a step can hold; a day, so that arithmetic on samples stays in range.
const STEP_MAX: Duration = Duration::from_secs(86_400);

/// The digits by row and column of the keypad (ITU-T Q.23).
pub(crate) const KEYS: [[char; 4]; 4] = [
    ['1', '2', '3', 'A'],
    ['4', '5', '6', 'B'],
    ['7', '8', '9', 'C'],
    ['*', '0', '#', 'D'],
];

/// The low group: one frequency for each row, in Hz (ITU-T Q.23).
pub(crate) const ROW_HZ: [u16; 4] = [697, 770, 852, 941];

/// The high group: one frequency for each column, in Hz (ITU-T Q.23).
pub(crate) const COLUMN_HZ: [u16; 4] = [1_209, 1_336, 1_477, 1_633];

/// Levels of the low and the high group, in dBm0. ITU-T Q.23 leaves them to each network; these
/// are what gateways use, the high group louder because lines weaken it more.
const DTMF_DBM0: (f64, f64) = (-9.0, -7.0);

/// Level of each frequency of a call progress tone, in dBm0: softer than speech close to the ear.
const PROGRESS_DBM0: f64 = -13.0;

/// Level of a beep beside a talk, in dBm0.
const SIGNAL_DBM0: f64 = -20.0;

/// Whose call progress tones are used (ITU-T E.180 Supplement 2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Region {
    /// China: 450 Hz.
    China,
    /// North America: pairs of 440, 480 and 620 Hz.
    NorthAmerica,
    /// Most of Europe: 425 Hz.
    Europe,
}

/// A tone with its cadence, made piece by piece.
#[derive(Clone, Debug)]
pub struct Tone {
    steps: Vec<Step>,
    /// The cadence begins again after the last step.
    repeat: bool,
    /// The step that sounds now, and how many of its samples are out.
    at: usize,
    done: u32,
    /// Where the two oscillators are, in 1/2^32 of a turn.
    phases: [u32; 2],
}

/// One part of a cadence; silence if both amplitudes are zero.
#[derive(Clone, Copy, Debug)]
struct Step {
    hz: [f64; 2],
    peak: [f64; 2],
    samples: u32,
}

impl Tone {
    /// One DTMF digit out of `0-9*#A-D`, followed by a pause. `None` for another character.
    pub fn dtmf(digit: char, on: Duration, off: Duration) -> Option<Self> {
        let (row, column) = key(digit)?;
        let hz = [f64::from(ROW_HZ[row]), f64::from(COLUMN_HZ[column])];
        let peak = [peak(DTMF_DBM0.0), peak(DTMF_DBM0.1)];
        Some(Self::once(vec![
            Step {
                hz,
                peak,
                samples: samples(on),
            },
            Step::pause(off),
        ]))
    }

    /// The called phone is ringing. Endless.
    pub fn ringback(region: Region) -> Self {
        let (on, off) = match region {
            Region::China | Region::Europe => (1_000, 4_000),
            Region::NorthAmerica => (2_000, 4_000),
        };
        Self::cadence(region, [440.0, 480.0], on, off)
    }

    /// The called party is busy. Endless.
    pub fn busy(region: Region) -> Self {
        let ms = match region {
            Region::China => 350,
            Region::NorthAmerica | Region::Europe => 500,
        };
        Self::cadence(region, [480.0, 620.0], ms, ms)
    }

    /// No way through the network (congestion, reorder). Endless.
    pub fn congestion(region: Region) -> Self {
        let ms = match region {
            Region::China => 700,
            Region::NorthAmerica | Region::Europe => 250,
        };
        Self::cadence(region, [480.0, 620.0], ms, ms)
    }

    /// Special information, before an announcement: 950, 1,400 and 1,800 Hz, 330 ms each, and a
    /// second of silence (ITU-T E.180, special information tone).
    pub fn special_information() -> Self {
        let third = Duration::from_millis(330);
        let mut steps: Vec<_> = [950.0, 1_400.0, 1_800.0]
            .map(|hz| Step::single(hz, PROGRESS_DBM0, third))
            .into();
        steps.push(Step::pause(Duration::from_secs(1)));
        Self::once(steps)
    }

    /// 1,000 Hz at -10 dBm0 for the given length, as before a recording.
    pub fn beep(length: Duration) -> Self {
        Self::once(vec![Step::single(1_000.0, -10.0, length)])
    }

    /// A beep beside a talk: softer than what is said, so that it covers no word.
    pub fn signal(beep: Beep) -> Self {
        let (hz, ms) = match beep {
            Beep::Recorded => (1_400.0, 200),
            Beep::Joined => (880.0, 150),
            Beep::Key => (425.0, 60),
        };
        Self::once(vec![Step::single(
            hz,
            SIGNAL_DBM0,
            Duration::from_millis(ms),
        )])
    }

    /// Writes the next samples and tells how many; fewer than asked for means that it is over, and
    /// the rest of `out` is silence.
    pub fn fill(&mut self, out: &mut [i16]) -> usize {
        let mut written = 0;
        while let Some(step) = self.step() {
            if written == out.len() {
                return written;
            }
            out[written] = step.sample(self.phases, self.done);
            for (phase, hz) in self.phases.iter_mut().zip(step.hz) {
                *phase = phase.wrapping_add(turn_per_sample(hz));
            }
            self.done += 1;
            written += 1;
        }
        out[written..].fill(0);
        written
    }

    /// The whole tone. An endless one is cut after `most`.
    pub fn render(mut self, most: Duration) -> Vec<i16> {
        let mut out = vec![0; samples(most) as usize];
        let written = self.fill(&mut out);
        out.truncate(written);
        out
    }

    fn once(steps: Vec<Step>) -> Self {
        Self {
            steps,
            repeat: false,
            at: 0,
            done: 0,
            phases: [0; 2],
        }
    }

    /// `pair` is what North America uses; elsewhere one frequency serves for everything.
    fn cadence(region: Region, pair: [f64; 2], on_ms: u64, off_ms: u64) -> Self {
        let on = Duration::from_millis(on_ms);
        let sound = match region {
            Region::China => Step::single(450.0, PROGRESS_DBM0, on),
            Region::Europe => Step::single(425.0, PROGRESS_DBM0, on),
            Region::NorthAmerica => Step {
                hz: pair,
                peak: [peak(PROGRESS_DBM0); 2],
                samples: samples(on),
            },
        };
        let steps = vec![sound, Step::pause(Duration::from_millis(off_ms))];
        Self {
            repeat: true,
            ..Self::once(steps)
        }
    }

    /// The step that the next sample belongs to; `None` at the end.
    fn step(&mut self) -> Option<Step> {
        // Every endless cadence has steps of some length, so this ends.
        loop {
            match self.steps.get(self.at) {
                Some(step) if self.done < step.samples => return Some(*step),
                Some(_) => {
                    self.at += 1;
                    self.done = 0;
                }
                None if self.repeat => self.at = 0,
                None => return None,
            }
        }
    }
}

impl Step {
    fn single(hz: f64, dbm0: f64, length: Duration) -> Self {
        Self {
            hz: [hz, 0.0],
            peak: [peak(dbm0), 0.0],
            samples: samples(length),
        }
    }

    fn pause(length: Duration) -> Self {
        Self {
            hz: [0.0; 2],
            peak: [0.0; 2],
            samples: samples(length),
        }
    }

    fn sample(&self, phases: [u32; 2], done: u32) -> i16 {
        if self.peak == [0.0; 2] {
            return 0;
        }
        let waves = phases.iter().zip(self.peak);
        let sum: f64 = waves
            .map(|(phase, peak)| peak * (turns(*phase) * TAU).sin())
            .sum();
        (sum * self.ramp(done)).round() as i16
    }

    /// A raised cosine at either end; steps shorter than two ramps have shorter ones.
    fn ramp(&self, done: u32) -> f64 {
        let ramp = RAMP_SAMPLES.min(self.samples / 2);
        let edge = done.min(self.samples - 1 - done);
        if edge >= ramp {
            return 1.0;
        }
        let part = (f64::from(edge) + 0.5) / f64::from(ramp);
        0.5 - 0.5 * (part * TAU / 2.0).cos()
    }
}

/// A beep of so many milliseconds.
pub fn beep(ms: u32) -> Clip {
    let length = Duration::from_millis(u64::from(ms));
    Clip::new("beep", Tone::beep(length).render(length))
}

/// A clip of digits out of `0-9*#A-D`, each sounding for `on` and followed by `off`.
/// `None` if one is not a digit. The clip's name does not tell the digits.
pub fn digits(digits: &str, on: Duration, off: Duration) -> Option<Clip> {
    let mut all = Vec::new();
    for digit in digits.chars() {
        all.extend(Tone::dtmf(digit, on, off)?.render(on + off));
    }
    Some(Clip::new("digits", all))
}

/// Row and column of a key.
pub(crate) fn key(digit: char) -> Option<(usize, usize)> {
    let place = KEYS
        .iter()
        .flatten()
        .position(|key| *key == digit.to_ascii_uppercase())?;
    Some((place / 4, place % 4))
}

/// Peak of a sine of the given level.
pub(crate) fn peak(dbm0: f64) -> f64 {
    PEAK_AT_0_DBM0 * 10_f64.powf(dbm0 / 20.0)
}

fn samples(length: Duration) -> u32 {
    u32::try_from(length.min(STEP_MAX).as_micros() / 125).expect("a day has 691 million samples")
}

fn turn_per_sample(hz: f64) -> u32 {
    (hz / f64::from(Clip::CLOCK_HZ) * 4_294_967_296.0).round() as u32
}

fn turns(phase: u32) -> f64 {
    f64::from(phase) / 4_294_967_296.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Duration = Duration::from_secs(10);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Level of one frequency in dBm0, measured over the whole slice.
    fn level_dbm0(samples: &[i16], hz: f64) -> f64 {
        let (mut re, mut im) = (0.0, 0.0);
        for (n, sample) in samples.iter().enumerate() {
            let angle = TAU * hz * n as f64 / 8_000.0;
            re += f64::from(*sample) * angle.cos();
            im += f64::from(*sample) * angle.sin();
        }
        let amplitude = 2.0 * re.hypot(im) / samples.len() as f64;
        20.0 * (amplitude / PEAK_AT_0_DBM0).log10()
    }

    #[test]
    fn each_digit_holds_its_two_frequencies_and_no_other() {
        for digit in "1234567890*#ABCD".chars() {
            let tone = Tone::dtmf(digit, ms(1_000), ms(100))
                .expect("a digit")
                .render(ALL);
            assert_eq!(tone.len(), 8_800);
            let (row, column) = key(digit).expect("a digit");
            for (hz, own, level) in ROW_HZ
                .iter()
                .enumerate()
                .map(|(n, hz)| (hz, n == row, -9.0))
                .chain(
                    COLUMN_HZ
                        .iter()
                        .enumerate()
                        .map(|(n, hz)| (hz, n == column, -7.0)),
                )
            {
                let measured = level_dbm0(&tone[40..7_960], f64::from(*hz));
                if own {
                    assert!((measured - level).abs() < 0.3, "{digit} {hz}: {measured}");
                } else {
                    assert!(measured < -40.0, "{digit} {hz}: {measured}");
                }
            }
            assert!(
                tone[8_000..].iter().all(|sample| *sample == 0),
                "the pause is silent"
            );
        }
        for other in ['E', 'e', ' ', 'x', '+', '１'] {
            assert!(Tone::dtmf(other, ms(100), ms(100)).is_none(), "{other}");
        }
        assert!(Tone::dtmf('d', ms(100), ms(100)).is_some());
    }

    #[test]
    fn cadences_repeat_without_end() {
        for (tone, on, off) in [
            (Tone::ringback(Region::China), 1_000, 4_000),
            (Tone::ringback(Region::NorthAmerica), 2_000, 4_000),
            (Tone::ringback(Region::Europe), 1_000, 4_000),
            (Tone::busy(Region::China), 350, 350),
            (Tone::busy(Region::NorthAmerica), 500, 500),
            (Tone::busy(Region::Europe), 500, 500),
            (Tone::congestion(Region::China), 700, 700),
            (Tone::congestion(Region::NorthAmerica), 250, 250),
            (Tone::congestion(Region::Europe), 250, 250),
        ] {
            let sound = tone.render(ms(3 * (on + off)));
            let loud = |at_ms: u64| {
                let at = at_ms as usize * 8;
                sound[at..at + 80].iter().any(|sample| sample.abs() > 1_000)
            };
            for round in 0..3 {
                let start = round * (on + off);
                assert!(loud(start + 10) && loud(start + on - 20), "{on}/{off}");
                assert!(
                    !loud(start + on) && !loud(start + on + off - 10),
                    "{on}/{off}"
                );
            }
        }
    }

    #[test]
    fn special_information_rises() {
        let sound = Tone::special_information().render(ALL);
        assert_eq!(sound.len(), 8 * (3 * 330 + 1_000));
        for (part, hz) in [(0, 950.0), (1, 1_400.0), (2, 1_800.0)] {
            let at = part * 2_640;
            let measured = level_dbm0(&sound[at + 40..at + 2_600], hz);
            assert!((measured + 13.0).abs() < 0.5, "{hz}: {measured}");
        }
    }

    #[test]
    fn pieces_of_any_size_make_the_same_sound() {
        let whole = Tone::busy(Region::NorthAmerica).render(ms(2_000));
        for size in [1, 7, 160, 1_000] {
            let mut tone = Tone::busy(Region::NorthAmerica);
            let mut pieces = vec![0; whole.len()];
            for piece in pieces.chunks_mut(size) {
                assert_eq!(tone.fill(piece), piece.len());
            }
            assert_eq!(pieces, whole, "{size}");
        }
    }

    #[test]
    fn the_end_is_told_and_the_rest_is_silence() {
        let mut tone = Tone::beep(ms(30));
        let mut frame = [1; 160];
        assert_eq!(tone.fill(&mut frame), 160);
        assert_eq!(tone.fill(&mut frame), 80);
        assert!(frame[80..].iter().all(|sample| *sample == 0));
        assert_eq!(tone.fill(&mut frame), 0);
        assert_eq!(Tone::beep(Duration::ZERO).fill(&mut frame), 0);
    }

    #[test]
    fn nothing_clicks() {
        // A step between neighbors beyond what the waves themselves can do would be a click.
        for tone in [
            Tone::busy(Region::NorthAmerica),
            Tone::special_information(),
            Tone::dtmf('D', ms(60), ms(60)).expect("a digit"),
            Tone::beep(ms(3)),
        ] {
            let sound = tone.render(ms(3_000));
            let most = sound
                .windows(2)
                .map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs());
            assert!(most.max().unwrap_or(0) < 21_000);
            assert!(sound[0].abs() < 100, "begins at rest");
        }
    }

    #[test]
    fn clips() {
        assert_eq!(beep(250).duration(), ms(250));
        let clip = digits("12#", ms(80), ms(40)).expect("digits");
        assert_eq!(clip.duration(), ms(360));
        assert_eq!(&*clip.name, "digits");
        assert!(digits("1x", ms(80), ms(40)).is_none());
        assert!(digits("", ms(80), ms(40)).is_some_and(|clip| clip.samples.is_empty()));
    }
}
