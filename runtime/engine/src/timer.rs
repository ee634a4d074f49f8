//! What a leg may wait for.

/// What a leg may wait for. Each leg has at most one of each.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Timer {
    /// A dialled leg was not answered.
    Ring,
    /// The first or next digit did not come.
    Gather,
    /// The media worker did not confirm the end of a session.
    Close,
}
