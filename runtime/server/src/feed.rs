//! What happens, as it happens: the last events of calls, phones, trunks and sources, for whoever
//! listens over the API.
//!
//! Events of calls come here once they are on disk; the others are no records and live here alone.

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use node::Notice;
use tokio::sync::watch;
use vocab::record::CallEvent;
use vocab::{CallId, TenantId, Wall};

/// Events kept for those who come back after a break: at 1,000 a second, four seconds.
const KEPT_MAX: usize = 4_096;

/// Something that happened.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum News {
    /// To a call.
    Call(Committed),
    /// To something else.
    Other(Other),
}

/// An event of a call in the batch that it was written with, which all of its events share.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Committed {
    batch: Arc<[CallEvent]>,
    index: usize,
}

impl Committed {
    /// All of a batch.
    pub(crate) fn all(batch: &Arc<[CallEvent]>) -> impl Iterator<Item = Self> {
        (0..batch.len()).map(|index| Self {
            batch: Arc::clone(batch),
            index,
        })
    }
}

impl Deref for Committed {
    type Target = CallEvent;

    fn deref(&self) -> &CallEvent {
        &self.batch[self.index]
    }
}

/// Something that happened to something other than a call.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Other {
    pub(crate) at: Wall,
    /// Whose; `None` concerns the whole server.
    pub(crate) tenant: Option<TenantId>,
    pub(crate) what: What,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum What {
    /// A phone is there, or still there.
    PhoneRegistered {
        user: String,
        contacts: usize,
        refreshed: bool,
    },
    /// The last phone of a user is gone.
    PhoneUnregistered { user: String, why: &'static str },
    /// A trunk came up or went down.
    TrunkChanged { trunk: String, state: &'static str },
    /// A party of a conference begins to talk, or has not talked for half a second.
    PartyTalking {
        call: CallId,
        leg: u16,
        talking: bool,
    },
    /// Of those who talk in a conference this party is heard most.
    PartySpeaker { call: CallId, leg: u16 },
    /// A source of signalling gets no answer for some time.
    SourceBanned {
        source: String,
        reason: &'static str,
    },
}

/// One for the whole process.
#[derive(Debug)]
pub(crate) struct Feed {
    kept: Mutex<Kept>,
    /// The number of the last event; closed when the server stops.
    last: Mutex<Option<watch::Sender<u64>>>,
    /// Of this run, so that a number of another one is known as such.
    run: i64,
}

#[derive(Debug, Default)]
struct Kept {
    /// The newest last.
    news: VecDeque<Arc<News>>,
    /// Number of the newest; the first ever is 1.
    last: u64,
}

/// What came after a number.
#[derive(Debug)]
pub(crate) struct After {
    /// Each with its number.
    pub(crate) news: Vec<(u64, Arc<News>)>,
    /// So many came and are not kept any more.
    pub(crate) lost: u64,
}

impl Feed {
    /// An empty one; `now` names the run.
    pub(crate) fn new(now: Wall) -> Self {
        Self {
            kept: Mutex::default(),
            last: Mutex::new(Some(watch::Sender::new(0))),
            run: now.0,
        }
    }

    /// Which run of the server this is.
    pub(crate) fn run(&self) -> i64 {
        self.run
    }

    /// Tells what happened.
    pub(crate) fn tell(&self, news: impl IntoIterator<Item = News>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for one in news {
            if kept.news.len() == KEPT_MAX {
                kept.news.pop_front();
            }
            kept.news.push_back(Arc::new(one));
            kept.last += 1;
        }
        let last = kept.last;
        drop(kept);
        let sender = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = &*sender {
            sender.send_replace(last);
        }
    }

    /// Wakes with each event; `None` once the server stops.
    pub(crate) fn listen(&self) -> Option<watch::Receiver<u64>> {
        let sender = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        sender.as_ref().map(watch::Sender::subscribe)
    }

    /// Number of the newest event; 0 if there was none.
    pub(crate) fn last(&self) -> u64 {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.last
    }

    /// So many events after a number, oldest first.
    pub(crate) fn after(&self, seq: u64, count_max: usize) -> After {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let first = kept.last + 1 - kept.news.len() as u64;
        let from = first.max(seq + 1);
        let skip = usize::try_from(from - first).unwrap_or(usize::MAX);
        let news = kept.news.iter().skip(skip).take(count_max);
        After {
            news: (from..).zip(news.map(Arc::clone)).collect(),
            lost: first.saturating_sub(seq + 1),
        }
    }

    /// Sends all listeners home.
    pub(crate) fn close(&self) {
        let mut sender = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *sender = None;
    }
}

impl Other {
    /// What a notice tells to those who listen; most are for the log and metrics alone.
    pub(crate) fn of(at: Wall, notice: &Notice) -> Option<Self> {
        let (tenant, what) = match notice {
            Notice::Registered {
                tenant,
                user,
                contacts,
                refreshed,
            } => {
                let (contacts, refreshed) = (*contacts, *refreshed);
                let user = user.clone();
                let what = What::PhoneRegistered {
                    user,
                    contacts,
                    refreshed,
                };
                (tenant.clone(), what)
            }
            Notice::Unregistered { tenant, user, why } => {
                let (user, why) = (user.clone(), why.name());
                (tenant.clone(), What::PhoneUnregistered { user, why })
            }
            Notice::Trunk {
                tenant,
                trunk,
                state,
            } => {
                let (trunk, state) = (trunk.clone(), state.name());
                (Some(tenant.clone()), What::TrunkChanged { trunk, state })
            }
            Notice::Talking {
                tenant,
                call,
                leg,
                talking,
            } => {
                let (call, leg, talking) = (*call, *leg, *talking);
                let what = What::PartyTalking { call, leg, talking };
                (Some(tenant.clone()), what)
            }
            Notice::Speaker { tenant, call, leg } => {
                let (call, leg) = (*call, *leg);
                (Some(tenant.clone()), What::PartySpeaker { call, leg })
            }
            Notice::Banned { source, reason, .. } => {
                let (source, reason) = (source.to_string(), *reason);
                (None, What::SourceBanned { source, reason })
            }
            Notice::Started { .. }
            | Notice::Heard { .. }
            | Notice::Dialog { .. }
            | Notice::Answered { .. }
            | Notice::Ended { .. }
            | Notice::TurnedAway { .. }
            | Notice::Fault { .. }
            | Notice::Denied { .. }
            | Notice::PluginLog { .. }
            | Notice::PluginLive { .. }
            | Notice::PluginRefused { .. }
            | Notice::PluginRolledBack { .. }
            | Notice::PluginFailing { .. }
            | Notice::PluginDrained { .. }
            | Notice::PluginFreed { .. }
            | Notice::Failover { .. }
            | Notice::AuthFailed { .. }
            | Notice::NotWritten { .. } => return None,
        };
        Some(Self { at, tenant, what })
    }
}

impl News {
    /// Whose; `None` concerns the whole server.
    pub(crate) fn tenant(&self) -> Option<&TenantId> {
        match self {
            Self::Call(event) => Some(&event.tenant),
            Self::Other(other) => other.tenant.as_ref(),
        }
    }

    /// Its dotted name.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Call(event) => event.kind.name(),
            Self::Other(other) => match other.what {
                What::PhoneRegistered { .. } => "phone.registered",
                What::PhoneUnregistered { .. } => "phone.unregistered",
                What::TrunkChanged { .. } => "trunk.changed",
                What::PartyTalking { .. } => "party.talking",
                What::PartySpeaker { .. } => "party.speaker",
                What::SourceBanned { .. } => "source.banned",
            },
        }
    }

    /// Which call it happened to.
    pub(crate) fn call(&self) -> Option<CallId> {
        match self {
            Self::Call(event) => Some(event.call),
            Self::Other(other) => match other.what {
                What::PartyTalking { call, .. } | What::PartySpeaker { call, .. } => Some(call),
                What::PhoneRegistered { .. }
                | What::PhoneUnregistered { .. }
                | What::TrunkChanged { .. }
                | What::SourceBanned { .. } => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(user: usize) -> News {
        News::Other(Other {
            at: Wall(0),
            tenant: None,
            what: What::PhoneUnregistered {
                user: user.to_string(),
                why: "asked",
            },
        })
    }

    fn numbers(after: &After) -> Vec<u64> {
        after.news.iter().map(|(seq, _)| *seq).collect()
    }

    #[test]
    fn events_are_numbered_and_kept() {
        let feed = Feed::new(Wall(7));
        assert_eq!((feed.last(), numbers(&feed.after(0, 9))), (0, vec![]));
        feed.tell((1..=3).map(news));
        assert_eq!(numbers(&feed.after(0, 9)), [1, 2, 3]);
        assert_eq!(numbers(&feed.after(1, 1)), [2]);
        assert_eq!(numbers(&feed.after(3, 9)), [] as [u64; 0]);
        assert_eq!(*feed.after(2, 9).news[0].1, news(3));
        // A number of the future, as a client may send it.
        let future = feed.after(99, 9);
        assert_eq!((numbers(&future), future.lost), (vec![], 0));
    }

    #[test]
    fn what_is_too_old_is_counted() {
        let feed = Feed::new(Wall(7));
        feed.tell((1..=KEPT_MAX + 10).map(news));
        let after = feed.after(3, 2);
        assert_eq!((numbers(&after), after.lost), (vec![11, 12], 7));
        assert_eq!(feed.after(10, 2).lost, 0);
        assert_eq!(feed.after(u64::MAX - 1, 2).lost, 0);
    }

    #[test]
    fn listeners_wake_and_go_home() {
        let feed = Feed::new(Wall(7));
        let mut listener = feed.listen().expect("it is open");
        feed.tell([news(1)]);
        assert_eq!(*listener.borrow_and_update(), 1);
        feed.close();
        assert!(listener.has_changed().is_err(), "nothing more comes");
        assert!(feed.listen().is_none());
    }
}
