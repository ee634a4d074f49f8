//! Actions: a word, or a table of what is set, what is played, and what comes next.

use std::time::Duration;

use crate::limits;
use crate::menu::json::Json;
use crate::menu::read::Reader;
use crate::menu::table::Table;
use crate::menu::{Action, Collect, Hours, Message, Named, Next, Patience, Transfer};

/// The keys of which an action has at most one.
const WAYS: [&str; 5] = ["menu", "transfer", "message", "collect", "schedule"];

impl Reader {
    /// The action of a key; `None` if it is not there or cannot be read.
    pub(super) fn action_at(
        &mut self,
        table: &mut Table<'_>,
        key: &'static str,
        depth: usize,
    ) -> Option<Action> {
        let value = table.value(key)?;
        self.action(table.at(key), value, depth)
    }

    pub(super) fn action(&mut self, place: String, value: &Json, depth: usize) -> Option<Action> {
        if depth > limits::DEPTH_MAX {
            let reason = format!("more than {} actions inside each other", limits::DEPTH_MAX);
            self.notes.add(place, reason);
            return None;
        }
        if let Json::Text(word) = value {
            return self.word(place, word);
        }
        let mut table = Table::new(&mut self.notes, place, value)?;
        // Of an action that cannot be read, not every key was asked for.
        let action = self.action_table(&mut table, depth)?;
        table.finish(&mut self.notes);
        Some(action)
    }

    /// `repeat`, `back` and `hangup` need no more than their name.
    fn word(&mut self, place: String, word: &str) -> Option<Action> {
        let next = match word {
            "repeat" => Next::Repeat,
            "back" => Next::Back,
            "hangup" => Next::Hangup,
            _ => {
                let reason = format!("{word:?} is not repeat, back, hangup or a table");
                self.notes.add(place, reason);
                return None;
            }
        };
        if self.menu.is_none() && !matches!(next, Next::Hangup) {
            self.notes
                .add(place, format!("{word} makes sense only inside a menu"));
            return None;
        }
        Some(Action::just(next))
    }

    fn action_table(&mut self, table: &mut Table<'_>, depth: usize) -> Option<Action> {
        let mut set = self.facts(table);
        if let Some(language) = table.text(&mut self.notes, "language") {
            set.push(("language".to_owned(), language.to_owned()));
        }
        let play = self.prompts(table, "play");
        let ways: Vec<&str> = WAYS.into_iter().filter(|way| table.has(way)).collect();
        if ways.is_empty() {
            // Asked for all the same, so that a misspelt one is answered with the list.
            for way in WAYS {
                let _ = table.value(way);
            }
        }
        if ways.len() > 1 {
            self.notes
                .add(table.place(), format!("only one of {}", ways.join(" and ")));
            return None;
        }
        let next = match ways.first().copied() {
            Some("menu") => {
                let name = table.text(&mut self.notes, "menu")?;
                self.jump(table.at("menu"), name);
                Next::Menu(name.to_owned())
            }
            Some("transfer") => Next::Transfer(Box::new(self.transfer(table, depth)?)),
            Some("message") => Next::Message(Box::new(self.message(table, depth)?)),
            Some("collect") => Next::Collect(Box::new(self.collect(table, depth)?)),
            Some("schedule") => Next::Hours(Box::new(self.hours(table, depth)?)),
            Some(_) | None => match self.action_at(table, "then", depth + 1) {
                Some(action) => Next::Then(Box::new(action)),
                None => self.fallthrough(table)?,
            },
        };
        Some(Action { set, play, next })
    }

    /// An action that names no way on returns to its menu.
    fn fallthrough(&mut self, table: &mut Table<'_>) -> Option<Next> {
        if table.has("then") {
            return None;
        }
        if self.menu.is_none() {
            let reason = format!("leads nowhere; add then, or one of {}", WAYS.join(", "));
            self.notes.add(table.place(), reason);
            return None;
        }
        Some(Next::Repeat)
    }

    fn facts(&mut self, table: &mut Table<'_>) -> Vec<(String, String)> {
        let mut facts = Vec::new();
        let Some(mut set) = table.table(&mut self.notes, "set") else {
            return facts;
        };
        for (key, value) in set.all() {
            if let Json::Text(text) = value
                && is_fact(key)
                && text.chars().count() <= 1_024
            {
                facts.push((key.to_owned(), text.clone()));
            } else {
                self.notes
                    .add(set.at(key), "expected a name with letters, and text");
            }
        }
        facts
    }

    /// What happens when a transfer or a message does not work, unless the action says so.
    fn plan_b(&mut self, table: &mut Table<'_>, depth: usize) -> Action {
        let play = self.unavailable.clone();
        let next = if self.menu.is_some() {
            Next::Repeat
        } else {
            Next::Hangup
        };
        let default = Action {
            set: Vec::new(),
            play,
            next,
        };
        self.action_at(table, "failed", depth + 1)
            .unwrap_or(default)
    }

    fn transfer(&mut self, table: &mut Table<'_>, depth: usize) -> Option<Transfer> {
        let target = table.text(&mut self.notes, "transfer")?;
        if target.len() > 255 || target.chars().any(|c| c.is_whitespace() || c.is_control()) {
            self.notes.add(
                table.at("transfer"),
                "expected a phone, a number or a SIP address",
            );
        }
        let ring_s = table.number(&mut self.notes, "timeout_s", 1..=limits::RING_S_MAX, 30);
        let blind = table.flag(&mut self.notes, "blind");
        let then = self.action_at(table, "then", depth + 1);
        let failed = self.plan_b(table, depth);
        Some(Transfer {
            target: target.to_owned(),
            timeout: Duration::from_secs(ring_s),
            blind,
            then: then.unwrap_or(Action::just(Next::Hangup)),
            failed,
        })
    }

    fn message(&mut self, table: &mut Table<'_>, depth: usize) -> Option<Message> {
        let mut own = table.table(&mut self.notes, "message")?;
        let max_s = own.number(&mut self.notes, "max_s", 1..=limits::MESSAGE_S_MAX, 60);
        let silence_s = own.number(&mut self.notes, "silence_s", 0..=limits::TIMEOUT_S_MAX, 5);
        own.finish(&mut self.notes);
        let then = self.action_at(table, "then", depth + 1);
        let failed = self.plan_b(table, depth);
        Some(Message {
            max: Duration::from_secs(max_s),
            silence: Duration::from_secs(silence_s),
            then: then.unwrap_or(Action::just(Next::Hangup)),
            failed,
        })
    }

    fn collect(&mut self, table: &mut Table<'_>, depth: usize) -> Option<Collect> {
        let mut own = table.table(&mut self.notes, "collect")?;
        let prompt = self.prompts(&mut own, "prompt");
        if prompt.is_empty() {
            self.notes
                .add(own.at("prompt"), "missing; say what to type");
        }
        let into = own
            .text(&mut self.notes, "into")
            .unwrap_or("input")
            .to_owned();
        if !is_fact(&into) {
            self.notes
                .add(own.at("into"), "expected letters, digits and _");
        }
        let range = 1..=limits::COLLECT_DIGITS_MAX;
        let min = own.number(&mut self.notes, "min", range.clone(), 1);
        let max = own.number(&mut self.notes, "max", range, min.max(16));
        if min > max {
            self.notes
                .add(own.at("min"), format!("more than max, which is {max}"));
        }
        let plain = Patience {
            first: Duration::from_secs(8),
            inter: Duration::from_secs(4),
            tries: 3,
            no_input: Vec::new(),
            invalid: Vec::new(),
        };
        let patience = self.patience(&mut own, &plain);
        own.finish(&mut self.notes);
        let answers = self.answers(table, depth, (min, max));
        let fallback = |reader: &Self| match reader.menu {
            Some(_) => Action::just(Next::Repeat),
            None => Action::just(Next::Hangup),
        };
        let then = self
            .action_at(table, "then", depth + 1)
            .unwrap_or_else(|| fallback(self));
        let failed = self
            .action_at(table, "failed", depth + 1)
            .unwrap_or_else(|| fallback(self));
        let digits = |n: u64| u8::try_from(n).expect("invariant: at most 64");
        Some(Collect {
            prompt,
            into,
            min: digits(min),
            max: digits(max),
            patience,
            answers,
            then,
            failed,
        })
    }

    fn answers(
        &mut self,
        table: &mut Table<'_>,
        depth: usize,
        (min, max): (u64, u64),
    ) -> Named<Action> {
        let mut answers = Named::default();
        let Some(mut own) = table.table(&mut self.notes, "answers") else {
            return answers;
        };
        for (input, value) in own.all() {
            let fits = (min..=max).contains(&(input.len() as u64));
            if !fits || !input.bytes().all(|b| b.is_ascii_digit() || b == b'*') {
                self.notes
                    .add(own.at(input), format!("no input of {min} to {max} digits"));
            }
            if let Some(action) = self.action(own.at(input), value, depth + 1) {
                answers.insert(input, action);
            }
        }
        answers
    }

    fn hours(&mut self, table: &mut Table<'_>, depth: usize) -> Option<Hours> {
        let schedule = table.text(&mut self.notes, "schedule")?.to_owned();
        self.schedules_used
            .push((table.at("schedule"), schedule.clone()));
        let mut branch = |key| {
            let action = self.action_at(table, key, depth + 1);
            if !table.has(key) {
                self.notes
                    .add(table.at(key), "missing; say what happens then");
            }
            action
        };
        let (open, closed) = (branch("open"), branch("closed"));
        Some(Hours {
            schedule,
            open: open?,
            closed: closed?,
        })
    }
}

/// The name of a fact kept with a call.
fn is_fact(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
