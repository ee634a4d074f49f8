//! The worker and its parts in virtual time: two nodes and a bad network between them.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "a test picks the events it is about"
)]

/// Our own name for it, as everywhere in the workspace.
extern crate jackfield_media as media;

mod bridge;
mod codecs;
mod conference;
mod corpus;
mod day;
mod digits;
mod hearing;
mod part;
mod playback;
mod playout;
mod recording;
mod reports;
mod screen;
mod secure;
mod source;
mod world;
