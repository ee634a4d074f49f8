//! Goal: fifty callers at once, on sipp with RTP ends of our own, walk through the menu; each hears
//! every sample of it and is heard; and afterwards the server is as empty as before. The same with
//! three hundred is a row of the bench, for the release build.

use std::time::Duration;

use jackfield_tests::peers::lines::Caller;
use jackfield_tests::peers::menu::{Expected, check_record, crowd, walk};
use jackfield_tests::peers::prompt::voice;
use jackfield_tests::peers::sipp::{Calls, Outcome};
use jackfield_tests::peers::{record, until};
use jackfield_tests::shell::{Server, Setup};
use media::Codec;
use serde_json::Value;
use sip::Transport;

/// Callers at the same time. Server and load are debug builds, and take a sixth of a core each for
/// these: on two cores that leaves room for other programs, which a hundred did not.
const CALLERS: usize = 50;

/// Least share of a voice that is in the recording, if the machine kept pace.
const HEARD_MIN: f64 = 0.9;

/// Most packets over 20 ms late, as a share of all, on a machine that kept pace: past it the
/// server's jitter buffer drops what callers say, and memory is taken for what piles up.
const LATE_MAX: f64 = 0.02;

/// The longest a walk may take: it plays for half a minute.
const LIMIT: Duration = Duration::from_secs(150);

/// What a call may leave in the process for good: nothing. But the allocator keeps some of what
/// calls used at the same time, so the bound is half of what one may cost while it lasts (100 KB),
/// beyond what as many calls have left before.
const LEFT_BYTES_A_CALL: f64 = 50_000.0;

/// What must be zero when nobody calls; transactions stay for 32 s (RFC 3261 §17).
const EMPTY: [&str; 12] = [
    "jackfield_calls",
    "jackfield_flows",
    "jackfield_deadlines",
    "jackfield_unwritten",
    "jackfield_legs",
    "jackfield_engine_dialogs",
    "jackfield_media_sessions_held",
    "jackfield_leg_timers",
    "jackfield_sip_dialogs",
    "jackfield_sip_requests",
    "jackfield_sip_transactions",
    "jackfield_store_waiting",
];

fn calls(server: &Server, name: &str, callers: Vec<Caller>) -> Outcome {
    let calls = Calls {
        name: name.to_owned(),
        scenario: "caller".to_owned(),
        server: server.sip,
        transport: Transport::Udp,
        number: "1000".to_owned(),
        callers,
        rate: 50,
        limit: LIMIT,
    };
    calls.run().unwrap_or_else(|error| {
        let ended = |call: &Value| !call["ended_at"].is_null() && call["ended_by"] != "far";
        let records = until("a call that the server ended", || {
            let found = record::matching(server, ended)?;
            let whole = found.iter().map(|call| record::whole(server, call));
            let whole = whole.collect::<anyhow::Result<Vec<_>>>()?;
            Ok((!whole.is_empty()).then_some(whole))
        });
        panic!("{error:?}\nThe server ended: {records:#?}")
    })
}

fn metric(server: &Server, name: &str) -> f64 {
    server.metric(name).expect("a metric")
}

/// Waits until these are all zero.
fn wait_until_zero(server: &Server, names: &[&str]) {
    let left = || {
        let values = names.iter().map(|name| (*name, metric(server, name)));
        values
            .filter(|(_, value)| *value != 0.0)
            .collect::<Vec<_>>()
    };
    let done = until("nothing is left", || Ok(left().is_empty().then_some(())));
    done.unwrap_or_else(|error| panic!("{error}: {:?}", left()));
}

/// Whether packets went out and came in when they were due. If not, other programs had the
/// processors, and what depends on it is not the server's fault.
fn kept_pace(server: &Server, outcome: &Outcome) -> bool {
    let skipped = metric(server, "jackfield_media_ticks_skipped_total{worker=\"0\"}");
    let late: u64 = outcome.calls.iter().map(|call| call.capture.late()).sum();
    let packets: u64 = outcome.calls.iter().map(|call| call.capture.packets).sum();
    println!("{late} of {packets} packets were over 20 ms late, {skipped} ticks were left out");
    skipped == 0.0 && late as f64 <= LATE_MAX * packets as f64
}

/// Each caller heard everything and was heard, and has one record.
fn check(server: &Server, outcome: &Outcome, kept_pace: bool) {
    let expected = [Expected::new(Codec::Pcmu), Expected::new(Codec::Pcma)];
    let callers = crowd(CALLERS, &[]);
    for (n, (caller, call)) in callers.iter().zip(&outcome.calls).enumerate() {
        let who = format!("caller {n}, {:?}, {:?}", caller.codec, caller.keys);
        let expected = expected
            .iter()
            .find(|it| it.codec() == caller.codec)
            .expect("both");
        expected.check(&call.capture).expect(&who);
        let record = record::of_call(server, &call.call_id).expect(&who);
        // Its keys came as audio, or as events in its stream: so the caller was heard as well.
        check_record(&record).expect(&who);
        if n % 20 == 1 {
            let recording = record.recording(server).expect(&who);
            let share = voice().share_in(&recording.caller);
            assert!(
                share > HEARD_MIN || !kept_pace,
                "{who}: only {share:.3} of its voice was recorded"
            );
        }
    }
}

#[test]
fn fifty_callers_at_once_hear_and_are_heard() {
    let rtp_ports = 2 * CALLERS as u16 + 20;
    let server = Server::start(Setup {
        rtp_ports,
        ..Setup::demo("interop-load")
    })
    .expect("a server");
    // The first calls open what stays open, such as connections to the database, and show what the
    // allocator keeps of so many; the second ones, whether it grows.
    for call in calls(&server, "load-first", crowd(CALLERS, &walk())).calls {
        let record = record::of_call(&server, &call.call_id).expect("a record");
        record.recording(&server).expect("a recording");
    }
    wait_until_zero(&server, &EMPTY[..1]);
    let files = metric(&server, "process_open_fds");
    let memory = metric(&server, "process_resident_memory_bytes");

    let outcome = calls(&server, "load", crowd(CALLERS, &walk()));
    let most = metric(&server, "process_resident_memory_bytes");
    let all = outcome.statistics;
    let whole = CALLERS as u64;
    assert_eq!((all.created, all.successful, all.failed), (whole, whole, 0));
    let kept_pace = kept_pace(&server, &outcome);
    check(&server, &outcome, kept_pace);
    let records = record::matching(&server, |_| true).expect("records");
    assert_eq!(records.len(), 2 * CALLERS, "one record a call");
    for bad in [
        "jackfield_sip_overloads_total",
        "jackfield_engine_panics_total",
    ] {
        assert_eq!(metric(&server, bad), 0.0, "{bad}");
    }

    wait_until_zero(&server, &EMPTY);
    let ports = ["jackfield_rtp_ports_free", "jackfield_rtp_ports"];
    let [free, ports] = ports.map(|name| metric(&server, name));
    assert_eq!(free, ports, "every RTP port is free");
    let left = metric(&server, "process_resident_memory_bytes");
    println!("resident before, with and after the calls: {memory}, {most}, {left} bytes");
    assert_eq!(
        metric(&server, "process_open_fds"),
        files,
        "open files are as many as before"
    );
    let bound = memory + LEFT_BYTES_A_CALL * CALLERS as f64;
    assert!(
        left <= bound || !kept_pace,
        "{left} bytes are left, of {bound} at most"
    );
}
