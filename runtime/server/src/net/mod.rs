//! Sockets: datagrams in batches, and streams.

pub mod batch;
pub mod stream;
