//! The timers of RFC 3261 §17 and RFC 6026, and a table of the two a transaction has at most.

use std::time::Duration;

use vocab::Mono;

use crate::Transport;

/// Estimate of the round trip: the base of every other timer.
///
/// Source: RFC 3261 §17.1.1.1; its default, 500 ms, is right for anything but a private network.
pub const T1: Duration = Duration::from_millis(500);

/// Longest pause between two retransmissions of a non-INVITE request or of a response to INVITE.
///
/// Source: RFC 3261 §17.1.2.2, 4 s.
pub const T2: Duration = Duration::from_secs(4);

/// How long a message may stay in the network.
///
/// Source: RFC 3261 §17.1.2.2, 5 s.
pub const T4: Duration = Duration::from_secs(5);

/// 64·T1, 32 s: how long a request is tried, and a finished one remembered.
///
/// Source: RFC 3261 §17.1.1.2.
pub const GIVE_UP: Duration = Duration::from_secs(32);

/// The transaction timers. Values are those of RFC 3261 Table 4 with RFC 6026 §7.1 applied.
/// Timer C belongs to proxies and is not here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Timer {
    /// INVITE request retransmit interval: T1, doubles; UDP only (§17.1.1.2).
    A,
    /// INVITE transaction timeout: 64·T1 (§17.1.1.2). Armed again when the INVITE is cancelled, as
    /// the longest wait for its final response (§9.1).
    B,
    /// Wait for response retransmits after a non-2xx: over 32 s for UDP, 0 s for TCP (§17.1.1.2).
    D,
    /// Non-INVITE request retransmit interval: T1, doubles up to T2; UDP only (§17.1.2.2).
    E,
    /// Non-INVITE transaction timeout: 64·T1 (§17.1.2.2).
    F,
    /// INVITE response retransmit interval: T1, doubles up to T2; UDP only (§17.2.1).
    G,
    /// Wait for ACK receipt: 64·T1 (§17.2.1).
    H,
    /// Wait for ACK retransmits: T4 for UDP, 0 s for TCP (§17.2.1).
    I,
    /// Wait for non-INVITE request retransmits: 64·T1 for UDP, 0 s for TCP (§17.2.2).
    J,
    /// Wait for response retransmits: T4 for UDP, 0 s for TCP (§17.1.2.2).
    K,
    /// Wait for INVITE retransmits after a 2xx was sent: 64·T1 (RFC 6026 §7.1, §8.7).
    L,
    /// Wait for 2xx retransmits and further 2xx of forks: 64·T1 (RFC 6026 §7.2, §8.4).
    M,
}

impl Timer {
    /// How long the timer runs when armed for the first time, or `None` if it is never armed over
    /// this transport because the transport is reliable. `Some(ZERO)` means at once.
    pub fn first(self, transport: Transport) -> Option<Duration> {
        let reliable = transport.is_reliable();
        match self {
            Self::A | Self::E | Self::G if reliable => None,
            Self::D | Self::I | Self::J | Self::K if reliable => Some(Duration::ZERO),
            Self::A | Self::E | Self::G => Some(T1),
            Self::I | Self::K => Some(T4),
            Self::B | Self::D | Self::F | Self::H | Self::J | Self::L | Self::M => Some(GIVE_UP),
        }
    }

    /// The pause before retransmission number `resends + 1`, counting from zero.
    pub(crate) fn pause(self, resends: u8) -> Duration {
        // 64·T1 is reached after seven doublings; beyond that the give-up timer has long fired.
        let doubled = T1 * (1 << resends.min(7));
        match self {
            Self::A => doubled,
            Self::E | Self::G => doubled.min(T2),
            Self::B
            | Self::D
            | Self::F
            | Self::H
            | Self::I
            | Self::J
            | Self::K
            | Self::L
            | Self::M => unreachable!("only A, E and G repeat"),
        }
    }
}

/// The armed timers of one transaction: two at most, one that retransmits and one that ends.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Timers([Option<(Timer, Mono)>; 2]);

impl Timers {
    /// Arms `timer`, or moves it if it is armed.
    pub(crate) fn arm(&mut self, timer: Timer, at: Mono) {
        self.disarm(timer);
        let slot = self.0.iter_mut().find(|slot| slot.is_none());
        *slot.expect("a transaction has two timers at most") = Some((timer, at));
    }

    /// Disarms `timer` if it is armed.
    pub(crate) fn disarm(&mut self, timer: Timer) {
        for slot in &mut self.0 {
            if slot.is_some_and(|(armed, _)| armed == timer) {
                *slot = None;
            }
        }
    }

    /// Disarms both.
    pub(crate) fn clear(&mut self) {
        self.0 = [None; 2];
    }

    /// When the earliest is due.
    pub(crate) fn deadline(&self) -> Option<Mono> {
        self.0.iter().flatten().map(|(_, at)| *at).min()
    }

    /// Takes the earliest timer that is due; of two due at once, the one that ends.
    pub(crate) fn take_due(&mut self, now: Mono) -> Option<Timer> {
        let (timer, _) = self
            .0
            .iter()
            .flatten()
            .filter(|(_, at)| *at <= now)
            .min_by_key(|(timer, at)| (*at, std::cmp::Reverse(*timer)))
            .copied()?;
        self.disarm(timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reliable_transports_neither_retransmit_nor_linger() {
        for (timer, udp, tcp) in [
            (Timer::A, Some(500), None),
            (Timer::B, Some(32_000), Some(32_000)),
            (Timer::D, Some(32_000), Some(0)),
            (Timer::E, Some(500), None),
            (Timer::F, Some(32_000), Some(32_000)),
            (Timer::G, Some(500), None),
            (Timer::H, Some(32_000), Some(32_000)),
            (Timer::I, Some(5_000), Some(0)),
            (Timer::J, Some(32_000), Some(0)),
            (Timer::K, Some(5_000), Some(0)),
            (Timer::L, Some(32_000), Some(32_000)),
            (Timer::M, Some(32_000), Some(32_000)),
        ] {
            assert_eq!(
                timer.first(Transport::Udp),
                udp.map(Duration::from_millis),
                "{timer:?}"
            );
            assert_eq!(
                timer.first(Transport::Tcp),
                tcp.map(Duration::from_millis),
                "{timer:?}"
            );
        }
    }

    #[test]
    fn retransmissions_slow_down_to_t2_except_for_invite() {
        let pauses = |timer: Timer| -> Vec<u128> {
            (0..8)
                .map(|resends| timer.pause(resends).as_millis())
                .collect()
        };
        assert_eq!(
            pauses(Timer::A),
            [500, 1000, 2000, 4000, 8000, 16000, 32000, 64000]
        );
        assert_eq!(
            pauses(Timer::E),
            [500, 1000, 2000, 4000, 4000, 4000, 4000, 4000]
        );
        assert_eq!(pauses(Timer::E), pauses(Timer::G));
    }

    #[test]
    fn of_two_due_timers_the_earlier_goes_first_and_the_ending_one_wins_a_tie() {
        let mut timers = Timers::default();
        timers.arm(Timer::A, Mono(5));
        timers.arm(Timer::B, Mono(3));
        assert_eq!(timers.deadline(), Some(Mono(3)));
        assert_eq!(timers.take_due(Mono(2)), None);
        assert_eq!(timers.take_due(Mono(9)), Some(Timer::B));
        timers.arm(Timer::B, Mono(5));
        assert_eq!(timers.take_due(Mono(9)), Some(Timer::B));
        assert_eq!(timers.take_due(Mono(9)), Some(Timer::A));
        assert_eq!(timers.deadline(), None);
    }
}
