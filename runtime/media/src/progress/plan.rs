//! Tones with a cadence, as countries have them, and how one is followed.

use crate::limits::PLAN_STEPS_MAX;
use crate::progress::Signal;
use crate::progress::ear::Segment;

/// Most by which a length may differ from its plan: a share, and at least so many ms.
///
/// ITU-T E.180 lets lengths vary by about a tenth; the rest is for what a jitter buffer adds or
/// leaves out and for the 10 ms to which lengths are measured.
const LENGTH_SHARE: f32 = 0.15;
const LENGTH_MS: f32 = 30.0;

/// The pause after which the last tone of a cadence counts, if the cadence has a longer one there:
/// nobody waits for the four seconds that ringback is silent.
pub(super) const PAUSE_MS: f32 = 1_000.0;

/// A signal made of one or two frequencies that sound by a cadence.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Plan {
    /// What it means.
    pub signal: Signal,
    /// Whose it is: an ISO 3166 code in small letters, `eu` for most of Europe, `itu` for all.
    pub network: &'static str,
    /// Its frequency, or both with the lower first, in Hz.
    pub hz: (f32, Option<f32>),
    /// How far a frequency may be from that, in Hz.
    pub tolerance_hz: f32,
    /// Tone, pause, tone, pause, in ms, over and over; zeros for what is not there.
    pub cadence_ms: [u16; PLAN_STEPS_MAX],
}

impl Plan {
    /// Mainland China: 450 Hz, give or take 25. Source: ITU-T E.180 Supplement 2.
    pub const CHINA: [Self; 3] = [
        Self::china(Signal::Ringback, [1_000, 4_000, 0, 0]),
        Self::china(Signal::Busy, [350, 350, 0, 0]),
        Self::china(Signal::Congestion, [700, 700, 0, 0]),
    ];

    /// North America: 440, 480 and 620 Hz in pairs. Source: ITU-T E.180 Supplement 2.
    pub const NORTH_AMERICA: [Self; 3] = [
        Self::north_america(Signal::Ringback, (440.0, 480.0), [2_000, 4_000, 0, 0]),
        Self::north_america(Signal::Busy, (480.0, 620.0), [500, 500, 0, 0]),
        Self::north_america(Signal::Congestion, (480.0, 620.0), [250, 250, 0, 0]),
    ];

    /// The United Kingdom: 400 Hz, for ringback with 450. Source: ITU-T E.180 Supplement 2.
    pub const UNITED_KINGDOM: [Self; 2] = [
        Self {
            signal: Signal::Ringback,
            network: "gb",
            hz: (400.0, Some(450.0)),
            tolerance_hz: 15.0,
            cadence_ms: [400, 200, 400, 2_000],
        },
        Self {
            signal: Signal::Busy,
            network: "gb",
            hz: (400.0, None),
            tolerance_hz: 12.0,
            cadence_ms: [375, 375, 0, 0],
        },
    ];

    /// Most of Europe: 425 Hz, give or take 15. Source: ITU-T E.180 Supplement 2.
    pub const EUROPE: [Self; 3] = [
        Self::europe(Signal::Ringback, [1_000, 4_000, 0, 0]),
        Self::europe(Signal::Busy, [500, 500, 0, 0]),
        Self::europe(Signal::Congestion, [250, 250, 0, 0]),
    ];

    /// A fax machine that calls: 1,100 Hz, give or take 38, half a second out of three and a half.
    /// Source: ITU-T T.30, calling tone (CNG).
    pub const FAX_CALLING: Self = Self {
        signal: Signal::FaxCalling,
        network: "itu",
        hz: (1_100.0, None),
        tolerance_hz: 38.0,
        cadence_ms: [500, 3_000, 0, 0],
    };

    const fn china(signal: Signal, cadence_ms: [u16; PLAN_STEPS_MAX]) -> Self {
        Self {
            signal,
            network: "cn",
            hz: (450.0, None),
            tolerance_hz: 25.0,
            cadence_ms,
        }
    }

    const fn europe(signal: Signal, cadence_ms: [u16; PLAN_STEPS_MAX]) -> Self {
        Self {
            signal,
            network: "eu",
            hz: (425.0, None),
            tolerance_hz: 15.0,
            cadence_ms,
        }
    }

    /// North America keeps its tones within 0.5 %; the rest is what two tones so near each other
    /// do to the measurement.
    const fn north_america(
        signal: Signal,
        (low, high): (f32, f32),
        cadence_ms: [u16; PLAN_STEPS_MAX],
    ) -> Self {
        Self {
            signal,
            network: "us",
            hz: (low, Some(high)),
            tolerance_hz: 12.0,
            cadence_ms,
        }
    }

    /// How far a tone is from this plan's frequencies, in Hz; `None` if it is another.
    pub(super) fn distance(&self, tone: &Segment) -> Option<f32> {
        let apart = match (self.hz, tone.hz) {
            ((own, None), (hz, None)) => (own - hz).abs(),
            ((low, Some(high)), (first, Some(second))) => {
                (low - first).abs().max((high - second).abs())
            }
            ((_, Some(_)), (_, None)) | ((_, None), (_, Some(_))) => return None,
        };
        (apart <= self.tolerance_hz).then_some(apart)
    }

    /// The tones of one round.
    fn tones(&self) -> usize {
        let there = self.cadence_ms.iter().position(|&ms| ms == 0);
        there.unwrap_or(PLAN_STEPS_MAX) / 2
    }

    /// The length of the tone, and of the pause after it, that come after so many tones.
    pub(super) fn step(&self, tones: usize) -> (f32, f32) {
        let at = tones % self.tones() * 2;
        let [on, off] = [self.cadence_ms[at], self.cadence_ms[at + 1]];
        (f32::from(on), f32::from(off))
    }

    /// # Panics
    /// If it has no tone, or a pause without a tone after it is missing.
    pub(super) fn check(&self) {
        assert!(self.tones() >= 1, "a plan has a tone and a pause");
        assert!(self.tolerance_hz > 0.0, "frequencies are never exact");
    }
}

/// Whether a length is the one that is planned.
pub(super) fn fits(ms: f32, planned_ms: f32) -> bool {
    (ms - planned_ms).abs() <= (planned_ms * LENGTH_SHARE).max(LENGTH_MS)
}

/// How much of a plan was heard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cadence {
    pub(super) plan: Plan,
    /// Tones that followed each other as planned.
    pub(super) tones: usize,
    /// When the first of them began.
    pub(super) since: u64,
    /// It was told, and has gone on since.
    pub(super) told: bool,
}

impl Cadence {
    pub(super) const fn new(plan: Plan) -> Self {
        Self {
            plan,
            tones: 0,
            since: 0,
            told: false,
        }
    }

    /// Nothing of it was heard.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.plan);
    }

    /// Takes a tone of its frequencies, after a pause of so many ms if there was one. True if the
    /// whole cadence has been heard now, and was not told before.
    pub(super) fn tone(&mut self, tone: &Segment, pause_ms: Option<f32>) -> bool {
        let on_ms = tone.samples() as f32 / 8.0;
        let follows = self.tones > 0
            && pause_ms.is_some_and(|ms| fits(ms, self.plan.step(self.tones - 1).1))
            && fits(on_ms, self.plan.step(self.tones).0);
        if !follows {
            self.clear();
            if !fits(on_ms, self.plan.step(0).0) {
                return false;
            }
            self.since = tone.since;
        }
        self.tones += 1;
        !self.told && self.tones > self.plan.tones()
    }

    /// Whether nothing but a pause longer than a second is missing for the whole of it.
    pub(super) fn waits_for_pause(&self) -> bool {
        !self.told
            && self.tones > 0
            && self.tones.is_multiple_of(self.plan.tones())
            && self.plan.step(self.tones - 1).1 > PAUSE_MS * (1.0 + LENGTH_SHARE)
    }

    /// How long the pause after its tones can be at most, in ms.
    pub(super) fn pause_ms_max(&self) -> f32 {
        let off = self.plan.step(self.tones.max(1) - 1).1;
        (off + (off * LENGTH_SHARE).max(LENGTH_MS)).min(PAUSE_MS)
    }
}
