//! Goal: what was appended is there, once, as one record per call, over every way to reopen it.

mod support;

use jackfield_store::{Appended, Error, Finding, Listing, Misfit, Misplaced, Options, Store};
use support::{Home, call, ended, event, menu_call, started, tenant};
use vocab::call::{Cause, Side};
use vocab::record::{CallEventKind, Disposition};
use vocab::{RecordingId, Wall};

fn added(added: usize) -> Appended {
    Appended {
        added,
        ..Appended::default()
    }
}

#[tokio::test]
async fn a_call_becomes_events_and_one_record() {
    let home = Home::new();
    let store = home.open().await;
    let events = menu_call(call(1));
    assert_eq!(store.append(&events).await.expect("room"), added(8));
    assert_eq!(store.events(call(1)).await.expect("reads"), events);
    let record = store
        .record(call(1))
        .await
        .expect("reads")
        .expect("is there");
    assert_eq!(record.disposition, Disposition::Answered);
    assert_eq!((record.events, record.outcome.as_deref()), (8, Some("one")));
    assert_eq!(
        store.records(&Listing::default()).await.expect("reads"),
        [record]
    );
    assert_eq!(store.record(call(2)).await.expect("reads"), None);
    assert_eq!(store.events(call(2)).await.expect("reads"), []);
    assert_eq!(store.check().await.expect("reads"), []);
}

#[tokio::test]
async fn every_column_of_a_record_reads_back() {
    let home = Home::new();
    let store = home.open().await;
    let plugin = vocab::flow::PluginRef {
        name: "m".into(),
        version: "1.0.0".into(),
    };
    let recording = |n| match n {
        0 => RecordingId::of_call(call(1)),
        n => RecordingId::message(call(1), n),
    };
    let fault = vocab::flow::Fault {
        plugin: plugin.clone(),
        kind: vocab::flow::FaultKind::Panic,
        detail: "quote ' and 越界".into(),
    };
    let left = |n| CallEventKind::MessageLeft {
        recording: recording(n),
        length: std::time::Duration::from_secs(3),
        end: vocab::call::RecordEnd::Silence,
    };
    let kinds = [
        CallEventKind::Started {
            direction: vocab::Direction::Outbound,
            from: vocab::Party::Anonymous,
            to: "+8613800138000".into(),
            user: Some("1001".into()),
            sip_call_id: "x".into(),
            trunk: None,
            withheld: false,
        },
        CallEventKind::RecordingStarted {
            recording: RecordingId::of_call(call(1)),
        },
        CallEventKind::Answered,
        CallEventKind::FlowStarted { plugin },
        left(1),
        left(2),
        CallEventKind::FlowEnded {
            label: "message".into(),
        },
        CallEventKind::FlowFault { fault },
        CallEventKind::Interaction { with: call(7) },
        CallEventKind::Ended {
            cause: Cause::Lost,
            by: Side::Near,
        },
    ];
    let events: Vec<_> = (1..)
        .zip(kinds)
        .map(|(n, kind)| event(call(1), n, kind))
        .collect();
    let mut folded = None;
    // In batches of one, so that every column is updated, not only inserted.
    for event in &events {
        store
            .append(std::slice::from_ref(event))
            .await
            .expect("room");
        jackfield_store::project(&mut folded, event).expect("fits");
    }
    assert_eq!(store.record(call(1)).await.expect("reads"), folded);
    assert_eq!(
        folded.expect("a record").messages,
        [recording(1), recording(2)]
    );
    assert_eq!(store.check().await.expect("reads"), []);
}

#[tokio::test]
async fn events_delivered_again_are_stored_once() {
    let home = Home::new();
    let store = home.open().await;
    let events = menu_call(call(1));
    store.append(&events[..5]).await.expect("room");
    let again = store.append(&events).await.expect("room");
    assert_eq!(
        again,
        Appended {
            added: 3,
            repeated: 5,
            misplaced: vec![]
        }
    );
    // The call is over and no longer in the writer's memory.
    let again = store.append(&events).await.expect("room");
    assert_eq!(
        again,
        Appended {
            added: 0,
            repeated: 8,
            misplaced: vec![]
        }
    );
    // Nor after another start.
    drop(store);
    let store = home.open().await;
    let again = store.append(&events).await.expect("room");
    assert_eq!(
        again,
        Appended {
            added: 0,
            repeated: 8,
            misplaced: vec![]
        }
    );
    assert_eq!(store.events(call(1)).await.expect("reads"), events);
    assert_eq!(store.check().await.expect("reads"), []);
}

#[tokio::test]
async fn a_misplaced_event_hurts_its_own_call_only() {
    let home = Home::new();
    let store = home.open().await;
    let mut batch = menu_call(call(1));
    batch.push(event(call(2), 2, CallEventKind::Answered));
    batch.push(event(call(1), 9, CallEventKind::Answered));
    batch.extend(menu_call(call(3)));
    let misplaced = vec![
        Misplaced {
            call: call(2),
            n: 2,
            why: Misfit::NotStarted,
        },
        Misplaced {
            call: call(1),
            n: 9,
            why: Misfit::AfterEnd,
        },
    ];
    let appended = store.append(&batch).await.expect("room");
    assert_eq!(
        appended,
        Appended {
            added: 16,
            repeated: 0,
            misplaced
        }
    );
    assert_eq!(
        store
            .records(&Listing::default())
            .await
            .expect("reads")
            .len(),
        2
    );
    assert_eq!(store.check().await.expect("reads"), []);
}

#[tokio::test]
async fn a_full_batch_is_one_transaction_of_any_size() {
    let home = Home::new();
    let store = home.open().await;
    let mut at = 0;
    // Sizes around the powers of two that statements are prepared for.
    for calls in [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65, 100, 128] {
        let batch: Vec<_> = (at..at + calls).flat_map(|i| menu_call(call(i))).collect();
        assert_eq!(
            store.append(&batch).await.expect("room"),
            added(batch.len())
        );
        at += calls;
    }
    assert_eq!(store.append(&[]).await.expect("room"), added(0));
    let all = Listing {
        limit: 1_000,
        ..Listing::default()
    };
    assert_eq!(store.records(&all).await.expect("reads").len() as u64, at);
    assert_eq!(store.check().await.expect("reads"), []);
}

#[tokio::test]
async fn what_was_appended_survives_an_abrupt_end() {
    let home = Home::new();
    for i in 0..5 {
        let store = home.open().await;
        store.append(&menu_call(call(i))).await.expect("room");
        drop(store);
    }
    let store = home.open().await;
    assert_eq!(
        store
            .records(&Listing::default())
            .await
            .expect("reads")
            .len(),
        5
    );
    store.close().await.expect("closes");
    assert_eq!(home.open().await.check().await.expect("reads"), []);
}

#[tokio::test]
async fn interrupted_calls_are_ended_at_the_next_start_and_once() {
    let home = Home::new();
    let store = home.open().await;
    let answered = menu_call(call(2));
    store
        .append(&[event(call(1), 1, started())])
        .await
        .expect("room");
    store.append(&answered[..3]).await.expect("room");
    store.append(&menu_call(call(3))).await.expect("room");
    assert_eq!(
        store.close_interrupted(Wall(0)).await.expect("room"),
        [],
        "nobody was interrupted"
    );
    drop(store);

    let store = home.open().await;
    // A call of this process is not an interrupted one.
    store
        .append(&[event(call(4), 1, started())])
        .await
        .expect("room");
    let now = Wall(99_000_000);
    assert_eq!(
        store.close_interrupted(now).await.expect("room"),
        [call(1), call(2)]
    );
    assert_eq!(store.close_interrupted(now).await.expect("room"), []);
    let record = store
        .record(call(2))
        .await
        .expect("reads")
        .expect("is there");
    assert_eq!(record.disposition, Disposition::Interrupted);
    assert_eq!(
        (record.ended_at, record.cause),
        (Some(now), Some(Cause::Interrupted))
    );
    assert_eq!((record.ended_by, record.events), (Some(Side::Near), 4));
    let events = store.events(call(2)).await.expect("reads");
    assert_eq!(events[..3], answered[..3]);
    assert_eq!(
        events[3].kind,
        CallEventKind::Ended {
            cause: Cause::Interrupted,
            by: Side::Near
        }
    );
    let late = store.append(&answered).await.expect("room");
    assert_eq!((late.added, late.repeated, late.misplaced.len()), (0, 4, 4));
    let four = store
        .record(call(4))
        .await
        .expect("reads")
        .expect("is there");
    assert_eq!(four.disposition, Disposition::Active);
    assert_eq!(store.check().await.expect("reads"), []);
}

#[tokio::test]
async fn pages_are_complete_and_stable_while_calls_come_in() {
    let home = Home::new();
    let store = home.open().await;
    let of = |name: &str, i: u64| {
        let mut events = menu_call(call(i));
        events
            .iter_mut()
            .for_each(|event| event.tenant = tenant(name));
        events
    };
    for i in 0..95 {
        let name = if i % 3 == 0 { "other" } else { "demo" };
        store.append(&of(name, i)).await.expect("room");
    }
    for (tenant, expected) in [
        (None, (0..95).rev().collect::<Vec<u64>>()),
        (
            Some(tenant("demo")),
            (0..95).rev().filter(|i| i % 3 != 0).collect(),
        ),
        (Some(tenant("nobody")), vec![]),
    ] {
        let mut listing = Listing {
            tenant,
            limit: 10,
            ..Listing::default()
        };
        let mut seen = Vec::new();
        for more in 0.. {
            let page = store.records(&listing).await.expect("reads");
            let Some(last) = page.last() else { break };
            listing.before = Some(last.call);
            seen.extend(
                page.iter()
                    .map(|record| u64::try_from(record.call.0 >> 80).expect("48")),
            );
            // Newer calls never shift the pages that follow.
            store
                .append(&of("demo", 10_000 + more))
                .await
                .expect("room");
        }
        assert_eq!(
            seen.iter()
                .filter(|&&i| i < 95)
                .copied()
                .collect::<Vec<_>>(),
            expected
        );
        seen.dedup();
        assert!(seen.is_sorted_by(|a, b| a > b), "newest first, each once");
    }
}

#[tokio::test]
async fn listings_filter() {
    let home = Home::new();
    let store = home.open().await;
    for i in 1..=20 {
        let cause = if i % 5 == 0 {
            Cause::Busy
        } else {
            Cause::NoAnswer
        };
        let batch = [
            event(call(i), 1, started()),
            event(call(i), 2, ended(cause)),
        ];
        store.append(&batch).await.expect("room");
    }
    let busy = Listing {
        disposition: Some(Disposition::Busy),
        ..Listing::default()
    };
    let calls = async |listing: &Listing| -> Vec<u128> {
        let records = store.records(listing).await.expect("reads");
        records.iter().map(|record| record.call.0 >> 80).collect()
    };
    assert_eq!(calls(&busy).await, [20, 15, 10, 5]);
    let some = Listing {
        since: Some(Wall(10_000)),
        until: Some(Wall(20_000)),
        ..busy
    };
    assert_eq!(calls(&some).await, [15, 10]);
    assert_eq!(
        calls(&Listing {
            before: Some(call(15)),
            ..some
        })
        .await,
        [10]
    );
    assert_eq!(
        calls(&Listing {
            limit: 0,
            ..Listing::default()
        })
        .await,
        [] as [u128; 0]
    );
    let bounded = Listing {
        limit: u32::MAX,
        ..Listing::default()
    };
    assert_eq!(calls(&bounded).await.len(), 20);
}

#[tokio::test]
async fn a_full_database_loses_nothing_acknowledged_and_recovers() {
    let home = Home::new();
    let options = Options {
        bytes_max: Some(256 * 1_024),
        ..Options::default()
    };
    let store = Store::open(&home.path(), options).await.expect("opens");
    let mut acknowledged = 0;
    let full = loop {
        let batch: Vec<_> = (0..16)
            .flat_map(|i| menu_call(call(acknowledged + i)))
            .collect();
        match store.append(&batch).await {
            Ok(appended) => assert_eq!(appended, added(batch.len())),
            Err(error) => break error,
        }
        acknowledged += 16;
        assert!(acknowledged < 100_000, "256 KiB fill up");
    };
    assert!(matches!(full, Error::Full { .. }), "{full:?}");
    assert!(acknowledged > 0);
    let all = Listing {
        limit: 1_000,
        ..Listing::default()
    };
    let kept = store.records(&all).await.expect("reads").len() as u64;
    assert_eq!(kept, acknowledged, "what was refused left nothing behind");
    assert_eq!(store.check().await.expect("reads"), []);
    // The failed batch left no transaction open: what still fits is written.
    let small = event(call(acknowledged + 1), 1, started());
    assert_eq!(store.append(&[small]).await.expect("fits"), added(1));
    drop(store);

    // With more room, the refused batch goes in as if nothing had been.
    let store = home.open().await;
    let batch: Vec<_> = (0..16)
        .flat_map(|i| menu_call(call(acknowledged + i)))
        .collect();
    let appended = store.append(&batch).await.expect("room");
    assert_eq!(
        appended,
        Appended {
            added: 127,
            repeated: 1,
            misplaced: vec![]
        }
    );
    assert_eq!(store.check().await.expect("reads"), []);
}

#[tokio::test]
async fn an_append_given_up_half_way_leaves_the_store_usable() {
    let home = Home::new();
    let store = home.open().await;
    let batch: Vec<_> = (0..100).flat_map(|i| menu_call(call(i))).collect();
    // Polled a few times and dropped, so that it stops somewhere in its transaction.
    for polls in 0..40 {
        let mut append = Box::pin(store.append(&batch));
        for _ in 0..polls {
            let ready = std::future::poll_fn(|cx| {
                std::task::Poll::Ready(append.as_mut().poll(cx).is_ready())
            });
            if ready.await {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    let appended = store.append(&batch).await.expect("room");
    assert_eq!(appended.added + appended.repeated, batch.len());
    assert!(appended.misplaced.is_empty());
    let all = Listing {
        limit: 1_000,
        ..Listing::default()
    };
    assert_eq!(store.records(&all).await.expect("reads").len(), 100);
    assert_eq!(store.check().await.expect("reads"), []);
}

#[tokio::test]
async fn readers_do_not_wait_for_a_writer() {
    let home = Home::new();
    let store = home.open().await;
    store.append(&menu_call(call(1))).await.expect("room");
    // Another connection holds the write lock; an append would wait for it, a read does not.
    let mut other = raw(&home).await;
    sqlx::query("BEGIN IMMEDIATE")
        .execute(&mut other)
        .await
        .expect("locks");
    assert_eq!(
        store
            .records(&Listing::default())
            .await
            .expect("reads")
            .len(),
        1
    );
}

#[tokio::test]
async fn the_check_finds_what_was_tampered_with() {
    let home = Home::new();
    let store = home.open().await;
    for i in 1..=6 {
        store.append(&menu_call(call(i))).await.expect("room");
    }
    let mut hole = menu_call(call(7));
    hole.remove(3);
    store.append(&hole).await.expect("a hole is tolerated");
    let mut other = raw(&home).await;
    let text = |i| call(i).to_string();
    for (sql, i) in [
        ("UPDATE call_record SET outcome = 'two' WHERE call = ?", 1),
        ("DELETE FROM call_record WHERE call = ?", 2),
        ("DELETE FROM call_event WHERE call = ?", 3),
        (
            "UPDATE call_event SET payload = '{}' WHERE n = 8 AND call = ?",
            4,
        ),
        ("UPDATE call_record SET cause = 'bored' WHERE call = ?", 5),
        ("DELETE FROM call_event WHERE n = 1 AND call = ?", 6),
    ] {
        sqlx::query(sql)
            .bind(text(i))
            .execute(&mut other)
            .await
            .expect("tampers");
    }
    let findings = store.check().await.expect("reads");
    let told: String = findings
        .iter()
        .map(|finding| format!("{finding}\n"))
        .collect();
    let told = (1..=7).fold(told, |told, i| told.replace(&text(i), &format!("#{i}")));
    expect_test::expect![[r#"
        call #1: the record is not what its events give
        call #2: the record is not what its events give
        unreadable row: event 8 of call #4: missing field `v` at line 1 column 2
        call #4: the record is not what its events give
        unreadable row: a row with a bad `cause`
        call #6: event 2: its call has not started
        call #6: event 3: its call has not started
        call #6: event 4: its call has not started
        call #6: event 5: its call has not started
        call #6: event 6: its call has not started
        call #6: event 7: its call has not started
        call #6: event 8: its call has not started
        call #7: events before 5 are missing
        call #3: a record without events
    "#]]
    .assert_eq(&told);
    assert!(findings.contains(&Finding::Differs(call(1))));
}

/// A connection past the store, as an operator's shell would have.
async fn raw(home: &Home) -> sqlx::SqliteConnection {
    use sqlx::ConnectOptions;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(home.path());
    options.connect().await.expect("connects")
}

/// The shell runs these on a thread of its own choosing.
#[test]
fn a_store_can_be_shared_and_its_futures_sent() {
    fn sent<T: Send>(_: impl Fn(&'static Store) -> T) {}
    fn shared<T: Send + Sync>() {}
    shared::<Store>();
    shared::<Error>();
    sent(|store| store.append(&[]));
    sent(|store| store.close_interrupted(Wall(0)));
    sent(|store| store.record(call(1)));
    sent(|store| store.events(call(1)));
    sent(|store| store.check());
    sent(|_| Store::open("".as_ref(), Options::default()));
}
