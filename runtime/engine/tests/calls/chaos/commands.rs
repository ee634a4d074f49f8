//! Any command, with any values.

use vocab::call::{Cause, Command, GatherSpec, Part, Target};
use vocab::{CallId, Clip, LegId, Party, Pii, PlayId, RecordingId};

use super::{CROWD, Chaos};
use crate::world::{address, ms, s};

impl Chaos {
    pub(super) fn any_command(&mut self) -> Command {
        let leg = self.leg();
        self.last += 1;
        let clips = match self.below(3) {
            0 => Vec::new(),
            _ => vec![Clip::silence(ms(100))],
        };
        match self.below(46) {
            0 => Command::Challenge {
                leg: self.offered_leg(),
            },
            1 => Command::Ring { leg },
            2 => Command::Answer { leg },
            3 => Command::Reject {
                leg,
                status: 300 + self.rng.below(400) as u16,
                q850: None,
            },
            4..7 => Command::Play {
                leg,
                play: PlayId(self.last),
                clips,
                repeat: false,
            },
            7 => Command::Stop {
                leg,
                play: PlayId(self.last - self.rng.below(5).min(self.last)),
            },
            8..11 => {
                let spec = GatherSpec {
                    min: self.rng.below(3) as u8,
                    max: self.rng.below(4) as u8,
                    terminators: "#*".into(),
                    first_timeout: ms(self.rng.below(3_000)),
                    inter_timeout: ms(self.rng.below(1_000)),
                    barge_in: self.below(2) == 0,
                };
                Command::Gather { leg, clips, spec }
            }
            11..14 => Command::Record {
                leg,
                recording: RecordingId::message(leg.call, self.last as u16),
                max: s(9),
                silence: s(2),
                beep: clips,
                terminators: "#".into(),
            },
            14 => Command::RecordCall {
                leg,
                recording: RecordingId::of_call(leg.call),
                channels: 2,
            },
            15..19 => {
                let known = self
                    .one_of(&self.up.clone())
                    .filter(|_| !self.last.is_multiple_of(3));
                let call = known.map_or(CallId(u128::from(self.last)), |leg| leg.call);
                let leg = LegId {
                    call,
                    n: 100 + self.last as u16,
                };
                let target = match self.below(6) {
                    0..4 => Target::User("bob".into()),
                    4 => Target::User("nobody".into()),
                    _ => Target::Uri {
                        uri: Pii::new("sip:1@192.0.2.50".into()),
                        next_hop: address(CROWD),
                        tcp: false,
                        carrier: None,
                    },
                };
                self.legs.push(leg);
                let timeout = ms(self.rng.below(20_000));
                Command::Dial {
                    leg,
                    target,
                    caller: Party::Anonymous,
                    timeout,
                    sent_by: None,
                }
            }
            19..22 => {
                let same = |other: &LegId| other.call == leg.call && *other != leg;
                let others: Vec<_> = self
                    .up
                    .iter()
                    .filter(|other| same(other))
                    .copied()
                    .collect();
                let b = self.one_of(&others).unwrap_or_else(|| self.leg());
                Command::Bridge { a: leg, b }
            }
            22 => Command::Unbridge { leg },
            28..30 => Command::Join { leg },
            30 => {
                let others = self.up.clone();
                let named = |n: usize| (n > 0).then(|| others.first().copied()).flatten();
                let part = Part {
                    muted: self.below(2) == 0,
                    deaf: self.below(2) == 0,
                    said_db: self.rng.below(256) as u8 as i8,
                    heard_db: self.rng.below(256) as u8 as i8,
                    coaches: named(self.below(3)),
                    keys_to: named(self.below(3)),
                    screened: self.below(2) == 0,
                };
                Command::SetPart { leg, part }
            }
            31..33 => Command::Progress {
                leg: self.offered_leg(),
            },
            33 => Command::Redirect {
                leg: self.offered_leg(),
                to: Pii::new(["sip:else@192.0.2.9", "nowhere"][self.below(2)].into()),
            },
            34..37 => Command::Reoffer {
                leg,
                codecs: vec![["PCMA", "pcmu", "opus"][self.below(3)].into()],
                hold: self.below(2) == 0,
            },
            37..39 => Command::Refer {
                leg,
                to: Pii::new(
                    ["sip:1@192.0.2.9", "sip:2@192.0.2.9?Replaces=a", ""][self.below(3)].into(),
                ),
            },
            39 => Command::AnswerRefer {
                leg,
                status: [202, 202, 603, 100][self.below(4)],
            },
            40 => Command::TellRefer {
                leg,
                status: 100 + self.rng.below(600) as u16,
            },
            41..45 => Command::Move {
                from: leg,
                to: self.another_name(leg),
                with: (self.below(8) == 0).then(|| self.leg()),
            },
            23 => Command::SendDigits {
                leg,
                digits: Pii::new("1#x".into()),
            },
            _ => {
                let causes = [
                    Cause::Normal,
                    Cause::Busy,
                    Cause::Failed,
                    Cause::Interrupted,
                ];
                let cause = self.one_of(&causes).expect("not empty");
                Command::Hangup { leg, cause }
            }
        }
    }

    /// A leg that nobody has answered, if there is one.
    fn offered_leg(&mut self) -> LegId {
        let offered = self.one_of(&self.offered.clone());
        offered.unwrap_or_else(|| self.leg())
    }

    /// Another leg, of any call and in any state, or a new one.
    fn another_name(&mut self, leg: LegId) -> LegId {
        let living: Vec<LegId> = self.ledger.living().collect();
        match self.below(4) {
            0 | 1 => self.one_of(&living).unwrap_or(leg),
            2 => LegId {
                call: self.leg().call,
                n: 100 + self.last as u16,
            },
            _ => LegId {
                call: leg.call,
                n: 100 + self.last as u16,
            },
        }
    }
}
