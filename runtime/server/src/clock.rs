//! The one place that reads clocks.

// The shell owns time: everything below is handed a `Now`.
#![allow(clippy::disallowed_methods)]

use std::time::{Duration, Instant, SystemTime};

use vocab::{Mono, Now, Wall};

/// The node's clocks. Copies agree with each other.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Clocks whose monotonic one starts now.
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// The moment.
    pub fn now(&self) -> Now {
        let mono = Instant::now().duration_since(self.start);
        let wall = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Now {
            mono: Mono(u64::try_from(mono.as_nanos()).unwrap_or(u64::MAX)),
            wall: Wall(i64::try_from(wall.as_micros()).unwrap_or(i64::MAX)),
        }
    }

    /// Time from now until then; zero if it has passed.
    pub fn until(&self, then: Mono) -> Duration {
        then.since(self.now().mono)
    }
}
