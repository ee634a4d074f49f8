//! The thread: masks, files, exports, and hands what is over to the store.

// A thread and a socket of its own are what this file is for.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use sip::ConnId;
use vocab::{CallId, Mono};

use super::limits::STREAMS_MAX;
use super::message::{Carrier, Message, Trace, Way};
use super::tap::{Entry, Locals, Queue, Tap};
use super::{Marks, Traces, blob, cut, hep};
use crate::clock::Clock;
use crate::store_task::{self, Writer};

/// A collector of messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Hep {
    pub(crate) to: SocketAddr,
    pub(crate) marks: Marks,
}

/// What the thread is given.
pub(crate) struct Setup {
    pub(crate) clock: Clock,
    pub(crate) locals: Locals,
    pub(crate) writer: Writer,
    /// Whether messages are captured at all.
    pub(crate) on: bool,
    /// Whether traces of past calls are kept.
    pub(crate) keep: bool,
    pub(crate) hep: Option<Hep>,
}

/// Ends the thread when told.
pub(crate) struct Stop(Arc<Queue>);

impl Stop {
    /// What was captured is filed and handed to the store, live calls too; then the thread ends.
    pub(crate) fn stop(&self) {
        self.0.stop();
    }
}

/// Starts the thread.
///
/// # Errors
/// When the system gives no thread, or no socket for the collector.
pub(crate) fn start(setup: Setup) -> io::Result<(Tap, Traces, Stop, JoinHandle<()>)> {
    let (queue, traces) = (Arc::new(Queue::default()), Traces::default());
    let tap = Tap::new(Arc::clone(&queue), traces.clone(), setup.on);
    let exporter = setup.hep.clone().map(Exporter::open).transpose()?;
    let worker = Worker {
        setup,
        traces: traces.clone(),
        exporter,
        streams: BTreeMap::new(),
    };
    let stop = Stop(Arc::clone(&queue));
    let thread = std::thread::Builder::new()
        .name("trace".to_owned())
        .spawn(move || worker.run(&queue))?;
    Ok((tap, traces, stop, thread))
}

struct Worker {
    setup: Setup,
    traces: Traces,
    exporter: Option<Exporter>,
    streams: BTreeMap<ConnId, (Carrier, cut::Cutter)>,
}

impl Worker {
    fn run(mut self, queue: &Queue) {
        loop {
            let (entries, last) = queue.take();
            let now = self.setup.clock.now().mono;
            self.work(now, entries);
            self.sweep(now, last);
            if last {
                return;
            }
        }
    }

    fn work(&mut self, now: Mono, entries: Vec<Entry>) {
        for entry in entries {
            match entry {
                Entry::Message {
                    at,
                    way,
                    carrier,
                    remote,
                    bytes,
                } => {
                    let ends = (self.setup.locals.of(carrier), remote);
                    self.message(Message::new((at, way, carrier), ends, bytes.to_vec()));
                }
                Entry::Piece {
                    at,
                    conn,
                    remote,
                    bytes,
                } => {
                    if self.streams.len() >= STREAMS_MAX && !self.streams.contains_key(&conn) {
                        // The shell has no more open: these are of closes that were missed.
                        self.streams.clear();
                    }
                    let stream = self.streams.entry(conn);
                    let (carrier, cutter) =
                        stream.or_insert_with(|| (Carrier::Tcp, cut::Cutter::default()));
                    let carrier = *carrier;
                    // A WebSocket brings whole messages (RFC 7118 §5).
                    let messages = match carrier {
                        Carrier::Ws | Carrier::Wss => vec![bytes.to_vec()],
                        Carrier::Udp | Carrier::Tcp | Carrier::Tls => cutter.push(&bytes),
                    };
                    let ends = (self.setup.locals.of(carrier), remote);
                    for bytes in messages {
                        self.message(Message::new((at, Way::In, carrier), ends, bytes));
                    }
                }
                Entry::Opened { conn, carrier } => {
                    if self.streams.len() < STREAMS_MAX {
                        self.streams.insert(conn, (carrier, cut::Cutter::default()));
                    }
                }
                Entry::Closed { conn } => drop(self.streams.remove(&conn)),
                Entry::Dialog {
                    call,
                    leg,
                    sip_call_id,
                } => self.traces.book().leg(now, call, leg, &sip_call_id),
                Entry::Ended { call } => self.traces.book().ended(now, call),
            }
        }
    }

    fn message(&mut self, message: Message) {
        let exported = self.exporter.as_ref().map(|_| message.clone());
        let call = self.traces.book().message(message);
        if let (Some(exporter), Some(message)) = (&self.exporter, exported) {
            exporter.send(&message, call, &self.traces.inner.counts.not_exported);
        }
    }

    /// Hands calls that are over to the store.
    fn sweep(&mut self, now: Mono, stopping: bool) {
        let finished = {
            let mut book = self.traces.book();
            let finished = book.finished(now, stopping);
            let counts = &self.traces.inner.counts;
            counts.bytes.store(book.bytes() as u64, Ordering::Relaxed);
            counts.left_out.store(book.left_out(), Ordering::Relaxed);
            finished
        };
        for (call, trace) in finished {
            if self.setup.keep && !trace.messages.is_empty() {
                self.keep(call, &trace);
            }
        }
    }

    fn keep(&self, call: CallId, trace: &Trace) {
        let blob: Arc<[u8]> = blob::pack(trace).into();
        self.traces.book().packed(call, Arc::clone(&blob));
        let traces = self.traces.clone();
        let settled = Box::new(move |kept: bool| {
            traces.book().settled(call);
            let not_kept = &traces.inner.counts.not_kept;
            not_kept.fetch_add(u64::from(!kept), Ordering::Relaxed);
        });
        let trace = store_task::Trace {
            call,
            blob,
            settled,
        };
        if let Err(trace) = self.setup.writer.keep_trace(trace) {
            (trace.settled)(false);
        }
    }
}

/// Sends messages to a collector, as far as the socket takes them at once.
struct Exporter {
    socket: UdpSocket,
    marks: Marks,
}

impl Exporter {
    fn open(hep: Hep) -> io::Result<Self> {
        let any: SocketAddr = if hep.to.is_ipv4() {
            (Ipv4Addr::UNSPECIFIED, 0).into()
        } else {
            (Ipv6Addr::UNSPECIFIED, 0).into()
        };
        let socket = UdpSocket::bind(any)?;
        socket.set_nonblocking(true)?;
        socket.connect(hep.to)?;
        let marks = hep.marks;
        Ok(Self { socket, marks })
    }

    fn send(&self, message: &Message, call: Option<CallId>, not_exported: &AtomicU64) {
        let packet = hep::packet(message, call, &self.marks);
        if self.socket.send(&packet).is_err() {
            not_exported.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use vocab::Wall;

    use super::super::book::{Filter, Stage};
    use super::super::limits::LINGER;
    use super::*;

    fn setup(hep: Option<Hep>) -> Worker {
        let local = "192.0.2.1:5060".parse().unwrap();
        Worker {
            exporter: hep.clone().map(|hep| Exporter::open(hep).unwrap()),
            setup: Setup {
                clock: Clock::start(),
                locals: Locals {
                    udp: local,
                    tcp: local,
                },
                writer: Writer::closed(),
                on: true,
                keep: true,
                hep,
            },
            traces: Traces::default(),
            streams: BTreeMap::new(),
        }
    }

    const CALL: CallId = CallId(1);

    fn dialog(sip_call_id: &str) -> Entry {
        Entry::Dialog {
            call: CALL,
            leg: 1,
            sip_call_id: sip_call_id.into(),
        }
    }

    #[test]
    fn streams_and_datagrams_of_a_call_are_filed_masked() {
        let mut worker = setup(None);
        let remote = "192.0.2.9:5062".parse().unwrap();
        let (at, conn) = (Wall(0), ConnId(1));
        let text = b"INVITE sip:1000@h SIP/2.0\r\nCall-ID: a\r\n\
            Authorization: Digest response=\"secret\"\r\nContent-Length: 0\r\n\r\n";
        let (first, rest) = text.split_at(70);
        let piece = |bytes: &[u8]| Entry::Piece {
            at,
            conn,
            remote,
            bytes: bytes.into(),
        };
        let ack = Entry::Message {
            at,
            way: Way::Out,
            carrier: Carrier::Udp,
            remote,
            bytes: b"ACK sip:a SIP/2.0\r\ni: a\r\n\r\n"[..].into(),
        };
        let entries = vec![
            piece(first),
            piece(rest),
            Entry::Closed { conn },
            dialog("a"),
            ack,
        ];
        worker.work(Mono(0), entries);
        let (stage, trace) = worker.traces.book().call(CALL).unwrap();
        assert_eq!(
            (stage, trace.messages.len(), worker.streams.len()),
            (Stage::Live, 2, 0)
        );
        let first = String::from_utf8_lossy(&trace.messages[0].bytes).into_owned();
        assert!(
            first.contains("response=\"******\"") && !first.contains("secret"),
            "{first}"
        );
        assert!(worker.traces.ring(&Filter::default(), 9).is_empty());
    }

    #[test]
    fn a_trace_that_the_store_does_not_take_is_counted() {
        let mut worker = setup(None);
        let message = Entry::Message {
            at: Wall(0),
            way: Way::In,
            carrier: Carrier::Udp,
            remote: "192.0.2.9:5062".parse().unwrap(),
            bytes: b"BYE sip:a SIP/2.0\r\ni: a\r\n\r\n"[..].into(),
        };
        worker.work(
            Mono(0),
            vec![dialog("a"), message, Entry::Ended { call: CALL }],
        );
        worker.sweep(Mono(0) + (LINGER - Duration::from_nanos(1)), false);
        assert_eq!(worker.traces.counts().not_kept, 0);
        worker.sweep(Mono(0) + LINGER, false);
        let counts = worker.traces.counts();
        assert_eq!((counts.not_kept, counts.bytes), (1, 0));
        assert!(
            worker.traces.book().waiting(CALL).is_none(),
            "it does not pile up"
        );
    }

    #[test]
    fn a_collector_gets_each_message_once() {
        let collector = UdpSocket::bind("127.0.0.1:0").unwrap();
        collector
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let marks = Marks {
            capture_id: 7,
            key: None,
        };
        let to = collector.local_addr().unwrap();
        let mut worker = setup(Some(Hep { to, marks }));
        let text = b"OPTIONS sip:a SIP/2.0\r\ni: a\r\n\r\n";
        worker.work(
            Mono(0),
            vec![Entry::Message {
                at: Wall(0),
                way: Way::In,
                carrier: Carrier::Udp,
                remote: "192.0.2.9:5062".parse().unwrap(),
                bytes: text[..].into(),
            }],
        );
        let mut packet = [0; 2_000];
        let length = collector.recv(&mut packet).unwrap();
        assert!(packet.starts_with(b"HEP3") && packet[..length].ends_with(text));
        assert_eq!(worker.traces.counts().not_exported, 0);
    }
}
