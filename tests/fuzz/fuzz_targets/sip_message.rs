//! SIP messages: reading, writing, refusing, judging credentials.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../../runtime/sip/tests/properties/message.rs"]
mod message;

fuzz_target!(|bytes: &[u8]| {
    message::check(bytes);
});
