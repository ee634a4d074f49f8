//! Goal: the main job through the real binary: a phone calls 1000, a plugin answers, plays its
//! menu, takes a digit and acts on it; the call is recorded and kept.

use jackfield_tests::peers::capture::Capture;
use jackfield_tests::peers::menu::prompts;
use jackfield_tests::shell::{Server, Setup};
use media::Codec;

#[test]
fn a_caller_hears_the_menu_and_presses_a_key() {
    let server = Server::start(Setup::demo("first-call")).expect("a server");
    let wav = server.folder.path().join("heard.wav");
    let pcap = server.folder.path().join("call.pcap");
    let args = [
        "--press",
        "1",
        "--press",
        "1",
        "--hangup-after",
        "9",
        "--record",
        wav.to_str().expect("UTF-8"),
        "--pcap",
        pcap.to_str().expect("UTF-8"),
    ];
    let report = server.call("1000", &args).expect("a report");
    assert_eq!(report["ok"], true, "{report}");

    let came = Capture::of_phone(Codec::Pcmu, &pcap).expect("a capture file");
    let menu = prompts(&["common/welcome", "zh-CN/main", "zh-CN/hours"]);
    came.check(&menu).expect("all of the menu");
    // What its ear made of that: something is left out only where packets came too late for it.
    let heard = media::wav::read(&std::fs::read(&wav).expect("a recording")).expect("a WAV file");
    let seconds = report["heard"]["seconds"].as_f64().expect("seconds");
    assert_eq!(heard.len(), (seconds * 8_000.0).round() as usize);
    for prompt in menu {
        let share = prompt.share_in(&heard);
        assert!(share > 0.5, "{}: {share:.2}", prompt.name());
    }

    let calls = server.calls().expect("calls");
    assert_eq!(calls.len(), 1, "one record a call: {calls:?}");
    let call = &calls[0];
    assert_eq!(call["to"], "1000");
    assert_eq!(call["disposition"], "answered");

    let id = call["id"].as_str().expect("an id");
    let detail = server
        .json(&format!("/api/v1/calls/{id}"))
        .expect("the call");
    let kinds: Vec<&str> = detail["events"]
        .as_array()
        .expect("events")
        .iter()
        .map(|event| event["kind"].as_str().expect("a kind"))
        .collect();
    assert_eq!(kinds.first(), Some(&"call.started"));
    assert_eq!(kinds.last(), Some(&"call.ended"));
    assert_eq!(
        kinds
            .iter()
            .filter(|kind| **kind == "call.answered")
            .count(),
        1
    );

    let (status, recording) = server
        .get(&format!("/api/v1/calls/{id}/recording"))
        .expect("the recording");
    assert_eq!(status, 200);
    let samples = media::wav::read(&recording).expect("a WAV file");
    assert!(
        samples.len() > 8 * 8_000,
        "the whole call is recorded, not {}",
        samples.len()
    );
}
