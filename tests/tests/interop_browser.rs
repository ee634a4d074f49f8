//! Goal: the libraries that pages in browsers use, SIP.js and JsSIP, work as published, over secure
//! WebSockets and over the port of HTTP, with TLS and without: they register, call and are called, hear audio, withdraw
//! and refuse calls, and either side hangs up. Only their audio is plain RTP instead of WebRTC.

use std::net::SocketAddr;

use jackfield_tests::peers::browser::{Browser, Library};
use jackfield_tests::peers::record;
use jackfield_tests::shell::{Server, Setup, free_port};
use serde_json::Value;

/// The demo on a secure WebSocket port, and on the port of HTTP with TLS and without; 1000 rings 1001, 1010 says goodbye
/// and hangs up.
struct House {
    server: Server,
    secure: String,
    https: String,
    plain: String,
}

impl House {
    fn new(name: &str) -> Self {
        let wss = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut setup = Setup::demo(name);
        setup.sip = format!("wss = [\"{wss}\"]");
        setup.http = "websocket = true".to_owned();
        let end = "[menu.end]\nprompt = { pause_ms = 100 }\ntimeout_s = 1\ntries = 1\noption.0 = \"hangup\"\n";
        let ring = "start = { transfer = \"1001\", timeout_s = 20, failed = { menu = \"end\" } }\n";
        let bye = "goodbye = \"goodbye\"\nstart = { menu = \"end\" }\n";
        for (file, start) in [("menu.toml", ring), ("bye.toml", bye)] {
            setup.files.insert(file.to_owned(), format!("{start}{end}"));
        }
        let plugin = "plugin = \"ivr-menu\"\nconfig = \"bye.toml\"";
        let tenants = setup.tenants.replace("plugin = \"hello-ivr\"", plugin);
        setup.tenants = format!("[tls]\nself_signed = true\n\n{tenants}");
        let server = Server::start(setup).expect("a server");
        let plain = format!("ws://{}/sip", server.http);
        let https = format!("wss://{}/sip", server.http);
        Self {
            server,
            secure: format!("wss://{wss}"),
            https,
            plain,
        }
    }

    fn phone(&self, library: Library, url: &str, user: &str) -> Browser {
        let password = if user == "1001" {
            "secret-one"
        } else {
            "secret-two"
        };
        self.phone_with(library, url, (user, password))
    }

    fn phone_with(&self, library: Library, url: &str, login: (&str, &str)) -> Browser {
        let authority = self.server.folder.path().join("data/tls-self-signed.pem");
        Browser::start(library, url, Some(&authority), login).expect("a phone")
    }

    fn registered(&self, library: Library, url: &str, user: &str) -> Browser {
        let mut phone = self.phone(library, url, user);
        phone.tell("register").expect("told");
        let event = phone.wait_for("registered").expect("a registration");
        assert_eq!(event["contacts"], 1, "{event}");
        phone
    }

    fn contacts(&self) -> f64 {
        self.server
            .metric("jackfield_sip_contacts")
            .expect("a metric")
    }

    /// How each dialed leg of this user's calls ended, the first call first.
    fn dialed(&self, user: &str, calls: usize) -> Vec<Value> {
        let records = record::of_user(&self.server, user, calls).expect("records");
        let mut all: Vec<_> = records
            .iter()
            .map(|it| {
                (
                    it.json["started_at"].to_string(),
                    it.events("leg.dial_ended"),
                )
            })
            .collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        let ended = all.iter().flat_map(|(_, ended)| ended);
        ended.map(|event| event["result"].clone()).collect()
    }
}

const LIBRARIES: [Library; 2] = [Library::SipJs, Library::JsSip];

#[test]
fn they_register_and_call_and_are_hung_up() {
    let house = House::new("interop-browser");
    for library in LIBRARIES {
        for url in [&house.secure, &house.https, &house.plain] {
            let mut phone = house.registered(library, url, "1002");
            assert_eq!(house.contacts(), 1.0);
            phone.tell("call 1010").expect("told");
            phone.wait_for("up").expect("a call");
            phone.hear().expect("audio");
            phone.wait_for("over").expect("the server hangs up");
            phone.tell("unregister").expect("told");
            let event = phone.wait_for("registered").expect("an answer");
            assert_eq!(event["contacts"], 0, "{event}");
            assert_eq!(house.contacts(), 0.0);
        }
    }
    let calls = house.server.calls().expect("calls");
    assert_eq!(calls.len(), 6);
    for call in calls {
        assert_eq!(call["user"], "1002", "{call}");
        assert_eq!(call["ended_by"], "near", "{call}");
    }
}

#[test]
fn they_call_each_other_and_either_hangs_up() {
    let house = House::new("interop-browser-bridge");
    for (calling, rung) in [LIBRARIES, [Library::JsSip, Library::SipJs]].map(Into::into) {
        let mut caller = house.phone(calling, &house.plain, "1002");
        let mut phone = house.registered(rung, &house.secure, "1001");
        for hangs_up in ["caller", "phone"] {
            caller.tell("call 1000").expect("told");
            caller.wait_for("up").expect("the menu");
            let event = phone.wait_for("rung").expect("a call");
            assert_eq!(event["from"], "1002");
            phone.tell("ring").expect("told");
            phone.tell("answer").expect("told");
            phone.wait_for("up").expect("a call");
            phone.hear().expect("audio");
            caller.hear().expect("audio");
            let by = if hangs_up == "caller" {
                &mut caller
            } else {
                &mut phone
            };
            by.tell("hangup").expect("told");
            caller.wait_for("over").expect("the caller's end");
            phone.wait_for("over").expect("the phone's end");
        }
        phone.tell("unregister").expect("told");
        phone.wait_for("registered").expect("an answer");
    }
    assert_eq!(house.dialed("1002", 4), ["answered"; 4]);
}

#[test]
fn they_refuse_and_their_callers_give_up() {
    let house = House::new("interop-browser-refused");
    for library in LIBRARIES {
        let mut caller = house.phone(library, &house.secure, "1002");
        let mut phone = house.registered(library, &house.secure, "1001");
        caller.tell("call 1000").expect("told");
        phone.wait_for("rung").expect("a call");
        phone.tell("refuse").expect("told");
        phone.wait_for("over").expect("its end");
        caller.wait_for("over").expect("the flow's end");

        // The server withdraws its call to the phone.
        caller.tell("call 1000").expect("told");
        caller.wait_for("up").expect("the menu");
        phone.wait_for("rung").expect("a call");
        phone.tell("ring").expect("told");
        caller.tell("hangup").expect("told");
        phone.wait_for("over").expect("it no longer rings");
        caller.wait_for("over").expect("its end");
        phone.tell("unregister").expect("told");
        phone.wait_for("registered").expect("an answer");
    }
    let dialed = house.dialed("1002", 4);
    assert_eq!(dialed, ["busy", "no_answer", "busy", "no_answer"]);
}

#[test]
fn a_wrong_password_registers_no_page() {
    let house = House::new("interop-browser-password");
    for library in LIBRARIES {
        let mut phone = house.phone_with(library, &house.secure, ("1001", "secret-two"));
        phone.tell("register").expect("told");
        let event = phone.wait_for("refused").expect("a refusal");
        assert_eq!(event["status"], 401, "{event}");
    }
    assert_eq!(house.contacts(), 0.0);
}
