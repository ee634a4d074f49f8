//! Symmetric RTP: media is sent to where it really comes from (RFC 4961), and only that source
//! is believed.

use std::net::SocketAddr;
use std::time::Duration;

use vocab::Mono;

/// A source that was heard within this time keeps others out. Shorter than the patience of a
/// caller whose router moved the port, longer than any jitter.
const KEEP: Duration = Duration::from_secs(3);

/// While the first source is another host than was negotiated, the negotiated one may take over
/// for this long: it may only have been slower to begin.
const PROVISIONAL: Duration = Duration::from_secs(5);

/// Which source a session listens to.
///
/// | state | a packet from | leads to |
/// |---|---|---|
/// | `Waiting` | the negotiated host | `Locked` |
/// | `Waiting` | another host | `Provisional` |
/// | `Provisional` | the negotiated host, within 5 s | `Locked` |
/// | `Provisional` | the same source, after 5 s | `Locked` |
/// | any | another source, while the one heard was silent for less than 3 s | refused |
/// | any | another source, after 3 s of silence | as from `Waiting` |
///
/// A host that is not the negotiated one is let in because a phone behind a router writes its
/// private address into the offer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Latch {
    /// Nothing valid was received yet.
    #[default]
    Waiting,
    /// A host that was not negotiated sends.
    Provisional {
        /// It.
        source: SocketAddr,
        /// Since then.
        since: Mono,
        /// When it was last heard.
        heard: Mono,
    },
    /// The source is settled.
    Locked {
        /// It.
        source: SocketAddr,
        /// When it was last heard.
        heard: Mono,
    },
}

impl Latch {
    /// Whether a valid packet from this source is to be used; it becomes or stays the source.
    pub(crate) fn accept(&mut self, now: Mono, negotiated: SocketAddr, from: SocketAddr) -> bool {
        let expected = from.ip() == negotiated.ip();
        let first = if expected {
            Self::Locked {
                source: from,
                heard: now,
            }
        } else {
            Self::Provisional {
                source: from,
                since: now,
                heard: now,
            }
        };
        match self {
            Self::Waiting => *self = first,
            Self::Provisional {
                source,
                since,
                heard,
            } if *source == from => {
                *heard = now;
                if now.since(*since) >= PROVISIONAL {
                    *self = Self::Locked {
                        source: from,
                        heard: now,
                    };
                }
            }
            Self::Provisional { since, .. } if expected && now.since(*since) < PROVISIONAL => {
                *self = first;
            }
            Self::Locked { source, heard } if *source == from => *heard = now,
            Self::Provisional { heard, .. } | Self::Locked { heard, .. } => {
                if now.since(*heard) < KEEP {
                    return false;
                }
                *self = first;
            }
        }
        true
    }

    /// The source, once there is one.
    pub(crate) fn source(&self) -> Option<SocketAddr> {
        match *self {
            Self::Waiting => None,
            Self::Provisional { source, .. } | Self::Locked { source, .. } => Some(source),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds (ms, source) and gives who was believed.
    fn believed(packets: &[(u64, &str)]) -> Vec<bool> {
        let negotiated = "10.0.0.1:4000".parse().expect("an address");
        let mut latch = Latch::default();
        packets
            .iter()
            .map(|&(ms, from)| {
                let from = from.parse().expect("an address");
                let good = latch.accept(Mono(ms * 1_000_000), negotiated, from);
                assert_eq!(latch.source() == Some(from), good);
                good
            })
            .collect()
    }

    const NEGOTIATED: &str = "10.0.0.1:4000";
    const REBOUND: &str = "10.0.0.1:4444";
    const PUBLIC: &str = "198.51.100.7:900";
    const THIEF: &str = "203.0.113.66:1";

    #[test]
    fn the_first_source_is_kept() {
        for first in [NEGOTIATED, REBOUND, PUBLIC] {
            let packets = [
                (0, first),
                (20, THIEF),
                (40, first),
                (2_000, THIEF),
                (2_900, first),
            ];
            assert_eq!(
                believed(&packets),
                [true, false, true, false, true],
                "{first}"
            );
        }
    }

    #[test]
    fn a_silent_source_may_be_replaced() {
        let packets = [
            (0, NEGOTIATED),
            (2_999, REBOUND),
            (3_000, REBOUND),
            (3_020, NEGOTIATED),
        ];
        assert_eq!(believed(&packets), [true, false, true, false]);
    }

    #[test]
    fn the_negotiated_host_takes_over_at_first() {
        assert_eq!(
            believed(&[(0, THIEF), (20, NEGOTIATED), (40, THIEF)]),
            [true, true, false]
        );
        let mut late: Vec<(u64, &str)> = (0..300).map(|n| (n * 20, PUBLIC)).collect();
        late.push((6_000, NEGOTIATED));
        assert_eq!(believed(&late).pop(), Some(false));
    }
}
