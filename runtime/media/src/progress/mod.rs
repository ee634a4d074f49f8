//! What the network says in tones: ringing, busy, no way through, fax, a machine's beep.
//!
//! Every 10 ms the last 64 ms are cut into frequencies (`spectrum`). A window is **tonal** if
//! nearly all its power lies in one or two of them; tonal windows with the same frequency are a
//! tone, whose beginning and end are where half of a window is filled (`ear`). What tones in a row
//! mean is told by their cadence (`plan`), by their order (`information`), or by their length.
//!
//! A voice is told from a tone by how it varies: no voice holds a frequency within 12 Hz and its
//! strength within 2 dB for as long as the shortest tone lasts, and does it again after exactly the
//! pause that belongs there. The beep of an answering machine has no cadence to be known by, so it
//! is believed only after somebody spoke.

mod ear;
mod information;
mod plan;
mod spectrum;

pub(crate) use crate::progress::ear::{Moment, Sound};
pub use crate::progress::information::Information;
pub use crate::progress::plan::Plan;

use crate::limits::PLANS_MAX;
use crate::progress::ear::{Ear, HOP, Segment};
use crate::progress::plan::{Cadence, PAUSE_MS};

/// Most samples a call of [`Detector::feed`] takes, as for [`crate::dtmf`].
pub const FEED_MAX: usize = 480;

/// Mean magnitude below which nothing is loud, -55 dBov: what a recorder's ear has.
const LEAST: f32 = 60.0;

/// A fax machine that answers: 2,100 Hz, give or take 15 (ITU-T T.30 CED, V.25 ANS and V.8
/// ANSam), and 6 Hz for the measurement under noise and modulation.
const ANSWER_HZ: (f32, f32) = (2_079.0, 2_121.0);

/// Length from which 2,100 Hz is the answer of a fax machine, in samples: half a second. It lasts 2.6
/// to 4 s (ITU-T T.30, CED). After speech it might be a beep of up to a second and a half.
const ANSWER_SAMPLES: u64 = 4_000;
const ANSWER_AFTER_SPEECH_SAMPLES: u64 = 13_200;

/// Frequencies (400 to 2,300 Hz, and 10 Hz for the measurement) and lengths (120 ms to 1.5 s, in
/// samples) that beeps of answering machines have.
const BEEP_HZ: (f32, f32) = (390.0, 2_310.0);
const BEEP_SAMPLES: (u64, u64) = (960, 12_000);

/// Silence after a beep that shows that it is over, in samples: 150 ms. A melody's next note would have
/// been seen by then, if it came within 100.
const BEEP_PAUSE_SAMPLES: u64 = 1_200;

/// Silence between a tone and a beep, in samples: 120 ms. After less it is the next note of a melody.
const BEEP_ALONE_SAMPLES: u64 = 960;

/// Voice that must have been heard before a beep, in hops: 300 ms, a short word.
const SPOKEN_HOPS: u32 = 30;

/// How long ago that may be, in samples: 10 s. Machines pause for a second or two.
const SPOKEN_SAMPLES: u64 = 80_000;

/// Power in a pause against the tone before it from which it is no pause: -7 dB. A line with noise
/// 15 dB below its tones is still one with pauses.
const PAUSE_POWER_MAX: f32 = 0.2;

/// Hops after a tone was found to have ended whose power still belongs to it.
const END_HOPS: u64 = 2;

/// What was heard.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Signal {
    /// The called phone rings.
    Ringback,
    /// The called party is busy.
    Busy,
    /// No way through the network: congestion, reorder, fast busy.
    Congestion,
    /// Three rising tones before an announcement.
    SpecialInformation(Information),
    /// A fax machine that calls (CNG).
    FaxCalling,
    /// A fax machine or modem that answers (CED, ANS, ANSam).
    FaxAnswering,
    /// A single tone after speech: an answering machine records from now on.
    Beep,
}

/// A signal, and what it was known by.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Heard {
    /// What it was.
    pub signal: Signal,
    /// Whose plan it followed, as in [`Plan::network`]; `itu` for signals that are the same
    /// everywhere.
    pub network: &'static str,
    /// The frequencies that were measured, in Hz: one or two that sounded together, or the three of
    /// special information in their order. Zero for what there was not.
    pub hz: [f32; 3],
    /// What was measured, in ms: tone, pause, tone; for special information its three tones. Zero
    /// for what there was not, or has not ended.
    pub lengths_ms: [u32; 3],
    /// Its level in dBm0; of two tones, together.
    pub dbm0: f32,
    /// The samples fed before it began. A signal with a cadence begins with the first tone of it.
    pub since: u64,
    /// The samples fed before its last tone ended, or until now if it still sounds.
    pub until: u64,
}

/// Hears signals in one direction of one call.
///
/// | signal | told |
/// |---|---|
/// | busy, congestion | at the end of the second tone: 0.6 to 2.1 s |
/// | ringback | a second after a tone (the second one, in Britain) ended |
/// | special information | at its end: 1 s |
/// | fax calling | a second after its first tone ended |
/// | fax answering | when it has sounded for half a second; after speech, 1.65 s |
/// | beep | 150 ms after its end; if it could be one of the above, when it is not |
///
/// All are told once, until something else is heard; 60 ms are added by the window.
///
/// 4 KB; about 5 µs for a frame of 160 samples with sound in it, 0.3 µs for silence.
///
/// ```
/// use jackfield_media::progress::{Detector, Signal};
/// use jackfield_media::tone::{Region, Tone};
/// use std::time::Duration;
///
/// let busy = Tone::busy(Region::China).render(Duration::from_secs(2));
/// let mut detector = Detector::default();
/// let heard = busy.chunks(160).find_map(|frame| detector.feed(frame));
/// assert!(heard.is_some_and(|heard| heard.signal == Signal::Busy && heard.network == "cn"));
/// ```
#[derive(Clone, Debug)]
pub struct Detector {
    ear: Ear,
    cadences: Vec<Cadence>,
    /// The last tones, oldest first.
    tones: [Option<Segment>; 3],
    /// Power in the pause since the last of them, and when it was known to be over.
    pause: Pause,
    /// The last tone, if it may be a beep.
    beep: Option<Segment>,
    /// The tone that sounds was told as a fax machine's.
    answered: bool,
    /// Hops with a voice, and samples heard until the last one.
    voiced: u32,
    voice_at: u64,
    /// What was found while something else was told.
    next: Option<Heard>,
}

#[derive(Clone, Copy, Debug)]
struct Pause {
    since: u64,
    power: f32,
}

impl Default for Detector {
    fn default() -> Self {
        Self::new(&Self::plans())
    }
}

impl Detector {
    /// A detector for signals of these plans; the signals without a cadence are heard by all.
    ///
    /// # Panics
    /// If there are more than [`PLANS_MAX`], or one has no tone.
    pub fn new(plans: &[Plan]) -> Self {
        assert!(
            plans.len() <= PLANS_MAX,
            "each plan costs time on every tone"
        );
        plans.iter().for_each(Plan::check);
        Self {
            ear: Ear::new(LEAST),
            cadences: plans.iter().copied().map(Cadence::new).collect(),
            tones: [None; 3],
            pause: Pause {
                since: 0,
                power: 0.0,
            },
            beep: None,
            answered: false,
            voiced: 0,
            voice_at: 0,
            next: None,
        }
    }

    /// All plans we know.
    pub fn plans() -> Vec<Plan> {
        let mut plans = Vec::with_capacity(PLANS_MAX);
        plans.extend(Plan::CHINA);
        plans.extend(Plan::NORTH_AMERICA);
        plans.extend(Plan::UNITED_KINGDOM);
        plans.extend(Plan::EUROPE);
        plans.push(Plan::FAX_CALLING);
        plans
    }

    /// Feeds the next samples and tells what was recognized, once.
    ///
    /// # Panics
    /// If there are more than [`FEED_MAX`] samples.
    pub fn feed(&mut self, samples: &[i16]) -> Option<Heard> {
        self.hear(samples, |_| {})
    }

    /// As [`Detector::feed`], and shows each 10 ms as they are heard.
    pub(crate) fn hear(&mut self, samples: &[i16], mut show: impl FnMut(Moment)) -> Option<Heard> {
        assert!(samples.len() <= FEED_MAX, "signals are told one at a time");
        let mut told = self.next.take();
        let mut rest = samples;
        while !rest.is_empty() {
            let (count, moment) = self.ear.take(rest);
            rest = &rest[count..];
            if let Some(moment) = moment {
                show(moment);
                if let Some(heard) = self.moment(moment) {
                    if told.is_none() {
                        told = Some(heard);
                    } else {
                        self.next = self.next.or(Some(heard));
                    }
                }
            }
        }
        told
    }

    /// A detector of all plans, to which nothing below a mean magnitude of `least` is a voice.
    pub(crate) fn with_least(least: f32) -> Self {
        Self {
            ear: Ear::new(least),
            ..Self::default()
        }
    }

    fn moment(&mut self, moment: Moment) -> Option<Heard> {
        self.voiced = self.voiced.saturating_sub(moment.taken_back);
        if moment.sound == Sound::Voice {
            self.voiced = self.voiced.saturating_add(1);
            self.voice_at = moment.at;
        }
        let sounding = self.ear.sounding();
        let pauses = sounding.is_none() && moment.ended.is_none();
        if pauses && moment.at >= self.pause.since + END_HOPS * HOP as u64 {
            self.pause.power = self.pause.power.max(moment.power_before);
        }
        if let Some(tone) = moment.ended {
            self.answered = false;
            if let Some(heard) = self.tone(tone, moment.at) {
                return Some(heard);
            }
        }
        match sounding {
            Some(tone) => self.answer(&tone),
            None => self.waited(moment.at),
        }
    }

    /// A tone of 2,100 Hz is told while it sounds: nobody wants to hear it to its end. It need
    /// not be steady: reversals of its phase look like a frequency that jumps, and its strength may
    /// swell by a fifth (ITU-T V.8, ANSam).
    fn answer(&mut self, tone: &Segment) -> Option<Heard> {
        let least = if self.has_spoken(tone.since) {
            ANSWER_AFTER_SPEECH_SAMPLES
        } else {
            ANSWER_SAMPLES
        };
        let is_answer = !self.answered
            && tone.hz.1.is_none()
            && (ANSWER_HZ.0..=ANSWER_HZ.1).contains(&tone.hz.0)
            && tone.samples() >= least;
        if !is_answer {
            return None;
        }
        self.answered = true;
        Some(Heard::of(Signal::FaxAnswering, "itu", tone))
    }

    /// A tone has ended.
    fn tone(&mut self, tone: Segment, now: u64) -> Option<Heard> {
        let before = self.tones[2];
        let quiet = before.is_none_or(|before| {
            self.pause.power <= PAUSE_POWER_MAX * before.power.min(tone.power)
        });
        self.pause = Pause {
            since: now,
            power: 0.0,
        };
        self.tones.rotate_left(1);
        self.tones[2] = Some(tone);
        // Whatever was held back was followed by a tone at once: a cadence, or a melody.
        self.beep = None;
        if !tone.steady {
            self.cadences.iter_mut().for_each(Cadence::clear);
            return None;
        }
        if let [Some(first), Some(second), Some(third)] = self.tones
            && let Some(information) = Information::of(&[first, second, third])
        {
            return Some(Heard::special(information, &[first, second, third]));
        }
        if self.is_beep(&tone, before.as_ref()) {
            self.beep = Some(tone);
        }
        let pause = before
            .filter(|_| quiet)
            .map(|before| tone.since.saturating_sub(before.until) as f32 / 8.0);
        let nearest = self
            .cadences
            .iter()
            .filter_map(|cadence| cadence.plan.distance(&tone))
            .fold(f32::MAX, f32::min);
        let mut told = None;
        for cadence in &mut self.cadences {
            // Plans whose frequencies overlap are told apart by the nearer nominal one.
            if cadence.plan.distance(&tone) != Some(nearest) {
                cadence.clear();
            } else if cadence.tone(&tone, pause) && told.is_none() {
                cadence.told = true;
                told = Some(Heard {
                    since: cadence.since,
                    ..Heard::of(cadence.plan.signal, cadence.plan.network, &tone)
                        .after(before.as_ref())
                });
            }
        }
        if told.is_some() {
            self.beep = None;
        }
        told
    }

    /// Nothing sounds since the last tone.
    fn waited(&mut self, now: u64) -> Option<Heard> {
        let tone = self.tones[2]?;
        if self.pause.power > PAUSE_POWER_MAX * tone.power {
            // Somebody speaks: neither the end of a message nor a cadence.
            self.beep = None;
            return None;
        }
        let waited = now - tone.until;
        if waited as f32 / 8.0 >= PAUSE_MS {
            let spoken = self.has_spoken(tone.since);
            let told = self.cadences.iter_mut().find(|cadence| {
                // After a message the tone of a fax machine that calls is a beep.
                cadence.waits_for_pause() && !(spoken && cadence.plan.signal == Signal::FaxCalling)
            });
            if let Some(cadence) = told {
                cadence.told = true;
                self.beep = None;
                return Some(Heard {
                    since: cadence.since,
                    ..Heard::of(cadence.plan.signal, cadence.plan.network, &tone)
                });
            }
        }
        // What may be the first tone of a cadence is a beep when the next one does not come.
        let due = self
            .cadences
            .iter()
            .filter(|cadence| cadence.tones > 0)
            .filter(|cadence| cadence.plan.signal != Signal::FaxCalling)
            .map(|cadence| (cadence.pause_ms_max() * 8.0) as u64 + BEEP_PAUSE_SAMPLES)
            .fold(BEEP_PAUSE_SAMPLES, u64::max);
        if waited < due {
            return None;
        }
        let beep = self.beep.take()?;
        Some(Heard::of(Signal::Beep, "itu", &beep))
    }

    fn is_beep(&self, tone: &Segment, before: Option<&Segment>) -> bool {
        let alone = before.is_none_or(|before| {
            !before.steady || tone.since.saturating_sub(before.until) > BEEP_ALONE_SAMPLES
        });
        alone
            && tone.hz.1.is_none()
            && (BEEP_HZ.0..=BEEP_HZ.1).contains(&tone.hz.0)
            && (BEEP_SAMPLES.0..=BEEP_SAMPLES.1).contains(&tone.samples())
            && self.has_spoken(tone.since)
    }

    /// Somebody spoke, not long before a time.
    fn has_spoken(&self, before: u64) -> bool {
        self.voiced >= SPOKEN_HOPS && self.voice_at + SPOKEN_SAMPLES >= before
    }
}

impl Heard {
    fn of(signal: Signal, network: &'static str, tone: &Segment) -> Self {
        Self {
            signal,
            network,
            hz: [tone.hz.0, tone.hz.1.unwrap_or(0.0), 0.0],
            lengths_ms: [ms(tone.samples()), 0, 0],
            dbm0: dbm0(tone.power),
            since: tone.since,
            until: tone.until,
        }
    }

    /// With the tone before, and the pause between.
    fn after(mut self, before: Option<&Segment>) -> Self {
        if let Some(before) = before {
            let last = self.lengths_ms[0];
            let pause = self.until.saturating_sub(before.until);
            self.lengths_ms = [ms(before.samples()), ms(pause).saturating_sub(last), last];
        }
        self
    }

    fn special(information: Information, parts: &[Segment; 3]) -> Self {
        let [first, _, last] = parts;
        Self {
            hz: parts.map(|part| part.hz.0),
            lengths_ms: parts.map(|part| ms(part.samples())),
            since: first.since,
            ..Self::of(Signal::SpecialInformation(information), "itu", last)
        }
    }
}

fn ms(samples: u64) -> u32 {
    u32::try_from(samples / 8).unwrap_or(u32::MAX)
}

/// Level of a mean square. 0 dBm0 is a sine with a peak of 22,826 (ITU-T G.711 §4).
fn dbm0(power: f32) -> f32 {
    10.0 * (power.max(1e-3) / 260_500_000.0).log10()
}

#[cfg(test)]
pub(crate) mod tests;
