//! One press, one digit, however many ways it was heard.

use std::time::Duration;

use vocab::Mono;

/// Two ways of hearing within this time are one press: the audio way comes later by the depth of
/// the jitter buffer (up to 240 ms), the time to be sure (about 40 ms) and the far end's own delay
/// between the two.
const SAME: Duration = Duration::from_millis(700);

/// Presses remembered: nobody presses more than eight keys in 700 ms.
const REMEMBERED: usize = 8;

/// How a press was heard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// As a telephone event (RFC 4733).
    Event,
    /// As a tone in the audio.
    Tone,
}

/// The presses of the last moments that were heard one way and may yet be heard the other.
///
/// Each press that was reported takes in at most one of the same key heard the other way, so a
/// key pressed twice quickly and heard both ways is reported twice.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Presses {
    open: [Option<(Mono, char, Way)>; REMEMBERED],
    next: usize,
}

impl Presses {
    /// Whether a press that was heard now is a new one.
    pub(crate) fn is_new(&mut self, now: Mono, key: char, way: Way) -> bool {
        let same = |open: &&mut Option<(Mono, char, Way)>| {
            open.is_some_and(|(at, other, by)| other == key && by != way && now.since(at) < SAME)
        };
        // The oldest first: the ring begins at the next place to be written.
        let (newer, older) = self.open.split_at_mut(self.next);
        if let Some(open) = older.iter_mut().chain(newer).find(same) {
            *open = None;
            return false;
        }
        self.open[self.next] = Some((now, key, way));
        self.next = (self.next + 1) % REMEMBERED;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_press_counts_once() {
        use Way::{Event, Tone};
        for (heard, expected) in [
            (&[(0, '1', Event), (300, '1', Tone)][..], "1"),
            (&[(0, '1', Tone), (300, '1', Event)], "1"),
            (&[(0, '1', Event), (200, '1', Event)], "11"),
            (
                &[
                    (0, '1', Event),
                    (100, '1', Event),
                    (250, '1', Tone),
                    (350, '1', Tone),
                ],
                "11",
            ),
            (&[(0, '1', Event), (250, '1', Tone), (300, '1', Tone)], "11"),
            (&[(0, '1', Event), (300, '2', Tone)], "12"),
            (&[(0, '1', Event), (700, '1', Tone)], "11"),
        ] {
            let mut presses = Presses::default();
            let got: String = heard
                .iter()
                .filter(|(ms, key, way)| presses.is_new(Mono(ms * 1_000_000), *key, *way))
                .map(|(_, key, _)| key)
                .collect();
            assert_eq!(got, expected, "{heard:?}");
        }
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut presses = Presses::default();
        assert!((0..20).all(|n| presses.is_new(Mono(n), '7', Way::Event)));
        assert_eq!(
            (0..20)
                .filter(|n| !presses.is_new(Mono(20 + n), '7', Way::Tone))
                .count(),
            8
        );
    }
}
