//! Media: what is agreed in SDP, and the audio that flows because of it.
//!
//! Everything here is values and machines: no socket, clock, task or file. Two halves meet:
//!
//! - **Pure parts**: [`sdp`] reads and writes session descriptions, [`negotiate`] is the
//!   offer/answer model, [`g711`] the two codecs, [`tone`] makes tones and [`music`] what people on
//!   hold hear, [`dtmf`] hears digits in audio, [`wav`] reads prompts and writes recordings,
//!   [`compare`] tells whether audio that was heard is the audio that was played.
//! - **The machine**: a worker owns many sessions, each with its RTP stream in and out.
//!   `server` runs one on each media thread, the simulator runs it inline.
//!
//! All audio is mono signed 16 bit at 8,000 samples a second; a frame is 160 samples, 20 ms.
//!
//! **Invariant:** nothing in here knows SIP. A session description arrives as bytes and leaves as
//! bytes; who carries it is the engine's business.

pub mod amd;
pub mod compare;
pub mod dtmf;
pub mod g711;
pub mod jitter;
pub mod limits;
pub mod music;
pub mod negotiate;
pub mod player;
pub mod progress;
pub mod recorder;
pub mod rtcp;
pub mod rtp;
pub mod sdp;
pub mod telephone_event;
pub mod tone;
pub mod wav;

mod border;
mod session;
mod worker;

pub use border::{Channel, Codec, Command, Event, Stats, StreamParams};
pub use negotiate::{Capabilities, NegotiateError};
pub use worker::{Config, Counts, Input, Output, Packet, RecordingOutput, Worker};
