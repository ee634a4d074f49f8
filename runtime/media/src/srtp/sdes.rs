//! Keys in SDP.
