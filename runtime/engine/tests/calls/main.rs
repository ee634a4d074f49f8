//! Whole calls: an engine, its media workers, phones and hand-written far ends in virtual time.

#![allow(clippy::unwrap_used)] // A panic is how a test fails, in its helpers too.
#![allow(clippy::wildcard_enum_match_arm)] // Tests look for one variant among many.

mod audio;
mod conference;
mod describe;
mod families;
mod far;
mod ledger;
mod world;

mod bridge;
mod browsers;
mod change;
mod chaos;
mod dial;
mod early;
mod gather;
mod groups;
mod inbound;
mod info;
mod lost;
mod moving;
mod panics;
mod phone;
mod reason;
mod record;
mod refer;
mod reoffer;
