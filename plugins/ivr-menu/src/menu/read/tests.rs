//! Configurations good and bad.

use std::path::Path;

use expect_test::{Expect, expect};

use crate::menu::{Next, Tree};

/// The JSON that the host hands over for a TOML file.
fn json(toml: &str) -> String {
    let table: toml::Table = toml::from_str(toml).expect("good TOML");
    serde_json::to_string(&table).expect("JSON can say it")
}

/// Everything that is reported, a line each.
fn check(toml: &str, expected: Expect) {
    let report = match Tree::from_json(&json(toml)) {
        Ok(_) => "fine\n".to_owned(),
        Err(problems) => problems
            .0
            .iter()
            .map(|p| format!("{}: {}\n", p.place, p.reason))
            .collect(),
    };
    expected.assert_eq(&report);
}

const BASE: &str = r#"
start = "main"
time_zone = "Asia/Shanghai"
[menu.main]
prompt = "main"
option.1 = "repeat"
"#;

#[test]
fn the_smallest_tree() {
    check(BASE, expect!["fine\n"]);
}

#[test]
fn the_demo_is_fine_and_all_its_prompts_exist() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/demo");
    let source = std::fs::read_to_string(demo.join("menu.toml")).expect("the demo's menu");
    let tree = Tree::from_json(&json(&source)).expect("no problems");
    assert_eq!(
        tree.needs().into_iter().collect::<Vec<_>>(),
        ["dial", "record"]
    );
    assert_eq!(
        tree.zones().into_iter().collect::<Vec<_>>(),
        ["Asia/Shanghai"]
    );
    let names = tree.audio_names();
    assert!(
        names.contains("welcome") && names.contains("order_shipped"),
        "{names:?}"
    );
    for language in ["zh-CN", "en"] {
        for name in &names {
            let is_there = [language, "common"]
                .iter()
                .any(|folder| demo.join(format!("prompts/{folder}/{name}.wav")).is_file());
            assert!(is_there, "{language} {name}");
        }
    }
}

#[test]
fn not_json_at_all() {
    let problems = Tree::from_json("").expect_err("empty");
    assert_eq!(
        problems.to_string(),
        "the configuration cannot be read: not JSON at byte 0"
    );
    assert_eq!(
        Tree::from_json("[]").expect_err("a list").to_string(),
        "expected a table"
    );
}

#[test]
fn an_empty_tree() {
    check(
        "",
        expect![[r#"
            menu: missing; there is no menu at all
            start: missing; name the first menu
        "#]],
    );
}

#[test]
fn names_that_do_not_exist() {
    check(
        r#"
        start = "mian"
        [menu.main]
        prompt = ["main", { greeting = "dya" }]
        [menu.main.option]
        1 = { menu = "sales" }
        2 = { schedule = "ofice", open = "repeat", closed = "hangup" }
        3 = "retpeat"
        "#,
        expect![[r#"
            menu.main: no choice leads here
            menu.main.option.1.menu: there is no menu "sales"
            menu.main.option.2.schedule: there is no schedule "ofice"
            menu.main.option.3: "retpeat" is not repeat, back, hangup or a table
            menu.main.prompt.1.greeting: there is no greeting "dya"
            start: there is no menu "mian"
            time_zone: missing; menu.main.prompt.1.greeting needs it, as in "Asia/Shanghai"
        "#]],
    );
}

#[test]
fn menus_nobody_reaches() {
    check(
        r#"
        start = "main"
        [defaults]
        on_failure = { menu = "help" }
        [menu.main]
        prompt = "main"
        option.1 = "repeat"
        [menu.help]
        prompt = "help"
        option.1 = "back"
        [menu.island]
        prompt = "island"
        option.1 = { menu = "islet" }
        [menu.islet]
        prompt = "islet"
        option.1 = { menu = "island" }
        "#,
        expect![[r#"
            menu.island: no choice leads here
            menu.islet: no choice leads here
        "#]],
    );
}

#[test]
fn keys_twice_and_keys_that_are_none() {
    check(
        r#"
        start = "main"
        [menu.main]
        prompt = "main"
        [menu.main.option]
        "1,2" = "repeat"
        "2,3" = "hangup"
        "A" = "repeat"
        "123456789" = "repeat"
        "" = "repeat"
        "#,
        expect![[r#"
            menu.main.option.: "" is not 1 to 8 keys out of 0-9, * and #
            menu.main.option.123456789: "123456789" is not 1 to 8 keys out of 0-9, * and #
            menu.main.option.2,3: 2 is there twice
            menu.main.option.A: "A" is not 1 to 8 keys out of 0-9, * and #
        "#]],
    );
}

#[test]
fn actions_that_make_no_sense() {
    check(
        r#"
        start = { play = "hello" }
        [menu.main]
        prompt = "main"
        tries = 0
        timout_s = 5
        [menu.main.option]
        1 = { menu = "main", transfer = "1001" }
        2 = { menu = "main", then = "hangup" }
        3 = { transfer = "10 01" }
        4 = { message = { max_s = 100000 } }
        5 = { collect = { into = "bad name", min = 9, max = 3 } }
        6 = { play = { sya = "hello" } }
        7 = { play = "../secret" }
        8 = { schedule = "x", open = "repeat" }
        9 = 7
        0 = { transfr = "1001" }
        "#,
        expect![[r#"
            menu.main.option.0.transfr: unknown key; there are collect, language, menu, message, play, schedule, set, then, transfer
            menu.main.option.1: only one of menu and transfer
            menu.main.option.2.then: unknown key; there are language, menu, play, set
            menu.main.option.3.transfer: expected a phone, a number or a SIP address
            menu.main.option.4.message.max_s: expected a whole number, 1 to 600
            menu.main.option.5.collect.into: expected letters, digits and _
            menu.main.option.5.collect.min: more than max, which is 3
            menu.main.option.5.collect.prompt: missing; say what to type
            menu.main.option.6.play: expected one of say, digits, number, date, time, amount, pause_ms, greeting
            menu.main.option.7.play: an audio's name has letters, digits, _ and -, and / between folders
            menu.main.option.8.closed: missing; say what happens then
            menu.main.option.9: expected a table
            menu.main.timout_s: unknown key; there are inter_s, invalid, no_input, on_failure, option, prompt, timeout_s, tries
            menu.main.tries: expected a whole number, 1 to 9
            start: leads nowhere; add then, or one of menu, transfer, message, collect, schedule
        "#]],
    );
}

#[test]
fn hours_and_days_that_do_not_exist() {
    check(
        &format!(
            r#"{BASE}
            [schedule.office]
            time_zone = "Asia/Shang hai"
            mon-fri = ["09:00-25:00", "9-12"]
            tue = "09:00-18:00"
            sat = ["09:00-12:00", "11:00-18:00"]
            holiday = [{{ date = "2026-02-30" }}, {{ from = "2026-10-07", to = "2026-10-01" }}, {{ from = "2026-10-01" }}]
            workday = [{{ date = "2026-10-10" }}, {{ date = "2026-10-10", like = "monday" }}]
            [schedule.empty]
            [[greeting.day]]
            from = "05:00"
            play = "good_morning"
            "#
        ),
        expect![[r#"
            greeting.day.0: expected from and to, as in from = "05:00", to = "12:00"
            schedule.empty: no hours at all, as in mon-fri = ["09:00-18:00"]
            schedule.office.holiday.0.date: "2026-02-30" is not a date, as in 2026-10-01
            schedule.office.holiday.1.to: 2026-10-01 is before 2026-10-07
            schedule.office.holiday.2.to: missing; a date as in 2026-10-01
            schedule.office.mon-fri: "09:00-25:00" is not a span, as in "09:00-18:00"
            schedule.office.mon-fri: "9-12" is not a span, as in "09:00-18:00"
            schedule.office.mon-fri: tue is there twice
            schedule.office.sat: "11:00-18:00" does not come after the one before
            schedule.office.time_zone: expected an IANA zone, as in "Asia/Shanghai"
            schedule.office.tue: expected a list, as in ["09:00-12:00", "13:30-18:00"]
            schedule.office.workday: 2026-10-10 is there twice
            schedule.office.workday.0: expected either hours, or like = "mon"
            schedule.office.workday.1.like: expected a weekday: mon, tue, wed, thu, fri, sat, sun
        "#]],
    );
}

#[test]
fn actions_too_deep() {
    let deep = (0..20).fold("\"repeat\"".to_owned(), |inner, _| {
        format!("{{ then = {inner} }}")
    });
    check(
        &format!("start = \"main\"\n[menu.main]\nprompt = \"main\"\noption.1 = {deep}\n"),
        expect![[r#"
            menu.main.option.1.then.then.then.then.then.then.then.then.then: more than 8 actions inside each other
        "#]],
    );
}

#[test]
fn dates_may_be_written_without_quotes() {
    let tree = Tree::from_json(
        r#"{"start":"m","time_zone":"UTC","menu":{"m":{"prompt":"m","option":{"1":"back"}}},
            "schedule":{"s":{"mon":["09:00-17:00"],"holiday":[{"date":"2026-12-25"}]}}}"#,
    )
    .expect("fine");
    assert_eq!(tree.start.next, Next::Menu("m".to_owned()));
    assert_eq!(
        tree.schedules.get("s").expect("there").holidays[0]
            .from
            .to_string(),
        "2026-12-25"
    );
}
