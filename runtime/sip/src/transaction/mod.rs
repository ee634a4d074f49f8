//! The transaction layer: four machines that turn an unreliable network into one request and one
//! final response each (RFC 3261 §17, RFC 6026).
//!
//! A transaction over UDP outlives its call by up to 32 s, so thousands of them exist at any time
//! and each is kept to a few words: it holds the bytes it may have to send again and nothing of
//! the parsed message. Its outputs are bits in one byte; [`poll`](ClientInvite::poll) turns them
//! into values.

pub mod client;
pub mod client_invite;
mod derive;
mod key;
mod pending;
pub mod server;
pub mod server_invite;
pub mod timer;

pub use client::Client;
pub use client_invite::ClientInvite;
pub use server::Server;
pub use server_invite::ServerInvite;
pub use timer::Timer;

pub(crate) use derive::{Derived, derive};
pub(crate) use key::{Hash, Key};

#[cfg(test)]
mod tests;
