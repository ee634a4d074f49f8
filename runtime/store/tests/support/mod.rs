//! What the tests of this room share: a database in a directory of its own, and calls to put in.
#![allow(dead_code, reason = "each test uses a part")]

use std::path::PathBuf;

use jackfield_store::{Options, Store};
use tempfile::TempDir;
use vocab::call::{Cause, Side};
use vocab::flow::PluginRef;
use vocab::record::{CallEvent, CallEventKind};
use vocab::{CallId, Direction, Party, TenantId, Wall};

/// A database file in a directory that goes away with it.
pub(crate) struct Home {
    dir: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self {
            dir: TempDir::new().expect("a temporary directory"),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("jackfield.db")
    }

    pub(crate) async fn open(&self) -> Store {
        Store::open(&self.path(), Options::default())
            .await
            .expect("opens")
    }
}

/// The call that reached the node at this millisecond.
pub(crate) fn call(millis: u64) -> CallId {
    CallId((u128::from(millis) << 80) | 0xabcd)
}

pub(crate) fn tenant(name: &str) -> TenantId {
    name.parse().expect("a tenant")
}

/// An event of tenant `demo`, one second of the call for each position.
pub(crate) fn event(call: CallId, n: u32, kind: CallEventKind) -> CallEvent {
    let millis = i64::try_from(call.0 >> 80).expect("48 bits");
    let at = Wall((millis + i64::from(n) * 1_000) * 1_000);
    CallEvent {
        tenant: tenant("demo"),
        call,
        n,
        at,
        kind,
    }
}

pub(crate) fn started() -> CallEventKind {
    CallEventKind::Started {
        direction: Direction::Inbound,
        from: Party::Sip("1001@example.com".into()),
        to: "1000".into(),
        user: None,
        sip_call_id: "a84b4c76e66710@pc33".into(),
        trunk: None,
        withheld: false,
    }
}

pub(crate) fn ended(cause: Cause) -> CallEventKind {
    CallEventKind::Ended {
        cause,
        by: Side::Far,
    }
}

/// A short call through a menu: eight events, from `Started` to `Ended`.
pub(crate) fn menu_call(call: CallId) -> Vec<CallEvent> {
    let plugin = PluginRef {
        name: "ivr-menu".into(),
        version: "0.1.0".into(),
    };
    let asked = |op: &str, detail: &str| CallEventKind::FlowAsked {
        op: op.into(),
        detail: detail.into(),
    };
    let kinds = [
        started(),
        CallEventKind::FlowStarted { plugin },
        CallEventKind::Answered,
        asked("gather", "greeting"),
        CallEventKind::Gathered {
            digits: 1,
            end: vocab::call::GatherEnd::Complete,
        },
        asked("play", "you-pressed-one"),
        CallEventKind::FlowEnded {
            label: "one".into(),
        },
        ended(Cause::Normal),
    ];
    (1..)
        .zip(kinds)
        .map(|(n, kind)| event(call, n, kind))
        .collect()
}
