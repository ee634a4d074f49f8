//! The set of telephone-events that a far end takes (RFC 4733 §2.4.1, `events` parameter).

use std::fmt;

/// Events 0 to 31 as bits. The digits 0-9, *, # and A-D are 0 to 15, a hook flash is 16; higher
/// numbers mean nothing to a phone call of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Events(u32);

impl Events {
    /// What we take and may send: digits and the flash.
    pub(super) const OURS: Self = Self(0x1_ffff);
    /// What is meant when nothing is said.
    pub(super) const DEFAULT: Self = Self(0xffff);
    /// The least that makes events useful: the twelve keys of a phone.
    pub(super) const KEYS: Self = Self(0x0fff);

    /// Reads `0-15,66,70`. A part that makes no sense is skipped: the rest is still true.
    pub(super) fn parse(parameters: &str) -> Self {
        let list = parameters.trim();
        // RFC 2833 and some products write `events=0-15`.
        let list = list.strip_prefix("events=").unwrap_or(list);
        let list = list.split([';', ' ']).next().unwrap_or(list);
        Self(
            list.split(',')
                .filter_map(bits)
                .fold(0, |set, bits| set | bits),
        )
    }

    pub(super) fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

fn bits(part: &str) -> Option<u32> {
    let (first, last) = part.split_once('-').unwrap_or((part, part));
    let first: u8 = first.trim().parse().ok()?;
    let last: u8 = last.trim().parse().ok()?;
    let range = first..=last.min(31);
    Some(
        range
            .filter(|event| *event < 32)
            .fold(0, |set, event| set | 1 << event),
    )
}

impl fmt::Display for Events {
    /// As ranges: `0-11,16`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        let mut event = 0;
        while event < 32 {
            if self.0 >> event & 1 == 0 {
                event += 1;
                continue;
            }
            let run = (self.0 >> event).trailing_ones();
            match run {
                1 => write!(f, "{separator}{event}")?,
                _ => write!(f, "{separator}{event}-{}", event + run - 1)?,
            }
            separator = ",";
            event += run;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_written() {
        for (text, written) in [
            ("0-15", "0-15"),
            ("0-16", "0-16"),
            (" 0-15 ", "0-15"),
            ("events=0-15", "0-15"),
            ("0-11,16", "0-11,16"),
            ("0,1,2,3,5", "0-3,5"),
            ("0-15,32-35,66", "0-15"),
            ("0-15;foo=1", "0-15"),
            ("0-255", "0-31"),
            ("9-3", ""),
            ("x,3", "3"),
            ("-1", ""),
            ("", ""),
            ("999", ""),
        ] {
            assert_eq!(Events::parse(text).to_string(), written, "{text}");
        }
    }
}
