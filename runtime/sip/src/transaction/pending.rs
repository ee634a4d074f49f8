//! Outputs that wait to be polled, one bit each.

/// A set of outputs, given out from the lowest bit up; one byte in place of a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Pending(u8);

/// Send the bytes the state holds.
pub(crate) const TRANSMIT: u8 = 1;
/// Hand the message to the transaction user.
pub(crate) const DELIVER: u8 = 2;
/// Tell the transaction user that nothing came back.
pub(crate) const TIMED_OUT: u8 = 4;
/// Tell the transaction user that nothing could be sent.
pub(crate) const BROKEN: u8 = 8;

impl Pending {
    /// Adds outputs.
    pub(crate) fn add(&mut self, bits: u8) {
        self.0 |= bits;
    }

    /// Takes the next output, as its bit.
    pub(crate) fn pop(&mut self) -> Option<u8> {
        let lowest = self.0 & self.0.wrapping_neg();
        self.0 &= !lowest;
        (lowest != 0).then_some(lowest)
    }

    /// Nothing waits.
    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_come_once_and_in_order() {
        let mut pending = Pending::default();
        pending.add(DELIVER | BROKEN);
        pending.add(TRANSMIT);
        let polled: Vec<u8> = std::iter::from_fn(|| pending.pop()).collect();
        assert_eq!(polled, [TRANSMIT, DELIVER, BROKEN]);
        assert!(pending.is_empty());
    }
}
