//! Walks through the demo's menu, and whether one went as it should.

use anyhow::{bail, ensure};
use media::Codec;

use super::capture::Capture;
use super::lines::{Caller, Keys, Step};
use super::prompt::{Prompt, encoded, voice};
use super::record::Record;

/// The demo's prompts by these names.
///
/// # Panics
/// If there is none of a name.
pub fn prompts(names: &[&str]) -> Vec<Prompt> {
    names.iter().map(|name| Prompt::of_demo(name)).collect()
}

/// Chinese, then opening hours and what is the case now; the caller talks meanwhile.
pub fn walk() -> Vec<Step> {
    vec![
        Step::Hear(prompts(&["common/welcome"])),
        Step::Press('1'),
        Step::Hear(prompts(&["zh-CN/main"])),
        Step::Press('1'),
        Step::Begin(prompts(&["zh-CN/hours"])),
        Step::Say(voice()),
        Step::Hear(prompts(&["zh-CN/hours"])),
        Step::Hear(prompts(&["zh-CN/open_now", "zh-CN/closed_now"])),
    ]
}

/// A caller for each codec and each way to press keys, over and over: `count` in all.
pub fn crowd(count: usize, script: &[Step]) -> Vec<Caller> {
    let ways = [
        (Codec::Pcmu, Keys::Events),
        (Codec::Pcmu, Keys::Tones),
        (Codec::Pcma, Keys::Events),
        (Codec::Pcma, Keys::Tones),
    ];
    let callers = ways.iter().cycle().take(count);
    callers
        .map(|&(codec, keys)| Caller {
            codec,
            keys,
            script: script.to_vec(),
        })
        .collect()
}

/// Codes that a caller hears on the whole walk, in order; of the last two either.
#[derive(Clone, Debug)]
pub struct Expected {
    codec: Codec,
    fixed: Vec<(String, Vec<u8>)>,
    last: [Vec<u8>; 2],
}

impl Expected {
    /// What [`walk`] is answered with.
    ///
    /// # Panics
    /// If the demo lacks a prompt.
    pub fn new(codec: Codec) -> Self {
        let codes = |prompt: &Prompt| encoded(codec, prompt.speech());
        let fixed = prompts(&["common/welcome", "zh-CN/main", "zh-CN/hours"]);
        let last = ["zh-CN/open_now", "zh-CN/closed_now"];
        Self {
            codec,
            fixed: fixed
                .iter()
                .map(|it| (it.name().to_owned(), codes(it)))
                .collect(),
            last: last.map(|name| codes(&Prompt::of_demo(name))),
        }
    }

    /// The codec this is for.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Makes sure that a caller heard it all, every sample, in order, and lost no packet.
    ///
    /// # Errors
    /// With the first that was not heard.
    pub fn check(&self, capture: &Capture) -> anyhow::Result<()> {
        let at = capture.check_codes(&self.fixed)?;
        if !self
            .last
            .iter()
            .any(|codes| capture.find(codes, at).is_some())
        {
            bail!("no answer was heard as it is");
        }
        Ok(())
    }
}

/// Makes sure that the record of a walk that the caller ended is as it should be.
///
/// # Errors
/// With what is not.
pub fn check_record(record: &Record) -> anyhow::Result<()> {
    let json = &record.json;
    ensure!(
        json["to"] == "1000" && json["disposition"] == "answered",
        "{json}"
    );
    ensure!(
        json["ended_by"] == "far" && json["cause"] == "normal",
        "{json}"
    );
    ensure!(
        json["fault"].is_null() && json["plugin"]["name"] == "ivr-menu",
        "{json}"
    );
    // How many keys, never which.
    let gathered: Vec<(Option<u64>, Option<&str>)> = record
        .events("flow.gathered")
        .iter()
        .map(|event| (event["digits"].as_u64(), event["end"].as_str()))
        .collect();
    let expected = [(1, "complete"), (1, "complete"), (0, "hangup")];
    let expected = expected.map(|(digits, end)| (Some(digits), Some(end)));
    ensure!(gathered == expected, "keys were gathered otherwise: {json}");
    for once in ["call.started", "call.answered", "flow.ended", "call.ended"] {
        ensure!(
            record.events(once).len() == 1,
            "{once} is not there once: {json}"
        );
    }
    Ok(())
}
