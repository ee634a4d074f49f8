//! The special information tone: what its three parts say.

use crate::progress::ear::Segment;

/// What an announcement after a special information tone is about.
///
/// | name | first | second | third |
/// |---|---|---|---|
/// | intercept | low short | low short | long |
/// | vacant code | high long | low short | long |
/// | reorder | low short | high long | long |
/// | no circuit | high long | high long | long |
///
/// Low is 913.8 and 1,370.6 Hz, high 985.2 and 1,428.5; the third has 1,776.7 always. Short is
/// 274 ms, long 380. Source: Bellcore SR-2275, Notes on the Networks. The rest of the
/// world has 950, 1,400 and 1,800 Hz of 330 ms each and says nothing by it: ITU-T E.180,
/// special information tone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Information {
    /// The number was changed or is not in service.
    Intercept,
    /// There is no such number.
    VacantCode,
    /// A switch could not take the call.
    Reorder,
    /// All lines are taken.
    NoCircuit,
    /// An announcement follows; about what was not said, or not in a way we know.
    Unnamed,
}

/// Bands of the three parts in Hz: ITU-T E.180 gives 950, 1,400 and 1,800 Hz ±50 Hz, which the
/// frequencies of North America are within.
const BANDS: [(f32, f32); 3] = [(895.0, 1_005.0), (1_345.0, 1_455.0), (1_740.0, 1_855.0)];

/// Bounds of the length of a part, in ms: 274 less, and 330 + 70 more, than the tolerance of
/// ITU-T E.180, with 20 ms for the measurement.
const PART_MS: (f32, f32) = (235.0, 420.0);

/// Longest pause between parts, in ms: 30 (ITU-T E.180), and 30 for the measurement.
const PAUSE_MS_MAX: f32 = 60.0;

/// How far a frequency of North America may be from where it should, in Hz. It is kept within 1.5 %
/// there; half the way to the next one is 17 Hz or less.
const NEAR_HZ: f32 = 14.0;

/// Between short and long, in ms.
const LONG_MS: f32 = 327.0;

/// Frequencies of the first and second part: low, high.
const CODED_HZ: [(f32, f32); 2] = [(913.8, 985.2), (1_370.6, 1_428.5)];

impl Information {
    /// What three tones in a row say; `None` if they are no special information tone.
    pub(super) fn of(parts: &[Segment; 3]) -> Option<Self> {
        let lengths = parts.map(|part| part.samples() as f32 / 8.0);
        let shaped = parts.iter().zip(BANDS).all(|(part, (least, most))| {
            part.steady && part.hz.1.is_none() && (least..=most).contains(&part.hz.0)
        });
        let timed = lengths
            .iter()
            .all(|ms| (PART_MS.0..=PART_MS.1).contains(ms));
        let joined = parts.windows(2).all(|two| follows(&two[0], &two[1]));
        if !(shaped && timed && joined) {
            return None;
        }
        let high = [0, 1].map(|part| {
            let (low, high) = CODED_HZ[part];
            let hz = parts[part].hz.0;
            match ((hz - low).abs() <= NEAR_HZ, (hz - high).abs() <= NEAR_HZ) {
                (true, false) => Some(false),
                (false, true) => Some(true),
                // Between them, or near both.
                (true, true) => Some(hz - low > high - hz),
                (false, false) => None,
            }
        });
        // In each of the four, high goes with long and low with short; other codes exist, and mean
        // different things in different books.
        let long = [lengths[0] > LONG_MS, lengths[1] > LONG_MS];
        Some(match high {
            [Some(first), Some(second)] if [first, second] == long => match (first, second) {
                (false, false) => Self::Intercept,
                (true, false) => Self::VacantCode,
                (false, true) => Self::Reorder,
                (true, true) => Self::NoCircuit,
            },
            [_, _] => Self::Unnamed,
        })
    }
}

/// Whether a tone begins where another ended.
fn follows(before: &Segment, after: &Segment) -> bool {
    after.since.saturating_sub(before.until) as f32 / 8.0 <= PAUSE_MS_MAX
}
