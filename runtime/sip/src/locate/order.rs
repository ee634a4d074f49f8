//! In which order equals are tried.

use std::net::{IpAddr, SocketAddr};

use vocab::Rng;

/// Addresses of one server, with its place among the others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Server {
    pub(super) priority: u16,
    pub(super) weight: u16,
    pub(super) addresses: Vec<SocketAddr>,
}

/// Servers by priority, and within one by chance with odds by weight (RFC 2782, "Weight").
pub(super) fn by_weight(mut servers: Vec<Server>, rng: &mut Rng) -> Vec<Server> {
    // Those of weight 0 stand first, so that the draw hits them when it is 0 and hardly else.
    servers.sort_by_key(|it| (it.priority, it.weight != 0));
    let mut ordered = Vec::with_capacity(servers.len());
    while let Some(first) = servers.first() {
        let priority = first.priority;
        let equals = servers.iter().take_while(|it| it.priority == priority);
        let equals: Vec<u64> = equals.map(|it| u64::from(it.weight)).collect();
        let mut drawn = match equals.iter().sum::<u64>() {
            // RFC 2782 leaves open how those without weight share; evenly is fair.
            0 => {
                let at = rng.below(equals.len() as u64);
                ordered.push(servers.remove(usize::try_from(at).expect("below a length")));
                continue;
            }
            total => rng.below(total + 1),
        };
        let at = equals.iter().position(|&weight| {
            let hit = drawn <= weight;
            drawn = drawn.saturating_sub(weight);
            hit
        });
        ordered.push(servers.remove(at.expect("the draw is within the sum")));
    }
    ordered
}

/// Addresses of a host, one family after the other by turns and IPv6 first (RFC 8305 §4): if one
/// family does not get through, the second try is of the other.
pub(super) fn by_family(four: &[IpAddr], six: &[IpAddr]) -> Vec<IpAddr> {
    let longest = four.len().max(six.len());
    let pairs = (0..longest).flat_map(|at| [six.get(at), four.get(at)]);
    pairs.flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn server(priority: u16, weight: u16, port: u16) -> Server {
        Server {
            priority,
            weight,
            addresses: vec![SocketAddr::from(([192, 0, 2, 1], port))],
        }
    }

    /// How often each server came first, and each order.
    fn shares(servers: &[Server]) -> (BTreeMap<u16, u32>, BTreeMap<Vec<u16>, u32>) {
        let mut rng = Rng::from_u64(3);
        let (mut first, mut orders) = (BTreeMap::new(), BTreeMap::new());
        for _ in 0..10_000 {
            let order = by_weight(servers.to_vec(), &mut rng);
            let ports: Vec<u16> = order.iter().map(|it| it.addresses[0].port()).collect();
            *first.entry(ports[0]).or_default() += 1;
            *orders.entry(ports).or_default() += 1;
        }
        (first, orders)
    }

    #[test]
    fn weights_are_shares() {
        let (first, orders) = shares(&[server(0, 60, 1), server(0, 30, 2), server(0, 10, 3)]);
        let share = |port| first.get(&port).copied().unwrap_or(0);
        assert!((5_700..6_300).contains(&share(1)), "{first:?}");
        assert!((2_700..3_300).contains(&share(2)), "{first:?}");
        assert!((800..1_200).contains(&share(3)), "{first:?}");
        assert_eq!(orders.len(), 6);
        // The second is drawn from those that are left: of 1 and 3 without 2, six in seven are 1.
        let after = |a: u16, b: u16| orders.get(&vec![2, a, b]).copied().unwrap_or(0);
        let (one, three) = (after(1, 3), after(3, 1));
        assert!(one > 4 * three && one < 8 * three, "{orders:?}");
    }

    #[test]
    fn weight_zero_is_rare_beside_others_and_fair_alone() {
        let (first, _) = shares(&[server(0, 0, 1), server(0, 99, 2)]);
        assert!((40..250).contains(&first[&1]), "{first:?}");
        let (first, orders) = shares(&[server(0, 0, 1), server(0, 0, 2), server(0, 0, 3)]);
        assert!(
            first.values().all(|it| (3_000..3_700).contains(it)),
            "{first:?}"
        );
        assert_eq!(orders.len(), 6);
    }

    #[test]
    fn priorities_come_before_weights() {
        let (_, orders) = shares(&[
            server(20, 65_535, 3),
            server(10, 1, 2),
            server(5, 0, 1),
            server(30, 0, 4),
        ]);
        assert_eq!(orders.into_keys().collect::<Vec<_>>(), [[1, 2, 3, 4]]);
    }

    #[test]
    fn families_take_turns() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let four = [ip("192.0.2.1"), ip("192.0.2.2"), ip("192.0.2.3")];
        let six = [ip("2001:db8::1")];
        let mixed = [six[0], four[0], four[1], four[2]];
        assert_eq!(by_family(&four, &six), mixed);
        assert_eq!(by_family(&four, &[]), four);
        assert_eq!(by_family(&[], &six), six);
    }
}
