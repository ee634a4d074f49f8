//! A plugin whose configuration key `mode` chooses what it does, right or wrong.
//!
//! It uses the bindings directly, without the SDK, so that the plugin host is tested against the
//! WIT alone. Each mode is named in the test that uses it.

// The generated glue and the manifest's link section are unsafe by nature; and a plugin that looks
// at the clock and sleeps is what some tests are about.
#![allow(unsafe_code, missing_docs, clippy::disallowed_methods)]

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant, SystemTime};

wit_bindgen::generate!({
    path: ["../../../wit/types", "../../../wit/host", "../../../wit/ivr"],
    world: "jackfield:ivr/ivr",
    generate_all,
});

use exports::jackfield::ivr::flow::{Guest, Outcome};
use jackfield::host::{clock, config, http, kv, log};
use jackfield::ivr::calls::{
    Call, DialOptions, DialTarget, Digits, Event, GatherEnd, GatherOptions, Prompt,
};
use jackfield::types::types::Error;

const MANIFEST_TEXT: &[u8] = br#"
name = "probe"
version = "1.2.3"
world = "ivr"
wit = "0.1.0"
needs = ["dial", "record", "kv", "http"]
description = "Does what its configuration says, right or wrong"
"#;

#[used]
#[unsafe(link_section = "jackfield:manifest")]
static MANIFEST: [u8; MANIFEST_TEXT.len()] = {
    let mut bytes = [0; MANIFEST_TEXT.len()];
    let mut i = 0;
    while i < bytes.len() {
        bytes[i] = MANIFEST_TEXT[i];
        i += 1;
    }
    bytes
};

struct Probe;

export!(Probe);

impl Guest for Probe {
    fn run(call: Call) -> Result<Outcome, Error> {
        let mode = config::get("mode").unwrap_or_default();
        match mode.as_str() {
            "menu" => menu(&call),
            "echo" => echo(&call),
            "wait" => wait(&call),
            "every" => every(&call),
            "dial" => dial(&call),
            "loop" => spin(),
            "loop-after-hangup" => {
                while call.next_event(1_000).is_ok() {}
                spin()
            }
            "memory" => hog(),
            "recurse" => done(&recurse(0).to_string()),
            "panic" => panic!("the menu has no entry {}", black_box(7)),
            "trap" => std::arch::wasm32::unreachable(),
            "exit" => std::process::exit(3),
            "flood" => loop {
                log::write(log::Level::Info, "again and again");
            },
            "print" => {
                println!("a line on stdout");
                eprintln!("a line on stderr");
                done("printed")
            }
            "print-flood" => loop {
                println!("again and again");
            },
            "chat" => {
                for i in 0..10 {
                    log::write(log::Level::Debug, &format!("line {i}\nof two"));
                }
                done("talked")
            }
            "big-log" => {
                log::write(log::Level::Info, &"x".repeat(4 << 20));
                done("unheard")
            }
            "calls-after-hangup" => loop {
                let _ = call.answer();
            },
            "asks-after-hangup" => {
                let first = call.gather(&gather(1));
                let second = call.play(&[Prompt::Audio("bye".into())]);
                done(&format!("{} {}", name(&first), name(&second)))
            }
            "gone" => {
                call.gather(&gather(1))?;
                done("stayed")
            }
            "error" => Err(Error::Failed("the menu has no root".into())),
            "sleep" => {
                std::thread::sleep(Duration::from_secs(1));
                done("slept")
            }
            "time" => time(),
            "random" => random(),
            "config" => configured(),
            "denied" => denied(&call),
            "bounds" => bounds(&call),
            "secret" => secret(&call),
            "secret-call" => {
                call.answer()?;
                let prompts = vec![Prompt::Audio("sorry".into())];
                let card = call.gather_secret(&GatherOptions {
                    prompts,
                    ..gather(16)
                })?;
                log::write(log::Level::Info, &format!("{card:?}"));
                done(&card.token.unwrap_or_default())
            }
            other => done(&format!("no mode {other:?}")),
        }
    }
}

fn done(label: &str) -> Result<Outcome, Error> {
    Ok(Outcome {
        label: label.into(),
        detail: None,
    })
}

fn gather(max: u8) -> GatherOptions {
    GatherOptions {
        prompts: vec![Prompt::Audio("menu".into())],
        min: 1,
        max,
        terminators: "#".into(),
        first_timeout: 5_000,
        inter_timeout: 2_000,
        barge_in: true,
    }
}

/// The short flow that is measured: two prompts and three digits.
fn menu(call: &Call) -> Result<Outcome, Error> {
    call.play(&[Prompt::Audio("welcome".into())])?;
    let mut path = String::new();
    for _ in 0..3 {
        path.push_str(&call.gather(&gather(1))?.value);
    }
    call.play(&[Prompt::Say(("goodbye".into(), Some("en".into())))])?;
    done(&path)
}

fn echo(call: &Call) -> Result<Outcome, Error> {
    let info = call.info();
    call.answer()?;
    let Digits { value, end } = call.gather(&gather(4))?;
    call.set_attr("pressed", &value)?;
    let end = match end {
        GatherEnd::Complete => "complete",
        GatherEnd::Terminator => "terminator",
        GatherEnd::Timeout => "timeout",
        GatherEnd::Hangup => "hangup",
        GatherEnd::Other => "other",
    };
    let detail = format!(
        "{end} {:?} {:?} {} {} {}",
        info.direction,
        info.callee,
        info.started_at,
        call.attr("language").unwrap_or_default(),
        call.attr("pressed").unwrap_or_default(),
    );
    call.hangup(Some("done"));
    Ok(Outcome {
        label: "echo".into(),
        detail: Some(detail),
    })
}

fn wait(call: &Call) -> Result<Outcome, Error> {
    let mut heard = String::new();
    loop {
        match call.next_event(60_000)? {
            Event::Dtmf(key) if key == "#" => return done(&heard),
            Event::Dtmf(key) => heard.push_str(&key),
            Event::PlayDone(token) => heard.push_str(&format!("<{token}>")),
            Event::Hangup(_) | Event::Message(_) | Event::Other(_) => heard.push('?'),
        }
    }
}

/// Dials `target` for `timeout_s`; answers first if `answer` says so. The result is the outcome.
fn dial(call: &Call) -> Result<Outcome, Error> {
    let key = |key| config::get(key).unwrap_or_default();
    if key("answer") == "true" {
        call.answer()?;
    }
    let options = DialOptions {
        timeout: key("timeout_s").parse::<u32>().unwrap_or(60) * 1_000,
        caller_id: None,
        whisper: Vec::new(),
    };
    let dialed = call.dial(&DialTarget::Sip(key("target")), &options)?;
    done(&format!("{:?}", dialed.ended))
}

/// Every operation once, so that each word is seen on the other side.
fn every(call: &Call) -> Result<Outcome, Error> {
    call.answer()?;
    let token = call.play_start(&[Prompt::Silence(1_500)], true)?;
    call.play_stop(token)?;
    call.play(&[
        Prompt::Audio("a/b".into()),
        Prompt::Say(("hello".into(), None)),
        Prompt::Value(("digits".into(), "42".into())),
    ])?;
    let options = DialOptions {
        timeout: 20_000,
        caller_id: Some("1000".into()),
        whisper: vec![Prompt::Audio("whisper".into())],
    };
    let dialed = call.dial(&DialTarget::E164("+15550100".into()), &options)?;
    let recorded = call.record_audio(30_000, 3_000, true)?;
    call.enqueue("sales", -2, &[("skill".into(), "zh".into())])?;
    call.sleep(250)?;
    call.transfer(&DialTarget::Sip("1001".into()))?;
    call.hangup(None);
    done(&format!(
        "{token} {:?} {:?} {} {recorded}",
        dialed.ended, dialed.cause, dialed.talk
    ))
}

fn spin() -> Result<Outcome, Error> {
    let mut n = 0_u64;
    loop {
        n = black_box(n.wrapping_add(1));
    }
}

fn hog() -> Result<Outcome, Error> {
    let mut kept = Vec::new();
    loop {
        kept.push(black_box(vec![1_u8; 1 << 20]));
    }
}

fn recurse(depth: u64) -> u64 {
    if black_box(depth) == u64::MAX {
        depth
    } else {
        recurse(depth + 1) ^ black_box(depth)
    }
}

/// No time passes while the plugin runs.
fn time() -> Result<Outcome, Error> {
    let start = Instant::now();
    let wall = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970");
    let winter = clock::utc_offset("Asia/Shanghai", clock::now());
    let summer = clock::utc_offset("Europe/Berlin", 1_784_000_000_000);
    let nowhere = clock::utc_offset("Mars/Olympus", 0);
    let detail = format!(
        "{} {} {winter:?} {summer:?} {nowhere:?} {:?}",
        clock::now(),
        wall.as_millis(),
        start.elapsed()
    );
    Ok(Outcome {
        label: "time".into(),
        detail: Some(detail),
    })
}

/// Anything random shows in the order of a hash map.
fn random() -> Result<Outcome, Error> {
    let map: HashMap<u32, ()> = (0..8).map(|i| (i, ())).collect();
    done(&map.keys().map(u32::to_string).collect::<Vec<_>>().join(" "))
}

fn configured() -> Result<Outcome, Error> {
    let keys = config::get("keys").unwrap_or_default();
    let values: Vec<String> = keys
        .split(' ')
        .map(|key| {
            format!(
                "{key} = {}",
                config::get(key).unwrap_or_else(|| "none".into())
            )
        })
        .collect();
    Ok(Outcome {
        label: "config".into(),
        detail: Some(values.join("; ")),
    })
}

fn denied(call: &Call) -> Result<Outcome, Error> {
    let options = DialOptions {
        timeout: 1_000,
        caller_id: None,
        whisper: Vec::new(),
    };
    let request = http::Request {
        method: "GET".into(),
        url: "http://example.com/".into(),
        headers: Vec::new(),
        body: Vec::new(),
        timeout: None,
    };
    let answers = [
        format!(
            "dial {}",
            shown(call.dial(&DialTarget::Sip("1001".into()), &options))
        ),
        format!(
            "transfer {}",
            shown(call.transfer(&DialTarget::E164("+15550100".into())))
        ),
        format!("record-audio {}", shown(call.record_audio(1_000, 0, false))),
        format!("kv {}", shown(kv::get("key"))),
        format!("http {}", shown(http::send(&request))),
    ];
    Ok(Outcome {
        label: "denied".into(),
        detail: Some(answers.join("; ")),
    })
}

fn secret(call: &Call) -> Result<Outcome, Error> {
    let paused = shown(call.record_pause(5_000));
    let resumed = shown(call.record_resume());
    let first = call.gather_secret(&gather(19))?;
    let second = call.gather_secret(&gather(19))?;
    let detail = format!(
        "{paused}, {resumed}; {:?} {} {} {:?}; {:?} {}",
        first.token, first.length, first.luhn, first.end, second.token, second.length
    );
    Ok(Outcome {
        label: "secret".into(),
        detail: Some(detail),
    })
}

fn bounds(call: &Call) -> Result<Outcome, Error> {
    let many = vec![Prompt::Silence(1); 100];
    let strange = [Prompt::Other(("smell".into(), "roses".into()))];
    let long = [Prompt::Say(("x".repeat(3_000), None))];
    let none = GatherOptions {
        max: 0,
        ..gather(1)
    };
    let reversed = GatherOptions {
        min: 5,
        ..gather(4)
    };
    let letters = GatherOptions {
        terminators: "xyz".into(),
        ..gather(1)
    };
    let answers = [
        format!("many {}", shown(call.play(&many))),
        format!("strange {}", shown(call.play(&strange))),
        format!("long {}", shown(call.play(&long))),
        format!("none {}", shown(call.gather(&none))),
        format!("reversed {}", shown(call.gather(&reversed))),
        format!("letters {}", shown(call.gather(&letters))),
        format!("key {}", shown(call.set_attr("", "value"))),
        format!("value {}", shown(call.set_attr("key", &"x".repeat(2_000)))),
        format!(
            "number {}",
            shown(call.transfer(&DialTarget::E164("12 34".into())))
        ),
        format!(
            "address {}",
            shown(call.transfer(&DialTarget::Sip("a b".into())))
        ),
        format!(
            "target {}",
            shown(call.transfer(&DialTarget::Other("x".into())))
        ),
        format!("queue {}", shown(call.enqueue("", 0, &[]))),
    ];
    Ok(Outcome {
        label: "bounds".into(),
        detail: Some(answers.join("; ")),
    })
}

fn shown<T>(result: Result<T, Error>) -> String {
    match result {
        Ok(_) => "ok".into(),
        Err(error) => format!("{error:?}"),
    }
}

fn name<T>(result: &Result<T, Error>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(Error::Hangup(_)) => "hangup",
        Err(_) => "another error",
    }
}
