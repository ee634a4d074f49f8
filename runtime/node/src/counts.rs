//! How much of everything is alive.

/// All zero when nobody calls, except ports and contacts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Calls.
    pub calls: usize,
    /// Runs of plugins.
    pub flows: usize,
    /// Deadlines.
    pub deadlines: usize,
    /// Batches of events that are not on disk yet.
    pub unwritten: usize,
    /// Pieces of speech being made.
    pub speeches: usize,
    /// Engine below.
    pub engine: engine::Counts,
    /// Signalling below.
    pub sip: sip::Counts,
}
