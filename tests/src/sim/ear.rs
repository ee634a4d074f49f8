//! Tells prompts by their tones: each clip of the simulation has a pitch of its own.

use std::f64::consts::TAU;

/// Names of all prompts; the place in the list makes the pitch.
pub(super) const NAMES: [&str; 42] = [
    "sorry",
    "welcome",
    "main",
    "query",
    "goodbye",
    "unavailable",
    "no_input",
    "invalid",
    "too_many_tries",
    "hours",
    "open_now",
    "closed_now",
    "leave_message",
    "message_thanks",
    "transferring",
    "operator_busy",
    "time_is",
    "good_morning",
    "good_evening",
    "order_ask",
    "order_is",
    "order_shipped",
    "order_unknown",
    "hello",
    "you_pressed",
    "menu",
    "bye",
    "a/b",
    "whisper",
    "says",
    "hold",
    "late",
    "digits/0",
    "digits/1",
    "digits/2",
    "digits/3",
    "digits/4",
    "digits/5",
    "digits/6",
    "digits/7",
    "digits/8",
    "digits/9",
];

/// Samples of one window: 40 ms, so that pitches 50 Hz apart are two steps apart.
const WINDOW: usize = 320;

/// Windows in a row that make a prompt.
const ENOUGH: usize = 3;

/// The pitch of a prompt.
pub(super) fn pitch_hz(name: &str) -> Option<f64> {
    let place = NAMES.iter().position(|known| *known == name)?;
    Some(pitch_at(place))
}

fn pitch_at(place: usize) -> f64 {
    500.0 + 50.0 * place as f64
}

/// The prompts heard, in order; one that goes on or is repeated without a pause counts once.
pub(super) fn prompts(heard: &[i16]) -> Vec<&'static str> {
    let mut found: Vec<&'static str> = Vec::new();
    let (mut last, mut run) = (None, 0);
    for window in heard.chunks_exact(WINDOW) {
        let now = (0..NAMES.len()).find(|&place| sounds(window, pitch_at(place)));
        run = if now == last { run + 1 } else { 1 };
        last = now;
        if let Some(place) = now
            && run == ENOUGH
        {
            found.push(NAMES[place]);
        }
    }
    found
}

/// Whether a prompt was heard at all.
pub(super) fn hears(heard: &[i16], name: &str) -> bool {
    let Some(hz) = pitch_hz(name) else {
        return false;
    };
    heard
        .chunks_exact(WINDOW)
        .filter(|window| sounds(window, hz))
        .count()
        >= ENOUGH
}

/// Whether most of a window's energy is at one frequency (Goertzel 1958).
fn sounds(window: &[i16], hz: f64) -> bool {
    let energy: f64 = window.iter().map(|&s| f64::from(s) * f64::from(s)).sum();
    if energy < 1e6 * window.len() as f64 {
        return false;
    }
    let turn = 2.0 * (TAU * hz / 8_000.0).cos();
    let (mut one, mut two) = (0.0, 0.0);
    for &sample in window {
        let next = f64::from(sample) + turn * one - two;
        two = one;
        one = next;
    }
    let power = one * one + two * two - turn * one * two;
    // A pure tone has half the window's length times its energy.
    power > 0.7 * energy * window.len() as f64 / 2.0
}

/// A tone at a prompt's pitch.
pub(super) fn tone(hz: f64, samples: usize) -> Vec<i16> {
    (0..samples)
        .map(|n| ((TAU * hz * n as f64 / 8_000.0).sin() * 8_000.0) as i16)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_prompt_is_told_from_all_others() {
        for (place, name) in NAMES.iter().enumerate() {
            let heard = tone(pitch_at(place), 1_600);
            assert_eq!(prompts(&heard), [*name]);
            assert!(hears(&heard, name));
        }
        assert_eq!(prompts(&vec![0; 8_000]), Vec::<&str>::new());
    }
}
