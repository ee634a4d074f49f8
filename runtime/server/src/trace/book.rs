//! What is known of the signalling: live calls by their dialogs, and a ring for all the rest.
//!
//! A machine like the others: told what passed, it keeps it within its bounds.
//! A message is filed by its `Call-ID`. Before the node has said whose a dialog is, its messages
//! are in the ring; then they move to their call. What nobody claims stays in the ring until newer
//! messages push it out.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use vocab::{CallId, Mono};

use super::find;
use super::limits::{
    CALL_BYTES_MAX, CALL_MESSAGES_FIRST, CALL_MESSAGES_MAX, CALL_TIME, CALLS_MAX, LEGS_MAX, LINGER,
    LIVE_BYTES_MAX, RING_BYTES_MAX, RING_MESSAGES_MAX,
};
use super::message::{Leg, Message, Trace};

/// How far a call is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// It goes on.
    Live,
    /// It is over, and its last messages may still come.
    Ending,
    /// It is over, and nothing more is added.
    Past,
}

/// Which messages of the ring are wanted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Filter {
    /// The user part of a URI in the first line, `From`, `To` or `Contact`.
    pub(crate) user: Option<String>,
    /// The other side's address.
    pub(crate) address: Option<Address>,
}

/// An address, with or without its port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Address {
    Host(IpAddr),
    Port(SocketAddr),
}

#[derive(Debug)]
struct Call {
    trace: Trace,
    bytes: usize,
    began: Mono,
    ended: Option<Mono>,
}

/// The book.
#[derive(Debug, Default)]
pub(crate) struct Book {
    calls: BTreeMap<CallId, Call>,
    dialogs: BTreeMap<Arc<str>, CallId>,
    /// Bytes of all calls.
    bytes: usize,
    /// Traces on their way to the database, packed.
    packed: BTreeMap<CallId, Arc<[u8]>>,
    ring: BTreeMap<u64, Message>,
    /// Numbers in the ring by `Call-ID`, oldest first.
    strays: BTreeMap<Box<str>, VecDeque<u64>>,
    ring_bytes: usize,
    ring_last: u64,
    left_out: u64,
}

impl Book {
    /// A message passed; gives the call it belongs to, if that is known.
    pub(crate) fn message(&mut self, message: Message) -> Option<CallId> {
        let dialog = find::call_id(&message.bytes);
        let call = dialog.and_then(|dialog| self.dialogs.get(dialog).copied());
        match call {
            Some(call) => self.add(call, message),
            None => self.stray(message),
        }
        call
    }

    /// A dialog belongs to a leg of a call. May be told again.
    pub(crate) fn leg(&mut self, now: Mono, call: CallId, n: u16, sip_call_id: &str) {
        if self.dialogs.contains_key(sip_call_id)
            || (self.calls.len() >= CALLS_MAX && !self.calls.contains_key(&call))
        {
            return;
        }
        let entry = self.calls.entry(call).or_insert_with(|| Call {
            trace: Trace::default(),
            bytes: 0,
            began: now,
            ended: None,
        });
        if entry.trace.legs.len() >= LEGS_MAX {
            return;
        }
        let sip_call_id: Arc<str> = sip_call_id.into();
        entry.trace.legs.push(Leg {
            n,
            sip_call_id: Arc::clone(&sip_call_id),
        });
        self.dialogs.insert(Arc::clone(&sip_call_id), call);
        for number in self.strays.remove(&*sip_call_id).into_iter().flatten() {
            if let Some(message) = self.ring.remove(&number) {
                self.ring_bytes -= message.cost();
                self.add(call, message);
            }
        }
    }

    /// A call is over.
    pub(crate) fn ended(&mut self, now: Mono, call: CallId) {
        if let Some(call) = self.calls.get_mut(&call) {
            call.ended.get_or_insert(now);
        }
    }

    /// Takes out the calls to which nothing more is added; all of them when the server stops.
    pub(crate) fn finished(&mut self, now: Mono, stopping: bool) -> Vec<(CallId, Trace)> {
        let over = |call: &Call| {
            stopping
                || call.ended.is_some_and(|at| now.since(at) >= LINGER)
                || now.since(call.began) >= CALL_TIME
        };
        let over = self.calls.iter().filter(|(_, call)| over(call));
        let over: Vec<CallId> = over.map(|(id, _)| *id).collect();
        let mut finished = Vec::with_capacity(over.len());
        for id in over {
            let call = self.calls.remove(&id).expect("it was found");
            self.bytes -= call.bytes;
            for leg in &call.trace.legs {
                self.dialogs.remove(&leg.sip_call_id);
            }
            finished.push((id, call.trace));
        }
        finished
    }

    /// A trace waits for the database.
    pub(crate) fn packed(&mut self, call: CallId, blob: Arc<[u8]>) {
        self.packed.insert(call, blob);
    }

    /// It is there, or will never be.
    pub(crate) fn settled(&mut self, call: CallId) {
        self.packed.remove(&call);
    }

    /// A call in memory.
    pub(crate) fn call(&self, call: CallId) -> Option<(Stage, Trace)> {
        let call = self.calls.get(&call)?;
        let stage = match call.ended {
            None => Stage::Live,
            Some(_) => Stage::Ending,
        };
        Some((stage, call.trace.clone()))
    }

    /// A call on its way to the database.
    pub(crate) fn waiting(&self, call: CallId) -> Option<Arc<[u8]>> {
        self.packed.get(&call).cloned()
    }

    /// Messages of the ring, newest first.
    pub(crate) fn ring(&self, filter: &Filter, limit: usize) -> Vec<Message> {
        let fits = |message: &&Message| {
            let user = filter.user.as_deref();
            let near = match filter.address {
                None => true,
                Some(Address::Host(ip)) => message.remote.ip() == ip,
                Some(Address::Port(at)) => message.remote == at,
            };
            near && user.is_none_or(|user| find::concerns(&message.bytes, user))
        };
        let newest = self.ring.values().rev();
        newest.filter(fits).take(limit).cloned().collect()
    }

    /// Bytes kept of live calls.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Messages of calls that were not kept.
    pub(crate) fn left_out(&self) -> u64 {
        self.left_out
    }

    fn add(&mut self, id: CallId, message: Message) {
        let call = self.calls.get_mut(&id).expect("a dialog's call is known");
        let cost = message.cost();
        let messages = &mut call.trace.messages;
        if messages.len() >= CALL_MESSAGES_MAX {
            let old = messages.remove(CALL_MESSAGES_FIRST);
            call.bytes -= old.cost();
            self.bytes -= old.cost();
            call.trace.left_out += 1;
            self.left_out += 1;
        }
        if call.bytes + cost > CALL_BYTES_MAX || self.bytes + cost > LIVE_BYTES_MAX {
            call.trace.left_out += 1;
            self.left_out += 1;
            return;
        }
        call.bytes += cost;
        self.bytes += cost;
        call.trace.messages.push(message);
    }

    fn stray(&mut self, message: Message) {
        self.ring_last += 1;
        self.ring_bytes += message.cost();
        if let Some(dialog) = find::call_id(&message.bytes) {
            match self.strays.get_mut(dialog) {
                Some(numbers) => numbers.push_back(self.ring_last),
                None => drop(self.strays.insert(dialog.into(), [self.ring_last].into())),
            }
        }
        self.ring.insert(self.ring_last, message);
        while self.ring.len() > RING_MESSAGES_MAX || self.ring_bytes > RING_BYTES_MAX {
            let (number, old) = self.ring.pop_first().expect("it is not empty");
            self.ring_bytes -= old.cost();
            let Some(dialog) = find::call_id(&old.bytes) else {
                continue;
            };
            if let Some(numbers) = self.strays.get_mut(dialog) {
                numbers.retain(|known| *known != number);
                if numbers.is_empty() {
                    self.strays.remove(dialog);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use vocab::Wall;

    use super::super::message::{Carrier, Way};
    use super::*;

    fn message(dialog: &str, text: &str) -> Message {
        let bytes =
            format!("{text} sip:1000@h SIP/2.0\r\nFrom: <sip:1001@h>\r\nCall-ID: {dialog}\r\n\r\n");
        let ends = (
            "192.0.2.1:5060".parse().unwrap(),
            "192.0.2.9:5062".parse().unwrap(),
        );
        Message::new((Wall(7), Way::In, Carrier::Udp), ends, bytes.into_bytes())
    }

    fn texts(messages: &[Message]) -> Vec<String> {
        let first = |message: &Message| {
            let text = String::from_utf8_lossy(&message.bytes).into_owned();
            text.split(' ').next().unwrap().to_owned()
        };
        messages.iter().map(first).collect()
    }

    const CALL: CallId = CallId(1);

    #[test]
    fn messages_find_their_call_before_and_after_it_is_known() {
        let mut book = Book::default();
        assert_eq!(book.message(message("a", "INVITE")), None);
        book.message(message("x", "OPTIONS"));
        book.leg(Mono(0), CALL, 1, "a");
        book.leg(Mono(0), CALL, 1, "a");
        assert_eq!(book.message(message("a", "ACK")), Some(CALL));
        book.leg(Mono(0), CALL, 2, "b");
        book.message(message("b", "BYE"));
        let (stage, trace) = book.call(CALL).unwrap();
        assert_eq!(stage, Stage::Live);
        assert_eq!(texts(&trace.messages), ["INVITE", "ACK", "BYE"]);
        let legs: Vec<_> = trace
            .legs
            .iter()
            .map(|leg| (leg.n, &*leg.sip_call_id))
            .collect();
        assert_eq!(legs, [(1, "a"), (2, "b")]);
        assert_eq!(texts(&book.ring(&Filter::default(), 10)), ["OPTIONS"]);
    }

    #[test]
    fn a_call_is_given_away_once_its_last_messages_had_time() {
        let mut book = Book::default();
        book.leg(Mono(0), CALL, 1, "a");
        book.message(message("a", "INVITE"));
        book.ended(Mono(0), CALL);
        book.message(message("a", "BYE"));
        assert_eq!(book.call(CALL).unwrap().0, Stage::Ending);
        let before = Mono(0) + (LINGER - Duration::from_nanos(1));
        assert!(book.finished(before, false).is_empty());
        let finished = book.finished(Mono(0) + LINGER, false);
        assert_eq!(texts(&finished[0].1.messages), ["INVITE", "BYE"]);
        assert_eq!(
            (book.bytes(), book.dialogs.len(), book.calls.len()),
            (0, 0, 0)
        );
        // What comes later is nobody's.
        assert_eq!(book.message(message("a", "BYE")), None);

        book.leg(Mono(0), CALL, 1, "b");
        assert!(book.finished(Mono(0), false).is_empty());
        assert_eq!(book.finished(Mono(0), true).len(), 1, "the server stops");
        book.leg(Mono(0), CALL, 1, "c");
        assert_eq!(
            book.finished(Mono(0) + CALL_TIME, false).len(),
            1,
            "its end was not told"
        );
    }

    #[test]
    fn a_call_keeps_how_it_began_and_how_it_goes_on() {
        let mut book = Book::default();
        book.leg(Mono(0), CALL, 1, "a");
        for n in 0..CALL_MESSAGES_MAX + 7 {
            book.message(message("a", &format!("M{n}")));
        }
        let (_, trace) = book.call(CALL).unwrap();
        let kept = texts(&trace.messages);
        assert_eq!(
            (kept.len(), trace.left_out, book.left_out()),
            (CALL_MESSAGES_MAX, 7, 7)
        );
        let at = CALL_MESSAGES_FIRST;
        assert_eq!(
            kept[at - 1..=at],
            [format!("M{}", at - 1), format!("M{}", at + 7)]
        );
        let bytes: usize = trace.messages.iter().map(Message::cost).sum();
        assert_eq!(book.bytes(), bytes);
    }

    #[test]
    fn all_calls_together_are_bounded() {
        let mut book = Book::default();
        let long = "x".repeat(50_000);
        for call in 0..200 {
            let dialog = format!("{call}");
            book.leg(Mono(0), CallId(call), 1, &dialog);
            for _ in 0..20 {
                book.message(message(&dialog, &long));
            }
            assert!(book.calls[&CallId(call)].bytes <= CALL_BYTES_MAX);
        }
        assert!(book.bytes() <= LIVE_BYTES_MAX && book.left_out() > 0);
        assert!(book.call(CallId(199)).unwrap().1.left_out > 0);
    }

    #[test]
    fn the_ring_is_bounded_and_can_be_asked() {
        let mut book = Book::default();
        for n in 0..RING_MESSAGES_MAX + 10 {
            book.message(message(&format!("d{}", n % 5_000), &format!("M{n}")));
        }
        assert_eq!(
            (book.ring.len(), book.strays.len()),
            (RING_MESSAGES_MAX, RING_MESSAGES_MAX)
        );
        assert_eq!(texts(&book.ring(&Filter::default(), 2)), ["M4105", "M4104"]);
        let ask = |user: Option<&str>, address| {
            let user = user.map(str::to_owned);
            book.ring(&Filter { user, address }, 1).len()
        };
        assert_eq!((ask(Some("1001"), None), ask(Some("1002"), None)), (1, 0));
        let host = |text: &str| Some(Address::Host(text.parse().unwrap()));
        let port = |text: &str| Some(Address::Port(text.parse().unwrap()));
        assert_eq!(
            (ask(None, host("192.0.2.9")), ask(None, host("192.0.2.1"))),
            (1, 0)
        );
        assert_eq!(
            (
                ask(None, port("192.0.2.9:5062")),
                ask(None, port("192.0.2.9:1"))
            ),
            (1, 0)
        );
        for _ in 0..300 {
            book.message(message("long", &"x".repeat(50_000)));
        }
        assert!(book.ring_bytes <= RING_BYTES_MAX);
        assert_eq!(book.strays.len(), 1);
    }
}
