//! Goal: what was acknowledged survives `kill -9`: every answered call has exactly one record,
//! interrupted ones are closed as such at the next start, their recordings are whole files.

use std::time::Duration;

use engine::phone::News;
use jackfield_tests::phones::Phones;
use jackfield_tests::shell::{Server, Setup};

const CALLS: usize = 30;

#[test]
fn every_answered_call_has_one_record_after_a_kill() {
    let mut server = Server::start(Setup::demo("crash")).expect("a server");
    let mut phones = Phones::new(CALLS, &[]).expect("phones");
    for index in 0..CALLS {
        phones.call(index, "1000", server.sip);
    }
    let half = |news: &[Vec<News>]| {
        news.iter()
            .filter(|news| news.contains(&News::Answered))
            .count()
            >= CALLS / 2
    };
    phones
        .run_until(Duration::from_secs(60), half)
        .expect("half are answered");
    // A few are over before the kill, the rest is cut in the middle.
    for index in 0..5 {
        phones.hang_up(index);
    }
    let five = |news: &[Vec<News>]| {
        news.iter()
            .filter(|n| n.iter().any(|n| matches!(n, News::Ended { .. })))
            .count()
            >= 5
    };
    phones
        .run_until(Duration::from_secs(60), five)
        .expect("five have ended");
    let answered = phones.count(|news| *news == News::Answered);

    server.kill_and_restart().expect("it comes up again");
    let calls = server.json("/api/v1/calls?limit=1000").expect("calls");
    let items = calls["items"].as_array().expect("a list");
    let with = |disposition: &str| {
        items
            .iter()
            .filter(|call| call["disposition"] == disposition)
            .count()
    };
    assert!(
        items.len() >= answered,
        "{answered} were answered, {} are recorded",
        items.len()
    );
    assert_eq!(with("active"), 0, "no call is open after a start: {calls}");
    let mut ids: Vec<&str> = items
        .iter()
        .filter_map(|call| call["id"].as_str())
        .collect();
    ids.dedup();
    assert_eq!(ids.len(), items.len(), "one record a call");
    assert!(
        with("interrupted") >= answered - 5,
        "those that were up: {calls}"
    );

    for call in items
        .iter()
        .filter(|call| call["disposition"] == "interrupted")
    {
        let id = call["id"].as_str().expect("an id");
        let detail = server
            .json(&format!("/api/v1/calls/{id}"))
            .expect("the call");
        let events = detail["events"].as_array().expect("events");
        let kinds: Vec<_> = events.iter().map(|event| event["kind"].as_str()).collect();
        assert_eq!(kinds.first(), Some(&Some("call.started")), "{detail}");
        assert_eq!(
            kinds
                .iter()
                .filter(|kind| **kind == Some("call.ended"))
                .count(),
            1
        );
        for (at, event) in events.iter().enumerate() {
            assert_eq!(event["n"], at + 1, "no gap: {detail}");
        }
        let (status, recording) = server
            .get(&format!("/api/v1/calls/{id}/recording"))
            .expect("an answer");
        // One that was cut before its first second has no audio yet.
        if status == 200 && recording.len() > 44 {
            media::wav::read(&recording).expect("a whole file");
        }
    }
}
