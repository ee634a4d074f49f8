//! Goal: metrics are counted once, bounded, and read as Prometheus reads them.

use std::time::Duration;

use expect_test::expect;
use node::Refusal;
use vocab::call::Cause;
use vocab::flow::{Fault, FaultKind, PluginRef};
use vocab::{CallId, TenantId};

use super::*;

fn plugin(version: &str) -> PluginRef {
    PluginRef {
        name: "ivr-menu".into(),
        version: version.into(),
    }
}

/// Values that are not zero, without help and types.
fn values(metrics: &Metrics) -> String {
    let text = metrics.own();
    let shown = |line: &&str| !line.starts_with('#') && !line.ends_with(" 0");
    text.lines()
        .filter(shown)
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn a_call_and_its_misfortunes_are_counted() {
    let metrics = Metrics::default();
    let tenant: TenantId = "demo".parse().unwrap();
    let source = "192.0.2.7:5060".parse().unwrap();
    let call = CallId(7);
    let fault = Fault {
        plugin: plugin("1.0.0"),
        kind: FaultKind::Panic,
        detail: "planted +8613800138000".to_owned(),
    };
    let message = "planted 4242".to_owned();
    let notices = [
        Notice::Started {
            tenant: tenant.clone(),
            call,
            route: "1000".to_owned(),
        },
        Notice::Answered {
            call,
            after: Duration::from_millis(30),
        },
        Notice::Fault {
            tenant: tenant.clone(),
            call,
            fault,
        },
        Notice::Denied {
            call,
            plugin: plugin("1.0.0"),
            capability: "dial",
        },
        Notice::PluginLog {
            call,
            plugin: plugin("1.0.0"),
            level: Level::Warn,
            message,
        },
        Notice::Ended {
            tenant,
            call,
            cause: Cause::Normal,
            duration: Duration::from_secs(20),
        },
        Notice::TurnedAway {
            source,
            refusal: Refusal::UnknownNumber,
        },
        Notice::PluginLive {
            plugin: plugin("1.1.0"),
        },
        Notice::PluginRolledBack {
            from: plugin("1.1.0"),
            to: plugin("1.0.0"),
        },
        Notice::PluginRefused {
            plugin: plugin("1.1.0"),
            why: "planted".to_owned(),
        },
        Notice::Registered {
            tenant: None,
            user: "1001".to_owned(),
            contacts: 1,
            refreshed: false,
        },
        Notice::AuthFailed { source },
        Notice::NotWritten { call },
        Notice::Unregistered {
            tenant: None,
            user: "1001".to_owned(),
            why: vocab::call::Unregistered::Asked,
        },
        Notice::Banned {
            source: source.ip(),
            reason: "scanner",
            lasting: Duration::from_secs(60),
        },
    ];
    for notice in &notices {
        metrics.notice(notice);
    }
    let mut counts = node::Counts {
        calls: 3,
        ..node::Counts::default()
    };
    counts.engine.ports_free = 94;
    counts.sip.client_invites = 1;
    counts.sip.servers = 2;
    counts.sip.guard.banned = 1;
    counts.sip.guard.dropped_banned = 70;
    counts.sip.guard.bans = [1, 0, 0, 2];
    metrics.counts(&counts);
    metrics.shell(Shell {
        guests: 3,
        store_waiting: 5,
        disk_failing: true,
        ..Shell::default()
    });
    let media = media::Counts {
        sessions: 2,
        packets_in: 70,
        ..media::Counts::default()
    };
    metrics.media(1, &media, true);

    let text = values(&metrics);
    expect![[r#"
        jackfield_calls_started_total{tenant="demo"} 1
        jackfield_calls_answered_total 1
        jackfield_calls_total{tenant="demo",cause="normal"} 1
        jackfield_calls_turned_away_total{refusal="unknown_number"} 1
        jackfield_answer_seconds_bucket{le="0.05"} 1
        jackfield_answer_seconds_bucket{le="0.1"} 1
        jackfield_answer_seconds_bucket{le="0.25"} 1
        jackfield_answer_seconds_bucket{le="0.5"} 1
        jackfield_answer_seconds_bucket{le="1"} 1
        jackfield_answer_seconds_bucket{le="2.5"} 1
        jackfield_answer_seconds_bucket{le="5"} 1
        jackfield_answer_seconds_bucket{le="10"} 1
        jackfield_answer_seconds_bucket{le="30"} 1
        jackfield_answer_seconds_bucket{le="60"} 1
        jackfield_answer_seconds_bucket{le="+Inf"} 1
        jackfield_answer_seconds_sum 0.03
        jackfield_answer_seconds_count 1
        jackfield_call_duration_seconds_bucket{le="30"} 1
        jackfield_call_duration_seconds_bucket{le="60"} 1
        jackfield_call_duration_seconds_bucket{le="120"} 1
        jackfield_call_duration_seconds_bucket{le="300"} 1
        jackfield_call_duration_seconds_bucket{le="600"} 1
        jackfield_call_duration_seconds_bucket{le="1800"} 1
        jackfield_call_duration_seconds_bucket{le="3600"} 1
        jackfield_call_duration_seconds_bucket{le="+Inf"} 1
        jackfield_call_duration_seconds_sum 20
        jackfield_call_duration_seconds_count 1
        jackfield_plugin_faults_total{plugin="ivr-menu",version="1.0.0",kind="panic"} 1
        jackfield_plugin_denied_total{plugin="ivr-menu",capability="dial"} 1
        jackfield_plugin_log_lines_total{plugin="ivr-menu",level="warn"} 1
        jackfield_plugin_installs_total{plugin="ivr-menu",version="1.1.0"} 1
        jackfield_plugin_refused_total{plugin="ivr-menu"} 1
        jackfield_plugin_rolled_back_total{plugin="ivr-menu",version="1.1.0"} 1
        jackfield_registrations_total 1
        jackfield_auth_failures_total 1
        jackfield_not_written_total 1
        jackfield_calls 3
        jackfield_rtp_ports_free 94
        jackfield_sip_client_invites 1
        jackfield_sip_server_transactions 2
        jackfield_sip_transactions 3
        jackfield_sip_banned 1
        jackfield_sip_dropped_total{reason="banned"} 70
        jackfield_sip_bans_total{reason="scanner"} 1
        jackfield_sip_bans_total{reason="flood"} 2
        jackfield_guests 3
        jackfield_store_waiting 5
        jackfield_disk_failing 1
        jackfield_media_sessions{worker="1"} 2
        jackfield_media_packets_in_total{worker="1"} 70
        jackfield_media_full{worker="1"} 1
    "#]]
    .assert_eq(&text);
    for private in ["planted", "192.0.2.7", "1000\"", "4242", "8613800138000"] {
        assert!(!text.contains(private), "{private}");
    }
}

#[test]
fn the_format_is_what_prometheus_reads() {
    let metrics = Metrics::default();
    metrics.media(0, &media::Counts::default(), false);
    let text = metrics.render();
    let mut named = std::collections::BTreeSet::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("# TYPE ") {
            let (name, kind) = name.split_once(' ').unwrap();
            assert!(named.insert(name), "{name} is described once");
            assert_eq!(
                kind == "counter",
                name.ends_with("_total"),
                "{name} is a {kind}"
            );
        } else if !line.starts_with('#') {
            let (what, value) = line.rsplit_once(' ').unwrap();
            let name = what.split('{').next().unwrap();
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end));
            assert!(
                named.contains(name) || family.is_some_and(|f| named.contains(f)),
                "{name}"
            );
            value.parse::<f64>().unwrap();
        }
    }
    assert!(named.contains("jackfield_build_info"));
    assert!(named.contains("process_open_fds"));
}
