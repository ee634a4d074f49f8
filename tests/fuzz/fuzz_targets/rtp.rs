//! RTP and RTCP packets, and a worker that receives them.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../../runtime/media/tests/properties/rtp.rs"]
mod rtp;

fuzz_target!(|bytes: &[u8]| rtp::check(bytes));
