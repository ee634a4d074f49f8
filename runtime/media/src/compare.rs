//! Tells whether audio that was heard is the audio that was played.
//!
//! For tests and the test phone, not for the media path: comparing 30 s takes about a second.
//! Both measures are blind to gain and hardly see what G.711 does to a signal.

use std::f64::consts::TAU;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Samples of a window of [`coverage`]: 60 ms, so that a single lost packet of 20 ms shows.
const WINDOW: usize = 480;

/// Samples that a window may lie beside its neighbor's place: two packets, as a jitter buffer that
/// adapts inserts or drops them.
const SLIP: usize = 320;

/// Least and most samples that a jitter buffer repeats or leaves out at once within audio: 1 to 10 ms.
const PIECE_MIN: usize = 8;
const PIECE: usize = 80;

/// Shortest part of a window that is looked at by itself, and least correlation of such a part.
const PART: usize = 120;
const PART_MIN: f64 = 0.95;

/// How many windows of a whole may tell where it begins.
const ANCHORS: usize = 8;

/// Samples that must be alike before audio counts as found again: 120 ms. Vowels last as long as one
/// window, and resemble themselves.
const SIGN: usize = 2 * WINDOW;

/// Samples by which audio may move at once where nobody is known to have stood still: a second.
const REACH: usize = 8_000;

/// Least correlation of a window that counts as heard. Twice through G.711 leaves more than 0.99
/// in all but the faintest passages; 20 ms of 60 missing leave 0.82.
const HEARD_MIN: f64 = 0.9;

/// Windows of the reference softer than this (mean square, about -50 dBm0) are pauses: they prove
/// nothing, and are not counted.
const PAUSE_POWER: f64 = 2_600.0;

/// How well two pieces of audio match, and where.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Similarity {
    /// Normalized cross-correlation at the best lag: 1.0 is identical but for gain, 0.0 unrelated.
    /// With a share of the reference missing it is about the root of the share that is there.
    pub score: f64,
    /// Samples by which the reference begins later in what was heard.
    pub lag: usize,
}

/// Finds where `reference` is in `heard`, at most `max_lag` samples in, and how well it matches.
///
/// What `heard` holds after the end of the reference does not count. If either is empty or silent
/// the score is 0.
///
/// ```
/// use jackfield_media::compare::similarity;
/// use jackfield_media::tone::{Region, Tone};
/// use std::time::Duration;
///
/// let played = Tone::special_information().render(Duration::from_secs(1));
/// let mut heard = vec![0; 400];
/// heard.extend(played.iter().map(|sample| sample / 2));
/// let found = similarity(&played, &heard, 800);
/// assert!(found.score > 0.999 && found.lag == 400);
/// ```
pub fn similarity(reference: &[i16], heard: &[i16], max_lag: usize) -> Similarity {
    const NOTHING: Similarity = Similarity { score: 0.0, lag: 0 };
    // Nothing after the end of the reference at the last lag can matter.
    let heard = &heard[..heard.len().min(reference.len().saturating_add(max_lag))];
    let (own, energies) = (energy(reference), Energies::of(heard));
    if own == 0.0 || heard.is_empty() {
        return NOTHING;
    }
    let lags = max_lag.min(heard.len() - 1);
    let products = correlate(reference, heard, lags);
    let scored = products.iter().enumerate().map(|(lag, product)| {
        let there = energies.between(lag, lag + reference.len());
        let score = if there > 0.0 {
            product / (own * there).sqrt()
        } else {
            0.0
        };
        // Rounding in the transform must not make anything more than identical.
        Similarity {
            score: score.clamp(0.0, 1.0),
            lag,
        }
    });
    scored.fold(
        NOTHING,
        |best, next| if next.score > best.score { next } else { best },
    )
}

/// The share (0.0 to 1.0) of the reference's 60 ms windows that are in `heard`, in order, starting
/// at most `max_lag` samples in. A gap or other audio in place of it lowers the share by as much as
/// it covers.
///
/// What is heard late is heard: something between two parts of it, up to a second, moves the rest
/// and costs no more than the windows it tears. So a machine that stands still for a moment does
/// not change the result; what it delays is counted where clocks are (`late_ticks`, `jitter`).
///
/// Pauses in the reference are not counted; without anything but pauses the result is 0.
pub fn coverage(reference: &[i16], heard: &[i16], max_lag: usize) -> f64 {
    coverage_across(reference, heard, max_lag, Duration::ZERO)
}

/// The same where the machine is known to have stood still for so long at a time: what is between
/// two parts may be as much longer.
pub fn coverage_across(reference: &[i16], heard: &[i16], max_lag: usize, stall: Duration) -> f64 {
    let stall = usize::try_from(stall.as_micros() / 125).unwrap_or(usize::MAX / 2);
    let reach = REACH + stall.min(heard.len());
    let whole = similarity(reference, heard, max_lag);
    if whole.score == 0.0 {
        return 0.0;
    }
    let energies = Energies::of(heard);
    let from = |start| followed(reference, heard, (&energies, reach), start);
    let share = from(whole.lag);
    if share == 1.0 {
        return share;
    }
    // It may have been said before or after that, and heard better.
    let others = anchors(reference, heard, max_lag);
    others.into_iter().map(from).fold(share, f64::max)
}

/// The share of a reference that is heard, in order, if it begins about here.
fn followed(
    reference: &[i16],
    heard: &[i16],
    (energies, reach): (&Energies, usize),
    start: usize,
) -> f64 {
    let mut trail = Trail {
        heard,
        energies,
        reach,
        shift: start as isize,
        // The best place for the whole is that of its largest part; what was heard before that may
        // lie a little further ahead.
        floor: start.saturating_sub(reach),
    };
    let (mut counted, mut found) = (0_u32, 0_u32);
    for (n, window) in reference.chunks_exact(WINDOW).enumerate() {
        if energy(window) < PAUSE_POWER * WINDOW as f64 {
            continue;
        }
        counted += 1;
        let at = n * WINDOW;
        let sign = &reference[at..reference.len().min(at + SIGN)];
        let heard = trail.step(at, sign) || trail.search(at, sign);
        found += u32::from(heard);
    }
    debug_assert!(found <= counted, "a window is found once");
    if counted == 0 {
        0.0
    } else {
        f64::from(found) / f64::from(counted)
    }
}

/// Where a reference may begin that was heard in pieces or more than once: by some of its loud
/// windows.
fn anchors(reference: &[i16], heard: &[i16], max_lag: usize) -> Vec<usize> {
    let places = (0..reference.len()).step_by(WINDOW);
    let signs = places.filter_map(|at| Some((at, reference.get(at..at + SIGN)?)));
    let loud = signs.filter(|(_, sign)| energy(sign) >= PAUSE_POWER * SIGN as f64);
    let found = loud.step_by(2).take(ANCHORS).filter_map(|(at, sign)| {
        let found = similarity(sign, heard, max_lag.saturating_add(at));
        (found.score >= HEARD_MIN).then(|| found.lag.saturating_sub(at))
    });
    found.collect()
}

/// How far a reference was followed through what was heard.
struct Trail<'a> {
    heard: &'a [i16],
    energies: &'a Energies,
    /// Samples by which it may move at once.
    reach: usize,
    /// Where the last window that was found lies, against its place in the reference.
    shift: isize,
    /// Where the last window that was found ends.
    floor: usize,
}

impl Trail<'_> {
    /// Goes on to the window at this place of the reference, if it lies about where it should.
    fn step(&mut self, at: usize, sign: &[i16]) -> bool {
        let window = &sign[..WINDOW];
        let best = self.best_near(window, at.saturating_add_signed(self.shift));
        if let Some((_, place)) = best.filter(|(score, _)| *score >= HEARD_MIN) {
            self.shift = place as isize - at as isize;
            self.floor = place + window.len();
            return true;
        }
        self.step_torn(at, sign)
    }

    /// The same for a window in which a jitter buffer has repeated or left out one piece: what is
    /// before that lies where it should, and what is after it a piece further or nearer. A hole moves
    /// nothing.
    fn step_torn(&mut self, at: usize, sign: &[i16]) -> bool {
        let center = at.saturating_add_signed(self.shift);
        for cut in (0..WINDOW).step_by(PIECE / 2) {
            let Some(after) = sign.get(cut + PIECE..cut + PIECE + 2 * PART) else {
                return false;
            };
            let before = &sign[..cut];
            if cut >= PART && self.score(before, energy(before), center) < PART_MIN {
                continue;
            }
            let expected = center + cut + PIECE;
            let places = expected.saturating_sub(PIECE)..=expected + PIECE;
            if let Some((score, place)) = self.best(after, places)
                && score >= PART_MIN
                && place.abs_diff(expected) >= PIECE_MIN
            {
                self.shift = place as isize - (at + cut + PIECE) as isize;
                self.floor = center + WINDOW - PIECE;
                return true;
            }
        }
        false
    }

    /// The best place for a window within [`SLIP`] of `center`, with its score.
    fn best_near(&self, window: &[i16], center: usize) -> Option<(f64, usize)> {
        let last = self.heard.len().checked_sub(window.len())?;
        let exact = self.score(window, energy(window), center);
        if exact >= HEARD_MIN {
            return Some((exact, center));
        }
        let places = center.saturating_sub(SLIP)..=last.min(center.saturating_add(SLIP));
        self.best(window, places)
    }

    /// The best of these places for a part, with its score.
    fn best(&self, part: &[i16], places: RangeInclusive<usize>) -> Option<(f64, usize)> {
        let own = energy(part);
        places
            .map(|place| (self.score(part, own, place), place))
            .max_by(|(a, _), (b, _)| a.total_cmp(b))
    }

    /// How alike a part of this energy is to what was heard at a place.
    fn score(&self, part: &[i16], own: f64, place: usize) -> f64 {
        let Some(there) = self.heard.get(place..place + part.len()) else {
            return 0.0;
        };
        let energies = own * self.energies.between(place, place + part.len());
        if energies > 0.0 {
            dot(part, there) / energies.sqrt()
        } else {
            0.0
        }
    }

    /// Goes on to the window at this place of the reference wherever it lies from the last one on,
    /// if what follows it (its sign) is there, too.
    fn search(&mut self, at: usize, sign: &[i16]) -> bool {
        let expected = at.saturating_add_signed(self.shift);
        let last = self.heard.len();
        // A jitter buffer may have left something out between the two.
        let first = self.floor.saturating_sub(SLIP);
        let first = first.max(expected.saturating_sub(self.reach)).min(last);
        let reach = (expected + self.reach).saturating_sub(first);
        let mut found = similarity(sign, &self.heard[first..], reach);
        if found.score < HEARD_MIN {
            // What follows may be torn; then the window alone has to be more alike.
            found = similarity(&sign[..WINDOW], &self.heard[first..], reach);
            if found.score < PART_MIN {
                return false;
            }
        }
        let before = self.shift;
        self.shift = (first + found.lag) as isize - at as isize;
        let stepped = self.step(at, sign);
        if !stepped {
            self.shift = before;
        }
        stepped
    }
}

/// Energies of all stretches of a signal, by sums from its start. Integers, so that the sum over a
/// stretch does not depend on what came before.
struct Energies(Vec<u64>);

impl Energies {
    fn of(samples: &[i16]) -> Self {
        let squares = samples
            .iter()
            .map(|sample| u64::from(sample.unsigned_abs()).pow(2));
        let sums = squares.scan(0, |sum, square| {
            *sum += square;
            Some(*sum)
        });
        Self(std::iter::once(0).chain(sums).collect())
    }

    /// From `start` to before `end`; what lies past the end of the signal is silence.
    fn between(&self, start: usize, end: usize) -> f64 {
        let last = self.0.len() - 1;
        (self.0[end.min(last)] - self.0[start.min(last)]) as f64
    }
}

fn energy(samples: &[i16]) -> f64 {
    dot(samples, samples)
}

fn dot(a: &[i16], b: &[i16]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| i64::from(*a) * i64::from(*b))
        .sum::<i64>() as f64
}

/// The products of `a` with `b` shifted by each lag from 0 to `lags`, by way of the frequencies:
/// in time that grows with n log n instead of with the product of the lengths.
fn correlate(a: &[i16], b: &[i16], lags: usize) -> Vec<f64> {
    assert!(lags < b.len(), "a lag begins within what was heard");
    // With room for both, what the transform wraps around lands on lags that are not asked for.
    let size = (a.len() + b.len()).next_power_of_two();
    // One complex transform serves two real signals: one as real part, one as imaginary part.
    let mut both: Vec<Complex> = (0..size)
        .map(|n| {
            let sample = |of: &[i16]| of.get(n).map_or(0.0, |sample| f64::from(*sample));
            Complex {
                re: sample(a),
                im: sample(b),
            }
        })
        .collect();
    transform(&mut both);
    let product: Vec<Complex> = (0..size)
        .map(|n| {
            let (x, y) = (both[n], both[(size - n) % size]);
            // A = (x + y*) / 2 and B = (x - y*) / 2i; wanted is A* B.
            let a = Complex {
                re: (x.re + y.re) / 2.0,
                im: (x.im - y.im) / 2.0,
            };
            let b = Complex {
                re: (x.im + y.im) / 2.0,
                im: (y.re - x.re) / 2.0,
            };
            // Conjugated, so that the forward transform serves as the inverse one.
            Complex {
                re: a.re * b.re + a.im * b.im,
                im: a.im * b.re - a.re * b.im,
            }
        })
        .collect();
    let mut lagged = product;
    transform(&mut lagged);
    lagged[..=lags]
        .iter()
        .map(|value| value.re / size as f64)
        .collect()
}

#[derive(Clone, Copy)]
struct Complex {
    re: f64,
    im: f64,
}

/// The discrete Fourier transform in place, radix 2 (Cooley and Tukey 1965).
fn transform(values: &mut [Complex]) {
    let size = values.len();
    assert!(size.is_power_of_two(), "radix 2");
    if size < 2 {
        return;
    }
    let shift = usize::BITS - size.trailing_zeros();
    for n in 0..size {
        let mirrored = n.reverse_bits() >> shift;
        if n < mirrored {
            values.swap(n, mirrored);
        }
    }
    let waves: Vec<Complex> = (0..size / 2)
        .map(|n| TAU * n as f64 / size as f64)
        .map(|angle| Complex {
            re: angle.cos(),
            im: -angle.sin(),
        })
        .collect();
    let mut half = 1;
    while half < size {
        let stride = size / (2 * half);
        for block in values.chunks_exact_mut(2 * half) {
            let (low, high) = block.split_at_mut(half);
            for ((a, b), wave) in low.iter_mut().zip(high).zip(waves.iter().step_by(stride)) {
                let turned = Complex {
                    re: b.re * wave.re - b.im * wave.im,
                    im: b.re * wave.im + b.im * wave.re,
                };
                *b = Complex {
                    re: a.re - turned.re,
                    im: a.im - turned.im,
                };
                *a = Complex {
                    re: a.re + turned.re,
                    im: a.im + turned.im,
                };
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use vocab::Rng;

    use super::*;
    use crate::g711::{self, Law};

    /// Something like speech: noise through a resonance, with syllables and pauses.
    fn prompt(seconds: usize, seed: u64) -> Vec<i16> {
        let mut rng = Rng::from_u64(seed);
        let (mut y1, mut y2) = (0.0, 0.0);
        (0..seconds * 8_000)
            .map(|n| {
                let syllable = (TAU * n as f64 / 1_900.0).sin().max(0.0);
                let x = (rng.below(2_000) as f64 - 1_000.0) * syllable;
                let y = x + 1.6 * y1 - 0.8 * y2;
                (y1, y2) = (y, y1);
                y as i16
            })
            .collect()
    }

    fn through(law: Law, samples: &[i16]) -> Vec<i16> {
        let (mut codes, mut back) = (vec![0; samples.len()], vec![0; samples.len()]);
        g711::encode(law, samples, &mut codes);
        g711::decode(law, &codes, &mut back);
        back
    }

    fn later(samples: &[i16], lag: usize) -> Vec<i16> {
        [vec![0; lag], samples.to_vec(), vec![0; 500]].concat()
    }

    #[test]
    fn the_same_audio_is_found_where_it_is() {
        let played = prompt(3, 1);
        for lag in [0, 1, 159, 4_000, 15_999] {
            let heard = later(&played, lag);
            let found = similarity(&played, &heard, 16_000);
            assert_eq!(found.lag, lag);
            assert!(found.score > 0.999_999, "{found:?}");
            assert_eq!(coverage(&played, &heard, 16_000), 1.0);
        }
    }

    #[test]
    fn the_fast_way_agrees_with_the_plain_one() {
        let (a, b) = (prompt(1, 2), prompt(1, 3));
        let (a, b) = (&a[..700], &b[..900]);
        let products = correlate(a, b, 899);
        for (lag, product) in products.iter().enumerate() {
            let plain = dot(a, &b[lag..]);
            assert!((product - plain).abs() < 1.0, "{lag}: {product} {plain}");
        }
    }

    #[test]
    fn gain_and_coding_hardly_matter() {
        let played = prompt(3, 4);
        for law in [Law::Mu, Law::A] {
            for (gain, covered) in [(1, 0.99), (4, 0.98), (16, 0.9)] {
                let soft: Vec<i16> = played.iter().map(|sample| sample / gain).collect();
                let heard = later(&through(law, &through(law, &soft)), 700);
                let found = similarity(&played, &heard, 8_000);
                assert!(
                    found.score > 0.995 && found.lag == 700,
                    "{law:?} {gain}: {found:?}"
                );
                assert!(coverage(&played, &heard, 8_000) > covered, "{law:?} {gain}");
            }
        }
    }

    #[test]
    fn other_audio_is_not_taken_for_it() {
        let played = prompt(3, 5);
        for heard in [prompt(6, 6), vec![0; 30_000], vec![8; 30_000], Vec::new()] {
            assert!(similarity(&played, &heard, 20_000).score < 0.2);
            assert!(coverage(&played, &heard, 20_000) < 0.05);
        }
        let inverted: Vec<i16> = played.iter().map(|sample| -sample).collect();
        assert!(similarity(&played, &inverted, 0).score < 0.01);
        assert_eq!(similarity(&[], &played, 100).score, 0.0);
        assert_eq!(similarity(&[0; 800], &played, 100).score, 0.0);
        assert_eq!(coverage(&[0; 800], &played, 100), 0.0);
    }

    #[test]
    fn beyond_the_largest_lag_nothing_is_found() {
        let played = prompt(2, 7);
        let heard = later(&played, 5_000);
        assert!(similarity(&played, &heard, 4_900).score < 0.9);
        assert!(similarity(&played, &heard, 5_000).score > 0.999);
        assert!(similarity(&played, &heard, usize::MAX).score > 0.999);
    }

    #[test]
    fn a_gap_lowers_the_coverage_by_what_it_covers() {
        let played = prompt(6, 8);
        for (gap_ms, least, most) in [(20, 0.95, 0.995), (600, 0.85, 0.93), (3_000, 0.4, 0.55)] {
            let mut heard = later(&played, 333);
            // In the middle of a syllable: pauses are not missed by anybody.
            heard[333 + 11_700..333 + 11_700 + gap_ms * 8].fill(0);
            let covered = coverage(&played, &heard, 8_000);
            assert!((least..=most).contains(&covered), "{gap_ms} ms: {covered}");
        }
    }

    #[test]
    fn a_prompt_cut_short_is_seen() {
        let played = prompt(4, 9);
        let heard = played[..16_000].to_vec();
        assert!((similarity(&played, &heard, 100).score - 0.707).abs() < 0.05);
        assert!((coverage(&played, &heard, 100) - 0.5).abs() < 0.05);
    }

    #[test]
    fn packets_that_a_jitter_buffer_puts_in_or_leaves_out_cost_one_window_each() {
        let played = prompt(6, 10);
        let mut heard = later(&played, 50);
        // Both within a syllable.
        heard.splice(19_525..19_525, [0; 160]);
        heard.drain(34_885..35_045);
        let covered = coverage(&played, &heard, 8_000);
        assert!((0.95..0.999).contains(&covered), "{covered}");
    }

    #[test]
    fn what_comes_late_is_heard_and_what_is_lost_is_not() {
        let played = prompt(6, 13);
        // The machine stands still three times, for 250 ms each.
        let mut heard = later(&played, 200);
        for at in [9_000, 20_000, 33_000] {
            heard.splice(at..at, [0; 2_000]);
        }
        let covered = coverage(&played, &heard, heard.len());
        assert!(covered > 0.9, "late: {covered}");
        // The same pauses, in place of what was said.
        let mut heard = later(&played, 200);
        for at in [9_000, 20_000, 33_000] {
            heard[at..at + 2_000].fill(0);
        }
        let covered = coverage(&played, &heard, heard.len());
        assert!((0.7..0.9).contains(&covered), "lost: {covered}");
        // A second too late is another time.
        let mut heard = later(&played, 200);
        heard.splice(24_200..24_200, vec![0; REACH + 500]);
        let covered = coverage(&played, &heard, heard.len());
        assert!((0.45..0.55).contains(&covered), "much later: {covered}");
        // Unless the machine is known to have stood still.
        let stall = Duration::from_millis(100);
        let covered = coverage_across(&played, &heard, heard.len(), stall);
        assert!(covered > 0.9, "after a stall: {covered}");
    }

    #[test]
    fn of_what_is_said_again_and_again_the_best_counts() {
        let played = prompt(6, 13);
        let mut torn = played.clone();
        torn[9_000..14_000].fill(0);
        // The last time it is cut short, the first time torn; between that the machine stands
        // still for half a second, so that it does not fit as a whole.
        let mut once = played.clone();
        once.splice(24_000..24_000, [0; 4_000]);
        let heard = [&torn[..], &once[..], &played[..30_000]].concat();
        let covered = coverage(&played, &heard, heard.len());
        assert!(covered > 0.95, "{covered}");
    }

    #[test]
    fn pieces_that_a_jitter_buffer_repeats_or_leaves_out_cost_little() {
        let played = prompt(6, 15);
        // To make up for a stall of 200 ms it leaves out or repeats 10 ms each 100 ms.
        for (piece, repeated) in [(80, false), (80, true), (37, false), (61, true)] {
            let mut heard = later(&played, 400);
            for n in 0..40 {
                let at = 1_000 + 810 * n;
                if repeated {
                    let again = heard[at..at + piece].to_vec();
                    heard.splice(at..at, again);
                } else {
                    heard.drain(at..at + piece);
                }
            }
            let covered = coverage(&played, &heard, heard.len());
            assert!(covered > 0.9, "{piece}, {repeated}: {covered}");
        }
    }

    #[test]
    fn a_lost_packet_shows_wherever_it_lies() {
        let mut rng = Rng::from_u64(16);
        let mut last = 0.0;
        let noise = (0..16_000).map(|_| {
            last = 0.9 * last + rng.below(8_000) as f64 - 4_000.0;
            last as i16
        });
        let played: Vec<i16> = noise.collect();
        // A hole of 20 ms may lie half in one window and half in the next: then it may not show.
        let missed = (0..100).filter(|n| {
            let mut heard = later(&played, 333);
            let at = 333 + 4_700 + 16 * n;
            heard[at..at + 160].fill(0);
            coverage(&played, &heard, heard.len()) == 1.0
        });
        let missed = missed.count();
        assert!(missed <= 10, "{missed} of 100 were not seen");
    }

    #[test]
    fn what_is_said_in_pieces_in_another_order_is_not_it() {
        let played = prompt(3, 14);
        let mut pieces: Vec<&[i16]> = played.chunks_exact(1_920).collect();
        pieces.reverse();
        let covered = coverage(&played, &pieces.concat(), played.len());
        assert!(covered < 0.3, "{covered}");
    }

    #[test]
    fn the_order_of_parts_matters() {
        let (one, two) = (prompt(2, 11), prompt(2, 12));
        let swapped = coverage(
            &[one.clone(), two.clone()].concat(),
            &[two, one].concat(),
            64_000,
        );
        assert!(swapped < 0.6, "{swapped}");
    }
}
