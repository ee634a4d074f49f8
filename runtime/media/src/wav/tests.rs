//! Files as sound tools write them, and broken ones.

use std::f64::consts::TAU;
use std::io::Cursor;

use super::*;

/// A file from its parts: the `fmt ` chunk's fields and the data.
fn file(tag: u16, channels: u16, rate_hz: u32, bits: u16, data: &[u8]) -> Vec<u8> {
    let frame_bytes = channels * bits / 8;
    let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec();
    file.extend(tag.to_le_bytes());
    file.extend(channels.to_le_bytes());
    file.extend(rate_hz.to_le_bytes());
    file.extend((rate_hz.wrapping_mul(u32::from(frame_bytes))).to_le_bytes());
    file.extend(frame_bytes.to_le_bytes());
    file.extend(bits.to_le_bytes());
    file.extend(b"data");
    file.extend((data.len() as u32).to_le_bytes());
    file.extend(data);
    file
}

fn sine(hz: f64, rate_hz: u32, seconds: f64, peak: f64) -> Vec<f32> {
    let count = (f64::from(rate_hz) * seconds) as usize;
    let sample = |n| (peak * (TAU * hz * n as f64 / f64::from(rate_hz)).sin()) as f32;
    (0..count).map(sample).collect()
}

/// Root mean square of what is left when the best fitting sine of `hz` is taken out, and that
/// sine's peak. The ends, where the filter has no input on one side, are left out.
fn fit(samples: &[i16], hz: f64) -> (f64, f64) {
    let middle = &samples[400..samples.len() - 400];
    let wave = |n: usize| TAU * hz * (n + 400) as f64 / 8_000.0;
    let (mut re, mut im) = (0.0, 0.0);
    for (n, sample) in middle.iter().enumerate() {
        re += f64::from(*sample) * wave(n).cos();
        im += f64::from(*sample) * wave(n).sin();
    }
    let scale = 2.0 / middle.len() as f64;
    let (re, im) = (re * scale, im * scale);
    let rest: f64 = middle
        .iter()
        .enumerate()
        .map(|(n, s)| (f64::from(*s) - re * wave(n).cos() - im * wave(n).sin()).powi(2))
        .sum();
    ((rest / middle.len() as f64).sqrt(), re.hypot(im))
}

#[test]
fn every_coding_gives_the_same_samples() {
    let wanted = [0_i16, 8_192, -8_192, 32_124, -32_124];
    let exact = |samples: Vec<i16>, tolerance: i16| {
        for (sample, wanted) in samples.iter().zip(wanted) {
            assert!(
                (sample - wanted).abs() <= tolerance,
                "{sample} instead of {wanted}"
            );
        }
        assert_eq!(samples.len(), wanted.len());
    };
    let bytes = |f: &dyn Fn(i16) -> Vec<u8>| wanted.iter().flat_map(|s| f(*s)).collect::<Vec<_>>();
    let pcm16 = bytes(&|s| s.to_le_bytes().to_vec());
    exact(read(&file(1, 1, 8_000, 16, &pcm16)).expect("PCM 16"), 0);
    let pcm8 = bytes(&|s| vec![((s >> 8) + 128) as u8]);
    exact(read(&file(1, 1, 8_000, 8, &pcm8)).expect("PCM 8"), 255);
    let pcm24 = bytes(&|s| (i32::from(s) << 8).to_le_bytes()[..3].to_vec());
    exact(read(&file(1, 1, 8_000, 24, &pcm24)).expect("PCM 24"), 0);
    let pcm32 = bytes(&|s| (i32::from(s) << 16).to_le_bytes().to_vec());
    exact(read(&file(1, 1, 8_000, 32, &pcm32)).expect("PCM 32"), 0);
    let float = bytes(&|s| (f32::from(s) / 32_767.0).to_le_bytes().to_vec());
    exact(read(&file(3, 1, 8_000, 32, &float)).expect("float"), 0);
    let ulaw = bytes(&|s| vec![g711::ulaw_encode(s)]);
    exact(read(&file(7, 1, 8_000, 8, &ulaw)).expect("µ-law"), 260);
    let alaw = bytes(&|s| vec![g711::alaw_encode(s)]);
    exact(read(&file(6, 1, 8_000, 8, &alaw)).expect("A-law"), 512);
}

#[test]
fn two_channels_are_averaged() {
    let stereo = write(&[100, 300, -100, -300, 32_767, 32_767], 2);
    assert_eq!(read(&stereo), Ok(vec![200, -200, 32_767]));
}

#[test]
fn other_rates_keep_the_pitch_the_level_and_the_length() {
    for rate in [
        11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 6_000, 4_001,
    ] {
        for hz in [150.0, 440.0, 1_000.0, 1_600.0] {
            let out = to_8_khz(&sine(hz, rate, 0.5, 10_000.0), rate);
            assert!(out.len().abs_diff(4_000) <= 3, "{rate}: {}", out.len());
            let (rest, peak) = fit(&out, hz);
            assert!((peak - 10_000.0).abs() < 30.0, "{rate} {hz}: peak {peak}");
            assert!(rest < 12.0, "{rate} {hz}: rest {rest}");
        }
    }
}

#[test]
fn what_a_phone_cannot_carry_is_removed_not_folded() {
    for hz in [4_200.0, 5_000.0, 7_000.0, 7_900.0] {
        let out = to_8_khz(&sine(hz, 16_000, 0.5, 20_000.0), 16_000);
        let loudest = out[100..3_900].iter().map(|s| s.abs()).max();
        assert!(loudest < Some(20), "{hz}: {loudest:?}");
    }
    let out = to_8_khz(&sine(3_300.0, 48_000, 0.5, 10_000.0), 48_000);
    assert!(
        (fit(&out, 3_300.0).1 - 10_000.0).abs() < 100.0,
        "the band goes up to 3,300 Hz"
    );
}

#[test]
fn loud_sound_is_clipped_not_wrapped() {
    let square: Vec<f32> = (0..4_000)
        .map(|n| if n / 40 % 2 == 0 { 3e4 } else { -3e4 })
        .collect();
    let out = to_8_khz(&square, 16_000);
    assert_eq!(out.iter().max(), Some(&32_767));
    let (up, down) = (out[10], out[30]);
    assert!(up > 25_000 && down < -25_000, "{up} {down}");
}

#[test]
fn an_independent_reader_takes_what_we_write() {
    for channels in [1, 2] {
        let samples: Vec<i16> = (0..320).map(|n| n * 100 - 16_000).collect();
        let bytes = write(&samples, channels);
        let mut reader = hound::WavReader::new(Cursor::new(&bytes)).expect("a good file");
        let spec = reader.spec();
        assert_eq!(
            (spec.channels, spec.sample_rate, spec.bits_per_sample),
            (channels, 8_000, 16)
        );
        let back: Vec<i16> = reader.samples().collect::<Result<_, _>>().expect("samples");
        assert_eq!(back, samples);
    }
}

#[test]
fn we_take_what_an_independent_writer_writes() {
    for (bits, shift) in [(8, 8), (16, 0), (24, 0), (32, 0)] {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 8_000,
            bits_per_sample: bits,
            sample_format: hound::SampleFormat::Int,
        };
        let mut bytes = Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut bytes, spec).expect("a writer");
        for sample in [0_i32, 25_600, -25_600] {
            let scaled = if bits < 16 {
                sample >> shift
            } else {
                sample << (bits - 16)
            };
            writer.write_sample(scaled).expect("room");
        }
        writer.finalize().expect("room");
        // 24 and 32 bits come as WAVE_FORMAT_EXTENSIBLE.
        assert_eq!(
            read(bytes.get_ref()),
            Ok(vec![0, 25_600, -25_600]),
            "{bits}"
        );
    }
}

#[test]
fn bad_files_are_named() {
    let good = file(1, 1, 8_000, 16, &[1, 0, 2, 0]);
    let mut no_format = b"RIFF\0\0\0\0WAVEdata\x02\0\0\0".to_vec();
    no_format.extend([1, 0]);
    let mut frame = good.clone();
    frame[32] = 3;
    for (bytes, error, text) in [
        (Vec::new(), WavError::NotWav, "not a WAV file"),
        (
            b"ID3\x04 some song".to_vec(),
            WavError::NotWav,
            "not a WAV file",
        ),
        (
            b"RIFF\0\0\0\0AVI LIST".to_vec(),
            WavError::NotWav,
            "not a WAV file",
        ),
        (
            good[..12].to_vec(),
            WavError::NoData,
            "no samples: the data chunk is missing",
        ),
        (
            good[..30].to_vec(),
            WavError::CutOff,
            "cut off before the format",
        ),
        (
            good[..36].to_vec(),
            WavError::NoData,
            "no samples: the data chunk is missing",
        ),
        (
            good[..40].to_vec(),
            WavError::CutOff,
            "cut off before the format",
        ),
        (
            good[..45].to_vec(),
            WavError::Empty,
            "no samples: the data chunk is empty",
        ),
        (
            no_format,
            WavError::NoFormat,
            "no format before the samples",
        ),
        (
            file(85, 2, 44_100, 0, &[0; 4]),
            WavError::Coding { tag: 85, bits: 0 },
            "coding 85 with 0 bits; PCM, float, A-law and µ-law are read",
        ),
        (
            file(1, 1, 8_000, 12, &[0; 4]),
            WavError::Coding { tag: 1, bits: 12 },
            "coding 1 with 12 bits; PCM, float, A-law and µ-law are read",
        ),
        (
            file(1, 6, 8_000, 16, &[0; 12]),
            WavError::Channels(6),
            "6 channels; one or two are read",
        ),
        (
            file(1, 0, 8_000, 16, &[0; 12]),
            WavError::Channels(0),
            "0 channels; one or two are read",
        ),
        (
            file(1, 1, 0, 16, &[0; 4]),
            WavError::Rate(0),
            "0 samples a second; 4,000 to 192,000 are read",
        ),
        (
            frame,
            WavError::Frame(3),
            "3 bytes a frame do not fit the channels and bits",
        ),
        (
            vec![0; WAV_BYTES_MAX + 1],
            WavError::TooLong,
            "longer than 67108864 bytes",
        ),
    ] {
        assert_eq!(read(&bytes), Err(error));
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn odd_but_usable_files_are_read() {
    let good = file(1, 1, 8_000, 16, &[1, 0, 2, 0]);
    // Another chunk of odd length, padded, before the format.
    let mut extra = good[..12].to_vec();
    extra.extend(b"LIST\x03\0\0\0abc\0");
    extra.extend(&good[12..]);
    assert_eq!(read(&extra), Ok(vec![1, 2]));
    // A data chunk that claims more than there is, with half a sample at the end.
    let mut streamed = good.clone();
    streamed[40..44].copy_from_slice(&[0xff; 4]);
    streamed.push(9);
    assert_eq!(read(&streamed), Ok(vec![1, 2]));
    // Something after the samples.
    let mut tail = good.clone();
    tail.extend(b"LIST\x02\0\0\0ab");
    assert_eq!(read(&tail), Ok(vec![1, 2]));
    // Not a number.
    let float: Vec<u8> = [f32::NAN, f32::INFINITY, 2.0]
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    assert_eq!(read(&file(3, 1, 8_000, 32, &float)), Ok(vec![0, 0, 32_767]));
}

#[test]
fn no_prefix_of_a_file_and_no_flipped_byte_panics() {
    let good = write(&[5; 100], 2);
    for end in 0..good.len() {
        let _ = read(&good[..end]);
    }
    for at in 0..HEADER_BYTES {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[at] = value;
            let _ = read(&bad);
        }
    }
}

#[test]
fn an_interrupted_recording_is_repaired() {
    for channels in [1, 2] {
        let whole = write(&[7; 3_200], channels);
        let mut broken = whole.clone();
        broken[..HEADER_BYTES].copy_from_slice(&header(channels, 0));
        assert_eq!(channels_of(&broken), Some(channels));
        assert_eq!(repair(channels, broken.len() as u64), whole[..HEADER_BYTES]);
        // Cut within a frame: the whole frames count.
        assert_eq!(
            repair(channels, 44 + 7),
            header(channels, if channels == 1 { 3 } else { 1 })
        );
        assert_eq!(repair(channels, 44), header(channels, 0));
        assert_eq!(repair(channels, 3), header(channels, 0));
    }
    assert_eq!(channels_of(&[0; 44]), None);
    assert_eq!(channels_of(b"RIFF"), None);
    let most = repair(2, 6 << 30);
    assert_eq!(&most[40..], &4_294_967_248_u32.to_le_bytes());
}

#[test]
#[should_panic(expected = "whole frames")]
fn half_a_frame_is_a_bug() {
    write(&[1, 2, 3], 2);
}
