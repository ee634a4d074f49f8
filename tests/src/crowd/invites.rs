//! Each INVITE has one final answer (RFC 3261 §17.2.1), as it is seen on the wire.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use vocab::Mono;

use crate::sim::wire::Seen;

/// An INVITE is watched for this long from its first arrival: it rings for less than 40 s, its
/// answer is sent for 32 s, and a copy is on its way for a few seconds.
const WATCHED: Duration = Duration::from_secs(120);

/// One INVITE transaction: who was asked, `Call-ID`, `CSeq` and branch (RFC 3261 §17.2.3).
pub(super) type Key = Arc<(SocketAddr, String, String, String)>;

/// The INVITEs that arrived, and what each was answered.
#[derive(Debug, Default)]
pub(super) struct Invites {
    answers: BTreeMap<Key, Option<Arc<[u8]>>>,
    /// In the order of their arrival.
    since: VecDeque<(Mono, Key)>,
    /// Transactions that were watched to their end.
    pub(super) settled: u64,
    /// Final answers that were sent again.
    pub(super) repeated: u64,
}

impl Invites {
    /// A message is sent. Gives the transaction if it is an INVITE.
    ///
    /// # Panics
    /// If it is another final answer than was given before, or one to nothing.
    pub(super) fn sent(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        seen: &Seen,
        bytes: &Arc<[u8]>,
    ) -> Option<Key> {
        if seen.method != "INVITE" {
            return None;
        }
        let key = |asked| {
            let words = [&seen.call_id, &seen.cseq, &seen.branch].map(String::clone);
            let [call_id, cseq, branch] = words;
            Arc::new((asked, call_id, cseq, branch))
        };
        match seen.status {
            None => Some(key(to)),
            Some(..200) => None,
            Some(_) => {
                self.answered(&key(from), bytes);
                None
            }
        }
    }

    fn answered(&mut self, key: &Key, bytes: &Arc<[u8]>) {
        let answer = self.answers.get_mut(key);
        let answer = answer.unwrap_or_else(|| panic!("{key:?} is answered unasked"));
        if let Some(before) = answer {
            self.repeated += 1;
            assert!(
                before == bytes,
                "{key:?} has two final answers:\n{}\n{}",
                String::from_utf8_lossy(before),
                String::from_utf8_lossy(bytes)
            );
        } else {
            *answer = Some(bytes.clone());
        }
    }

    /// An INVITE arrives, for the first time or again.
    pub(super) fn asked(&mut self, now: Mono, key: &Key) {
        while let Some((since, _)) = self.since.front()
            && now.since(*since) > WATCHED
        {
            let (_, old) = self.since.pop_front().expect("just seen");
            self.settle(&old);
        }
        if !self.answers.contains_key(key) {
            self.answers.insert(key.clone(), None);
            self.since.push_back((now, key.clone()));
        }
    }

    /// Everything is over: the rest must have their answers too.
    pub(super) fn over(&mut self) {
        while let Some((_, key)) = self.since.pop_front() {
            self.settle(&key);
        }
    }

    fn settle(&mut self, key: &Key) {
        let answer = self.answers.remove(key).flatten();
        assert!(answer.is_some(), "{key:?} was never answered");
        self.settled += 1;
    }

    /// INVITEs that are watched now.
    pub(super) fn len(&self) -> usize {
        self.answers.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(status: u16, tag: &str) -> Arc<[u8]> {
        let first = match status {
            0 => "INVITE sip:a@b SIP/2.0".to_owned(),
            status => format!("SIP/2.0 {status} Some"),
        };
        let text = format!(
            "{first}\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa\r\nTo: <sip:a@b>;tag={tag}\r\n\
             Call-ID: abc\r\nCSeq: 2 INVITE\r\n\r\n"
        );
        text.into_bytes().into()
    }

    /// The engine is asked and then answers these.
    fn tell(answers: &[Arc<[u8]>]) -> Invites {
        let (far, home) = (super::super::far::address(0), super::super::home());
        let mut invites = Invites::default();
        let mut send = |from, to, bytes: &Arc<[u8]>| {
            let seen = Seen::read(bytes).expect("a message");
            let key = invites.sent(from, to, &seen, bytes);
            if let Some(key) = key {
                invites.asked(Mono(0), &key);
            }
        };
        send(far, home, &message(0, ""));
        for answer in answers {
            send(home, far, answer);
        }
        invites.over();
        invites
    }

    #[test]
    fn the_same_answer_may_come_again() {
        let answers = [100, 180, 200, 200].map(|status| message(status, "x"));
        let invites = tell(&answers);
        assert_eq!((invites.settled, invites.repeated), (1, 1));
    }

    #[test]
    #[should_panic(expected = "has two final answers")]
    fn another_answer_is_seen() {
        tell(&[message(487, "x"), message(200, "x")]);
    }

    #[test]
    #[should_panic(expected = "has two final answers")]
    fn another_tag_is_another_answer() {
        tell(&[message(200, "x"), message(200, "y")]);
    }

    #[test]
    #[should_panic(expected = "was never answered")]
    fn no_answer_is_seen() {
        tell(&[message(180, "x")]);
    }
}
