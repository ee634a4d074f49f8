//! A phone of several lines: an engine without audio.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use engine::{Engine, Input, Output, WorkerId};
use sip::{Hop, RequestId, Transport};
use vocab::call::{Carrier, Cause, Command, Event, Login, Target};
use vocab::{CallId, LegId, Mono, Now, Party, Pii, Rng};

use crate::media::Desk;
use crate::world::{HOME, address, secret};

/// What it does when it is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Manner {
    /// Rings and answers after this long.
    Answers(Duration),
    /// Can be heard at once and answers after this long.
    Announces(Duration),
    /// Rings.
    Rings,
    /// Refuses with this status.
    Refuses(u16),
    /// Can be heard at once and is busy after this long.
    Regrets(Duration),
    /// Says nothing at all.
    Dead,
    /// Answers after this long, and says nothing before.
    Curt(Duration),
    /// Sends the call to this user.
    SendsTo(&'static str),
}

pub(crate) struct Phone {
    pub(crate) user: String,
    pub(crate) at: SocketAddr,
    pub(crate) manner: Manner,
    engine: Engine,
    desk: Desk,
    rng: Rng,
    /// Legs that ring, and when they are answered.
    ringing: BTreeMap<LegId, Mono>,
    /// Legs that are there, oldest first.
    pub(crate) legs: Vec<LegId>,
    requests: u64,
}

impl Phone {
    pub(crate) fn new(now: Now, user: &str, at: SocketAddr, rng: &mut Rng) -> Self {
        let mut config = sip::Config::new(at, at, [9; 32]);
        config.realm = "demo".into();
        let mut engine = Engine::new(
            engine::Config {
                sip: config,
                capabilities: ::media::Capabilities::default(),
                credentials: Some(sip::Credentials {
                    user: user.into(),
                    password: secret(user),
                }),
                browsers: Vec::new(),
            },
            rng.fork(),
        );
        let ports = (0..4)
            .map(|n| SocketAddr::new(at.ip(), 4_000 + 2 * n))
            .collect();
        let worker = WorkerId(0);
        engine.handle(now, Input::Ports { worker, ports });
        Self {
            user: user.into(),
            at,
            manner: Manner::Answers(Duration::from_secs(1)),
            engine,
            desk: Desk::default(),
            rng: rng.fork(),
            ringing: BTreeMap::new(),
            legs: Vec::new(),
            requests: 0,
        }
    }

    /// Feeds an input and gives what is to be sent.
    pub(crate) fn feed(&mut self, now: Now, input: Input<'_>) -> Vec<Arc<[u8]>> {
        let mut sent = Vec::new();
        if self.manner == Manner::Dead && matches!(input, Input::Sip(_)) {
            return sent;
        }
        self.engine.handle(now, input);
        let mut reports = Vec::new();
        loop {
            while let Some(output) = self.engine.poll() {
                match output {
                    Output::Transmit { bytes, .. }
                        if matches!(self.manner, Manner::Curt(_))
                            && bytes.starts_with(b"SIP/2.0 1") => {}
                    Output::Transmit { bytes, .. } => sent.push(bytes),
                    Output::Media { command, .. } => {
                        reports.extend(self.desk.command(now.mono, &command));
                    }
                    Output::Event(event) => {
                        if let Some(command) = self.event(now, &event) {
                            sent.extend(self.feed(now, Input::Command(command)));
                        }
                    }
                    Output::CloseStream { .. } | Output::Response { .. } => {}
                }
            }
            let Some(event) = reports.pop() else {
                return sent;
            };
            let worker = WorkerId(0);
            self.engine.handle(now, Input::Media { worker, event });
        }
    }

    fn event(&mut self, now: Now, event: &Event) -> Option<Command> {
        match event {
            Event::Incoming { leg, .. } => {
                self.legs.push(*leg);
                let leg = *leg;
                match self.manner {
                    Manner::Refuses(status) => Some(Command::Reject {
                        leg,
                        status,
                        q850: None,
                    }),
                    Manner::SendsTo(user) => Some(Command::Redirect {
                        leg,
                        to: Pii::new(format!("sip:{user}@demo")),
                    }),
                    Manner::Dead => None,
                    Manner::Curt(after) => {
                        self.ringing.insert(leg, now.mono + after);
                        None
                    }
                    Manner::Rings => Some(Command::Ring { leg }),
                    Manner::Announces(after) | Manner::Regrets(after) => {
                        self.ringing.insert(leg, now.mono + after);
                        Some(Command::Progress { leg })
                    }
                    Manner::Answers(after) => {
                        self.ringing.insert(leg, now.mono + after);
                        Some(Command::Ring { leg })
                    }
                }
            }
            Event::Ended { leg, .. } => {
                self.legs.retain(|other| other != leg);
                self.ringing.remove(leg);
                None
            }
            Event::Trying { .. }
            | Event::Ringing { .. }
            | Event::EarlyMedia { .. }
            | Event::OneWay { .. }
            | Event::Media { .. }
            | Event::Answered { .. }
            | Event::Played { .. }
            | Event::Digit { .. }
            | Event::Gathered { .. }
            | Event::Recorded { .. }
            | Event::Bridged { .. }
            | Event::Unbridged { .. }
            | Event::Joined { .. }
            | Event::Left { .. }
            | Event::Heard { .. }
            | Event::Talking { .. }
            | Event::Speaker { .. }
            | Event::Held { .. }
            | Event::Retrieved { .. }
            | Event::Reoffered { .. }
            | Event::ReferAsked { .. }
            | Event::Referred { .. }
            | Event::Moved { .. }
            | Event::Registered { .. }
            | Event::Unregistered { .. }
            | Event::AuthFailed { .. }
            | Event::Banned { .. } => None,
        }
    }

    pub(crate) fn deadline(&self) -> Option<Mono> {
        let ringing = self.ringing.values().copied().min();
        self.engine.deadline().into_iter().chain(ringing).min()
    }

    pub(crate) fn wake(&mut self, now: Now) -> Vec<Arc<[u8]>> {
        let mut sent = self.feed(now, Input::Timeout);
        let due = |(leg, at): (&LegId, &Mono)| (*at <= now.mono).then_some(*leg);
        let due: Vec<_> = self.ringing.iter().filter_map(due).collect();
        for leg in due {
            self.ringing.remove(&leg);
            let command = match self.manner {
                Manner::Regrets(_) => Command::Reject {
                    leg,
                    status: 486,
                    q850: None,
                },
                Manner::Answers(_)
                | Manner::Announces(_)
                | Manner::Rings
                | Manner::Refuses(_)
                | Manner::Dead
                | Manner::Curt(_)
                | Manner::SendsTo(_) => Command::Answer { leg },
            };
            sent.extend(self.feed(now, Input::Command(command)));
        }
        sent
    }

    pub(crate) fn register(&mut self, now: Now) -> Vec<Arc<[u8]>> {
        self.requests += 1;
        let (user, at) = (&self.user, self.at);
        let action = sip::Action::Request {
            id: RequestId(self.requests),
            method: "REGISTER".to_owned(),
            uri: "sip:demo".to_owned(),
            hop: Hop {
                transport: Transport::Udp,
                remote: address(HOME),
                conn: None,
            },
            from: format!("<sip:{user}@demo>"),
            to: format!("<sip:{user}@demo>"),
            headers: vec![
                ("Contact".to_owned(), format!("<sip:{user}@{at}>")),
                ("Expires".to_owned(), "3600".to_owned()),
            ],
            credentials: Some(sip::Credentials {
                user: user.clone(),
                password: secret(user),
            }),
        };
        self.feed(now, Input::Request(action))
    }

    pub(crate) fn dial(&mut self, now: Now, number: &str) -> Vec<Arc<[u8]>> {
        self.call(now, number, None)
    }

    /// Calls with a `From` and further headers of its own.
    pub(crate) fn dial_as(
        &mut self,
        now: Now,
        number: &str,
        from: &str,
        more: &[(&str, &str)],
    ) -> Vec<Arc<[u8]>> {
        let headers = more
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Pii::new((*value).to_owned())));
        let carrier = Carrier {
            from: Pii::new(from.to_owned()),
            headers: headers.collect(),
            login: Some(Login {
                user: self.user.clone(),
                password: secret(&self.user),
            }),
            codecs: Vec::new(),
            secure_media: None,
        };
        self.call(now, number, Some(Box::new(carrier)))
    }

    fn call(&mut self, now: Now, number: &str, carrier: Option<Box<Carrier>>) -> Vec<Arc<[u8]>> {
        let leg = LegId {
            call: CallId::new(now.wall, &mut self.rng),
            n: 1,
        };
        self.legs.push(leg);
        let command = Command::Dial {
            leg,
            target: Target::Uri {
                uri: Pii::new(format!("sip:{number}@demo")),
                next_hop: address(HOME),
                tcp: false,
                carrier,
            },
            caller: Party::Sip(self.user.clone()),
            timeout: Duration::from_secs(120),
            sent_by: None,
        };
        self.feed(now, Input::Command(command))
    }

    /// Hangs up all it has.
    pub(crate) fn hang_up(&mut self, now: Now) -> Vec<Arc<[u8]>> {
        let cause = Cause::Normal;
        let hang_up = |leg| Input::Command(Command::Hangup { leg, cause });
        let legs = self.legs.clone();
        legs.into_iter()
            .flat_map(|leg| self.feed(now, hang_up(leg)))
            .collect()
    }

    pub(crate) fn sip_call_id(&self, leg: LegId) -> Option<Arc<str>> {
        self.engine.sip_call_id(leg)
    }

    pub(crate) fn command(&mut self, now: Now, command: Command) -> Vec<Arc<[u8]>> {
        self.feed(now, Input::Command(command))
    }
}
