//! The gate that a plugin's log lines pass: bounded in rate, length and total.

use std::time::Duration;

use vocab::Mono;
use vocab::flow::Level;

use crate::limits;

/// A line that may be written.
pub(crate) struct Line {
    pub(crate) level: Level,
    pub(crate) message: String,
}

/// What becomes of a line.
pub(crate) enum Passed {
    /// It is written; after dropped lines, a warning comes first.
    Written(Line),
    /// It is dropped; the first of a series says so.
    Dropped(Option<Line>),
    /// It is dropped, and so many were that the run is at fault.
    Flood,
}

/// A token bucket with a limit on the total: lines above either are dropped and counted.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Lines that may come now, in thousandths.
    tokens_milli: u64,
    refilled: Mono,
    bytes_left: usize,
    dropped: u32,
    warned: bool,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self {
            tokens_milli: u64::from(limits::LOG_LINES_BURST) * 1_000,
            refilled: Mono(0),
            bytes_left: limits::LOG_BYTES_MAX,
            dropped: 0,
            warned: false,
        }
    }

    pub(crate) fn pass(&mut self, now: Mono, level: Level, text: &str) -> Passed {
        self.refill(now);
        let message = clean(text);
        if self.tokens_milli < 1_000 || self.bytes_left < message.len() {
            return self.drop_line();
        }
        self.tokens_milli -= 1_000;
        self.bytes_left -= message.len();
        self.warned = false;
        Passed::Written(Line { level, message })
    }

    /// Counts a line that has no room.
    pub(crate) fn drop_line(&mut self) -> Passed {
        self.dropped += 1;
        if self.dropped > limits::LOG_LINES_DROPPED_MAX {
            return Passed::Flood;
        }
        let first = !std::mem::replace(&mut self.warned, true);
        Passed::Dropped(first.then(|| Line {
            level: Level::Warn,
            message: "too many log lines; some are dropped".into(),
        }))
    }

    fn refill(&mut self, now: Mono) {
        let millis = u64::try_from(now.since(self.refilled).as_millis()).unwrap_or(u64::MAX);
        let earned = millis.saturating_mul(u64::from(limits::LOG_LINES_PER_SECOND));
        let full = u64::from(limits::LOG_LINES_BURST) * 1_000;
        self.tokens_milli = self.tokens_milli.saturating_add(earned).min(full);
        // Whole milliseconds only, so that no fraction is lost when inputs come often.
        self.refilled = self.refilled + Duration::from_millis(millis);
        assert!(self.tokens_milli <= full, "the bucket never overflows");
    }
}

/// One line of bounded length: control characters become spaces, so that a plugin cannot forge
/// lines of its own.
fn clean(text: &str) -> String {
    let mut message = String::with_capacity(text.len().min(limits::LOG_LINE_BYTES_MAX));
    for c in text.trim_end().chars() {
        if message.len() + c.len_utf8() > limits::LOG_LINE_BYTES_MAX {
            break;
        }
        message.push(if c.is_control() { ' ' } else { c });
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(gate: &mut Gate, now: Mono, lines: usize) -> (usize, usize, bool) {
        let (mut written, mut warnings, mut flood) = (0, 0, false);
        for _ in 0..lines {
            match gate.pass(now, Level::Info, "hello") {
                Passed::Written(_) => written += 1,
                Passed::Dropped(warning) => warnings += usize::from(warning.is_some()),
                Passed::Flood => flood = true,
            }
        }
        (written, warnings, flood)
    }

    #[test]
    fn a_burst_passes_then_a_steady_rate_then_a_flood_is_a_fault() {
        let mut gate = Gate::new();
        assert_eq!(count(&mut gate, Mono(0), 150), (100, 1, false));
        let later = Mono(0) + Duration::from_secs(1);
        assert_eq!(count(&mut gate, later, 50), (20, 1, false));
        assert_eq!(count(&mut gate, later, 1_000), (0, 0, true));
    }

    #[test]
    fn lines_are_cut_and_cannot_forge_others() {
        assert_eq!(clean("a\nERROR b\r\n"), "a ERROR b");
        assert_eq!(clean(&"é".repeat(1_000)).len(), limits::LOG_LINE_BYTES_MAX);
    }

    #[test]
    fn the_total_is_bounded() {
        let mut gate = Gate::new();
        let line = "x".repeat(limits::LOG_LINE_BYTES_MAX);
        let mut now = Mono(0);
        let mut kept = 0;
        for _ in 0..2_000 {
            now = now + Duration::from_secs(1);
            if let Passed::Written(line) = gate.pass(now, Level::Info, &line) {
                kept += line.message.len();
            }
        }
        assert_eq!(kept, limits::LOG_BYTES_MAX);
    }
}
