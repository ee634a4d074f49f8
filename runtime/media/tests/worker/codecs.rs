//! Every codec, with packets of every length, alone, against the others and on a bad network.

use media::compare::similarity;
use media::jitter::{Heard, Playout, Stored};
use media::rtp::Header;
use media::{Channel, Codec, Command, Decoder, Encoder, OpusParams, Rate, StreamParams};
use vocab::{ConferenceId, Rng, SessionId};

use crate::world::{Link, ONE, TWO, World, params, params_to, peak, phone, port, speech};

/// What a codec leaves of a waveform: G.711 has 38 dB, Opus keeps what is heard rather than the wave.
fn fidelity(codec: Codec) -> f64 {
    match codec {
        Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::L16(_) => 0.99,
        Codec::Opus => 0.95,
    }
}

fn with(codec: Codec, params: StreamParams) -> StreamParams {
    StreamParams {
        codec,
        payload_type: codec.payload_type(),
        ..params
    }
}

#[test]
fn speech_passes_in_packets_of_every_length() {
    for codec in Codec::ALL {
        for ptime_ms in [10, 20, 30, 40, 60] {
            let opus_cannot = codec == Codec::Opus && ptime_ms == 30;
            if opus_cannot || (codec == Codec::L16(Rate::Wide) && ptime_ms == 60) {
                continue;
            }
            let mut world = World::new(7, 2);
            let packets = |params| StreamParams {
                ptime_ms,
                ..with(codec, params)
            };
            world.open(0, ONE, packets(params(TWO)));
            world.open(1, TWO, packets(params(ONE)));
            let recording = crate::world::recording(TWO);
            let session = TWO;
            world.command(
                1,
                Command::RecordCall {
                    session,
                    recording,
                    channels: 2,
                },
            );
            let said = speech(3, 3_000);
            world.play(0, ONE, 1, &said);
            world.run_ms(4_000);
            let sent = world.worker(0).stats(ONE).expect("it is open").sent;
            // In four seconds, but for what waits for the rest of its packet.
            let expected = 4_000 / u64::from(ptime_ms);
            assert!(sent.abs_diff(expected) <= 2, "{codec:?} {ptime_ms}: {sent}");
            world.close(0, ONE);
            world.close(1, TWO);
            let heard = world.heard(TWO);
            let score = similarity(&said, &heard, 3_000).score;
            assert!(
                score > fidelity(codec),
                "{codec:?} {ptime_ms} ms: {score:.3}"
            );
        }
    }
}

#[test]
fn any_codec_talks_with_any_other() {
    for left in Codec::ALL {
        for right in Codec::ALL {
            let mut world = World::new(9, 3);
            let (near, far) = (SessionId(3), SessionId(4));
            world.open(0, ONE, with(left, params(near)));
            world.open(1, near, with(left, params(ONE)));
            world.open(1, far, with(right, params(TWO)));
            world.open(2, TWO, with(right, params(far)));
            world.command(1, Command::Bridge { a: near, b: far });
            for (node, session) in [(0, ONE), (2, TWO)] {
                let recording = crate::world::recording(session);
                world.command(
                    node,
                    Command::RecordCall {
                        session,
                        recording,
                        channels: 2,
                    },
                );
            }
            let (one, two) = (speech(1, 2_000), speech(2, 2_000));
            world.play(0, ONE, 1, &one);
            world.play(2, TWO, 2, &two);
            world.run_ms(3_000);
            for (node, session) in [(0, ONE), (1, near), (1, far), (2, TWO)] {
                world.close(node, session);
            }
            // Until there is a pause, Opus is decoded and encoded again.
            let twice = left == Codec::Opus && right == Codec::Opus;
            let least = fidelity(left).min(fidelity(right)) - if twice { 0.05 } else { 0.01 };
            for (said, heard) in [(&one, world.heard(TWO)), (&two, world.heard(ONE))] {
                let score = similarity(said, &heard, 4_000).score;
                assert!(score > least, "{left:?} with {right:?}: {score:.3}");
            }
            world.assert_empty();
        }
    }
}

#[test]
fn keys_arrive_once_with_every_codec() {
    for codec in Codec::ALL {
        // In-band, as the audio of a codec, and as events of its clock.
        for events in [false, true] {
            let mut world = World::new(5, 2);
            let format = |params| StreamParams {
                dtmf: events.then_some(media::EventFormat {
                    payload_type: 101,
                    clock_hz: codec.clock_hz(),
                }),
                ..with(codec, params)
            };
            world.open(0, ONE, format(params(TWO)));
            world.open(1, TWO, format(params(ONE)));
            world.run_ms(200);
            world.dial(0, ONE, "159D#0*77");
            world.run_ms(3_000);
            assert_eq!(world.digits(TWO), "159D#0*77", "{codec:?}, events {events}");
        }
    }
}

/// Several rates in one conference: everybody hears all others and not himself.
#[test]
fn members_of_every_rate_hear_each_other() {
    let codecs = [
        Codec::Pcmu,
        Codec::G722,
        Codec::Opus,
        Codec::Pcma,
        Codec::L16(Rate::Wide),
    ];
    for full in [false, true] {
        let mut world = World::new(11, codecs.len() + 1);
        let conference = ConferenceId(1);
        let member = |n: usize| SessionId(100 + n as u64);
        let guest = |n: usize| SessionId(10 + n as u64);
        for (n, codec) in codecs.into_iter().enumerate() {
            let opus = OpusParams {
                rate: if full { Rate::Full } else { Rate::Wide },
                ..OpusParams::default()
            };
            let format = |params| StreamParams {
                opus,
                ..with(codec, params)
            };
            world.open(n, guest(n), format(params(member(n))));
            world.open(5, member(n), format(params(guest(n))));
            let session = member(n);
            world.command(
                5,
                Command::Join {
                    session,
                    conference,
                },
            );
            let (session, recording) = (guest(n), crate::world::recording(guest(n)));
            world.command(
                n,
                Command::RecordCall {
                    session,
                    recording,
                    channels: 2,
                },
            );
        }
        world.run_ms(500);
        // One after the other, so that each is heard alone.
        let said: Vec<Vec<i16>> = (0..codecs.len())
            .map(|n| speech(20 + n as u64, 1_500))
            .collect();
        for (n, said) in said.iter().enumerate() {
            world.play(n, guest(n), n as u64, said);
            world.run_ms(2_000);
        }
        for n in 0..codecs.len() {
            world.close(n, guest(n));
            world.close(5, member(n));
        }
        for (listener, codec) in codecs.into_iter().enumerate() {
            let heard = world.heard(guest(listener));
            for (speaker, said) in said.iter().enumerate() {
                let from = (500 + 2_000 * speaker) * 8;
                let part = &heard[from..(from + 2_300 * 8).min(heard.len())];
                if speaker == listener {
                    assert!(peak(&part[4_000..12_000]) < 400, "{codec:?} hears itself");
                    continue;
                }
                let score = similarity(said, part, 4_000).score;
                let pair = (codecs[speaker], codec, full);
                // Fullband Opus is a part of a narrowband sample late, which a correlation minds.
                let least = if full { 0.85 } else { 0.95 };
                assert!(score > least, "{pair:?}: {score:.3}");
            }
        }
        world.assert_empty();
    }
}

/// Nobody hears a click or a gap where all packets come, whatever the network does to their order.
#[test]
fn jitter_costs_no_codec_anything() {
    for codec in Codec::ALL {
        let mut world = World::call(
            3,
            Link {
                delay_ms: 20,
                jitter_ms: 40,
                ..Link::default()
            },
            codec,
        );
        let said = speech(8, 6_000);
        // The jitter buffer has found its depth by then.
        world.run_ms(4_000);
        world.play(0, ONE, 1, &said);
        world.run_ms(7_000);
        world.close(0, ONE);
        world.close(1, TWO);
        let heard = world.heard(TWO);
        let score = similarity(&said, &heard[30_000..], 6_000).score;
        assert!(score > fidelity(codec) - 0.01, "{codec:?}: {score:.3}");
    }
}

/// One in five packets lost: the rest is heard, and what is missing is made up and not silent.
#[test]
fn losses_are_concealed_by_every_codec() {
    for codec in Codec::ALL {
        let rate = codec.rate(OpusParams::default());
        let mut rng = Rng::from_u64(4);
        let mut encoder = Encoder::new(codec, OpusParams::default());
        let mut playout = Playout::new(codec, rate);
        let wave = |n: usize| {
            let angle = n as f64 * std::f64::consts::TAU * 160.0 / f64::from(rate.hz());
            ((angle.sin() + (2.0 * angle).sin() / 2.0) * 6_000.0) as i16
        };
        let (mut quiet, mut frames, mut rough) = (0, 0, 0);
        let mut before = 0_i16;
        for n in 0..1_000_usize {
            let samples: Vec<i16> = (0..rate.frame())
                .map(|k| wave(n * rate.frame() + k))
                .collect();
            let mut payload = [0; 1_500];
            let len = encoder.encode(&samples, &mut payload);
            let timestamp = n as u32 * (codec.clock_hz() / 50);
            if !rng.chance(0.2) {
                let stored = playout.store(timestamp, &payload[..len], rate.frame() as u32 / 2);
                assert_eq!(stored, Stored::Used);
            }
            let mut frame = vec![0; rate.frame()];
            let heard = playout.pull(&mut frame);
            if n < 20 {
                before = frame[rate.frame() - 1];
                continue;
            }
            frames += 1;
            quiet += usize::from(peak(&frame) < 2_000);
            assert_ne!(heard, Heard::Silence, "{codec:?} {n}");
            for sample in frame {
                // The wave itself moves by less than this from one sample to the next.
                rough += usize::from(sample.abs_diff(before) > 4_500 / rate.factor() as u16);
                before = sample;
            }
        }
        // Three and more in a row fade, which one in 125 frames is the third of.
        assert!(quiet * 50 < frames, "{codec:?}: {quiet} of {frames} quiet");
        assert!(
            rough * 20 < frames,
            "{codec:?}: {rough} clicks in {frames} frames"
        );
    }
}

/// What one packet lost, the next one tells: Opus carries it twice.
#[test]
fn opus_recovers_a_single_loss_from_the_next_packet() {
    let run = |fec: bool| {
        let params = OpusParams {
            fec,
            ..OpusParams::default()
        };
        let rate = params.rate;
        let mut encoder = Encoder::new(Codec::Opus, params);
        let said = speech(6, 8_000);
        let mut up = media::resample::Resampler::new(Rate::Narrow, rate);
        let (mut whole, mut lossy) = (
            Playout::new(Codec::Opus, rate),
            Playout::new(Codec::Opus, rate),
        );
        let mut error = (0.0, 0.0);
        for (n, frame) in said.chunks_exact(160).enumerate() {
            let mut samples = vec![0; rate.frame()];
            up.push(frame, &mut samples);
            let mut payload = [0; 1_500];
            let len = encoder.encode(&samples, &mut payload);
            let timestamp = n as u32 * 960;
            whole.store(timestamp, &payload[..len], 160);
            if n % 5 != 4 {
                lossy.store(timestamp, &payload[..len], 160);
            }
            let (mut a, mut b) = (vec![0; rate.frame()], vec![0; rate.frame()]);
            whole.pull(&mut a);
            lossy.pull(&mut b);
            for (a, b) in a.iter().zip(&b) {
                error.0 += f64::from(*a).powi(2);
                error.1 += (f64::from(*a) - f64::from(*b)).powi(2);
            }
        }
        10.0 * (error.0 / error.1).log10()
    };
    let (with, without) = (run(true), run(false));
    assert!(
        with > without + 3.0,
        "{with:.1} dB with, {without:.1} dB without"
    );
}

/// Opus may say nothing for a while: the far end hears soft noise, and not a lost line.
#[test]
fn opus_says_nothing_while_there_is_silence() {
    let mut world = World::new(2, 2);
    let quiet = |params| StreamParams {
        opus: OpusParams {
            dtx: true,
            ..OpusParams::default()
        },
        ..with(Codec::Opus, params)
    };
    world.open(0, ONE, quiet(params(TWO)));
    world.open(1, TWO, quiet(params(ONE)));
    let session = TWO;
    let recording = crate::world::recording(TWO);
    world.command(
        1,
        Command::RecordCall {
            session,
            recording,
            channels: 2,
        },
    );
    world.run_ms(3_000);
    let before = world.worker(0).stats(ONE).expect("it is open").sent;
    world.run_ms(4_000);
    let after = world.worker(0).stats(ONE).expect("it is open").sent;
    assert!(after - before < 40, "{} packets of silence", after - before);
    let said = speech(4, 2_000);
    world.play(0, ONE, 1, &said);
    world.run_ms(3_000);
    world.close(0, ONE);
    world.close(1, TWO);
    let score = similarity(&said, &world.heard(TWO)[6 * 8_000..], 12_000).score;
    assert!(score > 0.95, "{score:.3}");
}

#[test]
fn a_stream_changes_its_codec_in_the_middle() {
    let mut world = World::new(6, 2);
    world.open(0, ONE, params(TWO));
    world.open(1, TWO, params(ONE));
    let session = TWO;
    let recording = crate::world::recording(TWO);
    world.command(
        1,
        Command::RecordCall {
            session,
            recording,
            channels: 2,
        },
    );
    let mut parts = Vec::new();
    for (n, codec) in Codec::ALL.into_iter().enumerate() {
        for (node, session, far) in [(0, ONE, TWO), (1, TWO, ONE)] {
            let params = with(codec, params(far));
            world.command(node, Command::Configure { session, params });
        }
        world.run_ms(300);
        let said = speech(40 + n as u64, 1_000);
        world.play(0, ONE, n as u64, &said);
        world.run_ms(1_500);
        parts.push((codec, said));
    }
    world.close(0, ONE);
    world.close(1, TWO);
    let heard = world.heard(TWO);
    for (n, (codec, said)) in parts.into_iter().enumerate() {
        let from = (1_800 * n + 200) * 8;
        let score = similarity(&said, &heard[from..(from + 14_000).min(heard.len())], 4_000).score;
        assert!(score > fidelity(codec) - 0.01, "{codec:?}: {score:.3}");
    }
    world.assert_empty();
}

/// Untouched, with the numbers of our stream, as long as nobody listens.
#[test]
fn packets_of_every_codec_go_through_between_equals() {
    for codec in Codec::ALL {
        let mut world = World::new(4, 1);
        world.link.delay_ms = 0;
        world.open(0, ONE, with(codec, params_to(phone(1))));
        world.open(0, TWO, with(codec, params_to(phone(2))));
        world.command(0, Command::Bridge { a: ONE, b: TWO });
        let mut encoder = Encoder::new(codec, OpusParams::default());
        let frame = codec.rate(OpusParams::default()).frame();
        // Nobody speaks at first: what remembers begins in a pause.
        world.run_ms(200);
        let mut sent = Vec::new();
        for n in 0..50_u16 {
            let mut payload = [0; 1_500];
            let samples: Vec<i16> = (0..frame).map(|k| (k * 37 % 9_000) as i16).collect();
            let len = encoder.encode(&samples, &mut payload);
            let header = Header {
                marker: n == 0,
                payload_type: codec.payload_type(),
                sequence: 700 + n,
                timestamp: 5_000 + u32::from(n) * (codec.clock_hz() / 50),
                ssrc: 9,
            };
            let bytes = [&header.to_bytes()[..], &payload[..len]].concat();
            world.send(phone(1), port(ONE, Channel::Rtp), bytes);
            sent.push(payload[..len].to_vec());
            world.run_ms(20);
        }
        let heard: Vec<_> = world
            .tapped
            .iter()
            .filter(|tap| tap.to == phone(2))
            .collect();
        let same: Vec<_> = heard
            .iter()
            .filter(|tap| sent.iter().any(|it| it == tap.rtp().payload))
            .collect();
        assert!(same.len() >= 49, "{codec:?}: {} of 50", same.len());
        let steps = same.windows(2).map(|pair| {
            let [a, b] = [0, 1].map(|n| pair[n].rtp().header);
            (
                b.sequence.wrapping_sub(a.sequence),
                b.timestamp.wrapping_sub(a.timestamp),
            )
        });
        assert!(
            steps
                .into_iter()
                .all(|step| step == (1, codec.clock_hz() / 50)),
            "{codec:?}"
        );
    }
}

#[test]
fn broken_payloads_harm_nobody() {
    for codec in Codec::ALL {
        let rate = codec.rate(OpusParams::default());
        let mut rng = Rng::from_u64(8);
        let mut playout = Playout::new(codec, rate);
        let mut decoder = Decoder::new(codec, rate);
        for n in 0..3_000_u32 {
            let len = rng.below(300) as usize;
            let payload: Vec<u8> = (0..len).map(|_| rng.u32() as u8).collect();
            let timestamp = n
                .wrapping_mul(codec.clock_hz() / 50)
                .wrapping_add(rng.below(3) as u32);
            playout.store(timestamp, &payload, rng.below(rate.frame() as u64) as u32);
            let mut frame = vec![0; rate.frame()];
            playout.pull(&mut frame);
            if codec.ticks(&payload).is_some() {
                decoder.decode(&payload, &mut vec![0; 6_000]);
            }
        }
    }
}
