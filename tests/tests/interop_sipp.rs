//! Goal: strangers on sipp reach the menu, hear it, press keys and get the right answer, by every
//! way of signalling, every codec and both ways of pressing keys; and they get no further than a
//! stranger may.

use std::net::SocketAddr;
use std::time::Duration;

use jackfield_tests::peers::lines::{Caller, Keys, Step};
use jackfield_tests::peers::prompt::{Prompt, assert_one_in, voice};
use jackfield_tests::peers::record::{self, Record};
use jackfield_tests::peers::sipp::{Call, Calls, Outcome, Statistics};
use jackfield_tests::shell::{Server, Setup};
use media::Codec;
use media::dtmf::Detector;
use sip::Transport;

/// The longest a menu walk may take: it plays for half a minute.
const LIMIT: Duration = Duration::from_secs(120);

fn prompts(names: &[&str]) -> Vec<Prompt> {
    names.iter().map(|name| Prompt::of_demo(name)).collect()
}

/// Chinese, then opening hours, and what is the case now.
fn walk() -> Vec<Step> {
    vec![
        Step::Hear(prompts(&["common/welcome"])),
        Step::Press('1'),
        Step::Hear(prompts(&["zh-CN/main"])),
        Step::Press('1'),
        Step::Begin(prompts(&["zh-CN/hours"])),
        Step::Say(voice()),
        Step::Hear(prompts(&["zh-CN/hours"])),
        Step::Hear(prompts(&["zh-CN/open_now", "zh-CN/closed_now"])),
    ]
}

fn callers(script: &[Step]) -> Vec<Caller> {
    let caller = |codec, keys| Caller {
        codec,
        keys,
        script: script.to_vec(),
    };
    vec![
        caller(Codec::Pcmu, Keys::Events),
        caller(Codec::Pcmu, Keys::Tones),
        caller(Codec::Pcma, Keys::Events),
        caller(Codec::Pcma, Keys::Tones),
    ]
}

fn call(server: SocketAddr, transport: Transport, name: &str, script: &[Step]) -> Outcome {
    let calls = Calls {
        name: name.to_owned(),
        scenario: "caller".to_owned(),
        server,
        transport,
        number: "1000".to_owned(),
        callers: callers(script),
        rate: 10,
        limit: LIMIT,
    };
    calls.run().expect("calls")
}

/// The keys that are heard as tones.
fn tones(samples: &[i16]) -> String {
    let mut detector = Detector::new();
    samples
        .chunks_exact(160)
        .filter_map(|frame| detector.feed(frame))
        .collect()
}

/// The keys that were gathered, as the record tells them: how many, never which.
fn gathered(record: &Record) -> Vec<(u64, &str)> {
    let events = record.events("flow.gathered").into_iter();
    events
        .map(|event| {
            (
                event["digits"].as_u64().expect("a count"),
                event["end"].as_str().expect("an end"),
            )
        })
        .collect()
}

fn check_call(server: &Server, who: &str, caller: &Caller, call: &Call) {
    let heard = call.capture.heard();
    for prompt in prompts(&["common/welcome", "zh-CN/main", "zh-CN/hours"]) {
        prompt.assert_in(&heard, who);
    }
    let answers = prompts(&["zh-CN/open_now", "zh-CN/closed_now"]);
    assert_one_in(&answers, &heard, who);
    assert_eq!(
        (call.capture.lost, call.capture.strange),
        (0, 0),
        "{who}: lost, strange packets"
    );

    let record = record::of_call(server, &call.call_id).expect("a record");
    let json = &record.json;
    assert_eq!(
        (&json["to"], &json["disposition"]),
        (&"1000".into(), &"answered".into()),
        "{json}"
    );
    assert_eq!(
        (&json["user"], &json["ended_by"]),
        (&().into(), &"far".into()),
        "{json}"
    );
    assert_eq!(
        (&json["fault"], &json["plugin"]["name"]),
        (&().into(), &"ivr-menu".into())
    );
    let keys = [(1, "complete"), (1, "complete"), (0, "hangup")];
    assert_eq!(gathered(&record), keys, "{who}: {json}");

    let recording = record.recording(server).expect("a recording");
    assert!(
        recording.heard.len() >= heard.len() - 8_000,
        "{who}: {} samples were recorded of {}",
        recording.heard.len(),
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
        let started = ways.map(|(way, name)| {
            let calls = scope.spawn(move || call(to, way, name, &walk()));
            (name, calls)
        });
        for (name, calls) in started {
            let outcome = calls.join().expect("calls that end");
            let statistics = Statistics {
                retransmissions: 0,
                ..outcome.statistics
            };
            let whole = Statistics {
                created: 4,
                successful: 4,
                failed: 0,
                retransmissions: 0,
            };
            assert_eq!(statistics, whole, "{name}");
            for (caller, call) in callers(&[]).iter().zip(&outcome.calls) {
                let who = format!("{name} {:?} {:?}", caller.codec, caller.keys);
                check_call(&server, &who, caller, call);
            }
        }
    });
    let all = record::matching(&server, |_| true).expect("records");
    assert_eq!(all.len(), 8, "one record a call");
}
