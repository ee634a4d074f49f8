//! When somebody is there: working hours by weekday, holidays, and extra working days.
//!
//! Times are the wall clock's in the schedule's zone, so daylight saving needs no word here: the
//! host says what the clock on the wall shows.

use jackfield::clock::{Date, Local};

use crate::menu::Prompt;

/// A span of the day in minutes since midnight: from `from`, up to but without `to`.
///
/// `to` before or at `from` lies on the next day: 22:00-06:00 is a night shift.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// 0 to 1,439.
    pub from: u16,
    /// 0 to 1,440.
    pub to: u16,
}

impl Span {
    /// Reads `09:00-12:00`. A day ends at `24:00`.
    pub fn parse(text: &str) -> Option<Self> {
        let (from, to) = text.split_once('-')?;
        let (from, to) = (parse_time(from.trim())?, parse_time(to.trim())?);
        (from < 1_440 && from != to).then_some(Self { from, to })
    }

    fn wraps(self) -> bool {
        self.to < self.from
    }

    /// Whether a minute of the day on which the span begins lies in it.
    pub fn contains(self, minute: u16) -> bool {
        minute >= self.from && (self.wraps() || minute < self.to)
    }

    /// Whether a minute of the day after lies in it.
    pub fn reaches(self, minute: u16) -> bool {
        self.wraps() && minute < self.to
    }
}

/// Reads `9:30` or `09:30` into minutes; up to `24:00`.
pub fn parse_time(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |part: &str, lengths: std::ops::RangeInclusive<usize>| {
        let digits = lengths.contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| part.parse::<u16>().ok()).flatten()
    };
    let (hour, minute) = (number(hour, 1..=2)?, number(minute, 2..=2)?);
    let total = hour * 60 + minute;
    (minute < 60 && total <= 1_440).then_some(total)
}

/// Days off.
#[derive(Clone, PartialEq, Debug)]
pub struct Holiday {
    /// The first day.
    pub from: Date,
    /// The last day.
    pub to: Date,
    /// For people; may be empty.
    pub name: String,
    /// Played before the `closed` action; may be empty.
    pub greeting: Vec<Prompt>,
}

/// A day on which people work although its weekday or a holiday says otherwise, as on the
/// weekends that make up for long holidays in China.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Workday {
    /// The day.
    pub date: Date,
    /// Its hours.
    pub hours: Vec<Span>,
}

/// Working hours.
#[derive(Clone, PartialEq, Debug)]
pub struct Schedule {
    /// IANA zone.
    pub zone: String,
    /// Hours by weekday, Monday first.
    pub week: [Vec<Span>; 7],
    /// Days off.
    pub holidays: Vec<Holiday>,
    /// Extra working days.
    pub workdays: Vec<Workday>,
}

/// What a schedule says of a moment.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Status<'a> {
    /// Somebody is there.
    Open,
    /// Nobody is there.
    Closed {
        /// Because of this holiday.
        holiday: Option<&'a Holiday>,
    },
}

impl Schedule {
    /// What the schedule says of a moment on its wall clock.
    pub fn at(&self, local: &Local) -> Status<'_> {
        let today = self
            .hours(local.date)
            .iter()
            .any(|span| span.contains(local.minute));
        let night = self
            .hours(local.date.yesterday())
            .iter()
            .any(|s| s.reaches(local.minute));
        if today || night {
            return Status::Open;
        }
        // A make-up workday is none, also in the middle of a holiday, before and after its hours.
        let workday = self
            .workdays
            .iter()
            .any(|workday| workday.date == local.date);
        let holiday = if workday {
            None
        } else {
            self.holiday(local.date)
        };
        Status::Closed { holiday }
    }

    fn holiday(&self, date: Date) -> Option<&Holiday> {
        self.holidays
            .iter()
            .find(|holiday| (holiday.from..=holiday.to).contains(&date))
    }

    /// The hours that begin on a day: a make-up workday's own, none on a holiday, else the
    /// weekday's.
    fn hours(&self, date: Date) -> &[Span] {
        if let Some(workday) = self.workdays.iter().find(|workday| workday.date == date) {
            return &workday.hours;
        }
        match self.holiday(date) {
            Some(_) => &[],
            None => &self.week[date.weekday().index()],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(text: &str) -> Local {
        let (date, time) = text.split_once(' ').expect("date and time");
        Local {
            date: Date::parse(date).expect("date"),
            minute: parse_time(time).expect("time"),
            second: 0,
        }
    }

    fn office() -> Schedule {
        let day = || {
            vec![
                Span::parse("09:00-12:00").unwrap(),
                Span::parse("13:30-18:00").unwrap(),
            ]
        };
        let date = |text| Date::parse(text).unwrap();
        Schedule {
            zone: "Asia/Shanghai".to_owned(),
            week: [
                day(),
                day(),
                day(),
                day(),
                vec![Span::parse("22:00-06:00").unwrap()],
                Vec::new(),
                Vec::new(),
            ],
            holidays: vec![Holiday {
                from: date("2026-10-01"),
                to: date("2026-10-07"),
                name: "国庆节".to_owned(),
                greeting: Vec::new(),
            }],
            workdays: vec![Workday {
                date: date("2026-10-10"),
                hours: day(),
            }],
        }
    }

    #[test]
    fn spans_good_and_bad() {
        assert_eq!(Span::parse("9:00-12:00"), Some(Span { from: 540, to: 720 }));
        assert_eq!(
            Span::parse("00:00 - 24:00"),
            Some(Span { from: 0, to: 1_440 })
        );
        for text in [
            "",
            "09:00",
            "09:00-09:00",
            "24:00-25:00",
            "9-12",
            "09:60-10:00",
            "09:0-10:00",
            "a:bc-d:ef",
        ] {
            assert_eq!(Span::parse(text), None, "{text}");
        }
    }

    #[test]
    fn open_and_closed() {
        let office = office();
        let holiday = Some("国庆节");
        let table = [
            // Monday 2026-11-16.
            ("2026-11-16 08:59", Some(None)),
            ("2026-11-16 09:00", None),
            ("2026-11-16 11:59", None),
            ("2026-11-16 12:00", Some(None)),
            ("2026-11-16 13:29", Some(None)),
            ("2026-11-16 13:30", None),
            ("2026-11-16 17:59", None),
            ("2026-11-16 18:00", Some(None)),
            // The night from Friday to Saturday.
            ("2026-11-20 21:59", Some(None)),
            ("2026-11-20 22:00", None),
            ("2026-11-21 05:59", None),
            ("2026-11-21 06:00", Some(None)),
            ("2026-11-21 22:30", Some(None)),
            // Holidays, first and last day, and the Saturday that makes up for them.
            ("2026-10-01 10:00", Some(holiday)),
            ("2026-10-07 10:00", Some(holiday)),
            ("2026-10-08 10:00", None),
            ("2026-10-10 10:00", None),
            ("2026-10-10 08:00", Some(None)),
            // Friday the 2nd is a holiday, so its night shift does not begin.
            ("2026-10-03 03:00", Some(holiday)),
        ];
        for (moment, closed) in table {
            let status = match office.at(&local(moment)) {
                Status::Open => None,
                Status::Closed { holiday } => Some(holiday.map(|h| h.name.as_str())),
            };
            assert_eq!(status, closed, "{moment}");
        }
    }
}
