//! `jackfield phone`: a test phone that registers and takes calls.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::Args;
use engine::phone::{self, Digits, Input, News};
use media::Capabilities;
use serde_json::json;
use sip::Transport;
use vocab::call::Side;
use vocab::{Mono, Pii};

use super::actions::{Actions, Seconds};
use super::line::Line;
use super::target::{self, Target};
use super::{CALL_MAX, EXPIRES, PARTING, REGISTER_WAIT, TransportName};
use super::{actions, capture, keep, open, outcome};
use crate::cli::{complain, say};
use crate::config;
use crate::net::tls;

/// Register a test phone and take the calls that come.
///
/// Answers by itself, then does what --press, --say, --play and --wait ask for, in the order in which
/// they are given, and stays until the far end hangs up or --hangup-after has passed. Prints a line
/// for each thing that happens, until --calls calls are over, --for has passed, or Ctrl-C.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  PHONE_1002=secret jackfield phone sip:1002@127.0.0.1 --password-env PHONE_1002
  jackfield phone sip:1002@127.0.0.1 --password-env PHONE_1002 --say 'sales, good morning'
  jackfield phone sip:1002@127.0.0.1 --password-env PHONE_1002 --calls 1 --record heard.wav
  jackfield phone sip:1002@127.0.0.1 --password-env PHONE_1002 --never-answer --for 20")]
pub(crate) struct PhoneArgs {
    /// Whose phone, and where: `sip:user@host`, with `:port` if it is not 5060.
    #[arg(value_name = "URI", value_parser = target::parse)]
    uri: Target,

    /// The environment variable that holds the user's password.
    #[arg(long, value_name = "NAME")]
    password_env: String,

    #[command(flatten)]
    actions: Actions,

    /// Ring this long before answering.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = actions::seconds)]
    answer_after: Seconds,

    /// Let it ring.
    #[arg(long, conflicts_with = "answer_after")]
    never_answer: bool,

    /// Hang up this long after all is done. Without it the far end does.
    #[arg(long, value_name = "SECONDS", value_parser = actions::seconds)]
    hangup_after: Option<Seconds>,

    /// End after so many calls.
    #[arg(long, value_name = "N")]
    calls: Option<u32>,

    /// End after this long, whatever happens.
    #[arg(long = "for", value_name = "SECONDS", value_parser = actions::seconds)]
    lasting: Option<Seconds>,

    /// Write what was heard in the last call to this WAV file.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,

    /// Write what went over the network to this capture file: signalling, credentials masked, and
    /// audio. It is whole after each call.
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,

    /// How to signal. Without it what the address asks for, or else UDP.
    #[arg(long, value_name = "HOW")]
    transport: Option<TransportName>,

    /// Over TLS, believe certificates that one in this PEM file vouches for, not the system's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// Over TLS, believe any certificate.
    #[arg(long, conflicts_with = "ca")]
    insecure: bool,

    /// Print one JSON object a line instead.
    #[arg(long)]
    json: bool,
}

/// Registers and takes calls.
pub(crate) fn run(args: &PhoneArgs) -> anyhow::Result<ExitCode> {
    let mut line = line(args)?;
    let course = take_calls(&mut line, args);
    // Also of a registration that was refused.
    capture::write(&line, args.pcap.as_deref())?;
    course?;
    Ok(ExitCode::SUCCESS)
}

fn take_calls(line: &mut Line, args: &PhoneArgs) -> anyhow::Result<()> {
    let mut book = Book::new(args.json);
    register(line, args, &mut book, EXPIRES)?;
    let now = line.now().mono;
    let end = args.lasting.map(|time| now + time.0);
    let mut refresh = now + EXPIRES / 2;
    while !book.is_full(args.calls) {
        let now = line.now().mono;
        if end.is_some_and(|end| end <= now) {
            break;
        }
        if refresh <= now {
            refresh = now + EXPIRES / 2;
            let next_hop = line.next_hop();
            let expires = EXPIRES;
            line.feed(Input::Register { next_hop, expires });
        }
        let until = end.map_or(refresh, |end| end.min(refresh));
        let calls = args.calls;
        line.run(until.since(now).min(CALL_MAX), |at, news| {
            book.hear(at.mono, &news);
            book.is_full(calls)
        });
        book.registered()?;
        if book.take_over() {
            keep(args.record.as_deref(), line.phone().heard())?;
            capture::write(line, args.pcap.as_deref())?;
        }
    }
    if line.phone().is_busy() {
        line.feed(Input::Hangup);
    }
    // The answer to our BYE, or a repeated one of theirs.
    line.run(PARTING / 4, |at, news| {
        book.hear(at.mono, &news);
        false
    });
    if register(line, args, &mut book, Duration::ZERO).is_err() {
        complain("jackfield: the registration was not taken back; it will expire in a minute");
    }
    Ok(())
}

fn line(args: &PhoneArgs) -> anyhow::Result<Line> {
    let password: Pii<String> =
        config::secret(&args.password_env).map_err(|why| anyhow!("--password-env: {why}"))?;
    let mut script = args.actions.plan(true, args.hangup_after)?.steps();
    if args.hangup_after.is_none() {
        // What a caller does at the end: listen once more, and hang up.
        script.truncate(script.len().saturating_sub(2));
    }
    // Calls are not worth taking if what they are taken for cannot be kept.
    keep(args.record.as_deref(), &[])?;
    capture::check(args.pcap.as_deref())?;
    let transport: Option<Transport> = args.transport.map(Into::into);
    let certificates = tls::Setup {
        ca: args.ca.clone(),
        insecure: args.insecure,
        ..tls::Setup::default()
    };
    let dns = config::Dns::default();
    let mut line = open(&args.uri, (transport, &dns), &certificates, |ports| {
        phone::Config {
            user: args.uri.user(),
            domain: args.uri.host.to_string(),
            password: Some(password),
            sip: ports.sip_address(),
            rtp: ports.rtp_address(),
            transport: ports.transport(),
            capabilities: Capabilities::default(),
            digits: Digits::Rfc4733,
            answer_after: (!args.never_answer).then_some(args.answer_after.0),
            script,
            vanish: false,
        }
    })?;
    if args.pcap.is_some() {
        line.start_capture();
    }
    Ok(line)
}

fn register(
    line: &mut Line,
    args: &PhoneArgs,
    book: &mut Book,
    expires: Duration,
) -> anyhow::Result<()> {
    let next_hop = line.next_hop();
    book.registration = None;
    line.feed(Input::Register { next_hop, expires });
    line.run(REGISTER_WAIT, |at, news| {
        book.hear(at.mono, &news);
        book.registration.is_some()
    });
    book.registered()?;
    if book.registration.is_none() {
        bail!("no answer to the registration; {}", args.uri.advice());
    }
    if !expires.is_zero() {
        let over = outcome::transport(line.transport());
        let (user, at) = (args.uri.user(), line.next_hop());
        let ready = format!("registered as {user} at {at} over {over}: waiting for calls");
        book.tell("registered", &ready, &json!({ "user": user }));
    }
    Ok(())
}

/// What happened so far.
#[derive(Debug)]
struct Book {
    json: bool,
    /// Calls that are over.
    calls: u32,
    answered: Option<Mono>,
    /// The registrar's last answer.
    registration: Option<Option<u16>>,
    /// A call is over since this was last asked.
    over: bool,
}

impl Book {
    fn new(json: bool) -> Self {
        Self {
            json,
            calls: 0,
            answered: None,
            registration: None,
            over: false,
        }
    }

    fn is_full(&self, calls: Option<u32>) -> bool {
        calls.is_some_and(|calls| self.calls >= calls)
    }

    fn take_over(&mut self) -> bool {
        std::mem::take(&mut self.over)
    }

    /// Whether the registrar has refused us.
    fn registered(&self) -> anyhow::Result<()> {
        match self.registration {
            None | Some(Some(200..=299)) => Ok(()),
            Some(Some(401 | 403 | 407)) => {
                bail!("the registration was refused: are the user and the password right?")
            }
            Some(Some(status)) => bail!("the registration was answered with {status}"),
            Some(None) => bail!("no answer to the registration"),
        }
    }

    fn hear(&mut self, at: Mono, news: &News) {
        match news {
            News::Registered { status } => self.registration = Some(*status),
            News::Ringing => self.tell("ringing", "ringing", &json!({})),
            News::Answered => {
                self.answered = Some(at);
                self.tell("answered", "answered", &json!({}));
            }
            News::Heard { digit } => {
                let key = digit.reveal().to_string();
                self.tell("key", &format!("heard key {key}"), &json!({ "key": key }));
            }
            News::Ended { cause, by, .. } => {
                self.calls += 1;
                self.over = true;
                let talk = self.answered.take().map(|since| at.since(since));
                let by = match by {
                    Side::Far => "far_end",
                    Side::Near => "phone",
                };
                let cause = cause.name();
                let text = match talk {
                    Some(talk) => format!("over after {:.1} s: {cause}", talk.as_secs_f64()),
                    None => format!("not answered: {cause}"),
                };
                let talk_ms = talk.map(|talk| u64::try_from(talk.as_millis()).unwrap_or(u64::MAX));
                let more = json!({ "cause": cause, "ended_by": by, "talk_ms": talk_ms });
                self.tell("ended", &text, &more);
            }
            News::Ladder(_) | News::FarRinging | News::Step { .. } => {}
        }
    }

    fn tell(&self, what: &str, text: &str, more: &serde_json::Value) {
        if !self.json {
            return say(text);
        }
        let mut line = json!({ "what": what });
        if let (Some(line), Some(more)) = (line.as_object_mut(), more.as_object()) {
            line.extend(more.clone());
        }
        say(&line.to_string());
    }
}

#[cfg(test)]
mod tests {
    use vocab::call::Cause;

    use super::*;

    #[test]
    fn a_book_counts_calls_and_knows_refusals() {
        let mut book = Book::new(true);
        let second = |n: u64| Mono(n * 1_000_000_000);
        let ended = News::Ended {
            cause: Cause::Normal,
            by: Side::Far,
            status: None,
        };
        assert!(book.registered().is_ok() && !book.is_full(Some(1)) && !book.take_over());
        book.hear(second(1), &News::Ringing);
        book.hear(second(2), &News::Answered);
        book.hear(second(3), &ended);
        assert!(book.is_full(Some(1)) && !book.is_full(Some(2)) && !book.is_full(None));
        assert!(book.take_over() && !book.take_over());
        for (status, good) in [(Some(200), true), (Some(403), false), (None, false)] {
            book.hear(second(4), &News::Registered { status });
            assert_eq!(book.registered().is_ok(), good, "{status:?}");
        }
    }
}
