//! Schedules and greetings.

use crate::limits;
use crate::menu::json::Json;
use crate::menu::read::Reader;
use crate::menu::table::{Table, join};
use crate::menu::{Greeting, Named, Prompt};
use crate::schedule::{Holiday, Schedule, Span, Workday};
use jackfield::clock::Date;

/// The weekdays' keys, Monday first.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Keys for rows of days.
const ROWS: [(&str, std::ops::Range<usize>); 4] = [
    ("mon-fri", 0..5),
    ("mon-sat", 0..6),
    ("sat-sun", 5..7),
    ("mon-sun", 0..7),
];

impl Reader {
    pub(super) fn schedules(&mut self, root: &mut Table<'_>) -> Named<Schedule> {
        let mut schedules = Named::default();
        let Some(mut table) = root.table(&mut self.notes, "schedule") else {
            return schedules;
        };
        for (name, value) in table.all() {
            if let Some(table) = Table::new(&mut self.notes, join("schedule", name), value) {
                schedules.insert(name, self.schedule(table));
            }
        }
        schedules
    }

    fn schedule(&mut self, mut table: Table<'_>) -> Schedule {
        let own = table.text(&mut self.notes, "time_zone").map(str::to_owned);
        let zone = match own {
            Some(zone) => {
                self.check_zone(&table.at("time_zone"), &zone);
                zone
            }
            None => {
                self.zone_needed
                    .get_or_insert_with(|| table.place().to_owned());
                self.zone.clone().unwrap_or_default()
            }
        };
        let week = self.week(&mut table);
        let holidays: Vec<Holiday> = table
            .tables(&mut self.notes, "holiday")
            .into_iter()
            .take(limits::DAYS_MAX)
            .filter_map(|table| self.holiday(table))
            .collect();
        let workdays: Vec<Workday> = table
            .tables(&mut self.notes, "workday")
            .into_iter()
            .take(limits::DAYS_MAX)
            .filter_map(|table| self.workday(table, &week))
            .collect();
        for (i, workday) in workdays.iter().enumerate() {
            if workdays[..i].iter().any(|other| other.date == workday.date) {
                self.notes.add(
                    table.at("workday"),
                    format!("{} is there twice", workday.date),
                );
            }
        }
        if week.iter().all(Vec::is_empty) && workdays.is_empty() {
            self.notes.add(
                table.place(),
                "no hours at all, as in mon-fri = [\"09:00-18:00\"]",
            );
        }
        table.finish(&mut self.notes);
        Schedule {
            zone,
            week,
            holidays,
            workdays,
        }
    }

    fn week(&mut self, table: &mut Table<'_>) -> [Vec<Span>; 7] {
        let mut week: [Vec<Span>; 7] = Default::default();
        let mut given = [false; 7];
        let days = DAYS.iter().enumerate().map(|(i, day)| (*day, i..i + 1));
        for (key, range) in days.chain(ROWS) {
            if !table.has(key) {
                continue;
            }
            let spans = self.spans(table, key);
            for day in range {
                if std::mem::replace(&mut given[day], true) {
                    self.notes
                        .add(table.at(key), format!("{} is there twice", DAYS[day]));
                }
                week[day] = spans.clone();
            }
        }
        week
    }

    /// `["09:00-12:00", "13:30-18:00"]`, in order and apart.
    fn spans(&mut self, table: &mut Table<'_>, key: &'static str) -> Vec<Span> {
        let place = table.at(key);
        let Some(Json::List(items)) = table.value(key) else {
            self.notes.add(
                place,
                "expected a list, as in [\"09:00-12:00\", \"13:30-18:00\"]",
            );
            return Vec::new();
        };
        let mut spans: Vec<Span> = Vec::new();
        for item in items {
            let Json::Text(text) = item else {
                self.notes
                    .add(&place, "a span is text, as in \"09:00-18:00\"");
                continue;
            };
            let Some(span) = Span::parse(text) else {
                let reason = format!("{text:?} is not a span, as in \"09:00-18:00\"");
                self.notes.add(&place, reason);
                continue;
            };
            if spans
                .last()
                .is_some_and(|last| last.to < last.from || span.from < last.to)
            {
                self.notes.add(
                    &place,
                    format!("{text:?} does not come after the one before"),
                );
            }
            spans.push(span);
        }
        spans
    }

    /// `date`, or `from` and `to`, with a name and a greeting.
    fn holiday(&mut self, mut table: Table<'_>) -> Option<Holiday> {
        let single = table.has("date");
        let (from, to) = if single {
            let date = self.date(&mut table, "date");
            (date, date)
        } else {
            (self.date(&mut table, "from"), self.date(&mut table, "to"))
        };
        let name = table
            .text(&mut self.notes, "name")
            .unwrap_or_default()
            .to_owned();
        let greeting = self.prompts(&mut table, "greeting");
        if let (Some(from), Some(to)) = (from, to)
            && from > to
        {
            self.notes
                .add(table.at("to"), format!("{to} is before {from}"));
        }
        table.finish(&mut self.notes);
        Some(Holiday {
            from: from?,
            to: to?,
            name,
            greeting,
        })
    }

    /// `date`, with its own `hours` or those of the weekday it stands for.
    fn workday(&mut self, mut table: Table<'_>, week: &[Vec<Span>; 7]) -> Option<Workday> {
        let date = self.date(&mut table, "date");
        let like = table.text(&mut self.notes, "like");
        let hours = match (like, table.has("hours")) {
            (None, true) => self.spans(&mut table, "hours"),
            (Some(like), false) => match DAYS.iter().position(|day| *day == like) {
                Some(day) => week[day].clone(),
                None => {
                    let reason = format!("expected a weekday: {}", DAYS.join(", "));
                    self.notes.add(table.at("like"), reason);
                    Vec::new()
                }
            },
            (Some(_), true) | (None, false) => {
                self.notes
                    .add(table.place(), "expected either hours, or like = \"mon\"");
                Vec::new()
            }
        };
        table.finish(&mut self.notes);
        Some(Workday { date: date?, hours })
    }

    fn date(&mut self, table: &mut Table<'_>, key: &'static str) -> Option<Date> {
        let place = table.at(key);
        if !table.has(key) {
            self.notes.add(place, "missing; a date as in 2026-10-01");
            return None;
        }
        let text = table.text(&mut self.notes, key)?;
        let date = Date::parse(text);
        if date.is_none() {
            self.notes
                .add(place, format!("{text:?} is not a date, as in 2026-10-01"));
        }
        date
    }

    pub(super) fn greetings(&mut self, root: &mut Table<'_>) -> Named<Vec<Greeting>> {
        let mut greetings = Named::default();
        let Some(mut table) = root.table(&mut self.notes, "greeting") else {
            return greetings;
        };
        for (name, value) in table.all() {
            let place = table.at(name);
            let Json::List(items) = value else {
                self.notes
                    .add(place, "expected a list of tables with from, to and play");
                continue;
            };
            let items = items.iter().enumerate().filter_map(|(i, item)| {
                let place = join(&place, &i.to_string());
                Table::new(&mut self.notes, place, item)
            });
            let items: Vec<Table<'_>> = items.collect();
            let list = items
                .into_iter()
                .filter_map(|table| self.greeting(table))
                .collect();
            greetings.insert(name, list);
        }
        greetings
    }

    fn greeting(&mut self, mut table: Table<'_>) -> Option<Greeting> {
        let from = table.text(&mut self.notes, "from").unwrap_or_default();
        let to = table.text(&mut self.notes, "to").unwrap_or_default();
        let span = Span::parse(&format!("{from}-{to}"));
        if span.is_none() {
            let reason = "expected from and to, as in from = \"05:00\", to = \"12:00\"";
            self.notes.add(table.place(), reason);
        }
        let play = self.prompts(&mut table, "play");
        if play.is_empty() {
            self.notes
                .add(table.at("play"), "missing; a greeting says something");
        }
        // One inside another could go round for ever.
        if play
            .iter()
            .any(|prompt| matches!(prompt, Prompt::Greeting(_)))
        {
            self.notes
                .add(table.at("play"), "a greeting cannot hold a greeting");
        }
        table.finish(&mut self.notes);
        Some(Greeting { span: span?, play })
    }
}
