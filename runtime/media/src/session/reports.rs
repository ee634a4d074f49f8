//! When to report, what the far end reported (RFC 3550 §6).

use std::net::SocketAddr;
use std::time::Duration;

use vocab::{Mono, Now, Rng};

use crate::rtcp::{self, Compound, Outgoing, Rtcp};
use crate::session::inbound::ONE_WAY_AFTER;
use crate::session::outbound::Outbound;
use crate::session::reception::Reception;
use crate::worker::Packet;

/// The reporting side of one stream.
#[derive(Clone, Debug)]
pub(crate) struct Reports {
    rng: Rng,
    cname: String,
    due: Mono,
    last_report: Option<LastReport>,
    round_trip: Option<Duration>,
    far: Option<Far>,
    source: Option<SocketAddr>,
}

/// What the far end reports of our stream.
#[derive(Clone, Copy, Debug)]
struct Far {
    /// Packets it missed.
    lost: u32,
    /// The highest number it has seen, and since when.
    highest: u32,
    since: Mono,
    /// By its last report nothing new came for a while, and whether that is reported.
    deaf: bool,
    told: bool,
}

/// The far end's last sender report.
#[derive(Clone, Copy, Debug)]
struct LastReport {
    ssrc: u32,
    /// Middle of its NTP time.
    ntp: u32,
    came: Mono,
}

impl Reports {
    /// A side that reports first after about half the usual time (RFC 3550 §6.2).
    pub(crate) fn new(now: Mono, mut rng: Rng) -> Self {
        let due = now + rtcp::interval(&mut rng) / 2;
        let cname = rng.token(22);
        Self {
            rng,
            cname,
            due,
            last_report: None,
            round_trip: None,
            far: None,
            source: None,
        }
    }

    /// Whether it is time.
    pub(crate) fn is_due(&self, now: Mono) -> bool {
        now >= self.due
    }

    /// Where the far end's reports come from.
    pub(crate) fn source(&self) -> Option<SocketAddr> {
        self.source
    }

    /// Forgets where reports come from: something else was negotiated.
    pub(crate) fn forget_source(&mut self) {
        self.source = None;
    }

    /// Packets of ours that the far end has missed, once it told.
    pub(crate) fn far_lost(&self) -> Option<u32> {
        self.far.map(|far| far.lost)
    }

    /// Whether the far end tells, for the first time, that it has received nothing new for a while.
    pub(crate) fn is_unheard(&mut self) -> bool {
        let far = self.far.as_mut().filter(|far| far.deaf && !far.told);
        far.is_some_and(|far| !std::mem::replace(&mut far.told, true))
    }

    /// How long a packet takes to the far end and back, once known.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// The next report, or the goodbye; `None` if it cannot be secured any more.
    pub(crate) fn write(
        &mut self,
        now: Now,
        outbound: &mut Outbound,
        reception: &mut Reception,
        goodbye: bool,
    ) -> Option<Packet> {
        self.due = now.mono + rtcp::interval(&mut self.rng);
        let mut block = reception.report();
        if let (Some(block), Some(last)) = (&mut block, self.last_report)
            && block.ssrc == last.ssrc
        {
            block.last_report = last.ntp;
            block.since_report = rtcp::to_units(now.mono.since(last.came));
        }
        let outgoing = Outgoing {
            ssrc: outbound.ssrc(),
            sender: outbound.sender_info(now),
            block,
            cname: &self.cname,
            goodbye,
        };
        outbound.seal(outgoing.len_bytes(), |bytes| outgoing.write(bytes))
    }

    /// Takes the far end's reports; bytes that are none are ignored.
    pub(crate) fn read(&mut self, now: Now, from: SocketAddr, ours: u32, bytes: &[u8]) {
        let Ok(compound) = Compound::parse(bytes) else {
            return;
        };
        self.source = Some(from);
        let arrival = rtcp::ntp(now.wall);
        for packet in compound {
            let blocks = match packet {
                Rtcp::Sender { ssrc, info, blocks } => {
                    let ntp = rtcp::ntp_middle(info.ntp);
                    self.last_report = Some(LastReport {
                        ssrc,
                        ntp,
                        came: now.mono,
                    });
                    blocks
                }
                Rtcp::Receiver { blocks, .. } => blocks,
                Rtcp::Description { .. } | Rtcp::Goodbye { .. } | Rtcp::Other { .. } => continue,
            };
            for block in blocks.filter(|block| block.ssrc == ours) {
                self.round_trip = rtcp::round_trip(&block, arrival).or(self.round_trip);
                let before = self.far.filter(|far| far.highest == block.highest_sequence);
                self.far = Some(Far {
                    lost: u32::try_from(block.lost).unwrap_or(0),
                    highest: block.highest_sequence,
                    since: before.map_or(now.mono, |far| far.since),
                    deaf: before.is_some_and(|far| now.mono.since(far.since) >= ONE_WAY_AFTER),
                    told: before.is_some_and(|far| far.told),
                });
            }
        }
    }
}
