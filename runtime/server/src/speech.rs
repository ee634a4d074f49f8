//! Speech synthesis: `espeak-ng` as a subprocess, its results kept by content.

// Tasks and subprocesses are what this file is for.
#![allow(clippy::disallowed_methods)]

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use media::wav;
use node::SpeechId;
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use vocab::{Clip, Pii};

use crate::control::{Handle, Message};

/// Subprocesses at once: one takes some 20 ms of a core for a long sentence.
const PROCESSES_MAX: usize = 2;

/// Requests that may wait; a further one is refused, its flow hears `unavailable`.
const WAITING_MAX: usize = 256;

/// Longest run of the subprocess. The node gives up after five seconds.
const LONGEST: Duration = Duration::from_secs(4);

/// Samples kept of earlier results: 64 MB, some hour of speech.
const KEPT_SAMPLES_MAX: usize = 32 << 20;

/// Makes speech. Clones share the cache.
#[derive(Clone)]
pub(crate) struct Speaker {
    inner: Arc<Inner>,
}

struct Inner {
    command: Option<PathBuf>,
    control: Handle,
    runtime: tokio::runtime::Handle,
    processes: Semaphore,
    waiting: Semaphore,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    clips: BTreeMap<(String, String), Clip>,
    order: VecDeque<(String, String)>,
    samples: usize,
}

impl Speaker {
    /// A speaker that runs `command`; without one every request is refused.
    pub(crate) fn new(
        command: Option<PathBuf>,
        control: Handle,
        runtime: tokio::runtime::Handle,
    ) -> Self {
        let inner = Inner {
            command,
            control,
            runtime,
            processes: Semaphore::new(PROCESSES_MAX),
            waiting: Semaphore::new(WAITING_MAX),
            kept: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Makes speech of a text. Answered on the control thread.
    pub(crate) fn speak(&self, id: SpeechId, text: Pii<String>, voice: String) {
        let inner = Arc::clone(&self.inner);
        self.inner.runtime.spawn(async move {
            let result = inner.speech(text.reveal(), &voice).await;
            inner.control.send(Message::Spoken { id, result });
        });
    }
}

impl Inner {
    async fn speech(&self, text: &str, voice: &str) -> Result<Clip, String> {
        let key = (voice.to_owned(), text.to_owned());
        if let Some(clip) = self.lock().clips.get(&key) {
            return Ok(clip.clone());
        }
        let Some(command) = &self.command else {
            return Err("speech synthesis is off: install espeak-ng, or record the prompt".into());
        };
        let _place = self
            .waiting
            .try_acquire()
            .map_err(|_| "too much speech at once".to_owned())?;
        let _turn = self
            .processes
            .acquire()
            .await
            .map_err(|_| "stopping".to_owned())?;
        let run = run(command, text, voice);
        let bytes = tokio::time::timeout(LONGEST, run)
            .await
            .map_err(|_| "speech synthesis took too long".to_owned())??;
        let samples = wav::read(&bytes).map_err(|error| format!("espeak-ng's audio: {error}"))?;
        let clip = Clip::new("speech", samples);
        self.lock().keep(key, clip.clone());
        Ok(clip)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn keep(&mut self, key: (String, String), clip: Clip) {
        self.samples += clip.samples.len();
        if let Some(old) = self.clips.insert(key.clone(), clip) {
            self.samples -= old.samples.len();
            return;
        }
        self.order.push_back(key);
        while self.samples > KEPT_SAMPLES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            if let Some(clip) = self.clips.remove(&oldest) {
                self.samples -= clip.samples.len();
            }
        }
    }
}

/// The synthesiser's name for a voice or language tag.
fn voice_name(voice: &str) -> &str {
    match voice {
        // Plain `cmn` of version 1.51 turns characters into pinyin and reads that as English.
        "zh-CN" | "zh" | "zh-Hans" => "cmn-latn-pinyin",
        "en" => "en-us",
        other => other,
    }
}

/// One run of the synthesiser: text in, WAV out.
async fn run(command: &PathBuf, text: &str, voice: &str) -> Result<Vec<u8>, String> {
    let fails = |error: std::io::Error| format!("{}: {error}", command.display());
    let name = voice_name(voice);
    if !name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'+' || b == b'_')
    {
        return Err("not a voice or language tag".to_owned());
    }
    let mut child = tokio::process::Command::new(command)
        .args(["-v", name, "-s", "160", "-b", "1", "--stdin", "--stdout"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(fails)?;
    let mut stdin = child.stdin.take().expect("it was asked for");
    stdin.write_all(text.as_bytes()).await.map_err(fails)?;
    drop(stdin);
    let output = child.wait_with_output().await.map_err(fails)?;
    if !output.status.success() || output.stdout.is_empty() {
        return Err(format!("espeak-ng does not speak with the voice {name}"));
    }
    Ok(output.stdout)
}
