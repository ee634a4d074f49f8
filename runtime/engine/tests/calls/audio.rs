//! Voices to play and whether they were heard.

use std::sync::Arc;
use std::time::Duration;

use vocab::{Clip, Rng};

/// Something like a voice: pure tones below those of keys, each 60 ms long, different each time
/// and for each seed.
pub(crate) fn speech(seed: u64, length: Duration) -> Clip {
    let mut rng = Rng::from_u64(seed);
    let count = length.as_millis() as usize * 8;
    let (mut samples, mut phase, mut step) = (Vec::with_capacity(count), 0.0_f64, 0.0);
    for n in 0..count {
        if n % 480 == 0 {
            let pitch_hz = 150.0 + rng.below(450) as f64;
            step = std::f64::consts::TAU * pitch_hz / 8_000.0;
        }
        phase += step;
        samples.push((8_000.0 * phase.sin()) as i16);
    }
    Clip::new(format!("speech {seed}"), Arc::<[i16]>::from(samples))
}

/// The share of a clip that is in what was heard.
pub(crate) fn coverage(clip: &Clip, heard: &[i16]) -> f64 {
    media::compare::coverage(&clip.samples, heard, heard.len())
}

#[track_caller]
pub(crate) fn assert_heard(clip: &Clip, heard: &[i16]) {
    let share = coverage(clip, heard);
    assert!(share > 0.95, "only {share:.2} of {} was heard", clip.name);
}

#[track_caller]
pub(crate) fn assert_not_heard(clip: &Clip, heard: &[i16]) {
    let share = coverage(clip, heard);
    assert!(share < 0.2, "{share:.2} of {} was heard", clip.name);
}
