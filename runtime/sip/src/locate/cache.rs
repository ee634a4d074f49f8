//! What DNS servers have said, for as long as it holds.

use std::collections::BTreeMap;

use vocab::Mono;

use super::record::{Answer, Kind, Question, Record};
use crate::limits::{
    ANSWERS_MAX, FAILURE_TTL, NEGATIVE_TTL, RECORDS_MAX, STALE_TTL, TTL, TTL_UNSAID,
};

/// What is known of a question.
#[derive(Clone, Copy, Debug)]
pub(super) enum Known<'a> {
    /// These records, perhaps none; good until then.
    Records(&'a [Record], Mono),
    /// No server answers; not asked again until then.
    Failed(Mono),
    /// It was never asked, or too long ago.
    Unknown,
}

/// What was said to one question.
#[derive(Debug)]
struct Entry {
    /// The last answer there was.
    records: Vec<Record>,
    /// When it came; `None` if none ever did.
    since: Option<Mono>,
    until: Mono,
    /// The last time nobody answered, and until when that is taken for an answer.
    failed: Option<(Mono, Mono)>,
}

/// Answers by question.
#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: BTreeMap<Question, Entry>,
}

impl Cache {
    /// Takes an answer; records that the question did not ask for, and those beyond the bound, are
    /// left out.
    pub(super) fn take(&mut self, now: Mono, question: &Question, mut answer: Answer) {
        let wanted = |record: &Record| match (record, question.kind) {
            (Record::Naptr(_), Kind::Naptr) | (Record::Srv(_), Kind::Srv) => true,
            (Record::Address(ip), Kind::A) => ip.is_ipv4(),
            (Record::Address(ip), Kind::Aaaa) => ip.is_ipv6(),
            (Record::Naptr(_), Kind::Srv | Kind::A | Kind::Aaaa)
            | (Record::Srv(_), Kind::Naptr | Kind::A | Kind::Aaaa)
            | (Record::Address(_), Kind::Naptr | Kind::Srv) => false,
        };
        answer.records.retain(wanted);
        // Of too many the ones that go first are kept.
        answer.records.sort_by_key(|record| match record {
            Record::Naptr(it) => (it.order, it.preference),
            Record::Srv(it) => (it.priority, 0),
            Record::Address(_) => (0, 0),
        });
        answer.records.truncate(RECORDS_MAX);
        let (least, most) = TTL;
        let ttl = match (answer.ttl, answer.records.is_empty()) {
            (Some(ttl), false) => ttl.clamp(least, most),
            (Some(ttl), true) => ttl.clamp(least, NEGATIVE_TTL),
            (None, _) => TTL_UNSAID,
        };
        let entry = Entry {
            records: answer.records,
            since: Some(now),
            until: now + ttl,
            failed: None,
        };
        self.insert(now, question, entry);
    }

    /// Notes that nobody answers. What was said before is kept, for want of better (RFC 8767).
    pub(super) fn fail(&mut self, now: Mono, question: &Question) {
        let failed = Some((now, now + FAILURE_TTL));
        if let Some(entry) = self.entries.get_mut(question) {
            entry.failed = failed;
            return;
        }
        let entry = Entry {
            records: Vec::new(),
            since: None,
            until: now,
            failed,
        };
        self.insert(now, question, entry);
    }

    fn insert(&mut self, now: Mono, question: &Question, entry: Entry) {
        if self.entries.len() >= ANSWERS_MAX && !self.entries.contains_key(question) {
            self.entries.retain(|_, entry| now < entry.end());
        }
        if self.entries.len() >= ANSWERS_MAX && !self.entries.contains_key(question) {
            let soonest = self.entries.iter().min_by_key(|(_, entry)| entry.until);
            if let Some((soonest, _)) = soonest {
                let soonest = soonest.clone();
                self.entries.remove(&soonest);
            }
        }
        self.entries.insert(question.clone(), entry);
    }

    /// What is known of a question to somebody who began to ask at `since`: what has come from then
    /// on is good to him even if its time is short.
    pub(super) fn look(&self, now: Mono, since: Mono, question: &Question) -> Known<'_> {
        let Some(entry) = self.entries.get(question) else {
            return Known::Unknown;
        };
        if entry
            .since
            .is_some_and(|came| now < entry.until || came >= since)
        {
            return Known::Records(&entry.records, entry.until);
        }
        match entry.failed {
            Some((came, until)) if now < until || came >= since => {
                if entry.is_stale_good(now) {
                    Known::Records(&entry.records, until)
                } else {
                    Known::Failed(until)
                }
            }
            Some(_) | None => Known::Unknown,
        }
    }

    /// What was last known, for somebody who cannot wait.
    pub(super) fn last(&self, now: Mono, question: &Question) -> Known<'_> {
        match self.entries.get(question) {
            Some(entry) if now < entry.until || entry.is_stale_good(now) => {
                Known::Records(&entry.records, entry.until)
            }
            Some(_) | None => Known::Unknown,
        }
    }
}

impl Entry {
    /// It is worth something until then.
    fn end(&self) -> Mono {
        let stale = if self.records.is_empty() {
            self.until
        } else {
            self.until + STALE_TTL
        };
        self.failed.map_or(stale, |(_, until)| stale.max(until))
    }

    fn is_stale_good(&self, now: Mono) -> bool {
        !self.records.is_empty() && now < self.until + STALE_TTL
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn answer(records: usize, ttl_s: u64) -> Answer {
        let ip = std::net::IpAddr::from([192, 0, 2, 1]);
        Answer {
            records: vec![Record::Address(ip); records],
            ttl: Some(Duration::from_secs(ttl_s)),
        }
    }

    fn question(n: usize) -> Question {
        Question::new(Kind::A, &format!("h{n}.Example."))
    }

    #[test]
    fn it_is_bounded_and_forgets_what_ends_first() {
        let mut cache = Cache::default();
        let now = Mono(0);
        cache.take(now, &question(0), answer(1, 1_000));
        for n in 1..2 * ANSWERS_MAX {
            cache.take(now, &question(n), answer(1, 60));
            cache.fail(now, &Question::new(Kind::Srv, &format!("h{n}.example")));
        }
        assert_eq!(cache.entries.len(), ANSWERS_MAX);
        let known = cache.look(now, now, &question(0));
        assert!(matches!(known, Known::Records(..)), "{known:?}");
    }

    #[test]
    fn too_many_records_are_cut() {
        let mut cache = Cache::default();
        cache.take(Mono(0), &question(1), answer(1_000, 60));
        let Known::Records(records, _) = cache.last(Mono(0), &question(1)) else {
            panic!("just taken");
        };
        assert_eq!(records.len(), RECORDS_MAX);
    }
}
