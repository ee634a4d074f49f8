//! SIP without I/O: messages, transactions, dialogs, a registrar and digest authentication.
//!
//! Everything that decides is a machine that is fed inputs with the time and drained of outputs;
//! sockets and clocks are the caller's. Message bodies are opaque bytes: what they describe is
//! another room's business.
//!
//! - [`message`] reads and writes messages, from datagrams and streams.
//! - [`auth`] is digest authentication, as server and as client.
//! - [`limits`] holds every bound with its reason.

pub mod auth;
pub mod limits;
pub mod message;

mod border;

pub use border::*;
