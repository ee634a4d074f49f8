//! What is kept of past calls' signalling, and what is forgotten.

mod support;

use std::sync::Arc;

use jackfield_store::{Options, Retention, Store};
use support::{Home, call, menu_call};
use vocab::{CallId, Wall};

const ALL: Retention = Retention {
    since: Wall(0),
    bytes_max: u64::MAX,
};

fn row(millis: u64, bytes: usize) -> (CallId, Arc<[u8]>) {
    let byte = u8::try_from(millis % 251).expect("small");
    (call(millis), vec![byte; bytes].into())
}

/// The calls of which something is kept.
async fn kept(store: &Store, millis: impl IntoIterator<Item = u64>) -> Vec<u64> {
    let mut found = Vec::new();
    for millis in millis {
        let trace = store.trace(call(millis)).await.expect("reads");
        found.extend(trace.map(|_| millis));
    }
    found
}

#[tokio::test]
async fn a_trace_is_kept_once_and_survives() {
    let home = Home::new();
    let store = home.open().await;
    store.append(&menu_call(call(1))).await.expect("appends");
    store
        .keep_traces(&[row(1, 10), row(2, 5_000)], ALL)
        .await
        .expect("keeps");
    let again = (call(1), Arc::from(&b"other"[..]));
    store.keep_traces(&[again], ALL).await.expect("keeps");
    store.close().await.expect("closes");
    let store = home.open().await;
    assert_eq!(
        store.trace(call(1)).await.expect("reads"),
        Some(vec![1; 10])
    );
    assert_eq!(
        store.trace(call(2)).await.expect("reads"),
        Some(vec![2; 5_000])
    );
    assert_eq!(store.trace(call(3)).await.expect("reads"), None);
    assert_eq!(store.check().await.expect("reads"), []);
}

#[tokio::test]
async fn old_traces_are_forgotten_by_time() {
    let home = Home::new();
    let store = home.open().await;
    store
        .keep_traces(&[row(5, 1), row(6, 1), row(7, 1)], ALL)
        .await
        .expect("keeps");
    let retention = Retention {
        since: Wall(6_000),
        ..ALL
    };
    store.keep_traces(&[], retention).await.expect("forgets");
    assert_eq!(kept(&store, 5..=7).await, [6, 7]);
}

#[tokio::test]
async fn the_oldest_traces_make_room_and_no_more_than_needed() {
    let home = Home::new();
    let store = home.open().await;
    let rows: Vec<_> = (1..=10).map(|n| row(n, 100)).collect();
    for (bytes_max, left) in [(1_000, 1), (999, 2), (900, 2), (550, 6), (100, 10), (0, 11)] {
        let retention = Retention { bytes_max, ..ALL };
        store.keep_traces(&rows, retention).await.expect("keeps");
        assert_eq!(
            kept(&store, 1..=10).await,
            (left..=10).collect::<Vec<_>>(),
            "{bytes_max}"
        );
    }
}

#[tokio::test]
async fn a_full_disk_costs_the_trace_only() {
    let home = Home::new();
    let options = Options {
        bytes_max: Some(200_000),
        ..Options::default()
    };
    let store = Store::open(&home.path(), options).await.expect("opens");
    let error = store
        .keep_traces(&[row(1, 400_000)], ALL)
        .await
        .expect_err("no room");
    assert!(
        matches!(error, jackfield_store::Error::Full { .. }),
        "{error}"
    );
    store
        .append(&menu_call(call(1)))
        .await
        .expect("the next transaction is a new one");
    store.keep_traces(&[row(2, 10)], ALL).await.expect("keeps");
    assert_eq!(kept(&store, 1..=2).await, [2]);
}
