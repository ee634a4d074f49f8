//! What a simulation is about: who is there, what they do, and what goes wrong.

use std::time::Duration;

use engine::phone::{Digits, Step};
use media::negotiate::Capabilities;
use sip::Transport;
use vocab::{Pii, Wall};

use super::network::Weather;
use super::words::Word;

/// Everything that is decided before a simulation begins.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The wall clock at the start.
    pub wall: Wall,
    /// Media workers.
    pub workers: u16,
    /// Pairs of media ports of each worker.
    pub ports: u16,
    /// Codecs of the node.
    pub capabilities: Capabilities,
    /// Who has a phone.
    pub phones: Vec<PhonePlan>,
    /// How the disk behaves.
    pub disk: DiskPlan,
    /// How speech synthesis behaves.
    pub speech: SpeechPlan,
    /// Least and most time until a plugin gets its turn.
    pub think: (Duration, Duration),
    /// Most time a message between the threads of the node takes.
    pub mailbox: Duration,
    /// What happens when, from the start.
    pub acts: Vec<(Duration, Act)>,
}

/// A phone.
#[derive(Clone, Debug)]
pub struct PhonePlan {
    /// Its user name; shown as caller.
    pub user: String,
    /// The password its owner typed in; `None` for a stranger without an account.
    pub password: Option<String>,
    /// The password the node knows, if it has an account.
    pub account: Option<String>,
    /// How it signals.
    pub transport: Transport,
    /// It is behind a router that translates addresses.
    pub nat: bool,
    /// What it can hear and say.
    pub capabilities: Capabilities,
    /// How it sends digits.
    pub digits: Digits,
    /// Answers calls after this long; `None` lets them ring.
    pub answer_after: Option<Duration>,
    /// What it does once a call is up.
    pub script: Vec<Step>,
    /// Leaves the network without a word when the script is over.
    pub vanish: bool,
    /// Its line.
    pub weather: Weather,
    /// Nothing passes its line from the first moment to the second, from the start.
    pub outages: Vec<(Duration, Duration)>,
}

/// How the disk behaves.
#[derive(Clone, Debug)]
pub struct DiskPlan {
    /// Least and most time of one transaction.
    pub latency: (Duration, Duration),
    /// Nothing can be written from the first moment to the second, from the start.
    pub full: Vec<(Duration, Duration)>,
}

/// How speech synthesis behaves.
#[derive(Clone, Copy, Debug)]
pub struct SpeechPlan {
    /// Least and most time of one piece.
    pub latency: (Duration, Duration),
    /// Share of pieces that cannot be made.
    pub fails: f64,
}

/// Something that happens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Act {
    /// A phone registers.
    Register {
        /// Its place in the scenario.
        phone: usize,
    },
    /// A phone calls a number.
    Call {
        /// Its place in the scenario.
        phone: usize,
        /// What it dials.
        number: String,
    },
    /// A phone dials a slot: one in which somebody waits, if there is any.
    DialSlot {
        /// Its place in the scenario.
        phone: usize,
    },
    /// The person at a phone hangs up, whatever the call's state.
    HangUp {
        /// Its place in the scenario.
        phone: usize,
    },
    /// All connections of a phone break.
    Break {
        /// Its place in the scenario.
        phone: usize,
    },
    /// Somebody sends the phone's last datagram to the node again, with a few bytes changed.
    Garble {
        /// Its place in the scenario.
        phone: usize,
    },
    /// An operator ends the oldest call that is up.
    Operator,
    /// An operator asks for something of a call that there is then, or was.
    Control(Word),
    /// A phone holds its call, or talks again.
    Hold {
        /// Its place in the scenario.
        phone: usize,
        /// Or talks again.
        on: bool,
    },
    /// A phone asks that whom it talks with calls somebody else.
    Refer {
        /// Its place in the scenario.
        phone: usize,
        /// A user or a number.
        to: String,
    },
    /// Something changes about a plugin.
    Plugin(Reload),
    /// The configuration loses these phones and numbers, and regains all others.
    Configure {
        /// User names and numbers.
        without: Vec<String>,
    },
    /// The wall clock is set, as time synchronization does.
    SetClock {
        /// By so many milliseconds.
        by_ms: i64,
    },
    /// No more calls are taken.
    Drain,
}

/// What changes about a plugin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reload {
    /// One of two builds of the menu is installed.
    Menu(usize),
    /// One of two builds of the probe is installed.
    Probe(usize),
    /// The menu goes back one version.
    RollbackMenu,
    /// The smallest plugin is taken out.
    RemoveHello,
    /// And comes back.
    InstallHello,
}

impl Default for Scenario {
    /// Nobody there, and nothing goes wrong. 2026-11-20 was a Friday; it is 10 in Shanghai.
    fn default() -> Self {
        Self {
            wall: Wall(1_795_140_000_000_000),
            workers: 1,
            ports: 32,
            capabilities: Capabilities::default(),
            phones: Vec::new(),
            disk: DiskPlan::default(),
            speech: SpeechPlan {
                latency: (Duration::from_millis(20), Duration::from_millis(60)),
                fails: 0.0,
            },
            think: (Duration::from_micros(50), Duration::from_micros(500)),
            mailbox: Duration::from_millis(1),
            acts: Vec::new(),
        }
    }
}

impl Default for DiskPlan {
    /// A good disk: 1 to 5 ms.
    fn default() -> Self {
        let latency = (Duration::from_millis(1), Duration::from_millis(5));
        Self {
            latency,
            full: Vec::new(),
        }
    }
}

impl PhonePlan {
    /// A stranger's phone on a good line that listens and does nothing.
    pub fn stranger(user: &str) -> Self {
        Self {
            user: user.to_owned(),
            password: None,
            account: None,
            transport: Transport::Udp,
            nat: false,
            capabilities: Capabilities::default(),
            digits: Digits::Rfc4733,
            answer_after: Some(Duration::from_millis(500)),
            script: Vec::new(),
            vanish: false,
            weather: Weather::default(),
            outages: Vec::new(),
        }
    }

    /// A phone with an account, whose owner knows the password.
    pub fn resident(user: &str, password: &str) -> Self {
        Self {
            password: Some(password.to_owned()),
            account: Some(password.to_owned()),
            ..Self::stranger(user)
        }
    }

    /// The same phone with another script.
    pub fn doing(self, script: Vec<Step>) -> Self {
        Self { script, ..self }
    }
}

impl Scenario {
    /// The same with one more phone.
    pub fn phone(mut self, plan: PhonePlan) -> Self {
        self.phones.push(plan);
        self
    }

    /// The same with one more act.
    pub fn at(mut self, ms: u64, act: Act) -> Self {
        self.acts.push((Duration::from_millis(ms), act));
        self
    }

    /// The same with one more call.
    pub fn call(self, ms: u64, phone: usize, number: &str) -> Self {
        self.at(
            ms,
            Act::Call {
                phone,
                number: number.to_owned(),
            },
        )
    }
}

/// A step that presses keys.
pub(super) fn press(keys: &str) -> Step {
    Step::Press(Pii::new(keys.to_owned()))
}

/// A step that waits until the far end has had its say.
pub(super) fn quiet() -> Step {
    Step::Quiet {
        give_up: Duration::from_secs(4),
    }
}
