//! Flows that are no plugins: they stall, lie and ask for nonsense, within what the words allow.

use std::time::Duration;

use plugin::{End, RunInput, RunOutput};
use vocab::call::GatherSpec;
use vocab::flow::{
    DialOptions, DialTarget, Fault, FaultKind, Level, Op, Outcome, PluginRef, Prompt,
};
use vocab::{Pii, Rng};

/// How it misbehaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Habit {
    /// Never says a word.
    Silent,
    /// Answers the call, then says nothing.
    Mute,
    /// Says everything twice.
    Twice,
    /// Asks for whatever comes to mind, in any order, whether it is its turn or not.
    Nonsense,
    /// Returns at once.
    Leaves,
}

/// A lying flow.
#[derive(Debug)]
pub(super) struct Fake {
    habit: Habit,
    plugin: PluginRef,
    asked: u32,
    over: bool,
    rng: Rng,
}

/// Wishes of the most talkative one.
const WISHES_MAX: u32 = 25;

impl Fake {
    /// A flow with the habit of this name.
    pub(super) fn new(habit: &str, plugin: PluginRef, rng: Rng) -> Self {
        let habit = match habit {
            "silent" => Habit::Silent,
            "mute" => Habit::Mute,
            "twice" => Habit::Twice,
            "nonsense" => Habit::Nonsense,
            "leaves" => Habit::Leaves,
            other => panic!("no habit is called {other}"),
        };
        Self {
            habit,
            plugin,
            asked: 0,
            over: false,
            rng,
        }
    }

    pub(super) fn handle(&mut self, input: &RunInput) -> Vec<RunOutput> {
        if self.over {
            return Vec::new();
        }
        let begins = matches!(input, RunInput::Start);
        match self.habit {
            Habit::Silent => Vec::new(),
            Habit::Mute if begins => vec![RunOutput::Op(Op::Answer)],
            Habit::Mute => Vec::new(),
            Habit::Leaves => {
                self.over = true;
                vec![self.outcome()]
            }
            Habit::Twice => {
                self.asked += 1;
                let output = match self.asked {
                    1 => RunOutput::Op(Op::Answer),
                    2 | 3 => RunOutput::Op(play("hold")),
                    4 => RunOutput::Op(Op::Dial {
                        target: DialTarget::Sip("1001".into()),
                        options: DialOptions {
                            timeout: Duration::from_secs(5),
                            caller_id: None,
                            whisper: Vec::new(),
                        },
                    }),
                    _ => {
                        self.over = true;
                        self.outcome()
                    }
                };
                vec![output.clone(), output]
            }
            Habit::Nonsense => self.nonsense(),
        }
    }

    fn nonsense(&mut self) -> Vec<RunOutput> {
        let mut outputs = Vec::new();
        for _ in 0..=u32::from(self.rng.chance(0.2)) {
            self.asked += 1;
            if self.asked > WISHES_MAX {
                self.over = true;
                outputs.push(if self.rng.chance(0.5) {
                    self.outcome()
                } else {
                    self.fault()
                });
                return outputs;
            }
            if self.rng.chance(0.1) {
                let message = "so it goes".to_owned();
                outputs.push(RunOutput::Log {
                    level: Level::Warn,
                    message,
                });
            }
            let op = self.wish();
            outputs.push(RunOutput::Op(op));
        }
        outputs
    }

    fn wish(&mut self) -> Op {
        let target = match self.rng.below(6) {
            0 => DialTarget::Agent("7".into()),
            1 => DialTarget::Queue("sales".into()),
            2 => DialTarget::E164("+862155500000".into()),
            3 => DialTarget::Sip("1001".into()),
            4 => DialTarget::Sip("sip:1002".into()),
            _ => DialTarget::Sip("x@y".into()),
        };
        let time = Duration::from_millis(self.rng.below(1_500));
        match self.rng.below(15) {
            0..=2 => Op::Answer,
            3 => play("hold"),
            4 => play("no such prompt"),
            5 => Op::PlayStart {
                prompts: prompts("hold"),
                repeat: self.rng.chance(0.5),
            },
            6 => Op::PlayStop {
                token: self.rng.u32() % 5,
            },
            7 => Op::Gather {
                prompts: Vec::new(),
                spec: self.spec(time),
                secret: self.rng.chance(0.3),
            },
            8 => Op::Record {
                max: time,
                silence: time,
                beep: self.rng.chance(0.5),
            },
            9 => Op::Dial {
                target,
                options: DialOptions {
                    timeout: time,
                    caller_id: None,
                    whisper: prompts("whisper"),
                },
            },
            10 => Op::Transfer { target },
            11 => Op::NextEvent { timeout: time },
            12 => Op::Sleep { time },
            13 => Op::Play {
                prompts: vec![
                    Prompt::Value {
                        kind: "amount:CNY".into(),
                        value: Pii::new("1e9".into()),
                    },
                    Prompt::Say {
                        text: Pii::new("well".into()),
                        voice: None,
                    },
                ],
            },
            _ => Op::SetAttr {
                key: "language".into(),
                value: Pii::new("xx".into()),
            },
        }
    }

    fn spec(&mut self, time: Duration) -> GatherSpec {
        GatherSpec {
            min: (self.rng.u32() & 0xff) as u8,
            max: (self.rng.u32() & 0x7) as u8,
            terminators: "#".into(),
            first_timeout: time,
            inter_timeout: time,
            barge_in: self.rng.chance(0.5),
        }
    }

    fn outcome(&self) -> RunOutput {
        RunOutput::Ended(End::Outcome(Outcome {
            label: "lied".into(),
            detail: None,
        }))
    }

    fn fault(&self) -> RunOutput {
        let (plugin, detail) = (self.plugin.clone(), "made up".to_owned());
        RunOutput::Ended(End::Fault(Fault {
            plugin,
            kind: FaultKind::Trap,
            detail,
        }))
    }
}

fn prompts(name: &str) -> Vec<Prompt> {
    vec![Prompt::Audio(name.to_owned())]
}

fn play(name: &str) -> Op {
    Op::Play {
        prompts: prompts(name),
    }
}
