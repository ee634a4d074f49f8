//! The real binary as a process: a folder with a configuration, `jackfield serve`, its log.
//!
//! Waits are on what the server says, never on time alone.

// A test reads its surroundings: the folder of the built plugins.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use crate::{peers, stalls};

/// Longest wait for anything: far more than it takes, so that only a fault reaches it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A folder that is removed with its contents when dropped.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// A new empty folder for a test of this name.
    ///
    /// # Panics
    /// If the system gives none.
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("jackfield-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&path));
        std::fs::create_dir_all(&path).expect("a temporary folder");
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// The `jackfield` binary that cargo built beside this test.
///
/// # Errors
/// If it is missing, with the command that builds it.
pub fn binary() -> anyhow::Result<PathBuf> {
    let test = std::env::current_exe()?;
    // target/debug/deps/test-… or target/debug/bin.
    let mut folder = test.parent().context("a test lies in a folder")?;
    if folder.ends_with("deps") {
        folder = folder.parent().context("deps lies in a folder")?;
    }
    let binary = folder.join("jackfield");
    ensure!(
        binary.exists(),
        "{} is missing: run `cargo build -p jackfield-server`",
        binary.display()
    );
    Ok(binary)
}

/// A built plugin by package name.
///
/// # Errors
/// If it is missing, with the command that builds it.
pub fn guest(name: &str) -> anyhow::Result<PathBuf> {
    let folder = match std::env::var_os("JACKFIELD_GUESTS") {
        Some(folder) => PathBuf::from(folder),
        None => binary()?
            .parent()
            .and_then(Path::parent)
            .context("the target folder")?
            .join("guests"),
    };
    let file = folder.join(format!("{name}.wasm"));
    ensure!(
        file.exists(),
        "{} is missing: run `cargo xtask plugins`",
        file.display()
    );
    Ok(file)
}

/// A line of `[media]` for every server: how it reads its sockets of audio, by the variable
/// `JACKFIELD_IO` ("sweep", "epoll" or "io_uring"). Without it, as the server likes.
pub fn media_io() -> String {
    let way = std::env::var_os("JACKFIELD_IO").map(|way| format!("io = {way:?}\n"));
    way.unwrap_or_default()
}

/// The project's folder of this name.
pub fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// A UDP and TCP port that is free on loopback now.
///
/// # Panics
/// If loopback has none.
pub fn free_port() -> u16 {
    loop {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port");
        let port = socket.local_addr().expect("bound").port();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// A UDP and TCP port for another program, which binds it later, with some that follow it: below
/// those that the system gives away by itself, and each only once in this process. sipp binds its
/// media port, the next one and the two behind that for video.
///
/// # Panics
/// If there is none.
pub fn port_to_hand_over() -> u16 {
    const STRETCH: u16 = 8;
    static TURN: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 60).expect("below 60") * 96;
    for _ in 0..750u16 {
        let turn = TURN.fetch_add(STRETCH, Ordering::Relaxed) % 6_000;
        let port = 26_000 + (first + turn) % 6_000;
        let free = |port: u16| {
            let at = (Ipv4Addr::LOCALHOST, port);
            UdpSocket::bind(at).is_ok() && TcpListener::bind(at).is_ok()
        };
        if (port..port + STRETCH).all(free) {
            return port;
        }
    }
    panic!("no free port on loopback");
}

/// A stretch of `count` UDP ports, starting even, that is free on loopback now.
///
/// # Panics
/// If there is none.
pub fn free_range(count: u16) -> (u16, u16) {
    // Tests of one process take turns, those of others start elsewhere.
    static TURN: AtomicU16 = AtomicU16::new(0);
    let seed = std::process::id() % 97;
    for _ in 0..200u16 {
        let turn = u32::from(TURN.fetch_add(1, Ordering::Relaxed) % 100);
        let offset = (seed * 131 + turn * (u32::from(count) + 10)) % 15_000;
        let first = 10_000 + u16::try_from(offset / 2 * 2).expect("below 15,000");
        let last = first + count - 1;
        if (first..=last).all(|port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok()) {
            return (first, last);
        }
    }
    panic!("no stretch of {count} free UDP ports on loopback");
}

/// What a test server is started with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Name of its folder.
    pub name: String,
    /// RTP ports, two a call.
    pub rtp_ports: u16,
    /// Plugins copied into its folder, by package name.
    pub plugins: Vec<String>,
    /// Where it signals and sends audio.
    pub ip: IpAddr,
    /// Phones that connect to it by WebSockets are browsers.
    pub browsers: bool,
    /// Further keys of `[sip]`.
    pub sip: String,
    /// The same for `[media]`.
    pub media: String,
    /// The same for `[http]`.
    pub http: String,
    /// TOML of the tenants, appended to the sockets' part. `@PROMPTS@` is the demo's prompts.
    pub tenants: String,
    /// Further files of the folder, by name.
    pub files: BTreeMap<String, String>,
    /// Environment.
    pub env: BTreeMap<String, String>,
    /// What the server's command line is given to, such as `unshare`; it must become the server.
    pub before: Vec<String>,
}

impl Setup {
    /// The demo: its menu on 1000, hello on 1010, phones 1001 and 1002.
    ///
    /// # Panics
    /// If the demo's files cannot be read.
    pub fn demo(name: &str) -> Self {
        let menu = std::fs::read_to_string(project("examples/demo/menu.toml")).expect("the menu");
        let demo =
            std::fs::read_to_string(project("examples/demo/jackfield.toml")).expect("the demo");
        let tenants = demo.find("[[tenant]]").expect("the demo has a tenant");
        let env = [("PHONE_1001", "secret-one"), ("PHONE_1002", "secret-two")];
        Self {
            name: name.to_owned(),
            rtp_ports: 80,
            plugins: vec!["ivr-menu".to_owned(), "hello-ivr".to_owned()],
            ip: Ipv4Addr::LOCALHOST.into(),
            browsers: false,
            sip: String::new(),
            media: String::new(),
            http: String::new(),
            tenants: demo[tenants..].to_owned(),
            files: BTreeMap::from([("menu.toml".to_owned(), menu)]),
            env: env
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            before: Vec::new(),
        }
    }
}

/// A running server. Killed when dropped.
#[derive(Debug)]
pub struct Server {
    /// Its folder: configuration, plugins, data.
    pub folder: Folder,
    /// Where it takes calls.
    pub sip: SocketAddr,
    /// Where it serves HTTP.
    pub http: SocketAddr,
    setup: Setup,
    child: Child,
    /// Behind a lock only so that threads may share the server.
    lines: Mutex<Receiver<String>>,
    /// Every line of its log so far.
    pub log: Vec<String>,
}

/// Ports for browsers that are kept free behind those of RTP: one for each thread.
const BROWSER_PORTS: u16 = 4;

/// The bearer token of test servers.
pub const TOKEN: &str = "test-token";

impl Server {
    /// Starts a server and waits until it serves and has loaded its plugins.
    ///
    /// # Errors
    /// What it said when it did not come up.
    pub fn start(setup: Setup) -> anyhow::Result<Self> {
        stalls::watch();
        let folder = Folder::new(&setup.name);
        let sip = SocketAddr::new(setup.ip, free_port());
        let http = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        // A thread for audio takes one more for browsers.
        let (first, last) = free_range(setup.rtp_ports + BROWSER_PORTS);
        let last = last - BROWSER_PORTS;
        let webrtc_port = if setup.browsers { last + 1 } else { 0 };
        let prompts = project("examples/demo/prompts");
        let head = format!(
            "data_dir = \"data\"\nprompts_dir = \"{}\"\n\
             [sip]\nudp = \"{sip}\"\ntcp = \"{sip}\"\n{}\n\
             [media]\nrtp_ports = \"{first}-{last}\"\nwebrtc_port = {webrtc_port}\n{}{}\n\
             [plugins]\ndir = \"plugins\"\n\
             [http]\nbind = \"{http}\"\ntoken_env = \"JACKFIELD_TOKEN\"\n{}\n\
             [log]\njson = true\n\n",
            prompts.display(),
            setup.sip,
            media_io(),
            setup.media,
            setup.http
        );
        let plugins = folder.path().join("plugins");
        std::fs::create_dir_all(&plugins)?;
        for plugin in &setup.plugins {
            std::fs::copy(guest(plugin)?, plugins.join(format!("{plugin}.wasm")))?;
        }
        std::fs::write(folder.path().join("jackfield.toml"), head + &setup.tenants)?;
        for (name, text) in &setup.files {
            std::fs::write(folder.path().join(name), text)?;
        }
        let (child, lines) = spawn(&folder, &setup)?;
        let mut server = Self {
            folder,
            sip,
            http,
            setup,
            child,
            lines: Mutex::new(lines),
            log: Vec::new(),
        };
        server.wait_for("\"serving\"")?;
        Ok(server)
    }

    /// Kills the process without a word and starts it again on the same folder.
    ///
    /// # Errors
    /// What it said when it did not come up.
    pub fn kill_and_restart(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        let (child, lines) = spawn(&self.folder, &self.setup)?;
        self.child = child;
        self.lines = Mutex::new(lines);
        self.log.clear();
        self.wait_for("\"serving\"")?;
        Ok(())
    }

    /// Waits for a log line that contains `text`, from now on; gives it.
    ///
    /// # Errors
    /// If the server ended or said nothing of the kind for [`PATIENCE`].
    pub fn wait_for(&mut self, text: &str) -> anyhow::Result<String> {
        loop {
            let Ok(line) = self.lines().recv_timeout(PATIENCE) else {
                bail!(
                    "the server never said {text:?}; its log:\n{}",
                    self.log.join("\n")
                );
            };
            self.log.push(line.clone());
            if line.contains(text) {
                return Ok(line);
            }
        }
    }

    /// Takes in what was logged so far.
    pub fn read_log(&mut self) -> &[String] {
        while let Ok(line) = self.lines().try_recv() {
            self.log.push(line);
        }
        &self.log
    }

    fn lines(&mut self) -> &mut Receiver<String> {
        self.lines
            .get_mut()
            .expect("nothing panics while it holds the log")
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name, such as `TERM`.
    ///
    /// # Errors
    /// If `kill` could not be run.
    pub fn signal(&self, name: &str) -> anyhow::Result<()> {
        let status = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status()?;
        ensure!(status.success(), "kill -s {name} failed");
        Ok(())
    }

    /// Waits for the process to end, reading its log meanwhile.
    ///
    /// # Errors
    /// If it does not end within [`PATIENCE`].
    pub fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        // The log ends when the process does.
        loop {
            match self.lines().recv_timeout(PATIENCE) {
                Ok(line) => self.log.push(line),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => bail!("it does not end"),
            }
        }
        Ok(self.child.wait()?)
    }

    /// GET with the token: status and body.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn get(&self, path: &str) -> anyhow::Result<(u16, Vec<u8>)> {
        request(self.http, "GET", path, Some(TOKEN))
    }

    /// POST of JSON with the token: status and what is answered.
    ///
    /// # Errors
    /// If there is no answer, or it is not JSON.
    pub fn post(
        &self,
        path: &str,
        body: &serde_json::Value,
    ) -> anyhow::Result<(u16, serde_json::Value)> {
        let body = body.to_string();
        let answer = exchange(self.http, "POST", path, Some(TOKEN), &body)?;
        let (status, answer) = parted(&answer)?;
        Ok((status, serde_json::from_slice(&answer)?))
    }

    /// Status line and fields of the answer to a HEAD with the token.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn head(&self, path: &str) -> anyhow::Result<String> {
        let answer = exchange(self.http, "HEAD", path, Some(TOKEN), "")?;
        Ok(String::from_utf8(answer)?)
    }

    /// GET of JSON.
    ///
    /// # Errors
    /// If the answer is not 200 with JSON.
    pub fn json(&self, path: &str) -> anyhow::Result<serde_json::Value> {
        let (status, body) = self.get(path)?;
        ensure!(
            status == 200,
            "{path}: {status} {}",
            String::from_utf8_lossy(&body)
        );
        Ok(serde_json::from_slice(&body)?)
    }

    /// All call records, newest first, once none is active: the last events of a call are on disk
    /// within 200 ms of its end.
    ///
    /// # Errors
    /// If one stays active, or the API does not answer.
    pub fn calls(&self) -> anyhow::Result<Vec<serde_json::Value>> {
        // Each try is a request of about a millisecond.
        for _ in 0..20_000 {
            let page = self.json("/api/v1/calls?limit=1000")?;
            let items = page["items"].as_array().context("calls are a list")?;
            if items.iter().all(|call| call["disposition"] != "active") {
                return Ok(items.clone());
            }
        }
        bail!("a call stays active")
    }

    /// A metric's value, without labels or with them as written.
    ///
    /// # Errors
    /// If it is not there.
    pub fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let (_, body) = self.get("/metrics")?;
        let text = String::from_utf8(body)?;
        let line = text.lines().find_map(|line| {
            let (found, value) = line.rsplit_once(' ')?;
            (found == name).then(|| value.parse().ok()).flatten()
        });
        line.with_context(|| format!("no metric {name} in:\n{text}"))
    }

    /// The test phone with these arguments; its JSON.
    ///
    /// # Errors
    /// If it could not be run or printed no JSON.
    pub fn call(&self, number: &str, args: &[&str]) -> anyhow::Result<serde_json::Value> {
        self.call_to(&format!("sip:{number}@{}", self.sip), args)
    }

    /// The same, to any address.
    ///
    /// # Errors
    /// If it could not be run or printed no JSON.
    pub fn call_to(&self, uri: &str, args: &[&str]) -> anyhow::Result<serde_json::Value> {
        let output = self.phone_to(uri, args)?.wait_with_output()?;
        serde_json::from_slice(&output.stdout).with_context(|| {
            format!(
                "the phone said: {}",
                String::from_utf8_lossy(&output.stderr)
            )
        })
    }

    /// The test phone, started.
    ///
    /// # Errors
    /// If it could not be run.
    pub fn phone(&self, number: &str, args: &[&str]) -> anyhow::Result<Child> {
        self.phone_to(&format!("sip:{number}@{}", self.sip), args)
    }

    fn phone_to(&self, uri: &str, args: &[&str]) -> anyhow::Result<Child> {
        let mut command = Command::new(binary()?);
        command
            .args(["call", uri, "--json"])
            .args(args)
            .envs(&self.setup.env)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok(peers::spawn(&mut command)?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn spawn(folder: &Folder, setup: &Setup) -> anyhow::Result<(Child, Receiver<String>)> {
    let binary = binary()?;
    let mut command = match setup.before.split_first() {
        Some((first, rest)) => {
            let mut command = Command::new(first);
            command.args(rest).arg(binary);
            command
        }
        None => Command::new(binary),
    };
    command
        .args(["serve", "--config", "jackfield.toml"])
        .current_dir(folder.path())
        .env("JACKFIELD_TOKEN", TOKEN)
        .envs(&setup.env)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = peers::spawn(&mut command)?;
    let stderr = child.stderr.take().context("it was asked for")?;
    // More than any test makes a server say; past it the pipe fills and the server waits.
    let (sender, lines) = sync_channel(100_000);
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    Ok((child, lines))
}

/// The one line with which a server that could not do what it was asked complains.
///
/// # Panics
/// If it did not fail, or said more or less than a line.
pub fn complaint(output: &Output) -> String {
    assert!(!output.status.success(), "it must fail");
    let text = String::from_utf8_lossy(&output.stderr);
    // Warnings of the log may stand before it.
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.contains(" WARN "))
        .collect();
    assert_eq!(lines.len(), 1, "one line, not: {text}");
    lines[0].to_owned()
}

/// One HTTP request: status and body.
///
/// # Errors
/// If there is no proper answer.
pub fn request(
    to: SocketAddr,
    method: &str,
    path: &str,
    token: Option<&str>,
) -> anyhow::Result<(u16, Vec<u8>)> {
    parted(&exchange(to, method, path, token, "")?)
}

/// Status and body of an answer.
fn parted(answer: &[u8]) -> anyhow::Result<(u16, Vec<u8>)> {
    let head = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .context("an answer has a head")?;
    let status = std::str::from_utf8(&answer[..head])?
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .context("an answer has a status")?;
    let chunked = String::from_utf8_lossy(&answer[..head])
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked");
    let body = &answer[head + 4..];
    Ok((
        status,
        if chunked {
            unchunk(body)?
        } else {
            body.to_vec()
        },
    ))
}

/// Sends a request, with JSON unless that is empty, and reads all that comes back.
fn exchange(
    to: SocketAddr,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: &str,
) -> anyhow::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let auth = token
        .map(|token| format!("Authorization: Bearer {token}\r\n"))
        .unwrap_or_default();
    let kind = if body.is_empty() {
        ""
    } else {
        "Content-Type: application/json\r\n"
    };
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {to}\r\n{auth}{kind}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

fn unchunk(mut body: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let end = body
            .windows(2)
            .position(|w| w == b"\r\n")
            .context("a chunk has a length")?;
        let length = usize::from_str_radix(std::str::from_utf8(&body[..end])?.trim(), 16)?;
        if length == 0 {
            return Ok(whole);
        }
        ensure!(body.len() >= end + 4 + length, "a chunk is whole");
        whole.extend_from_slice(&body[end + 2..end + 2 + length]);
        body = &body[end + 4 + length..];
    }
}
