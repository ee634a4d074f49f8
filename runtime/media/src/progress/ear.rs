//! Cuts sound into tones, voices, noise and silence, 10 ms at a time.

use crate::progress::spectrum::{Peaks, Spectrum, WINDOW};

/// Samples from one look to the next: 10 ms, a third of what cadences are told apart by.
pub(crate) const HOP: usize = 80;

/// Least mean square of a tone: -43 dBm0. Tones leave an exchange with about -10 dBm0 (ITU-T E.180,
/// levels); this is what is left of them after two long lines, and weaker than what callers hear.
const POWER_MIN: f32 = 13_000.0;

/// Least share of the power that must be in one or two frequencies. Noise 15 dB below leaves 97 %,
/// half of it where a tone begins.
const SHARE_MIN: f32 = 0.85;

/// Most by which a frequency may differ from window to window within one tone, in Hz: wide, because
/// windows at its edges measure badly.
const NEAR_HZ: f32 = 20.0;

/// Windows without the tone in a row that end it. Interruptions of less than 30 ms are bridged, as
/// a packet lost and not concealed would be one.
const MISSES_MIN: u32 = 3;

/// Windows from the first that holds a tone at all to the first that holds nothing else.
const EDGE: usize = 8;

/// Windows left out of a tone's measurement: at its beginning those from four fifths of its power,
/// at its end those from half a window on. They hold only a part of it.
const RISING: u32 = 2;
const FALLING: usize = 3;

/// Windows in the midst of a tone from which it is one: together with its ends, 90 ms.
const WINDOWS_MIN: u32 = 3;

/// The same for a tone that has not ended: about 130 ms.
const SURE_MIN: u32 = 5;

/// Moments from the beginning of a tone until a window shows it.
const ONSET_MAX: u32 = 4;

/// Windows of the same frequency in a row that are no voice, however they vary: 250 ms.
const PURE_MIN: u32 = 25;

/// Most windows in the midst of a tone that are weaker, for what noise does to one or two. A string
/// that was plucked has twenty of them.
const PARTIAL_MAX: u32 = 2;

/// Flatness from which a window is noise. White noise has 0.56, give or take 0.05; hisses of a
/// voice have up to 0.35.
const FLAT_MIN: f32 = 0.42;

/// Mean magnitude above which everything is loud: about -27 dBov. So someone who talks without a
/// pause from the first moment is not taken for the noise of the line.
const SURELY: f32 = 1_000.0;

/// What 10 ms are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sound {
    /// Not above the noise of the line.
    Quiet,
    /// A steady tone; also where it begins, once it is known to be one.
    Tone,
    /// Loud, and like noise.
    Noise,
    /// Loud, and none of these.
    Voice,
}

/// 10 ms that were heard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// Samples heard until its end.
    pub(crate) at: u64,
    /// What it is.
    pub(crate) sound: Sound,
    /// Moments just before that were told as a voice, and are the beginning of a tone.
    pub(crate) taken_back: u32,
    /// Mean square of the moment 60 ms before this one: whatever tone began since is known by now.
    pub(crate) power_before: f32,
    /// The tone that ended, if one did.
    pub(crate) ended: Option<Segment>,
}

/// A tone from its beginning to its end.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Segment {
    /// The first sample, and the one after the last; each within 10 ms.
    pub(crate) since: u64,
    pub(crate) until: u64,
    /// Its frequency, or both of them with the lower first, in Hz.
    pub(crate) hz: (f32, Option<f32>),
    /// Mean square.
    pub(crate) power: f32,
    /// Neither its frequency nor its strength varied: no voice does that.
    pub(crate) steady: bool,
}

impl Segment {
    pub(crate) fn samples(&self) -> u64 {
        self.until - self.since
    }
}

/// Hears one direction of one call.
#[derive(Clone, Debug)]
pub(crate) struct Ear {
    /// The last samples, oldest first; the last hop of it is being filled.
    window: Box<[f32; WINDOW]>,
    filled: usize,
    /// Samples heard in whole hops.
    at: u64,
    /// Power of the hops in the window, newest last.
    powers: [f32; WINDOW.div_ceil(HOP)],
    /// Mean magnitude of the noise of the line.
    floor: f32,
    /// Mean magnitude below which nothing is loud.
    least: f32,
    run: Option<Run>,
    /// Windows since the last that belonged to the run, newest last.
    missed: [Option<Look>; MISSES_MIN as usize],
    misses: u32,
    /// Moments told as a voice since the run began, or just before it may begin.
    voiced: u32,
}

/// A window, and where its middle is.
#[derive(Clone, Copy, Debug)]
struct Look {
    at: u64,
    peaks: Peaks,
}

/// A tone that sounds.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// Its first windows: where it begins is known once its strength is.
    edge: [(u64, f32); EDGE],
    windows: u32,
    /// The frequency to go on with, in Hz.
    follows_hz: f32,
    /// Windows still to be left out at its beginning, and those that will be if it ends now.
    rising: u32,
    late: [Option<(Peaks, f32)>; FALLING],
    /// Windows in its midst that were weaker.
    partial: u32,
    /// The last window that held at least half of its power.
    last: u64,
    power_max: f32,
    whole: Whole,
}

/// Sums over the windows that hold the tone and nothing else.
#[derive(Clone, Copy, Debug)]
struct Whole {
    windows: u32,
    /// The frequency that is followed: least, greatest and sum.
    least: f32,
    most: f32,
    sum: f32,
    /// The second frequency, where there was one.
    second: f32,
    seconds: u32,
    power: f32,
    weakest: f32,
    strongest: f32,
}

impl Ear {
    /// An ear that has heard nothing. Below a mean magnitude of `least` nothing is loud.
    pub(crate) fn new(least: f32) -> Self {
        Self {
            window: Box::new([0.0; WINDOW]),
            filled: 0,
            at: 0,
            powers: [0.0; WINDOW.div_ceil(HOP)],
            floor: f32::MAX,
            least,
            run: None,
            missed: [None; MISSES_MIN as usize],
            misses: 0,
            voiced: 0,
        }
    }

    /// Takes samples until 10 ms are full; gives the moment, if they are, and how many it took.
    pub(crate) fn take(&mut self, samples: &[i16]) -> (usize, Option<Moment>) {
        let count = samples.len().min(HOP - self.filled);
        let at = WINDOW - HOP + self.filled;
        for (place, &sample) in self.window[at..].iter_mut().zip(&samples[..count]) {
            *place = f32::from(sample);
        }
        self.filled += count;
        if self.filled < HOP {
            return (count, None);
        }
        self.at += HOP as u64;
        let moment = self.hop();
        self.window.copy_within(HOP.., 0);
        self.filled = 0;
        (count, Some(moment))
    }

    /// The tone that sounds now, as far as it goes.
    pub(crate) fn sounding(&self) -> Option<Segment> {
        self.run.as_ref().map(Run::segment)
    }

    fn hop(&mut self) -> Moment {
        let hop = &self.window[WINDOW - HOP..];
        let power = hop.iter().map(|sample| sample * sample).sum::<f32>() / HOP as f32;
        let level = hop.iter().map(|sample| sample.abs()).sum::<f32>() / HOP as f32;
        self.powers.rotate_left(1);
        self.powers[self.powers.len() - 1] = power;
        let loud = self.is_loud(level);
        let mean = self.powers.iter().sum::<f32>() / self.powers.len() as f32;
        let spectrum = (loud || mean >= POWER_MIN / 2.0).then(|| Spectrum::of(&self.window));
        let look = spectrum.as_ref().map(|spectrum| Look {
            // Before the first window is full its middle lies before the beginning.
            at: self.at.saturating_sub(WINDOW as u64 / 2),
            peaks: spectrum.peaks(),
        });
        let was_tone = self.is_tone();
        let ended = self.follow(look.filter(Look::is_tonal));
        let tone = self.is_tone();
        let sound = match spectrum {
            _ if tone => Sound::Tone,
            Some(spectrum) if loud && spectrum.flatness() >= FLAT_MIN => Sound::Noise,
            Some(_) if loud => Sound::Voice,
            Some(_) | None => Sound::Quiet,
        };
        let taken_back = if tone && !was_tone {
            std::mem::take(&mut self.voiced)
        } else {
            0
        };
        self.voiced = match (self.run, sound) {
            (Some(_), Sound::Voice) => self.voiced + 1,
            (Some(_), Sound::Quiet | Sound::Noise) => self.voiced,
            // The first windows of a tone hold too little of it to show it.
            (None, Sound::Voice) => (self.voiced + 1).min(ONSET_MAX),
            (Some(_), Sound::Tone) | (None, _) => 0,
        };
        Moment {
            at: self.at,
            sound,
            taken_back,
            power_before: self.powers[0],
            ended,
        }
    }

    /// The noise is taken to be the lowest level heard, rising by 0.4 dB a second so that a line
    /// that gets noisier is noticed. Loud is what is 9 dB above it.
    fn is_loud(&mut self, level: f32) -> bool {
        self.floor = if level < self.floor {
            level
        } else {
            // 1/2048 each hop is 0.004 dB, 100 hops a second.
            (self.floor + self.floor / 2_048.0 + 1e-3).min(level)
        };
        level > (self.floor * 2.8).clamp(self.least, SURELY.max(self.least))
    }

    /// A tone sounds, and is known to be one.
    fn is_tone(&self) -> bool {
        self.run.as_ref().is_some_and(Run::is_sure)
    }

    /// Goes on with the tone that sounds, or begins another.
    fn follow(&mut self, look: Option<Look>) -> Option<Segment> {
        let Some(run) = &mut self.run else {
            self.run = look.map(Run::new);
            return None;
        };
        if look.is_some_and(|look| run.takes(look)) {
            self.misses = 0;
            return None;
        }
        self.missed[self.misses as usize] = look;
        self.misses += 1;
        if self.misses < MISSES_MIN {
            return None;
        }
        let (ended, own, windows) = (run.segment(), run.follows_hz, run.whole.windows);
        self.misses = 0;
        // What was not the old tone, nor its end, may be the new one.
        self.run = None;
        let others = self.missed.into_iter().flatten();
        for look in others.filter(|look| (look.peaks.hz.0 - own).abs() > NEAR_HZ) {
            match &mut self.run {
                None => self.run = Some(Run::new(look)),
                Some(run) => {
                    if !run.takes(look) {
                        self.run = Some(Run::new(look));
                    }
                }
            }
        }
        (windows >= WINDOWS_MIN).then_some(ended)
    }
}

impl Look {
    fn is_tonal(&self) -> bool {
        self.peaks.power >= POWER_MIN && self.peaks.share >= SHARE_MIN
    }

    /// The frequency that is nearest to `hz`.
    fn nearest(&self, hz: f32) -> f32 {
        let (first, second) = self.peaks.hz;
        match second {
            Some(second) if (second - hz).abs() < (first - hz).abs() => second,
            Some(_) | None => first,
        }
    }
}

impl Run {
    fn new(look: Look) -> Self {
        let mut run = Self {
            edge: [(0, 0.0); EDGE],
            windows: 0,
            follows_hz: look.peaks.hz.0,
            rising: RISING,
            late: [None; FALLING],
            partial: 0,
            last: look.at,
            power_max: look.peaks.power,
            whole: Whole::NONE,
        };
        run.add(look, look.peaks.hz.0);
        run
    }

    /// Goes on with a window if it holds the same tone.
    fn takes(&mut self, look: Look) -> bool {
        let hz = look.nearest(self.follows_hz);
        let same = (hz - self.follows_hz).abs() <= NEAR_HZ
            && look.peaks.power >= self.power_max / 2.0
            // The rest of a tone that gave way to another is no longer it.
            && (hz == look.peaks.hz.0 || look.peaks.ratio >= 0.15);
        if same {
            self.add(look, hz);
        }
        same
    }

    fn add(&mut self, look: Look, hz: f32) {
        let power = look.peaks.power;
        if let Some(place) = self.edge.get_mut(self.windows as usize) {
            *place = (look.at, power);
        }
        self.windows += 1;
        self.last = look.at;
        if power > self.power_max * 1.25 && self.windows as usize <= EDGE {
            // Still growing: what was seen until here is its beginning.
            self.whole = Whole::NONE;
            self.late = [None; FALLING];
            self.rising = RISING;
            self.partial = 0;
            self.follows_hz = hz;
        }
        self.power_max = self.power_max.max(power);
        if self.rising > 0 {
            self.rising -= 1;
            return;
        }
        let oldest = self.late[0];
        self.late.rotate_left(1);
        self.late[FALLING - 1] = Some((look.peaks, hz));
        if let Some((peaks, hz)) = oldest {
            if peaks.power >= self.power_max * 0.8 {
                self.whole.add(&peaks, hz);
                self.follows_hz = self.whole.sum / self.whole.windows as f32;
            } else {
                self.partial += 1;
            }
        }
    }

    /// Neither frequency nor strength varied so far. A string that was plucked is weaker before it
    /// is over.
    fn is_steady(&self) -> bool {
        self.partial <= PARTIAL_MAX && self.whole.is_steady()
    }

    /// Long enough to be sure of it. A modulated tone (ITU-T V.8, ANSam) is never steady, but no voice
    /// stays so pure for so long.
    fn is_sure(&self) -> bool {
        self.whole.windows >= SURE_MIN && self.is_steady() || self.windows >= PURE_MIN
    }

    fn segment(&self) -> Segment {
        let power = self.whole.power().unwrap_or(self.power_max);
        let first = self.edge.iter().take(self.windows as usize);
        let since = first
            .into_iter()
            .find(|(_, edge)| *edge >= power / 2.0)
            .map_or(self.edge[0].0, |(at, _)| *at);
        // The edge lies on average half a hop before the first window that is beyond it.
        let half_hop = HOP as u64 / 2;
        Segment {
            since: since.saturating_sub(half_hop),
            until: self.last.max(since) + half_hop,
            hz: self.whole.hz().unwrap_or((self.follows_hz, None)),
            power,
            steady: self.is_steady(),
        }
    }
}

impl Whole {
    const NONE: Self = Self {
        windows: 0,
        least: f32::MAX,
        most: f32::MIN,
        sum: 0.0,
        second: 0.0,
        seconds: 0,
        power: 0.0,
        weakest: f32::MAX,
        strongest: 0.0,
    };

    fn add(&mut self, peaks: &Peaks, hz: f32) {
        self.windows += 1;
        self.least = self.least.min(hz);
        self.most = self.most.max(hz);
        self.sum += hz;
        let other = if hz == peaks.hz.0 {
            peaks.hz.1
        } else {
            Some(peaks.hz.0)
        };
        // A harmonic that a loud tone got on its way is no second tone.
        let harmonic = |other: f32| {
            let times = other / hz;
            peaks.ratio < 0.15
                && (1.9..3.1).contains(&times)
                && (times - times.round()).abs() < 0.04
        };
        if let Some(other) = other.filter(|other| !harmonic(*other)) {
            self.second += other;
            self.seconds += 1;
        }
        self.power += peaks.power;
        self.weakest = self.weakest.min(peaks.power);
        self.strongest = self.strongest.max(peaks.power);
    }

    /// 2 dB and 12 Hz, which a pair of tones 40 Hz apart needs for the way it beats.
    fn is_steady(&self) -> bool {
        self.windows >= WINDOWS_MIN
            && self.strongest <= 1.6 * self.weakest
            && self.most - self.least <= 12.0
    }

    /// Mean power; `None` if there was no window.
    fn power(&self) -> Option<f32> {
        (self.windows > 0).then(|| self.power / self.windows as f32)
    }

    /// The frequencies, the lower first; `None` if there was no window.
    fn hz(&self) -> Option<(f32, Option<f32>)> {
        if self.windows == 0 {
            return None;
        }
        let own = self.sum / self.windows as f32;
        // Where one tone follows on another both are in some windows.
        if self.seconds * 5 <= self.windows * 3 {
            return Some((own, None));
        }
        let other = self.second / self.seconds as f32;
        Some((own.min(other), Some(own.max(other))))
    }
}
