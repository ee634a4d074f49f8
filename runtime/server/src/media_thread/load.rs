//! How busy a media thread is, and when it takes no more.

use std::time::Duration;

use vocab::Mono;

/// How long is looked at: long enough that a short stall of the machine is nothing, and short enough
/// that a flood of calls is seen before it harms those that are up.
const WINDOW: Duration = Duration::from_secs(1);

/// Percent of the time at work from which it takes no more calls. A tick comes every 20 ms, and what
/// is left of them has to do for calls that become busier: that are recorded, or converted.
const FULL_PERCENT: u128 = 80;

/// Percent at which it takes calls again. Well below, so that it does not change with every call.
const ROOM_PERCENT: u128 = 65;

/// Ticks over 20 ms late in a window from which the machine has no time for the thread: a fifth.
const LATE_MAX: u64 = 10;

/// Such windows in a row after which it takes no more. One alone is a stall, which is made up for.
const LATE_WINDOWS: u32 = 2;

/// Windows with room in a row after which it takes calls again.
const ROOM_WINDOWS: u32 = 3;

/// The load of one thread.
#[derive(Debug, Default)]
pub(super) struct Load {
    since: Option<Mono>,
    idle: Duration,
    late_ticks: u64,
    full: bool,
    late_windows: u32,
    windows_with_room: u32,
}

impl Load {
    /// It takes no more.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// It has done nothing for so long.
    pub(super) fn rested(&mut self, time: Duration) {
        self.idle += time;
    }

    /// Looks at a window that is over; tells if it is full from now on, or has room again. `late_ticks`
    /// is the count of all so far.
    pub(super) fn look(&mut self, now: Mono, late_ticks: u64) -> Option<bool> {
        let since = *self.since.get_or_insert(now);
        let length = now.since(since);
        if length < WINDOW {
            return None;
        }
        let idle = std::mem::take(&mut self.idle).min(length);
        let late = late_ticks - std::mem::replace(&mut self.late_ticks, late_ticks);
        self.since = Some(now);
        let busy = 100 - idle.as_nanos() * 100 / length.as_nanos();
        self.late_windows = match late >= LATE_MAX {
            true => self.late_windows + 1,
            false => 0,
        };
        if busy >= FULL_PERCENT || self.late_windows >= LATE_WINDOWS {
            self.windows_with_room = 0;
            return (!std::mem::replace(&mut self.full, true)).then_some(true);
        }
        if !self.full || busy > ROOM_PERCENT || late > 0 {
            self.windows_with_room = 0;
            return None;
        }
        self.windows_with_room += 1;
        if self.windows_with_room < ROOM_WINDOWS {
            return None;
        }
        self.full = false;
        self.windows_with_room = 0;
        Some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of windows of a second: percent at work and ticks that were late in it.
    fn told(windows: &[(u64, u64)]) -> Vec<(usize, bool)> {
        let mut load = Load::default();
        let mut late = 0;
        assert_eq!(load.look(Mono(0), 0), None);
        let mut all = Vec::new();
        for (n, (busy, more)) in windows.iter().enumerate() {
            let start = n as u64 * 1_000_000_000;
            // It looks more often than once a second, which changes nothing.
            load.rested(Duration::from_millis(5 * (100 - busy)));
            assert_eq!(load.look(Mono(start + 500_000_000), late), None);
            load.rested(Duration::from_millis(5 * (100 - busy)));
            late += more;
            let end = Mono(start + 1_000_000_000);
            all.extend(load.look(end, late).map(|full| (n, full)));
        }
        all
    }

    #[test]
    fn it_is_full_at_once_and_has_room_after_a_while() {
        for (name, windows, expected) in [
            ("idle", &[(3, 0); 10][..], &[][..]),
            ("busy", &[(79, 9); 10], &[]),
            ("too busy", &[(50, 0), (80, 0), (90, 0)], &[(1, true)]),
            ("a stall", &[(20, 0), (20, 50), (20, 9), (20, 50)], &[]),
            ("too late", &[(20, 0), (20, 10), (20, 10)], &[(2, true)]),
            (
                "again",
                &[(90, 0), (60, 0), (60, 0), (60, 0), (60, 0), (85, 0)],
                &[(0, true), (3, false), (5, true)],
            ),
            (
                "never quite",
                &[
                    (90, 0),
                    (60, 0),
                    (60, 0),
                    (70, 0),
                    (60, 0),
                    (60, 1),
                    (60, 0),
                ],
                &[(0, true)],
            ),
        ] {
            assert_eq!(told(windows), expected, "{name}");
        }
    }
}
