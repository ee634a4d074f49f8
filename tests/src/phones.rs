//! Many softphones over real signalling sockets, driven by one loop. They send and hear no audio:
//! for tests that are about calls, not about sound.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::ensure;
use engine::phone::{Config, Digits, Input, News, Output, Phone, Step};
use media::Capabilities;
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use server::clock::Clock;
use sip::Transport;
use vocab::{Mono, Rng};

/// The phones and their sockets.
#[derive(Debug)]
pub struct Phones {
    clock: Clock,
    poll: Poll,
    phones: Vec<(Phone, UdpSocket)>,
    /// What each has reported so far.
    pub news: Vec<Vec<News>>,
}

impl Phones {
    /// `count` phones of strangers, each with this script.
    ///
    /// # Errors
    /// If the system gives no sockets.
    pub fn new(count: usize, script: &[Step]) -> anyhow::Result<Self> {
        let clock = Clock::start();
        let poll = Poll::new()?;
        let mut phones = Vec::with_capacity(count);
        for index in 0..count {
            let mut socket = UdpSocket::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
            poll.registry()
                .register(&mut socket, Token(index), Interest::READABLE)?;
            let config = Config {
                user: format!("stranger{index}"),
                domain: "127.0.0.1".to_owned(),
                password: None,
                sip: socket.local_addr()?,
                // Nobody listens there: no audio in this bench.
                rtp: SocketAddr::from((Ipv4Addr::LOCALHOST, 9)),
                transport: Transport::Udp,
                capabilities: Capabilities::default(),
                digits: Digits::Rfc4733,
                answer_after: None,
                script: script.to_vec(),
                vanish: false,
            };
            let phone = Phone::new(clock.now(), config, Rng::from_u64(index as u64 + 1));
            phones.push((phone, socket));
        }
        let news = vec![Vec::new(); count];
        Ok(Self {
            clock,
            poll,
            phones,
            news,
        })
    }

    /// Phone `index` calls `number` at `server`.
    pub fn call(&mut self, index: usize, number: &str, server: SocketAddr) {
        let uri = format!("sip:{number}@{server}");
        let timeout = Duration::from_secs(20);
        self.feed(
            index,
            Input::Call {
                uri,
                next_hop: server,
                timeout,
            },
        );
    }

    /// Phone `index` hangs up.
    pub fn hang_up(&mut self, index: usize) {
        self.feed(index, Input::Hangup);
    }

    /// Runs until `done`, at most `patience`.
    ///
    /// # Errors
    /// If it takes longer.
    pub fn run_until(
        &mut self,
        patience: Duration,
        mut done: impl FnMut(&[Vec<News>]) -> bool,
    ) -> anyhow::Result<()> {
        let end = self.clock.now().mono + patience;
        let mut events = Events::with_capacity(256);
        while !done(&self.news) {
            let now = self.clock.now().mono;
            ensure!(now < end, "the phones are not done after {patience:?}");
            let next = self.deadline().map_or(end, |at| at.min(end));
            self.poll.poll(&mut events, Some(next.since(now)))?;
            let ready: Vec<usize> = events.iter().map(|event| event.token().0).collect();
            for index in ready {
                self.receive(index);
            }
            let now = self.clock.now().mono;
            for index in 0..self.phones.len() {
                if self.phones[index].0.deadline().is_some_and(|at| at <= now) {
                    self.feed(index, Input::Timeout);
                }
            }
        }
        Ok(())
    }

    /// How many phones have reported something like this.
    pub fn count(&self, like: impl Fn(&News) -> bool) -> usize {
        self.news
            .iter()
            .filter(|news| news.iter().any(&like))
            .count()
    }

    fn deadline(&self) -> Option<Mono> {
        self.phones
            .iter()
            .filter_map(|(phone, _)| phone.deadline())
            .min()
    }

    fn receive(&mut self, index: usize) {
        let mut bytes = [0; 8_192];
        while let Ok((length, remote)) = self.phones[index].1.recv_from(&mut bytes) {
            let bytes = &bytes[..length];
            self.feed(index, Input::Sip(sip::Input::Datagram { remote, bytes }));
        }
    }

    fn feed(&mut self, index: usize, input: Input<'_>) {
        let (phone, socket) = &mut self.phones[index];
        phone.handle(self.clock.now(), input);
        while let Some(output) = phone.poll() {
            match output {
                Output::Transmit { hop, bytes } => drop(socket.send_to(&bytes, hop.remote)),
                Output::News(news) => self.news[index].push(news),
                Output::Media { .. } | Output::CloseStream { .. } => {}
            }
        }
    }
}
