//! `cargo xtask demo`: from a fresh clone to a first call.

use std::fs;
use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::step::{Steps, cargo, execute, root, target_dir};
use crate::{http, peers, plugins};

/// Options and examples.
pub(crate) const HELP: &str = "\
Usage: cargo xtask demo [--once] [--profile NAME]

Builds the server and the plugins, starts a demo server on this machine, calls its menu once with
the built-in test phone, prints what was said on the wire and in the menu, and keeps serving until
Ctrl-C. Passwords and the API token are random and new in each run; nothing listens beyond
127.0.0.1. Everything it writes is under target/demo.

  --once            stop after the call
  --profile NAME    build with this profile instead of release

Examples:
  cargo xtask demo
  cargo xtask demo --once --profile dev
";

/// Where the demo's own configuration is kept.
const STORY: &str = "examples/demo";

/// The plugins of the demo; the tests have more, which misbehave on purpose.
const PLUGINS: &[&str] = &["ivr-menu", "hello-ivr"];

/// The addresses in the demo's configuration, replaced where the ports are taken.
const SIP_PORT: u16 = 5060;
const HTTP_PORT: u16 = 8080;

/// The port that browsers bring their audio to.
const WEBRTC_PORT: u16 = 19_000;

/// Longest wait for the server: the first start compiles the plugins.
const READY_WAIT: Duration = Duration::from_secs(60);

/// Longest wait for the server to finish its calls and leave.
const LEAVE_WAIT: Duration = Duration::from_secs(15);

/// Options of one run.
#[derive(PartialEq, Eq, Debug)]
struct Options {
    once: bool,
    profile: String,
}

/// What one run made up.
struct Run {
    /// The folder everything is written to.
    dir: PathBuf,
    /// The `jackfield` program.
    program: PathBuf,
    sip_port: u16,
    http_port: u16,
    /// For `/api`.
    token: String,
    /// User and password of each demo phone.
    phones: Vec<(&'static str, String)>,
}

/// Builds, starts, calls, and serves.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let options = parse(args)?;
    let mut steps = Steps::new();
    steps.need("build tools", peers::build_tools)?;
    steps.need("server", || {
        let build = [
            "build",
            "-p",
            "jackfield-server",
            "--bin",
            "jackfield",
            "--profile",
        ];
        execute(cargo(&build).arg(&options.profile))
    })?;
    let names: Vec<String> = PLUGINS.iter().map(ToString::to_string).collect();
    steps.need("plugins", || plugins::run(&names))?;
    let demo = Run::prepare(&options.profile)?;
    let mut server = demo.start()?;
    demo.wait_until_ready(&mut server)?;
    println!(
        "\nThe server is ready: SIP on 127.0.0.1:{}, HTTP on 127.0.0.1:{}.",
        demo.sip_port, demo.http_port
    );
    demo.call()?;
    demo.transcript()?;
    if options.once {
        return server.stop();
    }
    demo.explain();
    server.wait()
}

/// Reads the options.
fn parse(args: &[String]) -> Result<Options, String> {
    let mut options = Options {
        once: false,
        profile: "release".to_owned(),
    };
    let mut words = args.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--once" => options.once = true,
            "--profile" => {
                options.profile = words.next().ok_or("--profile needs a name")?.clone();
            }
            other => {
                return Err(format!(
                    "unknown option `{other}`; see `cargo xtask demo --help`"
                ));
            }
        }
    }
    Ok(options)
}

impl Run {
    /// Makes a fresh folder with the configuration, the plugins and this run's secrets.
    fn prepare(profile: &str) -> Result<Self, String> {
        let dir = target_dir().join("demo");
        if dir.exists() {
            fs::remove_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        }
        copy(&root().join(STORY), &dir)?;
        let folder = dir.join("plugins");
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", shown(&folder)))?;
        for name in PLUGINS {
            let file = format!("{name}.wasm");
            fs::copy(target_dir().join("guests").join(&file), folder.join(&file))
                .map_err(|error| format!("{}: {error}", shown(&folder.join(&file))))?;
        }
        let built = if profile == "dev" { "debug" } else { profile };
        let run = Self {
            program: target_dir().join(built).join("jackfield"),
            sip_port: free_port("SIP", SIP_PORT)?,
            http_port: free_port("HTTP", HTTP_PORT)?,
            token: secret()?,
            phones: vec![("1001", secret()?), ("1002", secret()?)],
            dir,
        };
        let config = run.config();
        let text = fs::read_to_string(&config)
            .map_err(|error| format!("{}: {error}", config.display()))?;
        let text = replace_ports(&text, run.sip_port, run.http_port)?;
        let text = replace_audio(&text, free_port("audio of browsers", WEBRTC_PORT)?)?;
        fs::write(&config, text).map_err(|error| format!("{}: {error}", config.display()))?;
        Ok(run)
    }

    fn config(&self) -> PathBuf {
        self.dir.join("jackfield.toml")
    }

    fn log(&self) -> PathBuf {
        self.dir.join("jackfield.log")
    }

    fn recording(&self) -> PathBuf {
        self.dir.join("heard.wav")
    }

    /// Starts the server with its log in a file, so that the call's ladder stays readable.
    fn start(&self) -> Result<Server, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", self.log().display());
        let log = fs::File::create(self.log()).map_err(failed)?;
        let mut command = Command::new(&self.program);
        command
            .arg("serve")
            .arg("--config")
            .arg(self.config())
            .current_dir(&self.dir);
        for (user, password) in &self.phones {
            command.env(format!("PHONE_{user}"), password);
        }
        let child = command
            .env("JACKFIELD_TOKEN", &self.token)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(failed)?)
            .stderr(log)
            .spawn()
            .map_err(|error| format!("{}: {error}", self.program.display()))?;
        Ok(Server { child })
    }

    /// Asks `/readyz` until it says yes.
    fn wait_until_ready(&self, server: &mut Server) -> Result<(), String> {
        let start = Instant::now();
        while start.elapsed() < READY_WAIT {
            if let Some(status) = server.ended()? {
                return Err(format!(
                    "the server ended with {status}:\n{}",
                    self.log_tail()
                ));
            }
            if matches!(http::get(self.http_port, "/readyz", None), Ok((200, _))) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err(format!(
            "the server is not ready after {} s:\n{}",
            READY_WAIT.as_secs(),
            self.log_tail()
        ))
    }

    /// Calls the menu with the test phone and presses 1.
    fn call(&self) -> Result<(), String> {
        let uri = format!("sip:1000@127.0.0.1:{}", self.sip_port);
        println!("\nThe test phone calls {uri}, listens, presses 1 and listens again:\n");
        let mut command = Command::new(&self.program);
        command
            .args(["call", &uri, "--press", "1", "--record"])
            .arg(self.recording());
        execute(&mut command).map_err(|reason| format!("{reason}\n{}", self.log_tail()))?;
        println!("\nWhat it heard: {}", shown(&self.recording()));
        Ok(())
    }

    /// Prints the call's record as the API shows it.
    fn transcript(&self) -> Result<(), String> {
        let get = |path: &str| -> Result<Value, String> {
            let (status, body) = http::get(self.http_port, path, Some(&self.token))?;
            json(status, &body, path)
        };
        let calls = get("/api/v1/calls")?;
        let id = newest(&calls).ok_or("the API knows no call")?;
        let path = format!("/api/v1/calls/{id}");
        let mut call = get(&path)?;
        // The last event is on disk 200 ms after the call's end at the latest.
        for _ in 0..20 {
            if !call["ended_at"].is_null() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
            call = get(&path)?;
        }
        println!("\nThe call's record, {path}:");
        for line in lines(&call) {
            println!("  {line}");
        }
        // A recording is in the index once it is hashed, moments after the call's end.
        let path = format!("/api/v1/recordings?call={id}");
        let mut recordings = get(&path)?;
        for _ in 0..20 {
            if recordings["items"]
                .as_array()
                .is_some_and(|items| !items.is_empty())
            {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
            recordings = get(&path)?;
        }
        if let Some(recording) = recordings["items"][0]["id"].as_str() {
            let file = self.dir.join("data/recordings");
            let file = file.join(&recording[..4.min(recording.len())]);
            let file = file.join(format!("{recording}.wav"));
            println!("\nIts recording, caller left, menu right: {}", shown(&file));
        }
        Ok(())
    }

    /// Says how to call it oneself.
    fn explain(&self) {
        println!(
            "\nStill serving. Call 1000 from your browser (allow the microphone; the links are good for a day):"
        );
        for (user, _) in &self.phones {
            match self.link(user) {
                Ok(link) => println!("  {user}  {link}"),
                Err(reason) => println!("  {user}  {reason}"),
            }
        }
        println!("Or register a phone on this machine, and call 1000:");
        println!("  server    127.0.0.1:{} (UDP or TCP)", self.sip_port);
        for (user, password) in &self.phones {
            println!("  user      {user}    password  {password}");
        }
        println!("Without a phone:");
        println!(
            "  {} call sip:1000@127.0.0.1:{} --press 1 --record heard.wav",
            shown(&self.program),
            self.sip_port
        );
        println!(
            "Two test phones that call each other, each in a terminal of its own, and what an"
        );
        println!("agent does with the call in a third:");
        let program = shown(&self.program);
        for (user, password) in &self.phones {
            println!(
                "  PASSWORD={password} {program} phone sip:{user}@127.0.0.1:{} --password-env PASSWORD",
                self.sip_port
            );
        }
        if let [(one, _), (other, _), ..] = &self.phones[..] {
            let http = format!("--url http://127.0.0.1:{}", self.http_port);
            println!("  export JACKFIELD_TOKEN={}", self.token);
            for wish in [
                format!("dial {one} {other}"),
                format!("hold --by {one}"),
                "list".to_owned(),
                format!("transfer --by {one} --to 1000"),
                "watch".to_owned(),
            ] {
                println!("  {program} calls {http} {wish}");
            }
        }
        println!("The calls so far:");
        println!(
            "  curl -H 'Authorization: Bearer {}' http://127.0.0.1:{}/api/v1/calls",
            self.token, self.http_port
        );
        println!("The log is {}. Ctrl-C ends it.", shown(&self.log()));
    }

    /// The page that is this user's phone, signed in.
    fn link(&self, user: &str) -> Result<String, String> {
        let path = format!("/api/v1/phones/{user}/credentials");
        let body = "{\"ttl_s\": 86400}";
        let (status, body) = http::post(self.http_port, &path, Some(&self.token), body)?;
        let made = json(status, &body, &path)?;
        let value = |name: &str| made[name].as_str().unwrap_or_default().to_owned();
        // What is behind the # stays in the browser.
        Ok(format!(
            "http://localhost:{}/phone#user={user}&login={}&password={}&number=1000",
            self.http_port,
            value("login"),
            value("password")
        ))
    }

    /// The last lines of the server's log.
    fn log_tail(&self) -> String {
        let text = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(20)..].join("\n");
        format!("{tail}\n(the whole log is {})", shown(&self.log()))
    }
}

/// The running server; it does not outlive this value.
struct Server {
    child: Child,
}

impl Server {
    /// Its status, once it has ended.
    fn ended(&mut self) -> Result<Option<std::process::ExitStatus>, String> {
        self.child
            .try_wait()
            .map_err(|error| format!("waiting for the server: {error}"))
    }

    /// Serves until it is told to stop, by Ctrl-C or otherwise.
    fn wait(mut self) -> Result<(), String> {
        match self.child.wait() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("the server ended with {status}")),
            Err(error) => Err(format!("waiting for the server: {error}")),
        }
    }

    /// Asks it to leave and waits until it has.
    fn stop(mut self) -> Result<(), String> {
        self.ask_to_leave();
        let start = Instant::now();
        while start.elapsed() < LEAVE_WAIT {
            match self.ended()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("the server ended with {status}")),
                None => std::thread::sleep(Duration::from_millis(50)),
            }
        }
        Err(format!(
            "the server did not leave within {} s",
            LEAVE_WAIT.as_secs()
        ))
    }

    /// SIGTERM: it finishes its calls and ends. The shell has `kill` on every machine.
    fn ask_to_leave(&self) {
        let line = format!("kill -TERM {}", self.child.id());
        let _ = Command::new("sh")
            .args(["-c", &line])
            .stderr(Stdio::null())
            .status();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Copies a folder and what is in it.
fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", shown(from));
    fs::create_dir_all(to).map_err(failed)?;
    for entry in fs::read_dir(from).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let target = to.join(entry.file_name());
        if entry.file_type().map_err(failed)?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target).map_err(failed)?;
        }
    }
    Ok(())
}

/// A path as a person at the root would type it.
fn shown(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}

/// The port itself if it is free for UDP and TCP, else the next one that is.
fn free_port(what: &str, wanted: u16) -> Result<u16, String> {
    let free = |port: &u16| {
        let address = (Ipv4Addr::LOCALHOST, *port);
        UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok()
    };
    let port = (wanted..wanted + 100)
        .find(free)
        .ok_or_else(|| format!("no free {what} port from {wanted} to {}", wanted + 99))?;
    if port != wanted {
        println!("Port {wanted} is taken; {what} uses {port}.");
    }
    Ok(port)
}

/// The configuration with this run's ports.
fn replace_ports(text: &str, sip: u16, http: u16) -> Result<String, String> {
    let mut text = text.to_owned();
    for (wanted, port) in [(SIP_PORT, sip), (HTTP_PORT, http)] {
        let address = format!("127.0.0.1:{wanted}");
        if !text.contains(&address) {
            return Err(format!(
                "{STORY}/jackfield.toml does not listen on {address}"
            ));
        }
        text = text.replace(&address, &format!("127.0.0.1:{port}"));
    }
    Ok(text)
}

/// Puts the port for the audio of browsers into the configuration.
fn replace_audio(text: &str, port: u16) -> Result<String, String> {
    let key = format!("webrtc_port = {WEBRTC_PORT}\n");
    if !text.contains(&key) {
        return Err(format!("{STORY}/jackfield.toml has no {}", key.trim()));
    }
    Ok(text.replace(&key, &format!("webrtc_port = {port}\n")))
}

/// 128 random bits in hexadecimal, from the operating system.
fn secret() -> Result<String, String> {
    let failed = |error: std::io::Error| format!("/dev/urandom: {error}");
    let mut bytes = [0_u8; 16];
    fs::File::open("/dev/urandom")
        .map_err(failed)?
        .read_exact(&mut bytes)
        .map_err(failed)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A good answer of the API.
fn json(status: u16, body: &str, path: &str) -> Result<Value, String> {
    if status != 200 {
        return Err(format!("GET {path}: status {status}: {}", body.trim()));
    }
    serde_json::from_str(body).map_err(|error| format!("GET {path}: {error}"))
}

/// The id of the newest call of the list.
fn newest(calls: &Value) -> Option<&str> {
    calls["items"].as_array()?.first()?["id"].as_str()
}

/// A call as lines: its facts, then its events.
fn lines(call: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for (key, value) in call.as_object().into_iter().flatten() {
        if key != "events" && !value.is_null() {
            lines.push(format!("{key:<14} {}", plain(value)));
        }
    }
    for event in call["events"].as_array().into_iter().flatten() {
        let word = |key: &str| plain(&event[key]);
        let rest: Vec<String> = event
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(key, value)| {
                !["at", "n", "kind"].contains(&key.as_str()) && !plain(value).is_empty()
            })
            .map(|(key, value)| format!("{key}={}", plain(value)))
            .collect();
        // The time of day alone: the date stands above.
        let at = word("at");
        let time = at.split_once('T').map_or(at.as_str(), |(_, time)| time);
        lines.push(
            format!("{time:<14} {:<18} {}", word("kind"), rest.join(" "))
                .trim_end()
                .to_owned(),
        );
    }
    lines
}

/// A value without the marks of JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| format!("{key}={}", plain(value)))
                .collect();
            fields.join(" ")
        }
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options() {
        let words = |line: &str| -> Vec<String> { line.split(' ').map(str::to_owned).collect() };
        let good = Options {
            once: true,
            profile: "dev".to_owned(),
        };
        assert_eq!(parse(&words("--profile dev --once")), Ok(good));
        assert!(parse(&words("--twice")).is_err() && parse(&words("--profile")).is_err());
        assert!(!parse(&[]).expect("no options are fine").once);
    }

    #[test]
    fn a_taken_port_is_replaced() {
        let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let wanted = taken
            .local_addr()
            .expect("bound")
            .port()
            .min(u16::MAX - 100);
        let port = free_port("SIP", wanted).expect("one of a hundred is free");
        assert!(port != taken.local_addr().expect("bound").port() && port >= wanted);
    }

    #[test]
    fn ports_are_replaced_in_the_configuration() {
        let text = "sip = \"127.0.0.1:5060\"\nhttp = \"127.0.0.1:8080\"\n";
        let replaced = replace_ports(text, 5061, 8080).expect("both are there");
        assert_eq!(
            replaced,
            "sip = \"127.0.0.1:5061\"\nhttp = \"127.0.0.1:8080\"\n"
        );
        assert!(replace_ports("", 1, 2).is_err());
        let audio = replace_audio("webrtc_port = 19000\nx = 1\n", 19_002);
        assert_eq!(audio.expect("it is there"), "webrtc_port = 19002\nx = 1\n");
        assert!(replace_audio("", 1).is_err());
    }

    #[test]
    fn secrets_differ() {
        let (one, other) = (secret().expect("urandom"), secret().expect("urandom"));
        assert!(one.len() == 32 && one != other);
    }

    #[test]
    fn records_read_as_lines() {
        let call = serde_json::json!({
            "id": "1", "user": null, "events": [
                {"kind": "call.answered", "n": 4, "at": "2026-11-22T00:13:19.041Z"},
                {"kind": "flow.asked", "n": 5, "at": "2026-11-22T00:13:19.044Z", "op": "gather",
                 "detail": ""},
            ],
        });
        assert_eq!(
            lines(&call),
            [
                "id             1",
                "00:13:19.041Z  call.answered",
                "00:13:19.044Z  flow.asked         op=gather",
            ]
        );
    }
}
