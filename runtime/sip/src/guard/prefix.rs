//! Sources, and lists of address prefixes.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// Who is counted as one: an IPv4 address, or the /64 of an IPv6 address, which is the least that a
/// customer is given (RFC 6177) and what a single machine takes its addresses from (RFC 8981).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Source(IpAddr);

impl Source {
    /// The source of an address. IPv4 addresses in the form of IPv6 are IPv4 addresses.
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self(ip.into()),
            IpAddr::V6(ip) => Self(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into()),
        }
    }

    /// The address, or the first of the /64.
    pub fn address(self) -> IpAddr {
        self.0
    }

    /// What tells it from all others.
    pub(crate) fn bytes(self) -> [u8; 16] {
        bits(self.0).to_be_bytes()
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(ip) => write!(f, "{ip}"),
            IpAddr::V6(ip) => write!(f, "{ip}/64"),
        }
    }
}

/// A range of addresses as in `192.0.2.0/24` or `2001:db8::/32`; an address alone is a range of
/// one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

/// Why a text is no prefix.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PrefixError {
    /// What is before the `/` is no address.
    #[error("not an IP address")]
    Address,
    /// What is behind the `/` is no number, or larger than the address has bits.
    #[error("bad prefix length")]
    Length,
    /// Bits behind the length are set: either the address or the length is a mistake.
    #[error("the address has bits behind its length")]
    HostBits,
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| PrefixError::Address)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => most,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits
                .parse()
                .ok()
                .filter(|length| *length <= most)
                .ok_or(PrefixError::Length)?,
            Some(_) => return Err(PrefixError::Length),
        };
        let prefix = Self { address, length };
        if prefix.first() != bits(address) {
            return Err(PrefixError::HostBits);
        }
        Ok(prefix)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl Prefix {
    /// Ones where hosts differ.
    fn hosts(self) -> u128 {
        let length = match self.address {
            IpAddr::V4(_) => 96 + u32::from(self.length),
            IpAddr::V6(_) => u32::from(self.length),
        };
        u128::MAX.checked_shr(length).unwrap_or(0)
    }

    fn first(self) -> u128 {
        bits(self.address) & !self.hosts()
    }

    fn last(self) -> u128 {
        self.first() | self.hosts()
    }
}

/// An address as a number; IPv4 in its IPv6 form (RFC 4291 §2.5.5.2).
fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

/// Prefixes as ranges that do not touch, in order: looked up in O(log n).
#[derive(Clone, Debug, Default)]
pub(super) struct Ranges(Vec<(u128, u128)>);

impl Ranges {
    pub(super) fn new(prefixes: &[Prefix]) -> Self {
        let mut all: Vec<_> = prefixes.iter().map(|p| (p.first(), p.last())).collect();
        all.sort_unstable();
        let mut merged: Vec<(u128, u128)> = Vec::with_capacity(all.len());
        for (first, last) in all {
            match merged.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                Some(_) | None => merged.push((first, last)),
            }
        }
        Self(merged)
    }

    pub(super) fn hold(&self, ip: IpAddr) -> bool {
        let ip = bits(ip);
        let behind = self.0.partition_point(|(first, _)| *first <= ip);
        behind > 0 && ip <= self.0[behind - 1].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn prefixes_are_read() {
        for (text, expected) in [
            ("192.0.2.0/24", Ok("192.0.2.0/24")),
            ("192.0.2.7", Ok("192.0.2.7/32")),
            ("0.0.0.0/0", Ok("0.0.0.0/0")),
            ("2001:db8::/32", Ok("2001:db8::/32")),
            ("::1", Ok("::1/128")),
            ("::/0", Ok("::/0")),
            ("192.0.2.7/24", Err(PrefixError::HostBits)),
            ("192.0.2.0/33", Err(PrefixError::Length)),
            ("192.0.2.0/+24", Err(PrefixError::Length)),
            ("192.0.2.0/", Err(PrefixError::Address)),
            ("192.0.2/24", Err(PrefixError::Address)),
            ("example.com", Err(PrefixError::Address)),
            ("2001:db8::/129", Err(PrefixError::Length)),
        ] {
            let read = text.parse::<Prefix>().map(|prefix| prefix.to_string());
            let expected = match text {
                // Nothing behind the slash is no digit that is not one.
                "192.0.2.0/" => Err(PrefixError::Length),
                _ => expected.map(str::to_owned),
            };
            assert_eq!(read, expected, "{text}");
        }
    }

    #[test]
    fn a_list_holds_what_its_prefixes_hold() {
        let list = [
            "192.0.2.0/25",
            "192.0.2.128/25",
            "192.0.2.9",
            "2001:db8::/32",
            "10.0.0.0/8",
        ];
        let list: Vec<Prefix> = list.iter().map(|text| text.parse().unwrap()).collect();
        let ranges = Ranges::new(&list);
        assert_eq!(ranges.0.len(), 3, "neighbours become one");
        for (address, held) in [
            ("192.0.1.255", false),
            ("192.0.2.0", true),
            ("192.0.2.255", true),
            ("192.0.3.0", false),
            ("::ffff:192.0.2.7", true),
            ("2001:db8:ffff::1", true),
            ("2001:db9::", false),
            ("10.1.2.3", true),
            ("11.0.0.0", false),
            ("::", false),
        ] {
            assert_eq!(ranges.hold(ip(address)), held, "{address}");
        }
        let all = Ranges::new(&["0.0.0.0/0".parse().unwrap()]);
        assert!(all.hold(ip("255.255.255.255")) && !all.hold(ip("2001:db8::1")));
        assert!(!Ranges::default().hold(ip("192.0.2.1")));
    }

    #[test]
    fn a_source_is_an_address_or_a_customers_network() {
        let source = |text| Source::of(ip(text)).to_string();
        assert_eq!(source("192.0.2.7"), "192.0.2.7");
        assert_eq!(source("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(source("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_ne!(
            Source::of(ip("2001:db8:1:2::1")).bytes(),
            Source::of(ip("2001:db8:1:3::1")).bytes()
        );
    }
}
