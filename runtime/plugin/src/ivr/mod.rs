//! The `ivr` world: one adapter per version of its interface, each converting to and from
//! `vocab::flow`.

pub(crate) mod v0_1;

/// Versions of the interface this host speaks, oldest first.
pub(crate) const VERSIONS: [&str; 1] = [v0_1::VERSION];
