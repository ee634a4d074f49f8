//! SIP streams: cut anywhere, they give the same messages.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../../runtime/sip/tests/properties/stream.rs"]
mod stream;

// The first four bytes choose where the rest is cut.
fuzz_target!(|bytes: &[u8]| {
    let Some((cut, rest)) = bytes.split_first_chunk::<4>() else { return };
    let mut state = u32::from_le_bytes(*cut);
    let sizes = std::iter::from_fn(move || {
        // Numerical Recipes' linear congruential generator; its high bits are good enough here.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some(usize::try_from(state >> 25).unwrap_or(0) + 1)
    });
    stream::check(rest, sizes);
});
