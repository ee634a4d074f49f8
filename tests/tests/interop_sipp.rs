//! Goal: strangers on sipp reach the menu, hear it, press keys and get the right answer, by every
//! way of signalling, every codec and both ways of pressing keys; and they get no further than a
//! stranger may.

use std::net::SocketAddr;
use std::time::Duration;

use jackfield_tests::peers::lines::{Caller, Keys};
use jackfield_tests::peers::menu::{Expected, check_record, crowd, walk};
use jackfield_tests::peers::prompt::{Prompt, voice};
use jackfield_tests::peers::record;
use jackfield_tests::peers::sipp::{Call, Calls, Outcome};
use jackfield_tests::shell::{Server, Setup};
use media::dtmf::Detector;
use sip::Transport;

/// The longest a walk may take: it plays for half a minute.
const LIMIT: Duration = Duration::from_secs(120);

fn call(server: SocketAddr, transport: Transport, name: &str) -> Outcome {
    let calls = Calls {
        name: name.to_owned(),
        scenario: "caller".to_owned(),
        server,
        transport,
        number: "1000".to_owned(),
        callers: crowd(4, &walk()),
        rate: 10,
        limit: LIMIT,
    };
    calls.run().expect("calls")
}

/// The keys that are heard as tones. One that is torn, because its audio came too late for its place
/// in the recording, is one all the same: nobody presses a key twice within a second here.
fn tones(samples: &[i16]) -> String {
    let mut detector = Detector::new();
    let frames = samples.chunks_exact(160).enumerate();
    let mut keys = Vec::new();
    for (at, frame) in frames {
        let again = |(key, last): &(char, usize), now| *key == now && at - last < 50;
        match detector.feed(frame) {
            Some(key) if !keys.last().is_some_and(|last| again(last, key)) => keys.push((key, at)),
            Some(_) | None => {}
        }
    }
    keys.into_iter().map(|(key, _)| key).collect()
}

fn check(server: &Server, who: &str, caller: &Caller, call: &Call) {
    let came = Expected::new(caller.codec).check(&call.capture);
    came.expect(who);
    let heard = call.capture.heard();

    let record = record::of_call(server, &call.call_id).expect("a record");
    check_record(&record).expect(who);
    assert_eq!(record.json["user"], serde_json::Value::Null, "{who}");

    let recording = record.recording(server).expect("a recording");
    let length = recording.heard.len();
    assert!(
        length + 8_000 >= heard.len(),
        "{who}: {length} samples were kept of {}",
        heard.len()
    );
    voice().assert_in(&recording.caller, &format!("{who}, recorded"));
    Prompt::of_demo("zh-CN/hours").assert_in(&recording.heard, &format!("{who}, recorded"));
    let keys = match caller.keys {
        Keys::Events => "",
        Keys::Tones => "11",
    };
    assert_eq!(
        tones(&recording.caller),
        keys,
        "{who}: keys among the caller's audio"
    );
}

#[test]
fn strangers_reach_the_answer_by_every_way() {
    let server = Server::start(Setup::demo("interop-sipp")).expect("a server");
    let ways = [(Transport::Udp, "sipp-udp"), (Transport::Tcp, "sipp-tcp")];
    std::thread::scope(|scope| {
        let to = server.sip;
        let started = ways.map(|(way, name)| (name, scope.spawn(move || call(to, way, name))));
        for (name, calls) in started {
            let outcome = calls.join().expect("calls that end");
            let all = outcome.statistics;
            assert_eq!(
                (all.created, all.successful, all.failed),
                (4, 4, 0),
                "{name}"
            );
            for (caller, call) in crowd(4, &[]).iter().zip(&outcome.calls) {
                let who = format!("{name} {:?} {:?}", caller.codec, caller.keys);
                check(&server, &who, caller, call);
            }
        }
    });
    let all = record::matching(&server, |_| true).expect("records");
    assert_eq!(all.len(), 8, "one record a call");
}
