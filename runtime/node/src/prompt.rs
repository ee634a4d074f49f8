//! Prompts become clips: from the catalogue, from fragments, or from speech synthesis.

use std::collections::BTreeMap;

use vocab::flow::{FlowError, Prompt};
use vocab::{CallId, Clip, Now, Pii};

use crate::border::{Output, SpeechId};
use crate::call::{Call, Pending, Purpose, Resolving};
use crate::limits::SPEECH_WAIT;
use crate::node::Node;
use crate::speak::{self, Piece};
use crate::wait::Wait;

impl Node {
    /// Turns prompts into clips, and goes on with `purpose` when all are there.
    pub(crate) fn resolve(&mut self, now: Now, id: CallId, prompts: &[Prompt], purpose: Purpose) {
        let call = &self.calls[&id];
        let mut pieces = Vec::with_capacity(prompts.len());
        for prompt in prompts {
            match pieces_of(call, prompt) {
                Ok(some) => pieces.extend(some),
                Err(error) => return self.refuse(now, id, error),
            }
        }
        let language = call.language.clone();
        let mut clips = Vec::with_capacity(pieces.len());
        let mut waiting = BTreeMap::new();
        for piece in pieces {
            match piece {
                Ready::Clip(clip) => clips.push(Some(clip)),
                Ready::Speech { text, voice } => {
                    self.speech_last += 1;
                    let speech = SpeechId(self.speech_last);
                    self.speeches.insert(speech, id);
                    waiting.insert(speech, clips.len());
                    clips.push(None);
                    let voice = voice.unwrap_or_else(|| language.clone());
                    self.out.push_back(Output::Speak {
                        id: speech,
                        text,
                        voice,
                    });
                }
            }
        }
        if waiting.is_empty() {
            let clips = clips.into_iter().flatten().collect();
            return self.resolved(now, id, purpose, clips);
        }
        self.pend(
            id,
            Pending::Resolving(Resolving {
                purpose,
                clips,
                waiting,
            }),
        );
        self.deadlines.set(id, Wait::Op, now.mono + SPEECH_WAIT);
    }

    /// The call is on disk: somebody who was to be called by then is called now.
    pub(crate) fn dial_at_last(&mut self, now: Now, id: CallId) {
        let pending = self.calls.get_mut(&id).and_then(Call::pending);
        if let Some(Pending::Resolving(resolving)) = pending
            && resolving.waiting.is_empty()
        {
            let clips = resolving.clips.drain(..).flatten().collect();
            let purpose = std::mem::replace(&mut resolving.purpose, Purpose::Play);
            self.deadlines.clear(id, Wait::Commit);
            self.resolved(now, id, purpose, clips);
        }
    }

    pub(crate) fn spoken(&mut self, now: Now, speech: SpeechId, result: Result<Clip, String>) {
        let Some(id) = self.speeches.remove(&speech) else {
            return;
        };
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        let Some(Pending::Resolving(resolving)) = call.pending() else {
            return;
        };
        let Some(place) = resolving.waiting.remove(&speech) else {
            return;
        };
        match result {
            Ok(clip) => resolving.clips[place] = Some(clip),
            Err(why) => {
                self.speeches.retain(|_, call| *call != id);
                return self.refuse(now, id, FlowError::Unavailable(why));
            }
        }
        if !resolving.waiting.is_empty() {
            return;
        }
        let clips = resolving.clips.drain(..).flatten().collect();
        let purpose = std::mem::replace(&mut resolving.purpose, Purpose::Play);
        self.deadlines.clear(id, Wait::Op);
        self.resolved(now, id, purpose, clips);
    }
}

enum Ready {
    Clip(Clip),
    Speech {
        text: Pii<String>,
        voice: Option<String>,
    },
}

fn pieces_of(call: &Call, prompt: &Prompt) -> Result<Vec<Ready>, FlowError> {
    match prompt {
        Prompt::Audio(name) => match call.tenant.catalogue.find(&call.language, name) {
            Some(clip) => Ok(vec![Ready::Clip(clip.clone())]),
            None => {
                let language = &call.language;
                let why = format!("no prompt named {name} in {language} or common");
                Err(FlowError::NotFound(why))
            }
        },
        Prompt::Say { text, voice } => Ok(vec![Ready::Speech {
            text: text.clone(),
            voice: voice.clone(),
        }]),
        Prompt::Value { kind, value } => {
            let pieces = speak::value(&call.language, kind, value.reveal())
                .map_err(|why| FlowError::Invalid(why.to_owned()))?;
            Ok(spoken_value(call, pieces))
        }
        Prompt::Silence(time) => Ok(vec![Ready::Clip(Clip::silence(*time))]),
    }
}

/// Recorded fragments if the catalogue has them all, else the same words through synthesis.
fn spoken_value(call: &Call, pieces: Vec<Piece>) -> Vec<Ready> {
    let find = |piece: &Piece| {
        call.tenant
            .catalogue
            .find(&call.language, &piece.clip)
            .cloned()
    };
    match pieces.iter().map(find).collect::<Option<Vec<_>>>() {
        Some(clips) => clips.into_iter().map(Ready::Clip).collect(),
        None => {
            let glue = if call.language.starts_with("zh") {
                ""
            } else {
                " "
            };
            let words: Vec<_> = pieces.iter().map(|piece| piece.word.as_str()).collect();
            vec![Ready::Speech {
                text: Pii::new(words.join(glue)),
                voice: None,
            }]
        }
    }
}

/// What the journal keeps of prompts: catalogue names, and only the kind of what was spoken.
pub(crate) fn describe(prompts: &[Prompt]) -> String {
    let words = prompts.iter().map(|prompt| match prompt {
        Prompt::Audio(name) => name.as_str(),
        Prompt::Say { .. } => "(speech)",
        Prompt::Value { .. } => "(value)",
        Prompt::Silence(_) => "(silence)",
    });
    words.collect::<Vec<_>>().join(" ")
}
