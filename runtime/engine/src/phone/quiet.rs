//! Notices that the far end has stopped speaking.

/// Louder than this (peak of 16-bit samples) is speech: about -40 dBFS, well above the noise that
/// G.711 makes of silence.
const LOUD: u16 = 330;

/// Samples of silence after speech that count as the end of it: 700 ms.
const PAUSE: u32 = 5_600;

/// Listens sample by sample.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    skip: u64,
    heard_something: bool,
    silent_samples: u32,
}

impl Quiet {
    /// Listens once so many samples have passed.
    pub(super) fn after(skip: u64) -> Self {
        Self {
            skip,
            ..Self::default()
        }
    }

    pub(super) fn hear(&mut self, sample: i16) {
        if self.skip > 0 {
            self.skip -= 1;
        } else if sample.unsigned_abs() > LOUD {
            self.heard_something = true;
            self.silent_samples = 0;
        } else {
            self.silent_samples = self.silent_samples.saturating_add(1);
        }
    }

    /// What was counted, and the next so many samples, were no silence of the far end.
    pub(super) fn again_after(&mut self, skip: u64) {
        self.skip = self.skip.max(skip);
        self.silent_samples = 0;
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.heard_something && self.silent_samples >= PAUSE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_counts_only_after_speech() {
        let mut quiet = Quiet::default();
        (0..20_000).for_each(|_| quiet.hear(8));
        assert!(!quiet.is_quiet());
        quiet.hear(-5_000);
        (0..PAUSE - 1).for_each(|_| quiet.hear(0));
        assert!(!quiet.is_quiet());
        quiet.hear(0);
        assert!(quiet.is_quiet());
    }

    #[test]
    fn silence_counts_anew_after_a_hole() {
        let mut quiet = Quiet::default();
        quiet.hear(5_000);
        (0..PAUSE - 1).for_each(|_| quiet.hear(0));
        quiet.again_after(100);
        (0..PAUSE + 99).for_each(|_| quiet.hear(0));
        assert!(!quiet.is_quiet());
        quiet.hear(0);
        assert!(quiet.is_quiet());
    }

    #[test]
    fn what_is_skipped_is_not_heard() {
        let mut quiet = Quiet::after(100);
        (0..100).for_each(|_| quiet.hear(5_000));
        (0..2 * PAUSE).for_each(|_| quiet.hear(0));
        assert!(!quiet.is_quiet());
        quiet.hear(5_000);
        (0..PAUSE).for_each(|_| quiet.hear(0));
        assert!(quiet.is_quiet());
    }
}
