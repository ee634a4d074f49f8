//! What a call may wait for, and what happens when it does not come.

/// What a call may wait for. Each call has at most one of each.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Wait {
    /// The first event's commit. Fallback: 503.
    Commit,
    /// The flow's next wish. Fallback: the announcement.
    Flow,
    /// The operation in hand. Fallback: an error to the flow, or hang-up after the announcement.
    Op,
    /// The flow's end after a hang-up. Fallback: it is dropped.
    Grace,
    /// The first word of a carrier's far end. Fallback: the next trunk.
    Trying,
    /// An answer of those who ring, when others are to be rung after them. Fallback: those.
    Round,
    /// Somebody who takes a parked call. Fallback: whoever parked it is rung.
    Park,
    /// A segment's longest time. Fallback: the next one begins.
    Split,
    /// The end of a pause in the recording. Fallback: it goes on.
    Resume,
    /// The last of what is pressed in secret. Fallback: it is over.
    Secret,
    /// The next beep of a call that is recorded. Fallback: that.
    Beep,
    /// The longest call. Fallback: hang-up.
    Call,
}
