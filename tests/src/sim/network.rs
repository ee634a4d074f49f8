//! The network between the node and each phone: what is lost, repeated, delayed or cut off.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use vocab::{Mono, Rng};

/// How a phone's line treats datagrams, both ways.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Weather {
    /// Least time on the way.
    pub latency: Duration,
    /// Most that is added to it; packets overtake each other if it is over 20 ms.
    pub jitter: Duration,
    /// Share of datagrams that never arrive.
    pub loss: f64,
    /// Share of datagrams that arrive twice.
    pub repeat: f64,
}

impl Default for Weather {
    /// A good line: 10 ms, nothing lost.
    fn default() -> Self {
        Self {
            latency: Duration::from_millis(10),
            jitter: Duration::from_millis(2),
            loss: 0.0,
            repeat: 0.0,
        }
    }
}

impl Weather {
    /// Nothing is ever lost or late enough to matter.
    pub fn is_good(&self) -> bool {
        self.loss == 0.0 && self.jitter <= Duration::from_millis(10)
    }
}

/// One phone's line.
#[derive(Debug)]
pub(crate) struct Line {
    weather: Weather,
    /// Nothing passes from the first moment to the second.
    outages: Vec<(Mono, Mono)>,
    rng: Rng,
}

impl Line {
    pub(crate) fn new(weather: Weather, outages: Vec<(Mono, Mono)>, rng: Rng) -> Self {
        Self {
            weather,
            outages,
            rng,
        }
    }

    /// When copies of a datagram arrive: none, one or two.
    pub(crate) fn datagram(&mut self, now: Mono) -> [Option<Mono>; 2] {
        let lost = self.rng.chance(self.weather.loss) || self.outage(now).is_some();
        let first = (!lost).then(|| now + self.delay());
        let again = !lost && self.rng.chance(self.weather.repeat);
        let second = again.then(|| now + self.delay() + self.delay());
        [first, second]
    }

    /// When bytes of a stream arrive; the kernel sends again what is lost.
    pub(crate) fn stream(&mut self, now: Mono) -> Mono {
        let again = self.rng.chance(self.weather.loss);
        let sent = self.outage(now).unwrap_or(now);
        let extra = if again {
            Duration::from_millis(200)
        } else {
            Duration::ZERO
        };
        sent + self.delay() + extra
    }

    /// The end of the outage that is going on, if one is.
    pub(crate) fn outage(&self, now: Mono) -> Option<Mono> {
        self.outages
            .iter()
            .find(|(from, to)| *from <= now && now < *to)
            .map(|&(_, to)| to)
    }

    /// Whether the line was cut at any time between two moments.
    pub(crate) fn was_cut(&self, from: Mono, to: Mono) -> bool {
        self.outages
            .iter()
            .any(|&(begin, end)| begin < to && from < end)
    }

    pub(crate) fn weather(&self) -> &Weather {
        &self.weather
    }

    fn delay(&mut self) -> Duration {
        let jitter = u64::try_from(self.weather.jitter.as_nanos()).unwrap_or(0);
        self.weather.latency + Duration::from_nanos(self.rng.below(jitter + 1))
    }
}

/// The node's address for signalling.
pub(super) const NODE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 5060);

/// The first RTP port of the node.
pub(super) const NODE_RTP: u16 = 20_000;

/// Where a phone is: inside its own network, and as the world sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Home {
    pub(super) inside: IpAddr,
    pub(super) outside: IpAddr,
}

impl Home {
    /// The home of the phone with this number, behind a router or not.
    pub(super) fn new(phone: usize, nat: bool) -> Self {
        let host = u8::try_from(phone + 1).expect("fewer than 255 phones");
        let outside = IpAddr::V4(Ipv4Addr::new(10, 1, host, 1));
        let inside = if nat {
            IpAddr::V4(Ipv4Addr::new(192, 168, 1, host))
        } else {
            outside
        };
        Self { inside, outside }
    }

    pub(super) fn sip(&self) -> SocketAddr {
        SocketAddr::new(self.inside, 5060)
    }

    pub(super) fn rtp(&self) -> SocketAddr {
        SocketAddr::new(self.inside, 40_000)
    }

    /// What a packet from inside has as its source outside.
    pub(super) fn out(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.outside, port)
    }

    /// The port of an address of this home, if it is reachable from outside.
    pub(super) fn port(&self, to: SocketAddr) -> Option<u16> {
        (to.ip() == self.outside).then_some(to.port())
    }
}
