//! Goal: of two carriers the first falls silent while calls come in. No call is lost and none is
//! connected twice: each is taken by one carrier, the second one while the first is away; and when
//! the first is back, it is used again.

use std::collections::BTreeSet;
use std::time::Duration;

use jackfield_tests::load::failover::{CALLER, Course, MENU, run, trunks};
use jackfield_tests::load::{Carrier, Load, Script};
use jackfield_tests::peers::record;
use jackfield_tests::shell::{PATIENCE, Server, Setup};

const TALK: Duration = Duration::from_millis(100);

const COURSE: Course = Course {
    rate: 20.0,
    before: Duration::from_secs(4),
    silent: Duration::from_secs(10),
    after: Duration::from_secs(4),
};

#[test]
fn a_carrier_falls_silent_and_no_call_is_lost() {
    let carriers = [0, 1].map(|_| Carrier::start(TALK).expect("a carrier"));
    let mut setup = Setup::demo("failover");
    setup.rtp_ports = 800;
    setup.tenants += &trunks(&carriers.each_ref().map(|carrier| carrier.address));
    setup.files.insert("menu.toml".to_owned(), MENU.to_owned());
    let server = Server::start(setup).expect("a server");
    let script = Script {
        number: "1000",
        user: Some(CALLER),
        acts: Vec::new(),
        patience: PATIENCE,
        audio: None,
    };
    let mut load = Load::new(server.sip, script).expect("callers");
    let [first, second] = &carriers;
    let went = run(&mut load, [first, second], COURSE, PATIENCE).expect("a course");

    let (calls, told) = (went.tally.started, went.told());
    assert_eq!(went.tally.failures(), 0, "{}", went.tally.reasons());
    assert_eq!(went.tally.ended, calls);
    let [stopped, resumed, end] = [&went.stopped, &went.resumed, &went.end];
    // The second is not bothered before, nor the first meanwhile.
    assert!(stopped[0].taken > 0 && stopped[1].taken == 0, "{told}");
    assert_eq!(resumed[0].taken, stopped[0].taken, "{told}");
    assert!(resumed[1].taken > 0 && !end[0].missed.is_empty(), "{told}");
    // What the first missed it never got after all, and each call was taken once.
    assert_eq!(end[0].late, 0, "{told}");
    assert_eq!(end[0].taken + end[1].taken, calls, "{told}");
    assert_eq!(end[0].talked + end[1].talked, calls, "{told}");

    // Call by call: one answer, after at most one carrier that said nothing.
    let records = record::of_user(&server, CALLER.0, calls as usize).expect("records");
    let mut ways = BTreeSet::new();
    let mut failed_over = 0;
    for record in &records {
        let ended = record.events("leg.dial_ended");
        let results: Vec<_> = ended
            .iter()
            .filter_map(|it| it["result"].as_str())
            .collect();
        failed_over += u64::from(results.len() == 2);
        ways.insert(results.join(", "));
    }
    let expected = ["answered", "unreachable, answered"].map(str::to_owned);
    assert_eq!(ways, BTreeSet::from(expected));
    assert_eq!(failed_over, end[0].missed.len() as u64, "{told}");
    let failovers = server.metric("jackfield_trunk_failovers_total{trunk=\"carrier0\"}");
    assert_eq!(failovers.expect("a metric"), failed_over as f64);
    let up = "jackfield_trunk_changes_total{tenant=\"demo\",trunk=\"carrier0\",state=\"up\"}";
    assert_eq!(server.metric(up).expect("a metric"), 1.0);
}
