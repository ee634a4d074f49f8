//! The one call of a phone, and how far its script is.

use vocab::{LegId, Mono, PlayId};

use super::quiet::Quiet;

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
        }
    }

    /// Begins to listen for silence, from now on: what is still to be handed over of the time
    /// before does not count.
    pub(super) fn listen(&mut self, now: Mono) {
        // One sample is 125 µs.
        let elapsed = u64::try_from(now.since(self.up_at).as_micros() / 125).unwrap_or(u64::MAX);
        self.quiet = Quiet::after(elapsed.saturating_sub(self.recorded));
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
