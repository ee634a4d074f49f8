//! `jackfield calls`: the calls of a running server, and what an agent does with them.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use vocab::CallId;

use crate::ask::{Answer, Api, Server, escaped, fine, with_query};
use crate::cli::{columns, counted, say};

/// What is asked, and of whom.
#[derive(Args, Debug)]
pub(crate) struct CallsArgs {
    #[command(subcommand)]
    command: CallsCommand,

    #[command(flatten)]
    api: Api,

    /// Print the server's answer as it is.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand, Debug)]
enum CallsCommand {
    #[command(flatten)]
    Deed(Deed),

    /// Watch what happens, a line for each event, until Ctrl-C.
    #[command(after_help = "\
Examples:
  jackfield calls watch
  jackfield calls watch --kind phone.
  jackfield calls watch --call 01kaj8q2zk5v7n3r9t4w6y8b0c --json")]
    Watch {
        /// Only this call's.
        #[arg(long)]
        call: Option<CallId>,
        /// Only this tenant's.
        #[arg(long)]
        tenant: Option<String>,
        /// Only this kind, as call.ended, or all that begin with it, as leg. with its dot.
        #[arg(long)]
        kind: Option<String>,
    },
}

/// What is one request.
#[derive(Subcommand, Debug)]
enum Deed {
    /// List the parties of the calls that are up.
    #[command(after_help = "\
Examples:
  jackfield calls list
  jackfield calls list --user 1001
  jackfield calls list --state parked --json")]
    List {
        /// Only where this user's phone is.
        #[arg(long)]
        user: Option<String>,
        /// Only those who do this: ringing, waiting, flow, talking, conference, held, parked,
        /// supervising or alone.
        #[arg(long)]
        state: Option<String>,
    },

    /// Ring a user's phone and, once it answers, whom it calls.
    #[command(after_help = "\
Examples:
  jackfield calls dial 1001 1002
  jackfield calls dial 1001 +862155501234
  jackfield calls dial 1001 1002 1003 +8613800138000 --timeout-s 45
  jackfield calls dial 1001 +862155501234 --hang-up-on-machine")]
    Dial {
        /// Whose phone.
        user: String,
        /// A phone, a ring group, a route or a number. Of several the first that answers.
        #[arg(required = true)]
        to: Vec<String>,
        #[command(flatten)]
        ringing: Ringing,
        /// Find out whether a person or a machine answers; the two talk meanwhile.
        #[arg(long)]
        detect: bool,
        /// The same, and hang up on a machine.
        #[arg(long)]
        hang_up_on_machine: bool,
    },

    /// Call what a user's phone dialled last.
    #[command(after_help = "\
Examples:
  jackfield calls redial 1001")]
    Redial {
        /// Whose phone.
        user: String,
    },

    /// Have the one who is talked with hear music.
    #[command(after_help = "\
Examples:
  jackfield calls hold --by 1001
  jackfield calls hold --leg 2 01kaj8q2zk5v7n3r9t4w6y8b0c")]
    Hold(By),

    /// Talk with them again.
    #[command(after_help = "\
Examples:
  jackfield calls retrieve --by 1001")]
    Retrieve(By),

    /// Send the one who is talked with to somebody else.
    ///
    /// If nobody takes the call there, it comes back.
    #[command(after_help = "\
Examples:
  jackfield calls transfer --by 1001 --to 1002
  jackfield calls transfer --by 1001 --to 7000
  jackfield calls transfer --by 1001 --to 1002 --to +8613800138000 --in-turn --ring-s 15")]
    Transfer {
        #[command(flatten)]
        by: By,
        /// A phone, a ring group, a route or a number. Of several the first that answers.
        #[arg(long, required = true)]
        to: Vec<String>,
        #[command(flatten)]
        ringing: Ringing,
    },

    /// Ask somebody else first, while the one who is talked with hears music.
    #[command(after_help = "\
Examples:
  jackfield calls consult --by 1001 --to 1002
  jackfield calls consult --by 1001 --to 1002 --to 1003 --timeout-s 15")]
    Consult {
        #[command(flatten)]
        by: By,
        /// A phone, a ring group or a number. Of several the first that answers.
        #[arg(long, required = true)]
        to: Vec<String>,
        #[command(flatten)]
        ringing: Ringing,
    },

    /// Talk with the one who waits, and have the other wait.
    #[command(after_help = "\
Examples:
  jackfield calls swap --by 1001")]
    Swap(By),

    /// Talk with both.
    #[command(after_help = "\
Examples:
  jackfield calls merge --by 1001")]
    Merge {
        #[command(flatten)]
        by: By,
        /// Without the beep that all hear.
        #[arg(long)]
        no_beep: bool,
    },

    /// Connect the other two and leave.
    #[command(after_help = "\
Examples:
  jackfield calls complete --by 1001")]
    Complete(By),

    /// Hang up the one who was asked, and talk with the first again.
    #[command(after_help = "\
Examples:
  jackfield calls cancel --by 1001")]
    Cancel(By),

    /// Have the one who is talked with wait in a slot, from where `pickup` has any phone of the
    /// tenant take it.
    #[command(after_help = "\
Examples:
  jackfield calls park --by 1001
  jackfield calls park --by 1001 --slot 701")]
    Park {
        #[command(flatten)]
        by: By,
        /// Which slot. Without it, the first that is free.
        #[arg(long)]
        slot: Option<u16>,
    },

    /// Take the call that waits in a slot.
    #[command(after_help = "\
Examples:
  jackfield calls pickup 701 --user 1002")]
    Pickup {
        /// The slot.
        slot: u16,
        /// Whose phone takes it.
        #[arg(long)]
        user: String,
    },

    /// Send a caller elsewhere, answered or not.
    #[command(after_help = "\
Examples:
  jackfield calls redirect 01kaj8q2zk5v7n3r9t4w6y8b0c --to 1002")]
    Redirect {
        /// The call's id.
        call: CallId,
        /// A phone, a ring group, a route or a number.
        #[arg(long)]
        to: String,
    },

    /// Send the one who is talked with through a route's flow and back.
    #[command(after_help = "\
Examples:
  jackfield calls flow --by 1001 --route 7000")]
    Flow {
        #[command(flatten)]
        by: By,
        /// The route's number.
        #[arg(long)]
        route: String,
    },

    /// Connect a party with one of another call; everybody else in both calls is hung up.
    ///
    /// The first one's call goes on, and the other one's ends. Nobody is hung up before the two talk.
    #[command(after_help = "\
Examples:
  jackfield calls bridge --by 1001 --with-user 1003
  jackfield calls bridge 01kaj8q2zk5v7n3r9t4w6y8b0c --leg 1 \
--with-call 01kaj8q2zk5v7n3r9t4w6y8b0d --with-leg 2")]
    Bridge {
        #[command(flatten)]
        by: By,
        #[command(flatten)]
        with: With,
    },

    /// Call somebody who then talks with those who talk: a conference from then on.
    #[command(after_help = "\
Examples:
  jackfield calls add --by 1001 --to 1003
  jackfield calls add --by 1001 --to +862155501234")]
    Add {
        #[command(flatten)]
        by: By,
        /// A phone, a ring group or a number. Of several the first that answers.
        #[arg(long, required = true)]
        to: Vec<String>,
        #[command(flatten)]
        ringing: Ringing,
        /// Without the beep that all hear when somebody joins.
        #[arg(long)]
        no_beep: bool,
    },

    /// Mute a party, or make it louder or softer, until it is changed again.
    #[command(after_help = "\
Examples:
  jackfield calls adjust --by 1001 --muted true
  jackfield calls adjust --by 1001 --muted false --said-db 6
  jackfield calls adjust 01kaj8q2zk5v7n3r9t4w6y8b0c --leg 1 --heard-db=-6")]
    Adjust {
        #[command(flatten)]
        who: By,
        /// Whether the others do not hear it.
        #[arg(long)]
        muted: Option<bool>,
        /// Whether it does not hear the others.
        #[arg(long)]
        deaf: Option<bool>,
        /// How much louder the others hear it, in dB.
        #[arg(long, value_name = "DB", allow_hyphen_values = true, value_parser = clap::value_parser!(i8).range(-24..=24))]
        said_db: Option<i8>,
        /// How much louder it hears the others, in dB.
        #[arg(long, value_name = "DB", allow_hyphen_values = true, value_parser = clap::value_parser!(i8).range(-24..=24))]
        heard_db: Option<i8>,
    },

    /// Ring a user's phone and let it listen to a party of a call; nobody notices.
    ///
    /// Keys change what it does: 1 listens, 2 speaks to that party alone, 3 joins in. The same command
    /// for one who supervises already changes it as well.
    #[command(after_help = "\
Examples:
  jackfield calls supervise 1009 --of 1001
  jackfield calls supervise 1009 --of 1001 --mode whisper")]
    Supervise {
        /// Whose phone listens.
        user: String,
        /// Whom it listens to.
        #[command(flatten)]
        of: Of,
        /// What it does at first, or from now on.
        #[arg(long, value_enum, default_value = "listen")]
        mode: Mode,
    },

    /// Have one who supervises go on in the place of whom it listens to, who is hung up.
    #[command(after_help = "\
Examples:
  jackfield calls takeover --by 1009")]
    Takeover(By),

    /// Have a party press keys that nobody else may know, such as the number of a card; the others talk
    /// on with it, and hear a beep for each key.
    ///
    /// Nothing is recorded meanwhile. What was pressed is in the vault, and a token stands for it.
    #[command(after_help = "\
Examples:
  jackfield calls secure 01kaj8q2zk5v7n3r9t4w6y8b0c --leg 1
  jackfield calls secure 01kaj8q2zk5v7n3r9t4w6y8b0c --leg 1 --min 3 --max 4 --prompt check-digits
  jackfield calls secure 01kaj8q2zk5v7n3r9t4w6y8b0c --leg 1 --end")]
    Secure {
        #[command(flatten)]
        who: By,
        /// A prompt that the party alone hears first; several are heard in a row.
        #[arg(long, value_name = "NAME", conflicts_with = "end")]
        prompt: Vec<String>,
        /// How many keys at least.
        #[arg(long, default_value = "1", conflicts_with = "end", value_parser = clap::value_parser!(u8).range(0..=32))]
        min: u8,
        /// How many at most: those of the longest number of a card, unless it is said.
        #[arg(long, default_value = "19", conflicts_with = "end", value_parser = clap::value_parser!(u8).range(1..=32))]
        max: u8,
        /// Keys that end it.
        #[arg(long, default_value = "#", conflicts_with = "end")]
        terminators: String,
        /// No more keys are waited for; those that were pressed are kept.
        #[arg(long)]
        end: bool,
    },

    /// Have a party hear keys pressed.
    #[command(after_help = "\
Examples:
  jackfield calls digits 01kaj8q2zk5v7n3r9t4w6y8b0c 12# --leg 2")]
    Digits {
        /// The call's id.
        call: CallId,
        /// Out of 0-9, *, # and A-D.
        digits: String,
        /// Who hears them.
        #[arg(long)]
        leg: u16,
    },

    /// Hang up one party, or all.
    #[command(after_help = "\
Examples:
  jackfield calls hangup 01kaj8q2zk5v7n3r9t4w6y8b0c
  jackfield calls hangup 01kaj8q2zk5v7n3r9t4w6y8b0c --leg 2")]
    Hangup {
        /// The call's id.
        call: CallId,
        /// Only this party.
        #[arg(long)]
        leg: Option<u16>,
    },
}

/// Who acts, and in which call.
#[derive(Args, Debug)]
struct By {
    /// The call's id. Without it, the one call that the user's phone is in.
    #[arg(value_name = "CALL", required_unless_present = "by")]
    call: Option<CallId>,
    /// The user whose phone acts.
    #[arg(long, value_name = "USER", required_unless_present = "leg")]
    by: Option<String>,
    /// The party who acts, by its number.
    #[arg(long, value_name = "N", conflicts_with = "by", requires = "call")]
    leg: Option<u16>,
}

/// Who is listened to, and in which call.
#[derive(Args, Debug)]
struct Of {
    /// The call's id. Without it, the one call that the user's phone is in.
    #[arg(value_name = "CALL", required_unless_present = "of")]
    call: Option<CallId>,
    /// The user whose phone is listened to.
    #[arg(long, value_name = "USER", required_unless_present = "leg")]
    of: Option<String>,
    /// The party that is listened to, by its number.
    #[arg(long, value_name = "N", conflicts_with = "of", requires = "call")]
    leg: Option<u16>,
}

/// What somebody does who supervises.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Mode {
    /// Hear all, and be heard by nobody.
    Listen,
    /// Be heard by the one alone who is listened to.
    Whisper,
    /// Be heard by all.
    Barge,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Listen => "listen",
            Self::Whisper => "whisper",
            Self::Barge => "barge",
        }
    }
}

/// How several are rung, and for how long.
#[derive(Args, Debug, Default)]
struct Ringing {
    /// Ring one after the other instead of all at once.
    #[arg(long)]
    in_turn: bool,
    /// How long each is rung before it is the next one's turn, in seconds.
    #[arg(long, value_name = "SECONDS", requires = "in_turn", value_parser = clap::value_parser!(u16).range(1..=180))]
    ring_s: Option<u16>,
    /// How long they are rung in all, in seconds. Without it 30, or as long as their turns take.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u16).range(1..=180))]
    timeout_s: Option<u16>,
}

impl Ringing {
    /// A target as the API takes it.
    fn target(&self, to: &[String]) -> Value {
        match to {
            [one] if !self.in_turn && self.timeout_s.is_none() => json!(one),
            _ => {
                let order = if self.in_turn { "in_turn" } else { "all" };
                let mut target = json!({ "any": to, "order": order });
                for (name, value) in [("ring_s", self.ring_s), ("timeout_s", self.timeout_s)] {
                    if let Some(value) = value {
                        target[name] = json!(value);
                    }
                }
                target
            }
        }
    }
}

/// A party of another call.
#[derive(Args, Debug)]
struct With {
    /// The other call's id. Without it, the one call that the other user's phone is in.
    #[arg(long, value_name = "CALL", required_unless_present = "with_user")]
    with_call: Option<CallId>,
    /// The user whose phone is in the other call.
    #[arg(long, value_name = "USER", required_unless_present = "with_leg")]
    with_user: Option<String>,
    /// The party of the other call, by its number.
    #[arg(
        long,
        value_name = "N",
        conflicts_with = "with_user",
        requires = "with_call"
    )]
    with_leg: Option<u16>,
}

/// Does it.
pub(crate) fn run(args: &CallsArgs) -> anyhow::Result<ExitCode> {
    let server = args.api.server()?;
    let deed = match &args.command {
        CallsCommand::Deed(deed) => deed,
        CallsCommand::Watch { call, tenant, kind } => {
            let call = call.map(|call| call.to_string());
            let wanted = [("call", &call), ("tenant", tenant), ("kind", kind)];
            let path = with_query("/api/v1/events", &wanted);
            server.listen(&path, |line| {
                if let Some(data) = line.strip_prefix("data: ") {
                    say(&if args.json {
                        data.to_owned()
                    } else {
                        event(data)
                    });
                }
                true
            })?;
            bail!("the server has ended the stream: it stops");
        }
    };
    let answer = ask(&server, deed)?;
    if args.json {
        say(String::from_utf8_lossy(&answer.body).trim_end());
        return Ok(ExitCode::SUCCESS);
    }
    let body: Value = if answer.body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&answer.body).context("the server's answer is no JSON")?
    };
    say(&told(&body));
    Ok(ExitCode::SUCCESS)
}

fn ask(server: &Server, deed: &Deed) -> anyhow::Result<Answer> {
    let by = |by: &By, mut wish: Value| {
        let call = named(server, by.call, by.by.as_deref())?;
        wish["by"] = party(by.leg, by.by.as_deref());
        act(server, call, &wish)
    };
    match deed {
        Deed::List { user, state } => {
            let path = with_query("/api/v1/parties", &[("user", user), ("state", state)]);
            fine(server.get(&path)?)
        }
        Deed::Dial {
            user,
            to,
            ringing,
            detect,
            hang_up_on_machine,
        } => {
            let mut wish = json!({ "user": user, "to": ringing.target(to) });
            if *hang_up_on_machine {
                wish["detect"] = json!({ "on_machine": "hangup" });
            } else if *detect {
                wish["detect"] = json!({});
            }
            make(server, &wish)
        }
        Deed::Redial { user } => make(server, &json!({ "user": user, "redial": true })),
        Deed::Hold(who) => by(who, json!({ "action": "hold" })),
        Deed::Retrieve(who) => by(who, json!({ "action": "retrieve" })),
        Deed::Transfer {
            by: who,
            to,
            ringing,
        } => {
            let to = ringing.target(to);
            by(who, json!({ "action": "transfer", "to": to }))
        }
        Deed::Consult {
            by: who,
            to,
            ringing,
        } => {
            let to = ringing.target(to);
            by(who, json!({ "action": "consult", "to": to }))
        }
        Deed::Swap(who) => by(who, json!({ "action": "swap" })),
        Deed::Merge { by: who, no_beep } => by(who, json!({ "action": "merge", "beep": !no_beep })),
        Deed::Complete(who) => by(who, json!({ "action": "complete" })),
        Deed::Cancel(who) => by(who, json!({ "action": "cancel" })),
        Deed::Park { by: who, slot } => by(who, json!({ "action": "park", "slot": slot })),
        Deed::Pickup { slot, user } => {
            let path = format!("/api/v1/parking/{slot}/pickup");
            fine(server.post(&path, &json!({ "user": user }).to_string())?)
        }
        Deed::Redirect { call, to } => {
            act(server, *call, &json!({ "action": "redirect", "to": to }))
        }
        Deed::Flow { by: who, route } => by(who, json!({ "action": "to_flow", "route": route })),
        Deed::Bridge { by, with } => {
            let call = named(server, by.call, by.by.as_deref())?;
            let other = named(server, with.with_call, with.with_user.as_deref())?;
            let leg = party(by.leg, by.by.as_deref());
            let whom = party(with.with_leg, with.with_user.as_deref());
            let with = json!({ "call": other.to_string(), "leg": whom });
            act(
                server,
                call,
                &json!({ "action": "bridge", "leg": leg, "with": with }),
            )
        }
        Deed::Add {
            by: who,
            to,
            ringing,
            no_beep,
        } => {
            let to = ringing.target(to);
            by(who, json!({ "action": "add", "to": to, "beep": !no_beep }))
        }
        Deed::Adjust {
            who,
            muted,
            deaf,
            said_db,
            heard_db,
        } => {
            let call = named(server, who.call, who.by.as_deref())?;
            let mut wish = json!({ "action": "adjust", "leg": party(who.leg, who.by.as_deref()) });
            let change = [
                ("muted", muted.map(Value::from)),
                ("deaf", deaf.map(Value::from)),
                ("said_db", said_db.map(Value::from)),
                ("heard_db", heard_db.map(Value::from)),
            ];
            for (name, value) in change {
                if let Some(value) = value {
                    wish[name] = value;
                }
            }
            act(server, call, &wish)
        }
        Deed::Supervise { user, of, mode } => {
            let call = named(server, of.call, of.of.as_deref())?;
            let mode = mode.name();
            if supervises(server, call, user)? {
                let wish = json!({ "action": "supervise_as", "leg": user, "mode": mode });
                return act(server, call, &wish);
            }
            let leg = party(of.leg, of.of.as_deref());
            let wish = json!({ "action": "supervise", "leg": leg, "user": user, "mode": mode });
            act(server, call, &wish)
        }
        Deed::Takeover(who) => {
            let call = named(server, who.call, who.by.as_deref())?;
            let leg = party(who.leg, who.by.as_deref());
            act(server, call, &json!({ "action": "take_over", "leg": leg }))
        }
        Deed::Secure {
            who,
            prompt,
            min,
            max,
            terminators,
            end,
        } => {
            let call = named(server, who.call, who.by.as_deref())?;
            if *end {
                return act(server, call, &json!({ "action": "end_secure" }));
            }
            let wish = json!({
                "action": "secure",
                "leg": party(who.leg, who.by.as_deref()),
                "prompts": prompt,
                "min": min,
                "max": max,
                "terminators": terminators,
            });
            act(server, call, &wish)
        }
        Deed::Digits { call, digits, leg } => {
            let wish = json!({ "action": "send_digits", "leg": leg, "digits": digits });
            act(server, *call, &wish)
        }
        Deed::Hangup {
            call,
            leg: Some(leg),
        } => act(server, *call, &json!({ "action": "hangup", "leg": leg })),
        Deed::Hangup { call, leg: None } => fine(server.delete(&format!("/api/v1/calls/{call}"))?),
    }
}

/// Whether a user's phone supervises in a call.
fn supervises(server: &Server, call: CallId, user: &str) -> anyhow::Result<bool> {
    let path = format!(
        "/api/v1/parties?call={call}&user={}&state=supervising",
        escaped(user)
    );
    let answer = fine(server.get(&path)?)?;
    let page: Value = serde_json::from_slice(&answer.body).context("the answer is no JSON")?;
    Ok(page["items"]
        .as_array()
        .is_some_and(|items| !items.is_empty()))
}

/// The call that is named, or else the one that the user's phone is in.
fn named(server: &Server, call: Option<CallId>, user: Option<&str>) -> anyhow::Result<CallId> {
    match call {
        Some(call) => Ok(call),
        None => call_of(server, user.unwrap_or_default()),
    }
}

/// A party by its number, or else by its user.
fn party(leg: Option<u16>, user: Option<&str>) -> Value {
    leg.map_or_else(|| json!(user), |leg| json!(leg))
}

fn act(server: &Server, call: CallId, wish: &Value) -> anyhow::Result<Answer> {
    let path = format!("/api/v1/calls/{call}/actions");
    fine(server.post(&path, &wish.to_string())?)
}

fn make(server: &Server, wish: &Value) -> anyhow::Result<Answer> {
    fine(server.post("/api/v1/calls", &wish.to_string())?)
}

/// The one call that a user's phone is in.
fn call_of(server: &Server, user: &str) -> anyhow::Result<CallId> {
    let path = format!("/api/v1/parties?user={}", escaped(user));
    let answer = fine(server.get(&path)?)?;
    let page: Value = serde_json::from_slice(&answer.body).context("the answer is no JSON")?;
    let parties = page["items"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let mut calls: Vec<&str> = parties
        .iter()
        .filter_map(|it| it["call"].as_str())
        .collect();
    calls.dedup();
    match calls[..] {
        [call] => call.parse().context("the server names a call that is none"),
        [] => bail!("no phone of {user} is in a call: see `jackfield calls list`"),
        _ => bail!(
            "phones of {user} are in {}: name one: {}",
            counted(calls.len(), "call"),
            calls.join(", ")
        ),
    }
}

/// An event in one line: when, of which call, what, and its fields.
fn event(data: &str) -> String {
    let event: Value = serde_json::from_str(data).unwrap_or_default();
    let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    let fields = event
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, value)| {
            !["at", "kind", "call", "tenant", "n"].contains(&name.as_str()) && !value.is_null()
        });
    let mut line = format!("{}  {:26}  {}", text("at"), text("call"), text("kind"));
    for (name, value) in fields {
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        line += &format!(" {name}={value}");
    }
    line
}

/// An answer in words.
fn told(body: &Value) -> String {
    if let Some(parties) = body["items"].as_array() {
        return table(parties);
    }
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    match body["result"].as_str() {
        Some("calling") => match body["legs"].as_array().map(Vec::as_slice) {
            Some([_, _, ..]) => {
                let legs = body["legs"].as_array().into_iter().flatten();
                let legs: Vec<String> = legs.map(Value::to_string).collect();
                format!("legs {} are called", legs.join(", "))
            }
            Some(_) | None => format!("leg {} is called", body["leg"]),
        },
        Some("call") => format!("call {}", text("id")),
        Some("parked") => format!("waits in slot {}", body["slot"]),
        Some("flow") => format!("the flow said {}", text("label")),
        Some("secret") if body["token"].is_null() => "no key was pressed".to_owned(),
        Some("secret") => {
            let luhn = body["luhn"] == true;
            let check = if luhn { ", check digit right" } else { "" };
            let keys = body["digits"].as_u64().unwrap_or_default();
            let keys = counted(usize::try_from(keys).unwrap_or_default(), "key");
            format!("{} stands for {keys}{check}", text("token"))
        }
        Some("begun") => "it goes on; the call's events tell what comes of it".to_owned(),
        Some(_) | None => "done".to_owned(),
    }
}

fn table(parties: &[Value]) -> String {
    if parties.is_empty() {
        return "nobody".to_owned();
    }
    let mut rows = vec![["CALL", "LEG", "STATE", "WHO", "USER"].map(str::to_owned)];
    for party in parties {
        let text = |name: &str| party[name].as_str().unwrap_or_default().to_owned();
        let mut state = text("state");
        if let Some(mode) = party["mode"].as_str() {
            state += &format!(" ({mode})");
        }
        if let Some(with) = party["with"].as_u64() {
            state += &format!(" with {with}");
        }
        for flag in ["muted", "deaf"] {
            if party[flag].as_bool() == Some(true) {
                state += &format!(", {flag}");
            }
        }
        if let Some(slot) = party["slot"].as_u64() {
            state += &format!(" in {slot}");
        }
        rows.push([
            text("call"),
            party["leg"].to_string(),
            state,
            text("party"),
            text("user"),
        ]);
    }
    columns(&rows)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn answers_are_told() {
        let said: Vec<String> = [
            json!({ "result": "done" }),
            json!({ "result": "calling", "leg": 3 }),
            json!({ "result": "call", "id": "01kaj8q2zk5v7n3r9t4w6y8b0c" }),
            json!({ "result": "parked", "slot": 7 }),
            json!({ "result": "flow", "label": "verified", "detail": null }),
            json!({ "result": "begun" }),
            json!({ "result": "secret", "token": "sec_00000000000000000000000007", "digits": 16, "luhn": true, "end": "complete" }),
            json!({ "result": "secret", "token": null, "digits": 0, "luhn": false, "end": "timeout" }),
            Value::Null,
            json!({ "items": [] }),
            json!({ "items": [
                { "call": "01kaj8q2zk5v7n3r9t4w6y8b0c", "leg": 1, "user": null, "party": "tel:+8613800138000",
                  "state": "talking", "with": 2, "slot": null },
                { "call": "01kaj8q2zk5v7n3r9t4w6y8b0c", "leg": 2, "user": "1001", "party": "sip:1001",
                  "state": "talking", "with": 1, "slot": null },
                { "call": "01kaj8q2zk5v7n3r9t4w6y8b0d", "leg": 1, "user": "1003", "party": "sip:1003",
                  "state": "parked", "with": null, "slot": 7 },
                { "call": "01kaj8q2zk5v7n3r9t4w6y8b0d", "leg": 4, "user": "1009", "party": "sip:1009",
                  "state": "supervising", "mode": "whisper", "with": 2, "muted": true },
            ] }),
        ]
        .iter()
        .map(told)
        .collect();
        expect![[r#"
            done
            leg 3 is called
            call 01kaj8q2zk5v7n3r9t4w6y8b0c
            waits in slot 7
            the flow said verified
            it goes on; the call's events tell what comes of it
            sec_00000000000000000000000007 stands for 16 keys, check digit right
            no key was pressed
            done
            nobody
            CALL                        LEG  STATE                                WHO                 USER
            01kaj8q2zk5v7n3r9t4w6y8b0c  1    talking with 2                       tel:+8613800138000
            01kaj8q2zk5v7n3r9t4w6y8b0c  2    talking with 1                       sip:1001            1001
            01kaj8q2zk5v7n3r9t4w6y8b0d  1    parked in 7                          sip:1003            1003
            01kaj8q2zk5v7n3r9t4w6y8b0d  4    supervising (whisper) with 2, muted  sip:1009            1009"#]]
        .assert_eq(&said.join("\n"));
    }

    #[test]
    fn events_are_told() {
        let data = r#"{"at":"2026-01-01T00:00:00Z","call":"01kaj8q2zk5v7n3r9t4w6y8b0c","kind":"leg.dialed","leg":2,"n":4,"tenant":"demo","to":"sip:1002","trunk":null}"#;
        expect!["2026-01-01T00:00:00Z  01kaj8q2zk5v7n3r9t4w6y8b0c  leg.dialed leg=2 to=sip:1002"]
            .assert_eq(&event(data));
    }
}
