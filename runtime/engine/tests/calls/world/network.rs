//! What is under way between the places of a world, and how it gets there.

use std::net::SocketAddr;
use std::time::Duration;

use jackfield_engine::{Input, Output, WorkerId, phone};
use media::{Channel, RecordingOutput};
use sip::message;
use sip::{ConnId, Hop, Transport};
use vocab::SessionId;
use vocab::call::Event;

use super::{HOME, World, address};
use crate::describe::{describe_event, describe_media};

/// Time between two hosts.
pub(crate) const LATENCY: Duration = Duration::from_millis(10);

/// How the network treats datagrams.
#[derive(Clone, Copy, Default)]
pub(crate) struct Weather {
    /// Probability that one is lost.
    pub(crate) loss: f64,
    /// Probability that one comes twice.
    pub(crate) repeat: f64,
    /// Most that is added to the latency.
    pub(crate) jitter: Duration,
}

/// Who is at an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Engine,
    Phone(usize),
    Session(usize, SessionId, Channel),
    PhoneMedia(usize, Channel),
    /// The test itself.
    Far,
}

pub(super) enum Parcel {
    Datagram {
        from: SocketAddr,
        to: SocketAddr,
        bytes: Vec<u8>,
    },
    Piece {
        conn: ConnId,
        bytes: Vec<u8>,
    },
    ToWorker {
        worker: usize,
        command: media::Command,
    },
    ToEngine {
        worker: usize,
        event: media::Event,
    },
}

#[derive(Clone, Copy)]
pub(super) struct Stream {
    pub(super) owner: Place,
    /// The address it was opened to or from.
    pub(super) remote: SocketAddr,
    pub(super) other: ConnId,
}

impl World {
    pub(super) fn feed(&mut self, input: Input<'_>) {
        self.engine.handle(self.now, input);
        let mut events = Vec::new();
        while let Some(output) = self.engine.poll() {
            match output {
                Output::Transmit { hop, bytes } => {
                    self.transmit(Place::Engine, address(HOME), hop, &bytes);
                }
                Output::CloseStream { conn } => {
                    self.streams.remove(&conn);
                }
                Output::Media { worker, command } => self.tell_worker(worker, command),
                Output::Response { .. } => panic!("the engine was asked for no request"),
                Output::Event(event) => events.push(event),
            }
        }
        for event in events {
            // Every leg with audio has one: it is not the story of a ladder.
            if !matches!(event, Event::Media { .. }) {
                let text = describe_event(&event, &mut self.names);
                self.write("  ", &text);
            }
            self.ledger.event(&event);
            self.events.push_back(event);
        }
    }

    pub(super) fn tell_worker(&mut self, worker: WorkerId, command: media::Command) {
        self.ledger.media(&command);
        if self.show_media {
            self.write("    ", &format!("media {}", describe_media(&command)));
        }
        if self.deaf {
            return;
        }
        let worker = usize::from(worker.0);
        self.post(self.thread_delay, Parcel::ToWorker { worker, command });
    }

    pub(super) fn feed_worker(&mut self, worker: usize, input: media::Input<'_>) {
        self.workers[worker].handle(self.now, input);
        while let Some(output) = self.workers[worker].poll() {
            match output {
                media::Output::Send {
                    session,
                    channel,
                    to,
                    packet,
                } => {
                    let of = |(_, s): &(usize, SessionId)| *s == session;
                    let local = self
                        .sessions
                        .iter()
                        .find(|(_, place)| of(place))
                        .map(|(at, _)| *at);
                    let from = on_channel(local.expect("a session has a port"), channel);
                    self.mail_datagram(from, to, packet.as_bytes().to_vec());
                }
                media::Output::SendThrough { .. } => panic!("no browser is called"),
                media::Output::Recording { recording, what } => {
                    let samples = self.recordings.entry(recording).or_default();
                    if let RecordingOutput::Samples(chunk) = what {
                        samples.extend_from_slice(&chunk);
                    }
                }
                media::Output::Event(event) => {
                    self.post(self.thread_delay, Parcel::ToEngine { worker, event });
                }
            }
        }
    }

    pub(super) fn feed_phone(&mut self, phone: usize, input: phone::Input<'_>) {
        self.phones[phone].handle(self.now, input);
        let config = self.phone_configs[phone].clone();
        while let Some(output) = self.phones[phone].poll() {
            match output {
                phone::Output::Transmit { hop, bytes } => {
                    self.transmit(Place::Phone(phone), config.sip, hop, &bytes);
                }
                phone::Output::CloseStream { conn } => {
                    self.streams.remove(&conn);
                }
                phone::Output::Media {
                    channel,
                    to,
                    packet,
                } => {
                    let from = on_channel(config.rtp, channel);
                    self.mail_datagram(from, to, packet.as_bytes().to_vec());
                }
                phone::Output::News(news) => self.news[phone].push(news),
            }
        }
    }

    pub(super) fn place(&self, at: SocketAddr) -> Option<Place> {
        if at == address(HOME) {
            return Some(Place::Engine);
        }
        if self.inbox.contains_key(&at) {
            return Some(Place::Far);
        }
        for (n, config) in self.phone_configs.iter().enumerate() {
            if at == config.sip {
                return Some(Place::Phone(n));
            }
            for channel in [Channel::Rtp, Channel::Rtcp] {
                if at == on_channel(config.rtp, channel) {
                    return Some(Place::PhoneMedia(n, channel));
                }
            }
        }
        let below = SocketAddr::new(at.ip(), at.port().saturating_sub(1));
        let found = |at: &SocketAddr, channel| {
            self.sessions
                .get(at)
                .map(|&(worker, session)| Place::Session(worker, session, channel))
        };
        found(&at, Channel::Rtp).or_else(|| found(&below, Channel::Rtcp))
    }

    pub(super) fn deliver(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::Datagram { from, to, bytes } => self.deliver_datagram(from, to, &bytes),
            Parcel::Piece { conn, bytes } => {
                let Some(stream) = self.streams.get(&conn).copied() else {
                    return;
                };
                let input = sip::Input::Stream {
                    conn,
                    remote: stream.remote,
                    bytes: &bytes,
                };
                match stream.owner {
                    Place::Engine => self.feed(Input::Sip(input)),
                    Place::Phone(phone) => self.feed_phone(phone, phone::Input::Sip(input)),
                    Place::Far | Place::Session(..) | Place::PhoneMedia(..) => {}
                }
            }
            Parcel::ToWorker { worker, command } => {
                if let media::Command::Open { session, local } = &command {
                    self.sessions.insert(*local, (worker, *session));
                }
                self.feed_worker(worker, media::Input::Command(command));
            }
            Parcel::ToEngine { worker, event } => {
                self.ledger.media_event(&event);
                let worker = WorkerId(worker as u16);
                self.feed(Input::Media { worker, event });
            }
        }
    }

    pub(super) fn deliver_datagram(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let remote = from;
        match self.place(to) {
            Some(Place::Engine) => self.feed(Input::Sip(sip::Input::Datagram { remote, bytes })),
            Some(Place::Phone(phone)) => {
                let input = sip::Input::Datagram { remote, bytes };
                self.feed_phone(phone, phone::Input::Sip(input));
            }
            Some(Place::PhoneMedia(phone, channel)) => {
                self.feed_phone(
                    phone,
                    phone::Input::Media {
                        channel,
                        from,
                        bytes,
                    },
                );
            }
            Some(Place::Session(worker, session, channel)) => {
                let input = media::Input::Packet {
                    session,
                    channel,
                    from,
                    bytes,
                };
                self.feed_worker(worker, input);
            }
            Some(Place::Far) => {
                let message = message::parse(bytes).expect("the engine writes what can be read");
                self.inbox
                    .get_mut(&to)
                    .expect("a far end")
                    .push_back(message);
            }
            None => {}
        }
    }

    pub(super) fn transmit(&mut self, who: Place, from: SocketAddr, hop: Hop, bytes: &[u8]) {
        let line = match message::parse(bytes) {
            Ok(message) => message.summary(),
            Err(error) => format!("({error})"),
        };
        let stream = hop.conn.and_then(|conn| self.streams.get(&conn));
        let to = stream
            .and_then(|near| self.streams.get(&near.other))
            .map(|far| far.owner);
        let name = self.names.of(from);
        let other = match to {
            Some(Place::Phone(n)) => self.names.of(self.phone_configs[n].sip),
            Some(Place::Engine | Place::Far | Place::Session(..) | Place::PhoneMedia(..))
            | None => self.names.of(hop.remote),
        };
        let lost = self.filter.as_mut().is_some_and(|lost| lost(&name, &line));
        let mark = if lost { " ✗" } else { "" };
        self.write("", &format!("{name} → {other}: {line}{mark}"));
        if lost {
            return;
        }
        match hop.transport {
            Transport::Udp => self.mail_datagram(from, hop.remote, bytes.to_vec()),
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
                let conn = hop.conn.filter(|conn| self.streams.contains_key(conn));
                let conn = conn.or_else(|| self.connect(who, from, hop.remote));
                let Some(stream) = conn.and_then(|conn| self.streams.get(&conn)) else {
                    return;
                };
                let conn = stream.other;
                // In pieces that do not end where messages do.
                for piece in bytes.chunks(100) {
                    self.post(
                        LATENCY,
                        Parcel::Piece {
                            conn,
                            bytes: piece.to_vec(),
                        },
                    );
                }
            }
        }
    }

    /// A stream from one place to the one at `remote`, reused while it is open.
    pub(super) fn connect(
        &mut self,
        who: Place,
        from: SocketAddr,
        remote: SocketAddr,
    ) -> Option<ConnId> {
        let open =
            |(_, stream): &(&ConnId, &Stream)| stream.owner == who && stream.remote == remote;
        if let Some((conn, _)) = self.streams.iter().find(open) {
            return Some(*conn);
        }
        let to = self.place(remote)?;
        let count = self.streams.len() as u64;
        let (near, far) = (ConnId(2 * count + 1), ConnId(2 * count + 2));
        let source = SocketAddr::new(from.ip(), 40_000 + count as u16);
        self.streams.insert(
            near,
            Stream {
                owner: who,
                remote,
                other: far,
            },
        );
        self.streams.insert(
            far,
            Stream {
                owner: to,
                remote: source,
                other: near,
            },
        );
        Some(near)
    }

    pub(super) fn mail_datagram(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        let Weather {
            loss,
            repeat,
            jitter,
        } = self.weather;
        for _ in 0..1 + u32::from(self.rng.chance(repeat)) {
            if self.rng.chance(loss) {
                continue;
            }
            let late = Duration::from_nanos(self.rng.below(jitter.as_nanos() as u64 + 1));
            let bytes = bytes.clone();
            self.post(LATENCY + late, Parcel::Datagram { from, to, bytes });
        }
    }

    pub(super) fn post(&mut self, after: Duration, parcel: Parcel) {
        self.mailed += 1;
        self.mail
            .insert((self.now.mono + after, self.mailed), parcel);
    }
}

fn on_channel(rtp: SocketAddr, channel: Channel) -> SocketAddr {
    match channel {
        Channel::Rtp => rtp,
        Channel::Rtcp => SocketAddr::new(rtp.ip(), rtp.port() + 1),
    }
}
