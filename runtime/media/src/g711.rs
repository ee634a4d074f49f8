//! The two codecs of ITU-T G.711: one byte a sample, no state.
//!
//! Samples are signed 16 bit. µ-law uses their upper 14 bits, A-law the upper 12; what lies
//! between two decision values goes to the smaller magnitude, on both sides of zero, as in the
//! reference software of ITU-T G.191.

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Law {
    /// µ-law: North America, Japan.
    Mu,
    /// A-law: everywhere else.
    A,
}

/// Added to a µ-law magnitude so that every segment begins at a power of two (G.711 §3.2).
const ULAW_BIAS: i32 = 33;

/// Largest µ-law magnitude in 14 bit units that is not clipped (G.711 table 2a: x128 = 8159).
const ULAW_CLIP: i32 = 8_158;

/// Even bits of an A-law code are inverted on the line (G.711 §3.1, note to table 1a).
const ALAW_INVERTED: u8 = 0x55;

/// µ-law codes, by the upper 14 bits of a sample read as unsigned.
const ULAW_CODES: &[u8; 1 << 14] = &{
    let mut table = [0; 1 << 14];
    let mut i = 0;
    while i < table.len() {
        table[i] = ulaw_code(((i as u16) << 2) as i16);
        i += 1;
    }
    table
};

/// A-law codes, by the upper 12 bits of a sample read as unsigned.
const ALAW_CODES: &[u8; 1 << 12] = &{
    let mut table = [0; 1 << 12];
    let mut i = 0;
    while i < table.len() {
        table[i] = alaw_code(((i as u16) << 4) as i16);
        i += 1;
    }
    table
};

const ULAW_SAMPLES: &[i16; 256] = &{
    let mut table = [0; 256];
    let mut i = 0;
    while i < table.len() {
        table[i] = ulaw_sample(i as u8);
        i += 1;
    }
    table
};

const ALAW_SAMPLES: &[i16; 256] = &{
    let mut table = [0; 256];
    let mut i = 0;
    while i < table.len() {
        table[i] = alaw_sample(i as u8);
        i += 1;
    }
    table
};

/// Encodes one sample with µ-law (G.711 table 2). Zero gives 0xFF.
#[inline]
pub fn ulaw_encode(sample: i16) -> u8 {
    ULAW_CODES[usize::from(sample as u16 >> 2)]
}

/// Decodes one µ-law code (G.711 table 2): ±32,124 at most; 0xFF and 0x7F give zero.
#[inline]
pub fn ulaw_decode(code: u8) -> i16 {
    ULAW_SAMPLES[usize::from(code)]
}

/// Encodes one sample with A-law (G.711 table 1). Zero gives 0xD5.
#[inline]
pub fn alaw_encode(sample: i16) -> u8 {
    ALAW_CODES[usize::from(sample as u16 >> 4)]
}

/// Decodes one A-law code (G.711 table 1): ±32,256 at most, ±8 at least; there is no zero.
#[inline]
pub fn alaw_decode(code: u8) -> i16 {
    ALAW_SAMPLES[usize::from(code)]
}

/// Encodes samples, one byte each.
///
/// # Panics
/// If the lengths differ.
pub fn encode(law: Law, samples: &[i16], codes: &mut [u8]) {
    assert_eq!(samples.len(), codes.len(), "one code a sample");
    let pairs = codes.iter_mut().zip(samples);
    match law {
        Law::Mu => pairs.for_each(|(code, sample)| *code = ulaw_encode(*sample)),
        Law::A => pairs.for_each(|(code, sample)| *code = alaw_encode(*sample)),
    }
}

/// Decodes codes, one sample each.
///
/// # Panics
/// If the lengths differ.
pub fn decode(law: Law, codes: &[u8], samples: &mut [i16]) {
    assert_eq!(samples.len(), codes.len(), "one code a sample");
    let pairs = samples.iter_mut().zip(codes);
    match law {
        Law::Mu => pairs.for_each(|(sample, code)| *sample = ulaw_decode(*code)),
        Law::A => pairs.for_each(|(sample, code)| *sample = alaw_decode(*code)),
    }
}

/// The code of silence: what is sent when there is nothing to send.
pub const fn silence(law: Law) -> u8 {
    match law {
        Law::Mu => 0xff,
        Law::A => 0xd5,
    }
}

/// One's complement instead of negation: it makes both signs round toward zero, and has no
/// overflow at -32,768.
const fn magnitude(sample: i16) -> i32 {
    (if sample < 0 { !sample } else { sample }) as i32
}

const fn ulaw_code(sample: i16) -> u8 {
    let clipped = magnitude(sample) >> 2;
    let biased = ULAW_BIAS
        + if clipped > ULAW_CLIP {
            ULAW_CLIP
        } else {
            clipped
        };
    // The first bit set is bit 5 in the lowest segment and bit 12 in the highest.
    let segment = 26 - biased.leading_zeros() as i32;
    let step = (biased >> (segment + 1)) & 0x0f;
    let sign = if sample < 0 { 0x80 } else { 0 };
    !((segment << 4 | step) as u8 | sign)
}

const fn ulaw_sample(code: u8) -> i16 {
    let bits = !code;
    let segment = (bits >> 4 & 7) as i32;
    let step = (bits & 0x0f) as i32;
    let magnitude = ((2 * step + ULAW_BIAS) << segment) - ULAW_BIAS;
    let sample = (magnitude << 2) as i16;
    if bits & 0x80 == 0 { sample } else { -sample }
}

const fn alaw_code(sample: i16) -> u8 {
    let magnitude = magnitude(sample) >> 4;
    let bits = if magnitude < 32 {
        // The two lowest segments have the same step.
        magnitude
    } else {
        let segment = 28 - magnitude.leading_zeros() as i32;
        segment << 4 | ((magnitude >> (segment - 1)) & 0x0f)
    };
    // In A-law a set sign bit means positive.
    let sign = if sample < 0 { 0 } else { 0x80 };
    (bits as u8 | sign) ^ ALAW_INVERTED
}

const fn alaw_sample(code: u8) -> i16 {
    let bits = code ^ ALAW_INVERTED;
    let segment = (bits >> 4 & 7) as i32;
    let step = (bits & 0x0f) as i32;
    // The output value is the middle of the interval, hence the half step.
    let magnitude = match segment {
        0 => 2 * step + 1,
        _ => (2 * step + 33) << (segment - 1),
    };
    let sample = (magnitude << 3) as i16;
    if bits & 0x80 == 0 { -sample } else { sample }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAWS: [Law; 2] = [Law::Mu, Law::A];

    fn code_of(law: Law, sample: i16) -> u8 {
        let mut code = [0];
        encode(law, &[sample], &mut code);
        code[0]
    }

    fn sample_of(law: Law, code: u8) -> i16 {
        let mut sample = [0];
        decode(law, &[code], &mut sample);
        sample[0]
    }

    /// The decision values of G.711 tables 1a and 2a in 16 bit units, built as the tables are:
    /// segment by segment, sixteen equal steps each.
    fn decision_values(law: Law) -> Vec<i32> {
        let (mut values, mut at) = (Vec::new(), 0);
        match law {
            Law::Mu => {
                // Table 2a: the first interval is half a step, then 15 of 2, then 16 of 4, 8, ...
                at += 4;
                values.push(at);
                for segment in 0..8 {
                    for _ in 0..if segment == 0 { 15 } else { 16 } {
                        at += 8 << segment;
                        values.push(at);
                    }
                }
            }
            Law::A => {
                // Table 1a: 32 steps of 2 (segments 1a and 1b), then 16 of 4, 8, ...
                for segment in 0..7 {
                    for _ in 0..if segment == 0 { 32 } else { 16 } {
                        at += 16 << segment;
                        values.push(at);
                    }
                }
            }
        }
        // The last value is the virtual decision value x128, above which nothing changes.
        values.pop();
        values
    }

    #[test]
    fn tables_agree_with_the_decision_values_of_the_standard_for_every_sample() {
        for law in LAWS {
            let values = decision_values(law);
            assert_eq!(values.len(), 127, "a sign bit and 128 intervals");
            for sample in i16::MIN..=i16::MAX {
                let size = if sample < 0 {
                    -i32::from(sample) - 1
                } else {
                    i32::from(sample)
                };
                let interval = values.iter().filter(|value| size >= **value).count() as u8;
                let expected = match law {
                    Law::Mu => !(interval | if sample < 0 { 0x80 } else { 0 }),
                    Law::A => (interval | if sample < 0 { 0 } else { 0x80 }) ^ 0x55,
                };
                assert_eq!(code_of(law, sample), expected, "{law:?} {sample}");
            }
        }
    }

    #[test]
    fn known_values_of_the_standard() {
        // G.711 tables 1a, 1b, 2a, 2b: the ends of every segment, in 16 bit units.
        for (code, sample) in [
            (0xff, 0),
            (0xfe, 8),
            (0xf0, 120),
            (0xef, 132),
            (0xdf, 396),
            (0xcf, 924),
            (0xbf, 1_980),
            (0xaf, 4_092),
            (0x9f, 8_316),
            (0x8f, 16_764),
            (0x80, 32_124),
            (0x7f, 0),
            (0x7e, -8),
            (0x00, -32_124),
        ] {
            assert_eq!(ulaw_decode(code), sample, "{code:#04x}");
        }
        for (code, sample) in [
            (0xd5, 8),
            (0xd4, 24),
            (0xc5, 264),
            (0xf5, 528),
            (0xe5, 1_056),
            (0x95, 2_112),
            (0x85, 4_224),
            (0xb5, 8_448),
            (0xa5, 16_896),
            (0xaa, 32_256),
            (0x55, -8),
            (0x2a, -32_256),
        ] {
            assert_eq!(alaw_decode(code), sample, "{code:#04x}");
        }
    }

    #[test]
    fn every_code_survives_decoding_and_encoding() {
        for law in LAWS {
            for code in 0..=255 {
                let back = code_of(law, sample_of(law, code));
                // µ-law has two zeros; the negative one comes back as the positive one.
                let expected = if law == Law::Mu && code == 0x7f {
                    0xff
                } else {
                    code
                };
                assert_eq!(back, expected, "{law:?} {code:#04x}");
            }
        }
    }

    #[test]
    fn decoded_samples_rise_with_the_encoded_ones() {
        for law in LAWS {
            let mut last = i16::MIN;
            for sample in i16::MIN..=i16::MAX {
                let heard = sample_of(law, code_of(law, sample));
                assert!(heard >= last, "{law:?} {sample}: {heard} after {last}");
                last = heard;
                // A segment's step is 1/16 of its start, so half a step is 1/32 of the sample.
                let error = (i32::from(heard) - i32::from(sample)).abs();
                let clipped = i32::from(sample).abs() > 32_124;
                assert!(
                    clipped || error <= 8 + i32::from(sample).abs() / 30,
                    "{law:?} {sample}"
                );
            }
        }
    }

    #[test]
    fn silence_is_silent() {
        for law in LAWS {
            assert_eq!(code_of(law, 0), silence(law));
            assert!(sample_of(law, silence(law)).abs() <= 8);
        }
    }

    #[test]
    #[should_panic(expected = "one code a sample")]
    fn lengths_must_agree() {
        encode(Law::Mu, &[0; 160], &mut [0; 159]);
    }
}
