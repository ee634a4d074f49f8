//! Goal: after `kill -9` at any moment, everything acknowledged is there exactly once, and every
//! call that had started has one record that says how it ended.

mod support;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use jackfield_store::{Listing, Store};
use support::{Home, call, menu_call};
use vocab::record::{CallEventKind, Disposition};
use vocab::{CallId, Wall};

/// Names the database to the child process, which is this test binary again.
const DATABASE: &str = "JACKFIELD_TEST_CRASH_DATABASE";

/// What the child says on a line of its own when something is committed.
const ACKNOWLEDGED: &str = "acknowledged ";

/// Not a test of its own: the process that is killed. Writes calls, several at once, each over
/// several transactions, until it is.
#[tokio::test]
#[ignore = "started by the test below"]
#[allow(
    clippy::disallowed_methods,
    reason = "the database is named by the environment"
)]
async fn child() {
    let Ok(path) = std::env::var(DATABASE) else {
        return;
    };
    let store = Store::open(path.as_ref(), jackfield_store::Options::default())
        .await
        .expect("opens");
    let mut out = std::io::stdout();
    for round in 1.. {
        let calls: Vec<_> = (0..10).map(|i| menu_call(call(round * 10 + i))).collect();
        for (from, to) in [(0, 1), (1, 3), (3, 6), (6, 8)] {
            let batch: Vec<_> = calls
                .iter()
                .flat_map(|events| events[from..to].to_vec())
                .collect();
            store.append(&batch).await.expect("room");
            let mut lines = String::new();
            for event in &batch {
                lines += &format!("{ACKNOWLEDGED}{} {}\n", event.call, event.n);
            }
            out.write_all(lines.as_bytes()).expect("somebody listens");
            out.flush().expect("somebody listens");
        }
    }
}

/// Runs the child, kills it after so many acknowledgements, and returns all it got to say.
fn kill_after(home: &Home, acknowledgements: usize) -> BTreeSet<(CallId, u32)> {
    let mut child = Command::new(std::env::current_exe().expect("a test binary"))
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env(DATABASE, home.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut seen = BTreeSet::new();
    let mut killed = false;
    for line in BufReader::new(child.stdout.take().expect("piped")).lines() {
        let line = line.expect("text");
        let Some(event) = line.strip_prefix(ACKNOWLEDGED) else {
            continue;
        };
        // The last line may be cut off by the kill.
        let Some((call, Ok(n))) = event.split_once(' ').map(|(call, n)| (call, n.parse())) else {
            continue;
        };
        seen.insert((call.parse().expect("a call id"), n));
        if seen.len() >= acknowledgements && !killed {
            child.kill().expect("kill -9");
            killed = true;
        }
    }
    let status = child.wait().expect("ends");
    assert!(
        killed && !status.success(),
        "it was killed, it did not end: {status}"
    );
    seen
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    for acknowledgements in [1, 7, 40, 81, 500, 2_000] {
        let home = Home::new();
        let acknowledged = kill_after(&home, acknowledgements);

        let store = home.open().await;
        let closed = store.close_interrupted(Wall(1)).await.expect("room");
        assert_eq!(
            store.close_interrupted(Wall(2)).await.expect("room"),
            [],
            "once"
        );
        assert_eq!(
            store.check().await.expect("reads"),
            [],
            "records are what events give"
        );
        for &(call, n) in &acknowledged {
            let events = store.events(call).await.expect("reads");
            let found = events.iter().filter(|event| event.n == n).count();
            assert_eq!(found, 1, "event {n} of {call}, acknowledged");
            assert_eq!(events[n as usize - 1], menu_call(call)[n as usize - 1]);
            let ends = events
                .iter()
                .filter(|e| matches!(e.kind, CallEventKind::Ended { .. }));
            assert_eq!(ends.count(), 1, "{call} ended once");
        }
        let all = Listing {
            limit: 1_000,
            ..Listing::default()
        };
        let records = store.records(&all).await.expect("reads");
        for record in &records {
            let interrupted = record.disposition == Disposition::Interrupted;
            assert_eq!(interrupted, closed.contains(&record.call));
            assert!(interrupted || record.disposition == Disposition::Answered);
        }
        let calls: BTreeSet<_> = acknowledged.iter().map(|(call, _)| *call).collect();
        let recorded: BTreeSet<_> = records.iter().map(|record| record.call).collect();
        assert_eq!(recorded.len(), records.len(), "one record each");
        assert!(recorded.is_superset(&calls));
    }
}
