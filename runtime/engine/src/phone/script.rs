//! What a phone does in a call.

use std::time::Duration;

use vocab::{Clip, Pii};

/// How a phone sends digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Digits {
    /// As RFC 4733 events.
    Rfc4733,
    /// As tones in the audio.
    InBand,
}

/// One step of a script. Steps follow each other; after the last the phone listens until the far
/// end hangs up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Waits.
    Wait(Duration),
    /// Waits until something was heard and then nothing for 700 ms: the far end has had its say.
    Quiet {
        /// Goes on anyway after this long.
        give_up: Duration,
    },
    /// Presses keys out of `0-9*#A-D`.
    Press(Pii<String>),
    /// Says something.
    Play(Clip),
    /// Hangs up.
    Hangup,
}
