//! Keys that come as INFO and as media: a press counts once, whichever way it is heard.

use std::collections::VecDeque;
use std::time::Duration;

use vocab::Mono;

use crate::limits::PRESSES_MAX;

/// A key that comes both ways comes within this time: INFO is sent when it is let go of, media
/// reports it when it is pressed.
const TWICE_WITHIN: Duration = Duration::from_secs(1);

/// How a press was heard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// As an event of RFC 4733, or as a tone.
    Media,
    /// As INFO.
    Info,
}

/// The last presses, each as long as it may come the other way, too.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    alone: VecDeque<(Mono, char, Way)>,
}

impl Keys {
    /// Whether a press is a new one.
    pub(crate) fn is_new(&mut self, now: Mono, key: char, way: Way) -> bool {
        self.alone.retain(|(at, ..)| now.since(*at) <= TWICE_WITHIN);
        let other = |&(_, pressed, by): &(Mono, char, Way)| pressed == key && by != way;
        if let Some(place) = self.alone.iter().position(other) {
            self.alone.remove(place);
            return false;
        }
        if self.alone.len() >= PRESSES_MAX {
            self.alone.pop_front();
        }
        self.alone.push_back((now, key, way));
        true
    }
}

/// The key that an INFO names. There is no standard: `application/dtmf-relay` has a line such as
/// `Signal=5`, `application/dtmf` has that or the key alone, and some write the star as 10, the
/// pound as 11 and A to D as 12 to 15, as RFC 4733 §3.2 counts them.
pub(crate) fn of_info(content_type: &str, body: &[u8]) -> Option<char> {
    let text = std::str::from_utf8(body).ok()?;
    let signal = text.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("signal")
            .then(|| value.trim())
    });
    let key = match content_type {
        "application/dtmf-relay" => signal?,
        "application/dtmf" => signal.unwrap_or_else(|| text.trim()),
        _ => return None,
    };
    match key {
        "10" => return Some('*'),
        "11" => return Some('#'),
        "12" => return Some('A'),
        "13" => return Some('B'),
        "14" => return Some('C'),
        "15" => return Some('D'),
        _ => {}
    }
    let mut chars = key.chars();
    let key = chars.next()?.to_ascii_uppercase();
    let known = key.is_ascii_digit() || "*#ABCD".contains(key);
    (known && chars.next().is_none()).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_from_info() {
        for (content_type, body, key) in [
            (
                "application/dtmf-relay",
                "Signal=5\r\nDuration=160\r\n",
                Some('5'),
            ),
            (
                "application/dtmf-relay",
                "Duration=160\nsignal = #",
                Some('#'),
            ),
            ("application/dtmf-relay", "Signal=10", Some('*')),
            ("application/dtmf-relay", "Signal=15", Some('D')),
            ("application/dtmf-relay", "5", None),
            ("application/dtmf-relay", "Signal=16", None),
            ("application/dtmf-relay", "Signal=", None),
            ("application/dtmf", "5", Some('5')),
            ("application/dtmf", " * \r\n", Some('*')),
            ("application/dtmf", "a", Some('A')),
            ("application/dtmf", "Signal=11\r\n", Some('#')),
            ("application/dtmf", "55", None),
            ("application/dtmf", "", None),
            ("application/dtmf", "é", None),
            ("application/media_control+xml", "5", None),
        ] {
            assert_eq!(of_info(content_type, body.as_bytes()), key, "{body}");
        }
        assert_eq!(of_info("application/dtmf", b"\xff"), None);
    }

    #[test]
    fn a_press_counts_once() {
        let ms = |ms: u64| Mono(ms * 1_000_000);
        let mut keys = Keys::default();
        for (at, key, way, new) in [
            (0, '1', Way::Media, true),
            (200, '1', Way::Info, false),
            // The same key again, both ways.
            (300, '1', Way::Media, true),
            (400, '1', Way::Media, true),
            (500, '1', Way::Info, false),
            (600, '1', Way::Info, false),
            // Another key, one way alone, and one that comes too late to be the same press.
            (700, '2', Way::Info, true),
            (800, '2', Way::Info, true),
            (900, '3', Way::Media, true),
            (1_901, '3', Way::Info, true),
        ] {
            assert_eq!(keys.is_new(ms(at), key, way), new, "{at} {key} {way:?}");
        }
    }
}
