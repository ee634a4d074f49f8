//! From JSON to a checked [`Tree`].

mod action;
mod hours;
mod prompt;

use std::time::Duration;

use crate::limits;
use crate::menu::json::Json;
use crate::menu::table::{Notes, Table, join};
use crate::menu::{Action, Menu, Named, Next, Patience, Problems, Tree};

/// What is being read, and what was learned on the way.
#[derive(Default)]
struct Reader {
    notes: Notes,
    /// Every use of a menu's name: where from, where to, and the menu it is in.
    jumps: Vec<Jump>,
    /// Uses of schedules and greetings: where, and the name.
    schedules_used: Vec<(String, String)>,
    greetings_used: Vec<(String, String)>,
    /// The first place where a zone is needed that the tree itself must give.
    zone_needed: Option<String>,
    /// The tree's own zone.
    zone: Option<String>,
    /// Said when a transfer or message does not work, unless the action says otherwise.
    unavailable: Vec<crate::menu::Prompt>,
    /// The menu being read; none at the start of the call.
    menu: Option<String>,
}

struct Jump {
    place: String,
    from: Option<String>,
    to: String,
}

/// Reads the whole configuration.
pub(super) fn tree(source: &str) -> Result<Tree, Problems> {
    let mut reader = Reader::default();
    let tree = match Json::parse(source) {
        Ok(value) => reader.tree(&value),
        Err(error) => {
            reader
                .notes
                .add("", format!("the configuration cannot be read: {error}"));
            None
        }
    };
    reader.notes.verdict(tree)
}

impl Reader {
    fn tree(&mut self, value: &Json) -> Option<Tree> {
        let mut root = Table::new(&mut self.notes, String::new(), value)?;
        self.zone = root.text(&mut self.notes, "time_zone").map(str::to_owned);
        if let Some(zone) = self.zone.clone() {
            self.check_zone("time_zone", &zone);
        }
        let language = root.text(&mut self.notes, "language").map(str::to_owned);
        let goodbye = self.prompts(&mut root, "goodbye");
        self.unavailable = self.prompts(&mut root, "unavailable");
        let schedules = self.schedules(&mut root);
        let greetings = self.greetings(&mut root);
        let defaults = root.table(&mut self.notes, "defaults");
        let (patience, on_failure) = self.defaults(defaults);
        let start = self.start(&mut root);
        let menus = self.menus(&mut root, &patience, &on_failure);
        root.finish(&mut self.notes);

        let tree = Tree {
            start: start?,
            language,
            zone: self.zone.clone(),
            goodbye,
            menus,
            schedules,
            greetings,
        };
        self.check_names(&tree);
        Some(tree)
    }

    /// `start` names a menu, or is an action of its own.
    fn start(&mut self, root: &mut Table<'_>) -> Option<Action> {
        match root.value("start") {
            Some(Json::Text(name)) => {
                self.jump("start".to_owned(), name);
                Some(Action::just(Next::Menu(name.clone())))
            }
            Some(value) => self.action("start".to_owned(), value, 0),
            None => {
                self.notes.add("start", "missing; name the first menu");
                None
            }
        }
    }

    /// Patience and failure of menus that say nothing of their own.
    fn defaults(&mut self, table: Option<Table<'_>>) -> (Patience, Action) {
        let plain = Patience {
            first: Duration::from_secs(6),
            inter: Duration::from_secs(3),
            tries: 3,
            no_input: Vec::new(),
            invalid: Vec::new(),
        };
        let hangup = Action::just(Next::Hangup);
        let Some(mut table) = table else {
            return (plain, hangup);
        };
        // Read as inside a menu: that is where it happens.
        self.menu = Some(String::new());
        let patience = self.patience(&mut table, &plain);
        let on_failure = self
            .action_at(&mut table, "on_failure", 0)
            .unwrap_or(hangup);
        self.menu = None;
        table.finish(&mut self.notes);
        (patience, on_failure)
    }

    fn patience(&mut self, table: &mut Table<'_>, default: &Patience) -> Patience {
        let seconds = 1..=limits::TIMEOUT_S_MAX;
        let notes = &mut self.notes;
        let first = table.number(notes, "timeout_s", seconds.clone(), default.first.as_secs());
        let inter = table.number(notes, "inter_s", seconds, default.inter.as_secs());
        let tries = table.number(notes, "tries", 1..=9, default.tries.into());
        let mut apology = |key, default: &Vec<_>| match table.value(key) {
            Some(_) => self.prompts(table, key),
            None => default.clone(),
        };
        Patience {
            no_input: apology("no_input", &default.no_input),
            invalid: apology("invalid", &default.invalid),
            first: Duration::from_secs(first),
            inter: Duration::from_secs(inter),
            tries: u32::try_from(tries).expect("invariant: at most 9"),
        }
    }

    fn menus(
        &mut self,
        root: &mut Table<'_>,
        patience: &Patience,
        on_failure: &Action,
    ) -> Named<Menu> {
        let Some(mut table) = root.table(&mut self.notes, "menu") else {
            if !root.has("menu") {
                self.notes.add("menu", "missing; there is no menu at all");
            }
            return Named::default();
        };
        let mut menus = Named::default();
        for (name, value) in table.all() {
            if menus.len() == limits::MENUS_MAX {
                self.notes
                    .add("menu", format!("more than {} menus", limits::MENUS_MAX));
                break;
            }
            self.menu = Some(name.to_owned());
            if let Some(table) = Table::new(&mut self.notes, join("menu", name), value) {
                let menu = self.menu(table, patience, on_failure);
                menus.insert(name, menu);
            }
        }
        self.menu = None;
        menus
    }

    fn menu(&mut self, mut table: Table<'_>, patience: &Patience, on_failure: &Action) -> Menu {
        let prompt = self.prompts(&mut table, "prompt");
        if prompt.is_empty() {
            self.notes
                .add(table.at("prompt"), "missing; the caller would hear nothing");
        }
        let patience = self.patience(&mut table, patience);
        let on_failure = self
            .action_at(&mut table, "on_failure", 0)
            .unwrap_or_else(|| on_failure.clone());
        let options = self.options(&mut table);
        table.finish(&mut self.notes);
        Menu {
            prompt,
            options,
            patience,
            on_failure,
        }
    }

    /// `1 = …`, `"*" = …`, or several keys for one action: `"8,9" = …`.
    fn options(&mut self, menu: &mut Table<'_>) -> Named<Action> {
        let mut options = Named::default();
        let Some(mut table) = menu.table(&mut self.notes, "option") else {
            if !menu.has("option") {
                self.notes
                    .add(menu.at("option"), "missing; a menu needs at least one");
            }
            return options;
        };
        for (keys, value) in table.all() {
            let place = table.at(keys);
            let Some(action) = self.action(place.clone(), value, 0) else {
                continue;
            };
            for key in keys.split(',').map(str::trim) {
                if !is_keys(key) {
                    let reason = format!("{key:?} is not 1 to 8 keys out of 0-9, * and #");
                    self.notes.add(&place, reason);
                } else if !options.insert(key, action.clone()) {
                    self.notes.add(&place, format!("{key} is there twice"));
                }
            }
        }
        if options.is_empty() && table.all().next().is_none() {
            self.notes.add(table.place(), "a menu needs at least one");
        }
        options
    }

    /// Remembers the use of a menu's name, to be checked when all are known.
    fn jump(&mut self, place: String, to: &str) {
        self.jumps.push(Jump {
            place,
            from: self.menu.clone(),
            to: to.to_owned(),
        });
    }

    fn check_names(&mut self, tree: &Tree) {
        for jump in &self.jumps {
            if tree.menus.get(&jump.to).is_none() {
                self.notes
                    .add(&jump.place, format!("there is no menu {:?}", jump.to));
            }
        }
        for (place, name) in &self.schedules_used {
            if tree.schedules.get(name).is_none() {
                self.notes
                    .add(place, format!("there is no schedule {name:?}"));
            }
        }
        for (place, name) in &self.greetings_used {
            if tree.greetings.get(name).is_none() {
                self.notes
                    .add(place, format!("there is no greeting {name:?}"));
            }
        }
        if let (Some(place), None) = (&self.zone_needed, &tree.zone) {
            let reason = format!("missing; {place} needs it, as in \"Asia/Shanghai\"");
            self.notes.add("time_zone", reason);
        }
        let reached = reached(&self.jumps);
        for name in tree.menus.names().filter(|name| !reached.contains(name)) {
            self.notes.add(join("menu", name), "no choice leads here");
        }
    }

    /// The form of a zone's name; whether there is such a zone only the host knows.
    fn check_zone(&mut self, place: &str, zone: &str) {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"/_+-".contains(&b);
        if zone.len() > 64 || !zone.bytes().all(plain) {
            self.notes
                .add(place, "expected an IANA zone, as in \"Asia/Shanghai\"");
        }
    }
}

/// The menus a caller can come to.
fn reached(jumps: &[Jump]) -> Vec<&str> {
    let mut reached: Vec<&str> = Vec::new();
    loop {
        let before = reached.len();
        for jump in jumps {
            // The defaults, whose menu has the empty name, belong to every menu.
            let from = jump.from.as_deref().unwrap_or_default();
            let is_new = !reached.contains(&jump.to.as_str());
            if is_new && (from.is_empty() || reached.contains(&from)) {
                reached.push(&jump.to);
            }
        }
        if reached.len() == before {
            return reached;
        }
    }
}

/// One row of keys.
fn is_keys(text: &str) -> bool {
    (1..=limits::OPTION_DIGITS_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || b == b'*' || b == b'#')
}

#[cfg(test)]
mod tests;
