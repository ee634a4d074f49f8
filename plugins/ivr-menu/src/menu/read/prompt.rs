//! Prompts: a name, a table, or a list of both.

use crate::limits;
use crate::menu::json::Json;
use crate::menu::read::Reader;
use crate::menu::table::{Table, join};
use crate::menu::{Prompt, Source};

impl Reader {
    /// The prompts of a key; none if it is not there.
    pub(super) fn prompts(&mut self, table: &mut Table<'_>, key: &'static str) -> Vec<Prompt> {
        let place = table.at(key);
        let items = match table.value(key) {
            None => return Vec::new(),
            Some(Json::List(items)) => items.as_slice(),
            Some(one) => std::slice::from_ref(one),
        };
        if items.is_empty() || items.len() > limits::PROMPTS_MAX {
            self.notes.add(
                &place,
                format!("expected 1 to {} prompts", limits::PROMPTS_MAX),
            );
        }
        let single = items.len() == 1;
        let item_place = |i: usize| {
            if single {
                place.clone()
            } else {
                join(&place, &i.to_string())
            }
        };
        items
            .iter()
            .enumerate()
            .filter_map(|(i, item)| self.prompt(item_place(i), item))
            .collect()
    }

    fn prompt(&mut self, place: String, value: &Json) -> Option<Prompt> {
        if let Json::Text(name) = value {
            if !is_audio_name(name) {
                let reason = "an audio's name has letters, digits, _ and -, and / between folders";
                self.notes.add(place, reason);
                return None;
            }
            return Some(Prompt::Audio(name.clone()));
        }
        let mut table = Table::new(&mut self.notes, place.clone(), value)?;
        let Some(prompt) = self.prompt_table(&mut table) else {
            let reason =
                "expected one of say, digits, number, date, time, amount, pause_ms, greeting";
            self.notes.add(place, reason);
            return None;
        };
        table.finish(&mut self.notes);
        Some(prompt)
    }

    fn prompt_table(&mut self, table: &mut Table<'_>) -> Option<Prompt> {
        let notes = &mut self.notes;
        if let Some(text) = table.text(notes, "say") {
            let voice = table.text(notes, "voice").map(str::to_owned);
            return Some(Prompt::Say {
                text: text.to_owned(),
                voice,
            });
        }
        for kind in ["digits", "number"] {
            if let Some(text) = table.text(notes, kind) {
                let value = match text.strip_prefix('$') {
                    Some(fact) => Source::Fact(fact.to_owned()),
                    None => Source::Text(text.to_owned()),
                };
                return Some(Prompt::Value {
                    kind: kind.to_owned(),
                    value,
                });
            }
        }
        for (kind, now) in [("date", "today"), ("time", "now")] {
            if let Some(text) = table.text(notes, kind) {
                let value = if text == now {
                    self.zone_needed.get_or_insert_with(|| table.at(kind));
                    Source::Clock
                } else {
                    Source::Text(text.to_owned())
                };
                return Some(Prompt::Value {
                    kind: kind.to_owned(),
                    value,
                });
            }
        }
        if let Some(value) = table.text(notes, "amount") {
            let currency = table.text(notes, "currency").unwrap_or("CNY");
            let value = Source::Text(value.to_owned());
            return Some(Prompt::Value {
                kind: format!("amount:{currency}"),
                value,
            });
        }
        if let Some(name) = table.text(notes, "greeting") {
            self.zone_needed.get_or_insert_with(|| table.at("greeting"));
            self.greetings_used
                .push((table.at("greeting"), name.to_owned()));
            return Some(Prompt::Greeting(name.to_owned()));
        }
        table.value("pause_ms")?;
        let pause_ms = table.number(notes, "pause_ms", 1..=limits::PAUSE_MS_MAX, 1);
        Some(Prompt::Pause(
            u32::try_from(pause_ms).expect("invariant: at most 10,000"),
        ))
    }
}

/// A name in the catalogue, below its folder: no dots, so no way out of it.
fn is_audio_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
    name.len() <= 128
        && name
            .split('/')
            .all(|part| !part.is_empty() && part.bytes().all(plain))
}
