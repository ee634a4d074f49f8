//! Media: what is agreed in SDP, and the audio that flows because of it.
//!
//! Everything here is values and machines: no socket, clock, task or file. Two halves meet:
//!
//! - **Pure parts**: [`sdp`] reads and writes session descriptions, [`negotiate`] is the
//!   offer/answer model, [`Encoder`] and [`Decoder`] the codecs, [`srtp`] secures packets, [`tone`]
//!   makes tones and [`music`] what people on hold hear, [`dtmf`] hears digits in audio, [`progress`]
//!   what networks and fax machines say with tones, [`amd`] whether a person or a machine answered,
//!   [`wav`] reads prompts and writes recordings, [`quality`] scores what was heard, [`compare`]
//!   tells whether it is what was played.
//! - **The machine**: a worker owns many sessions, each with its RTP stream in and out.
//!   `server` runs one on each media thread, the simulator runs it inline.
//!
//! All audio is mono, signed 16 bit. Inside a session it has the rate of its codec ([`Rate`]), and a
//! frame is 20 ms of that; prompts, recordings and detectors have 8,000 samples a second.
//!
//! **Invariant:** nothing in here knows SIP. A session description arrives as bytes and leaves as
//! bytes; who carries it is the engine's business.

pub mod amd;
pub mod compare;
pub mod dtmf;
pub mod g711;
pub mod g722;
pub mod jitter;
pub mod limits;
pub mod music;
pub mod negotiate;
pub mod ogg_opus;
pub mod player;
pub mod progress;
pub mod quality;
pub mod rate;
pub mod recorder;
pub mod resample;
pub mod rtcp;
pub mod rtp;
pub mod sdp;
pub mod sound;
pub mod srtp;
pub mod telephone_event;
pub mod tone;
pub mod wav;

mod border;
mod codec;
mod conceal;
mod part;
mod screen;
mod session;
mod voice;
pub mod webrtc;
mod worker;

pub use border::{
    Channel, Codec, Command, Event, EventFormat, OpusParams, SrtpKeys, Stats, StreamParams, Way,
};
pub use codec::{Decoder, Encoder};
pub use negotiate::{Capabilities, NegotiateError};
pub use part::{GAIN_DB_MAX, Part};
pub use rate::Rate;
pub use worker::{Config, Counts, Input, Output, Packet, RecordingOutput, Worker};
