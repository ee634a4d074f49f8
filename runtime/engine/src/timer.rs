//! What a leg may wait for.

/// What a leg may wait for. Each leg has at most one of each.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Timer {
    /// A dialled leg was not answered.
    Ring,
    /// It is the next group's turn to be rung.
    Group,
    /// Nobody decided about a REFER.
    Refer,
    /// What was asked of a session that goes on with another leg was not reported.
    Close,
    /// The first or next digit did not come.
    Gather,
}
