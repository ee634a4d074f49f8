//! The words every room shares.
//!
//! Ids, time, private values, and every command, event and snapshot that crosses a room's border.
//! Plain data: nothing here decides, waits or allocates behind the caller's back.
//! The flow words in [`flow`] mirror the `ivr` world of `wit/`.
//!
//! Three things here are not data but belong to every machine: [`Now`], the only time a machine may
//! see, [`Rng`], the only randomness it may use, and [`Deadlines`], from which it tells when it is
//! next to be woken.

pub mod call;
pub mod flow;
pub mod hearing;
pub mod record;
pub mod recording;

mod audio;
mod deadlines;
mod id;
mod media;
mod party;
mod pii;
mod rng;
mod time;

pub use audio::Clip;
pub use deadlines::Deadlines;
pub use id::{
    CallId, ConferenceId, FlowId, LegId, ParseIdError, PlayId, RecordingId, RecordingPart,
    SecretToken, SessionId, TenantId,
};
pub use media::MediaSummary;
pub use party::{Direction, Party};
pub use pii::Pii;
pub use rng::Rng;
pub use time::{Mono, Now, Wall};
