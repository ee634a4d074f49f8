//! REGISTER with digest authentication: RFC 3665 §2 and what goes wrong with it.

#![allow(clippy::unwrap_used)] // A panic is how a test fails, in its helpers too.

mod world;

use std::time::Duration;

use expect_test::{Expect, expect};
use jackfield_sip::auth::{Algorithm, Challenge, Client};
use jackfield_sip::message::{HeaderName, Message, Method};
use jackfield_sip::{Account, Action, Contact, Credentials, Input, Output, RequestId};
use vocab::{Pii, Rng};

use world::{World, credentials, read};

const ANN: usize = 0;
const BOB: usize = 1;

const URI: &str = "sip:192.0.2.2";

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn check(world: &mut World, expected: Expect) {
    expected.assert_eq(&world.take_ladder());
}

/// A phone of ann's that is not an endpoint, so that it can do wrong.
struct Phone {
    rng: Rng,
    login: Option<Client>,
    cseq: u32,
    call_id: &'static str,
    source: &'static str,
    to: &'static str,
    /// What it proves itself with.
    own: Credentials,
    /// `Authorization` last sent.
    sent: Option<String>,
    branches: u32,
}

impl Phone {
    fn new(call_id: &'static str) -> Self {
        Self {
            rng: Rng::from_u64(5),
            login: None,
            cseq: 0,
            call_id,
            source: "192.0.2.9:40000",
            to: "sip:ann@demo",
            own: credentials("ann"),
            sent: None,
            branches: 0,
        }
    }

    /// Sends one REGISTER with these lines and gives back the answer's status.
    fn register(&mut self, world: &mut World, lines: &str) -> u16 {
        self.cseq += 1;
        self.sent = self
            .login
            .as_mut()
            .map(|login| login.answer(&mut self.rng, &Method::Register, URI, &self.own));
        self.send(world, lines)
    }

    /// Sends it with the `Authorization` last sent.
    fn send(&mut self, world: &mut World, lines: &str) -> u16 {
        self.branches += 1;
        let text = self.text(lines);
        world.inject(BOB, self.source, &text);
        let (_, bytes) = world.outside.last().expect("an answer");
        let Message::Response(response) = read(bytes) else {
            panic!("a request")
        };
        let values: Vec<&str> = response.headers.all(&HeaderName::WwwAuthenticate).collect();
        if let Some(value) = values.first() {
            self.login = Some(Client::new(Challenge::parse(value).unwrap()));
        }
        response.status
    }

    fn text(&self, lines: &str) -> String {
        let authorization = match &self.sent {
            Some(value) => format!("Authorization: {value}\n"),
            None => String::new(),
        };
        format!(
            "REGISTER {URI} SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9:40000;branch=z9hG4bK{}{};rport\n\
             Max-Forwards: 70\nFrom: <sip:ann@demo>;tag=1\nTo: <{}>\nCall-ID: {}\n\
             CSeq: {} REGISTER\n{lines}{authorization}Content-Length: 0\n\n",
            self.call_id, self.branches, self.to, self.call_id, self.cseq
        )
    }

    /// A phone that knows a nonce.
    fn known(world: &mut World, call_id: &'static str) -> Self {
        let mut phone = Self::new(call_id);
        assert_eq!(phone.register(world, ""), 401);
        phone
    }

    fn stale(world: &World) -> bool {
        let (_, bytes) = world.outside.last().unwrap();
        String::from_utf8_lossy(bytes).contains("stale=true")
    }
}

fn contacts(world: &World) -> Vec<String> {
    world.peers[BOB]
        .endpoint
        .contacts("ann")
        .map(|contact: Contact| contact.uri)
        .collect()
}

const DESK: &str = "Contact: <sip:ann@192.0.2.9:40000>\n";

#[test]
fn a_phone_registers_is_seen_and_expires() {
    let mut world = World::new(1);
    let mut phone = Phone::known(&mut world, "a");
    assert_eq!(
        phone.register(&mut world, &format!("{DESK}Expires: 100\n")),
        200
    );
    assert_eq!(phone.register(&mut world, ""), 200);
    assert_eq!(contacts(&world), ["sip:ann@192.0.2.9:40000"]);
    world.run(s(99));
    assert_eq!(world.counts(BOB).contacts, 1);
    world.run(s(2));
    assert_eq!(world.counts(BOB).contacts, 0);
    assert!(world.counts(BOB).is_idle());
    check(
        &mut world,
        expect![[r#"
            0.000   192.0.2.9:40000 → bob: REGISTER
            0.000   bob → 192.0.2.9:40000: 401 Unauthorized (REGISTER)
            0.000   192.0.2.9:40000 → bob: REGISTER
            0.000   bob → 192.0.2.9:40000: 200 OK (REGISTER)
            0.000     bob: Registered ann, 1 contacts
            0.000   192.0.2.9:40000 → bob: REGISTER
            0.000   bob → 192.0.2.9:40000: 200 OK (REGISTER)
            100.000   bob: Unregistered ann: expired
        "#]],
    );
}

#[test]
fn the_answer_names_all_contacts_and_their_time_left() {
    let mut world = World::new(1);
    let mut phone = Phone::known(&mut world, "a");
    phone.register(&mut world, &format!("{DESK}Expires: 7200\n"));
    world.run(s(10));
    let soft = "Contact: <sip:ann@192.0.2.9:5070>;expires=60;q=0.5, <sip:ann@192.0.2.9:5080>\n";
    phone.register(&mut world, soft);
    let (hop, bytes) = world.outside.last().unwrap().clone();
    assert_eq!(hop.remote.to_string(), "192.0.2.9:40000");
    let text = String::from_utf8(bytes.to_vec()).unwrap().replace('\r', "");
    expect![[r#"
        SIP/2.0 200 OK
        Via: SIP/2.0/UDP 192.0.2.9:40000;branch=z9hG4bKa3;rport=40000;received=192.0.2.9
        From: <sip:ann@demo>;tag=1
        To: <sip:ann@demo>;tag=c9eel8a0kh5j9ud6
        Call-ID: a
        CSeq: 3 REGISTER
        Contact: <sip:ann@192.0.2.9:5080>;expires=3600
        Contact: <sip:ann@192.0.2.9:40000>;expires=3590
        Contact: <sip:ann@192.0.2.9:5070>;expires=60
        Supported: path, outbound, gruu
        Server: Jackfield
        Content-Length: 0

    "#]]
    .assert_eq(&text);
    assert_eq!(
        contacts(&world),
        [
            "sip:ann@192.0.2.9:5080",
            "sip:ann@192.0.2.9:40000",
            "sip:ann@192.0.2.9:5070"
        ]
    );
}

#[test]
fn contacts_are_removed_one_by_one_and_all_at_once() {
    let mut world = World::new(1);
    let mut phone = Phone::known(&mut world, "a");
    phone.register(
        &mut world,
        "Contact: <sip:ann@192.0.2.9:1>, <sip:ann@192.0.2.9:2>\n",
    );
    phone.register(&mut world, "Contact: <sip:ann@192.0.2.9:1>;expires=0\n");
    assert_eq!(contacts(&world), ["sip:ann@192.0.2.9:2"]);
    assert_eq!(phone.register(&mut world, "Contact: *\nExpires: 60\n"), 400);
    assert_eq!(phone.register(&mut world, "Contact: *\nExpires: 0\n"), 200);
    assert_eq!(contacts(&world), [""; 0]);
    check(
        &mut world,
        expect![[r#"
            0.000   192.0.2.9:40000 → bob: REGISTER
            0.000   bob → 192.0.2.9:40000: 401 Unauthorized (REGISTER)
            0.000   192.0.2.9:40000 → bob: REGISTER
            0.000   bob → 192.0.2.9:40000: 200 OK (REGISTER)
            0.000     bob: Registered ann, 2 contacts
            0.000   192.0.2.9:40000 → bob: REGISTER
            0.000   bob → 192.0.2.9:40000: 200 OK (REGISTER)
            0.000     bob: Registered ann again, 1 contacts
            0.000   192.0.2.9:40000 → bob: REGISTER
            0.000   bob → 192.0.2.9:40000: 400 * needs Expires: 0 (REGISTER)
            0.000   192.0.2.9:40000 → bob: REGISTER
            0.000   bob → 192.0.2.9:40000: 200 OK (REGISTER)
            0.000     bob: Unregistered ann: asked
        "#]],
    );
}

#[test]
fn what_a_registrar_refuses() {
    let mut world = World::new(1);
    let mut phone = Phone::known(&mut world, "a");
    for (lines, status) in [
        ("Contact: <sip:ann@192.0.2.9>\nExpires: 59\n", 423),
        ("Contact: <sip:ann@192.0.2.9>;expires=59\n", 423),
        ("Contact: <tel:+1>\n", 400),
        ("Contact: <sip:ann@192.0.2.9>\nContact: *\n", 400),
        ("Contact: <sip:ann@192.0.2.9>\nExpires: soon\n", 200),
    ] {
        assert_eq!(phone.register(&mut world, lines), status, "{lines}");
    }
    // An older number under the same Call-ID, by another way.
    phone.cseq -= 2;
    assert_eq!(
        phone.register(&mut world, "Contact: <sip:ann@192.0.2.9>\n"),
        500
    );
    assert_eq!(
        phone.register(&mut world, "Contact: <sip:ann@192.0.2.9>\n"),
        500
    );
    assert_eq!(
        phone.register(&mut world, "Contact: <sip:ann@192.0.2.9>\n"),
        200
    );
    // Somebody else's name.
    phone.to = "sip:bob@demo";
    assert_eq!(phone.register(&mut world, DESK), 403);
    assert_eq!(contacts(&world), ["sip:ann@192.0.2.9"]);
}

#[test]
fn a_copy_is_answered_alike_and_a_replay_refused() {
    let mut world = World::new(1);
    let mut phone = Phone::known(&mut world, "a");
    phone.register(&mut world, DESK);
    let copy = phone.text(DESK);
    world.inject(BOB, phone.source, &copy);
    let answers: Vec<_> = world
        .outside
        .iter()
        .rev()
        .take(2)
        .map(|(_, bytes)| bytes)
        .collect();
    assert_eq!(answers[0], answers[1]);
    phone.cseq += 1;
    assert_eq!(phone.send(&mut world, DESK), 401);
    check(
        &mut world,
        expect![[r#"
            0.000   192.0.2.9:40000 → bob: REGISTER
            0.000   bob → 192.0.2.9:40000: 401 Unauthorized (REGISTER)
            0.000   192.0.2.9:40000 → bob: REGISTER
            0.000   bob → 192.0.2.9:40000: 200 OK (REGISTER)
            0.000     bob: Registered ann, 1 contacts
            0.000   192.0.2.9:40000 → bob: REGISTER
            0.000   bob → 192.0.2.9:40000: 200 OK (REGISTER)
            0.000   192.0.2.9:40000 → bob: REGISTER
            0.000     bob: AuthFailed ann
            0.000   bob → 192.0.2.9:40000: 401 Unauthorized (REGISTER)
        "#]],
    );
    assert_eq!(world.counts(BOB).auth_failures, 1);
}

#[test]
fn a_nonce_serves_beyond_ten_and_two_hundred_and_fifty_six_uses() {
    let mut world = World::new(1);
    world.ladder = None;
    let mut phone = Phone::known(&mut world, "a");
    for use_number in 1..=0x101 {
        assert_eq!(phone.register(&mut world, DESK), 200, "use {use_number}");
    }
    assert!(phone.sent.unwrap().contains("nc=00000101"));
}

#[test]
fn every_algorithm_is_taken() {
    for algorithm in [
        Algorithm::Md5,
        Algorithm::Md5Sess,
        Algorithm::Sha256,
        Algorithm::Sha256Sess,
    ] {
        let mut world = World::new(1);
        let mut phone = Phone::known(&mut world, "a");
        let known = phone.login.take().unwrap().challenge().clone();
        phone.login = Some(Client::new(Challenge { algorithm, ..known }));
        for _ in 0..12 {
            assert_eq!(phone.register(&mut world, DESK), 200, "{algorithm:?}");
        }
    }
}

#[test]
fn an_old_nonce_is_stale_and_a_wrong_password_is_not() {
    let mut world = World::new(1);
    let mut phone = Phone::known(&mut world, "a");
    world.run(s(301));
    assert_eq!(phone.register(&mut world, DESK), 401);
    assert!(Phone::stale(&world));
    assert_eq!(phone.register(&mut world, DESK), 200);
    let accounts = [(
        "ann".to_owned(),
        Account {
            password: Pii::new("new".into()),
        },
    )];
    world.act(BOB, Action::SetAccounts(accounts.into()));
    assert_eq!(phone.register(&mut world, DESK), 401);
    assert!(!Phone::stale(&world));
    check(
        &mut world,
        expect![[r#"
            0.000   192.0.2.9:40000 → bob: REGISTER
            0.000   bob → 192.0.2.9:40000: 401 Unauthorized (REGISTER)
            301.000 192.0.2.9:40000 → bob: REGISTER
            301.000 bob → 192.0.2.9:40000: 401 Unauthorized (REGISTER)
            301.000 192.0.2.9:40000 → bob: REGISTER
            301.000 bob → 192.0.2.9:40000: 200 OK (REGISTER)
            301.000   bob: Registered ann, 1 contacts
            301.000 192.0.2.9:40000 → bob: REGISTER
            301.000   bob: AuthFailed ann
            301.000 bob → 192.0.2.9:40000: 401 Unauthorized (REGISTER)
        "#]],
    );
}

#[test]
fn a_pass_is_good_for_its_user_until_it_ends() {
    let mut world = World::new(1);
    let now = world.now.wall;
    let pass = |world: &World, user: &str, time| {
        let pass = world.peers[BOB].endpoint.pass(user, now + time);
        pass.map(|pass| Credentials {
            user: pass.login,
            password: pass.password,
        })
    };
    let expires = |world: &World| {
        let (_, bytes) = world.outside.last().expect("an answer");
        let text = String::from_utf8_lossy(bytes).into_owned();
        let (_, behind) = text.split_once(";expires=")?;
        behind.split(['\r', ';']).next()?.parse::<u64>().ok()
    };
    let mut phone = Phone::new("a");
    phone.own = pass(&world, "ann", s(600)).expect("ann is known");
    assert_eq!(phone.register(&mut world, DESK), 401);
    assert_eq!(phone.register(&mut world, DESK), 200);
    // Nobody is registered for longer than the pass.
    assert_eq!(expires(&world), Some(600));
    world.run(s(290));
    assert_eq!(phone.register(&mut world, DESK), 200);
    assert_eq!(expires(&world), Some(310));
    world.run(s(310));
    let ladder = world.take_ladder();
    assert!(ladder.contains("Unregistered ann: expired"), "{ladder}");
    // The nonce has grown old; whether a pass has ended is nobody's business who does not know it.
    assert_eq!(phone.register(&mut world, DESK), 401);
    assert_eq!(phone.register(&mut world, DESK), 403);
    assert_eq!(world.peers[BOB].endpoint.counts().auth_failures, 0);

    // One that ends later, of somebody else's, or whose password was changed.
    let (user, _) = phone.own.user.split_once('~').expect("a pass");
    let later = (now + s(9_000)).seconds();
    let forged = Credentials {
        user: format!("{user}~{later}"),
        password: phone.own.password.clone(),
    };
    let others = pass(&world, "bob", s(9_000)).expect("bob is known");
    let bobs = Credentials {
        user: forged.user.clone(),
        ..others
    };
    for own in [forged, bobs] {
        phone.own = own;
        assert_eq!(phone.register(&mut world, DESK), 401);
    }
    phone.own = pass(&world, "ann", s(9_000)).expect("ann is known");
    assert_eq!(phone.register(&mut world, DESK), 200);
    let password = Pii::new("new".to_owned());
    let accounts = [("ann".to_owned(), Account { password })];
    world.act(BOB, Action::SetAccounts(accounts.into()));
    assert_eq!(phone.register(&mut world, DESK), 401);
    assert_eq!(pass(&world, "carol", s(600)), None);
}

#[test]
fn contacts_of_a_user_who_is_gone_go_too() {
    let mut world = World::new(1);
    let mut phone = Phone::known(&mut world, "a");
    phone.register(&mut world, DESK);
    world.take_ladder();
    world.act(BOB, Action::SetAccounts(Default::default()));
    check(
        &mut world,
        expect![[r#"
            0.000     bob: Unregistered ann: account_gone
        "#]],
    );
    assert_eq!(world.counts(BOB).contacts, 0);
}

#[test]
fn of_too_many_contacts_the_first_to_expire_go() {
    let mut world = World::new(1);
    let mut phone = Phone::known(&mut world, "a");
    for port in 0..15 {
        let lines = format!("Contact: <sip:ann@192.0.2.9:{}>\n", 5000 + port);
        assert_eq!(phone.register(&mut world, &lines), 200);
        world.run(s(1));
    }
    let kept = contacts(&world);
    assert_eq!(kept.len(), 10);
    assert!(kept.contains(&"sip:ann@192.0.2.9:5014".to_owned()));
    assert!(!kept.contains(&"sip:ann@192.0.2.9:5004".to_owned()));
}

#[test]
fn an_endpoint_registers_at_another() {
    let mut world = World::new(1);
    let hop = world.tcp(BOB);
    world.act(
        ANN,
        Action::Request {
            id: RequestId(1),
            method: "REGISTER".into(),
            uri: "sip:192.0.2.2".into(),
            hop,
            from: "sip:ann@demo".into(),
            to: "<sip:ann@demo>".into(),
            headers: vec![
                (
                    "Contact".into(),
                    "<sip:ann@192.0.2.1:5060;transport=tcp>".into(),
                ),
                ("Expires".into(), "300".into()),
            ],
            credentials: Some(credentials("ann")),
        },
    );
    world.run(s(1));
    check(
        &mut world,
        expect![[r#"
            0.000   ann → bob: REGISTER
            0.010   bob → ann: 401 Unauthorized (REGISTER)
            0.020   ann → bob: REGISTER
            0.030   bob → ann: 200 OK (REGISTER)
            0.030     bob: Registered ann, 1 contacts
            0.040     ann: Response 200
        "#]],
    );
    assert!(world.counts(ANN).is_idle() && world.counts(BOB).is_idle());

    // A call to the contact takes the stream it registered over.
    let contact = world.peers[BOB].endpoint.contacts("ann").next().unwrap();
    assert!(contact.hop.conn.is_some());
    let dialog = world.call_by(BOB, contact.hop, None, &[]);
    world.run(s(1));
    let ann = world.incoming(ANN);
    world.respond(ANN, ann, 200);
    world.run(s(1));
    check(
        &mut world,
        expect![[r#"
            1.000   bob → ann: INVITE (application/sdp)
            1.010   ann → bob: 100 Trying (INVITE)
            1.010     ann: Incoming
            1.020     bob: Trying
            2.000   ann → bob: 200 OK (INVITE, application/sdp)
            2.010   bob → ann: ACK
            2.010     bob: Answered, 5 bytes
            2.020     ann: Confirmed
        "#]],
    );

    // Without the stream it goes to the address the phone wrote down.
    let conn = contact.hop.conn.unwrap();
    world.peers[BOB].streams.remove(&conn);
    world.feed(BOB, Input::StreamClosed { conn });
    world.hang_up(BOB, dialog);
    check(
        &mut world,
        expect![[r#"
            3.000     bob: Unregistered ann: flow_closed
            3.000   bob → ann: BYE
            3.000     bob: Ended Ours
        "#]],
    );
}

/// A header value of the last answer, or of each of its fields.
fn answered(world: &World, name: &HeaderName) -> Vec<String> {
    let (_, bytes) = world.outside.last().unwrap();
    let message = read(bytes);
    message.headers().all(name).map(str::to_owned).collect()
}

const DEVICE: &str = "+sip.instance=\"<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>\"";
const GR: &str = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6";

#[test]
fn device_and_flow_make_the_binding() {
    let mut world = World::new(1);
    let mut phone = Phone::known(&mut world, "a");
    let over = |port: u16, reg_id: u32| {
        format!(
            "Contact: <sip:ann@192.0.2.9:{port}>;{DEVICE};reg-id={reg_id}\nSupported: outbound, path\n"
        )
    };
    assert_eq!(phone.register(&mut world, &over(5001, 1)), 200);
    assert_eq!(answered(&world, &HeaderName::Require), ["outbound"]);
    let timer = HeaderName::parse("Flow-Timer").unwrap();
    assert_eq!(answered(&world, &timer), ["120"]);
    assert_eq!(phone.register(&mut world, &over(5002, 2)), 200);
    assert_eq!(world.counts(BOB).contacts, 2, "two flows of one device");
    // The phone restarted: another port and another Call-ID, the same device and flow.
    let mut again = Phone::known(&mut world, "b");
    assert_eq!(again.register(&mut world, &over(5003, 1)), 200);
    assert_eq!(world.counts(BOB).contacts, 2);
    let mut uris = contacts(&world);
    uris.sort();
    assert_eq!(uris, ["sip:ann@192.0.2.9:5002", "sip:ann@192.0.2.9:5003"]);
    // One REGISTER is for one flow, and a proxy must keep flows.
    let two = "Contact: <sip:ann@192.0.2.9:1>;reg-id=1;+sip.instance=\"<urn:x:1>\"\n\
               Contact: <sip:ann@192.0.2.9:2>\nSupported: outbound\n";
    assert_eq!(phone.register(&mut world, two), 400);
    let proxied = |path: &str| {
        format!(
            "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKp\n{path}{}",
            over(5004, 3)
        )
    };
    assert_eq!(phone.register(&mut world, &proxied("")), 439);
    let path = "Path: <sip:p2.demo;lr>, <sip:flow@p1.demo;lr;ob>\n";
    assert_eq!(phone.register(&mut world, &proxied(path)), 200);
    // Without the extension the number of a flow means nothing.
    let mut plain = Phone::known(&mut world, "c");
    let lines = over(5005, 1).replace("outbound, ", "");
    assert_eq!(plain.register(&mut world, &lines), 200);
    assert_eq!(answered(&world, &timer), [""; 0]);
    assert_eq!(world.counts(BOB).contacts, 4);
}

#[test]
fn a_gruu_reaches_one_device() {
    let mut world = World::new(1);
    let mut phone = Phone::known(&mut world, "a");
    assert_eq!(phone.register(&mut world, DESK), 200);
    let soft = format!("Contact: <sip:ann@192.0.2.9:5070>;{DEVICE}\nSupported: gruu\n");
    assert_eq!(phone.register(&mut world, &soft), 200);
    let listed = answered(&world, &HeaderName::Contact);
    assert_eq!(
        listed[1],
        format!("<sip:ann@192.0.2.9:5070>;expires=3600;{DEVICE};pub-gruu=\"sip:ann@demo;gr={GR}\"")
    );
    let endpoint = &world.peers[BOB].endpoint;
    let reached: Vec<_> = endpoint.contacts_at("ann", GR).map(|c| c.uri).collect();
    assert_eq!(reached, ["sip:ann@192.0.2.9:5070"]);
    assert_eq!(endpoint.contacts_at("ann", "urn:uuid:x").count(), 0);
    assert_eq!(endpoint.contacts_at("bob", GR).count(), 0);
    // What could not stand in a URI makes no GRUU.
    let odd = "Contact: <sip:ann@192.0.2.9:5071>;+sip.instance=\"<a b>\"\nSupported: gruu\n";
    assert_eq!(phone.register(&mut world, odd), 200);
    assert!(
        !answered(&world, &HeaderName::Contact)
            .join("")
            .contains("gr=a")
    );
}

#[test]
fn the_path_is_kept_told_and_bounded() {
    let mut world = World::new(1);
    let mut phone = Phone::known(&mut world, "a");
    let lines = format!(
        "{DESK}Path: <sip:p2.demo;lr>,<sip:p1.demo;lr>\nSupported: path\nUser-Agent: Desk 1.0\n"
    );
    assert_eq!(phone.register(&mut world, &lines), 200);
    let path = ["<sip:p2.demo;lr>", "<sip:p1.demo;lr>"];
    assert_eq!(answered(&world, &HeaderName::Path), path);
    let contact = world.peers[BOB].endpoint.contacts("ann").next().unwrap();
    assert_eq!(
        (contact.path, contact.user_agent.as_str()),
        (path.map(str::to_owned).into(), "Desk 1.0")
    );
    assert_eq!(contact.expires, world.now.wall + s(3_600));
    let long = format!("{DESK}{}", "Path: <sip:p.demo;lr>\n".repeat(9));
    assert_eq!(phone.register(&mut world, &long), 400);
    assert_eq!(
        phone.register(
            &mut world,
            &format!("{DESK}Require: path, outbound, gruu\n")
        ),
        200
    );
    assert_eq!(
        phone.register(&mut world, &format!("{DESK}Require: 100rel\n")),
        420
    );
}

/// What a peer is told to a STUN binding request from this address.
fn pinged(world: &mut World, remote: &str) -> Option<Vec<u8>> {
    let ping = *b"\x00\x01\x00\x00\x21\x12\xa4\x42transaction!";
    let endpoint = &mut world.peers[BOB].endpoint;
    let (remote, bytes) = (remote.parse().unwrap(), &ping[..]);
    endpoint.handle(world.now, Input::Datagram { remote, bytes });
    match endpoint.poll()? {
        Output::Transmit { hop, bytes } => {
            assert_eq!(hop.remote, remote);
            Some(bytes.to_vec())
        }
        other @ (Output::CloseStream { .. } | Output::Event(_)) => panic!("{other:?}"),
    }
}

#[test]
fn a_registered_phone_learns_that_its_flow_is_there() {
    let mut world = World::new(1);
    let mut phone = Phone::known(&mut world, "a");
    let flow = phone.source;
    assert_eq!(pinged(&mut world, flow), None, "nobody is registered");
    assert_eq!(phone.register(&mut world, DESK), 200);
    let pong = pinged(&mut world, flow).unwrap();
    assert_eq!(&pong[..8], b"\x01\x01\x00\x0c\x21\x12\xa4\x42");
    assert_eq!(&pong[8..20], b"transaction!");
    // It is larger than the question, so strangers get none; and none is taken for noise.
    assert_eq!(pinged(&mut world, "192.0.2.9:40001"), None);
    assert_eq!(world.counts(BOB).malformed, 0);
}

#[test]
fn users_are_listed_page_by_page() {
    let mut world = World::new(1);
    let mut phone = Phone::known(&mut world, "a");
    let low = "Contact: <sip:ann@192.0.2.9:5070>;q=0.5, <sip:ann@192.0.2.9:5080>;q=0.7\n";
    assert_eq!(phone.register(&mut world, low), 200);
    let endpoint = &world.peers[BOB].endpoint;
    let all: Vec<_> = endpoint.registrations("").collect();
    assert_eq!(all.len(), 1);
    let (user, contacts) = &all[0];
    let order: Vec<_> = contacts
        .iter()
        .map(|contact| contact.q_thousandths)
        .collect();
    assert_eq!((*user, order), ("ann", vec![700, 500]));
    assert_eq!(endpoint.registrations("ann").count(), 0);
}

#[test]
fn a_nonce_is_renewed_and_no_answer_counts_twice() {
    let mut world = World::new(1);
    let mut phone = Phone::known(&mut world, "a");
    for number in 1..=0x100 {
        assert_eq!(phone.register(&mut world, DESK), 200, "use {number}");
        if number == 0x0a {
            assert!(phone.sent.as_deref().unwrap().contains("nc=0000000a"));
        }
    }
    assert!(phone.sent.as_deref().unwrap().contains("nc=00000100"));
    world.run(s(301));
    world.take_ladder();
    // The old nonce is stale, the new one counts from one, the copy of an answer is refused, and an
    // answer is worth nothing at another address.
    assert_eq!(phone.register(&mut world, DESK), 401);
    assert!(Phone::stale(&world));
    assert_eq!(phone.register(&mut world, DESK), 200);
    assert!(phone.sent.as_deref().unwrap().contains("nc=00000001"));
    phone.cseq += 1;
    assert_eq!(phone.send(&mut world, DESK), 401);
    assert!(!Phone::stale(&world));
    phone.source = "192.0.2.10:40000";
    phone.cseq += 1;
    assert_eq!(phone.send(&mut world, DESK), 401);
    assert!(Phone::stale(&world));
    check(
        &mut world,
        expect![[r#"
            301.000 192.0.2.9:40000 → bob: REGISTER
            301.000 bob → 192.0.2.9:40000: 401 Unauthorized (REGISTER)
            301.000 192.0.2.9:40000 → bob: REGISTER
            301.000 bob → 192.0.2.9:40000: 200 OK (REGISTER)
            301.000   bob: Registered ann again, 1 contacts
            301.000 192.0.2.9:40000 → bob: REGISTER
            301.000   bob: AuthFailed ann
            301.000 bob → 192.0.2.9:40000: 401 Unauthorized (REGISTER)
            301.000 192.0.2.10:40000 → bob: REGISTER
            301.000 bob → 192.0.2.10:40000: 401 Unauthorized (REGISTER)
        "#]],
    );
}
