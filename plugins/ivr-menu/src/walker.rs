//! Walks a caller through a tree: a machine that is told what happened and says what to do next.

use std::collections::VecDeque;
use std::time::Duration;

use jackfield::Prompt as Played;
use jackfield::clock::Local;

use crate::limits;
use crate::menu::{Action, Collect, Menu, Message, Next, Patience, Prompt, Source, Transfer, Tree};
use crate::schedule::Status;

/// Why a name is always found.
const CHECKED: &str = "invariant: every name in a tree exists";

/// The clock on the wall of a zone; the error says why the zone is unknown.
pub type WallClock<'c> = dyn Fn(&str) -> Result<Local, String> + 'c;

/// What to do next.
#[derive(Clone, PartialEq, Debug)]
pub enum Step {
    /// Play to the end.
    Play(Vec<Played>),
    /// Play and collect keys; a key stops the prompt.
    Ask(Ask),
    /// Keep a fact with the call.
    Set {
        /// Its name; `language` switches the prompts.
        key: String,
        /// Private: never for a log line.
        value: String,
    },
    /// Call somebody and connect the two.
    Dial {
        /// Whom.
        target: String,
        /// How long it rings.
        timeout: Duration,
    },
    /// Give the call away.
    Transfer {
        /// To whom.
        target: String,
    },
    /// Record a message, after a tone.
    Record {
        /// Longest message.
        max: Duration,
        /// Silence that ends it; zero never.
        silence: Duration,
    },
    /// The flow is over.
    Finish {
        /// `done`, `transferred`, `message` or `gave_up`.
        label: &'static str,
        /// The menus that were visited.
        trail: String,
    },
}

/// What to collect.
#[derive(Clone, PartialEq, Debug)]
pub struct Ask {
    /// Played first.
    pub prompts: Vec<Played>,
    /// Fewest keys.
    pub min: u8,
    /// Most keys.
    pub max: u8,
    /// Keys that end the input.
    pub terminators: &'static str,
    /// Longest wait for the first key.
    pub first: Duration,
    /// Longest wait for each further key.
    pub inter: Duration,
}

/// How a step went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Done; also given to begin.
    Done,
    /// What was pressed; empty for nothing.
    Digits(String),
    /// It was tried and did not work, or is not allowed.
    Failed,
}

/// A walk through a tree.
///
/// | waiting for | an answer | leads to |
/// |---|---|---|
/// | nothing | `Done` | what is left of the action |
/// | a choice | an option's keys | that option |
/// | a choice | anything else | the menu again, or `on_failure` after the last try |
/// | an input | long enough | its answer, or `then` |
/// | an input | too short | the question again, or `failed` after the last try |
/// | a talk, a message | `Done` | `then` |
/// | a talk, a message | `Failed` | `failed` |
pub struct Walker<'t> {
    tree: &'t Tree,
    waiting: Waiting<'t>,
    /// What is left of the action under way.
    todo: VecDeque<Task<'t>>,
    /// To be played before or with the next step.
    prompts: Vec<Played>,
    /// The menu the caller is in.
    here: Option<&'t str>,
    /// The menus before it.
    history: Vec<&'t str>,
    trail: Vec<&'t str>,
    facts: Vec<(String, String)>,
    /// Failed tries in the present menu or question.
    tries: u32,
    /// Failed tries since the last good choice.
    fruitless: u32,
    label: &'static str,
}

enum Waiting<'t> {
    Nothing,
    Choice(&'t Menu),
    Input(&'t Collect),
    Talk(&'t Transfer),
    Message(&'t Message),
    Over,
}

impl Waiting<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing was asked",
            Self::Choice(_) => "a choice was asked for",
            Self::Input(_) => "an input was asked for",
            Self::Talk(_) => "a call was made",
            Self::Message(_) => "a message was recorded",
            Self::Over => "the flow is over",
        }
    }
}

enum Task<'t> {
    Set(String, String),
    Play(&'t [Prompt]),
    Next(&'t Next),
    Question(&'t Collect),
    Finish,
}

impl<'t> Walker<'t> {
    /// At the beginning of a call.
    pub fn new(tree: &'t Tree) -> Self {
        let mut walker = Self {
            tree,
            waiting: Waiting::Nothing,
            todo: VecDeque::new(),
            prompts: Vec::new(),
            here: None,
            history: Vec::new(),
            trail: Vec::new(),
            facts: Vec::new(),
            tries: 0,
            fruitless: 0,
            label: "done",
        };
        let language = tree.language.iter();
        walker
            .todo
            .extend(language.map(|tag| Task::Set("language".to_owned(), tag.clone())));
        walker.act(&tree.start);
        walker
    }

    /// Takes the answer to the last step and says the next one.
    ///
    /// # Errors
    /// The clock's, for a zone it does not know.
    ///
    /// # Panics
    /// If it is asked again after [`Step::Finish`], or answered with something that is no answer
    /// to the last step.
    pub fn next(&mut self, clock: &WallClock<'_>, answer: Answer) -> Result<Step, String> {
        self.take(clock, answer)?;
        loop {
            let task = self
                .todo
                .pop_front()
                .expect("invariant: an action leads somewhere");
            let step = match task {
                Task::Set(key, value) => Some(self.set(key, value)),
                Task::Play(prompts) => {
                    self.render(clock, prompts)?;
                    None
                }
                Task::Next(next) => self.go(clock, next)?,
                Task::Question(collect) => Some(self.ask_input(clock, collect)?),
                Task::Finish => Some(self.finish()),
            };
            if let Some(step) = step {
                return Ok(step);
            }
        }
    }

    fn take(&mut self, clock: &WallClock<'_>, answer: Answer) -> Result<(), String> {
        match (
            std::mem::replace(&mut self.waiting, Waiting::Nothing),
            answer,
        ) {
            (Waiting::Nothing, Answer::Done) => {}
            (Waiting::Choice(menu), Answer::Digits(keys)) => self.chosen(clock, menu, &keys)?,
            (Waiting::Input(collect), Answer::Digits(keys)) => self.typed(clock, collect, keys)?,
            (Waiting::Talk(transfer), Answer::Done) => {
                self.label = "transferred";
                if transfer.blind {
                    self.todo.push_back(Task::Finish);
                } else {
                    self.act(&transfer.then);
                }
            }
            (Waiting::Talk(transfer), Answer::Failed) => self.act(&transfer.failed),
            (Waiting::Message(message), Answer::Done) => {
                self.label = "message";
                self.act(&message.then);
            }
            (Waiting::Message(message), Answer::Failed) => self.act(&message.failed),
            (
                waiting @ (Waiting::Nothing
                | Waiting::Choice(_)
                | Waiting::Input(_)
                | Waiting::Talk(_)
                | Waiting::Message(_)
                | Waiting::Over),
                _,
            ) => panic!("not an answer to the last step: {}", waiting.name()),
        }
        Ok(())
    }

    fn act(&mut self, action: &'t Action) {
        self.todo.extend(
            action
                .set
                .iter()
                .map(|(k, v)| Task::Set(k.clone(), v.clone())),
        );
        self.todo.push_back(Task::Play(&action.play));
        self.todo.push_back(Task::Next(&action.next));
    }

    fn go(&mut self, clock: &WallClock<'_>, next: &'t Next) -> Result<Option<Step>, String> {
        match next {
            Next::Then(action) => self.act(action),
            Next::Repeat => {
                let here = self.here.expect("invariant: checked to be inside a menu");
                return self.ask_choice(clock, here).map(Some);
            }
            Next::Back => {
                let before = self.history.pop().or(self.here);
                let before = before.expect("invariant: checked to be inside a menu");
                return self.enter(clock, before).map(Some);
            }
            Next::Menu(name) => {
                if let Some(here) = self.here.filter(|here| here != name) {
                    if self.history.len() == limits::HISTORY_MAX {
                        self.history.remove(0);
                    }
                    self.history.push(here);
                }
                return self.enter(clock, name).map(Some);
            }
            Next::Hours(hours) => {
                let schedule = self.tree.schedules.get(&hours.schedule).expect(CHECKED);
                match schedule.at(&clock(&schedule.zone)?) {
                    Status::Open => self.act(&hours.open),
                    Status::Closed { holiday } => {
                        let greeting = holiday.map_or(&[][..], |holiday| &holiday.greeting);
                        self.todo.push_back(Task::Play(greeting));
                        self.act(&hours.closed);
                    }
                }
            }
            Next::Collect(collect) => return self.ask_input(clock, collect).map(Some),
            Next::Hangup => {
                self.render(clock, &self.tree.goodbye)?;
                self.todo.push_back(Task::Finish);
            }
            // What was said so far is heard before the line rings or the tone sounds.
            Next::Transfer(_) | Next::Message(_) if !self.prompts.is_empty() => {
                self.todo.push_front(Task::Next(next));
                return Ok(Some(self.flush()));
            }
            Next::Transfer(transfer) => {
                self.waiting = Waiting::Talk(transfer);
                let target = transfer.target.clone();
                return Ok(Some(if transfer.blind {
                    Step::Transfer { target }
                } else {
                    Step::Dial {
                        target,
                        timeout: transfer.timeout,
                    }
                }));
            }
            Next::Message(message) => {
                self.waiting = Waiting::Message(message);
                return Ok(Some(Step::Record {
                    max: message.max,
                    silence: message.silence,
                }));
            }
        }
        Ok(None)
    }

    fn enter(&mut self, clock: &WallClock<'_>, name: &'t str) -> Result<Step, String> {
        self.here = Some(name);
        self.tries = 0;
        if self.trail.last() != Some(&name) && self.trail.len() < limits::TRAIL_MAX {
            self.trail.push(name);
        }
        self.ask_choice(clock, name)
    }

    fn ask_choice(&mut self, clock: &WallClock<'_>, name: &str) -> Result<Step, String> {
        let menu = self.tree.menus.get(name).expect(CHECKED);
        let max = menu.options.names().map(str::len).max().unwrap_or(1);
        let uses_hash = menu.options.names().any(|keys| keys.contains('#'));
        // With one key there is nothing to end early.
        let terminators = if max > 1 && !uses_hash { "#" } else { "" };
        let max = u8::try_from(max).expect("invariant: an option has at most 8 keys");
        self.waiting = Waiting::Choice(menu);
        self.ask(clock, &menu.prompt, &menu.patience, (1, max, terminators))
    }

    fn ask_input(&mut self, clock: &WallClock<'_>, collect: &'t Collect) -> Result<Step, String> {
        self.waiting = Waiting::Input(collect);
        self.ask(
            clock,
            &collect.prompt,
            &collect.patience,
            (collect.min, collect.max, "#"),
        )
    }

    fn ask(
        &mut self,
        clock: &WallClock<'_>,
        prompt: &[Prompt],
        patience: &Patience,
        (min, max, terminators): (u8, u8, &'static str),
    ) -> Result<Step, String> {
        self.render(clock, prompt)?;
        let prompts = std::mem::take(&mut self.prompts);
        let (first, inter) = (patience.first, patience.inter);
        Ok(Step::Ask(Ask {
            prompts,
            min,
            max,
            terminators,
            first,
            inter,
        }))
    }

    fn chosen(&mut self, clock: &WallClock<'_>, menu: &'t Menu, keys: &str) -> Result<(), String> {
        if let Some(action) = menu.options.get(keys) {
            self.succeeded();
            self.act(action);
            return Ok(());
        }
        if self.missed(clock, &menu.patience, keys)? {
            self.todo.push_back(Task::Next(&Next::Repeat));
        } else if self.fruitless < limits::FRUITLESS_MAX {
            self.act(&menu.on_failure);
        }
        Ok(())
    }

    fn typed(
        &mut self,
        clock: &WallClock<'_>,
        collect: &'t Collect,
        keys: String,
    ) -> Result<(), String> {
        if (usize::from(collect.min)..=usize::from(collect.max)).contains(&keys.len()) {
            self.succeeded();
            let action = collect.answers.get(&keys).unwrap_or(&collect.then);
            self.todo.push_back(Task::Set(collect.into.clone(), keys));
            self.act(action);
            return Ok(());
        }
        if self.missed(clock, &collect.patience, &keys)? {
            self.todo.push_back(Task::Question(collect));
        } else if self.fruitless < limits::FRUITLESS_MAX {
            self.act(&collect.failed);
        }
        Ok(())
    }

    fn succeeded(&mut self) {
        (self.tries, self.fruitless) = (0, 0);
        if self.label == "gave_up" {
            self.label = "done";
        }
    }

    /// Counts a failed try. True if the caller is asked again, after an apology; else the tries
    /// are used up, and if no try anywhere came to anything, the call ends.
    fn missed(
        &mut self,
        clock: &WallClock<'_>,
        patience: &Patience,
        keys: &str,
    ) -> Result<bool, String> {
        self.tries += 1;
        self.fruitless += 1;
        if self.fruitless >= limits::FRUITLESS_MAX {
            self.label = "gave_up";
            self.render(clock, &self.tree.goodbye)?;
            self.todo.push_back(Task::Finish);
            return Ok(false);
        }
        if self.tries >= patience.tries {
            self.tries = 0;
            self.label = "gave_up";
            return Ok(false);
        }
        let apology = if keys.is_empty() {
            &patience.no_input
        } else {
            &patience.invalid
        };
        self.render(clock, apology)?;
        Ok(true)
    }

    fn set(&mut self, key: String, value: String) -> Step {
        // What was said so far belongs to the language it was said in.
        if key == "language" && !self.prompts.is_empty() {
            self.todo.push_front(Task::Set(key, value));
            return self.flush();
        }
        self.facts.retain(|(name, _)| *name != key);
        self.facts.push((key.clone(), value.clone()));
        Step::Set { key, value }
    }

    fn finish(&mut self) -> Step {
        if !self.prompts.is_empty() {
            self.todo.push_front(Task::Finish);
            return self.flush();
        }
        self.waiting = Waiting::Over;
        Step::Finish {
            label: self.label,
            trail: self.trail.join(" > "),
        }
    }

    fn flush(&mut self) -> Step {
        debug_assert!(!self.prompts.is_empty(), "there is something to play");
        Step::Play(std::mem::take(&mut self.prompts))
    }

    /// Adds prompts as the host plays them.
    fn render(&mut self, clock: &WallClock<'_>, prompts: &[Prompt]) -> Result<(), String> {
        let zone = || {
            self.tree
                .zone
                .as_deref()
                .expect("invariant: checked where it is needed")
        };
        for prompt in prompts {
            let played = match prompt {
                Prompt::Audio(name) => Played::Audio(name.clone()),
                Prompt::Say { text, voice } => Played::Say((text.clone(), voice.clone())),
                Prompt::Pause(pause_ms) => Played::Silence(*pause_ms),
                Prompt::Value { kind, value } => {
                    let value = match value {
                        Source::Text(text) => text.clone(),
                        Source::Fact(name) => {
                            match self.facts.iter().find(|(fact, _)| fact == name) {
                                Some((_, value)) => value.clone(),
                                None => continue,
                            }
                        }
                        Source::Clock => {
                            let local = clock(zone())?;
                            if kind == "date" {
                                local.date.to_string()
                            } else {
                                local.time()
                            }
                        }
                    };
                    Played::Value((kind.clone(), value))
                }
                Prompt::Greeting(name) => {
                    let minute = clock(zone())?.minute;
                    let greetings = self.tree.greetings.get(name).expect(CHECKED);
                    let now = greetings.iter().find(|greeting| {
                        greeting.span.contains(minute) || greeting.span.reaches(minute)
                    });
                    if let Some(greeting) = now {
                        self.render(clock, &greeting.play)?;
                    }
                    continue;
                }
            };
            self.prompts.push(played);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
