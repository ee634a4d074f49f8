//! Keys as telephone events (RFC 4733): heard and sent.

use crate::rtp::{CLOCK_HZ, timestamp_diff};

/// Length of an event's payload (RFC 4733 §2.3).
pub const PAYLOAD_BYTES: usize = 4;

/// A segment of a long event ends at the largest duration the field holds (RFC 4733 §2.5.1.3).
const SEGMENT: i32 = 0xffff;

/// A segment whose last packets were lost still counts as full if no more than 200 ms are missing.
/// This and what follows count 8,000 ticks a second; at other clocks they are multiplied.
const SEGMENT_SLACK: i32 = 1_600;

/// Timestamps this close belong to one press, 50 ms: the shortest press and pause are 40 ms each
/// (ITU-T Q.24), so two presses begin at least 80 ms apart. Some gateways move the timestamp on
/// with every packet, against RFC 4733 §2.2.
const SAME_PRESS: i32 = 400;

/// A timestamp this far back, 10 s, is no late packet: the sender's clock was set anew.
const CLOCK_SET: i32 = 80_000;

/// Power level of what we send, in -dBm0 (RFC 4733 §2.3.3); about what a phone's keypad makes.
const VOLUME: u8 = 10;

/// The key of an event code 0 to 15 (RFC 4733 §3.2, table 3).
pub fn key_of(code: u8) -> Option<char> {
    b"0123456789*#ABCD"
        .get(usize::from(code))
        .map(|&key| char::from(key))
}

/// The event code of a key out of `0-9*#A-D`.
pub fn code_of(key: char) -> Option<u8> {
    let place = "0123456789*#ABCD".chars().position(|other| other == key)?;
    u8::try_from(place).ok()
}

/// One report of an event (RFC 4733 §2.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report {
    /// Which event; 0 to 15 are keys.
    pub code: u8,
    /// It is over.
    pub end: bool,
    /// How long it has lasted, in samples.
    pub duration: u16,
}

impl Report {
    /// Reads a payload; `None` if it is too short. What follows the first event is ignored: only
    /// redundancy (RFC 4733 §2.6), which nobody agreed to, would put anything there.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let &[code, flags, high, low] = payload.first_chunk::<PAYLOAD_BYTES>()?;
        let duration = u16::from_be_bytes([high, low]);
        Some(Self {
            code,
            end: flags & 0x80 != 0,
            duration,
        })
    }

    /// The payload.
    pub fn to_bytes(self) -> [u8; PAYLOAD_BYTES] {
        let [high, low] = self.duration.to_be_bytes();
        [self.code, u8::from(self.end) << 7 | VOLUME, high, low]
    }
}

/// Tells presses from the reports of one source.
///
/// A press is reported with its first report that arrives, whichever of its about ten that is, so
/// lost beginnings and ends do no harm. Reports with the same timestamp are the same press.
#[derive(Clone, Copy, Debug)]
pub struct Receiver {
    /// How many times 8,000 ticks a second the clock has.
    pace: i32,
    latest: Option<Latest>,
}

impl Default for Receiver {
    /// At 8,000 ticks a second.
    fn default() -> Self {
        Self::new(CLOCK_HZ)
    }
}

#[derive(Clone, Copy, Debug)]
struct Latest {
    code: u8,
    timestamp: u32,
    duration: u16,
    ended: bool,
}

impl Receiver {
    /// One that has heard nothing, of a stream whose clock has so many ticks a second.
    pub fn new(clock_hz: u32) -> Self {
        Self {
            pace: pace(clock_hz).cast_signed(),
            latest: None,
        }
    }

    /// Takes a report and its packet's timestamp; gives the key if this is a new press.
    pub fn receive(&mut self, timestamp: u32, report: Report) -> Option<char> {
        let key = key_of(report.code)?;
        if let Some(latest) = &mut self.latest {
            let step = timestamp_diff(timestamp, latest.timestamp);
            if step <= 0 && step > -CLOCK_SET * self.pace {
                if step == 0 {
                    latest.duration = latest.duration.max(report.duration);
                    latest.ended |= report.end;
                }
                return None;
            }
            if latest.continues(step, report.code, self.pace) {
                *latest = Latest::of(timestamp, report);
                return None;
            }
        }
        self.latest = Some(Latest::of(timestamp, report));
        Some(key)
    }
}

impl Latest {
    fn of(timestamp: u32, report: Report) -> Self {
        Self {
            code: report.code,
            timestamp,
            duration: report.duration,
            ended: report.end,
        }
    }

    /// Whether a report that begins `step` samples later is the same press.
    fn continues(&self, step: i32, code: u8, pace: i32) -> bool {
        let slack = SEGMENT_SLACK * pace;
        let full = i32::from(self.duration) >= SEGMENT - slack;
        let next_segment =
            !self.ended && full && (SEGMENT - slack..=SEGMENT + FRAME * pace).contains(&step);
        code == self.code && (next_segment || (0..SAME_PRESS * pace).contains(&step))
    }
}

/// Samples between two reports we send: 20 ms, within the 20 to 50 ms of RFC 4733 §2.5.1.2.
const FRAME: i32 = 160;

/// Ticks a key we send sounds: 100 ms. ITU-T Q.24 asks receivers to take 40 ms.
const TONE_TICKS: u16 = 5;

/// Ticks from the end of one key to the next: 100 ms. In the first two the end is repeated.
const PAUSE_TICKS: u16 = 5;

/// Times the last report is sent (RFC 4733 §2.5.1.4).
const END_REPORTS: u16 = 3;

/// Sends one key: 100 ms of event, then a pause of 100 ms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sender {
    /// How many times 8,000 ticks a second the clock has.
    pace: u32,
    code: u8,
    timestamp: u32,
    ticks: u16,
}

/// What a key asks for in one 20 ms tick.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sending {
    /// Send this report, with the timestamp at which the key began, in place of audio.
    Report {
        /// Set on the first (RFC 4733 §2.5.1.1).
        marker: bool,
        /// When the key began.
        timestamp: u32,
        /// What to report.
        report: Report,
    },
    /// Nothing: the pause until the next key. Silence may be sent.
    Pause,
    /// The key is done; this tick is free.
    Done,
}

impl Sender {
    /// Begins a key at a timestamp of a clock; `None` if it is not one of `0-9*#A-D`.
    pub fn new(key: char, timestamp: u32, clock_hz: u32) -> Option<Self> {
        Some(Self {
            pace: pace(clock_hz),
            code: code_of(key)?,
            timestamp,
            ticks: 0,
        })
    }

    /// Moves on by a tick.
    pub fn tick(&mut self) -> Sending {
        self.ticks += 1;
        let sounding = self.ticks.min(TONE_TICKS);
        // Seven frames of at most 960 ticks.
        let duration = (u32::from(sounding) * FRAME.unsigned_abs() * self.pace) as u16;
        if self.ticks < TONE_TICKS + END_REPORTS {
            let report = Report {
                code: self.code,
                end: self.ticks >= TONE_TICKS,
                duration,
            };
            Sending::Report {
                marker: self.ticks == 1,
                timestamp: self.timestamp,
                report,
            }
        } else if self.ticks <= TONE_TICKS + PAUSE_TICKS {
            Sending::Pause
        } else {
            self.ticks = TONE_TICKS + PAUSE_TICKS;
            Sending::Done
        }
    }
}

/// How many times 8,000 a clock ticks in a second: one that is no multiple counts as the next less.
fn pace(clock_hz: u32) -> u32 {
    (clock_hz / CLOCK_HZ).clamp(1, 12)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds (timestamp, code, end, duration) and gives the keys heard.
    fn heard(reports: &[(u32, u8, bool, u16)]) -> String {
        let mut receiver = Receiver::default();
        reports
            .iter()
            .filter_map(|&(timestamp, code, end, duration)| {
                receiver.receive(
                    timestamp,
                    Report {
                        code,
                        end,
                        duration,
                    },
                )
            })
            .collect()
    }

    /// All reports of a press as we send it.
    fn press(key: char, timestamp: u32) -> Vec<(u32, u8, bool, u16)> {
        let mut sender = Sender::new(key, timestamp, CLOCK_HZ).expect("a key");
        std::iter::from_fn(|| match sender.tick() {
            Sending::Report {
                timestamp, report, ..
            } => Some((timestamp, report.code, report.end, report.duration)),
            Sending::Pause | Sending::Done => None,
        })
        .collect()
    }

    #[test]
    fn a_press_is_sent_as_the_standard_asks() {
        let expected = [
            (900, 11, false, 160),
            (900, 11, false, 320),
            (900, 11, false, 480),
            (900, 11, false, 640),
            (900, 11, true, 800),
            (900, 11, true, 800),
            (900, 11, true, 800),
        ];
        assert_eq!(press('#', 900), expected);
        let mut sender = Sender::new('1', 0, CLOCK_HZ).expect("a key");
        let ticks = std::iter::from_fn(|| Some(sender.tick()))
            .take(12)
            .collect::<Vec<_>>();
        assert!(matches!(ticks[0], Sending::Report { marker: true, .. }));
        assert!(matches!(ticks[1], Sending::Report { marker: false, .. }));
        assert_eq!(
            ticks[7..],
            [
                Sending::Pause,
                Sending::Pause,
                Sending::Pause,
                Sending::Done,
                Sending::Done
            ]
        );
        assert_eq!(Sender::new('E', 0, CLOCK_HZ), None);
    }

    #[test]
    fn a_press_counts_once_whatever_is_lost() {
        let whole = press('5', 1_000);
        // Every way to lose some but not all of seven packets.
        for kept in 1..1_u32 << whole.len() {
            let some: Vec<_> = (0..whole.len())
                .filter(|i| kept >> i & 1 == 1)
                .map(|i| whole[i])
                .collect();
            assert_eq!(heard(&some), "5", "kept {kept:b}");
        }
    }

    #[test]
    fn presses_are_told_apart() {
        let twice = [press('1', 0), press('1', 1_600)].concat();
        assert_eq!(heard(&twice), "11");
        let mut late = [press('1', 0), press('2', 1_600)].concat();
        late.extend(press('1', 0));
        assert_eq!(heard(&late), "12", "reports that come after the next press");
        assert_eq!(
            heard(&[(u32::MAX - 99, 3, false, 0), (1_500, 3, false, 0)]),
            "33",
            "a wrap"
        );
        assert_eq!(
            heard(&[(500_000, 3, false, 0), (160, 3, false, 0)]),
            "33",
            "a clock set anew"
        );
        assert_eq!(
            heard(&[(0, 16, false, 0), (0, 200, true, 0)]),
            "",
            "a flash is no key"
        );
    }

    #[test]
    fn a_long_press_in_segments_is_one() {
        let long = [
            (0, 7, false, 800),
            (0, 7, false, 65_500),
            (65_535, 7, false, 160),
            (65_535, 7, false, 64_800),
            (131_070, 7, true, 4_000),
        ];
        assert_eq!(heard(&long), "7");
        let again = [
            (0, 7, false, 65_500),
            (0, 7, true, 65_535),
            (65_600, 7, false, 160),
        ];
        assert_eq!(
            heard(&again),
            "77",
            "the end was heard, so this is another press"
        );
    }

    #[test]
    fn a_gateway_that_moves_the_timestamp_is_understood() {
        let moving: Vec<_> = (0..8)
            .map(|n| (n * 160, 4, n > 5, (n * 160) as u16))
            .collect();
        assert_eq!(heard(&moving), "4");
    }

    #[test]
    fn payloads_read_back() {
        let report = Report {
            code: 15,
            end: true,
            duration: 0x1234,
        };
        assert_eq!(report.to_bytes(), [15, 0x8a, 0x12, 0x34]);
        assert_eq!(Report::parse(&report.to_bytes()), Some(report));
        assert_eq!(Report::parse(&[1, 2, 3]), None);
        assert!(
            "0123456789*#ABCD"
                .chars()
                .all(|key| code_of(key).and_then(key_of) == Some(key))
        );
    }
}
