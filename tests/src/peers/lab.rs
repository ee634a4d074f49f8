//! A server with what the scenarios of a matrix need: a menu, and numbers that dial one phone each.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context as _;
use serde_json::Value;

use super::raw::Raw;
use super::record::{self, Record};
use super::scenario::{Party, Play, Seen};
use super::talker::Talker;
use super::until;
use crate::shell::{Server, Setup, port_to_hand_over};

/// Phones that are dialled, each by a number of its own.
const PHONES: usize = 64;

/// Carriers, each for numbers of its own. Those with odd numbers may send calls elsewhere.
const CARRIERS: usize = 20;

/// From here on two by two: the odd one takes what the one before it cannot.
const PAIRS: usize = 10;

/// The password of all of them.
pub const PASSWORD: &str = "a-secret-of-the-lab";

/// Who we are for carriers that ask.
pub const SUBSCRIBER: &str = "lab-subscriber";

/// A number whose phone belongs to somebody who lets no phone send calls elsewhere.
pub const STRICT: &str = "1040";

/// Its user, and one who calls it.
pub const STRICT_USER: &str = "strict";
/// See there.
pub const STRICT_CALLER: &str = "strict-caller";

/// The address of a carrier whose calls come in: all others are on 127.0.0.1.
pub const CARRIER_AT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

/// That carrier's name.
pub const CARRIER_NAME: &str = "inbound";

/// Teams of two phones and one number outside each, by the carrier that reaches it; the last one is
/// rung in turn.
const TEAMS: [usize; 3] = [14, 16, 18];

/// Numbers at which this carrier's customers reach a phone each.
const HOTLINES: usize = 4;

/// A number that is never answered.
pub const SILENT: &str = "1030";

/// A menu that listens for two minutes.
const MENU: &str = "start = \"main\"\n[menu.main]\nprompt = \"welcome\"\ntimeout_s = 60\ntries = 2\n\
                    [menu.main.option]\n1 = \"hangup\"\n";

/// Quick scenarios at a time: each is a sipp or two, and there may be one processor for all.
const AT_A_TIME: usize = 6;

/// A user dials; the flow hangs up when the phone has.
pub const CALLER: &str = "
    > INVITE sdp
    <? 100
    < 401
    > ACK
    > INVITE sdp login
    <? 100
    < 200
    > ACK
    < BYE
    > 200
";

/// What became of the call of a phone that answered.
pub const TALKED: &str = "asks answer, call.answered, asks dial, leg.dialed, leg.bridged, \
                      leg.unbridged, dial answered, ended normal near";

/// The same, with what the phone was.
pub fn failed(how: &str) -> String {
    format!("asks answer, call.answered, asks dial, leg.dialed, dial {how}, ended normal near")
}

/// What is gone once the last call is, and the last transaction over UDP 32 s later.
const LEFTOVERS: [&str; 12] = [
    "jackfield_calls",
    "jackfield_flows",
    "jackfield_deadlines",
    "jackfield_legs",
    "jackfield_engine_dialogs",
    "jackfield_media_sessions_held",
    "jackfield_leg_timers",
    "jackfield_speeches",
    "jackfield_unwritten",
    "jackfield_sip_dialogs",
    "jackfield_sip_transactions",
    "jackfield_sip_requests",
];

/// The server.
#[derive(Debug)]
pub struct Lab {
    /// See there.
    pub server: Server,
    phones: AtomicUsize,
    carriers: Vec<Carrier>,
}

/// One of the phones.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Phone {
    /// Its user.
    pub user: String,
    /// What is dialled to reach it: the caller is answered first.
    pub number: String,
    /// The same, and the caller is answered when the phone is.
    pub before: String,
}

/// One of the carriers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Carrier {
    /// Where it must listen.
    pub port: u16,
    /// A number outside that it is asked for.
    pub outside: String,
    /// What is dialled to reach that: the caller is answered first.
    pub number: String,
    /// The same, and the caller is answered when the carrier does.
    pub before: String,
}

/// Phones, and a carrier, that are rung together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Team {
    /// Its phones.
    pub mates: [Phone; 2],
    /// Which carrier reaches the number outside.
    pub carrier: usize,
    /// What is dialled to reach it.
    pub number: String,
}

impl Lab {
    /// Starts one; `change` adds to its set-up.
    ///
    /// # Errors
    /// What it said when it did not come up.
    pub fn start(name: &str, change: impl FnOnce(&mut Setup)) -> anyhow::Result<Self> {
        let mut setup = Setup::demo(name);
        setup.rtp_ports = 400;
        setup.plugins = vec!["ivr-menu".to_owned(), "guest-probe".to_owned()];
        setup.env = BTreeMap::from([("SECRET".to_owned(), PASSWORD.to_owned())]);
        setup.files = BTreeMap::from([("menu.toml".to_owned(), MENU.to_owned())]);
        setup.tenants = tenant("lab", "caller", true);
        setup.tenants += &route("1000", "menu.toml", "");
        // Nobody ever answers here.
        setup.tenants += &route(SILENT, "silent.toml", "").replace("ivr-menu", "probe");
        let silent = "mode = \"wait\"\n".to_owned();
        setup.files.insert("silent.toml".to_owned(), silent);
        for n in 0..PHONES {
            let Phone {
                user,
                number,
                before,
            } = phone(n);
            setup.tenants += &self::user(&user);
            let timeout_s = if n == 0 { 2 } else { 60 };
            dials(&mut setup, (&number, true), &user, timeout_s);
            dials(&mut setup, (&before, false), &user, timeout_s);
        }
        let carriers: Vec<Carrier> = (0..CARRIERS).map(carrier).collect();
        for (n, carrier) in carriers.iter().enumerate() {
            let Carrier { port, outside, .. } = carrier;
            let serves = match n >= PAIRS && n % 2 == 1 {
                true => &carriers[n - 1].outside,
                false => outside,
            };
            setup.tenants += &format!(
                "[[tenant.trunk]]\nid = \"carrier{n}\"\naddress = \"127.0.0.1:{port}\"\n\
                 prefixes = [\"{serves}\"]\npriority = {n}\nhealth_s = 0\n\
                 user = \"{SUBSCRIBER}\"\npassword_env = \"SECRET\"\nfollow_redirects = {}\n",
                n % 2 == 1
            );
            dials(&mut setup, (&carrier.number, true), outside, 60);
            dials(&mut setup, (&carrier.before, false), outside, 60);
        }
        for (n, in_turn) in [(0, false), (1, false), (2, true)] {
            let Team {
                mates,
                carrier,
                number,
            } = team(n);
            let [one, other] = mates.map(|mate| mate.user);
            setup.tenants += &user(&one);
            setup.tenants += &user(&other);
            let outside = &carriers[carrier].outside;
            let order = if in_turn { "in_turn" } else { "all" };
            setup.tenants += &format!(
                "[[tenant.group]]\nname = \"team{n}\"\norder = \"{order}\"\nring_s = 5\n\
                 members = [\"{one}\", \"{other}\", \"{outside}\"]\n"
            );
            dials(&mut setup, (&number, true), &format!("team{n}"), 60);
        }
        customers(&mut setup);
        // The last one: what a test adds is this tenant's.
        setup.tenants += &tenant("strict", STRICT_USER, false);
        setup.tenants += &user(STRICT_CALLER);
        dials(&mut setup, (STRICT, true), STRICT_USER, 60);
        change(&mut setup);
        Ok(Self {
            server: Server::start(setup)?,
            phones: AtomicUsize::new(1),
            carriers,
        })
    }

    /// A carrier by its number; each is for one scenario. From 10 on the odd ones stand behind the one
    /// before: they are for the same numbers, by a lower priority.
    ///
    /// # Panics
    /// If there is none.
    pub fn carrier(&self, n: usize) -> &Carrier {
        &self.carriers[n]
    }

    /// Plays a carrier that is called.
    ///
    /// # Errors
    /// If sipp does not start.
    pub fn carrier_plays(&self, name: &str, n: usize, ladder: &str) -> anyhow::Result<Party> {
        Play::callee(name, self.server.sip, self.carrier(n).port, ladder).start()
    }

    /// Registers a phone that the test moves step by step, over UDP or over a connection of its own.
    ///
    /// # Errors
    /// If it cannot be registered.
    pub fn talker(&self, name: &str, phone: &Phone, tcp: bool) -> anyhow::Result<Talker> {
        let mut raw = match tcp {
            true => Raw::tcp(self.server.sip)?,
            false => Raw::udp(self.server.sip)?,
        };
        raw.register(&phone.user, PASSWORD, name)?;
        Ok(Talker::new(name, raw))
    }

    /// Waits until a sipp that runs has seen this line of its ladder; gives the message.
    ///
    /// # Errors
    /// If it has not in time.
    pub fn seen(&self, party: &Party, line: &str) -> anyhow::Result<String> {
        until(line, || {
            let seen = party.seen();
            let place = seen.ladder().iter().position(|it| it == line);
            Ok(place.map(|place| seen.messages[place].1.clone()))
        })
        .with_context(|| party.seen().to_string())
    }

    /// A phone that nobody else uses.
    ///
    /// # Panics
    /// If there is none left.
    pub fn phone(&self) -> Phone {
        let n = self.phones.fetch_add(1, Ordering::Relaxed);
        assert!(n < PHONES, "there are more scenarios than phones");
        phone(n)
    }

    /// The phone that is rung for two seconds only.
    pub fn impatient_phone(&self) -> Phone {
        phone(0)
    }

    /// A stranger who dials.
    pub fn stranger(&self, name: &str, number: &str, ladder: &str) -> Play {
        Play::caller(name, self.server.sip, number, ladder)
    }

    /// A user who dials, and can prove who it is.
    pub fn caller(&self, name: &str, number: &str, ladder: &str) -> Play {
        self.stranger(name, number, ladder)
            .as_user("caller", PASSWORD)
    }

    /// Registers a phone, and plays what it does when it is called.
    ///
    /// # Errors
    /// If it cannot be registered, or sipp does not start.
    pub fn callee(&self, name: &str, phone: &Phone, ladder: &str) -> anyhow::Result<Party> {
        // A port that looked free may be taken by now: sipp looks for ports of its own, too.
        let mut tries = (0..20).filter_map(|_| {
            let port = port_to_hand_over();
            let raw = Raw::udp_at(self.server.sip, port).ok()?;
            Some((port, raw))
        });
        // sipp takes the port over: a phone is reached where its registration came from.
        let (port, mut raw) = tries.next().context("no free port on loopback")?;
        raw.register(&phone.user, PASSWORD, name)?;
        drop(raw);
        let play = Play::callee(name, self.server.sip, port, ladder);
        play.as_user(&phone.user, PASSWORD).start()
    }

    /// A user calls a phone: what both saw, and what the server kept.
    ///
    /// # Errors
    /// If one of them does not keep to its ladder.
    pub fn between(
        &self,
        name: &str,
        caller: &str,
        callee: &str,
    ) -> anyhow::Result<(Seen, Seen, String)> {
        self.between_at(name, &self.phone(), caller, callee)
    }

    /// The same for a phone that is known.
    ///
    /// # Errors
    /// The same.
    pub fn between_at(
        &self,
        name: &str,
        phone: &Phone,
        caller: &str,
        callee: &str,
    ) -> anyhow::Result<(Seen, Seen, String)> {
        let party = self.callee(&format!("{name}-callee"), phone, callee)?;
        let caller = self.caller(name, &phone.number, caller).run()?;
        let story = self.story(name)?;
        let callee = party.end_soon().with_context(|| story.clone())?;
        Ok((caller, callee, story))
    }

    /// What happened to the call of this `Call-ID`, once it is over: its events in short.
    ///
    /// # Errors
    /// If there is no record of it.
    pub fn story(&self, call_id: &str) -> anyhow::Result<String> {
        story(&record::of_call(&self.server, call_id)?)
    }

    /// Waits until nothing is left of any call: 32 s after the last one over UDP.
    ///
    /// # Errors
    /// What is left.
    pub fn nothing_left(&self) -> anyhow::Result<()> {
        let mut left = Vec::new();
        let gone = until("everything is gone", || {
            left.clear();
            for name in LEFTOVERS {
                let count = self.server.metric(name)?;
                if count != 0.0 {
                    left.push(format!("{count} {name}"));
                }
            }
            let [ports, free] = ["jackfield_rtp_ports", "jackfield_rtp_ports_free"]
                .map(|name| self.server.metric(name));
            let used = ports? - free?;
            if used != 0.0 {
                left.push(format!("{used} ports"));
            }
            Ok(left.is_empty().then_some(()))
        });
        let panics = self.server.metric("jackfield_engine_panics_total")?;
        anyhow::ensure!(panics == 0.0, "{panics} steps panicked");
        gone.with_context(|| left.join(", "))
    }
}

fn phone(n: usize) -> Phone {
    Phone {
        user: format!("phone{n}"),
        number: format!("90{n:02}"),
        before: format!("91{n:02}"),
    }
}

/// Who is rung together.
///
/// # Panics
/// If there is no such team.
pub fn team(n: usize) -> Team {
    let mate = |name: &str| Phone {
        user: format!("mate{n}{name}"),
        number: String::new(),
        before: String::new(),
    };
    Team {
        mates: [mate("a"), mate("b")],
        carrier: TEAMS[n],
        number: format!("94{n:02}"),
    }
}

fn carrier(n: usize) -> Carrier {
    Carrier {
        port: port_to_hand_over(),
        outside: format!("+99{n:02}5501234"),
        number: format!("92{n:02}"),
        before: format!("93{n:02}"),
    }
}

/// A tenant with one phone.
fn tenant(id: &str, user: &str, follow_redirects: bool) -> String {
    format!(
        "[[tenant]]\nid = \"{id}\"\ntime_zone = \"UTC\"\nlanguage = \"en\"\n\
         follow_redirects = {follow_redirects}\n{}",
        self::user(user)
    )
}

/// A phone that a carrier's customers reach: its flow dials it before it answers. Strangers have to
/// prove who they are.
pub fn hotline(n: usize) -> Phone {
    let number = format!("+86215550100{n}");
    Phone {
        user: format!("hotline{n}"),
        before: number.clone(),
        number,
    }
}

/// A tenant whose customers call by a carrier.
fn customers(setup: &mut Setup) {
    setup.tenants += &tenant("hotline", "hotline-manager", false);
    setup.tenants += &format!(
        "[tenant.numbers]\ncountry = \"86\"\narea = \"21\"\nnational_prefix = \"0\"\n\
         international_prefix = \"00\"\n[[tenant.trunk]]\nid = \"{CARRIER_NAME}\"\n\
         address = \"{CARRIER_AT}:5060\"\nprefixes = []\nhealth_s = 0\ninbound = true\n"
    );
    for n in 0..HOTLINES {
        let Phone { user, number, .. } = hotline(n);
        setup.tenants += &self::user(&user);
        let before = setup.tenants.len();
        dials(setup, (&number, false), &user, 60);
        let route = setup.tenants.split_off(before);
        setup.tenants += &route.replace("public = true", "public = false");
    }
}

fn user(user: &str) -> String {
    format!("[[tenant.phone]]\nuser = \"{user}\"\npassword_env = \"SECRET\"\n")
}

/// A number at which somebody is dialled, after the caller was answered or before.
fn dials(setup: &mut Setup, (number, answer): (&str, bool), target: &str, timeout_s: u32) {
    let file = format!("{number}.toml");
    setup.tenants += &route(number, &file, "\"dial\"").replace("ivr-menu", "probe");
    let text = format!(
        "mode = \"dial\"\ntarget = \"{target}\"\nanswer = {answer}\ntimeout_s = {timeout_s}\n"
    );
    setup.files.insert(file, text);
}

fn route(number: &str, config: &str, grant: &str) -> String {
    format!(
        "[[tenant.route]]\nnumber = \"{number}\"\npublic = true\nplugin = \"ivr-menu\"\n\
         config = \"{config}\"\ngrant = [{grant}]\nfallback = \"sorry\"\nrecord = false\n"
    )
}

/// The events of a call, those of its flow only as what the flow asked for.
fn story(record: &Record) -> anyhow::Result<String> {
    let events = record.json["events"].as_array().context("events")?;
    let mut story = String::new();
    for event in events {
        let text = |name: &str| event[name].as_str().unwrap_or("?").to_owned();
        let word = match event["kind"].as_str().context("a kind")? {
            "call.started" | "flow.started" | "flow.ended" => continue,
            // Every leg with audio has one, and phones that say nothing another.
            "leg.media" | "leg.one_way" => continue,
            "flow.asked" => format!("asks {}", text("op")),
            "call.ended" => format!("ended {} {}", text("cause"), text("by")),
            "leg.dial_ended" => format!("dial {}", text("result")),
            "flow.fault" => format!("fault {}: {}", text("fault"), text("detail")),
            "flow.gathered" => continue,
            other => other.to_owned(),
        };
        if !story.is_empty() {
            story.push_str(", ");
        }
        story.push_str(&word);
    }
    Ok(story)
}

/// All scenarios of a matrix: the slow ones at the same time, and beside them the quick ones, a few
/// at a time. Each has its own name.
///
/// # Panics
/// If one fails, with all that failed.
pub fn all(lab: &Lab, slow: &[(&str, Scenario)], quick: &[(&str, Scenario)]) {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    let run = |(name, scenario): &(&str, Scenario)| {
        if let Err(error) = scenario(lab, name) {
            let mut failed = failed.lock().expect("nothing panics while it holds it");
            failed.push(format!("{name}: {error:#}"));
        }
    };
    std::thread::scope(|scope| {
        for scenario in slow {
            scope.spawn(|| run(scenario));
        }
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some(scenario) = quick.get(next.fetch_add(1, Ordering::Relaxed)) {
                    run(scenario);
                }
            });
        }
    });
    let failed = failed
        .into_inner()
        .expect("nothing panics while it holds it");
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

/// One of them. It is told its name.
pub type Scenario = fn(&Lab, &str) -> anyhow::Result<()>;

/// That two texts are the same.
///
/// # Errors
/// Both, if not.
pub fn same(found: &str, wanted: &str) -> anyhow::Result<()> {
    anyhow::ensure!(found == wanted, "\nfound:  {found}\nwanted: {wanted}");
    Ok(())
}

/// The events of a call as the API shows them, for what [`Lab::story`] leaves out.
///
/// # Errors
/// If there is no record of it.
pub fn events(lab: &Lab, call_id: &str, kind: &str) -> anyhow::Result<Vec<Value>> {
    let record = record::of_call(&lab.server, call_id)?;
    Ok(record.events(kind).into_iter().cloned().collect())
}
