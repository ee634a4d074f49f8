//! Goal: the main job through the real binary: a phone calls 1000, a plugin answers, plays its
//! menu, takes a digit and acts on it; the call is recorded and kept.

use jackfield_tests::shell::{Server, Setup, project};
use media::compare;

/// A prompt of the demo as samples.
fn prompt(name: &str) -> Vec<i16> {
    let path = project("examples/demo/prompts").join(format!("{name}.wav"));
    media::wav::read(&std::fs::read(&path).expect("a prompt of the demo")).expect("a WAV file")
}

/// Whether the whole prompt was heard, without a hole.
fn assert_heard(heard: &[i16], name: &str) {
    let share = compare::coverage(&prompt(name), heard, heard.len());
    assert!(
        share > 0.95,
        "of {name} only {:.0} % was heard",
        share * 100.0
    );
}

#[test]
fn a_caller_hears_the_menu_and_presses_a_key() {
    let server = Server::start(Setup::demo("first-call")).expect("a server");
    let wav = server.folder.path().join("heard.wav");
    let args = [
        "--press",
        "1",
        "--press",
        "1",
        "--hangup-after",
        "9",
        "--record",
        wav.to_str().expect("UTF-8"),
    ];
    let report = server.call("1000", &args).expect("a report");
    assert_eq!(report["ok"], true, "{report}");

    let heard = media::wav::read(&std::fs::read(&wav).expect("a recording")).expect("a WAV file");
    assert_heard(&heard, "common/welcome");
    assert_heard(&heard, "zh-CN/main");
    assert_heard(&heard, "zh-CN/hours");

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
