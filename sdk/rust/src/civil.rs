//! Dates and times of day in the proleptic Gregorian calendar.

use std::fmt;

/// A day of the week.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Weekday {
    /// Monday.
    Monday,
    /// Tuesday.
    Tuesday,
    /// Wednesday.
    Wednesday,
    /// Thursday.
    Thursday,
    /// Friday.
    Friday,
    /// Saturday.
    Saturday,
    /// Sunday.
    Sunday,
}

impl Weekday {
    /// Monday first, as ISO 8601 has it.
    pub const ALL: [Self; 7] = [
        Self::Monday,
        Self::Tuesday,
        Self::Wednesday,
        Self::Thursday,
        Self::Friday,
        Self::Saturday,
        Self::Sunday,
    ];

    /// 0 for Monday to 6 for Sunday.
    pub fn index(self) -> usize {
        self as usize
    }
}

/// A calendar date. Ordered by time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Date {
    /// Year, such as 2026.
    pub year: i32,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day of the month, 1 to 31.
    pub day: u8,
}

impl Date {
    /// A date that exists, or `None`: 29 February only in leap years.
    pub fn new(year: i32, month: u8, day: u8) -> Option<Self> {
        let date = Self { year, month, day };
        let in_range = (1..=12).contains(&month) && (1..=31).contains(&day);
        let in_range = in_range && (-9999..=9999).contains(&year);
        (in_range && Self::from_days(date.days()) == date).then_some(date)
    }

    /// Reads `2026-11-21`.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
            return None;
        }
        let number = |range: std::ops::Range<usize>| {
            let part = &bytes[range];
            part.iter().all(u8::is_ascii_digit).then(|| {
                part.iter()
                    .fold(0_u16, |value, digit| value * 10 + u16::from(digit - b'0'))
            })
        };
        let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
        Self::new(
            i32::from(year),
            u8::try_from(month).ok()?,
            u8::try_from(day).ok()?,
        )
    }

    /// Days since 1970-01-01.
    ///
    /// Counts in years that start on 1 March, so that the leap day is the last: every 400 years
    /// have 146,097 days, and the days before month `m` of such a year are `(153 m + 2) / 5`.
    pub fn days(self) -> i64 {
        let shifted = i64::from(self.year) * 12 + i64::from(self.month) - 3;
        let (year, month) = (shifted.div_euclid(12), shifted.rem_euclid(12));
        let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
        year * 365 + leap_days + (153 * month + 2) / 5 + i64::from(self.day) - 1 - EPOCH_DAYS
    }

    /// The date so many days after 1970-01-01.
    pub fn from_days(days: i64) -> Self {
        let days = days + EPOCH_DAYS;
        let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year_of_era = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day_of_year = day - (year_of_era * 365 + year_of_era / 4 - year_of_era / 100);
        let month = (5 * day_of_year + 2) / 153;
        let shifted = (era * 400 + year_of_era) * 12 + month + 2;
        Self {
            year: i32::try_from(shifted.div_euclid(12)).unwrap_or(i32::MAX),
            month: u8::try_from(shifted.rem_euclid(12) + 1).expect("invariant: 1 to 12"),
            day: u8::try_from(day_of_year - (153 * month + 2) / 5 + 1).expect("invariant: 1 to 31"),
        }
    }

    /// Its day of the week.
    pub fn weekday(self) -> Weekday {
        // 1970-01-01 was a Thursday.
        let index = (self.days() + 3).rem_euclid(7);
        Weekday::ALL[usize::try_from(index).expect("invariant: 0 to 6")]
    }

    /// The day before.
    #[must_use]
    pub fn yesterday(self) -> Self {
        Self::from_days(self.days() - 1)
    }
}

/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// A moment on the clock on the wall of some zone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Local {
    /// The date there.
    pub date: Date,
    /// Minutes since midnight there, 0 to 1,439.
    pub minute: u16,
    /// Seconds of the minute, 0 to 59.
    pub second: u8,
}

impl Local {
    /// From milliseconds since 1970 UTC and the zone's offset in minutes at that moment.
    pub fn from_utc(utc_ms: u64, offset_min: i32) -> Self {
        let seconds = i64::try_from(utc_ms / 1_000).unwrap_or(i64::MAX / 2);
        let seconds = seconds + i64::from(offset_min) * 60;
        let second_of_day = seconds.rem_euclid(86_400);
        Self {
            date: Date::from_days(seconds.div_euclid(86_400)),
            minute: u16::try_from(second_of_day / 60).expect("invariant: below 1,440"),
            second: u8::try_from(second_of_day % 60).expect("invariant: below 60"),
        }
    }

    /// The hour, 0 to 23.
    pub fn hour(&self) -> u8 {
        u8::try_from(self.minute / 60).expect("invariant: below 24")
    }

    /// The time of day as `09:30`.
    pub fn time(&self) -> String {
        format!("{:02}:{:02}", self.minute / 60, self.minute % 60)
    }

    /// The day of the week there.
    pub fn weekday(&self) -> Weekday {
        self.date.weekday()
    }
}

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}:{:02}", self.date, self.time(), self.second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days() {
        let table = [
            ("1970-01-01", 0, Weekday::Thursday),
            ("2000-02-29", 11_016, Weekday::Tuesday),
            ("2000-03-01", 11_017, Weekday::Wednesday),
            ("2026-11-21", 20_778, Weekday::Saturday),
            ("2100-03-01", 47_541, Weekday::Monday),
        ];
        for (text, days, weekday) in table {
            let date = Date::parse(text).expect(text);
            assert_eq!(date.days(), days, "{text}");
            assert_eq!(date.weekday(), weekday, "{text}");
            assert_eq!(date.to_string(), text);
        }
    }

    #[test]
    fn every_day_of_800_years_round_trips() {
        let mut last = Date::from_days(-1);
        for days in 0..292_194 {
            let date = Date::from_days(days);
            assert_eq!(date.days(), days);
            assert!(date > last);
            last = date;
        }
    }

    #[test]
    fn dates_that_do_not_exist() {
        for text in [
            "2026-02-29",
            "2100-02-29",
            "2026-13-01",
            "2026-00-01",
            "2026-04-31",
            "2026-01-00",
            "2026-1-1",
            "2026/01/01",
            "+026-01-01",
            "",
            "2026-01-011",
            "２０２6-1",
        ] {
            assert_eq!(Date::parse(text), None, "{text}");
        }
    }

    #[test]
    fn local_time_on_both_sides_of_midnight() {
        // 2026-11-21 16:30:05 UTC.
        let utc_ms = 1_795_278_605_000;
        assert_eq!(
            Local::from_utc(utc_ms, 0).to_string(),
            "2026-11-21 16:30:05"
        );
        assert_eq!(
            Local::from_utc(utc_ms, 480).to_string(),
            "2026-11-22 00:30:05"
        );
        assert_eq!(
            Local::from_utc(utc_ms, -1_020).to_string(),
            "2026-11-20 23:30:05"
        );
        assert_eq!(Local::from_utc(utc_ms, 330).time(), "22:00");
        assert_eq!(Local::from_utc(0, -60).to_string(), "1969-12-31 23:00:00");
    }
}
