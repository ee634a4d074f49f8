//! A day of audio between legs whose clocks drift: the delay does not grow, and nothing is sent too
//! often or too seldom.

use std::time::Duration;

use media::rtp::{Header, Rtp};
use media::{Channel, Codec, Command, Config, Input, Output, StreamParams, Worker};
use vocab::{ConferenceId, Mono, Now, Rng, SessionId, Wall};

use crate::world::{phone, port, static_type};

const TICK_NS: u64 = 20_000_000;

/// When it begins.
const START_NS: u64 = 1_000_000_000;

/// Ticks between two marks: five minutes.
const MARK_TICKS: u64 = 15_000;

/// A phone with a clock of its own.
struct Leg {
    session: SessionId,
    codec: Codec,
    /// How much faster than ours its clock is, in millionths.
    ppm: i64,
    sent: u64,
    /// Packets of ours that it got, and when the last loud one came.
    got: u64,
    marked: Mono,
}

impl Leg {
    /// When its next packet is here, by our clock.
    fn due(&self) -> u64 {
        let by_its_clock = i128::from(self.sent * TICK_NS);
        let ours = by_its_clock * 1_000_000 / i128::from(1_000_000 + self.ppm);
        START_NS + u64::try_from(ours).expect("time is positive")
    }

    /// A packet with silence, or a loud one.
    fn packet(&self, loud: bool) -> [u8; 172] {
        let header = Header {
            marker: false,
            payload_type: static_type(self.codec),
            sequence: self.sent as u16,
            timestamp: (self.sent as u32).wrapping_mul(160),
            ssrc: self.session.0 as u32,
        };
        let mut bytes = [silence(self.codec); 172];
        bytes[..12].copy_from_slice(&header.to_bytes());
        if loud {
            // The loudest of both laws, with its sign changing.
            for (n, code) in bytes[12..].iter_mut().enumerate() {
                *code = match (self.codec, n % 2) {
                    (Codec::Pcmu, 0) => 0x80,
                    (Codec::Pcmu, _) => 0x00,
                    (_, 0) => 0xaa,
                    (_, _) => 0x2a,
                };
            }
        }
        bytes
    }
}

fn silence(codec: Codec) -> u8 {
    match codec {
        Codec::Pcmu => 0xff,
        _ => 0xd5,
    }
}

/// The legs of a worker, and what they sent and got.
struct Day {
    worker: Worker,
    legs: Vec<Leg>,
    rng: Rng,
}

impl Day {
    fn new(clocks: &[(Codec, i64)]) -> Self {
        let mut day = Self {
            worker: Worker::new(Config::default(), Rng::from_u64(1)),
            legs: Vec::new(),
            rng: Rng::from_u64(2),
        };
        for (n, &(codec, ppm)) in (1..).zip(clocks) {
            let session = SessionId(n);
            let local = port(session, Channel::Rtp);
            let far = phone(u8::try_from(n).expect("few"));
            let params = StreamParams {
                payload_type: static_type(codec),
                ..StreamParams::new(codec, far)
            };
            day.tell(Command::Open { session, local });
            day.tell(Command::Configure { session, params });
            day.legs.push(Leg {
                session,
                codec,
                ppm,
                sent: 0,
                got: 0,
                marked: Mono(0),
            });
        }
        day
    }

    fn tell(&mut self, command: Command) {
        self.feed(START_NS, Input::Command(command));
    }

    fn feed(&mut self, at: u64, input: Input<'_>) {
        let now = Now::new(Mono(at), Wall(1_795_270_987_000_000 + at as i64 / 1_000));
        self.worker.handle(now, input);
        while let Some(output) = self.worker.poll() {
            let Output::Send {
                session,
                channel: Channel::Rtp,
                packet,
                ..
            } = output
            else {
                continue;
            };
            let Some(leg) = self.legs.iter_mut().find(|leg| leg.session == session) else {
                continue;
            };
            let rtp = Rtp::parse(packet.as_bytes()).expect("we send valid packets");
            leg.got += 1;
            let quiet = silence(leg.codec);
            // Both laws have their loudest codes here; comfort and rounding are far from them.
            let loud = |code: &u8| (code ^ quiet) & 0x7f > 0x60;
            if rtp.payload.iter().filter(|code| loud(code)).count() > 20 {
                leg.marked = Mono(at);
            }
        }
    }

    /// Runs for so many ticks; each five minutes the first leg is loud for 20 ms. Gives how long after
    /// that each other leg heard it, in ms.
    fn run(&mut self, ticks: u64) -> Vec<Vec<u64>> {
        let mut delays = vec![Vec::new(); self.legs.len()];
        let mut said_at = None;
        for tick in 0..ticks {
            let now = START_NS + (tick + 1) * TICK_NS;
            let mark = tick % MARK_TICKS == MARK_TICKS / 2;
            for n in 0..self.legs.len() {
                let mut first = true;
                while self.legs[n].due() <= now {
                    let leg = &self.legs[n];
                    let loud = n == 0 && mark && std::mem::take(&mut first);
                    // The network takes up to 5 ms, and keeps the order.
                    let at = leg.due().max(now - TICK_NS) + self.rng.below(5_000_000);
                    let at = at.min(now);
                    let (bytes, session) = (leg.packet(loud), leg.session);
                    if loud {
                        said_at = Some(at);
                    }
                    let from = phone(u8::try_from(session.0).expect("few"));
                    let packet = Input::Packet {
                        session,
                        channel: Channel::Rtp,
                        from,
                        bytes: &bytes,
                    };
                    self.feed(at, packet);
                    self.legs[n].sent += 1;
                }
            }
            self.feed(now, Input::Tick);
            if tick % MARK_TICKS == MARK_TICKS - 1
                && let Some(said) = said_at.take()
            {
                for (leg, delays) in self.legs.iter().zip(&mut delays).skip(1) {
                    let heard = leg.marked.0.checked_sub(said);
                    let ns = heard.expect("what was said is heard within minutes");
                    delays.push(ns / 1_000_000);
                }
            }
        }
        delays
    }
}

/// Checks that every mark was heard soon, in the last hour as in the first.
fn check(delays: &[Vec<u64>], marks: usize) {
    for (n, delays) in delays.iter().enumerate().skip(1) {
        println!("leg {n}: {delays:?}");
        assert_eq!(delays.len(), marks);
        let most = delays.iter().max().expect("some");
        assert!(*most <= 100, "leg {n} heard it after {most} ms");
        let mean = |some: &[u64]| some.iter().sum::<u64>() / some.len() as u64;
        let (first, last) = (&delays[..marks / 4], &delays[marks - marks / 4..]);
        let growth = mean(last).abs_diff(mean(first));
        assert!(growth <= 15, "leg {n}: the delay changes by {growth} ms");
    }
}

#[test]
fn a_day_on_a_bridge_has_the_delay_of_its_first_minute() {
    // Cheap oscillators are wrong by a hundredth of a percent.
    let mut day = Day::new(&[(Codec::Pcmu, 100), (Codec::Pcma, -100)]);
    let (a, b) = (SessionId(1), SessionId(2));
    day.tell(Command::Bridge { a, b });
    let ticks = 24 * 3_600 * 50;
    let delays = day.run(ticks);
    check(&delays, usize::try_from(ticks / MARK_TICKS).expect("few"));
    for leg in &day.legs {
        // One packet each 20 ms by our clock, whatever theirs says.
        assert!(leg.got.abs_diff(ticks) <= 1, "{} of {ticks}", leg.got);
    }
    let counts = day.worker.counts();
    assert_eq!(counts.late_packets, 0);
    assert_eq!(counts.dropped, 0);
}

#[test]
fn hours_in_a_conference_have_the_delay_of_its_first_minute() {
    let mut day = Day::new(&[(Codec::Pcmu, 200), (Codec::Pcmu, -200), (Codec::Pcma, 0)]);
    for n in 1..=3 {
        let (session, conference) = (SessionId(n), ConferenceId(1));
        day.tell(Command::Join {
            session,
            conference,
        });
    }
    let ticks = Duration::from_secs(4 * 3_600).as_millis() as u64 / 20;
    let delays = day.run(ticks);
    check(&delays, usize::try_from(ticks / MARK_TICKS).expect("few"));
}
