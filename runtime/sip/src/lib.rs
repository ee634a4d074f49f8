//! SIP without I/O: messages, transactions, dialogs, a registrar and digest authentication.
//!
//! Everything that decides is a machine that is fed inputs with the time and drained of outputs;
//! sockets and clocks are the caller's. Message bodies are opaque bytes: what they describe is
//! another room's business.
//!
//! - [`message`] reads and writes messages, from datagrams and streams.
//! - [`auth`] is digest authentication, as server and as client.
//! - [`transaction`] holds the four transaction machines.
//! - [`Endpoint`] joins all of it, with dialogs and a registrar, into the one machine that others
//!   use; [`Input`] and [`Output`] are its border.
//! - [`guard`] decides who is listened to.
//! - [`locate`] finds the addresses of a domain's servers.
//! - [`limits`] holds every bound with its reason.

pub mod auth;
pub mod guard;
pub mod limits;
pub mod locate;
pub mod message;
pub mod transaction;

mod border;
mod dialog;
mod endpoint;
mod registrar;
mod stun;
mod transport;

pub use border::*;
pub use endpoint::{Counts, Endpoint, next_host};
pub use transport::Transport;
