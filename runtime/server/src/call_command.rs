//! `jackfield call`: the test phone of `engine`, over real sockets.

mod actions;
mod answer;
mod capture;
mod hearing;
mod line;
mod outcome;
mod target;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use clap::{Args, ValueEnum};
use engine::phone::{self, Digits, Input, News, Phone};
use media::negotiate::Srtp;
use media::{Capabilities, Codec};
use serde_json::json;
use sip::Transport;
use vocab::{Pii, Rng};

use crate::cli::{complain, say};
use crate::clock::Clock;
use crate::config;
use crate::net::tls::{self, Tls};

use actions::{Actions, Plan, Seconds};
pub(crate) use answer::{PhoneArgs, run as take_calls};
use line::Line;
use outcome::{Call, Outcome};
use target::Target;

/// How long a registration that exists for one call may live, if we cannot take it back. The
/// shortest that our registrar takes.
const EXPIRES: Duration = Duration::from_secs(60);

/// Longest wait for the answer to a registration: 64·T1, RFC 3261 §17.1.2.2 timer F.
const REGISTER_WAIT: Duration = Duration::from_secs(32);

/// Longest call. A script that takes longer is no test any more.
const CALL_MAX: Duration = Duration::from_secs(3_600);

/// Time for the last messages of a call to cross the network.
const PARTING: Duration = Duration::from_millis(1_000);

/// Call a number with the built-in test phone.
///
/// Dials, waits for the answer, and then does what --press, --say, --play and --wait ask for, in
/// the order in which they are given. Before each press, text or file it waits until the far end
/// has had its say: something was heard, then 0.7 s of silence (20 s at most). A --wait directly
/// before takes the place of that. At the end it listens once more and hangs up.
///
/// Prints every SIP message of the call, then what was heard and done. Exits with 1 if the call
/// was not answered, if no audio came, or if the far end hung up before all was done.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  jackfield call sip:1000@127.0.0.1
  jackfield call sip:1000@127.0.0.1 --press 1 --record heard.wav
  jackfield call sip:1000@127.0.0.1 --press 1 --pcap call.pcap
  jackfield call sip:1000@127.0.0.1 --press 2 --press 1 --digits inband --codec pcma
  jackfield call sip:1000@127.0.0.1:5070 --wait 1.5 --press 123# --json
  jackfield call sip:1000@127.0.0.1 --press 3 --say 'please call me back' --press '#'
  jackfield call sip:1000@127.0.0.1 --tcp --play question.wav --hangup-after 5
  jackfield call sip:1000@127.0.0.1 --transport tls --ca data/tls-self-signed.pem
  PHONE_1001=secret jackfield call sip:1000@127.0.0.1 --from 1001 --password-env PHONE_1001 --register")]
pub(crate) struct CallArgs {
    /// Whom to call: `sip:number@host`, with `:port` if it is not 5060. A host name is looked up as
    /// RFC 3263 has it: NAPTR and SRV records, then addresses.
    #[arg(value_name = "URI", value_parser = target::parse)]
    uri: Target,

    #[command(flatten)]
    actions: Actions,

    /// Hang up this long after all is done, whatever is heard. Without it, when it is quiet.
    #[arg(long, value_name = "SECONDS", value_parser = actions::seconds)]
    hangup_after: Option<Seconds>,

    /// Write what was heard to this WAV file.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,

    /// Write what went over the network to this capture file, for Wireshark, tshark, sngrep:
    /// signalling, credentials masked, and audio.
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,

    /// The user to call as.
    #[arg(long, value_name = "USER", default_value = "test", value_parser = target::user)]
    from: String,

    /// The environment variable that holds the user's password.
    #[arg(long, value_name = "NAME")]
    password_env: Option<String>,

    /// Register before the call, and take the registration back afterwards.
    #[arg(long, requires = "password_env")]
    register: bool,

    /// Signal over TCP instead of UDP.
    #[arg(long, conflicts_with = "transport")]
    tcp: bool,

    /// How to signal. Without it what the address asks for, or its domain, or else UDP.
    #[arg(long, value_name = "HOW")]
    transport: Option<TransportName>,

    /// Over TLS, believe certificates that one in this PEM file vouches for, not the system's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// Over TLS, believe any certificate.
    #[arg(long, conflicts_with = "ca")]
    insecure: bool,

    /// Ask this DNS server for the address of a host name, not the system's.
    #[arg(long, value_name = "ADDRESS", value_parser = config::dns_server)]
    dns: Option<SocketAddr>,

    /// The codec to offer. Without it both laws of G.711, µ-law first.
    #[arg(long, value_name = "CODEC")]
    codec: Option<CodecName>,

    /// Secure the audio (SRTP), with keys in the signalling, and refuse to talk without.
    #[arg(long)]
    srtp: bool,

    /// How keys are sent: as RFC 4733 events or as tones in the audio.
    #[arg(long, value_name = "HOW", default_value = "rfc4733")]
    digits: DigitsName,

    /// Longest wait for an answer.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = actions::seconds)]
    timeout: Seconds,

    /// Press, say and play without waiting until the far end has had its say.
    #[arg(long)]
    no_quiet: bool,

    /// Print one JSON object instead of lines.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TransportName {
    /// Datagrams.
    Udp,
    /// A connection.
    Tcp,
    /// A connection that others cannot read along.
    Tls,
    /// A WebSocket, as browsers use.
    Ws,
    /// A secure WebSocket.
    Wss,
}

impl From<TransportName> for Transport {
    fn from(name: TransportName) -> Self {
        match name {
            TransportName::Udp => Self::Udp,
            TransportName::Tcp => Self::Tcp,
            TransportName::Tls => Self::Tls,
            TransportName::Ws => Self::Ws,
            TransportName::Wss => Self::Wss,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CodecName {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722, wideband.
    G722,
    /// Opus, wideband.
    Opus,
    /// Samples as they are, wideband.
    L16,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DigitsName {
    /// RFC 4733 events.
    Rfc4733,
    /// Tones in the audio.
    Inband,
}

/// Makes the call, and says what became of it.
pub(crate) fn run(args: &CallArgs) -> anyhow::Result<ExitCode> {
    let outcome = match make(args) {
        Ok(outcome) => outcome,
        Err(error) => {
            if args.json {
                let error = format!("{error:#}");
                let uri = args.uri.to_string();
                say(&json!({ "ok": false, "error": error, "uri": uri }).to_string());
            }
            return Err(error);
        }
    };
    if args.json {
        say(&outcome.json(&args.uri, args.record.as_deref()).to_string());
    } else {
        let text = outcome.text(args.record.as_deref());
        if !text.is_empty() {
            say(&text);
        }
    }
    match outcome.failure() {
        None => Ok(ExitCode::SUCCESS),
        Some(why) => bail!("the call failed: {why}"),
    }
}

fn make(args: &CallArgs) -> anyhow::Result<Outcome> {
    let password = match &args.password_env {
        Some(name) => Some(config::secret(name).map_err(|why| anyhow!("--password-env: {why}"))?),
        None => None,
    };
    let plan = args.actions.plan(!args.no_quiet, args.hangup_after)?;
    // A call is not worth making if what it is made for cannot be kept.
    keep(args.record.as_deref(), &[])?;
    capture::check(args.pcap.as_deref())?;
    let transport = match args.transport {
        Some(name) => Some(name.into()),
        None => args.tcp.then_some(Transport::Tcp),
    };
    let dns = config::Dns {
        servers: args.dns.into_iter().collect(),
        ..config::Dns::default()
    };
    let certificates = tls::Setup {
        ca: args.ca.clone(),
        insecure: args.insecure,
        ..tls::Setup::default()
    };
    let mut line = open(&args.uri, (transport, &dns), &certificates, |ports| {
        phone(args, &plan, password, ports)
    })?;
    if args.pcap.is_some() {
        line.start_capture();
    }
    if !args.json {
        let over = outcome::transport(line.transport());
        say(&format!("Calling {} over {over}.\n", args.uri));
    }
    let course = registered_call(&mut line, args);
    // Also of a registration that was refused.
    capture::write(&line, args.pcap.as_deref())?;
    let course = course?;
    let outcome = Outcome::new(course, &line, &plan, &args.uri);
    keep(args.record.as_deref(), line.phone().heard())?;
    Ok(outcome)
}

/// Writes what was heard, if that is asked for.
fn keep(file: Option<&Path>, samples: &[i16]) -> anyhow::Result<()> {
    let Some(file) = file else { return Ok(()) };
    std::fs::write(file, media::wav::write(samples, 1))
        .with_context(|| format!("cannot write {}", file.display()))
}

/// Puts a phone on its sockets, towards a server of the target.
fn open(
    uri: &Target,
    (transport, dns): (Option<Transport>, &config::Dns),
    certificates: &tls::Setup,
    config: impl FnOnce(&line::Ports) -> phone::Config,
) -> anyhow::Result<Line> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| anyhow!("no entropy from the system: {error}"))?;
    let mut rng = Rng::new(seed);
    let tls = Tls::load(certificates)?;
    let clock = Clock::start();
    let servers = uri.locate(transport, dns, clock)?;
    let ports = line::Ports::open(uri, &servers, &tls, &mut rng)?;
    let phone = Phone::new(clock.now(), config(&ports), rng);
    Line::new(ports, phone, clock)
}

fn phone(
    args: &CallArgs,
    plan: &Plan,
    password: Option<Pii<String>>,
    ports: &line::Ports,
) -> phone::Config {
    let codecs = match args.codec {
        None => Capabilities::default().codecs,
        Some(CodecName::Pcmu) => vec![Codec::Pcmu],
        Some(CodecName::Pcma) => vec![Codec::Pcma],
        Some(CodecName::G722) => vec![Codec::G722],
        Some(CodecName::Opus) => vec![Codec::Opus],
        Some(CodecName::L16) => vec![Codec::L16(media::Rate::Wide)],
    };
    let (digits, dtmf) = match args.digits {
        DigitsName::Rfc4733 => (Digits::Rfc4733, true),
        DigitsName::Inband => (Digits::InBand, false),
    };
    phone::Config {
        user: args.from.clone(),
        domain: args.uri.host.to_string(),
        password,
        sip: ports.sip_address(),
        rtp: ports.rtp_address(),
        transport: ports.transport(),
        capabilities: Capabilities {
            codecs,
            dtmf,
            srtp: if args.srtp {
                Srtp::Require
            } else {
                Srtp::Allow
            },
            ..Capabilities::default()
        },
        digits,
        answer_after: None,
        script: plan.steps(),
        vanish: false,
    }
}

/// Calls, registered meanwhile if that is asked for.
fn registered_call(line: &mut Line, args: &CallArgs) -> anyhow::Result<Call> {
    if args.register {
        register(line, args, EXPIRES)?;
    }
    let course = call(line, args);
    if args.register && register(line, args, Duration::ZERO).is_err() {
        complain("jackfield: the registration was not taken back; it will expire in a minute");
    }
    Ok(course)
}

fn register(line: &mut Line, args: &CallArgs, expires: Duration) -> anyhow::Result<()> {
    let next_hop = line.next_hop();
    let mut answer = None;
    line.feed(Input::Register { next_hop, expires });
    line.run(REGISTER_WAIT, |_, news| {
        show(args, &news);
        if let News::Registered { status } = news {
            answer = Some(status);
        }
        answer.is_some()
    });
    match answer.flatten() {
        Some(200..=299) => Ok(()),
        Some(401 | 403 | 407) => {
            let user = &args.from;
            bail!("the registration was refused: is {user} the user, and the password right?")
        }
        Some(status) => bail!("the registration was answered with {status}"),
        None => bail!("no answer to the registration; {}", args.uri.advice()),
    }
}

/// Dials and follows the call to its end.
fn call(line: &mut Line, args: &CallArgs) -> Call {
    let next_hop = line.next_hop();
    let (uri, timeout) = (args.uri.request_uri(), args.timeout.0);
    let mut call = Call::new(line.now(), args.password_env.is_some());
    line.feed(Input::Call {
        uri,
        next_hop,
        timeout,
    });
    line.run(CALL_MAX, |now, news| {
        show(args, &news);
        call.hear(now, &news);
        call.is_over()
    });
    if !call.is_over() {
        line.feed(Input::Hangup);
    }
    // What is still under way: the answer to our BYE, or a repeated one of theirs.
    let settled = call.is_settled();
    line.run(if settled { PARTING / 10 } else { PARTING }, |now, news| {
        show(args, &news);
        call.hear(now, &news);
        !settled && call.is_settled()
    });
    call
}

fn show(args: &CallArgs, news: &News) {
    if let News::Ladder(line) = news
        && !args.json
    {
        say(&line.to_string());
    }
}
