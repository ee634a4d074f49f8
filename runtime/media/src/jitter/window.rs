//! How early packets come.

/// Ticks of one half of the observed time: 2 s.
const WINDOW_TICKS: u32 = 100;

/// Packets that must have been seen in that time before the delay may shrink.
const WINDOW_PACKETS: u32 = 20;

/// The lowest spares of the packets of the last two to four seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// The greatest delay that is built up.
    depth_max: i32,
    now: Lows,
    before: Option<Lows>,
    ticks: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Lows {
    packets: u32,
    lowest: i32,
    second: i32,
    highest: i32,
}

impl Window {
    /// One that has seen nothing; the greatest delay is in samples.
    pub(super) fn new(depth_max: i32) -> Self {
        Self {
            depth_max,
            now: Lows::default(),
            before: None,
            ticks: 0,
        }
    }

    /// Forgets what it has seen.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.depth_max);
    }

    /// Takes note of a packet's spare.
    pub(super) fn note(&mut self, spare: i32) {
        let lows = &mut self.now;
        match lows.packets {
            0 => {
                (lows.lowest, lows.second, lows.highest) = (spare, i32::MAX / 2, spare);
            }
            _ if spare < lows.lowest => (lows.second, lows.lowest) = (lows.lowest, spare),
            _ => lows.second = lows.second.min(spare),
        }
        lows.highest = lows.highest.max(spare);
        lows.packets = lows.packets.saturating_add(1);
    }

    /// The position moved back by so many samples (ahead if negative): all spares changed.
    pub(super) fn shift(&mut self, by: i32) {
        for lows in [Some(&mut self.now), self.before.as_mut()]
            .into_iter()
            .flatten()
        {
            lows.lowest = lows.lowest.saturating_add(by);
            lows.second = lows.second.saturating_add(by);
            lows.highest = lows.highest.saturating_add(by);
        }
    }

    /// How far the spare that steers is below zero, as far as the greatest depth allows.
    pub(super) fn deficit(&self) -> i32 {
        if self.now.packets < 2 {
            return 0;
        }
        let room = self.depth_max - self.now.highest;
        (-self.now.second).min(room).max(0)
    }

    /// Counts a tick; at the end of a half gives the spare that steers, if enough was seen.
    pub(super) fn tick(&mut self) -> Option<i32> {
        self.ticks += 1;
        if self.ticks < WINDOW_TICKS {
            return None;
        }
        self.ticks = 0;
        let now = std::mem::take(&mut self.now);
        let enough = now.packets >= WINDOW_PACKETS;
        let before = std::mem::replace(&mut self.before, enough.then_some(now));
        before
            .filter(|_| enough)
            .map(|before| before.second.min(now.second))
    }
}
