//! Why connections of SIP come to nothing or to a bad end, counted.

/// Why a connection was not taken or was given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Too many are open, or are at their handshakes, in all or from its source.
    Full,
    /// Its handshakes took too long.
    Late,
    /// Its TLS or WebSocket handshake failed or was refused.
    Handshake,
    /// It broke the rules of TLS or of WebSockets afterwards.
    Broken,
    /// It does not read what it is sent.
    Unread,
}

impl Fault {
    /// All of them, in the order of [`Faults::counts`].
    pub const ALL: [Self; 5] = [
        Self::Full,
        Self::Late,
        Self::Handshake,
        Self::Broken,
        Self::Unread,
    ];

    /// Stable lower-case name used in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Late => "late",
            Self::Handshake => "handshake",
            Self::Broken => "broken",
            Self::Unread => "unread",
        }
    }
}

/// How often each happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Faults([u64; Fault::ALL.len()]);

impl Faults {
    /// In the order of [`Fault::ALL`].
    pub fn counts(self) -> [u64; Fault::ALL.len()] {
        self.0
    }

    pub(super) fn add(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_in_the_order_of_all() {
        for (index, fault) in Fault::ALL.into_iter().enumerate() {
            let mut faults = Faults::default();
            faults.add(fault);
            assert_eq!(faults.counts()[index], 1, "{}", fault.name());
        }
    }
}
