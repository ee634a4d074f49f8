//! The jitter buffer alone, against senders and networks of every kind.

use media::g711::{self, Law};
use media::jitter::{Heard, Playout, Stored};
use media::rate::{FRAME, Narrow};
use media::{Codec, Rate};
use vocab::Rng;

/// Nanoseconds of a sample and of a tick.
const SAMPLE_NS: i64 = 125_000;
const TICK_NS: i64 = 20_000_000;

/// A sender and the network to it.
struct Line {
    /// Samples in a packet.
    length: usize,
    /// The sender's clock, in millionths.
    ppm: i64,
    /// Where in the receiver's 20 ms the sender begins, in ns.
    phase: i64,
    loss: f64,
}

const GOOD: Line = Line {
    length: 160,
    ppm: 0,
    phase: 7_000_000,
    loss: 0.0,
};

/// What came of a run.
#[derive(Debug, Default)]
struct Outcome {
    frames: usize,
    /// Frames without a real sample, and their share in the second half.
    concealed: usize,
    concealed_late: usize,
    late_packets: usize,
    depth_max: usize,
    depth_last: usize,
    /// Samples that jump by more than a smooth wave does.
    clicks: usize,
}

/// A wave that never stops: 200 Hz, so that every frame has sound, and its steps are small.
fn wave(timestamp: u32) -> i16 {
    let phase = f64::from(timestamp % 40) / 40.0 * std::f64::consts::TAU;
    (phase.sin() * 8_000.0) as i16
}

/// Runs a line for so many ticks; `jitter_ms` gives the delay of a packet sent at a second.
fn run(line: &Line, ticks: i64, seed: u64, jitter_ms: impl Fn(i64, &mut Rng) -> u64) -> Outcome {
    let mut rng = Rng::from_u64(seed);
    let mut playout = Playout::new(Codec::Pcmu, Rate::Narrow);
    let mut outcome = Outcome::default();
    let mut arrivals: Vec<(i64, u32)> = Vec::new();
    let (mut sent, mut before) = (0_i64, 0);
    let length = line.length as i64;
    for tick in 0..ticks {
        let due = (tick + 1) * TICK_NS;
        // A packet leaves when its last sample is there; a fast clock has it sooner.
        loop {
            let at =
                line.phase + (sent + 1) * length * SAMPLE_NS * 1_000_000 / (1_000_000 + line.ppm);
            if at > due {
                break;
            }
            if !rng.chance(line.loss) {
                let delay = jitter_ms(at / 1_000_000_000, &mut rng) as i64 * 1_000_000;
                arrivals.push((at + delay, (sent * length) as u32));
            }
            sent += 1;
        }
        arrivals.sort_unstable();
        let here = arrivals.partition_point(|(at, _)| *at < due);
        for (at, timestamp) in arrivals.drain(..here) {
            let mut codes = vec![0; line.length];
            let samples: Vec<i16> = (0..length as u32).map(|n| wave(timestamp + n)).collect();
            g711::encode(Law::Mu, &samples, &mut codes);
            let until = ((due - at) / SAMPLE_NS) as u32;
            if playout.store(timestamp, &codes, until.min(160)) == Stored::Late {
                outcome.late_packets += 1;
            }
        }
        let mut frame: Narrow = [0; FRAME];
        let heard = playout.pull(&mut frame);
        if tick < 10 {
            continue;
        }
        outcome.frames += 1;
        let silent = heard != Heard::Audio;
        outcome.concealed += usize::from(silent);
        outcome.concealed_late += usize::from(silent && tick > ticks / 2);
        outcome.depth_max = outcome.depth_max.max(playout.depth());
        outcome.depth_last = playout.depth();
        for sample in frame {
            outcome.clicks += usize::from(sample.abs_diff(before) > 3_000);
            before = sample;
        }
    }
    outcome
}

#[test]
fn a_steady_line_has_little_delay_and_no_gap() {
    for phase in [0, 2_000_000, 9_900_000, 10_100_000, 19_000_000] {
        let line = Line { phase, ..GOOD };
        let outcome = run(&line, 3_000, 1, |_, _| 0);
        assert_eq!(
            (outcome.concealed, outcome.late_packets),
            (0, 0),
            "{phase}: {outcome:?}"
        );
        assert!(outcome.depth_last <= 45 * 8, "{phase}: {outcome:?}");
        assert_eq!(outcome.clicks, 0, "{phase}: {outcome:?}");
    }
}

#[test]
fn every_packet_time_is_cut_to_the_clock() {
    for (length, depth_ms) in [
        (80, 45),
        (160, 45),
        (240, 60),
        (320, 70),
        (480, 90),
        (800, 130),
    ] {
        for phase in [1_000_000, 12_000_000] {
            let line = Line {
                length,
                phase,
                ..GOOD
            };
            let outcome = run(&line, 3_000, 1, |_, _| 0);
            // The first packets of a long packet time find the buffer too shallow.
            assert!(outcome.concealed <= 6, "{length}: {outcome:?}");
            assert_eq!(outcome.concealed_late, 0, "{length}: {outcome:?}");
            assert!(outcome.depth_last <= depth_ms * 8, "{length}: {outcome:?}");
        }
    }
}

#[test]
fn a_clock_that_drifts_for_hours_does_not_grow_the_delay() {
    for ppm in [200, -200] {
        let line = Line { ppm, ..GOOD };
        let outcome = run(&line, 2 * 3_600 * 50, 1, |_, rng| rng.below(4));
        assert!(outcome.depth_max <= 80 * 8, "{ppm}: {outcome:?}");
        assert!(outcome.concealed <= 20, "{ppm}: {outcome:?}");
        assert_eq!(outcome.clicks, 0, "{ppm}: {outcome:?}");
    }
}

#[test]
fn the_depth_follows_the_jitter_up_and_down() {
    for seed in 0..5 {
        // Calm, then 100 ms of jitter for half a minute, then calm again.
        let outcome = run(&GOOD, 4_500, seed, |second, rng| match second {
            30..60 => rng.below(101),
            _ => 0,
        });
        assert!(
            (90 * 8..260 * 8).contains(&outcome.depth_max),
            "seed {seed}: {outcome:?}"
        );
        assert!(outcome.depth_last <= 45 * 8, "seed {seed}: {outcome:?}");
        assert!(outcome.concealed < 60, "seed {seed}: {outcome:?}");
    }
}

#[test]
fn steady_jitter_is_learned() {
    for jitter in [10, 30, 60, 100] {
        let outcome = run(&GOOD, 6_000, jitter, |_, rng| rng.below(jitter + 1));
        let share = outcome.concealed_late as f64 / 3_000.0;
        assert!(share < 0.02, "{jitter} ms: {outcome:?}");
        assert!(
            outcome.depth_max <= (jitter as usize * 2 + 80) * 8,
            "{jitter} ms: {outcome:?}"
        );
    }
}

#[test]
fn losses_alone_do_not_deepen_it() {
    let line = Line { loss: 0.1, ..GOOD };
    let outcome = run(&line, 3_000, 3, |_, _| 0);
    assert!(outcome.depth_max <= 65 * 8, "{outcome:?}");
    // Of 300 packets lost most share their two frames with one that came.
    assert!((10..300).contains(&outcome.concealed), "{outcome:?}");
    assert_eq!(outcome.late_packets, 0, "{outcome:?}");
}

/// µ-law of a constant level, told by the top of the samples.
fn level(value: i16) -> [u8; 160] {
    let mut codes = [0; 160];
    g711::encode(Law::Mu, &[value; 160], &mut codes);
    codes
}

fn pull(playout: &mut Playout) -> (Heard, i16) {
    let mut frame = [0; FRAME];
    let heard = playout.pull(&mut frame);
    (heard, frame[FRAME - 1])
}

/// Pulls until a level is heard, at most so many frames, and tells how many it took.
fn until(playout: &mut Playout, value: i16, most: usize) -> Option<usize> {
    (0..most).find(|_| pull(playout).1.abs_diff(value) < 300)
}

#[test]
fn disorder_and_duplicates_do_no_harm() {
    let mut playout = Playout::new(Codec::Pcmu, Rate::Narrow);
    let order = [0, 2, 1, 1, 3, 5, 4, 4, 7, 6, 6, 8, 9];
    for n in order {
        let codes = level(1_000 + n as i16 * 1_000);
        assert_eq!(playout.store(n * 160, &codes, 100), Stored::Used);
    }
    let mut heard: Vec<i16> = (0..14)
        .map(|_| (pull(&mut playout).1 + 500) / 1_000)
        .collect();
    heard.dedup();
    heard.retain(|level| *level > 0);
    assert_eq!(heard[..10], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], "in order");
    assert_eq!(playout.store(0, &level(5_000), 100), Stored::Late);
    assert_eq!(playout.store(2_000, &[], 100), Stored::Late);
}

#[test]
fn gaps_fade_and_the_next_word_comes_in_time() {
    let mut playout = Playout::new(Codec::Pcmu, Rate::Narrow);
    for n in 0..20 {
        playout.store(n * 160, &level(8_000), 100);
        pull(&mut playout);
    }
    let gap: Vec<(Heard, i16)> = (0..30).map(|_| pull(&mut playout)).collect();
    let levels: Vec<i16> = gap.iter().map(|(_, level)| *level).collect();
    assert!(
        levels.windows(2).all(|pair| pair[1] <= pair[0]),
        "it only fades: {levels:?}"
    );
    assert_eq!(gap.last(), Some(&(Heard::Silence, 0)));
    // The sender was silent for 27 frames by its own clock.
    playout.store(50 * 160, &level(3_000), 100);
    assert!(until(&mut playout, 3_000, 6).is_some());
}

#[test]
fn jumps_of_the_timestamp_are_followed() {
    for jump in [1 << 16, 1 << 30, (1 << 31) + 5, u32::MAX - 40_000, 40_000] {
        let mut playout = Playout::new(Codec::Pcmu, Rate::Narrow);
        for n in 0..10 {
            playout.store(n * 160, &level(8_000), 100);
            pull(&mut playout);
        }
        let start = 1_600_u32.wrapping_add(jump);
        let mut delay = None;
        for n in 0..10_u32 {
            let at = start.wrapping_add(n * 160);
            assert_eq!(
                playout.store(at, &level(3_000), 100),
                Stored::Used,
                "{jump}"
            );
            if pull(&mut playout).1.abs_diff(3_000) < 300 && delay.is_none() {
                delay = Some(n);
            }
        }
        assert!(delay.is_some_and(|frames| frames <= 3), "{jump}: {delay:?}");
        assert!(playout.depth() <= 400, "{jump}");
    }
}

#[test]
fn a_sender_that_stops_its_clock_while_silent_is_followed() {
    for pause in [3, 10, 30, 500] {
        let mut playout = Playout::new(Codec::Pcmu, Rate::Narrow);
        for n in 0..50 {
            playout.store(n * 160, &level(8_000), 100);
            pull(&mut playout);
        }
        for _ in 0..pause {
            pull(&mut playout);
        }
        for n in 50..60 {
            playout.store(n * 160, &level(3_000), 100);
            let (heard, _) = pull(&mut playout);
            assert!(
                heard == Heard::Audio || n < 53,
                "{pause}: packet {n} was {heard:?}"
            );
        }
        assert!(playout.depth() <= 500, "{pause}: {}", playout.depth());
    }
}

#[test]
fn a_burst_after_a_stall_does_not_stay_in_the_buffer() {
    for stall in [5_i64, 15, 40] {
        let outcome = {
            let at = move |second: i64, _: &mut Rng| u64::from(second == 10) * stall as u64 * 20;
            run(&GOOD, 2_000, 1, at)
        };
        assert!(outcome.depth_max <= 500 * 8, "{stall}: {outcome:?}");
        assert!(outcome.depth_last <= 45 * 8, "{stall}: {outcome:?}");
    }
}

#[test]
fn any_sequence_of_packets_is_survived() {
    let mut rng = Rng::from_u64(9);
    let mut playout = Playout::new(Codec::Pcmu, Rate::Narrow);
    let mut timestamp = 0_u32;
    for _ in 0..200_000 {
        timestamp = match rng.below(10) {
            0 => rng.u32(),
            1 => timestamp.wrapping_sub(rng.below(5_000) as u32),
            2 => timestamp.wrapping_add(rng.below(5_000) as u32),
            _ => timestamp.wrapping_add(160),
        };
        let length = [0, 1, 80, 160, 161, 480, 1_600][rng.below(7) as usize];
        playout.store(timestamp, &vec![0x55; length], rng.below(161) as u32);
        if rng.chance(0.7) {
            pull(&mut playout);
        }
        assert!(playout.depth() <= 4_096);
    }
}

/// The level of samples in dBov: 0 is a square wave of the largest.
fn dbov(samples: &[i16]) -> f64 {
    let power: f64 = samples.iter().map(|&it| f64::from(it).powi(2)).sum();
    10.0 * (power / samples.len() as f64 / 32_767_f64.powi(2)).log10()
}

#[test]
fn noise_has_the_level_that_was_told_and_ends_with_the_next_word() {
    for level in [30_u8, 50, 64, 78, 127] {
        let mut playout = Playout::new(Codec::Pcmu, Rate::Narrow);
        let mut codes = [0; FRAME];
        g711::encode(Law::Mu, &[2_000; FRAME], &mut codes);
        let pull = |playout: &mut Playout| {
            let mut frame = [0; FRAME];
            let heard = playout.pull(&mut frame);
            (heard, frame)
        };
        for n in 0..10 {
            playout.store(n * 160, &codes, 80);
            pull(&mut playout);
        }
        // The noise is told while words wait to be played: these come first.
        playout.noise(10 * 160, level);
        let mut words = 0;
        let mut noise = Vec::new();
        for _ in 0..60 {
            match pull(&mut playout) {
                (Heard::Noise, frame) => noise.extend(frame),
                (Heard::Audio, _) => {
                    assert!(noise.is_empty(), "words come before the noise");
                    words += 1;
                }
                (heard, _) => assert_eq!(heard, Heard::Concealed, "no hole"),
            }
        }
        assert!((1..4).contains(&words), "{words}");
        assert!(noise.len() >= 50 * FRAME);
        let found = dbov(&noise);
        let wanted = -f64::from(level);
        // Below -90 dBov it is less than a bit.
        let fits = (found - wanted).abs() < 2.0 || (wanted < -90.0 && found < -88.0);
        assert!(fits, "{found} dBov instead of {wanted}");
        // Words again, and then a silence of which nothing was said.
        let mut after = Vec::new();
        for n in 70..80 {
            playout.store(n * 160, &codes, 80);
            after.push(pull(&mut playout).0);
        }
        assert_eq!(after.last(), Some(&Heard::Audio));
        let late: Vec<Heard> = (0..60).map(|_| pull(&mut playout).0).collect();
        assert!(!late.contains(&Heard::Noise), "{late:?}");
    }
}
