//! Bounds of the engine, each with its reason.

use std::time::Duration;

/// Most legs at a time; further calls get 503. Ten times what one core carries as IVR.
pub const LEGS_MAX: usize = 50_000;

/// Most contacts of one user rung at the same time; the registrar keeps no more per user.
pub(crate) const FORKS_MAX: usize = 10;

/// Longest wait for a media worker to confirm that a session is closed. A worker answers within
/// one 20 ms tick; past this it is taken for dead and the leg ends without it.
pub(crate) const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// Most clips in one playback: a spoken number of a menu stays well below.
pub(crate) const CLIPS_MAX: usize = 256;

/// Longest digits string that is gathered or sent.
pub(crate) const DIGITS_MAX: usize = 128;

/// Most messages of one leg whose end its worker has not reported. One is recorded at a time and a
/// worker answers within one 20 ms tick; past this the worker is not listening.
pub(crate) const MESSAGES_MAX: usize = 8;

/// Most playbacks of one leg whose end its worker has not reported. Each stops the one before, which
/// is reported within one 20 ms tick; a flow that begins more in that time is in a loop.
pub(crate) const PLAYS_MAX: usize = 64;
