//! A whole phone: baresip, told what to do over its control connection (JSON in netstrings).
//!
//! Its microphone is a WAV file, and what it hears is in another one that grows during the call:
//! its `sndfile` module writes every frame that was decoded. So a test can wait until the phone has
//! heard a prompt, and compare the whole afterwards.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use media::Codec;
use media::compare::similarity;
use media::wav;
use serde_json::{Value, json};
use sip::Transport;

use super::prompt::Prompt;
use super::{AUDIO_NICENESS, require, spawn, until};
use crate::shell::{Folder, PATIENCE, free_port};

/// Bytes before the samples of a WAV file.
const HEADER_BYTES: usize = 44;

/// Least correlation of a cue that counts as heard. Twice through G.711 leaves more than 0.99, and
/// 200 ms of one prompt have no more than 0.5 of any other.
const SAME: f64 = 0.9;

/// How a phone is set up.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Names its folder.
    pub name: String,
    /// Where it registers.
    pub server: SocketAddr,
    /// How it signals.
    pub transport: Transport,
    /// Its user, for the address as for the digest.
    pub user: String,
    /// Its password.
    pub password: String,
    /// The only codec it offers.
    pub codec: Codec,
    /// How much audio it wants sent in a packet, in milliseconds.
    pub packet_ms: u16,
    /// It secures its audio, and talks to nobody who does not.
    pub secured: bool,
    /// What its microphone hears, 8,000 samples a second; at the end it hangs up.
    pub microphone: Vec<i16>,
    /// It answers calls by itself.
    pub answers: bool,
    /// What it shows over TLS if it is asked: a PEM file of a certificate and its key.
    pub certificate: Option<PathBuf>,
}

/// A running phone. Ends when dropped.
#[derive(Debug)]
pub struct Baresip {
    setup: Setup,
    folder: Folder,
    child: Child,
    control: TcpStream,
    read: Vec<u8>,
    waiting: VecDeque<Value>,
    /// Samples of what was heard that were listened to.
    listened: usize,
    /// Every event so far, and every answer to a command.
    pub history: Vec<Value>,
}

impl Baresip {
    /// Starts a phone and has it register; what comes of that is its first event.
    ///
    /// # Errors
    /// If it is missing (with the command that installs it) or does not come up.
    pub fn start(setup: Setup) -> anyhow::Result<Self> {
        require("baresip", "baresip-core")?;
        let folder = Folder::new(&setup.name);
        let control = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let microphone = folder.path().join("microphone.wav");
        std::fs::write(&microphone, wav::write(&setup.microphone, 1))?;
        std::fs::write(
            folder.path().join("config"),
            config(folder.path(), control, setup.certificate.as_deref())?,
        )?;
        for empty in ["accounts", "contacts", "uuid"] {
            std::fs::write(folder.path().join(empty), "")?;
        }
        let output = std::fs::File::create(folder.path().join("screen.txt"))?;
        // At the priority of audio, where the system allows it: it stands for a machine of its own.
        let mut child = spawn(
            Command::new("nice")
                .args(["-n", AUDIO_NICENESS, "baresip", "-f"])
                .arg(folder.path())
                .stdin(Stdio::null())
                .stdout(output.try_clone()?)
                .stderr(output),
        )
        .context("baresip")?;
        let connected = until("baresip's control connection", || {
            ensure!(child.try_wait()?.is_none(), "baresip ended at once");
            Ok(TcpStream::connect(control).ok())
        });
        let control = match connected {
            Ok(control) => control,
            Err(error) => {
                drop(child.kill());
                drop(child.wait());
                let screen = std::fs::read_to_string(folder.path().join("screen.txt"));
                return Err(error.context(screen.unwrap_or_default()));
            }
        };
        control.set_read_timeout(Some(PATIENCE))?;
        let (read, waiting, history) = (Vec::new(), VecDeque::new(), Vec::new());
        let listened = 0;
        let mut phone = Self {
            setup,
            folder,
            child,
            control,
            read,
            waiting,
            listened,
            history,
        };
        let account = phone.account();
        phone.command("uanew", &account)?;
        Ok(phone)
    }

    /// Starts a phone and waits until it is registered.
    ///
    /// # Errors
    /// If it does not come up, or is refused.
    pub fn registered(setup: Setup) -> anyhow::Result<Self> {
        let mut phone = Self::start(setup)?;
        let event = phone.wait_for(&["REGISTER_OK", "REGISTER_FAIL"])?;
        ensure!(event["type"] == "REGISTER_OK", "not registered: {event}");
        Ok(phone)
    }

    /// Waits for an event of one of these types, from the last one on; gives it.
    ///
    /// # Errors
    /// If there is none in time.
    pub fn wait_for(&mut self, types: &[&str]) -> anyhow::Result<Value> {
        loop {
            let event = self.next().with_context(|| {
                let name = &self.setup.name;
                format!("{name} waits for {types:?}; so far:\n{}", self.told())
            })?;
            if types.iter().any(|name| event["type"] == *name) {
                return Ok(event);
            }
        }
    }

    /// Calls an address of the server, and waits until somebody answers.
    ///
    /// # Errors
    /// If nobody does.
    pub fn call(&mut self, number: &str) -> anyhow::Result<()> {
        let uri = format!("sip:{number}@{}", self.setup.server);
        self.command("dial", &uri)?;
        self.established()
    }

    /// Waits until a call is up.
    ///
    /// # Errors
    /// If it is not in time, or ends before.
    pub fn established(&mut self) -> anyhow::Result<()> {
        let event = self.wait_for(&["CALL_ESTABLISHED", "CALL_CLOSED"])?;
        ensure!(event["type"] == "CALL_ESTABLISHED", "no call: {event}");
        Ok(())
    }

    /// Presses a key in a call (RFC 4733).
    ///
    /// # Errors
    /// If the phone does not take it.
    pub fn press(&mut self, key: char) -> anyhow::Result<()> {
        self.command("sndcode", &key.to_string())
    }

    /// Puts the call on hold: its microphone is silent for the other side.
    ///
    /// # Errors
    /// If the phone does not take it.
    pub fn hold(&mut self) -> anyhow::Result<()> {
        self.command("hold", "")
    }

    /// Talks again after [`hold`](Self::hold).
    ///
    /// # Errors
    /// If the phone does not take it.
    pub fn resume(&mut self) -> anyhow::Result<()> {
        self.command("resume", "")
    }

    /// Sends the other side on to a number of the server, and leaves (a blind transfer).
    ///
    /// # Errors
    /// If the phone does not take it.
    pub fn transfer(&mut self, number: &str) -> anyhow::Result<()> {
        let uri = format!("sip:{number}@{}", self.setup.server);
        self.command("transfer", &uri)
    }

    /// Hangs up, and waits until the call is over.
    ///
    /// # Errors
    /// If the phone does not do so.
    pub fn hang_up(&mut self) -> anyhow::Result<()> {
        self.command("hangup", "")?;
        self.wait_for(&["CALL_CLOSED"])?;
        Ok(())
    }

    /// Waits until one of these prompts has begun.
    ///
    /// # Errors
    /// If it is not heard in time.
    pub fn hear_begin(&mut self, prompts: &[Prompt]) -> anyhow::Result<()> {
        self.listen(prompts, Prompt::opening)
    }

    /// Waits until one of these prompts is over.
    ///
    /// # Errors
    /// If it is not heard in time.
    pub fn hear(&mut self, prompts: &[Prompt]) -> anyhow::Result<()> {
        self.listen(prompts, Prompt::ending)
    }

    /// Waits until the phone has heard all of something that is said again and again, once
    /// without a hole.
    ///
    /// # Errors
    /// If it has not in time.
    pub fn hear_whole(&mut self, prompt: &Prompt) -> anyhow::Result<()> {
        until(
            &format!("{} hears all of {}", self.setup.name, prompt.name()),
            || {
                if self.recording()?.is_none() {
                    return Ok(None);
                }
                let heard = self.heard()?;
                let length = prompt.samples().len();
                // As much again as it is long: that holds one that is whole, if there is any.
                if heard.len() < self.listened + 2 * length {
                    return Ok(None);
                }
                let from = heard.len().saturating_sub(3 * length);
                self.listened = heard.len() - length;
                Ok((prompt.share_in(&heard[from..]) > 0.95).then_some(()))
            },
        )
    }

    /// All that the phone has heard in its only call.
    ///
    /// # Errors
    /// If it had none.
    pub fn heard(&self) -> anyhow::Result<Vec<i16>> {
        let path = self.recording()?.context("no call yet")?;
        let file = std::fs::read(&path)?;
        let (Some(head), Some(body)) = (file.get(..HEADER_BYTES), file.get(HEADER_BYTES..)) else {
            return Ok(Vec::new());
        };
        // As the codec has it: the header of a file that is being written tells that, and no length.
        let channels = usize::from(u16::from_le_bytes([head[22], head[23]])).max(1);
        let rate_hz = u32::from_le_bytes([head[24], head[25], head[26], head[27]]);
        let samples: Vec<f32> = body
            .chunks_exact(2 * channels)
            .map(|frame| f32::from(i16::from_le_bytes([frame[0], frame[1]])))
            .collect();
        Ok(wav::to_8_khz(&samples, rate_hz))
    }

    /// Listens for a part of one of these prompts, from what was last listened for on. As the ear
    /// does: another party's codec, and the phone's own, may change samples a little.
    fn listen(
        &mut self,
        prompts: &[Prompt],
        part: impl Fn(&Prompt) -> &[i16],
    ) -> anyhow::Result<()> {
        let cues: Vec<&[i16]> = prompts.iter().map(part).collect();
        let longest = cues.iter().map(|cue| cue.len()).max().unwrap_or(0);
        let names: Vec<&str> = prompts.iter().map(Prompt::name).collect();
        let mut seen = self.listened;
        let end = until(&format!("{} hears {names:?}", self.setup.name), || {
            if self.recording()?.is_none() {
                return Ok(None);
            }
            let heard = self.heard()?;
            let new = heard.get(seen..).unwrap_or_default();
            if new.len() < longest {
                return Ok(None);
            }
            let found = cues.iter().find_map(|cue| {
                let found = similarity(cue, new, new.len());
                (found.score > SAME).then_some(seen + found.lag + cue.len())
            });
            seen = heard.len() - longest;
            Ok(found)
        })?;
        self.listened = end;
        Ok(())
    }

    fn recording(&self) -> anyhow::Result<Option<PathBuf>> {
        for entry in std::fs::read_dir(self.folder.path())? {
            let path = entry?.path();
            if path.to_string_lossy().ends_with("-dec.wav") {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    fn account(&self) -> String {
        let Setup {
            server,
            transport,
            user,
            password,
            codec,
            packet_ms,
            secured,
            answers,
            ..
        } = &self.setup;
        let transport = match transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
            Transport::Ws | Transport::Wss => unreachable!("baresip has no WebSockets"),
        };
        let codec = match codec {
            // Mono inside, although SDP says two channels.
            Codec::Opus => "opus/48000/1".to_owned(),
            // Its clock is told as 8,000, its samples are 16,000.
            Codec::G722 => "G722/16000/1".to_owned(),
            Codec::Pcmu | Codec::Pcma | Codec::L16(_) => {
                format!("{}/{}/1", codec.encoding(), codec.clock_hz())
            }
        };
        let secured = if *secured { ";mediaenc=srtp-mand" } else { "" };
        let mode = if *answers { "auto" } else { "manual" };
        format!(
            "<sip:{user}@{server};transport={transport}>;auth_user={user};auth_pass={password};\
             regint=300;audio_codecs={codec};ptime={packet_ms};answermode={mode}{secured}"
        )
    }

    /// Gives a command and waits for its answer.
    fn command(&mut self, command: &str, params: &str) -> anyhow::Result<()> {
        let token = self.history.len().to_string();
        let text = json!({ "command": command, "params": params, "token": token }).to_string();
        write!(self.control, "{}:{text},", text.len())?;
        let mut events = VecDeque::new();
        loop {
            let message = self.receive()?;
            if message["response"] == true && message["token"] == token {
                ensure!(message["ok"] == true, "{command}: {message}");
                // What happened meanwhile is still to be waited for.
                self.waiting.extend(events);
                return Ok(());
            }
            events.push_back(message);
        }
    }

    fn next(&mut self) -> anyhow::Result<Value> {
        match self.waiting.pop_front() {
            Some(event) => Ok(event),
            None => self.receive(),
        }
    }

    /// The next message from the phone.
    fn receive(&mut self) -> anyhow::Result<Value> {
        let mut buffer = [0; 4_096];
        loop {
            if let Some(message) = self.complete()? {
                self.history.push(message.clone());
                return Ok(message);
            }
            match self.control.read(&mut buffer) {
                Ok(0) => bail!("baresip is gone"),
                Ok(length) => self.read.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => bail!("baresip says nothing: {error}"),
            }
        }
    }

    /// The first whole netstring of what was read.
    fn complete(&mut self) -> anyhow::Result<Option<Value>> {
        let Some(colon) = self.read.iter().position(|byte| *byte == b':') else {
            return Ok(None);
        };
        let length: usize = std::str::from_utf8(&self.read[..colon])?.trim().parse()?;
        let end = colon + 1 + length;
        if self.read.len() <= end {
            return Ok(None);
        }
        let message = serde_json::from_slice(&self.read[colon + 1..end])?;
        self.read.drain(..=end);
        Ok(Some(message))
    }

    /// What the phone said so far, one line each.
    fn told(&self) -> String {
        self.history
            .iter()
            .map(|message| format!("{message}\n"))
            .collect()
    }
}

impl Drop for Baresip {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The phone's configuration. It has no jitter buffer: what a stall of this machine delays is heard
/// late instead of never. It has neither a camera nor a sound card, and stays on loopback.
fn config(
    folder: &Path,
    control: SocketAddr,
    certificate: Option<&Path>,
) -> anyhow::Result<String> {
    let folder = folder.to_str().context("a folder in UTF-8")?;
    let module = ["/usr/lib/baresip/modules", "/usr/local/lib/baresip/modules"];
    let found = module.iter().find(|path| Path::new(path).is_dir());
    let modules = found.context("baresip has no folder of modules")?;
    let certificate = certificate.map(|file| format!("sip_certificate {}\n", file.display()));
    let certificate = certificate.unwrap_or_default();
    Ok(format!(
        "{certificate}\
         poll_method epoll\n\
         net_interface 127.0.0.1\n\
         call_local_timeout 60\n\
         call_max_calls 2\n\
         audio_player aubridge,none\n\
         audio_alert aubridge,none\n\
         audio_source aufile,{folder}/microphone.wav\n\
         ausrc_srate 8000\n\
         auplay_srate 8000\n\
         ausrc_channels 1\n\
         auplay_channels 1\n\
         audio_txmode thread\n\
         jitter_buffer_delay 0-0\n\
         module_path {modules}\n\
         opus_stereo no\n\
         opus_sprop_stereo no\n\
         module g711.so\n\
         module g722.so\n\
         module opus.so\n\
         module l16.so\n\
         module srtp.so\n\
         module aufile.so\n\
         module aubridge.so\n\
         module sndfile.so\n\
         module_tmp uuid.so\n\
         module_tmp account.so\n\
         module_app menu.so\n\
         module_app ctrl_tcp.so\n\
         ctrl_tcp_listen {control}\n\
         snd_path {folder}\n"
    ))
}
