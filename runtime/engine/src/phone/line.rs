//! The one call of a phone, and how far its script is.

use std::time::Duration;

use vocab::{LegId, Mono, PlayId};

use super::quiet::Quiet;

/// Audio that comes after this long without any was late: what was heard meanwhile was a hole in it,
/// and not silence of the far end. Five packets.
const HOLE_MIN: Duration = Duration::from_millis(100);

/// A far end that sends nothing for this long is silent.
const HOLE_MAX: Duration = Duration::from_secs(2);

/// A line that is in use.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) leg: LegId,
    pub(super) state: LineState,
    /// Step of the script in hand.
    pub(super) step: usize,
    pub(super) quiet: Quiet,
    /// When the call came up, and with it the recording of it.
    pub(super) up_at: Mono,
    /// Samples of that recording that were handed over: it comes in chunks.
    pub(super) recorded: u64,
    /// When audio last came.
    pub(super) came_at: Mono,
}

/// Where a call stands.
///
/// | state | what happens | next |
/// |---|---|---|
/// | `Early` | dialled or rung | `Up` |
/// | `Up` | the script runs | - |
///
/// From both the line is free once the leg has ended.
#[derive(Debug)]
pub(super) enum LineState {
    Early,
    Up(Doing),
}

/// What the script is doing.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Doing {
    /// Waits for a moment.
    Until(Mono),
    /// Waits for the far end to have had its say.
    Quiet { give_up: Mono },
    /// Plays until that is over.
    Play(PlayId),
    /// The script is over and the far end goes on.
    Listening,
}

impl Line {
    pub(super) fn new(now: Mono, leg: LegId) -> Self {
        let quiet = Quiet::default();
        Self {
            leg,
            state: LineState::Early,
            step: 0,
            quiet,
            up_at: now,
            recorded: 0,
            came_at: now,
        }
    }

    /// Begins to listen for silence, from now on: what is still to be handed over of the time
    /// before does not count.
    pub(super) fn listen(&mut self, now: Mono) {
        self.quiet = Quiet::after(self.outstanding(now));
    }

    /// Samples of the recording that are still to be handed over.
    fn outstanding(&self, now: Mono) -> u64 {
        // One sample is 125 µs.
        let elapsed = u64::try_from(now.since(self.up_at).as_micros() / 125).unwrap_or(u64::MAX);
        elapsed.saturating_sub(self.recorded)
    }

    /// Audio has come.
    pub(super) fn came(&mut self, now: Mono) {
        let hole = now.since(self.came_at);
        if HOLE_MIN < hole && hole < HOLE_MAX {
            self.quiet.again_after(self.outstanding(now));
        }
        self.came_at = now;
    }

    /// Whether the far end has had its say.
    pub(super) fn is_quiet(&self, now: Mono) -> bool {
        let hole = now.since(self.came_at);
        self.quiet.is_quiet() && (hole < HOLE_MIN || HOLE_MAX <= hole)
    }

    pub(super) fn hear(&mut self, sample: i16) {
        self.recorded += 1;
        self.quiet.hear(sample);
    }

    /// When the script goes on by itself.
    pub(super) fn deadline(&self) -> Option<Mono> {
        match &self.state {
            LineState::Up(Doing::Until(at) | Doing::Quiet { give_up: at }) => Some(*at),
            LineState::Up(Doing::Play(_) | Doing::Listening) | LineState::Early => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use vocab::{CallId, Now};

    use super::*;

    #[test]
    fn a_hole_in_the_audio_is_no_silence() {
        let at = |ms: u64| (Now::default() + Duration::from_millis(ms)).mono;
        let leg = LegId {
            call: CallId(1),
            n: 1,
        };
        let mut line = Line::new(at(0), leg);
        let hear = |line: &mut Line, ms: u32, sample| {
            (0..8 * ms).for_each(|_| line.hear(sample));
        };
        line.came(at(20));
        hear(&mut line, 20, 9_000);
        // Nothing comes for 900 ms, and then there is more.
        hear(&mut line, 900, 0);
        assert!(!line.is_quiet(at(920)), "it may only be late");
        line.came(at(921));
        assert!(!line.is_quiet(at(930)), "it was late");
        // 700 ms of silence that comes as such.
        for n in 0..40 {
            line.came(at(940 + 20 * n));
            hear(&mut line, 20, 0);
        }
        assert!(line.is_quiet(at(1_730)));

        // A far end that sends nothing at all has had its say, too.
        hear(&mut line, 20, 9_000);
        hear(&mut line, 2_000, 0);
        assert!(!line.is_quiet(at(3_000)) && line.is_quiet(at(4_000)));
    }
}
