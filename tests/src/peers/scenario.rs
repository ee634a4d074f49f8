//! A call as sipp plays it: one side's messages, written down as a ladder.
//!
//! ```text
//! > INVITE sdp          what sipp sends; indented lines below are further headers
//! <? 100                may come or not
//! < 401                 must come next, or the call has failed
//! > ACK
//! > INVITE sdp login
//! < 200
//!     Require: timer    what the header must say, as a POSIX expression
//! > ACK
//! wait 300              milliseconds
//! < BYE
//! > 200
//! ```
//!
//! sipp itself keeps to it: anything else that comes, or does not come, fails the call. What every
//! message needs (tags, branches, numbers of requests, addresses) follows from what went before, so
//! that a ladder shows what is special about it and no more. [`xml`] writes it as sipp wants it,
//! [`play`] runs sipp.
//!
//! Words after a message: `sdp` or `sdp:VARIANT` is a body (see [`Sdp`]), `login` answers the last
//! challenge, `rel` makes a provisional answer reliable, `invite` answers the last INVITE although
//! other requests came since, `tag:X` answers it as another phone behind the same proxy would.

mod play;
mod xml;

use anyhow::{Context as _, bail, ensure};

pub use play::{Party, Play, Seen, header};

/// Who begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// Sends the first INVITE.
    Caller,
    /// Receives it.
    Callee,
}

/// A step of a ladder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// sipp sends.
    Send {
        /// What.
        what: What,
        /// Words after it.
        words: Words,
        /// Further headers, as they are.
        headers: Vec<String>,
    },
    /// sipp receives.
    Receive {
        /// What.
        what: What,
        /// Words after it.
        words: Words,
        /// It may be left out.
        optional: bool,
        /// Names of headers (or `body`) and what they must say; `!` before it: must not.
        wanted: Vec<(String, String)>,
    },
    /// Nothing, for so many milliseconds.
    Wait(u32),
}

/// What a message is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum What {
    /// A request by its method.
    Request(String),
    /// An answer by its status.
    Answer(u16),
}

/// The words after a message.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Words {
    pub(crate) sdp: Option<Sdp>,
    pub(crate) login: bool,
    pub(crate) reliable: bool,
    pub(crate) invite: bool,
    pub(crate) tag: Option<String>,
}

/// What an offer or answer of sipp says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sdp {
    /// µ-law, A-law and telephone events.
    Usual,
    /// `sendonly`, which is hold (RFC 3264 §8.4).
    SendOnly,
    /// `inactive`.
    Inactive,
    /// `c=0.0.0.0`, hold as in RFC 2543.
    Zero,
    /// A-law alone.
    Alaw,
    /// µ-law alone.
    Ulaw,
    /// A codec that nobody has.
    Strange,
    /// Usual, with so much more that the message is beyond 1,300 bytes (RFC 3261 §18.1.1).
    Long,
    /// Usual, behind another part, as carriers put a location or ISUP beside it (RFC 5621).
    Parts,
}

impl Sdp {
    fn of(name: &str) -> anyhow::Result<Self> {
        Ok(match name {
            "" => Self::Usual,
            "sendonly" => Self::SendOnly,
            "inactive" => Self::Inactive,
            "zero" => Self::Zero,
            "alaw" => Self::Alaw,
            "ulaw" => Self::Ulaw,
            "strange" => Self::Strange,
            "long" => Self::Long,
            "parts" => Self::Parts,
            other => bail!("there is no SDP called {other:?}"),
        })
    }
}

/// Reads a ladder.
///
/// # Errors
/// What is wrong with it, with its line.
pub(crate) fn parse(text: &str) -> anyhow::Result<Vec<Step>> {
    let mut steps: Vec<Step> = Vec::new();
    for line in text.lines() {
        let inner = line.trim();
        if inner.is_empty() || inner.starts_with('#') {
            continue;
        }
        let read = match inner.split_once(' ') {
            Some((">" | "<" | "<?" | "wait", _)) => step(inner).map(|step| steps.push(step)),
            Some(_) | None => detail(steps.last_mut(), inner),
        };
        read.with_context(|| format!("in the ladder: {line:?}"))?;
    }
    Ok(steps)
}

fn step(line: &str) -> anyhow::Result<Step> {
    let mut parts = line.split_whitespace();
    let (arrow, name) = (parts.next(), parts.next().context("of what?")?);
    if arrow == Some("wait") {
        return Ok(Step::Wait(name.parse()?));
    }
    let what = match name.parse() {
        Ok(status) => What::Answer(status),
        Err(_) => What::Request(name.to_owned()),
    };
    let mut words = Words::default();
    for word in parts {
        match word.split_once(':').unwrap_or((word, "")) {
            ("sdp", variant) => words.sdp = Some(Sdp::of(variant)?),
            ("login", "") => words.login = true,
            ("rel", "") => words.reliable = true,
            ("invite", "") => words.invite = true,
            ("tag", tag) => words.tag = Some(tag.to_owned()),
            _ => bail!("there is no word {word:?}"),
        }
    }
    Ok(match arrow {
        Some(">") => Step::Send {
            what,
            words,
            headers: Vec::new(),
        },
        _ => Step::Receive {
            what,
            words,
            optional: arrow == Some("<?"),
            wanted: Vec::new(),
        },
    })
}

/// A line below a message.
fn detail(step: Option<&mut Step>, line: &str) -> anyhow::Result<()> {
    match step {
        Some(Step::Send { headers, .. }) => headers.push(line.to_owned()),
        Some(Step::Receive { wanted, .. }) => {
            let (name, value) = line.split_once(": ").context("a header and its value")?;
            wanted.push((name.to_owned(), value.to_owned()));
        }
        Some(Step::Wait(_)) | None => bail!("this belongs to no message"),
    }
    Ok(())
}

/// A ladder without its mistakes: the first message fits the side.
///
/// # Errors
/// What is wrong.
pub(crate) fn checked(side: Side, text: &str) -> anyhow::Result<Vec<Step>> {
    let steps = parse(text)?;
    let first = steps.iter().find(|step| !matches!(step, Step::Wait(_)));
    let sends = matches!(first, Some(Step::Send { .. }));
    ensure!(
        sends == (side == Side::Caller),
        "the caller sends first, and the callee receives"
    );
    Ok(steps)
}
