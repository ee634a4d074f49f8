//! Many browsers at once, as far as a server sees them: SIP over a WebSocket each, ICE, DTLS and SRTP by
//! `str0m`, a socket each, and audio both ways. One thread has all of them.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use media::resample::Resampler;
use media::rtp::is_rtcp;
use media::{Codec, Encoder, OpusParams, Rate, webrtc};
use mio::net::{TcpStream, UdpSocket};
use mio::{Events, Interest, Poll, Token};
use server::net::websocket::{Event as Frame, WebSocket};
use sip::Credentials;
use sip::auth::{Challenge, Client};
use sip::message::{HeaderName, Message, Method, Response, parse};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::media::{Direction, MediaKind, MediaTime, Mid};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};
use vocab::{Pii, Rng};

/// Time of a frame of audio.
const FRAME: Duration = Duration::from_millis(20);

/// Shortest time between two turns of a browser.
const LEAST: Duration = Duration::from_micros(500);

/// Longest time between two of them.
const LONGEST: Duration = Duration::from_secs(1);

/// Longest wait for something to come.
const TURN: Duration = Duration::from_millis(1);

/// A browser that has heard nothing by then has failed.
pub const JOIN_PATIENCE: Duration = Duration::from_secs(20);

/// Longest datagram.
const DATAGRAM_BYTES: usize = 2_048;

/// Sockets told of at once.
const EVENTS: usize = 1_024;

/// Tells those of one process apart.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// What browsers do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The server's HTTP address, where `/sip` is.
    pub server: SocketAddr,
    /// Whom they call.
    pub number: &'static str,
    /// As whom, with the password; without one they are strangers.
    pub user: Option<(&'static str, &'static str)>,
    /// The only codec they offer: µ-law or Opus.
    pub codec: Codec,
    /// What they say, 8,000 samples a second, again and again.
    pub speech: Arc<[i16]>,
    /// What is made of each offer before it is sent: honest browsers leave it as it is.
    pub mangle: fn(String) -> String,
}

/// The browsers.
pub struct Browsers {
    plan: Plan,
    poll: Poll,
    rng: Rng,
    all: Vec<Browser>,
    /// When one wants its turn.
    agenda: BTreeSet<(Instant, usize)>,
    /// What is said, frame by frame.
    frames: Vec<Arc<[u8]>>,
}

impl std::fmt::Debug for Browsers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} browsers", self.all.len())
    }
}

struct Browser {
    name: String,
    rtc: Rtc,
    udp: UdpSocket,
    at: SocketAddr,
    tcp: TcpStream,
    websocket: WebSocket,
    unsent: Vec<u8>,
    state: State,
    begun: Instant,
    due: Instant,
    mid: Mid,
    expected: bool,
    /// Frames that it has said, and packets that it has heard.
    said: u64,
    heard: u64,
    cseq: u32,
    offer: String,
    authorization: Option<String>,
    dialog: Dialog,
}

#[derive(Default)]
struct Dialog {
    to: String,
    target: String,
}

enum State {
    Calling(Option<SdpPendingOffer>),
    Answered,
    /// It hears; after so long.
    Joined(Duration),
    Leaving,
    Gone,
    Failed(String),
}

/// How many there are in each state.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Standing {
    /// Those that hear something, each with the seconds that took from its first packet on.
    pub joined: Vec<f64>,
    /// Those that are on their way.
    pub waiting: usize,
    /// Those that came to nothing, and why.
    pub failed: Vec<String>,
}

impl Browsers {
    /// No browsers yet.
    ///
    /// # Errors
    /// If the system gives no poll.
    pub fn new(plan: Plan) -> anyhow::Result<Self> {
        let frames = frames(plan.codec, &plan.speech);
        Ok(Self {
            plan,
            poll: Poll::new()?,
            // Another one than that of other browsers of this process: names must differ.
            rng: Rng::from_u64(
                u64::from(std::process::id()) << 32 | NEXT.fetch_add(1, Ordering::Relaxed),
            ),
            all: Vec::new(),
            agenda: BTreeSet::new(),
            frames,
        })
    }

    /// One more begins to call.
    ///
    /// # Errors
    /// If it gets no sockets.
    pub fn add(&mut self) -> anyhow::Result<()> {
        let index = self.all.len();
        let mut udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let at = udp.local_addr()?;
        let mut tcp = TcpStream::connect(self.plan.server)?;
        let registry = self.poll.registry();
        registry.register(&mut udp, Token(2 * index), Interest::READABLE)?;
        let both = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut tcp, Token(2 * index + 1), both)?;
        let begun = Instant::now();
        let config = RtcConfig::new().clear_codecs();
        let config = match self.plan.codec {
            Codec::Opus => config.enable_opus(true, false),
            Codec::Pcmu => config.enable_pcmu(true, false),
            Codec::Pcma | Codec::G722 | Codec::L16(_) => bail!("browsers of this tool have it not"),
        };
        let mut rtc = config.build(begun);
        rtc.add_local_candidate(Candidate::host(at, "udp")?);
        let mut api = rtc.sdp_api();
        let mid = api.add_media(MediaKind::Audio, Direction::SendRecv, None, None, None);
        let (offer, pending) = api.apply().context("an offer")?;
        let host = self.plan.server.to_string();
        self.all.push(Browser {
            name: self.rng.token(12),
            rtc,
            udp,
            at,
            tcp,
            websocket: WebSocket::client(&host, "/sip", self.rng.fork()),
            unsent: Vec::new(),
            state: State::Calling(Some(pending)),
            begun,
            due: begun,
            mid,
            expected: false,
            said: 0,
            heard: 0,
            cseq: 0,
            offer: (self.plan.mangle)(offer.to_sdp_string()),
            authorization: None,
            dialog: Dialog::default(),
        });
        self.agenda.insert((begun, index));
        Ok(())
    }

    /// Goes on for a while; more come at this rate (a second) until there are `count`.
    ///
    /// # Errors
    /// If one gets no sockets.
    pub fn run(&mut self, time: Duration, (count, rate): (usize, f64)) -> anyhow::Result<()> {
        let (begun, first) = (Instant::now(), self.all.len());
        let mut events = Events::with_capacity(EVENTS);
        while begun.elapsed() < time {
            let owed = first + (begun.elapsed().as_secs_f64() * rate) as usize;
            if self.all.len() < count.min(owed) {
                self.add()?;
            }
            self.turn(&mut events)?;
        }
        Ok(())
    }

    /// All hang up, and are waited for.
    ///
    /// # Errors
    /// If the system fails.
    pub fn leave(&mut self, patience: Duration) -> anyhow::Result<()> {
        for index in 0..self.all.len() {
            self.bye(index);
        }
        let begun = Instant::now();
        let mut events = Events::with_capacity(EVENTS);
        let leaving = |it: &Browser| matches!(it.state, State::Leaving);
        while self.all.iter().any(leaving) && begun.elapsed() < patience {
            self.turn(&mut events)?;
        }
        let left = self.all.iter().filter(|it| leaving(it)).count();
        ensure!(left == 0, "{left} got no answer to their BYE");
        Ok(())
    }

    /// How they stand.
    pub fn standing(&self) -> Standing {
        let mut standing = Standing::default();
        for browser in &self.all {
            match &browser.state {
                State::Joined(after) => standing.joined.push(after.as_secs_f64()),
                State::Calling(_) | State::Answered => standing.waiting += 1,
                State::Failed(why) => standing.failed.push(why.clone()),
                State::Leaving | State::Gone => {}
            }
        }
        standing
    }

    /// Packets that have been heard so far, by all.
    pub fn heard(&self) -> u64 {
        self.all.iter().map(|browser| browser.heard).sum()
    }

    fn turn(&mut self, events: &mut Events) -> anyhow::Result<()> {
        let now = Instant::now();
        let first = self.agenda.first().map(|(due, _)| *due);
        let wait = first.map_or(TURN, |due| due.saturating_duration_since(now).min(TURN));
        if let Err(error) = self.poll.poll(events, Some(wait))
            && error.kind() != ErrorKind::Interrupted
        {
            return Err(error.into());
        }
        let came: Vec<usize> = events.iter().map(|event| event.token().0).collect();
        for token in came {
            let index = token / 2;
            let done = if token.is_multiple_of(2) {
                self.datagrams(index)
            } else {
                self.signalling(index)
            };
            self.note(index, done);
        }
        let now = Instant::now();
        while let Some((due, index)) = self.agenda.first().copied()
            && due <= now
        {
            self.agenda.pop_first();
            let done = self.due(index, now);
            self.note(index, done);
        }
        Ok(())
    }

    /// What went wrong is the end of a browser, not of the others.
    fn note(&mut self, index: usize, done: anyhow::Result<()>) {
        let browser = &mut self.all[index];
        let over = matches!(browser.state, State::Gone | State::Failed(_));
        if let Err(error) = done
            && !over
        {
            browser.state = State::Failed(format!("{error:#}"));
        }
    }

    /// Something is due: a timer of `str0m`, a frame to say, or its patience.
    fn due(&mut self, index: usize, now: Instant) -> anyhow::Result<()> {
        let browser = &mut self.all[index];
        if matches!(browser.state, State::Gone | State::Failed(_)) {
            return Ok(());
        }
        let joining = matches!(browser.state, State::Calling(_) | State::Answered);
        if joining && now.duration_since(browser.begun) > JOIN_PATIENCE {
            let what = if matches!(browser.state, State::Answered) {
                "it was answered and heard nothing"
            } else {
                "it got no answer"
            };
            bail!(what);
        }
        browser.rtc.handle_input(Input::Timeout(now))?;
        if browser.rtc.is_connected() {
            browser.say(now, &self.frames)?;
        }
        self.drain(index, now)
    }

    fn datagrams(&mut self, index: usize) -> anyhow::Result<()> {
        let mut bytes = [0; DATAGRAM_BYTES];
        loop {
            let now = Instant::now();
            let browser = &mut self.all[index];
            let (count, source) = match browser.udp.recv_from(&mut bytes) {
                Ok(came) => came,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // An ICMP error of an earlier datagram.
                Err(_) => continue,
            };
            browser.expect(&bytes[..count]);
            let Ok(contents) = bytes[..count].try_into() else {
                continue;
            };
            let receive = Receive {
                proto: Protocol::Udp,
                source,
                destination: browser.at,
                contents,
            };
            browser.rtc.handle_input(Input::Receive(now, receive))?;
            self.drain(index, now)?;
        }
    }

    /// Does what `str0m` asks for.
    fn drain(&mut self, index: usize, now: Instant) -> anyhow::Result<()> {
        let browser = &mut self.all[index];
        loop {
            match browser.rtc.poll_output()? {
                Output::Timeout(at) => {
                    let frame = browser.rtc.is_connected().then(|| browser.next_frame());
                    let due = frame.map_or(at, |frame| frame.min(at));
                    // Its own patience ends at some time, too.
                    let due = due.min(now + LONGEST).max(now + LEAST);
                    self.agenda.remove(&(browser.due, index));
                    browser.due = due;
                    self.agenda.insert((due, index));
                    return Ok(());
                }
                // What the system drops is lost, as on any network.
                Output::Transmit(packet) => {
                    drop(browser.udp.send_to(&packet.contents, packet.destination));
                }
                Output::Event(Event::MediaData(_)) => {
                    browser.heard += 1;
                    if matches!(browser.state, State::Answered) {
                        browser.state = State::Joined(now.duration_since(browser.begun));
                    }
                }
                Output::Event(_) => {}
            }
        }
    }

    fn signalling(&mut self, index: usize) -> anyhow::Result<()> {
        let mut bytes = [0; 16 << 10];
        let mut frames = Vec::new();
        let browser = &mut self.all[index];
        browser.flush()?;
        loop {
            match browser.tcp.read(&mut bytes) {
                Ok(0) => bail!("the server closed its connection"),
                Ok(count) => {
                    let read = browser.websocket.receive(&bytes[..count], &mut frames);
                    read.map_err(anyhow::Error::msg)?;
                }
                Err(error) if is_later(&error) => break,
                Err(error) => return Err(error.into()),
            }
        }
        for frame in frames {
            match frame {
                Frame::Opened => self.invite(index)?,
                Frame::Message(text) => self.message(index, &text)?,
                Frame::Closed => bail!("the server closed its WebSocket"),
            }
        }
        self.all[index].flush()
    }

    fn invite(&mut self, index: usize) -> anyhow::Result<()> {
        let uri = self.uri();
        let user = self.plan.user.map_or("stranger", |(user, _)| user);
        let browser = &mut self.all[index];
        browser.cseq += 1;
        let authorization = browser
            .authorization
            .take()
            .map_or_else(String::new, |value| format!("Authorization: {value}\r\n"));
        let (name, cseq, offer) = (&browser.name, browser.cseq, &browser.offer);
        let text = format!(
            "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/WS {name}.invalid;branch=z9hG4bK{name}{cseq}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{user}@load>;tag={name}\r\nTo: <{uri}>\r\n\
             Call-ID: {name}\r\nCSeq: {cseq} INVITE\r\n\
             Contact: <sip:{user}@{name}.invalid;transport=ws>\r\n{authorization}\
             Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{offer}",
            offer.len()
        );
        browser.websocket.send(text.as_bytes());
        browser.flush()
    }

    fn uri(&self) -> String {
        format!("sip:{}@{}", self.plan.number, self.plan.server)
    }

    fn message(&mut self, index: usize, text: &[u8]) -> anyhow::Result<()> {
        let message = parse(text).map_err(|error| anyhow::anyhow!("{error:?}"))?;
        let response = match message {
            Message::Response(response) => response,
            Message::Request(request) => {
                let gone = request.method == Method::Bye;
                let browser = &mut self.all[index];
                browser.answer(&String::from_utf8_lossy(text));
                if gone && !matches!(browser.state, State::Leaving) {
                    bail!("the server hung up");
                }
                browser.state = State::Gone;
                return Ok(());
            }
        };
        let cseq = response.headers.cseq().ok().context("a number")?;
        match (cseq.method, response.status) {
            (_, ..200) => Ok(()),
            (Method::Invite, 401) if cseq.number == 1 => {
                self.ack(index, &response);
                let (user, password) = self.plan.user.context("strangers are refused")?;
                let challenge = response.headers.first(&HeaderName::WwwAuthenticate);
                let challenge = Challenge::parse(challenge.context("a challenge")?);
                let challenge = challenge.map_err(|error| anyhow::anyhow!("{error:?}"))?;
                let own = Credentials {
                    user: user.to_owned(),
                    password: Pii::new(password.to_owned()),
                };
                let uri = self.uri();
                let answer =
                    Client::new(challenge).answer(&mut self.rng, &Method::Invite, &uri, &own);
                self.all[index].authorization = Some(answer);
                self.invite(index)
            }
            (Method::Invite, 200..300) => {
                self.ack(index, &response);
                let browser = &mut self.all[index];
                let State::Calling(pending) = &mut browser.state else {
                    // Our confirmation was slow.
                    return Ok(());
                };
                let pending = pending.take().context("one answer")?;
                let answer = String::from_utf8_lossy(&response.body);
                let answer = SdpAnswer::from_sdp_string(&answer)?;
                browser.rtc.sdp_api().accept_answer(pending, answer)?;
                browser.state = State::Answered;
                self.due(index, Instant::now())
            }
            (Method::Invite, status) => bail!("it was answered {status}"),
            (Method::Bye, _) => {
                self.all[index].state = State::Gone;
                Ok(())
            }
            (_, _) => Ok(()),
        }
    }

    /// Confirms an answer, and remembers where it is from.
    fn ack(&mut self, index: usize, response: &Response) {
        let uri = self.uri();
        let browser = &mut self.all[index];
        let to = response.headers.first(&HeaderName::To).unwrap_or_default();
        let contact = response.headers.first(&HeaderName::Contact);
        let contact = contact.map(|it| it.split(['<', '>']).nth(1).unwrap_or(it));
        browser.dialog = Dialog {
            to: to.to_owned(),
            target: contact.unwrap_or(&uri).to_owned(),
        };
        let user = self.plan.user.map_or("stranger", |(user, _)| user);
        // That of a refusal belongs to its transaction (RFC 3261 §17.1.1.3).
        let branch = if response.status < 300 { "a" } else { "" };
        browser.within("ACK", user, browser.cseq, branch);
    }

    fn bye(&mut self, index: usize) {
        let user = self.plan.user.map_or("stranger", |(user, _)| user);
        let browser = &mut self.all[index];
        if matches!(browser.state, State::Joined(_) | State::Answered) {
            browser.state = State::Leaving;
            browser.cseq += 1;
            browser.within("BYE", user, browser.cseq, "b");
            drop(browser.flush());
        }
    }
}

impl Browser {
    /// The server's description does not name its stream, and `str0m` finds none by its payload type alone.
    fn expect(&mut self, datagram: &[u8]) {
        let media = webrtc::kind(datagram) == webrtc::Kind::Media && !is_rtcp(datagram);
        if media
            && !self.expected
            && let Some(ssrc) = datagram.get(8..12)
        {
            self.expected = true;
            let ssrc = ssrc.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
            let mut api = self.rtc.direct_api();
            api.expect_stream_rx(ssrc.into(), None, self.mid, None);
        }
    }

    /// When its next frame is to be said.
    fn next_frame(&self) -> Instant {
        self.begun + FRAME * u32::try_from(self.said).unwrap_or(u32::MAX)
    }

    /// Says what is due.
    fn say(&mut self, now: Instant, frames: &[Arc<[u8]>]) -> anyhow::Result<()> {
        if self.said == 0 {
            // It begins now, wherever the others are.
            self.said = (now.duration_since(self.begun).as_millis() / FRAME.as_millis()) as u64;
        }
        while self.next_frame() <= now {
            let writer = self.rtc.writer(self.mid).context("a way for audio")?;
            let params = writer.payload_params().next().context("a codec")?;
            let (pt, clock) = (params.pt(), params.spec().clock_rate);
            let samples = self.said * u64::from(clock.get()) / 50;
            let frame = &frames[self.said as usize % frames.len()];
            let time = MediaTime::new(samples, clock);
            writer.write(pt, now, time, Arc::clone(frame))?;
            self.said += 1;
        }
        Ok(())
    }

    fn within(&mut self, method: &str, user: &str, cseq: u32, branch: &str) {
        let (name, Dialog { to, target }) = (&self.name, &self.dialog);
        let text = format!(
            "{method} {target} SIP/2.0\r\n\
             Via: SIP/2.0/WS {name}.invalid;branch=z9hG4bK{name}{cseq}{branch}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{user}@load>;tag={name}\r\nTo: {to}\r\n\
             Call-ID: {name}\r\nCSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n"
        );
        self.websocket.send(text.as_bytes());
    }

    /// Says yes to whatever the server asks for.
    fn answer(&mut self, request: &str) {
        let head = request.split("\r\n\r\n").next().unwrap_or_default();
        let same = ["via:", "from:", "to:", "call-id:", "cseq:"];
        let lines = head.lines().filter(|line| {
            let line = line.to_ascii_lowercase();
            same.iter().any(|name| line.starts_with(name))
        });
        let lines: Vec<&str> = lines.collect();
        let text = format!(
            "SIP/2.0 200 OK\r\n{}\r\nContent-Length: 0\r\n\r\n",
            lines.join("\r\n")
        );
        self.websocket.send(text.as_bytes());
    }

    /// Hands the kernel as much as it takes; the rest goes when it says that it takes more.
    fn flush(&mut self) -> anyhow::Result<()> {
        self.unsent.extend(self.websocket.take_out());
        while !self.unsent.is_empty() {
            match self.tcp.write(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if is_later(&error) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

fn is_later(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::NotConnected
    )
}

/// What is said, encoded in frames.
fn frames(codec: Codec, speech: &[i16]) -> Vec<Arc<[u8]>> {
    let rate = codec.rate(OpusParams::default());
    let mut encoder = Encoder::new(codec, OpusParams::default());
    let mut raise = (rate != Rate::Narrow).then(|| Resampler::new(Rate::Narrow, rate));
    let frame = |samples: &[i16]| {
        let mut full = vec![0; rate.frame()];
        match &mut raise {
            Some(raise) => raise.push(samples, &mut full),
            None => full.copy_from_slice(samples),
        }
        let mut bytes = [0; 1_500];
        let count = encoder.encode(&full, &mut bytes);
        Arc::from(&bytes[..count])
    };
    let frames: Vec<Arc<[u8]>> = speech.chunks_exact(160).map(frame).collect();
    // What is not sent in silence, the one before stands for.
    let spoken = frames.iter().filter(|frame| !frame.is_empty());
    spoken.cloned().collect()
}
