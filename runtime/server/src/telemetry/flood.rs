//! Lines that strangers can cause are rationed: anybody may send a thousand requests a second.

use std::time::Duration;

use vocab::Mono;

/// Lines a second of one kind. Enough to see what is going on, too few to fill a disk.
pub(super) const LINES_MAX: u32 = 5;

/// After how long the count begins anew.
const PERIOD: Duration = Duration::from_secs(1);

/// One kind of line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Flood {
    since: Mono,
    lines: u32,
    left_out: u64,
}

impl Flood {
    /// Whether one more line may be written; if not, it is counted.
    pub(super) fn admit(&mut self, now: Mono) -> bool {
        if now.since(self.since) >= PERIOD {
            self.since = now;
            self.lines = 0;
        }
        if self.lines < LINES_MAX {
            self.lines += 1;
            return true;
        }
        self.left_out += 1;
        false
    }

    /// How many were left out since this was last asked, once a period is over.
    pub(super) fn left_out(&mut self, now: Mono) -> Option<u64> {
        if self.left_out == 0 || now.since(self.since) < PERIOD {
            return None;
        }
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_becomes_a_few_lines_and_a_sum() {
        let mut flood = Flood::default();
        let at = |ms: u64| Mono(ms * 1_000_000);
        let written = (0..1_000).filter(|ms| flood.admit(at(10_000 + ms))).count();
        assert_eq!(written, LINES_MAX as usize);
        assert_eq!(flood.left_out(at(10_999)), None, "the period is not over");
        assert_eq!(
            flood.left_out(at(11_000)),
            Some(1_000 - u64::from(LINES_MAX))
        );
        assert_eq!(flood.left_out(at(12_000)), None, "said once");
        assert!(flood.admit(at(11_000)));
    }
}
