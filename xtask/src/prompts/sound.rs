//! The little sound work that prompts need: reading, resampling, trimming, leveling, writing.

use std::f64::consts::PI;

/// Samples a second of what espeak-ng writes.
const INPUT_HZ: usize = 22_050;

/// Samples a second of what we write.
const OUTPUT_HZ: usize = 8_000;

/// 8,000 / 22,050 in lowest terms: output sample `n` lies at input position `n * 441 / 160`.
const UP: usize = 160;
const DOWN: usize = 441;

/// Input samples on each side of an output sample that take part in it.
const REACH: usize = 100;

/// Where the low pass cuts, in Hz: the telephone band ends at 3,400, aliases begin at 4,000.
const CUTOFF_HZ: f64 = 3_700.0;

/// Level of the speech while somebody speaks, RMS. 3,300 is 20 dB below full scale: loud and clear
/// on a phone, with room for peaks.
const SPEECH_RMS: f64 = 3_300.0;

/// Highest sample after leveling, 2 dB below full scale.
const PEAK_MAX: f64 = 26_000.0;

/// The samples of a WAV that espeak-ng wrote to a pipe: its length fields are wrong there, so the
/// data is all that follows the `data` header. `None` if it is anything else.
pub(super) fn read_espeak(bytes: &[u8]) -> Option<Vec<i16>> {
    let header = bytes.get(..44)?;
    let is_known = header.starts_with(b"RIFF")
        && &header[8..16] == b"WAVEfmt "
        && header[20..24] == [1, 0, 1, 0]
        && header[24..28] == (INPUT_HZ as u32).to_le_bytes()
        && header[34..36] == [16, 0]
        && &header[36..40] == b"data";
    let samples: Vec<i16> = bytes[44..]
        .chunks_exact(2)
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    (is_known && !samples.is_empty()).then_some(samples)
}

/// From 22,050 to 8,000 samples a second, through a windowed sinc low pass: one row of weights
/// for each of the 160 positions an output sample can have between two input samples.
pub(super) fn resample(input: &[i16]) -> Vec<i16> {
    let rows: Vec<Vec<f64>> = (0..UP)
        .map(|phase| weights(phase as f64 / UP as f64))
        .collect();
    let length = input.len() * UP / DOWN;
    let mut output = Vec::with_capacity(length);
    for n in 0..length {
        let (center, phase) = (n * DOWN / UP, n * DOWN % UP);
        let sum: f64 = rows[phase]
            .iter()
            .enumerate()
            .filter_map(|(tap, weight)| {
                let index = (center + tap + 1).checked_sub(REACH)?;
                input.get(index).map(|sample| f64::from(*sample) * weight)
            })
            .sum();
        output.push(to_sample(sum));
    }
    output
}

/// Weights of the `2 * REACH` input samples around a position `fraction` past an input sample.
/// Their sum is made 1, so that a constant stays what it is.
fn weights(fraction: f64) -> Vec<f64> {
    let cut = 2.0 * CUTOFF_HZ / INPUT_HZ as f64;
    let raw: Vec<f64> = (0..2 * REACH)
        .map(|tap| {
            let x = tap as f64 + 1.0 - REACH as f64 - fraction;
            let sinc = if x == 0.0 {
                1.0
            } else {
                (PI * cut * x).sin() / (PI * cut * x)
            };
            // Blackman: stop band below -70 dB.
            let t = (x / REACH as f64 + 1.0) / 2.0;
            sinc * (0.42 - 0.5 * (2.0 * PI * t).cos() + 0.08 * (4.0 * PI * t).cos())
        })
        .collect();
    let sum: f64 = raw.iter().sum();
    raw.into_iter().map(|weight| weight / sum).collect()
}

/// Cuts the silence at both ends, leaving 20 ms before and 60 ms after.
pub(super) fn trim(samples: &[i16]) -> Vec<i16> {
    let peak = samples.iter().map(|s| s.unsigned_abs()).max().unwrap_or(0);
    let threshold = (peak / 100).max(8);
    let is_loud = |s: &i16| s.unsigned_abs() > threshold;
    let Some(first) = samples.iter().position(is_loud) else {
        return Vec::new();
    };
    let last = samples.iter().rposition(is_loud).unwrap_or(first);
    let from = first.saturating_sub(20 * 8);
    let to = (last + 60 * 8).min(samples.len());
    samples[from..to].to_vec()
}

/// Brings the speech to `SPEECH_RMS`, pauses not counted, or as near as the peaks allow. All
/// prompts then sound equally loud, also the words that are put together to numbers.
pub(super) fn level(samples: &[i16]) -> Vec<i16> {
    const FRAME: usize = OUTPUT_HZ / 50;
    let power = |frame: &[i16]| {
        frame.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / frame.len() as f64
    };
    let frames: Vec<f64> = samples.chunks(FRAME).map(power).collect();
    let loudest = frames.iter().copied().fold(0.0, f64::max);
    // Frames more than 20 dB below the loudest are pauses.
    let speech: Vec<f64> = frames
        .into_iter()
        .filter(|p| *p > loudest / 100.0)
        .collect();
    let peak = samples
        .iter()
        .map(|s| f64::from(s.unsigned_abs()))
        .fold(0.0, f64::max);
    if speech.is_empty() || peak == 0.0 {
        return samples.to_vec();
    }
    let rms = (speech.iter().sum::<f64>() / speech.len() as f64).sqrt();
    let gain = (SPEECH_RMS / rms).min(PEAK_MAX / peak);
    samples
        .iter()
        .map(|s| to_sample(f64::from(*s) * gain))
        .collect()
}

/// Rounded and clipped to 16 bit.
fn to_sample(value: f64) -> i16 {
    value
        .round()
        .clamp(f64::from(i16::MIN), f64::from(i16::MAX)) as i16
}

/// The canonical 44 byte header of PCM, mono, 16 bit, 8,000 samples a second.
fn header(data_bytes: u32) -> [u8; 44] {
    let mut header = [0; 44];
    header[..4].copy_from_slice(b"RIFF");
    header[4..8].copy_from_slice(&(36 + data_bytes).to_le_bytes());
    header[8..16].copy_from_slice(b"WAVEfmt ");
    header[16..20].copy_from_slice(&16_u32.to_le_bytes());
    header[20..24].copy_from_slice(&[1, 0, 1, 0]);
    header[24..28].copy_from_slice(&(OUTPUT_HZ as u32).to_le_bytes());
    header[28..32].copy_from_slice(&(OUTPUT_HZ as u32 * 2).to_le_bytes());
    header[32..36].copy_from_slice(&[2, 0, 16, 0]);
    header[36..40].copy_from_slice(b"data");
    header[40..44].copy_from_slice(&data_bytes.to_le_bytes());
    header
}

/// A WAV file.
pub(super) fn wav(samples: &[i16]) -> Vec<u8> {
    let data_bytes = u32::try_from(samples.len() * 2).expect("invariant: a prompt is short");
    let mut bytes = header(data_bytes).to_vec();
    bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    bytes
}

/// True for a file as `wav` writes it.
pub(super) fn is_ours(bytes: &[u8]) -> bool {
    let data_bytes = bytes.len().saturating_sub(44);
    data_bytes > 0
        && u32::try_from(data_bytes).is_ok_and(|length| bytes.starts_with(&header(length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One second of a tone.
    fn tone(frequency_hz: f64, amplitude: f64) -> Vec<i16> {
        (0..INPUT_HZ)
            .map(|n| to_sample(amplitude * (2.0 * PI * frequency_hz * n as f64 / 22_050.0).sin()))
            .collect()
    }

    fn rms(samples: &[i16]) -> f64 {
        (samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / samples.len() as f64).sqrt()
    }

    #[test]
    fn resampling_keeps_the_telephone_band_and_drops_the_rest() {
        for (frequency_hz, kept) in [
            (300.0, true),
            (1_000.0, true),
            (3_300.0, true),
            (4_200.0, false),
            (7_000.0, false),
        ] {
            let output = resample(&tone(frequency_hz, 10_000.0));
            assert_eq!(output.len(), 8_000, "{frequency_hz}");
            let middle = rms(&output[1_000..7_000]);
            if kept {
                assert!(
                    (6_900.0..7_200.0).contains(&middle),
                    "{frequency_hz}: {middle}"
                );
            } else {
                assert!(middle < 10.0, "{frequency_hz}: {middle}");
            }
        }
    }

    #[test]
    fn a_tone_keeps_its_pitch() {
        let output = resample(&tone(1_000.0, 10_000.0));
        let crossings = output[1_000..7_000]
            .windows(2)
            .filter(|pair| pair[0] < 0 && pair[1] >= 0)
            .count();
        assert!((749..=751).contains(&crossings), "{crossings}");
    }

    #[test]
    fn silence_is_cut_at_both_ends() {
        let mut samples = vec![0; 4_000];
        samples.extend([5_000; 800]);
        samples.extend([0; 4_000]);
        assert_eq!(trim(&samples).len(), 160 + 800 + 480 - 1);
        assert!(trim(&[0; 4_000]).is_empty());
        assert!(trim(&[]).is_empty());
    }

    #[test]
    fn leveling_aims_at_the_speech_and_spares_the_peaks() {
        let quiet: Vec<i16> = tone(1_000.0, 500.0);
        assert!((3_250.0..3_350.0).contains(&rms(&level(&quiet))));
        let mut spiky = vec![100; 8_000];
        spiky[4_000] = 10_000;
        assert!(level(&spiky).iter().all(|s| s.unsigned_abs() <= 26_000));
        assert_eq!(level(&[0; 10]), [0; 10]);
    }

    #[test]
    fn files_are_recognized() {
        let bytes = wav(&[1, -1, 2]);
        assert!(is_ours(&bytes));
        assert!(!is_ours(&bytes[..bytes.len() - 1]));
        assert!(!is_ours(&wav(&[])));
        assert!(!is_ours(b"RIFF"));
        assert_eq!(
            read_espeak(&bytes),
            None,
            "8,000 samples a second is not espeak-ng"
        );
    }
}
