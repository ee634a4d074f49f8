//! Who calls and who is called.

use std::fmt;

/// One side of a call, as far as the signalling names it. Mirrors `types.party` of `wit/`.
///
/// `Debug` prints no number or address.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    /// A number in E.164 form, with its `+`.
    E164(String),
    /// A SIP address without `sip:`, as in `1001@example.com`, or a local number such as `1001`.
    Sip(String),
    /// The caller withheld its identity.
    Anonymous,
}

impl Party {
    /// The address as a person would read it. Private: never for a log line.
    pub fn reveal(&self) -> &str {
        match self {
            Self::E164(text) | Self::Sip(text) => text,
            Self::Anonymous => "anonymous",
        }
    }
}

impl fmt::Debug for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::E164(_) => "E164([private])",
            Self::Sip(_) => "Sip([private])",
            Self::Anonymous => "Anonymous",
        })
    }
}

/// Which way a call or leg was set up, seen from the node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Direction {
    /// The far end called us.
    Inbound,
    /// We called the far end.
    Outbound,
}
