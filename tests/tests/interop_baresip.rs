//! Goal: baresip, a phone that others wrote, registers with its password, reaches the menu, hears
//! it, presses keys and gets the right answer, by every way of signalling and every codec; the
//! operator's phone is rung and both parties hear each other, is held, retrieved and transferred; a
//! team leader listens to it, whispers and takes over; the
//! operator talks on while the caller presses the number of a card, and hears beeps; a wrong password
//! gets nowhere, and a stranger never makes a phone ring.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use jackfield_tests::peers::baresip::{self, Baresip};
use jackfield_tests::peers::lines::{Caller, Keys, Step};
use jackfield_tests::peers::menu::{check_record, prompts};
use jackfield_tests::peers::prompt::{Prompt, assert_one_in, voice};
use jackfield_tests::peers::sipp::Calls;
use jackfield_tests::peers::{record, until};
use jackfield_tests::shell::{Server, Setup, TOKEN, binary, free_port, request};
use media::{Codec, Rate};
use serde_json::Value;
use sip::Transport;

fn metric(server: &Server, name: &str) -> f64 {
    server.metric(name).expect("a metric")
}

/// A microphone that hears this again and again, a second apart, for two minutes.
fn saying(prompt: &Prompt) -> Vec<i16> {
    let once = prompt
        .samples()
        .iter()
        .copied()
        .chain(std::iter::repeat_n(0, 8_000));
    let once: Vec<i16> = once.collect();
    once.iter().copied().cycle().take(120 * 8_000).collect()
}

fn phone(server: SocketAddr, name: &str, user: &str) -> baresip::Setup {
    let password = match user {
        "1001" => "secret-one",
        "1002" => "secret-two",
        _ => "secret-three",
    };
    baresip::Setup {
        name: name.to_owned(),
        server,
        transport: Transport::Udp,
        user: user.to_owned(),
        password: password.to_owned(),
        codec: Codec::Pcma,
        packet_ms: 20,
        secured: false,
        microphone: saying(&voice()),
        answers: false,
        certificate: None,
    }
}

/// Chinese, then opening hours, and what is the case now; what was heard.
fn walk(setup: baresip::Setup) -> Vec<i16> {
    let mut phone = Baresip::registered(setup).expect("a registered phone");
    phone.call("1000").expect("an answer");
    phone
        .hear(&prompts(&["common/welcome"]))
        .expect("the greeting");
    phone.press('1').expect("a key");
    phone.hear(&prompts(&["zh-CN/main"])).expect("the menu");
    phone.press('1').expect("a key");
    phone.hear(&prompts(&["zh-CN/hours"])).expect("the hours");
    phone
        .hear(&prompts(&["zh-CN/open_now", "zh-CN/closed_now"]))
        .expect("the answer");
    phone.hang_up().expect("the end");
    phone.heard().expect("what was heard")
}

#[test]
fn a_registered_phone_reaches_the_answer_over_tls() {
    let tls = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut setup = Setup::demo("interop-baresip-tls");
    setup.sip = format!("tls = \"{tls}\"");
    setup.tenants = format!("[tls]\nself_signed = true\n\n{}", setup.tenants);
    let server = Server::start(setup).expect("a server");
    let setup = baresip::Setup {
        transport: Transport::Tls,
        ..phone(tls, "baresip-tls", "1001")
    };
    let heard = walk(setup);
    for name in ["common/welcome", "zh-CN/main", "zh-CN/hours"] {
        assert!(Prompt::of_demo(name).share_in(&heard) > 0.9, "{name}");
    }
    assert_eq!(server.calls().expect("calls").len(), 1);
}

#[test]
fn registered_phones_reach_the_answer_by_every_way() {
    let mut server = Server::start(Setup::demo("interop-baresip")).expect("a server");
    let to = server.sip;
    let ways = [
        ("baresip-udp-pcmu", Transport::Udp, Codec::Pcmu, "1001"),
        ("baresip-udp-pcma", Transport::Udp, Codec::Pcma, "1002"),
        ("baresip-tcp-pcmu", Transport::Tcp, Codec::Pcmu, "1001"),
        ("baresip-tcp-pcma", Transport::Tcp, Codec::Pcma, "1002"),
    ];
    std::thread::scope(|scope| {
        let started = ways.map(|(name, transport, codec, user)| {
            let setup = baresip::Setup {
                transport,
                codec,
                ..phone(to, name, user)
            };
            (name, scope.spawn(move || walk(setup)))
        });
        for (name, phone) in started {
            let heard = phone.join().expect("a call that ends");
            for prompt in prompts(&["common/welcome", "zh-CN/main", "zh-CN/hours"]) {
                prompt.assert_in(&heard, name);
            }
            let answers = prompts(&["zh-CN/open_now", "zh-CN/closed_now"]);
            assert_one_in(&answers, &heard, name);
        }
    });
    for user in ["1001", "1002"] {
        for record in record::of_user(&server, user, 2).expect("a record each") {
            check_record(&record).expect(user);
            let recording = record.recording(&server).expect("a recording");
            voice().assert_in(&recording.caller, user);
        }
    }
    let records = record::matching(&server, |_| true).expect("records");
    assert_eq!(records.len(), 4, "one record a call");
    assert!(metric(&server, "jackfield_registrations_total") >= 4.0);
    assert_eq!(metric(&server, "jackfield_auth_failures_total"), 0.0);
    let secret = server
        .read_log()
        .iter()
        .find(|line| line.contains("secret-"));
    assert_eq!(secret, None, "no password is logged");
}

/// A codec that does not keep the wave is recognized by the greeting and by what the first key does.
fn glance(setup: baresip::Setup) {
    let mut phone = Baresip::registered(setup).expect("a registered phone");
    phone.call("1000").expect("an answer");
    phone
        .hear(&prompts(&["common/welcome"]))
        .expect("the greeting");
    phone.press('1').expect("a key");
    phone.hear(&prompts(&["zh-CN/main"])).expect("the menu");
    phone.hang_up().expect("the end");
}

/// Wideband codecs and secured audio, each with a prompt that the node has in narrowband.
#[test]
fn registered_phones_talk_with_every_codec_and_secured() {
    let server = Server::start(Setup::demo("interop-baresip-wide")).expect("a server");
    let to = server.sip;
    let opus = [
        ("baresip-opus", Codec::Opus, false, "1002"),
        ("baresip-opus-secured", Codec::Opus, true, "1001"),
    ];
    let ways = [
        ("baresip-g722", Codec::G722, false, "1001"),
        ("baresip-secured", Codec::Pcma, true, "1002"),
    ];
    std::thread::scope(|scope| {
        let started = ways.map(|(name, codec, secured, user)| {
            let setup = baresip::Setup {
                codec,
                secured,
                ..phone(to, name, user)
            };
            (name, scope.spawn(move || walk(setup)))
        });
        for (name, codec, secured, user) in opus {
            let setup = baresip::Setup {
                codec,
                secured,
                ..phone(to, name, user)
            };
            scope.spawn(move || glance(setup));
        }
        for (name, phone) in started {
            let heard = phone.join().expect("a call that ends");
            for prompt in prompts(&["common/welcome", "zh-CN/main", "zh-CN/hours"]) {
                prompt.assert_in(&heard, name);
            }
        }
    });
    let told = |record: &Value| {
        let events = record["events"].as_array().cloned().unwrap_or_default();
        let media = events
            .into_iter()
            .find(|event| event["kind"] == "leg.media");
        let media = media.expect("every call had audio");
        (media["codec"].clone(), media["secured"].clone())
    };
    let mut seen = Vec::new();
    for call in server.calls().expect("calls") {
        let id = call["id"].as_str().expect("an id");
        let record = server
            .json(&format!("/api/v1/calls/{id}"))
            .expect("a record");
        seen.push(told(&record));
    }
    for (_, codec, secured, _) in ways.into_iter().chain(opus) {
        let wanted = (codec.name().into(), secured.into());
        assert!(seen.contains(&wanted), "{wanted:?} is not among {seen:?}");
    }
    assert_eq!(
        metric(&server, "jackfield_media_unauthentic_total{worker=\"0\"}"),
        0.0
    );
}

/// Packets of other lengths than 20 ms, and samples that no codec has touched.
#[test]
fn registered_phones_talk_in_short_and_long_packets_and_in_plain_samples() {
    let mut setup = Setup::demo("interop-baresip-packets");
    setup.media = "codecs = [\"PCMU\", \"PCMA\", \"L16/16000\"]\n".to_owned();
    let server = Server::start(setup).expect("a server");
    let to = server.sip;
    let ways = [
        ("baresip-10-ms", Codec::Pcmu, 10, "1001"),
        ("baresip-60-ms", Codec::Pcma, 60, "1002"),
        ("baresip-l16", Codec::L16(Rate::Wide), 20, "1001"),
    ];
    std::thread::scope(|scope| {
        let started = ways.map(|(name, codec, packet_ms, user)| {
            let setup = baresip::Setup {
                codec,
                packet_ms,
                ..phone(to, name, user)
            };
            (name, scope.spawn(move || walk(setup)))
        });
        for (name, phone) in started {
            let heard = phone.join().expect("a call that ends");
            for prompt in prompts(&["common/welcome", "zh-CN/main", "zh-CN/hours"]) {
                prompt.assert_in(&heard, name);
            }
        }
    });
    let mut seen = Vec::new();
    for call in server.calls().expect("calls") {
        let id = call["id"].as_str().expect("an id");
        let record = server.json(&format!("/api/v1/calls/{id}"));
        let record = record.expect("a record");
        let events = record["events"].as_array().expect("events");
        let media = events.iter().find(|event| event["kind"] == "leg.media");
        let media = media.expect("every call had audio");
        let time_ms = record["duration_ms"].as_f64().expect("a time");
        let sent = media["sent"].as_f64().expect("a number");
        seen.push((media["codec"].clone(), (time_ms / sent / 10.0).round()));
    }
    for (name, codec, packet_ms, _) in ways {
        let wanted = (codec.name().into(), f64::from(packet_ms) / 10.0);
        assert!(seen.contains(&wanted), "{name}: {wanted:?} in {seen:?}");
    }
}

#[test]
fn the_operators_phone_is_rung_and_both_hear_each_other() {
    let server = Server::start(Setup::demo("interop-bridge")).expect("a server");
    let (question, answer) = (
        Prompt::of_demo("en/order_ask"),
        Prompt::of_demo("en/order_shipped"),
    );
    let operator = baresip::Setup {
        microphone: saying(&answer),
        answers: true,
        ..phone(server.sip, "bridge-operator", "1001")
    };
    let caller = baresip::Setup {
        microphone: saying(&question),
        ..phone(server.sip, "bridge-caller", "1002")
    };
    let mut operator = Baresip::registered(operator).expect("the operator's phone");
    let mut caller = Baresip::registered(caller).expect("the caller's phone");

    caller.call("1000").expect("an answer");
    caller
        .hear_begin(&prompts(&["common/welcome"]))
        .expect("the greeting");
    caller.press('1').expect("a key");
    caller
        .hear_begin(&prompts(&["zh-CN/main"]))
        .expect("the menu");
    caller.press('0').expect("a key");
    operator.established().expect("a call for the operator");
    operator.hear_whole(&question).expect("the caller's voice");
    caller.hear_whole(&answer).expect("the operator's voice");
    caller.hang_up().expect("the end");
    operator
        .wait_for(&["CALL_CLOSED"])
        .expect("the end for the operator");
    question.assert_in(&operator.heard().expect("audio"), "the operator");
    answer.assert_in(&caller.heard().expect("audio"), "the caller");

    let record = record::of_user(&server, "1002", 1)
        .expect("a record")
        .remove(0);
    let dialed = record.events("leg.dialed");
    assert_eq!(dialed.len(), 1, "{}", record.json);
    let ended = record.events("leg.dial_ended");
    assert_eq!(ended.len(), 1, "{}", record.json);
    assert_eq!(ended[0]["result"], "answered");
    assert_eq!(record.events("leg.bridged").len(), 1, "{}", record.json);
    assert_eq!(record.events("leg.unbridged").len(), 1, "{}", record.json);
    let recording = record.recording(&server).expect("a recording");
    question.assert_in(&recording.caller, "the recording's caller");
    answer.assert_in(&recording.heard, "the recording's operator");
}

/// Waits until the only call has so many events of a kind; gives its record.
fn call_with(server: &Server, kind: &str, count: usize) -> Value {
    until(&format!("{count} {kind}"), || {
        let calls = server.json("/api/v1/calls")?;
        let id = calls["items"][0]["id"].as_str().unwrap_or_default();
        let call = server.json(&format!("/api/v1/calls/{id}"))?;
        let events = call["events"].as_array();
        let found = events.map_or(0, |events| {
            events.iter().filter(|event| event["kind"] == kind).count()
        });
        Ok((found >= count).then_some(call))
    })
    .expect(kind)
}

#[test]
fn a_phone_holds_retrieves_and_transfers() {
    for transport in [Transport::Udp, Transport::Tls] {
        let tls = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut setup = Setup::demo("interop-transfer");
        setup.sip = format!("tls = \"{tls}\"");
        // 1000 rings the first phone at once.
        let menu = "start = { transfer = \"1001\", timeout_s = 30, failed = { menu = \"end\" } }\n\
                    [menu.end]\nprompt = { pause_ms = 100 }\noption.0 = \"hangup\"\n";
        setup.files.insert("menu.toml".to_owned(), menu.to_owned());
        let third = "\n[[tenant.phone]]\nuser = \"1003\"\npassword_env = \"PHONE_1003\"\n";
        setup.tenants = format!("[tls]\nself_signed = true\n\n{}{third}", setup.tenants);
        let env = ("PHONE_1003".to_owned(), "secret-three".to_owned());
        setup.env.extend([env]);
        let server = Server::start(setup).expect("a server");
        let to = if transport == Transport::Tls {
            tls
        } else {
            server.sip
        };
        let start = |name: &str, user: &str, says: &str| {
            let setup = baresip::Setup {
                transport,
                microphone: saying(&Prompt::of_demo(says)),
                answers: user != "1002",
                ..phone(to, name, user)
            };
            Baresip::registered(setup).expect("a registered phone")
        };
        let mut second = start("transfer-second", "1003", "en/order_packing");
        let mut first = start("transfer-first", "1001", "en/order_shipped");
        let mut caller = start("transfer-caller", "1002", "en/order_ask");

        caller.call("1000").expect("an answer");
        first.established().expect("a call");
        let shipped = Prompt::of_demo("en/order_shipped");
        caller
            .hear_begin(std::slice::from_ref(&shipped))
            .expect("the first phone's voice");
        first.hold().expect("told");
        call_with(&server, "leg.held", 1);
        first.resume().expect("told");
        call_with(&server, "leg.retrieved", 1);
        caller.hear_begin(&[shipped]).expect("its voice again");

        first.transfer("1003").expect("told");
        second.established().expect("a call");
        first.wait_for(&["CALL_CLOSED"]).expect("it is out of it");
        let packing = Prompt::of_demo("en/order_packing");
        caller.hear_begin(&[packing]).expect("the second voice");
        let call = call_with(&server, "transfer.done", 1);
        let kinds: Vec<&str> = call["events"]
            .as_array()
            .expect("events")
            .iter()
            .filter_map(|event| event["kind"].as_str())
            .filter(|kind| kind.starts_with("transfer.") || kind.starts_with("leg.held"))
            .collect();
        assert_eq!(kinds, ["leg.held", "transfer.asked", "transfer.done"]);
        caller.hang_up().expect("the end");
        second.wait_for(&["CALL_CLOSED"]).expect("its end, too");
        let calls = server.calls().expect("calls");
        assert_eq!(calls.len(), 1, "{transport:?}");
        assert_eq!(calls[0]["disposition"], "answered", "{transport:?}");
    }
}

/// A server whose number 1000 rings phone 1001 at once, with a third phone.
fn with_an_agent(name: &str, change: impl FnOnce(&mut Setup)) -> Server {
    let mut setup = Setup::demo(name);
    let menu = "start = { transfer = \"1001\", timeout_s = 30, failed = { menu = \"end\" } }\n\
                [menu.end]\nprompt = { pause_ms = 100 }\noption.0 = \"hangup\"\n";
    setup.files.insert("menu.toml".to_owned(), menu.to_owned());
    let third = "\n[[tenant.phone]]\nuser = \"1003\"\npassword_env = \"PHONE_1003\"\n";
    setup.tenants += third;
    let env = ("PHONE_1003".to_owned(), "secret-three".to_owned());
    setup.env.extend([env]);
    change(&mut setup);
    Server::start(setup).expect("a server")
}

/// What an operator does at the command line.
fn operator(server: &Server, args: &[&str]) {
    let output = Command::new(binary().expect("the binary"))
        .arg("calls")
        .args(args)
        .args(["--url", &format!("http://{}", server.http)])
        .env("JACKFIELD_TOKEN", TOKEN)
        .output()
        .expect("a command");
    assert!(output.status.success(), "{args:?}: {output:?}");
}

#[test]
fn a_leader_listens_whispers_and_takes_over_unheard() {
    let server = with_an_agent("interop-supervision", |_| {});
    let (agent_says, leader_says) = (
        Prompt::of_demo("en/order_shipped"),
        Prompt::of_demo("en/order_packing"),
    );
    let start = |name: &str, user: &str, microphone: Vec<i16>, codec| {
        let setup = baresip::Setup {
            microphone,
            codec,
            answers: user != "1002",
            ..phone(server.sip, name, user)
        };
        Baresip::registered(setup).expect("a registered phone")
    };
    // Nobody else speaks, so that each is heard alone; the leader's phone has another codec.
    let mut leader = start("lead-leader", "1003", saying(&leader_says), Codec::Pcmu);
    let mut agent = start("lead-agent", "1001", saying(&agent_says), Codec::Pcma);
    let silence = vec![0; 120 * 8_000];
    let mut caller = start("lead-caller", "1002", silence, Codec::Pcma);

    caller.call("1000").expect("an answer");
    agent.established().expect("a call");
    caller.hear_whole(&agent_says).expect("the agent");
    operator(&server, &["supervise", "1003", "--of", "1001"]);
    leader.established().expect("a call");
    leader.hear_whole(&agent_says).expect("the agent");
    // The leader has talked all the time.
    assert!(leader_says.share_in(&agent.heard().expect("audio")) < 0.3);
    leader.press('2').expect("a key");
    call_with(&server, "supervision.changed", 1);
    agent.hear_whole(&leader_says).expect("a whisper");
    // The agent still talks to the caller, who hears nothing of it.
    let heard = caller.heard().expect("audio");
    caller.hear_whole(&agent_says).expect("the agent alone");
    let heard = &caller.heard().expect("audio")[heard.len()..];
    assert!(leader_says.share_in(heard) < 0.3, "the caller heard it");

    operator(&server, &["takeover", "--by", "1003"]);
    agent.wait_for(&["CALL_CLOSED"]).expect("the agent is free");
    caller.hear_whole(&leader_says).expect("the leader");
    caller.hang_up().expect("the end");
    leader
        .wait_for(&["CALL_CLOSED"])
        .expect("the end for the leader");
    let call = call_with(&server, "call.ended", 1);
    let told: Vec<String> = call["events"]
        .as_array()
        .expect("events")
        .iter()
        .filter(|event| {
            event["kind"]
                .as_str()
                .unwrap_or_default()
                .starts_with("supervision.")
        })
        .map(|event| format!("{} {} {}", event["kind"], event["by"], event["detail"]))
        .collect();
    assert_eq!(
        told,
        [
            "\"supervision.began\" 3 \"listen\"",
            "\"supervision.changed\" 3 \"whisper\"",
            "\"supervision.took_over\" 3 \"\"",
        ]
    );
}

/// The power of a frequency in what was heard, of all its power: the Goertzel algorithm over 10 ms each.
fn share_of(hz: f64, heard: &[i16]) -> f64 {
    let turn = 2.0 * (std::f64::consts::TAU * hz / 8_000.0).cos();
    let (mut there, mut all) = (0.0, 1.0);
    for frame in heard.chunks_exact(80) {
        let (mut before, mut last) = (0.0, 0.0);
        for &sample in frame {
            let sample = f64::from(sample);
            all += sample * sample;
            (before, last) = (last, sample + turn * last - before);
        }
        let power = last * last + before * before - turn * last * before;
        there += power / 40.0;
    }
    there / all
}

#[test]
fn an_agent_talks_on_while_a_card_is_pressed() {
    const CARD: &str = "4012888888881881";
    let mut server = with_an_agent("interop-secure", |setup| {
        setup.http = "vault_token_env = \"VAULT_TOKEN\"\n".to_owned();
        setup
            .env
            .insert("VAULT_TOKEN".to_owned(), "vault".to_owned());
    });
    let agent_says = Prompt::of_demo("en/order_shipped");
    let start = |name: &str, user: &str, microphone: Vec<i16>| {
        let setup = baresip::Setup {
            microphone,
            codec: Codec::Pcma,
            answers: user != "1002",
            ..phone(server.sip, name, user)
        };
        Baresip::registered(setup).expect("a registered phone")
    };
    let mut agent = start("secure-agent", "1001", saying(&agent_says));
    let mut caller = start("secure-caller", "1002", vec![0; 120 * 8_000]);
    caller.call("1000").expect("an answer");
    agent.established().expect("a call");
    // Keys reach an agent as what they are, as long as nobody says otherwise.
    caller.press('7').expect("a key");
    let key = agent.wait_for(&["CALL_DTMF_START"]).expect("a key");
    assert_eq!(key["param"], "7");

    let call = call_with(&server, "leg.bridged", 1);
    let id = call["id"].as_str().expect("an id").to_owned();
    operator(&server, &["secure", &id, "--leg", "1", "--max", "16"]);
    for key in CARD.chars() {
        let before = agent.heard().expect("audio").len();
        caller.press(key).expect("a key");
        until("a beep for a key", || {
            let heard = agent.heard()?;
            let share = share_of(425.0, &heard[before.min(heard.len())..]);
            Ok((share > 0.5).then_some(()))
        })
        .expect("a beep");
    }
    let call = call_with(&server, "secret.ended", 1);
    let events = call["events"].as_array().expect("events");
    let ended = events.iter().find(|event| event["kind"] == "secret.ended");
    let ended = ended.expect("just seen");
    assert_eq!(
        (&ended["digits"], &ended["luhn"], &ended["end"]),
        (&16.into(), &true.into(), &"complete".into())
    );
    // The next key is one that the agent may know.
    call_with(&server, "recording.segment_started", 4);
    caller.press('8').expect("a key");
    let key = agent.wait_for(&["CALL_DTMF_START"]).expect("a key");
    assert_eq!(key["param"], "8", "nothing of the card");
    caller.hear_whole(&agent_says).expect("the agent");
    caller.hang_up().expect("the end");

    let call = call_with(&server, "call.ended", 1);
    assert!(!call.to_string().contains(CARD));
    let path = format!(
        "/api/v1/secrets/{}/take",
        ended["token"].as_str().expect("a token")
    );
    let (status, taken) = request(server.http, "POST", &path, Some("vault")).expect("an answer");
    let taken: Value = serde_json::from_slice(&taken).expect("JSON");
    assert_eq!((status, &taken["digits"]), (200, &CARD.into()));
    assert!(!server.read_log().join("\n").contains(CARD));
    // No segment has a key's sound in it: none goes on while they are pressed.
    let ends: Vec<&str> = call["events"]
        .as_array()
        .expect("events")
        .iter()
        .filter(|event| event["kind"] == "recording.segment_ended")
        .map(|event| event["end"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(ends, ["secured", "secured", "gone", "gone"]);
}

#[test]
fn it_is_found_out_who_answers_while_the_two_talk() {
    let server = with_an_agent("interop-answerer", |_| {});
    // A person says a word and waits; a machine talks.
    let speech = Prompt::of_demo("en/order_shipped");
    let word: Vec<i16> = speech.speech()[..6_000].to_vec();
    let mut hello = vec![0; 2_400];
    hello.extend(word);
    hello.resize(120 * 8_000, 0);
    for (user, microphone, expected, args) in [
        ("1001", hello, "human", &["--detect"][..]),
        (
            "1003",
            saying(&speech),
            "machine",
            &["--hang-up-on-machine"],
        ),
    ] {
        let callee = baresip::Setup {
            microphone,
            answers: true,
            ..phone(server.sip, &format!("answerer-{expected}"), user)
        };
        let agent = baresip::Setup {
            microphone: saying(&voice()),
            answers: true,
            ..phone(server.sip, &format!("asker-{expected}"), "1002")
        };
        let mut callee = Baresip::registered(callee).expect("a registered phone");
        let mut agent = Baresip::registered(agent).expect("a registered phone");
        operator(&server, &[&["dial", "1002", user][..], args].concat());
        agent.established().expect("the agent is rung first");
        callee.established().expect("and then the callee");
        let call = call_with(&server, "leg.answerer", 1);
        let events = call["events"].as_array().expect("events");
        let kinds: Vec<&str> = events.iter().filter_map(|it| it["kind"].as_str()).collect();
        let place = |kind: &str| kinds.iter().position(|it| *it == kind);
        // They were put through before it was known.
        assert!(place("leg.bridged") < place("leg.answerer"), "{kinds:?}");
        let told = &events[place("leg.answerer").expect("just seen")];
        assert_eq!(told["answerer"], expected, "{told}");
        if expected == "human" {
            callee.hear_begin(&[voice()]).expect("the agent's voice");
            agent.hang_up().expect("the end");
        }
        callee.wait_for(&["CALL_CLOSED"]).expect("the end");
    }
    let name = "jackfield_answerers_total{answerer=\"human\",cause=\"short_greeting\"}";
    assert_eq!(metric(&server, name), 1.0);
}

#[test]
fn a_wrong_password_registers_nobody() {
    let mut server = Server::start(Setup::demo("interop-password")).expect("a server");
    let setup = baresip::Setup {
        password: "secret-two".to_owned(),
        ..phone(server.sip, "baresip-wrong", "1001")
    };
    let mut phone = Baresip::start(setup).expect("a phone");
    let event = phone
        .wait_for(&["REGISTER_OK", "REGISTER_FAIL"])
        .expect("an answer");
    assert_eq!(event["type"], "REGISTER_FAIL", "{event}");
    assert_eq!(event["param"], "401 Unauthorized", "{event}");
    let failures = until("the failure is counted", || {
        Ok(Some(server.metric("jackfield_auth_failures_total")?).filter(|count| *count > 0.0))
    });
    // It tries again with every new nonce before it gives up.
    assert!(failures.expect("a metric") >= 1.0);
    assert_eq!(metric(&server, "jackfield_sip_contacts"), 0.0);
    assert_eq!(metric(&server, "jackfield_registrations_total"), 0.0);
    let secret = server
        .read_log()
        .iter()
        .find(|line| line.contains("secret-"));
    assert_eq!(secret, None, "no password is logged");
}

#[test]
fn a_stranger_makes_no_phone_ring() {
    let server = Server::start(Setup::demo("interop-stranger")).expect("a server");
    let operator = baresip::Setup {
        answers: true,
        ..phone(server.sip, "unrung", "1001")
    };
    let mut operator = Baresip::registered(operator).expect("the operator's phone");
    let script = vec![
        Step::Begin(prompts(&["common/welcome"])),
        Step::Press('1'),
        Step::Begin(prompts(&["zh-CN/main"])),
        Step::Press('0'),
        Step::Hear(prompts(&["zh-CN/operator_busy"])),
    ];
    let calls = Calls {
        name: "stranger".to_owned(),
        scenario: "caller".to_owned(),
        server: server.sip,
        transport: Transport::Udp,
        number: "1000".to_owned(),
        callers: vec![Caller {
            codec: Codec::Pcmu,
            keys: Keys::Events,
            script,
        }],
        rate: 1,
        limit: Duration::from_secs(60),
    };
    let outcome = calls.run().expect("a call");
    let call = &outcome.calls[0];
    Prompt::of_demo("zh-CN/operator_busy").assert_in(&call.capture.heard(), "the stranger");

    let record = record::of_call(&server, &call.call_id).expect("a record");
    assert_eq!(record.json["user"], Value::Null);
    assert_eq!(record.json["disposition"], "answered");
    assert!(record.events("leg.dialed").is_empty(), "{}", record.json);
    // The phone knows of no call, and the server has rung nobody.
    operator
        .press('1')
        .expect_err("there is no call to press a key in");
    let mut told = operator
        .history
        .iter()
        .filter(|event| event["class"] == "call");
    assert_eq!(told.next(), None);
    assert_eq!(metric(&server, "jackfield_sip_client_invites"), 0.0);
}
