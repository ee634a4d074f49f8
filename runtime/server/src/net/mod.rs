//! Sockets: datagrams in batches, and streams with what lies between them and SIP.

pub mod batch;
pub mod bind;
pub mod faults;
pub mod layers;
pub mod stream;
pub mod tls;
pub mod websocket;

mod limits;
