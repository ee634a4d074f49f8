//! The menu tree: what a configuration says, checked from end to end.
//!
//! [`Tree::from_json`] reports everything that is wrong at once, each with its place, so that an
//! author corrects a file in one go; a tree that exists can be walked without surprises.

mod json;
mod named;
mod read;
mod table;

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

pub use crate::menu::named::Named;
use crate::schedule::{Schedule, Span};

/// A checked configuration. Every name in it exists.
#[derive(Clone, PartialEq, Debug)]
pub struct Tree {
    /// What a call begins with.
    pub start: Action,
    /// The language to begin with, if not the tenant's.
    pub language: Option<String>,
    /// Zone of dates, times and greetings.
    pub zone: Option<String>,
    /// Played before the plugin hangs up.
    pub goodbye: Vec<Prompt>,
    /// The menus by name.
    pub menus: Named<Menu>,
    /// The schedules by name.
    pub schedules: Named<Schedule>,
    /// The greetings by name.
    pub greetings: Named<Vec<Greeting>>,
}

/// One menu.
#[derive(Clone, PartialEq, Debug)]
pub struct Menu {
    /// Played when the caller comes in, and again after each failed try.
    pub prompt: Vec<Prompt>,
    /// What each key or row of keys does.
    pub options: Named<Action>,
    /// Waiting, tries and apologies.
    pub patience: Patience,
    /// After the last try.
    pub on_failure: Action,
}

/// How long to wait for the caller, how often to ask, and what to say in between.
#[derive(Clone, PartialEq, Debug)]
pub struct Patience {
    /// Longest wait for the first key, from the end of the prompt.
    pub first: Duration,
    /// Longest wait for each further key.
    pub inter: Duration,
    /// How often the caller is asked, 1 to 9.
    pub tries: u32,
    /// Said when no key was pressed.
    pub no_input: Vec<Prompt>,
    /// Said when what was pressed is no choice.
    pub invalid: Vec<Prompt>,
}

/// What a choice does: facts are set, then something is played, then comes the rest.
#[derive(Clone, PartialEq, Debug)]
pub struct Action {
    /// Facts kept with the call; `language` switches the prompts.
    pub set: Vec<(String, String)>,
    /// Played; a key pressed meanwhile counts for the menu that follows.
    pub play: Vec<Prompt>,
    /// What comes after.
    pub next: Next,
}

/// What an action ends in.
#[derive(Clone, PartialEq, Debug)]
pub enum Next {
    /// The same menu again.
    Repeat,
    /// The menu before this one.
    Back,
    /// A menu by name.
    Menu(String),
    /// Another action.
    Then(Box<Action>),
    /// Somebody else is called.
    Transfer(Box<Transfer>),
    /// The caller leaves a message.
    Message(Box<Message>),
    /// The caller types something.
    Collect(Box<Collect>),
    /// It depends on a schedule.
    Hours(Box<Hours>),
    /// Goodbye.
    Hangup,
}

/// Somebody else is called.
#[derive(Clone, PartialEq, Debug)]
pub struct Transfer {
    /// Whom: a phone, a number with `+`, or a SIP address.
    pub target: String,
    /// How long it rings.
    pub timeout: Duration,
    /// The call is given away instead of connected: it does not come back.
    pub blind: bool,
    /// After the two have talked.
    pub then: Action,
    /// Busy, no answer, or not allowed.
    pub failed: Action,
}

/// The caller leaves a message.
#[derive(Clone, PartialEq, Debug)]
pub struct Message {
    /// Longest message.
    pub max: Duration,
    /// Silence that ends it; zero never.
    pub silence: Duration,
    /// After it was left.
    pub then: Action,
    /// It could not be recorded.
    pub failed: Action,
}

/// The caller types something.
#[derive(Clone, PartialEq, Debug)]
pub struct Collect {
    /// Says what to type.
    pub prompt: Vec<Prompt>,
    /// The fact it becomes.
    pub into: String,
    /// Fewest digits.
    pub min: u8,
    /// Most digits.
    pub max: u8,
    /// Waiting, tries and apologies.
    pub patience: Patience,
    /// What certain inputs do.
    pub answers: Named<Action>,
    /// What any other input does.
    pub then: Action,
    /// After the last try.
    pub failed: Action,
}

/// A branch on a schedule.
#[derive(Clone, PartialEq, Debug)]
pub struct Hours {
    /// The schedule's name.
    pub schedule: String,
    /// When somebody is there.
    pub open: Action,
    /// When nobody is there; after the holiday's greeting, if there is one.
    pub closed: Action,
}

/// Something played.
#[derive(Clone, PartialEq, Debug)]
pub enum Prompt {
    /// Audio by catalogue name.
    Audio(String),
    /// Text to be synthesized, with a language or voice.
    Say {
        /// The text.
        text: String,
        /// A language or voice; the call's language if none.
        voice: Option<String>,
    },
    /// A value of a kind the host can say.
    Value {
        /// `digits`, `number`, `date`, `time` or `amount:CNY`.
        kind: String,
        /// Where it comes from.
        value: Source,
    },
    /// A pause in milliseconds.
    Pause(u32),
    /// A greeting for the time of day, by name.
    Greeting(String),
}

/// Where a spoken value comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// As written.
    Text(String),
    /// A fact set earlier in the call; nothing is said if it was not.
    Fact(String),
    /// The clock on the wall: the date today, or the time now.
    Clock,
}

/// What is said at some time of day.
#[derive(Clone, PartialEq, Debug)]
pub struct Greeting {
    /// The time of day.
    pub span: Span,
    /// What is said.
    pub play: Vec<Prompt>,
}

/// One thing that is wrong with a configuration.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Problem {
    /// Where, as a dotted path such as `menu.main.option.1`.
    pub place: String,
    /// What.
    pub reason: String,
}

/// All that is wrong with a configuration, in the order of the file's names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    /// One line: it ends up in a fault's detail.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let glue = if index == 0 { "" } else { "; " };
            let colon = if problem.place.is_empty() { "" } else { ": " };
            write!(f, "{glue}{}{colon}{}", problem.place, problem.reason)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl Tree {
    /// Reads and checks a configuration, given as the JSON of its whole tree.
    ///
    /// # Errors
    /// Everything that is wrong with it, up to [`PROBLEMS_MAX`](crate::limits::PROBLEMS_MAX).
    pub fn from_json(source: &str) -> Result<Self, Problems> {
        read::tree(source)
    }

    /// The zones it names, which only the host can look up.
    pub fn zones(&self) -> BTreeSet<&str> {
        let schedules = self
            .schedules
            .values()
            .map(|schedule| schedule.zone.as_str());
        schedules.chain(self.zone.as_deref()).collect()
    }

    /// The audio it plays, which only the catalogue can look up.
    pub fn audio_names(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        self.each_prompt(&mut |prompt| {
            if let Prompt::Audio(name) = prompt {
                names.insert(name.as_str());
            }
        });
        names
    }

    /// The capabilities it needs: `dial`, `record`.
    pub fn needs(&self) -> BTreeSet<&'static str> {
        let mut needs = BTreeSet::new();
        self.each_action(&mut |action| match &action.next {
            Next::Transfer(_) => drop(needs.insert("dial")),
            Next::Message(_) => drop(needs.insert("record")),
            Next::Repeat
            | Next::Back
            | Next::Menu(_)
            | Next::Then(_)
            | Next::Collect(_)
            | Next::Hours(_)
            | Next::Hangup => {}
        });
        needs
    }

    fn each_action<'a>(&'a self, f: &mut impl FnMut(&'a Action)) {
        self.start.each(f);
        for menu in self.menus.values() {
            menu.options.values().for_each(|action| action.each(f));
            menu.on_failure.each(f);
        }
    }

    fn each_prompt<'a>(&'a self, f: &mut impl FnMut(&'a Prompt)) {
        self.goodbye.iter().for_each(&mut *f);
        for menu in self.menus.values() {
            menu.prompt.iter().for_each(&mut *f);
            menu.patience.each_prompt(f);
        }
        let holidays = self
            .schedules
            .values()
            .flat_map(|schedule| &schedule.holidays);
        holidays
            .flat_map(|holiday| &holiday.greeting)
            .for_each(&mut *f);
        self.greetings
            .values()
            .flatten()
            .flat_map(|greeting| &greeting.play)
            .for_each(&mut *f);
        self.each_action(&mut |action| {
            action.play.iter().for_each(&mut *f);
            if let Next::Collect(collect) = &action.next {
                collect.prompt.iter().for_each(&mut *f);
                collect.patience.each_prompt(f);
            }
        });
    }
}

impl Patience {
    fn each_prompt<'a>(&'a self, f: &mut impl FnMut(&'a Prompt)) {
        self.no_input.iter().chain(&self.invalid).for_each(f);
    }
}

impl Action {
    /// An action that only goes somewhere.
    pub fn just(next: Next) -> Self {
        Self {
            set: Vec::new(),
            play: Vec::new(),
            next,
        }
    }

    /// Itself and every action inside it, outermost first.
    fn each<'a>(&'a self, f: &mut impl FnMut(&'a Action)) {
        f(self);
        match &self.next {
            Next::Repeat | Next::Back | Next::Menu(_) | Next::Hangup => {}
            Next::Then(action) => action.each(f),
            Next::Transfer(transfer) => {
                transfer.then.each(f);
                transfer.failed.each(f);
            }
            Next::Message(message) => {
                message.then.each(f);
                message.failed.each(f);
            }
            Next::Collect(collect) => {
                collect.answers.values().for_each(|action| action.each(f));
                collect.then.each(f);
                collect.failed.each(f);
            }
            Next::Hours(hours) => {
                hours.open.each(f);
                hours.closed.each(f);
            }
        }
    }
}
