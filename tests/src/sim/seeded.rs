//! Scenarios out of a seed: loads, habits and faults.

use std::time::Duration;

use engine::phone::{Digits, Step};
use media::negotiate::Capabilities;
use media::{Codec, Rate};
use sip::Transport;
use vocab::{Clip, Rng, Wall};

use super::house;
use super::network::Weather;
use super::scenario::{Act, DiskPlan, PhonePlan, Reload, Scenario, SpeechPlan, press, quiet};
use super::words::Word;

/// All calls begin within this time.
const CALLS_WITHIN_MS: u64 = 20_000;

/// Two parties who have each other on the line may talk on and on: at this time all go home.
const HOME_MS: u64 = 60_000;

/// What callers press, in order: the ways through the menu, and what leads nowhere.
const PATHS: [&[&str]; 16] = [
    &["1", "0"],
    &["1", "0"],
    &["2", "0", "*"],
    &["1", "4"],
    &["1", "5"],
    &["1", "1", "*"],
    &["1", "2"],
    &["2", "3", "1", "9"],
    &["1", "3", "2", "718293"],
    &["1", "3", "2", "12", "#"],
    &["1", "6", "7"],
    &["8", "8"],
    &["1", "9", "2", "9"],
    &["1"],
    &["#"],
    &[],
];

/// Phones on desks, whose calls are controlled most.
const DESKS: [&str; 6] = ["1003", "1004", "1005", "1006", "1007", "1008"];

/// What follows a call that was made: requests that make sense in this order.
const STORIES: [&[Word]; 22] = [
    &[Word::Hold, Word::Retrieve, Word::ToFlow],
    &[Word::Consult, Word::Swap, Word::Merge, Word::HangUpOne],
    &[Word::Consult, Word::Merge, Word::HangUpOne],
    &[Word::Consult, Word::Swap, Word::Complete],
    &[Word::Consult, Word::Swap, Word::Swap, Word::Cancel],
    &[Word::Consult, Word::Cancel, Word::Transfer],
    &[Word::Park, Word::PickUp, Word::PickUp],
    &[Word::Park, Word::PickUp],
    &[Word::Park],
    &[Word::Consult, Word::Merge],
    &[Word::Consult, Word::Swap, Word::Merge],
    &[Word::Bridge, Word::Bridge, Word::HangUpOne],
    &[Word::Watch, Word::WatchAs, Word::TakePlace],
    &[
        Word::Watch,
        Word::Hold,
        Word::WatchAs,
        Word::Retrieve,
        Word::TakePlace,
    ],
    &[Word::Watch, Word::Transfer, Word::HangUpOne],
    &[Word::Add, Word::Adjust, Word::Watch, Word::HangUpOne],
    &[Word::Consult, Word::Merge, Word::Add, Word::HangUpOne],
    &[Word::Park, Word::Bridge],
    &[Word::Secure, Word::EndSecure, Word::Secure],
    &[Word::Watch, Word::Secure, Word::HangUpOne],
    &[Word::Secure, Word::Hold, Word::EndSecure, Word::Transfer],
    &[Word::Redirect, Word::Redial, Word::SendDigits],
];

impl Scenario {
    /// The scenario of a seed: calls, trouble, and call control amid both.
    pub fn from_seed(seed: u64) -> Self {
        let mut scenario = Self::without_control(seed);
        scenario.plan_control(&mut Rng::from_u64(seed ^ 0xc0_4701));
        scenario
    }

    /// The same without call control.
    pub fn without_control(seed: u64) -> Self {
        let rng = &mut Rng::from_u64(seed);
        let mut scenario = Self {
            // Some moment in four weeks around a holiday.
            wall: Wall(1_790_000_000_000_000 + ms(rng, 0, 28 * 86_400_000) as i64 * 1_000),
            workers: 1 + u16::from(rng.chance(0.5)),
            ports: if rng.chance(0.1) { 2 } else { 32 },
            disk: disk(rng),
            speech: speech(rng),
            mailbox: time(rng, 0, 10),
            capabilities: match rng.below(10) {
                0 => one_law(Codec::Pcmu),
                1 => one_law(Codec::Pcma),
                _ => Capabilities::all(),
            },
            ..Self::default()
        };
        if rng.chance(0.2) {
            scenario.think.1 = time(rng, 1, 300);
        }
        // The trunk is the first phone, the operators come next: menus know them by name.
        let mut trunk = carrier(rng, house::TRUNK_USER);
        if rng.chance(0.2) {
            // It is not there from some moment on.
            let from = time(rng, 0, 15_000);
            trunk.outages.push((from, Duration::from_secs(3_600)));
        }
        scenario.phones.push(trunk);
        for user in ["1001", "1002", "2001"] {
            let plan = resident(rng, user);
            scenario.phones.push(plan);
        }
        if rng.chance(0.3) {
            // One account on two devices: both ring.
            let account = scenario.phones[1].account.clone();
            let twin = PhonePlan {
                password: account.clone(),
                account,
                ..phone(rng, "1001".into())
            };
            scenario.phones.push(twin);
        }
        for n in 0..1 + rng.below(15) {
            let user = format!("+86139{:08}", 10_000_000 * (n + 1) + rng.below(10_000_000));
            let plan = if rng.chance(0.5) {
                resident(rng, &format!("11{:02}", n))
            } else {
                phone(rng, user)
            };
            scenario.phones.push(plan);
        }
        if rng.chance(0.5) {
            let second = carrier(rng, &format!("{}-2", house::TRUNK_USER));
            scenario.phones.push(second);
        }
        scenario.plan_calls(rng);
        scenario.plan_trouble(rng);
        scenario
    }

    fn plan_calls(&mut self, rng: &mut Rng) {
        let numbers = house::numbers();
        for phone in 1..self.phones.len() {
            if self.phones[phone].user.starts_with(house::TRUNK_USER) {
                continue;
            }
            if self.phones[phone].password.is_some() {
                self.acts
                    .push((time(rng, 0, 1_500), Act::Register { phone }));
            }
            self.acts
                .push((time(rng, HOME_MS, HOME_MS + 500), Act::HangUp { phone }));
            for _ in 0..1 + rng.below(3) {
                let number = match rng.below(10) {
                    0..=4 => "1000",
                    5 => "1010",
                    6 => "1020",
                    _ => numbers[rng.below(numbers.len() as u64) as usize],
                };
                let at = time(rng, 1_000, CALLS_WITHIN_MS);
                self.acts.push((
                    at,
                    Act::Call {
                        phone,
                        number: number.to_owned(),
                    },
                ));
                if rng.chance(0.15) {
                    // Before, while and after it is answered.
                    self.acts
                        .push((at + time(rng, 0, 250), Act::HangUp { phone }));
                } else if rng.chance(0.3) {
                    self.acts
                        .push((at + time(rng, 250, 15_000), Act::HangUp { phone }));
                }
            }
        }
    }

    /// Calls between phones, so that there is something to control; requests of every kind, at any
    /// time; and phones that hold and transfer.
    fn plan_control(&mut self, rng: &mut Rng) {
        for user in DESKS {
            // Its owner is patient: answers, and talks until told otherwise.
            let desk = PhonePlan {
                answer_after: Some(time(rng, 0, 1_000)),
                script: vec![Step::Play(Clip::new("talk", talk(rng)))],
                vanish: rng.chance(0.05),
                ..resident(rng, user)
            };
            let phone = self.phones.len();
            self.phones.push(desk);
            self.acts
                .push((time(rng, 0, 1_000), Act::Register { phone }));
            let at = time(rng, HOME_MS, HOME_MS + 500);
            self.acts.push((at, Act::HangUp { phone }));
        }
        for _ in 0..8 + rng.below(8) {
            let mut at = time(rng, 2_000, 20_000);
            let story = STORIES[rng.below(STORIES.len() as u64) as usize];
            for &word in [Word::Originate].iter().chain(story) {
                self.acts.push((at, Act::Control(word)));
                at += time(rng, 500, 4_000);
            }
        }
        for _ in 0..16 + rng.below(32) {
            let word = Word::ALL[rng.below(Word::ALL.len() as u64) as usize];
            self.acts.push((time(rng, 500, 40_000), Act::Control(word)));
        }
        for _ in 0..8 + rng.below(16) {
            let phone = self.any_or_desk(rng);
            let on = rng.chance(0.6);
            let at = time(rng, 1_500, 40_000);
            self.acts.push((at, Act::Hold { phone, on }));
        }
        for _ in 0..4 + rng.below(8) {
            let phone = self.any_or_desk(rng);
            let to = ["1001", "1003", "1000", "+862155500000", "nobody"][rng.below(5) as usize];
            let to = to.to_owned();
            let at = time(rng, 1_500, 40_000);
            self.acts.push((at, Act::Refer { phone, to }));
        }
        // Slots are dialled, whether somebody waits there or not.
        for _ in 0..12 + rng.below(12) {
            let at = time(rng, 3_000, 40_000);
            for _ in 0..1 + rng.below(3) {
                // Two at almost the same time want the same one.
                let at = at + time(rng, 0, 60);
                let phone = self.any_or_desk(rng);
                self.acts.push((at, Act::DialSlot { phone }));
            }
        }
        // Carriers' ends may have been left with each other: they go home, too.
        for phone in 0..self.phones.len() {
            if self.phones[phone].user.starts_with(house::TRUNK_USER) {
                let at = time(rng, HOME_MS, HOME_MS + 500);
                self.acts.push((at, Act::HangUp { phone }));
            }
        }
    }

    fn any_or_desk(&self, rng: &mut Rng) -> usize {
        let desks = DESKS.len() as u64;
        let all = self.phones.len() as u64;
        let place = if rng.chance(0.7) {
            all - 1 - rng.below(desks)
        } else {
            rng.below(all)
        };
        place as usize
    }

    fn plan_trouble(&mut self, rng: &mut Rng) {
        let when = |rng: &mut Rng| time(rng, 2_000, 25_000);
        for _ in 0..rng.below(4) {
            let reload = [
                Reload::Menu(1),
                Reload::Menu(0),
                Reload::Probe(1),
                Reload::Probe(0),
                Reload::RollbackMenu,
                Reload::RemoveHello,
                Reload::InstallHello,
            ][rng.below(7) as usize];
            self.acts.push((when(rng), Act::Plugin(reload)));
        }
        for _ in 0..rng.below(3) {
            self.acts.push((when(rng), Act::Operator));
        }
        for _ in 0..rng.below(6) {
            let phone = rng.below(self.phones.len() as u64) as usize;
            self.acts.push((when(rng), Act::Garble { phone }));
        }
        if rng.chance(0.2) {
            let without = ["1010", "1001", "1000"][rng.below(3) as usize].to_owned();
            self.acts.push((
                when(rng),
                Act::Configure {
                    without: vec![without],
                },
            ));
            self.acts.push((
                when(rng),
                Act::Configure {
                    without: Vec::new(),
                },
            ));
        }
        if rng.chance(0.2) {
            let phone = rng.below(self.phones.len() as u64) as usize;
            self.acts.push((when(rng), Act::Break { phone }));
        }
        if rng.chance(0.1) {
            let by_ms = rng.below(7_200_000) as i64 - 3_600_000;
            self.acts.push((when(rng), Act::SetClock { by_ms }));
        }
        if rng.chance(0.1) {
            self.acts.push((when(rng), Act::Drain));
        }
    }
}

/// The phone of a carrier.
fn carrier(rng: &mut Rng, user: &str) -> PhonePlan {
    PhonePlan {
        transport: Transport::Udp,
        nat: false,
        ..phone(rng, user.to_owned())
    }
}

fn one_law(codec: Codec) -> Capabilities {
    Capabilities {
        codecs: vec![codec],
        ..Capabilities::default()
    }
}

fn resident(rng: &mut Rng, user: &str) -> PhonePlan {
    let account = format!("secret-{}", rng.token(8));
    let typed = if rng.chance(0.08) {
        "wrong".to_owned()
    } else {
        account.clone()
    };
    PhonePlan {
        password: Some(typed),
        account: Some(account),
        ..phone(rng, user.to_owned())
    }
}

fn phone(rng: &mut Rng, user: String) -> PhonePlan {
    let codecs = match rng.below(16) {
        0..=3 => vec![Codec::Pcmu],
        4..=7 => vec![Codec::Pcma],
        8..=10 => vec![Codec::Pcma, Codec::Pcmu],
        // Wideband phones have G.711 as well, for the others.
        11 => vec![Codec::Opus, Codec::Pcmu, Codec::Pcma],
        12 => vec![Codec::G722, Codec::Pcma, Codec::Pcmu],
        13 => vec![Codec::L16(Rate::Wide), Codec::Pcmu, Codec::Pcma],
        _ => vec![Codec::Pcmu, Codec::Pcma],
    };
    let in_band = rng.chance(0.2);
    PhonePlan {
        transport: if rng.chance(0.25) {
            Transport::Tcp
        } else {
            Transport::Udp
        },
        nat: rng.chance(0.2),
        capabilities: Capabilities {
            codecs,
            dtmf: !in_band,
            ..Capabilities::default()
        },
        digits: if in_band {
            Digits::InBand
        } else {
            Digits::Rfc4733
        },
        answer_after: (!rng.chance(0.2)).then(|| time(rng, 0, 3_000)),
        script: script(rng),
        vanish: rng.chance(0.08),
        weather: weather(rng),
        outages: outages(rng),
        ..PhonePlan::stranger(&user)
    }
}

fn script(rng: &mut Rng) -> Vec<Step> {
    let mut steps = Vec::new();
    for keys in PATHS[rng.below(PATHS.len() as u64) as usize] {
        let patient = rng.chance(0.7);
        steps.push(if patient {
            quiet()
        } else {
            Step::Wait(time(rng, 0, 2_500))
        });
        steps.push(press(keys));
    }
    if rng.chance(0.5) {
        steps.push(Step::Wait(time(rng, 0, 3_000)));
        steps.push(Step::Play(Clip::new("talk", talk(rng))));
    }
    if rng.chance(0.6) {
        steps.push(Step::Wait(time(rng, 0, 8_000)));
        steps.push(Step::Hangup);
    }
    steps
}

/// Noise like speech: nothing a tone detector could take for a key.
fn talk(rng: &mut Rng) -> Vec<i16> {
    (0..16_000)
        .map(|_| (rng.below(6_000) as i64 - 3_000) as i16)
        .collect()
}

fn weather(rng: &mut Rng) -> Weather {
    let latency = time(rng, 1, 80);
    match rng.below(10) {
        0..=4 => Weather {
            latency,
            ..Weather::default()
        },
        5..=6 => Weather {
            latency,
            jitter: time(rng, 5, 60),
            ..Weather::default()
        },
        7..=8 => Weather {
            latency,
            jitter: time(rng, 2, 40),
            loss: rng.below(80) as f64 / 1_000.0,
            repeat: rng.below(50) as f64 / 1_000.0,
        },
        _ => Weather {
            latency,
            jitter: time(rng, 2, 120),
            loss: 0.05 + rng.below(300) as f64 / 1_000.0,
            repeat: rng.below(200) as f64 / 1_000.0,
        },
    }
}

fn outages(rng: &mut Rng) -> Vec<(Duration, Duration)> {
    if !rng.chance(0.12) {
        return Vec::new();
    }
    let from = time(rng, 2_000, 25_000);
    let forever = Duration::from_secs(1_000_000);
    let to = if rng.chance(0.5) {
        from + time(rng, 100, 12_000)
    } else {
        forever
    };
    vec![(from, to)]
}

fn disk(rng: &mut Rng) -> DiskPlan {
    let mut plan = DiskPlan::default();
    plan.latency.1 = time(rng, 5, 30);
    if rng.chance(0.05) {
        // Slower than an answer may wait.
        plan.latency.1 = Duration::from_secs(4);
    }
    if rng.chance(0.15) {
        let from = time(rng, 2_000, 15_000);
        plan.full.push((from, from + time(rng, 50, 6_000)));
    }
    plan
}

fn speech(rng: &mut Rng) -> SpeechPlan {
    let slowest = if rng.chance(0.2) {
        time(rng, 4_000, 9_000)
    } else {
        time(rng, 21, 800)
    };
    SpeechPlan {
        latency: (Duration::from_millis(20), slowest),
        fails: if rng.chance(0.2) { 0.5 } else { 0.0 },
    }
}

fn ms(rng: &mut Rng, least: u64, most: u64) -> u64 {
    least + rng.below(most - least + 1)
}

/// A time between two numbers of milliseconds, to the microsecond.
fn time(rng: &mut Rng, least: u64, most: u64) -> Duration {
    Duration::from_micros(ms(rng, least * 1_000, most * 1_000))
}
