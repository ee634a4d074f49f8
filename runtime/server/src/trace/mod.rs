//! The signalling of each call, as it went over the network: captured, masked, filed, kept.
//!
//! The control thread hands copies of messages over ([`Tap`]) and never waits: what does not fit
//! into the queue is left out and counted. A thread of its own masks them, files them by call
//! ([`book`]), sends them to a HEP collector if there is one, and packs what is over for the store.
//!
//! **Invariant:** nothing is kept, shown or sent on before it went through [`mask`].

mod blob;
mod book;
mod cut;
mod find;
mod hep;
pub(crate) mod ladder;
mod limits;
mod mask;
mod message;
mod pcap;
pub(crate) mod sheet;
mod tap;
mod worker;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use store::Store;
use vocab::CallId;

pub(crate) use book::{Address, Filter, Stage};
pub(crate) use hep::Marks;
pub(crate) use limits::RING_PAGE_MAX;
pub(crate) use mask::mask;
pub(crate) use message::{Message, Trace};
pub(crate) use pcap::{Packet, file as pcap};
pub(crate) use tap::{Locals, Tap};
pub(crate) use worker::{Hep, Setup, Stop, start};

use book::Book;

/// What others may read at any time. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traces {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    book: Mutex<Book>,
    counts: Counters,
}

/// Counted since the start.
#[derive(Debug, Default)]
struct Counters {
    /// As the book says, so that nobody has to wait for it.
    bytes: AtomicU64,
    left_out: AtomicU64,
    /// Messages that the thread was too slow for.
    missed: AtomicU64,
    /// Calls whose trace was not written.
    not_kept: AtomicU64,
    /// Messages that the HEP collector was not sent.
    not_exported: AtomicU64,
}

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Bytes of live calls' messages.
    pub bytes: u64,
    /// Messages that were not kept, by any bound.
    pub left_out: u64,
    /// Past calls whose trace was not written.
    pub not_kept: u64,
    /// Messages that the HEP collector was not sent.
    pub not_exported: u64,
}

impl Traces {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.inner
            .book
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A call's trace, wherever it is; `None` if nothing is kept of it.
    ///
    /// # Errors
    /// If the database cannot be read. A row that is damaged counts as none, and is logged.
    pub(crate) async fn of_call(
        &self,
        store: &Store,
        call: CallId,
    ) -> Result<Option<(Stage, Trace)>, store::Error> {
        let (live, waiting) = {
            let book = self.book();
            (book.call(call), book.waiting(call))
        };
        if live.is_some() {
            return Ok(live);
        }
        let kept = match waiting {
            Some(blob) => Some(blob.to_vec()),
            None => store.trace(call).await?,
        };
        let Some(kept) = kept else { return Ok(None) };
        match blob::unpack(&kept) {
            Ok(trace) => Ok(Some((Stage::Past, trace))),
            Err(error) => {
                tracing::error!(%error, call.id = %call, "a trace cannot be shown");
                Ok(None)
            }
        }
    }

    /// Messages that belong to no call, newest first.
    pub(crate) fn ring(&self, filter: &Filter, limit: usize) -> Vec<Message> {
        self.book().ring(filter, limit)
    }

    /// What is counted. Never waits.
    pub(crate) fn counts(&self) -> Counts {
        let counts = &self.inner.counts;
        let left_out = counts.left_out.load(Ordering::Relaxed);
        Counts {
            bytes: counts.bytes.load(Ordering::Relaxed),
            left_out: left_out + counts.missed.load(Ordering::Relaxed),
            not_kept: counts.not_kept.load(Ordering::Relaxed),
            not_exported: counts.not_exported.load(Ordering::Relaxed),
        }
    }
}

/// A packed trace of two messages, for tests of what is made of it.
#[cfg(test)]
pub(crate) fn packed_sample() -> Vec<u8> {
    blob::pack(&Trace {
        legs: vec![message::Leg {
            n: 1,
            sip_call_id: "a".into(),
        }],
        messages: vec![
            sample(message::Way::In, "INVITE sip:1000@h SIP/2.0"),
            sample(message::Way::Out, "SIP/2.0 200 OK\r\nCSeq: 1 INVITE"),
        ],
        left_out: 0,
    })
}

#[cfg(test)]
fn sample(way: message::Way, first: &str) -> Message {
    let text = format!(
        "{first}\r\nFrom: <sip:1001@h>\r\nCall-ID: a\r\n\
         Authorization: Digest response=\"secret\"\r\n\r\n"
    );
    let ends = ("192.0.2.1:5060", "192.0.2.9:5062");
    let ends = (ends.0.parse(), ends.1.parse());
    let ends = (ends.0.expect("an address"), ends.1.expect("an address"));
    let how = (vocab::Wall(0), way, message::Carrier::Udp);
    Message::new(how, ends, text.into_bytes())
}

#[cfg(test)]
impl Traces {
    /// A message of no call.
    pub(crate) fn sample_stray(&self) {
        let stray = sample(message::Way::In, "REGISTER sip:h SIP/2.0");
        self.book().message(stray);
    }
}
