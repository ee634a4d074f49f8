//! Session descriptions: reading, writing, negotiating.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../../runtime/media/tests/properties/sdp.rs"]
mod sdp;

fuzz_target!(|bytes: &[u8]| sdp::check(bytes));
