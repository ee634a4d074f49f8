//! What became of a call, for people and for programs.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use engine::phone::{Arrow, LadderLine, News};
use serde_json::{Value, json};
use sip::Transport;
use sip::message::reason_phrase;
use vocab::call::{Cause, Side};
use vocab::{Mono, Now};

use super::actions::{Deed, Plan};
use super::hearing::Hearing;
use super::line::Line;
use super::target::Target;

/// Speech shorter than this is a click.
const SPEECH_MIN: Duration = Duration::from_millis(100);

/// The course of a call, as it happens.
#[derive(Debug)]
pub(super) struct Call {
    started: Mono,
    answered: Option<Mono>,
    /// Steps of the script and when they began.
    steps: Vec<(usize, Mono)>,
    ended: Option<Ended>,
    messages: Vec<LadderLine>,
    /// The phone had a password to answer challenges with.
    password: bool,
}

#[derive(Clone, Copy, Debug)]
struct Ended {
    at: Mono,
    cause: Cause,
    by: Side,
    status: Option<u16>,
}

impl Call {
    /// A call that begins now, by a phone with or without a password.
    pub(super) fn new(now: Now, password: bool) -> Self {
        Self {
            started: now.mono,
            answered: None,
            steps: Vec::new(),
            ended: None,
            messages: Vec::new(),
            password,
        }
    }

    /// Takes note of what the phone reports.
    pub(super) fn hear(&mut self, now: Now, news: &News) {
        match news {
            News::Ladder(line) => self.messages.push(line.clone()),
            News::Answered => self.answered = Some(now.mono),
            News::Step { index } => self.steps.push((*index, now.mono)),
            News::Ended { cause, by, status } => {
                let (cause, by, status) = (*cause, *by, *status);
                self.ended = Some(Ended {
                    at: now.mono,
                    cause,
                    by,
                    status,
                });
            }
            News::Registered { .. } | News::Ringing | News::FarRinging | News::Heard { .. } => {}
        }
    }

    /// Whether it is over.
    pub(super) fn is_over(&self) -> bool {
        self.ended.is_some()
    }

    /// Whether it is over and its last request was answered.
    pub(super) fn is_settled(&self) -> bool {
        let answered = |method: &str| {
            let answer = format!("({method})");
            let lines = self.messages.iter().map(|line| line.text.as_str());
            match lines.clone().position(|text| text == method) {
                Some(at) => lines.skip(at).any(|text| text.ends_with(&answer)),
                None => true,
            }
        };
        self.is_over() && answered("BYE") && answered("CANCEL")
    }
}

/// A line of the transcript.
#[derive(Clone, PartialEq, Debug)]
enum Entry {
    Heard(Duration),
    Did(Deed),
    FarHungUp,
}

/// A call that is over.
#[derive(Debug)]
pub(super) struct Outcome {
    call: Call,
    hearing: Hearing,
    packets: u64,
    /// Since the answer.
    transcript: Vec<(Duration, Entry)>,
    failure: Option<String>,
}

impl Outcome {
    /// Draws the sum.
    pub(super) fn new(call: Call, line: &Line, plan: &Plan, target: &Target) -> Self {
        Self::of(call, line.phone().heard(), line.packets(), plan, target)
    }

    fn of(call: Call, heard: &[i16], packets: u64, plan: &Plan, target: &Target) -> Self {
        let hearing = Hearing::new(heard);
        let transcript = transcript(&call, &hearing, plan);
        let failure = failure(&call, packets, plan, target);
        Self {
            call,
            hearing,
            packets,
            transcript,
            failure,
        }
    }

    /// Why the call failed, if it did.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// For people; empty if nobody answered.
    pub(super) fn text(&self, record: Option<&Path>) -> String {
        let Some(answered_after) = self.answered_after() else {
            return String::new();
        };
        let mut text = "\n".to_owned();
        for (at, entry) in &self.transcript {
            let at = at.as_secs_f64();
            let _ = writeln!(text, "{at:>8.1} s  {}", entry.text());
        }
        let _ = write!(
            text,
            "\nAnswered after {:.2} s, lasted {:.1} s. Heard {:.1} s, of which {:.1} s speech",
            answered_after.as_secs_f64(),
            self.duration().as_secs_f64(),
            self.hearing.length().as_secs_f64(),
            self.hearing.total().as_secs_f64(),
        );
        let _ = match record {
            Some(file) => write!(text, ": {}", file.display()),
            None => write!(text, "."),
        };
        text
    }

    /// For programs: one object.
    pub(super) fn json(&self, target: &Target, record: Option<&Path>) -> Value {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let seconds = |time: Duration| (time.as_secs_f64() * 1_000.0).round() / 1_000.0;
        let ended = self.call.ended;
        let ladder = self.call.messages.iter().map(|line| {
            let way = match line.arrow {
                Arrow::Sent => "sent",
                Arrow::Received => "received",
            };
            json!({ "at_ms": ms(line.at), "way": way, "message": line.text })
        });
        let steps = self.transcript.iter().map(|(at, entry)| {
            let (what, value) = entry.json();
            json!({ "at_ms": ms(*at), "what": what, "value": value })
        });
        json!({
            "ok": self.failure.is_none(),
            "error": self.failure,
            "uri": target.to_string(),
            "status": self.status(),
            "cause": ended.map(|ended| ended.cause.name()),
            "ended_by": ended.map(|ended| match ended.by {
                Side::Far => "far_end",
                Side::Near => "phone",
            }),
            "answered_after_ms": self.answered_after().map(ms),
            "duration_ms": self.call.answered.map(|_| ms(self.duration())),
            "ladder": ladder.collect::<Vec<_>>(),
            "steps": steps.collect::<Vec<_>>(),
            "heard": {
                "seconds": seconds(self.hearing.length()),
                "speech_seconds": seconds(self.hearing.total()),
                "packets": self.packets,
                "file": record.map(|file| file.display().to_string()),
            },
        })
    }

    fn status(&self) -> Option<u16> {
        match self.call.answered {
            Some(_) => Some(200),
            None => self.call.ended.and_then(|ended| ended.status),
        }
    }

    fn answered_after(&self) -> Option<Duration> {
        Some(self.call.answered?.since(self.call.started))
    }

    fn duration(&self) -> Duration {
        match (self.call.answered, self.call.ended) {
            (Some(answered), Some(ended)) => ended.at.since(answered),
            (Some(_), None) | (None, _) => self.hearing.length(),
        }
    }
}

impl Entry {
    fn text(&self) -> String {
        match self {
            Self::Heard(time) => format!("heard {:.1} s of speech", time.as_secs_f64()),
            Self::Did(Deed::Listened) => "listened".to_owned(),
            Self::Did(Deed::Pressed(keys)) => format!("pressed {keys}"),
            Self::Did(Deed::Said(text)) => format!("said {text:?}"),
            Self::Did(Deed::Played(file)) => format!("played {}", file.display()),
            Self::Did(Deed::Waited(time)) => format!("waited {:.1} s", time.as_secs_f64()),
            Self::Did(Deed::HungUp) => "hung up".to_owned(),
            Self::FarHungUp => "the far end hung up".to_owned(),
        }
    }

    fn json(&self) -> (&'static str, Value) {
        let ms = |time: &Duration| json!(time.as_millis() as u64);
        match self {
            Self::Heard(time) => ("heard_ms", ms(time)),
            Self::Did(Deed::Listened) => ("listen", Value::Null),
            Self::Did(Deed::Pressed(keys)) => ("press", json!(keys)),
            Self::Did(Deed::Said(text)) => ("say", json!(text)),
            Self::Did(Deed::Played(file)) => ("play", json!(file.display().to_string())),
            Self::Did(Deed::Waited(time)) => ("wait_ms", ms(time)),
            Self::Did(Deed::HungUp) => ("hang_up", Value::Null),
            Self::FarHungUp => ("far_end_hung_up", Value::Null),
        }
    }
}

/// How people write a transport.
pub(super) fn transport(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "UDP",
        Transport::Tcp => "TCP",
        Transport::Tls => "TLS",
        Transport::Ws => "a WebSocket",
        Transport::Wss => "a secure WebSocket",
    }
}

/// What was heard and done, in order of time.
fn transcript(call: &Call, hearing: &Hearing, plan: &Plan) -> Vec<(Duration, Entry)> {
    let Some(answered) = call.answered else {
        return Vec::new();
    };
    let mut entries = Vec::new();
    let mut from = Duration::ZERO;
    let mut listen = |to: Duration, entries: &mut Vec<(Duration, Entry)>| {
        let (speech, begin) = hearing.between(from, to);
        if speech >= SPEECH_MIN {
            entries.push((begin.unwrap_or(from), Entry::Heard(speech)));
        }
        from = to;
    };
    for (index, at) in &call.steps {
        match plan.deed(*index) {
            // What it heard meanwhile is what there is to tell.
            None | Some(Deed::Listened) => {}
            Some(deed) => {
                let at = at.since(answered);
                listen(at, &mut entries);
                entries.push((at, Entry::Did(deed.clone())));
            }
        }
    }
    listen(Duration::MAX, &mut entries);
    if let Some(Ended {
        at, by: Side::Far, ..
    }) = call.ended
    {
        entries.push((at.since(answered), Entry::FarHungUp));
    }
    entries
}

fn failure(call: &Call, packets: u64, plan: &Plan, target: &Target) -> Option<String> {
    let Some(ended) = call.ended else {
        return Some("it did not come to an end, and was given up".to_owned());
    };
    if call.answered.is_none() {
        return Some(unanswered(ended, call.password, target));
    }
    if packets == 0 {
        let why = "it was answered, but no audio came; is UDP open between here and there?";
        return Some(why.to_owned());
    }
    if ended.cause == Cause::Lost {
        return Some("the far end vanished without a word".to_owned());
    }
    let begun = call.steps.last().map_or(0, |(index, _)| *index);
    if begun >= plan.end {
        return None;
    }
    let left = (begun..plan.end).filter_map(|index| plan.deed(index));
    let next = left.into_iter().find(|deed| **deed != Deed::Listened);
    let deed = match next {
        Some(Deed::Pressed(keys)) => format!("{keys} was pressed"),
        Some(Deed::Said(_)) => "the text was said".to_owned(),
        Some(Deed::Played(file)) => format!("{} was played", file.display()),
        Some(Deed::Listened | Deed::Waited(_) | Deed::HungUp) | None => "all was done".to_owned(),
    };
    Some(format!("the far end hung up before {deed}"))
}

/// Why nobody answered, and what may help.
fn unanswered(ended: Ended, password: bool, target: &Target) -> String {
    let Some(status) = ended.status else {
        return match ended.cause {
            Cause::Cancelled | Cause::NoAnswer => "it rang, and nobody answered in time".to_owned(),
            Cause::NotAcceptable => "the far end's audio does not fit ours".to_owned(),
            Cause::Normal
            | Cause::Busy
            | Cause::Rejected
            | Cause::Blocked
            | Cause::NotFound
            | Cause::Unreachable
            | Cause::Challenged
            | Cause::Lost
            | Cause::Overload
            | Cause::Failed
            | Cause::Transferred
            | Cause::Elsewhere
            | Cause::Interrupted => format!("no answer; {}", target.advice()),
        };
    };
    let hint = match status {
        401 | 407 if password => "is the user right, and the password?",
        401 | 407 => {
            "only known phones may call there: give --from USER and --password-env NAME, or mark \
             the route public"
        }
        403 => "the far end does not allow it",
        404 => "no such number there: is there a route for it?",
        408 => "nobody answered in time",
        480 => "nobody is there: is the phone registered?",
        486 | 600 => "busy",
        487 => "it rang, and nobody answered in time",
        488 | 606 => "no common codec: try another --codec",
        503 => "the server is full, shutting down, or cannot write its records: see its log",
        _ => "see the log of the far end",
    };
    format!("{status} {}: {hint}", reason_phrase(status))
}

#[cfg(test)]
mod tests {
    use vocab::Wall;

    use super::*;
    use crate::call_command::{actions, target};

    fn now(ms: u64) -> Now {
        Now::new(Mono(ms * 1_000_000), Wall(0))
    }

    fn news(call: &mut Call, at_ms: u64, news: News) {
        call.hear(now(at_ms), &news);
    }

    fn plan(keys: &[&str]) -> Plan {
        use clap::{Args as _, FromArgMatches as _};
        let command = clap::Command::new("call").no_binary_name(true);
        let words = keys.iter().flat_map(|keys| ["--press", *keys]);
        let matches = actions::Actions::augment_args(command).get_matches_from(words);
        let actions = actions::Actions::from_arg_matches(&matches).expect("good");
        actions.plan(true, None).expect("no files")
    }

    /// A call that hears a second of speech, presses 1, hears two, and ends.
    fn call(steps: usize, by: Side) -> Call {
        let mut call = Call::new(now(1_000), false);
        news(&mut call, 1_250, News::Answered);
        for (index, at_ms) in [1_250, 4_250, 4_470, 8_250]
            .into_iter()
            .enumerate()
            .take(steps)
        {
            news(&mut call, at_ms, News::Step { index });
        }
        news(
            &mut call,
            8_300,
            News::Ended {
                cause: Cause::Normal,
                by,
                status: None,
            },
        );
        call
    }

    fn heard() -> Vec<i16> {
        let mut samples = Vec::new();
        for (ms, level) in [
            (500, 0),
            (1_000, 9_000),
            (2_000, 0),
            (2_000, -9_000),
            (1_500, 4),
        ] {
            samples.extend(std::iter::repeat_n(level, ms * 8));
        }
        samples
    }

    fn check(call: Call, packets: u64, expected: expect_test::Expect) {
        let target = target::parse("sip:1000@127.0.0.1").expect("good");
        let outcome = Outcome::of(call, &heard(), packets, &plan(&["1"]), &target);
        let text = outcome.text(Some(Path::new("heard.wav")));
        expected.assert_eq(&format!("{text}\n-> {:?}\n", outcome.failure()));
    }

    #[test]
    fn a_call_reads_as_a_transcript() {
        check(
            call(4, Side::Near),
            350,
            expect_test::expect![[r#"

                 0.5 s  heard 1.0 s of speech
                 3.0 s  pressed 1
                 3.5 s  heard 2.0 s of speech
                 7.0 s  hung up

            Answered after 0.25 s, lasted 7.0 s. Heard 7.0 s, of which 3.0 s speech: heard.wav
            -> None
        "#]],
        );
    }

    #[test]
    fn a_call_that_ends_early_failed() {
        check(
            call(1, Side::Far),
            350,
            expect_test::expect![[r#"

                 0.5 s  heard 3.0 s of speech
                 7.0 s  the far end hung up

            Answered after 0.25 s, lasted 7.0 s. Heard 7.0 s, of which 3.0 s speech: heard.wav
            -> Some("the far end hung up before 1 was pressed")
        "#]],
        );
    }

    #[test]
    fn a_call_without_audio_failed() {
        check(
            call(4, Side::Near),
            0,
            expect_test::expect![[r#"

                 0.5 s  heard 1.0 s of speech
                 3.0 s  pressed 1
                 3.5 s  heard 2.0 s of speech
                 7.0 s  hung up

            Answered after 0.25 s, lasted 7.0 s. Heard 7.0 s, of which 3.0 s speech: heard.wav
            -> Some("it was answered, but no audio came; is UDP open between here and there?")
        "#]],
        );
    }

    #[test]
    fn refusals_come_with_advice() {
        let target = target::parse("sip:1000@127.0.0.1").expect("good");
        for (status, cause, password, expected) in [
            (
                Some(401),
                Cause::Rejected,
                false,
                "401 Unauthorized: only known phones may call there",
            ),
            (
                Some(404),
                Cause::NotFound,
                false,
                "404 Not Found: no such number there",
            ),
            (Some(486), Cause::Busy, false, "486 Busy Here: busy"),
            (
                None,
                Cause::Unreachable,
                false,
                "no answer; start a server on 127.0.0.1:5060 with",
            ),
            (
                None,
                Cause::Cancelled,
                false,
                "it rang, and nobody answered in time",
            ),
            (
                Some(401),
                Cause::Rejected,
                true,
                "401 Unauthorized: is the user right, and the password?",
            ),
        ] {
            let mut call = Call::new(now(0), password);
            news(
                &mut call,
                10,
                News::Ended {
                    cause,
                    by: Side::Far,
                    status,
                },
            );
            let outcome = Outcome::of(call, &[], 0, &plan(&[]), &target);
            let failure = outcome.failure().expect("nobody answered");
            assert!(failure.starts_with(expected), "{failure}");
        }
    }

    #[test]
    fn programs_get_one_object() {
        let target = target::parse("sip:1000@127.0.0.1").expect("good");
        let outcome = Outcome::of(call(4, Side::Near), &heard(), 350, &plan(&["1"]), &target);
        let json = serde_json::to_string_pretty(&outcome.json(&target, None)).expect("plain");
        expect_test::expect![[r#"
            {
              "answered_after_ms": 250,
              "cause": "normal",
              "duration_ms": 7050,
              "ended_by": "phone",
              "error": null,
              "heard": {
                "file": null,
                "packets": 350,
                "seconds": 7.0,
                "speech_seconds": 3.0
              },
              "ladder": [],
              "ok": true,
              "status": 200,
              "steps": [
                {
                  "at_ms": 500,
                  "value": 1000,
                  "what": "heard_ms"
                },
                {
                  "at_ms": 3000,
                  "value": "1",
                  "what": "press"
                },
                {
                  "at_ms": 3500,
                  "value": 2000,
                  "what": "heard_ms"
                },
                {
                  "at_ms": 7000,
                  "value": null,
                  "what": "hang_up"
                }
              ],
              "uri": "sip:1000@127.0.0.1"
            }"#]]
        .assert_eq(&json);
    }
}
