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

/// Most flows of one device that one dial tries after each other. Each rings for seconds, and nobody
/// waits for more.
pub(crate) const RING_GROUPS_MAX: usize = 32;

/// How long the contacts of a user that it prefers ring before those that it likes less
/// (RFC 3261 §16.6 leaves it open): four rings.
pub(crate) const Q_STEP: Duration = Duration::from_secs(20);

/// What `Max-Forwards` of a call begins with (RFC 3261 §8.1.1.6).
pub(crate) const HOPS: u8 = 70;

/// Most offers of ours that wait on one leg for the answer to the one before; further ones are
/// refused with 491. Each waits for the far end, which may take a minute.
pub(crate) const WISHES_MAX: usize = 8;

/// Most codec names of one offer that are looked at; we have fewer codecs.
pub(crate) const CODECS_MAX: usize = 16;

/// How long a REFER waits for the node to decide; then it is declined. Its sender waits for 32 s
/// (RFC 3261 §17.1.2.2, timer F) and sends it again all the while.
pub(crate) const REFER_ANSWER_WAIT: Duration = Duration::from_secs(10);

/// Presses remembered in case they come another way, too: nobody presses more keys a second.
pub(crate) const PRESSES_MAX: usize = 32;
