//! How long the machine stood still while a test ran.
//!
//! A virtual machine loses its processors to others for a second now and then, and a caller and a
//! server that stand still leave a hole in what is heard. What a test asks of audio stays the same
//! where this measures nothing.

// A test looks at the real clock.
#![allow(clippy::disallowed_methods)]

use std::collections::VecDeque;
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

/// How often it looks at the clock.
const LOOK: Duration = Duration::from_millis(5);

/// Delay that is no stall: programs wait as long for a processor that is busy.
const LEAST: Duration = Duration::from_millis(100);

/// Time in which stalls count as one: between them too little happens to tell them apart.
const TOGETHER: Duration = Duration::from_secs(3);

static WATCH: Once = Once::new();
static LONGEST: Mutex<Duration> = Mutex::new(Duration::ZERO);

/// Begins to measure, unless that was done.
pub fn watch() {
    WATCH.call_once(|| {
        std::thread::spawn(|| {
            let mut stalls = VecDeque::new();
            let mut before = Instant::now();
            loop {
                std::thread::sleep(LOOK);
                let now = Instant::now();
                note(&mut stalls, now, now - before);
                before = now;
            }
        });
    });
}

fn note(stalls: &mut VecDeque<(Instant, Duration)>, now: Instant, passed: Duration) {
    if passed < LEAST {
        return;
    }
    stalls.push_back((now, passed));
    while stalls
        .front()
        .is_some_and(|(at, _)| now - *at > TOGETHER + passed)
    {
        stalls.pop_front();
    }
    let sum: Duration = stalls.iter().map(|(_, passed)| *passed).sum();
    let mut longest = LONGEST.lock().unwrap_or_else(PoisonError::into_inner);
    *longest = sum.max(*longest);
}

/// The longest that the machine stood still, within 3 s of its running, since [`watch`].
pub fn longest() -> Duration {
    *LONGEST.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stalls_close_to_each_other_count_as_one() {
        let start = Instant::now();
        let mut stalls = VecDeque::new();
        let mut at = |second: u64, passed| {
            let passed = Duration::from_millis(passed);
            note(&mut stalls, start + Duration::from_secs(second), passed);
            longest().as_millis()
        };
        assert_eq!(at(1, 99), 0);
        assert_eq!(at(2, 400), 400);
        assert_eq!(at(4, 500), 900);
        assert_eq!(at(20, 300), 900);
        assert_eq!(at(22, 700), 1_000);
    }
}
