//! The index of recordings, holds, and the audit trail.

mod support;

use std::time::Duration;

use jackfield_store::{Audit, Audits, Format, Hold, Recordings, Segment, Sha256, Store};
use support::{Home, call, event, tenant};
use vocab::record::CallEventKind;
use vocab::recording::SegmentEnd;
use vocab::{CallId, Party, RecordingId, Wall};

/// Segment `n` of the call of that millisecond, which began `n` seconds into it.
fn segment(millis: u64, n: u16) -> Segment {
    let start = i64::try_from(millis).expect("small") * 1_000;
    Segment {
        recording: RecordingId::segment(call(millis), n),
        tenant: tenant("demo"),
        leg: n,
        party: Party::Sip(format!("{}@jackfield", 1_000 + n)),
        channels: if n == 1 { 2 } else { 1 },
        started_at: Wall(start + i64::from(n) * 1_000_000),
        length: Duration::from_millis(9_900),
        expected: Duration::from_secs(10),
        reason: SegmentEnd::Moved,
        format: Format::Opus,
        key: Some("0123456789abcdef".to_owned()),
        bytes: 40_000,
        sha256: Sha256([n as u8; 32]),
    }
}

fn entry(action: &str, object: impl ToString) -> Audit {
    Audit {
        at: Wall(77),
        tenant: tenant("demo"),
        by: "li.na".to_owned(),
        action: action.to_owned(),
        object: object.to_string(),
        detail: String::new(),
    }
}

/// Names of the segments that are listed.
async fn listed(store: &Store, wanted: Recordings) -> Vec<String> {
    let kept = store.segments(&wanted).await.expect("reads");
    let names = kept.iter().map(|kept| kept.segment.recording.to_string());
    names.collect()
}

fn name(millis: u64, n: u16) -> String {
    RecordingId::segment(call(millis), n).to_string()
}

/// A store with two segments of call 1 000, one of call 2 000, which belongs to it, and one of
/// another tenant's call 3 000.
async fn filled(home: &Home) -> Store {
    let store = home.open().await;
    let events = |id, with: Option<CallId>| {
        let mut events = vec![event(id, 1, support::started())];
        events.extend(with.map(|with| event(id, 2, CallEventKind::Interaction { with })));
        events
    };
    for (millis, with) in [(1_000, None), (2_000, Some(call(1_000)))] {
        let events = events(call(millis), with);
        let appended = store.append(&events).await.expect("appends");
        assert_eq!(appended.misplaced, []);
    }
    for (millis, n) in [(1_000, 1), (1_000, 2), (2_000, 1)] {
        let put = store.put_segment(&segment(millis, n), n == 1).await;
        put.expect("puts");
    }
    let other = Segment {
        tenant: tenant("other"),
        expected: Duration::from_secs(12),
        ..segment(3_000, 1)
    };
    store.put_segment(&other, false).await.expect("puts");
    store
}

#[tokio::test]
async fn segments_are_found_by_what_is_known_of_them() {
    let home = Home::new();
    let store = filled(&home).await;
    let kept = store.segment(segment(1_000, 2).recording).await;
    let kept = kept.expect("reads").expect("there");
    assert_eq!(kept.segment, segment(1_000, 2));
    assert_eq!(kept.segment.gap(), Duration::from_millis(100));
    assert_eq!(
        (kept.interaction, kept.local, kept.to_upload, kept.held),
        (call(1_000), true, false, false)
    );
    let (a, b, c, d) = (
        name(1_000, 1),
        name(1_000, 2),
        name(2_000, 1),
        name(3_000, 1),
    );
    let all = || Recordings::default();
    let rows = [
        // Newest first: segment 1 of the second call began at 3 s, segment 2 of the first as well.
        (all(), vec![&d, &c, &b, &a]),
        (
            Recordings {
                tenant: Some(tenant("demo")),
                ..all()
            },
            vec![&c, &b, &a],
        ),
        (
            Recordings {
                call: Some(call(2_000)),
                ..all()
            },
            vec![&c],
        ),
        (
            Recordings {
                interaction: Some(call(1_000)),
                ..all()
            },
            vec![&c, &b, &a],
        ),
        (
            Recordings {
                interaction: Some(call(2_000)),
                ..all()
            },
            vec![],
        ),
        (
            Recordings {
                party: Some(Party::Sip("1002@jackfield".to_owned())),
                ..all()
            },
            vec![&b],
        ),
        (
            Recordings {
                since: Some(Wall(3_000_000)),
                ..all()
            },
            vec![&d, &c, &b],
        ),
        (
            Recordings {
                until: Some(Wall(3_000_000)),
                ..all()
            },
            vec![&a],
        ),
        (
            Recordings {
                gap_over: Some(Duration::from_secs(1)),
                ..all()
            },
            vec![&d],
        ),
        (
            Recordings {
                after: Some(segment(2_000, 1).recording),
                ..all()
            },
            vec![&b, &a],
        ),
        (Recordings { limit: 2, ..all() }, vec![&d, &c]),
    ];
    for (wanted, expected) in rows {
        let shown = format!("{wanted:?}");
        assert_eq!(
            listed(&store, wanted).await,
            expected.into_iter().cloned().collect::<Vec<_>>(),
            "{shown}"
        );
    }
    // It outlives the process, and saying it again changes nothing else.
    store
        .put_segment(&segment(1_000, 2), false)
        .await
        .expect("puts");
    store.close().await.expect("closes");
    let store = home.open().await;
    assert_eq!(listed(&store, all()).await.len(), 4);
}

#[tokio::test]
async fn what_waits_for_the_object_store_is_known_until_it_is_there() {
    let home = Home::new();
    let store = filled(&home).await;
    let waiting = async |after| {
        let kept = store.segments_to_upload(after, 10).await.expect("reads");
        let names = kept.iter().map(|kept| kept.segment.recording.to_string());
        names.collect::<Vec<_>>()
    };
    assert_eq!(waiting(None).await, [name(1_000, 1), name(2_000, 1)]);
    assert_eq!(store.segments_waiting().await.expect("reads"), 2);
    let first = segment(1_000, 1).recording;
    assert_eq!(waiting(Some(first)).await, [name(2_000, 1)]);
    store.segment_stored(first, Wall(50)).await.expect("writes");
    assert_eq!(waiting(None).await, [name(2_000, 1)]);

    assert!(
        store
            .segments_twice(Wall(49), 10)
            .await
            .expect("reads")
            .is_empty()
    );
    let twice = store.segments_twice(Wall(50), 10).await.expect("reads");
    assert_eq!(twice.len(), 1);
    assert_eq!((twice[0].stored_at, twice[0].local), (Some(Wall(50)), true));
    store.segment_not_local(first).await.expect("writes");
    assert!(
        store
            .segments_twice(Wall(50), 10)
            .await
            .expect("reads")
            .is_empty()
    );
}

#[tokio::test]
async fn what_is_held_is_not_deleted() {
    let home = Home::new();
    let store = filled(&home).await;
    let hold = |by: &str| Hold {
        interaction: call(1_000),
        tenant: tenant("demo"),
        reason: "complaint 4711".to_owned(),
        at: Wall(60),
        by: by.to_owned(),
        lifted: None,
    };
    let noted = entry("hold.placed", call(1_000));
    assert!(store.hold(&hold("li.na"), &noted).await.expect("writes"));
    assert!(!store.hold(&hold("wang"), &noted).await.expect("writes"));
    // The call that belongs to the interaction is held with it.
    let joined = segment(2_000, 1).recording;
    assert!(
        store
            .segment(joined)
            .await
            .expect("reads")
            .expect("there")
            .held
    );
    let deleted = entry("recording.deleted", joined);
    assert!(
        !store
            .delete_segment(joined, &deleted)
            .await
            .expect("writes")
    );
    let old = |name| {
        let store = &store;
        async move {
            let kept = store
                .segments_expired(&tenant(name), Wall(i64::MAX), 10)
                .await;
            kept.expect("reads").len()
        }
    };
    assert_eq!((old("demo").await, old("other").await), (0, 1));

    let lifted = entry("hold.lifted", call(1_000));
    assert!(store.lift_hold(call(1_000), &lifted).await.expect("writes"));
    assert!(!store.lift_hold(call(1_000), &lifted).await.expect("writes"));
    assert_eq!(old("demo").await, 3);
    assert!(
        store
            .delete_segment(joined, &deleted)
            .await
            .expect("writes")
    );
    assert!(
        !store
            .delete_segment(joined, &deleted)
            .await
            .expect("writes"),
        "once"
    );
    let gone = store
        .segment(joined)
        .await
        .expect("reads")
        .expect("its row stays");
    assert_eq!(gone.deleted, Some((Wall(77), "li.na".to_owned())));
    assert!(!gone.to_upload);
    assert_eq!(listed(&store, Recordings::default()).await.len(), 3);
    let all = Recordings {
        deleted: true,
        ..Recordings::default()
    };
    assert_eq!(listed(&store, all).await.len(), 4);
    // What comes late does not bring it back.
    store
        .put_segment(&segment(2_000, 1), true)
        .await
        .expect("writes");
    assert_eq!(store.segments_waiting().await.expect("reads"), 1);

    let holds = store.holds(Some(call(1_000)), None).await.expect("reads");
    assert_eq!(holds.len(), 1);
    assert_eq!(holds[0].lifted, Some((Wall(77), "li.na".to_owned())));
    assert!(
        store.holds(None, None).await.expect("reads").is_empty(),
        "none is in force"
    );
    // Each that happened is in the trail, and none that did not.
    let trail = store.audits(&Audits::default()).await.expect("reads");
    let actions: Vec<_> = trail
        .iter()
        .map(|(_, entry)| entry.action.as_str())
        .collect();
    assert_eq!(actions, ["recording.deleted", "hold.lifted", "hold.placed"]);
    let older = Audits {
        before: Some(trail[0].0),
        limit: 1,
        ..Audits::default()
    };
    assert_eq!(
        store.audits(&older).await.expect("reads"),
        [trail[1].clone()]
    );
    let about = Audits {
        object: Some(joined.to_string()),
        ..Audits::default()
    };
    assert_eq!(
        store.audits(&about).await.expect("reads"),
        [trail[0].clone()]
    );
    let nobody = Audits {
        by: Some("wang".to_owned()),
        ..Audits::default()
    };
    assert!(store.audits(&nobody).await.expect("reads").is_empty());
}
