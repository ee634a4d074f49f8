//! Goal: behind a proxy that others wrote, Kamailio, two nodes are one house. Calls go to both, and
//! what is sent in a call takes the way the call took; a phone that registered through the proxy is
//! rung through it; and when a node is gone, no new call is lost, until the node is back.

mod rsipstack_peer;

use std::time::Duration;

use jackfield_tests::peers::kamailio::Kamailio;
use jackfield_tests::peers::lines::Step;
use jackfield_tests::peers::menu::{crowd, prompts};
use jackfield_tests::peers::sipp::{Calls, Outcome};
use jackfield_tests::shell::{Server, Setup};
use rsipstack::dialog::dialog::TerminatedReason;
use rsipstack::sip::{Method, StatusCode};
use rsipstack_peer::Peer;
use sip::Transport;

/// 1000 is the demo's menu, 1010 says goodbye and hangs up.
fn node(name: &str) -> Server {
    let mut setup = Setup::demo(name);
    let menu = "goodbye = \"goodbye\"\nstart = { menu = \"end\" }\n\
                [menu.end]\nprompt = \"goodbye\"\ntimeout_s = 1\ntries = 1\noption.0 = \"hangup\"\n";
    setup.files.insert("bye.toml".to_owned(), menu.to_owned());
    let bye = "plugin = \"ivr-menu\"\nconfig = \"bye.toml\"";
    setup.tenants = setup.tenants.replace("plugin = \"hello-ivr\"", bye);
    Server::start(setup).expect("a node")
}

/// The same, where 1000 rings 1001.
fn switchboard(name: &str) -> Server {
    let mut setup = Setup::demo(name);
    let menu = "start = { transfer = \"1001\", timeout_s = 20, failed = { menu = \"end\" } }\n\
                [menu.end]\nprompt = { pause_ms = 100 }\ntimeout_s = 1\ntries = 1\noption.0 = \"hangup\"\n";
    setup.files.insert("menu.toml".to_owned(), menu.to_owned());
    Server::start(setup).expect("a node")
}

/// Strangers that listen to the greeting's beginning and hang up.
fn crowd_calls(name: &str, proxy: &Kamailio, count: usize) -> Outcome {
    let script = [Step::Begin(prompts(&["common/welcome"]))];
    let calls = Calls {
        name: name.to_owned(),
        scenario: "caller".to_owned(),
        server: proxy.address,
        transport: Transport::Udp,
        number: "1000".to_owned(),
        callers: crowd(count, &script),
        rate: 4,
        limit: Duration::from_secs(60),
    };
    let outcome = calls.run().expect("calls");
    let all = outcome.statistics;
    let whole = count as u64;
    assert_eq!(
        (all.created, all.successful, all.failed),
        (whole, whole, 0),
        "{name}"
    );
    outcome
}

#[test]
fn calls_reach_both_nodes_and_stay_on_their_way() {
    let nodes = [node("interop-proxied-a"), node("interop-proxied-b")];
    let proxy = Kamailio::start("interop-proxy", &[nodes[0].sip, nodes[1].sip]).expect("a proxy");
    crowd_calls("proxied", &proxy, 4);
    for node in &nodes {
        assert_eq!(node.calls().expect("calls").len(), 2);
    }
    for what in ["in dialog: ACK", "in dialog: BYE"] {
        proxy.logged(what, 4).expect(what);
    }

    // A user is asked for the password through the proxy; the node hangs up, by the same way.
    let mut peer =
        Peer::start(proxy.address, Transport::Udp, "1002", "secret-two").expect("a phone");
    let (_call, answer) = peer.call("1010").expect("a call");
    assert_eq!(answer.status_code, StatusCode::OK);
    let reason = peer.ended().expect("an end");
    assert!(matches!(reason, TerminatedReason::UasBye), "{reason:?}");
    let byes = proxy.logged("in dialog: BYE", 5).expect("one more");
    let from = |node: &Server| format!("from port {}", node.sip.port());
    let last = byes.last().expect("five");
    assert!(
        nodes.iter().any(|node| last.ends_with(&from(node))),
        "{last}"
    );
    let all = nodes.iter().flat_map(|node| node.calls().expect("calls"));
    let users: Vec<_> = all.filter(|call| call["user"] == "1002").collect();
    assert_eq!(users.len(), 1);
    assert_eq!(users[0]["ended_by"], "near");
}

#[test]
fn a_phone_that_registered_through_the_proxy_is_rung_through_it() {
    let nodes = [switchboard("interop-path-a"), switchboard("interop-path-b")];
    let proxy = Kamailio::start("interop-path", &[nodes[0].sip, nodes[1].sip]).expect("a proxy");
    let mut phone =
        Peer::start(proxy.address, Transport::Udp, "1001", "secret-one").expect("a phone");
    let answer = phone.register(300).expect("an answer");
    assert_eq!(answer.status_code, StatusCode::OK);
    let contacts = nodes
        .each_ref()
        .map(|node| node.metric("jackfield_sip_contacts").expect("a metric"));
    let home = contacts.iter().position(|count| *count == 1.0);
    assert_eq!(contacts.iter().sum::<f64>(), 1.0);

    let home = &nodes[home.expect("one of them has it")];
    let mut caller = Peer::start(home.sip, Transport::Udp, "1002", "secret-two").expect("a phone");
    let (call, _) = caller.call("1000").expect("a call");
    let rung = phone.rung().expect("a call");
    rung.ringing(None, None).expect("sent");
    phone.answer(&rung).expect("sent");
    phone.confirmed().expect("an ACK");
    phone.hear().expect("audio");
    // Requests in the call take the way of the call, too.
    let answer = phone.reinvite(&rung, "sendonly").expect("an answer");
    assert_eq!(answer.status_code, StatusCode::OK);
    let answer = caller.request(&call, Method::Options).expect("an answer");
    assert_eq!(answer.status_code, StatusCode::OK);
    proxy.logged("in dialog: INVITE", 1).expect("by the proxy");
    caller.hang_up(&call).expect("the end");
    let reason = phone.ended().expect("an end");
    assert!(matches!(reason, TerminatedReason::UacBye), "{reason:?}");
    let rung = proxy.logged("by path: INVITE", 1).expect("by the proxy");
    assert!(rung[0].contains("to sip:127.0.0.1:"), "{}", rung[0]);
    let own = format!("from port {}", home.sip.port());
    // An ACK of the node's, one of the phone's for its re-INVITE.
    for (what, count) in [("in dialog: ACK", 2), ("in dialog: BYE", 1)] {
        let lines = proxy.logged(what, count).expect(what);
        assert!(lines[0].ends_with(&own), "{}", lines[0]);
    }

    // The phone hangs up: its own request takes the same way back.
    drop(caller.ended().expect("its own end"));
    let (_call, _) = caller.call("1000").expect("a call");
    let rung = phone.rung().expect("a call");
    phone.answer(&rung).expect("sent");
    phone.confirmed().expect("an ACK");
    phone.hang_up(&rung).expect("the end");
    let reason = caller.ended().expect("an end");
    assert!(matches!(reason, TerminatedReason::UasBye), "{reason:?}");
    proxy.logged("in dialog: BYE", 2).expect("one more");
    let answer = phone.register(0).expect("an answer");
    assert_eq!(answer.status_code, StatusCode::OK);
    assert_eq!(
        home.metric("jackfield_sip_contacts").expect("a metric"),
        0.0
    );
}

#[test]
fn a_node_is_gone_and_no_new_call_is_lost() {
    let [mut gone, stays] = [node("interop-gone"), node("interop-stays")];
    let proxy = Kamailio::start("interop-failover", &[gone.sip, stays.sip]).expect("a proxy");
    crowd_calls("failover-before", &proxy, 2);
    assert_eq!(stays.calls().expect("calls").len(), 1);

    gone.signal("KILL").expect("a signal");
    assert!(!gone.wait().expect("an end").success());
    crowd_calls("failover-after", &proxy, 4);
    assert_eq!(stays.calls().expect("calls").len(), 5);
    // By a call that it does not take, or by an OPTIONS, whichever comes first.
    let address = format!("sip:{}", gone.sip);
    jackfield_tests::peers::until("the proxy misses the node", || {
        let lines = proxy.lines("node down: ")?;
        let lost = lines.iter().any(|line| line.contains(&address));
        Ok(lost.then_some(()))
    })
    .expect("a line");

    gone.kill_and_restart().expect("the node again");
    let up = format!("node up: OPTIONS sip:{}", gone.sip);
    proxy.logged(&up, 1).expect("the node is found again");
    crowd_calls("failover-again", &proxy, 4);
    // The first of them was made before.
    assert_eq!(gone.calls().expect("calls").len(), 3);
    assert_eq!(stays.calls().expect("calls").len(), 7);
}
