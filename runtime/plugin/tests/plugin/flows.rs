//! Goal: every word of the interface arrives on the other side as it was meant, and the same
//! inputs give the same outputs.

use std::time::Duration;

use expect_test::expect;
use jackfield_plugin::{Config, Metering, RunInput, Value};
use vocab::call::GatherEnd;
use vocab::flow::{DialResult, FaultKind, FlowError, FlowEvent, Reply};
use vocab::{Rng, SecretToken};

use crate::bench::{
    Bench, check, digits, done, failed, hangup, host_config, key, ladder, load, ok, plugin, setup,
};

#[test]
fn a_short_menu() {
    check(
        setup("menu"),
        vec![
            RunInput::Start,
            done(),
            digits("1"),
            digits("2"),
            digits("3"),
            done(),
        ],
        expect![[r##"
            > Start
            Op(Play { prompts: [Audio("welcome")] })
            > Reply(Ok(Done))
            Op(Gather { prompts: [Audio("menu")], spec: GatherSpec { min: 1, max: 1, terminators: "#", first_timeout: 5s, inter_timeout: 2s, barge_in: true }, secret: false })
            > Reply(Ok(Digits { value: [private], end: Complete }))
            Op(Gather { prompts: [Audio("menu")], spec: GatherSpec { min: 1, max: 1, terminators: "#", first_timeout: 5s, inter_timeout: 2s, barge_in: true }, secret: false })
            > Reply(Ok(Digits { value: [private], end: Complete }))
            Op(Gather { prompts: [Audio("menu")], spec: GatherSpec { min: 1, max: 1, terminators: "#", first_timeout: 5s, inter_timeout: 2s, barge_in: true }, secret: false })
            > Reply(Ok(Digits { value: [private], end: Complete }))
            Op(Play { prompts: [Say { text: [private], voice: Some("en") }] })
            > Reply(Ok(Done))
            Ended(Outcome(Outcome { label: "123", detail: None }))
        "##]],
    );
}

#[test]
fn the_call_is_described_and_facts_are_remembered() {
    check(
        setup("echo"),
        vec![RunInput::Start, done(), digits("4711"), done(), done()],
        expect![[r##"
            > Start
            Op(Answer)
            > Reply(Ok(Done))
            Op(Gather { prompts: [Audio("menu")], spec: GatherSpec { min: 1, max: 4, terminators: "#", first_timeout: 5s, inter_timeout: 2s, barge_in: true }, secret: false })
            > Reply(Ok(Digits { value: [private], end: Complete }))
            Op(SetAttr { key: "pressed", value: [private] })
            > Reply(Ok(Done))
            Op(Hangup { cause: Some("done") })
            > Reply(Ok(Done))
            Ended(Outcome(Outcome { label: "echo", detail: Some("complete Direction::Inbound Party::Sip(\"1000\") 1795269787000 zh-CN 4711") }))
        "##]],
    );
}

#[test]
fn what_is_pressed_in_secret_is_a_token_for_the_plugin() {
    let secret = |token: Option<u128>, digits| {
        ok(Reply::Secret {
            token: token.map(SecretToken),
            digits,
            luhn: token.is_some(),
            end: GatherEnd::Terminator,
        })
    };
    check(
        setup("secret"),
        vec![
            RunInput::Start,
            done(),
            done(),
            secret(Some(7), 16),
            secret(None, 0),
        ],
        expect![[r##"
            > Start
            Op(Tape(Pause { lasting: Some(5s) }))
            > Reply(Ok(Done))
            Op(Tape(Resume))
            > Reply(Ok(Done))
            Op(Gather { prompts: [Audio("menu")], spec: GatherSpec { min: 1, max: 19, terminators: "#", first_timeout: 5s, inter_timeout: 2s, barge_in: true }, secret: true })
            > Reply(Ok(Secret { token: Some(sec_00000000000000000000000007), digits: 16, luhn: true, end: Terminator }))
            Op(Gather { prompts: [Audio("menu")], spec: GatherSpec { min: 1, max: 19, terminators: "#", first_timeout: 5s, inter_timeout: 2s, barge_in: true }, secret: true })
            > Reply(Ok(Secret { token: None, digits: 0, luhn: false, end: Terminator }))
            Ended(Outcome(Outcome { label: "secret", detail: Some("ok, ok; Some(\"sec_00000000000000000000000007\") 16 true GatherEnd::Terminator; None 0") }))
        "##]],
    );
}

#[test]
fn every_operation_and_every_reply() {
    let dialed = Reply::Dialed {
        result: DialResult::Busy,
        cause: Some("486".into()),
        talk: Duration::from_millis(1_500),
    };
    let recorded = Reply::Recorded("01J-m1".into());
    let script = vec![
        RunInput::Start,
        done(),
        ok(Reply::Token(9)),
        done(),
        done(),
        ok(dialed),
        ok(recorded),
        done(),
        done(),
        done(),
        done(),
    ];
    check(
        setup("every"),
        script,
        expect![[r#"
        > Start
        Op(Answer)
        > Reply(Ok(Done))
        Op(PlayStart { prompts: [Silence(1.5s)], repeat: true })
        > Reply(Ok(Token(9)))
        Op(PlayStop { token: 9 })
        > Reply(Ok(Done))
        Op(Play { prompts: [Audio("a/b"), Say { text: [private], voice: None }, Value { kind: "digits", value: [private] }] })
        > Reply(Ok(Done))
        Op(Dial { target: E164("+15550100"), options: DialOptions { timeout: 20s, caller_id: Some("1000"), whisper: [Audio("whisper")] } })
        > Reply(Ok(Dialed { result: Busy, cause: Some("486"), talk: 1.5s }))
        Op(Record { max: 30s, silence: 3s, beep: true })
        > Reply(Ok(Recorded("01J-m1")))
        Op(Enqueue { queue: "sales", priority: -2, attrs: [("skill", "zh")] })
        > Reply(Ok(Done))
        Op(Sleep { time: 250ms })
        > Reply(Ok(Done))
        Op(Transfer { target: Sip("1001") })
        > Reply(Ok(Done))
        Op(Hangup { cause: None })
        > Reply(Ok(Done))
        Ended(Outcome(Outcome { label: "9 DialResult::Busy Some(\"486\") 1500 01J-m1", detail: None }))
    "#]],
    );
}

#[test]
fn events_and_errors_reach_the_guest() {
    let done_playing = ok(Reply::Event(FlowEvent::PlayDone(3)));
    check(
        setup("wait"),
        vec![RunInput::Start, key('1'), done_playing, key('#')],
        expect![[r#"
            > Start
            Op(NextEvent { timeout: 60s })
            > Reply(Ok(Event(Dtmf([private]))))
            Op(NextEvent { timeout: 60s })
            > Reply(Ok(Event(PlayDone(3))))
            Op(NextEvent { timeout: 60s })
            > Reply(Ok(Event(Dtmf([private]))))
            Ended(Outcome(Outcome { label: "1<3>", detail: None }))
        "#]],
    );
    check(
        setup("wait"),
        vec![RunInput::Start, failed(FlowError::Cancelled)],
        expect![[r#"
            > Start
            Op(NextEvent { timeout: 60s })
            > Reply(Err(Cancelled))
            Ended(Cancelled)
        "#]],
    );
    check(
        setup("wait"),
        vec![RunInput::Start, failed(FlowError::Timeout)],
        expect![[r#"
            > Start
            Op(NextEvent { timeout: 60s })
            > Reply(Err(Timeout))
            Ended(Fault(Fault { plugin: PluginRef { name: "probe", version: "1.2.3" }, kind: Error, detail: "returned timeout" }))
        "#]],
    );
}

#[test]
fn bounds_are_answered_without_leaving_the_run() {
    check(
        setup("bounds"),
        vec![RunInput::Start],
        expect![[r#"
            > Start
            Ended(Outcome(Outcome { label: "bounds", detail: Some("many Error::Limit(\"at most 64 prompts at once\"); strange Error::Unsupported(\"no prompt of kind \\\"smell\\\"\"); long Error::Limit(\"at most 2000 characters are spoken at once\"); none Error::Invalid(\"0 <= min <= max and 1 <= max <= 64\"); reversed Error::Invalid(\"0 <= min <= max and 1 <= max <= 64\"); letters Error::Invalid(\"terminators are keys out of 0-9, *, # and A-D\"); key Error::Invalid(\"a key has 1 to 64 characters\"); value Error::Limit(\"a value has up to 1024 characters\"); number Error::Invalid(\"a number is + and 1 to 15 digits\"); address Error::Invalid(\"an address is user or user@host, without spaces\"); target Error::Unsupported(\"this host knows no other kind of target\"); queue Error::Invalid(\"queue has 1 to 128 printable characters\")") }))
        "#]],
    );
}

#[test]
fn the_configuration_is_read_by_path() {
    let mut setup = setup("config");
    setup.config = Config::new(vec![
        ("mode".into(), Value::Text("config".into())),
        (
            "keys".into(),
            Value::Text("mode menu.0.key menu nothing".into()),
        ),
        (
            "menu".into(),
            Value::List(vec![Value::Table(vec![("key".into(), Value::Int(1))])]),
        ),
    ]);
    check(
        setup,
        vec![RunInput::Start],
        expect![[r#"
            > Start
            Ended(Outcome(Outcome { label: "config", detail: Some("mode = config; menu.0.key = 1; menu = [{\"key\":1}]; nothing = none") }))
        "#]],
    );
}

#[test]
fn time_stands_still_while_the_guest_runs() {
    check(
        setup("time"),
        vec![RunInput::Start],
        expect![[r#"
            > Start
            Ended(Outcome(Outcome { label: "time", detail: Some("1795269787100 1795269787100 Ok(480) Ok(120) Err(\"no time zone is called \\\"Mars/Olympus\\\"\") 0ns") }))
        "#]],
    );
}

#[test]
fn output_becomes_log_lines() {
    check(
        setup("print"),
        vec![RunInput::Start],
        expect![[r#"
        > Start
        Log { level: Info, message: "a line on stdout" }
        Log { level: Warn, message: "a line on stderr" }
        Ended(Outcome(Outcome { label: "printed", detail: None }))
    "#]],
    );
    check(
        setup("chat"),
        vec![RunInput::Start],
        expect![[r#"
        > Start
        Log { level: Debug, message: "line 0 of two" }
        Log { level: Debug, message: "line 1 of two" }
        Log { level: Debug, message: "line 2 of two" }
        Log { level: Debug, message: "line 3 of two" }
        Log { level: Debug, message: "line 4 of two" }
        Log { level: Debug, message: "line 5 of two" }
        Log { level: Debug, message: "line 6 of two" }
        Log { level: Debug, message: "line 7 of two" }
        Log { level: Debug, message: "line 8 of two" }
        Log { level: Debug, message: "line 9 of two" }
        Ended(Outcome(Outcome { label: "talked", detail: None }))
    "#]],
    );
}

#[test]
fn hangup_answers_the_pending_operation_and_all_later_ones() {
    check(
        setup("asks-after-hangup"),
        vec![RunInput::Start, hangup(), digits("1")],
        expect![[r##"
            > Start
            Op(Gather { prompts: [Audio("menu")], spec: GatherSpec { min: 1, max: 1, terminators: "#", first_timeout: 5s, inter_timeout: 2s, barge_in: true }, secret: false })
            > Hangup("caller hung up")
            Ended(Outcome(Outcome { label: "hangup hangup", detail: None }))
            > Reply(Ok(Digits { value: [private], end: Complete }))
        "##]],
    );
    check(
        setup("gone"),
        vec![RunInput::Start, hangup()],
        expect![[r##"
            > Start
            Op(Gather { prompts: [Audio("menu")], spec: GatherSpec { min: 1, max: 1, terminators: "#", first_timeout: 5s, inter_timeout: 2s, barge_in: true }, secret: false })
            > Hangup("caller hung up")
            Ended(Hangup)
        "##]],
    );
}

#[test]
fn hangup_before_the_start_is_not_lost() {
    check(
        setup("gone"),
        vec![hangup(), RunInput::Start],
        expect![[r#"
            > Hangup("caller hung up")
            > Start
            Ended(Hangup)
        "#]],
    );
}

#[test]
fn inputs_out_of_turn_are_ignored() {
    check(
        setup("gone"),
        vec![
            done(),
            RunInput::Slice,
            RunInput::Start,
            RunInput::Start,
            RunInput::Slice,
            digits("1"),
            digits("2"),
            hangup(),
            RunInput::Kill(FaultKind::Stalled, "late".into()),
        ],
        expect![[r##"
            > Reply(Ok(Done))
            > Slice
            > Start
            Op(Gather { prompts: [Audio("menu")], spec: GatherSpec { min: 1, max: 1, terminators: "#", first_timeout: 5s, inter_timeout: 2s, barge_in: true }, secret: false })
            > Start
            > Slice
            > Reply(Ok(Digits { value: [private], end: Complete }))
            Ended(Outcome(Outcome { label: "stayed", detail: None }))
            > Reply(Ok(Digits { value: [private], end: Complete }))
            > Hangup("caller hung up")
            > Kill(Stalled, "late")
        "##]],
    );
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let random = |seed| {
        let mut setup = setup("random");
        setup.rng = Rng::from_u64(seed);
        ladder(plugin(), setup, vec![RunInput::Start])
    };
    assert_eq!(random(1), random(1));
    assert_ne!(random(1), random(2));

    // On a host of its own too, and when the run is cut off in the middle of a computation.
    let other = load(host_config(Metering::Fuel));
    for mode in ["menu", "loop", "memory", "recurse", "flood", "print-flood"] {
        let script = || vec![RunInput::Start, done(), digits("1"), hangup()];
        assert_eq!(
            ladder(plugin(), setup(mode), script()),
            ladder(&other, setup(mode), script()),
            "{mode}"
        );
    }
}

#[test]
fn the_busiest_stretch_is_told() {
    let mut bench = Bench::new(plugin(), setup("loop"));
    bench.feed(RunInput::Start);
    assert_eq!(bench.run.busiest(), bench.run.budget());
}
