//! Sockets: datagrams in batches, those of many sockets of a thread, and streams with what lies
//! between them and SIP.

pub mod batch;
pub mod bind;
pub mod faults;
pub mod gates;
pub mod io;
pub mod layers;
pub mod stream;
pub mod tls;
pub mod websocket;

mod epoll;
mod limits;
mod reader;
mod uring;
