//! Goal: each notice becomes one line without private values, and floods are rationed.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use expect_test::{Expect, expect};
use vocab::call::Cause;
use vocab::flow::{Fault, FaultKind};
use vocab::{CallId, TenantId};

use super::*;

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The log of what is done, without times.
fn log(what: impl FnOnce()) -> String {
    let kept = Kept::default();
    let out = kept.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || out.clone())
        .with_ansi(false)
        .without_time()
        .with_max_level(tracing::Level::TRACE)
        .finish();
    tracing::subscriber::with_default(subscriber, what);
    let bytes = kept.0.lock().unwrap().clone();
    let text = String::from_utf8(bytes).unwrap();
    text.lines()
        .map(|line| format!("{}\n", line.trim_start()))
        .collect()
}

fn check(notices: &[Notice], expected: Expect) {
    expected.assert_eq(&log(|| notices.iter().for_each(write)));
}

fn plugin(version: &str) -> PluginRef {
    PluginRef {
        name: "ivr-menu".into(),
        version: version.into(),
    }
}

#[test]
fn a_call_is_three_lines() {
    let (call, tenant) = (CallId(7), "demo".parse::<TenantId>().unwrap());
    check(
        &[
            Notice::Started {
                tenant: tenant.clone(),
                call,
                route: "1000".to_owned(),
            },
            Notice::Answered {
                call,
                after: Duration::from_millis(31),
            },
            Notice::Ended {
                tenant,
                call,
                cause: Cause::Normal,
                duration: Duration::from_millis(20_400),
            },
        ],
        expect![[r#"
             INFO jackfield_server::telemetry::lines: call 00000000000000000000000007 started tenant=demo call.id=00000000000000000000000007
             INFO jackfield_server::telemetry::lines: call 00000000000000000000000007 answered after 31 ms call.id=00000000000000000000000007 duration_ms=31
             INFO jackfield_server::telemetry::lines: call 00000000000000000000000007 ended after 20400 ms: normal tenant=demo call.id=00000000000000000000000007 cause="normal" duration_ms=20400
        "#]],
    );
}

#[test]
fn a_fault_names_plugin_version_and_reason() {
    let (call, tenant) = (CallId(7), "demo".parse::<TenantId>().unwrap());
    let fault = Fault {
        plugin: plugin("1.2.0"),
        kind: FaultKind::Panic,
        detail: "index 3\nout of bounds".to_owned(),
    };
    check(
        &[
            Notice::Fault {
                tenant,
                call,
                fault,
            },
            Notice::Denied {
                call,
                plugin: plugin("1.2.0"),
                capability: "dial",
            },
            Notice::PluginRolledBack {
                from: plugin("1.2.0"),
                to: plugin("1.1.0"),
            },
            Notice::PluginFailing {
                plugin: plugin("1.1.0"),
            },
            Notice::PluginRefused {
                plugin: plugin("1.2.0"),
                why: "not now".to_owned(),
            },
            Notice::PluginLive {
                plugin: plugin("1.3.0"),
            },
            Notice::PluginDrained {
                plugin: plugin("1.1.0"),
            },
            Notice::PluginFreed {
                plugin: plugin("1.2.0"),
            },
            Notice::NotWritten { call },
        ],
        expect![[r#"
            WARN jackfield_server::telemetry::lines: plugin ivr-menu 1.2.0 broke in call 00000000000000000000000007: panic: index 3\nout of bounds tenant=demo call.id=00000000000000000000000007 plugin.name=ivr-menu plugin.version=1.2.0 fault="panic"
            WARN jackfield_server::telemetry::lines: plugin ivr-menu 1.2.0 asked for dial, which the route of call 00000000000000000000000007 does not grant call.id=00000000000000000000000007 plugin.name=ivr-menu plugin.version=1.2.0 capability="dial"
            ERROR jackfield_server::telemetry::lines: plugin ivr-menu 1.2.0 failed too often: new calls go to 1.1.0 again plugin.name=ivr-menu plugin.version=1.2.0
            ERROR jackfield_server::telemetry::lines: plugin ivr-menu 1.1.0 fails again and again, and no earlier version is kept: install a good one plugin.name=ivr-menu plugin.version=1.1.0
            WARN jackfield_server::telemetry::lines: plugin ivr-menu 1.2.0 was not taken: not now plugin.name=ivr-menu plugin.version=1.2.0
            INFO jackfield_server::telemetry::lines: plugin ivr-menu 1.3.0 takes new calls plugin.name=ivr-menu plugin.version=1.3.0
            INFO jackfield_server::telemetry::lines: plugin ivr-menu 1.1.0 has no calls left; it is kept for a rollback plugin.name=ivr-menu plugin.version=1.1.0
            INFO jackfield_server::telemetry::lines: plugin ivr-menu 1.2.0 is gone plugin.name=ivr-menu plugin.version=1.2.0
            WARN jackfield_server::telemetry::lines: events of call 00000000000000000000000007 could not be written call.id=00000000000000000000000007
        "#]],
    );
}

#[test]
fn a_plugin_cannot_forge_a_line() {
    let message = "你好\n ERROR fake\u{1b}[31m\u{2028}end".to_owned();
    let notice = Notice::PluginLog {
        call: CallId(7),
        plugin: plugin("1.0.0"),
        level: Level::Info,
        message,
    };
    check(
        &[notice],
        expect![[r#"
         INFO plugin: 你好\n ERROR fake\u{1b}[31m\u{2028}end call.id=00000000000000000000000007 plugin.name=ivr-menu plugin.version=1.0.0
    "#]],
    );
}

#[test]
fn what_strangers_cause_is_rationed() {
    let source = "192.0.2.7:5060".parse().unwrap();
    let text = log(|| {
        let mut lines = Lines::default();
        for n in 0..300 {
            let now = Mono(5_000_000_000 + n);
            lines.notice(now, &Notice::AuthFailed { source });
            lines.notice(
                now,
                &Notice::TurnedAway {
                    source,
                    refusal: Refusal::UnknownNumber,
                },
            );
            lines.turn(now);
        }
        lines.turn(Mono(7_000_000_000));
        lines.turn(Mono(8_000_000_000));
    });
    let mut kinds: Vec<String> = Vec::new();
    for line in text.lines() {
        if kinds.last().is_none_or(|last| last != line) && !kinds.iter().any(|kind| kind == line) {
            kinds.push(line.to_owned());
        }
    }
    assert_eq!(text.lines().count(), 12, "{text}");
    expect![[r#"
         WARN jackfield_server::telemetry::lines: wrong credentials from 192.0.2.7 source.ip=192.0.2.7
         INFO jackfield_server::telemetry::lines: a call was turned away: unknown_number refusal="unknown_number"
         WARN jackfield_server::telemetry::lines: more wrong credentials: lines were left out lines=295
         INFO jackfield_server::telemetry::lines: more calls were turned away: lines were left out lines=295
    "#]].assert_eq(&(kinds.join("\n") + "\n"));
}
