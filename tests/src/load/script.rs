//! What a caller does.

use std::sync::Arc;
use std::time::Duration;

/// Something a caller does once its call is up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    /// Presses a key (RFC 4733).
    Press(char),
    /// Hangs up.
    HangUp,
}

/// What each caller does.
#[derive(Clone, Debug)]
pub struct Script {
    /// The number it calls.
    pub number: &'static str,
    /// Who it calls as, with the password; `None` is a stranger.
    pub user: Option<(&'static str, &'static str)>,
    /// What it does, and how long after the answer. Without a hang-up at the end the far end is
    /// to hang up.
    pub acts: Vec<(Duration, Act)>,
    /// Longest wait for the answer, and for the end after it.
    pub patience: Duration,
    /// What it says, again and again; `None` for a call without audio.
    pub audio: Option<Arc<[i16]>>,
}

impl Script {
    /// Whether the call is over when the far end says so.
    pub(super) fn far_end_hangs_up(&self) -> bool {
        !matches!(self.acts.last(), Some((_, Act::HangUp)))
    }
}
