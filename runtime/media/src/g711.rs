//! The two codecs of ITU-T G.711.

use crate::Codec;

/// Encodes one sample with µ-law.
pub fn ulaw_encode(sample: i16) -> u8 {
    let _ = sample;
    0xff
}

/// Decodes one µ-law code.
pub fn ulaw_decode(code: u8) -> i16 {
    let _ = code;
    0
}

/// Encodes one sample with A-law.
pub fn alaw_encode(sample: i16) -> u8 {
    let _ = sample;
    0xd5
}

/// Decodes one A-law code.
pub fn alaw_decode(code: u8) -> i16 {
    let _ = code;
    0
}

/// Encodes samples, one byte each.
///
/// # Panics
/// If the lengths differ.
pub fn encode(codec: Codec, samples: &[i16], codes: &mut [u8]) {
    let _ = codec;
    assert_eq!(samples.len(), codes.len(), "one code a sample");
}

/// Decodes codes, one sample each.
///
/// # Panics
/// If the lengths differ.
pub fn decode(codec: Codec, codes: &[u8], samples: &mut [i16]) {
    let _ = codec;
    assert_eq!(samples.len(), codes.len(), "one code a sample");
}

/// The code of silence: what is sent when there is nothing to send.
pub fn silence(codec: Codec) -> u8 {
    match codec {
        Codec::Pcmu => 0xff,
        Codec::Pcma => 0xd5,
    }
}
