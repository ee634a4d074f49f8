//! Goal: what an agent does with a call, done from a terminal with `jackfield calls` and two of
//! `jackfield phone`, through the real binary at all ends: dial, hold, retrieve, park, pick up,
//! by request and by dialling the slot, redial, hang up, and the events of it all as they happen.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};

use jackfield_tests::peers::menu::prompts;
use jackfield_tests::peers::spawn;
use jackfield_tests::shell::{PATIENCE, Server, Setup, TOKEN, binary, complaint, project};
use serde_json::{Value, json};

/// A process whose lines are read as they come. Killed when dropped.
struct Talker {
    child: Child,
    lines: Receiver<String>,
}

impl Talker {
    fn start(command: &mut Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = spawn(command).expect("the binary");
        let stdout = child.stdout.take().expect("it was asked for");
        // More than any of them says here.
        let (sender, lines) = sync_channel(10_000);
        let read = move || {
            let told = BufReader::new(stdout).lines().map_while(Result::ok);
            told.map(|line| sender.send(line))
                .take_while(Result::is_ok)
                .count()
        };
        let thread = std::thread::Builder::new().name("lines".to_owned());
        thread.spawn(read).expect("a thread");
        Self { child, lines }
    }

    /// The next line of JSON that says this under the name.
    fn until(&self, name: &str, value: &str) -> Value {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("no {name} {value}"));
            let told: Value = serde_json::from_str(&line).expect("JSON");
            if told[name] == value {
                return told;
            }
        }
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn phone(server: &Server, user: &str, more: &[&str]) -> Talker {
    let phone = Talker::start(
        Command::new(binary().expect("built"))
            .args(["phone", &format!("sip:{user}@{}", server.sip), "--json"])
            .args(["--password-env", "PASSWORD", "--answer-after", "0.2"])
            .args(more)
            .env(
                "PASSWORD",
                if user == "1001" {
                    "secret-one"
                } else {
                    "secret-two"
                },
            ),
    );
    phone.until("what", "registered");
    phone
}

fn calls(server: &Server) -> Command {
    let mut command = Command::new(binary().expect("built"));
    let url = format!("http://{}", server.http);
    command
        .args(["calls", "--url", &url, "--json"])
        .env("JACKFIELD_TOKEN", TOKEN);
    command
}

fn ask(server: &Server, args: &[&str]) -> Output {
    calls(server).args(args).output().expect("the binary")
}

fn fine(server: &Server, args: &[&str]) -> Value {
    let output = ask(server, args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {said}");
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

/// Who does what, as `leg state with`.
fn parties(server: &Server) -> Vec<String> {
    let answer = fine(server, &["list"]);
    let items = answer["items"].as_array().expect("a list");
    let told = items.iter().map(|it| {
        let text = |name: &str| it[name].as_str().unwrap_or("-").to_owned();
        format!(
            "{} {} {} {}",
            it["leg"],
            text("user"),
            text("state"),
            it["with"]
        )
    });
    told.collect()
}

#[test]
fn an_agent_works_from_the_terminal() {
    let setup = Setup::demo("calls");

    let server = Server::start(setup).expect("a server");
    let watch = Talker::start(calls(&server).arg("watch"));
    let one = phone(&server, "1001", &[]);
    watch.until("kind", "phone.registered");
    let two = phone(&server, "1002", &[]);
    watch.until("kind", "phone.registered");

    assert_eq!(parties(&server), [] as [String; 0]);
    let nobody = complaint(&ask(&server, &["hold", "--by", "1001"]));
    assert_eq!(
        nobody,
        "jackfield: no phone of 1001 is in a call: see `jackfield calls list`"
    );

    let made = fine(&server, &["dial", "1001", "1002"]);
    assert_eq!(made["result"], "call");
    let call = made["id"].as_str().expect("an id").to_owned();
    watch.until("kind", "leg.bridged");
    assert_eq!(parties(&server), ["1 1001 talking 2", "2 1002 talking 1"]);
    one.until("what", "answered");
    two.until("what", "answered");

    fine(&server, &["hold", "--by", "1001"]);
    assert_eq!(parties(&server)[1], "2 1002 held null");
    let twice = complaint(&ask(&server, &["hold", "--by", "1001"]));
    assert!(twice.contains("on hold already"), "{twice}");
    fine(&server, &["retrieve", "--by", "1001"]);
    watch.until("kind", "leg.bridged");
    assert_eq!(parties(&server)[1], "2 1002 talking 1");

    let parked = fine(&server, &["park", "--by", "1001"]);
    assert_eq!(
        (&parked["result"], &parked["slot"]),
        (&"parked".into(), &701.into())
    );
    one.until("what", "ended");
    assert_eq!(parties(&server), ["2 1002 parked null"]);
    fine(&server, &["pickup", "701", "--user", "1001"]);
    watch.until("kind", "leg.bridged");
    one.until("what", "answered");
    assert_eq!(parties(&server), ["2 1002 talking 3", "3 1001 talking 2"]);

    fine(&server, &["hangup", &call]);
    two.until("what", "ended");
    one.until("what", "ended");
    let ended = watch.until("kind", "call.ended");
    assert_eq!(ended["call"], call.as_str());
    let gone = complaint(&ask(&server, &["hangup", &call, "--leg", "2"]));
    assert_eq!(gone, "jackfield: this call is over");

    // The same number again, by nobody but who has dialled it.
    let never = complaint(&ask(&server, &["redial", "1002"]));
    assert!(never.contains("nothing"), "{never}");
    fine(&server, &["redial", "1001"]);
    two.until("what", "answered");
    let list = fine(&server, &["list", "--user", "1002"]);
    let again = list["items"][0]["call"]
        .as_str()
        .expect("a call")
        .to_owned();
    fine(&server, &["hangup", &again]);
    watch.until("kind", "call.ended");
    assert_eq!(server.calls().expect("calls").len(), 2);
}

#[test]
fn a_phone_dials_the_slot_of_whoever_waits_there() {
    let server = Server::start(Setup::demo("slot")).expect("a server");
    let watch = Talker::start(calls(&server).arg("watch"));
    let _one = phone(&server, "1001", &[]);
    watch.until("kind", "phone.registered");
    let heard = server.folder.path().join("heard.wav");
    // It talks all the while, whoever listens.
    let said = project("examples/demo/prompts/zh-CN/main.wav");
    let said = said.to_str().expect("UTF-8");
    let talk = ["--wait", "0", "--play", said].repeat(20);
    let record = ["--calls", "1", "--record", heard.to_str().expect("UTF-8")];
    let mut two = phone(&server, "1002", &[&record[..], &talk[..]].concat());
    watch.until("kind", "phone.registered");
    let made = fine(&server, &["dial", "1001", "1002"]);
    watch.until("kind", "leg.bridged");

    let welcome = project("examples/demo/prompts/common/welcome.wav");
    let take = |more: &[&str]| {
        let welcome = welcome.to_str().expect("UTF-8");
        let args = ["--wait", "0.5", "--play", welcome, "--hangup-after", "1"];
        server
            .call("701", &[&args[..], more].concat())
            .expect("a report")
    };
    let own = ["--from", "1001", "--password-env", "PHONE_1001"];
    let empty = take(&own);
    assert_eq!(empty["status"], 404, "{empty}");
    let parked = fine(&server, &["park", "--by", "1001"]);
    assert_eq!(parked["slot"], 701);
    let stranger = take(&["--from", "stranger"]);
    assert_eq!(stranger["status"], 404, "{stranger}");
    assert_eq!(parties(&server), ["2 1002 parked null"]);

    let taken = take(&own);
    assert_eq!(taken["ok"], true, "{taken}");
    let speech = taken["heard"]["speech_seconds"].as_f64();
    assert!(speech > Some(0.5), "{taken}");
    watch.until("kind", "park.picked_up");
    watch.until("kind", "leg.bridged");
    two.until("what", "ended");
    while watch.until("kind", "call.ended")["call"] != made["id"] {}
    assert!(two.child.wait().expect("it ends").success());
    let heard = media::wav::read(&std::fs::read(&heard).expect("a recording")).expect("a WAV file");
    for prompt in prompts(&["common/welcome"]) {
        let share = prompt.share_in(&heard);
        assert!(share > 0.5, "{}: {share:.2}", prompt.name());
    }

    // The caller's call tells by its cause that it went on in the other one.
    let records = server.calls().expect("calls");
    let told: Vec<_> = records
        .iter()
        .map(|it| (it["to"].as_str(), it["cause"].as_str()))
        .collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told.contains(&(Some("701"), Some("transferred"))),
        "{told:?}"
    );
    assert!(told.contains(&(Some("1002"), Some("normal"))), "{told:?}");
}

#[test]
fn two_callers_of_the_menu_are_connected() {
    let server = Server::start(Setup::demo("bridge")).expect("a server");
    let watch = Talker::start(calls(&server).arg("watch"));
    // The menu never says this.
    let said = project("examples/demo/prompts/zh-CN/message_thanks.wav");
    let said = said.to_str().expect("UTF-8");
    let talk = ["--wait", "0.5", "--play", said].repeat(10);
    let heard = server.folder.path().join("heard.wav");
    let record = ["--record", heard.to_str().expect("UTF-8")];
    let listen = [&record[..], &["--hangup-after", "120"]].concat();
    let mut started = Vec::new();
    for args in [&talk[..], &listen] {
        let phone = server.phone("1000", args).expect("a phone");
        let answered = watch.until("kind", "call.answered");
        started.push((phone, answered["call"].as_str().expect("an id").to_owned()));
    }
    let [(talks, one), (listens, two)] = started.try_into().expect("two");
    let bridge = |call: &str, other: &str| {
        let with = ["--with-call", other, "--with-leg", "1"];
        ask(
            &server,
            &[&["bridge", call, "--leg", "1"], &with[..]].concat(),
        )
    };
    let same = complaint(&bridge(&one, &one));
    assert!(same.contains("name a party of another"), "{same}");
    let done = bridge(&one, &two);
    assert!(done.status.success(), "{}", complaint(&done));
    watch.until("kind", "leg.moved_in");
    assert_eq!(parties(&server), ["1 - talking 2", "2 - talking 1"]);
    let talked = talks.wait_with_output().expect("it ends");
    let report: Value = serde_json::from_slice(&talked.stdout).expect("a report");
    assert_eq!(report["ok"], true, "{report}");
    listens.wait_with_output().expect("it ends");
    let heard = media::wav::read(&std::fs::read(&heard).expect("a recording")).expect("a WAV file");
    for prompt in prompts(&["zh-CN/message_thanks"]) {
        let share = prompt.share_in(&heard);
        assert!(share > 0.5, "{}: {share:.2}", prompt.name());
    }
    while watch.until("kind", "call.ended")["call"] != one.as_str() {}
    let records = server.calls().expect("calls");
    let cause = |id: &str| {
        let call = records.iter().find(|it| it["id"] == id);
        call.map(|it| it["cause"].clone())
    };
    assert_eq!(cause(&one), Some("normal".into()));
    assert_eq!(cause(&two), Some("transferred".into()));
}

#[test]
fn a_call_is_recorded_on_request_and_the_recording_rests_on_request() {
    let mut setup = Setup::demo("taping");
    setup.tenants += "\n[tenant.recording]\nmade = false\n";
    let server = Server::start(setup).expect("a server");
    let watch = Talker::start(calls(&server).arg("watch"));
    let _one = phone(&server, "1001", &[]);
    watch.until("kind", "phone.registered");
    let _two = phone(&server, "1002", &[]);
    watch.until("kind", "phone.registered");
    let made = fine(&server, &["dial", "1001", "1002"]);
    watch.until("kind", "leg.bridged");
    let call = made["id"].as_str().expect("an id");
    let ask = |step: &str, body: Value| {
        let path = format!("/api/v1/calls/{call}/recording/{step}");
        let (status, answer) = server.post(&path, &body).expect("an answer");
        (status, answer["code"].as_str().unwrap_or("-").to_owned())
    };
    let done = (200, "-".to_owned());
    let not_now = (409, "not_now".to_owned());
    assert_eq!(ask("pause", json!({})), not_now);
    assert_eq!(ask("start", json!({})), done);
    assert_eq!(ask("start", json!({})), not_now);
    let pause = json!({ "leg": "1002", "max_s": 600 });
    assert_eq!(ask("pause", pause.clone()), done);
    assert_eq!(ask("resume", json!({ "leg": 2 })), done);
    let nobody = (404, "party_not_found".to_owned());
    assert_eq!(ask("pause", json!({ "leg": 7 })), nobody);
    assert_eq!(ask("pause", json!({ "max_s": 601 })).0, 400);
    // It is over by itself: nobody asks again.
    assert_eq!(ask("pause", json!({ "max_s": 1 })), done);
    while watch.until("kind", "recording.resumed")["why"] != "time" {}
    assert_eq!(ask("stop", json!({})), done);
    assert_eq!(ask("stop", json!({})), not_now);
    fine(&server, &["hangup", call]);
    watch.until("kind", "call.ended");

    let records = server.calls().expect("calls");
    assert_eq!(records[0]["interaction"], call);
    let told = server
        .json(&format!("/api/v1/calls/{call}"))
        .expect("the call");
    let events = told["events"].as_array().expect("events").iter();
    let told: Vec<String> = events
        .filter_map(|event| {
            let kind = event["kind"].as_str()?.strip_prefix("recording.")?;
            let more = match kind {
                "segment_started" => format!(" {} {}", event["leg"], event["channels"]),
                "segment_ended" => format!(" {}", event["end"]),
                "paused" => format!(" {}", event["by"]),
                "resumed" => format!(" {} {}", event["by"], event["why"]),
                _ => String::new(),
            };
            Some(format!("{kind}{more}"))
        })
        .collect();
    let both = |what: &[&str; 2]| what.map(str::to_owned).to_vec();
    let began = both(&["segment_started 1 2", "segment_started 2 1"]);
    let ended = |why: &str| vec![format!("segment_ended \"{why}\""); 2];
    let one = |what: &str| vec![what.to_owned()];
    let expected = [
        one("started"),
        began.clone(),
        ended("paused"),
        one("paused 2"),
        one("resumed 2 \"asked\""),
        began.clone(),
        ended("paused"),
        one("paused null"),
        one("resumed null \"time\""),
        began,
        ended("stopped"),
        one("stopped"),
    ];
    assert_eq!(told, expected.concat());
}
