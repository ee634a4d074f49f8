//! Goal: a second SIP stack that others wrote, rsipstack, over UDP and TCP and in both directions:
//! it registers with its password, calls with it, holds and retrieves, is rung as a phone, and
//! either side hangs up. Each side sees the end of every call, and a record is kept of each.

mod rsipstack_peer;

use jackfield_tests::peers::record::{self, Record};
use jackfield_tests::peers::until;
use jackfield_tests::shell::{Server, Setup};
use rsipstack::dialog::dialog::TerminatedReason;
use rsipstack::sip::{Method, StatusCode};
use rsipstack_peer::Peer;
use sip::Transport;

const WAYS: [Transport; 2] = [Transport::Udp, Transport::Tcp];

fn metric(server: &Server, name: &str) -> f64 {
    server.metric(name).expect("a metric")
}

/// Waits for a gauge: what a peer has seen the end of, the server may still be about to count.
fn becomes(server: &Server, name: &str, value: f64) {
    until(&format!("{name} is {value}"), || {
        Ok((server.metric(name)? == value).then_some(()))
    })
    .expect(name);
}

/// The demo, where 1000 rings 1001 at once.
fn house(name: &str) -> Server {
    let mut setup = Setup::demo(name);
    let menu = "start = { transfer = \"1001\", timeout_s = 20, failed = { menu = \"end\" } }\n\
                [menu.end]\nprompt = { pause_ms = 100 }\ntimeout_s = 1\ntries = 1\noption.0 = \"hangup\"\n";
    setup.files.insert("menu.toml".to_owned(), menu.to_owned());
    Server::start(setup).expect("a server")
}

fn pair(server: &Server, transport: Transport) -> (Peer, Peer) {
    let start = |user, password| {
        let mut peer = Peer::start(server.sip, transport, user, password).expect("a phone");
        let answer = peer.register(300).expect("an answer");
        assert_eq!(answer.status_code, StatusCode::OK);
        peer
    };
    (start("1002", "secret-two"), start("1001", "secret-one"))
}

fn results(record: &Record) -> Vec<String> {
    let ended = record.events("leg.dial_ended");
    ended.iter().map(|it| it["result"].to_string()).collect()
}

#[test]
fn it_registers_calls_holds_and_hangs_up() {
    let mut setup = Setup::demo("interop-rsipstack");
    let menu = "goodbye = \"goodbye\"\nstart = { menu = \"end\" }\n\
                [menu.end]\nprompt = \"goodbye\"\ntimeout_s = 1\ntries = 1\noption.0 = \"hangup\"\n";
    setup.files.insert("bye.toml".to_owned(), menu.to_owned());
    let bye = "plugin = \"ivr-menu\"\nconfig = \"bye.toml\"";
    setup.tenants = setup.tenants.replace("plugin = \"hello-ivr\"", bye);
    let server = Server::start(setup).expect("a server");
    for transport in WAYS {
        let mut peer = Peer::start(server.sip, transport, "1001", "secret-one").expect("a phone");
        let answer = peer.register(300).expect("an answer");
        assert_eq!(answer.status_code, StatusCode::OK, "{transport:?}");
        becomes(&server, "jackfield_sip_contacts", 1.0);

        let (call, answer) = peer.call("1000").expect("a call");
        assert_eq!(answer.status_code, StatusCode::OK, "{transport:?}");
        peer.hear().expect("the greeting");
        for (asked, answered) in [("sendonly", "a=recvonly"), ("sendrecv", "a=sendrecv")] {
            let answer = peer.reinvite(&call, asked).expect("an answer");
            assert_eq!(answer.status_code, StatusCode::OK, "{asked}");
            let body = String::from_utf8_lossy(&answer.body).into_owned();
            assert!(body.contains(answered), "{asked}: {body}");
        }
        let answer = peer.request(&call, Method::Options).expect("an answer");
        assert_eq!(answer.status_code, StatusCode::OK);
        peer.hang_up(&call).expect("the end");

        // The other way round: the server says goodbye and hangs up.
        let (_call, answer) = peer.call("1010").expect("a call");
        assert_eq!(answer.status_code, StatusCode::OK);
        let reason = peer.ended().expect("an end");
        assert!(
            matches!(reason, TerminatedReason::UacBye | TerminatedReason::UasBye),
            "{reason:?}"
        );

        let answer = peer.register(0).expect("an answer");
        assert_eq!(answer.status_code, StatusCode::OK);
        becomes(&server, "jackfield_sip_contacts", 0.0);
    }
    let records = record::of_user(&server, "1001", 4).expect("a record each");
    for record in &records {
        let by = if record.json["to"] == "1000" {
            "far"
        } else {
            "near"
        };
        assert_eq!(record.json["ended_by"], by, "{}", record.json);
        assert_eq!(record.json["disposition"], "answered", "{}", record.json);
    }
    assert_eq!(metric(&server, "jackfield_auth_failures_total"), 0.0);
}

#[test]
fn a_wrong_password_gets_nowhere() {
    let server = Server::start(Setup::demo("interop-rsipstack-password")).expect("a server");
    let mut peer = Peer::start(server.sip, Transport::Udp, "1001", "secret-two").expect("a phone");
    let answer = peer.register(300).expect("an answer");
    assert_eq!(answer.status_code, StatusCode::Unauthorized);
    let (_, answer) = peer.call("1000").expect("an answer");
    assert_eq!(answer.status_code, StatusCode::Unauthorized);
    assert_eq!(metric(&server, "jackfield_sip_contacts"), 0.0);
    assert!(server.calls().expect("calls").is_empty());
}

#[test]
fn it_is_rung_and_either_side_hangs_up() {
    for transport in WAYS {
        let server = house("interop-rsipstack-rung");
        let (mut caller, mut phone) = pair(&server, transport);

        // The caller hangs up.
        let (call, answer) = caller.call("1000").expect("a call");
        assert_eq!(answer.status_code, StatusCode::OK, "{transport:?}");
        let rung = phone.rung().expect("a call");
        rung.ringing(None, None).expect("sent");
        phone.answer(&rung).expect("sent");
        phone.confirmed().expect("an ACK");
        phone.hear().expect("audio");
        caller.hang_up(&call).expect("the end");
        let reason = phone.ended().expect("an end");
        assert!(matches!(reason, TerminatedReason::UacBye), "{reason:?}");
        drop(caller.ended().expect("its own end"));

        // The phone hangs up, and so does the flow.
        let (_call, _) = caller.call("1000").expect("a call");
        let rung = phone.rung().expect("a call");
        phone.answer(&rung).expect("sent");
        phone.confirmed().expect("an ACK");
        phone.hang_up(&rung).expect("the end");
        let reason = caller.ended().expect("an end");
        assert!(matches!(reason, TerminatedReason::UasBye), "{reason:?}");

        let records = record::of_user(&server, "1002", 2).expect("a record each");
        for record in &records {
            assert_eq!(results(record), ["\"answered\""], "{}", record.json);
            assert_eq!(record.events("leg.bridged").len(), 1, "{}", record.json);
        }
        becomes(&server, "jackfield_sip_dialogs", 0.0);
    }
}

#[test]
fn it_is_busy_and_it_is_cancelled() {
    let server = house("interop-rsipstack-busy");
    let (mut caller, mut phone) = pair(&server, Transport::Udp);
    let (_call, _) = caller.call("1000").expect("a call");
    let rung = phone.rung().expect("a call");
    rung.reject(Some(StatusCode::BusyHere), None).expect("sent");
    drop(caller.ended().expect("the flow gives up"));

    let (call, _) = caller.call("1000").expect("a call");
    let rung = phone.rung().expect("a call");
    rung.ringing(None, None).expect("sent");
    drop(phone.ended().expect("the end of the call that was refused"));
    caller.hang_up(&call).expect("the end");
    let reason = phone.ended().expect("an end");
    assert!(matches!(reason, TerminatedReason::UacCancel), "{reason:?}");

    let records = record::of_user(&server, "1002", 2).expect("a record each");
    let mut all: Vec<String> = records.iter().flat_map(results).collect();
    all.sort();
    assert_eq!(all, ["\"busy\"", "\"no_answer\""]);
}
