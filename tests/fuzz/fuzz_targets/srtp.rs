//! SRTP contexts and the attributes that bring their keys.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../../runtime/media/tests/properties/srtp.rs"]
mod srtp;

fuzz_target!(|bytes: &[u8]| srtp::check(bytes));
