//! Digest authentication, as server and as client (RFC 7616, RFC 8760; RFC 2617 for old peers).
//!
//! A [`Verifier`] makes nonces that carry their own time and a keyed hash, so that it remembers
//! nothing of a peer before that peer has shown a right password. A [`Client`] answers one
//! challenge any number of times.

mod client;
mod digest;
mod pass;
mod replay;
mod server;

#[cfg(test)]
mod tests;

pub use client::{Challenge, Client};
pub use digest::Algorithm;
pub(crate) use pass::read as read_pass;
pub use pass::{Pass, Passes};
pub use server::{Verdict, Verifier};
