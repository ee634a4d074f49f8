//! Calls as ladders: what the caller does on the left, what the walker does on the right.

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use jackfield::clock::{Date, Local};

use super::*;
use crate::schedule::parse_time;

/// Monday morning.
const WORKDAY: &str = "2026-11-16 10:05";
const NIGHT: &str = "2026-11-16 23:30";
const HOLIDAY: &str = "2026-10-02 10:00";

const OFFICE: &str = r#"
start = { schedule = "office", open = { menu = "main" }, closed = { play = "closed", message = {}, then = "hangup" } }
language = "zh-CN"
time_zone = "Asia/Shanghai"
goodbye = "bye"
unavailable = "sorry"

[defaults]
no_input = "silent"
invalid = "wrong"
tries = 2
on_failure = { play = "giving_up", transfer = "1001" }

[menu.main]
prompt = [{ greeting = "day" }, "main"]
[menu.main.option]
1 = { play = "about" }
2 = { language = "en", menu = "sub" }
3 = { play = "now", then = { play = [{ date = "today" }, { time = "now" }], then = "repeat" } }
21 = { transfer = "+861012345678", blind = true, failed = { play = "no_line", then = "hangup" } }
4 = { collect = { prompt = "order", into = "order", min = 4, max = 6, tries = 2 }, answers.1234 = { play = ["is", { digits = "$order" }] }, then = { play = "unknown" } }
0 = "hangup"

[menu.sub]
prompt = "sub"
option.9 = "back"
option."*" = "repeat"
option.1 = { menu = "main" }
option.2 = { play = "hold", transfer = "1002", timeout_s = 5 }

[[greeting.day]]
from = "05:00"
to = "12:00"
play = "morning"

[schedule.office]
mon-fri = ["09:00-18:00"]
[[schedule.office.holiday]]
from = "2026-10-01"
to = "2026-10-07"
greeting = "national_day"
"#;

/// Walks a script of words: keys, `-` for none, `ok`, or `fail`.
fn check(moment: &str, script: &str, expected: Expect) {
    let table: toml::Table = toml::from_str(OFFICE).expect("good TOML");
    let json = serde_json::to_string(&table).expect("JSON can say it");
    let tree = Tree::from_json(&json).expect("no problems");
    let (date, time) = moment.split_once(' ').expect("date and time");
    let local = Local {
        date: Date::parse(date).expect("date"),
        minute: parse_time(time).expect("time"),
        second: 0,
    };
    let clock = |zone: &str| {
        assert_eq!(zone, "Asia/Shanghai");
        Ok(local)
    };

    let mut walker = Walker::new(&tree);
    let mut ladder = String::new();
    let mut words = script.split_whitespace();
    let mut answer = Answer::Done;
    loop {
        let step = walker.next(&clock, answer).expect("the zone is known");
        writeln!(ladder, "{}", show(&step)).expect("a string takes it");
        answer = match step {
            Step::Finish { .. } => break,
            Step::Play(_) | Step::Set { .. } => Answer::Done,
            Step::Ask(_) | Step::Dial { .. } | Step::Transfer { .. } | Step::Record { .. } => {
                let Some(word) = words.next() else { break };
                writeln!(ladder, "  {word}").expect("a string takes it");
                match word {
                    "ok" => Answer::Done,
                    "fail" => Answer::Failed,
                    "-" => Answer::Digits(String::new()),
                    keys => Answer::Digits(keys.to_owned()),
                }
            }
        };
    }
    assert_eq!(words.next(), None, "the call was over before:\n{ladder}");
    expected.assert_eq(&ladder);
}

fn show(step: &Step) -> String {
    let prompts = |prompts: &[Played]| {
        let words = prompts.iter().map(|prompt| match prompt {
            Played::Audio(name) => name.clone(),
            Played::Say((text, _)) => format!("{text:?}"),
            Played::Value((kind, value)) => format!("{kind}={value}"),
            Played::Silence(ms) => format!("{ms}ms"),
            Played::Other((kind, _)) => kind.clone(),
        });
        words.collect::<Vec<_>>().join(" ")
    };
    match step {
        Step::Play(list) => format!("play {}", prompts(list)),
        Step::Ask(ask) => {
            format!(
                "ask {}-{}{} {}",
                ask.min,
                ask.max,
                ask.terminators,
                prompts(&ask.prompts)
            )
        }
        Step::Set { key, value } => format!("set {key}={value}"),
        Step::Dial { target, timeout } => format!("dial {target} {timeout:?}"),
        Step::Transfer { target } => format!("transfer {target}"),
        Step::Record { max, silence } => format!("record {max:?} {silence:?}"),
        Step::Finish { label, trail } => format!("finish {label} ({trail})"),
    }
}

#[test]
fn an_answer_and_goodbye() {
    check(
        WORKDAY,
        "1 0",
        expect![[r#"
            set language=zh-CN
            ask 1-2# morning main
              1
            ask 1-2# about morning main
              0
            play bye
            finish done (main)
        "#]],
    );
}

#[test]
fn another_language_a_level_down_and_back() {
    check(
        WORKDAY,
        "2 * 9 0",
        expect![[r#"
            set language=zh-CN
            ask 1-2# morning main
              2
            set language=en
            ask 1-1 sub
              *
            ask 1-1 sub
              9
            ask 1-2# morning main
              0
            play bye
            finish done (main > sub > main)
        "#]],
    );
}

#[test]
fn wrong_keys_and_silence_end_with_the_operator() {
    check(
        WORKDAY,
        "7 - ok",
        expect![[r#"
            set language=zh-CN
            ask 1-2# morning main
              7
            ask 1-2# wrong morning main
              -
            play giving_up
            dial 1001 30s
              ok
            play bye
            finish transferred (main)
        "#]],
    );
}

#[test]
fn a_line_nobody_holds_is_hung_up() {
    check(
        WORKDAY,
        "- - fail - - fail - - fail - - fail -",
        expect![[r#"
            set language=zh-CN
            ask 1-2# morning main
              -
            ask 1-2# silent morning main
              -
            play giving_up
            dial 1001 30s
              fail
            ask 1-2# sorry morning main
              -
            ask 1-2# silent morning main
              -
            play giving_up
            dial 1001 30s
              fail
            ask 1-2# sorry morning main
              -
            ask 1-2# silent morning main
              -
            play giving_up
            dial 1001 30s
              fail
            ask 1-2# sorry morning main
              -
            ask 1-2# silent morning main
              -
            play giving_up
            dial 1001 30s
              fail
            ask 1-2# sorry morning main
              -
            play bye
            finish gave_up (main)
        "#]],
    );
}

#[test]
fn transfers_work_or_not() {
    check(
        WORKDAY,
        "2 2 fail 2 ok",
        expect![[r#"
            set language=zh-CN
            ask 1-2# morning main
              2
            set language=en
            ask 1-1 sub
              2
            play hold
            dial 1002 5s
              fail
            ask 1-1 sorry sub
              2
            play hold
            dial 1002 5s
              ok
            play bye
            finish transferred (main > sub)
        "#]],
    );
    check(
        WORKDAY,
        "21 ok",
        expect![[r#"
            set language=zh-CN
            ask 1-2# morning main
              21
            transfer +861012345678
              ok
            finish transferred (main)
        "#]],
    );
    check(
        WORKDAY,
        "21 fail",
        expect![[r#"
            set language=zh-CN
            ask 1-2# morning main
              21
            transfer +861012345678
              fail
            play no_line bye
            finish done (main)
        "#]],
    );
}

#[test]
fn typed_input_becomes_a_fact_and_finds_its_answer() {
    check(
        WORKDAY,
        "4 12 1234 4 99999 4 1 -",
        expect![[r#"
            set language=zh-CN
            ask 1-2# morning main
              4
            ask 4-6# order
              12
            ask 4-6# order
              1234
            set order=1234
            ask 1-2# is digits=1234 morning main
              4
            ask 4-6# order
              99999
            set order=99999
            ask 1-2# unknown morning main
              4
            ask 4-6# order
              1
            ask 4-6# order
              -
            ask 1-2# morning main
        "#]],
    );
}

#[test]
fn closed_at_night_and_on_holidays() {
    check(
        NIGHT,
        "ok",
        expect![[r#"
            set language=zh-CN
            play closed
            record 60s 5s
              ok
            play bye
            finish message ()
        "#]],
    );
    check(
        HOLIDAY,
        "fail",
        expect![[r#"
            set language=zh-CN
            play national_day closed
            record 60s 5s
              fail
            play sorry bye
            finish done ()
        "#]],
    );
}

#[test]
fn the_clock_is_read_out() {
    check(
        WORKDAY,
        "3",
        expect![[r#"
            set language=zh-CN
            ask 1-2# morning main
              3
            ask 1-2# now date=2026-11-16 time=10:05 morning main
        "#]],
    );
}

#[test]
fn an_unknown_zone_is_an_error() {
    let source = r#"{"start":"m","time_zone":"Asia/Beijing",
        "menu":{"m":{"prompt":{"time":"now"},"option":{"1":"back"}}}}"#;
    let tree = Tree::from_json(source).expect("only the host knows the zones");
    let clock = |zone: &str| Err(format!("no zone {zone}"));
    let result = Walker::new(&tree).next(&clock, Answer::Done);
    assert_eq!(result, Err("no zone Asia/Beijing".to_owned()));
}

#[test]
#[should_panic(expected = "not an answer to the last step")]
fn digits_are_no_answer_to_a_dial() {
    let source = r#"{"start":{"transfer":"1001"},
        "menu":{}}"#;
    let tree = Tree::from_json(source).expect("a tree without menus is a switch");
    let clock = |_: &str| Err("not needed".to_owned());
    let mut walker = Walker::new(&tree);
    let step = walker.next(&clock, Answer::Done).expect("no clock");
    assert_eq!(show(&step), "dial 1001 30s");
    let _ = walker.next(&clock, Answer::Digits("1".to_owned()));
}
