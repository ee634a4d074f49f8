//! What only the inside can test: a session with a bug hurts itself alone.

use vocab::{CallId, Clip, PlayId, Wall};

use super::*;
use crate::{Codec, EventFormat, StreamParams};

fn now(tick: u64) -> Now {
    Now::new(
        Mono(tick * TICK_NS),
        Wall(1_800_000_000_000_000 + tick as i64 * 20_000),
    )
}

fn drain(worker: &mut Worker) -> Vec<Output> {
    std::iter::from_fn(|| worker.poll()).collect()
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn open(worker: &mut Worker, n: u64) {
    let session = SessionId(n);
    let local = SocketAddr::new(address("127.0.0.1:0").ip(), 4_000 + 2 * n as u16);
    let params = StreamParams {
        dtmf: Some(EventFormat::of(101)),
        ..StreamParams::new(Codec::Pcmu, address("192.0.2.1:6000"))
    };
    for command in [
        Command::Open { session, local },
        Command::Configure { session, params },
    ] {
        worker.handle(now(0), Input::Command(command));
        assert_eq!(drain(worker), []);
    }
}

#[test]
fn a_bug_in_one_session_closes_that_one() {
    let mut worker = Worker::new(Config::default(), Rng::from_u64(1));
    (1..=4).for_each(|n| open(&mut worker, n));
    let (one, two) = (SessionId(1), SessionId(2));
    worker.handle(now(0), Input::Command(Command::Bridge { a: one, b: two }));
    let recording = RecordingId::of_call(CallId(1));
    let record = Command::RecordCall {
        session: two,
        recording,
        channels: 2,
    };
    worker.handle(now(0), Input::Command(record));
    let _ = drain(&mut worker);
    let play = PlayId(5);
    let clips = vec![Clip::silence(Duration::from_secs(1))];
    let play = Command::Play {
        session: two,
        play,
        clips,
        repeat: false,
    };
    worker.handle(now(0), Input::Command(play));
    worker.handle(now(1), Input::Tick);
    assert_eq!(drain(&mut worker).len(), 4);

    let place = worker.sessions.place(two).expect("it is open");
    worker.sessions.at_mut(place).fault = true;
    worker.handle(now(2), Input::Tick);
    let outputs = drain(&mut worker);
    let events: Vec<&Output> = outputs
        .iter()
        .filter(|output| !matches!(output, Output::Send { .. }))
        .collect();
    assert_eq!(events.len(), 4, "{events:?}");
    assert!(matches!(
        events[0],
        Output::Event(Event::Played {
            finished: false,
            ..
        })
    ));
    assert!(matches!(
        events[1],
        Output::Recording {
            what: RecordingOutput::Samples(_),
            ..
        }
    ));
    assert!(matches!(
        events[2],
        Output::Recording {
            what: RecordingOutput::End { .. },
            ..
        }
    ));
    let Output::Event(Event::Closed { session, local, .. }) = events[3] else {
        panic!("{:?} is no end", events[3]);
    };
    assert_eq!((*session, local.port()), (two, 4_004));
    assert_eq!((worker.counts().failed, worker.counts().sessions), (1, 3));

    worker.handle(now(3), Input::Tick);
    let heard: Vec<SessionId> = drain(&mut worker)
        .iter()
        .filter_map(|output| match output {
            Output::Send { session, .. } => Some(*session),
            Output::SendThrough { .. } | Output::Recording { .. } | Output::Event(_) => None,
        })
        .collect();
    assert_eq!(heard, [SessionId(1), SessionId(3), SessionId(4)]);
}

#[test]
fn a_bug_in_a_member_takes_nobody_else_out_of_the_conference() {
    let mut worker = Worker::new(Config::default(), Rng::from_u64(1));
    (1..=3).for_each(|n| open(&mut worker, n));
    for n in 1..=3 {
        let (session, conference) = (SessionId(n), ConferenceId(1));
        let join = Command::Join {
            session,
            conference,
        };
        worker.handle(now(0), Input::Command(join));
    }
    let place = worker.sessions.place(SessionId(2)).expect("it is open");
    worker.sessions.at_mut(place).fault = true;
    worker.handle(now(1), Input::Tick);
    let outputs = drain(&mut worker);
    let sent = |outputs: &[Output]| {
        let sends = outputs.iter().filter_map(|output| match output {
            Output::Send { session, .. } => Some(session.0),
            Output::SendThrough { .. } | Output::Recording { .. } | Output::Event(_) => None,
        });
        sends.collect::<Vec<_>>()
    };
    assert_eq!(sent(&outputs), [1, 3]);
    assert!(matches!(
        outputs.last(),
        Some(Output::Event(Event::Closed {
            session: SessionId(2),
            ..
        }))
    ));
    assert_eq!(worker.conferences[&ConferenceId(1)].len(), 2);
    worker.handle(now(2), Input::Tick);
    assert_eq!(sent(&drain(&mut worker)), [1, 3]);
    for n in [1, 3] {
        let session = SessionId(n);
        worker.handle(now(2), Input::Command(Command::Close { session }));
        let _ = drain(&mut worker);
    }
    assert!(worker.conferences.is_empty());
}

#[test]
fn a_bug_in_a_packet_closes_the_session_too() {
    let mut worker = Worker::new(Config::default(), Rng::from_u64(1));
    open(&mut worker, 1);
    worker.sessions.at_mut(0).fault = true;
    let from = address("192.0.2.1:6000");
    let input = Input::Packet {
        session: SessionId(1),
        channel: Channel::Rtp,
        from,
        bytes: &[0x80; 20],
    };
    worker.handle(now(0), input);
    assert!(matches!(
        drain(&mut worker)[..],
        [Output::Event(Event::Closed { .. })]
    ));
    assert_eq!(worker.deadline(), None);
}
