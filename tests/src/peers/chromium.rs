//! A real browser without a window: Chromium, driven over its own protocol, with a WAV file for a
//! microphone.
//!
//! Each page is a tab of its own, with its own connections and devices; what it runs is JavaScript of the
//! test. Files of pages are served by a small server here, since a browser gives no microphone to what
//! comes from nowhere.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Message, WebSocket, connect, stream::MaybeTlsStream};

use super::spawn;
use crate::shell::{Folder, PATIENCE};

/// Samples a second of what a page hears.
pub const HEARD_HZ: u32 = 8_000;

/// Time between two looks at something in a page.
const LOOK: Duration = Duration::from_millis(50);

/// Longest request line and headers that the files are asked for with.
const REQUEST_BYTES: u64 = 16 << 10;

/// A running browser. Ends when dropped.
#[derive(Debug)]
pub struct Chromium {
    child: Child,
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    last: u64,
    /// What pages complained about.
    complaints: VecDeque<String>,
    _folder: Folder,
}

/// A tab.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    session: String,
    target: String,
}

impl Chromium {
    /// Starts a browser whose microphone is this WAV file, again and again.
    ///
    /// # Errors
    /// If it is not installed (with the command that installs it), or does not come up.
    #[allow(clippy::disallowed_methods)] // The test's own wait.
    pub fn start(name: &str, microphone: &Path) -> anyhow::Result<Self> {
        let folder = Folder::new(&format!("chromium-{name}"));
        let mut command = Command::new("chromium");
        command
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-background-timer-throttling",
                "--disable-backgrounding-occluded-windows",
                "--disable-renderer-backgrounding",
                "--no-first-run",
                "--mute-audio",
                "--remote-debugging-port=0",
                "--autoplay-policy=no-user-gesture-required",
                "--ignore-certificate-errors",
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                // Without it a browser looks for no way to its own machine.
                "--allow-loopback-in-peer-connection",
            ])
            .arg(format!(
                "--use-file-for-fake-audio-capture={}",
                microphone.display()
            ))
            .arg(format!("--user-data-dir={}", folder.path().display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = spawn(&mut command).context(
            "chromium does not run; install it: \
             sudo apt-get install -y --no-install-recommends chromium",
        )?;
        let errors = child.stderr.take().context("it was asked for")?;
        let mut lines = BufReader::new(errors).lines();
        let mut said = Vec::new();
        let at = loop {
            let Some(Ok(line)) = lines.next() else {
                drop(child.kill());
                bail!("chromium did not come up: {}", said.join("\n"));
            };
            if let Some((_, at)) = line.split_once("DevTools listening on ") {
                break at.trim().to_owned();
            }
            said.push(line);
        };
        // It would stand still if nobody read on.
        std::thread::Builder::new().spawn(move || lines.for_each(drop))?;
        let (socket, _) = connect(at.as_str()).context("its protocol")?;
        if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
            stream.set_read_timeout(Some(PATIENCE))?;
        }
        Ok(Self {
            child,
            socket,
            last: 0,
            complaints: VecDeque::new(),
            _folder: folder,
        })
    }

    /// Opens a page and waits until it has loaded.
    ///
    /// # Errors
    /// If it does not load.
    pub fn open(&mut self, url: &str) -> anyhow::Result<Page> {
        self.open_with(url, "")
    }

    /// The same; this runs before anything else in it, each time that it is loaded.
    ///
    /// # Errors
    /// If it does not load.
    pub fn open_with(&mut self, url: &str, first: &str) -> anyhow::Result<Page> {
        let target = self.ask(None, "Target.createTarget", json!({ "url": "about:blank" }))?;
        let target = target["targetId"].as_str().context("a tab")?.to_owned();
        let attach = json!({ "targetId": target, "flatten": true });
        let session = self.ask(None, "Target.attachToTarget", attach)?;
        let session = session["sessionId"].as_str().context("a session")?;
        let page = Page {
            session: session.to_owned(),
            target,
        };
        for domain in ["Runtime.enable", "Page.enable", "Log.enable"] {
            self.ask(Some(&page), domain, json!({}))?;
        }
        let first = json!({ "source": first });
        self.ask(Some(&page), "Page.addScriptToEvaluateOnNewDocument", first)?;
        self.go(&page, url)?;
        Ok(page)
    }

    /// Loads something else in a page, or the same again.
    ///
    /// # Errors
    /// If it does not load.
    pub fn go(&mut self, page: &Page, url: &str) -> anyhow::Result<()> {
        let went = self.ask(Some(page), "Page.navigate", json!({ "url": url }))?;
        ensure!(went["errorText"].is_null(), "{url}: {went}");
        self.until(page, "document.readyState === 'complete'")?;
        Ok(())
    }

    /// Closes a page.
    ///
    /// # Errors
    /// If the browser is gone.
    pub fn close(&mut self, page: Page) -> anyhow::Result<()> {
        let target = json!({ "targetId": page.target });
        self.ask(None, "Target.closeTarget", target).map(drop)
    }

    /// Evaluates an expression, and waits for what it promises.
    ///
    /// # Errors
    /// What it throws, and what the page complained about before.
    pub fn eval(&mut self, page: &Page, expression: &str) -> anyhow::Result<Value> {
        let ask = json!({
            "expression": expression, "awaitPromise": true, "returnByValue": true,
            "userGesture": true,
        });
        let said = self.ask(Some(page), "Runtime.evaluate", ask)?;
        if let Some(thrown) = said.get("exceptionDetails") {
            bail!("{expression}: {thrown:#}\n{}", self.complaints());
        }
        Ok(said["result"]["value"].clone())
    }

    /// Does something, and waits until that is done.
    ///
    /// # Errors
    /// What it throws, and what the page complained about before.
    pub fn tell(&mut self, page: &Page, expression: &str) -> anyhow::Result<()> {
        let done = format!("(async () => {{ await ({expression}); }})()");
        self.eval(page, &done).map(drop)
    }

    /// Waits until an expression is true; gives what it is then.
    ///
    /// # Errors
    /// If that does not come, or it throws.
    #[allow(clippy::disallowed_methods)] // The test's own wait.
    pub fn until(&mut self, page: &Page, expression: &str) -> anyhow::Result<Value> {
        let end = Instant::now() + PATIENCE;
        loop {
            let value = self.eval(page, expression)?;
            let is = match &value {
                Value::Null => false,
                Value::Bool(is) => *is,
                Value::Number(number) => number.as_f64() != Some(0.0),
                Value::String(_) | Value::Array(_) | Value::Object(_) => true,
            };
            if is {
                return Ok(value);
            }
            if Instant::now() >= end {
                let all = self.eval(page, "JSON.stringify(globalThis.all ?? null)");
                bail!("not {expression}: {all:?}\n{}", self.complaints());
            }
            std::thread::sleep(LOOK);
        }
    }

    /// What a page has heard since it was last asked to forget: samples at [`HEARD_HZ`].
    ///
    /// # Errors
    /// If it is no page of a phone.
    pub fn heard(&mut self, page: &Page) -> anyhow::Result<Vec<i16>> {
        let text = self.eval(page, "heard()")?;
        let bytes = BASE64.decode(text.as_str().context("text")?)?;
        let samples = bytes.chunks_exact(2);
        Ok(samples
            .map(|it| i16::from_le_bytes([it[0], it[1]]))
            .collect())
    }

    /// A picture of a page, so many pixels wide and high.
    ///
    /// # Errors
    /// If the browser makes none.
    pub fn picture(&mut self, page: &Page, (width, height): (u32, u32)) -> anyhow::Result<Vec<u8>> {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.ask(Some(page), "Emulation.setDeviceMetricsOverride", size)?;
        let picture = self.ask(Some(page), "Page.captureScreenshot", json!({}))?;
        Ok(BASE64.decode(picture["data"].as_str().context("a picture")?)?)
    }

    fn complaints(&self) -> String {
        let all: Vec<&str> = self.complaints.iter().map(String::as_str).collect();
        all.join("\n")
    }

    /// One call of the protocol.
    fn ask(&mut self, page: Option<&Page>, method: &str, params: Value) -> anyhow::Result<Value> {
        self.last += 1;
        let id = self.last;
        let mut call = json!({ "id": id, "method": method, "params": params });
        if let Some(page) = page {
            call["sessionId"] = page.session.as_str().into();
        }
        self.socket.send(Message::text(call.to_string()))?;
        loop {
            let message = self.socket.read().with_context(|| method.to_owned())?;
            let Message::Text(text) = message else {
                continue;
            };
            let mut said: Value = serde_json::from_str(&text)?;
            if said["id"] == id {
                ensure!(said["error"].is_null(), "{method}: {}", said["error"]);
                return Ok(said["result"].take());
            }
            let method = said["method"].as_str().unwrap_or_default();
            if method == "Page.javascriptDialogOpening" {
                // Whether one really wants to leave, while there is a call: one does.
                self.last += 1;
                let yes = json!({
                    "id": self.last, "method": "Page.handleJavaScriptDialog",
                    "params": { "accept": true }, "sessionId": said["sessionId"],
                });
                self.socket.send(Message::text(yes.to_string()))?;
            }
            if matches!(
                method,
                "Runtime.exceptionThrown" | "Runtime.consoleAPICalled" | "Log.entryAdded"
            ) {
                self.complaints.push_back(said["params"].to_string());
                if self.complaints.len() > 100 {
                    self.complaints.pop_front();
                }
            }
        }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Serves the files of a folder to pages on this machine, until the process ends.
///
/// # Errors
/// If there is no port or thread.
#[allow(clippy::disallowed_methods)] // Threads of the test.
pub fn serve(folder: PathBuf) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let at = listener.local_addr()?;
    let folder = Arc::new(folder);
    std::thread::Builder::new().spawn(move || {
        for stream in listener.incoming().flatten() {
            let folder = Arc::clone(&folder);
            let served = std::thread::Builder::new().spawn(move || drop(give(stream, &folder)));
            drop(served);
        }
    })?;
    Ok(at)
}

/// The files of the phones in pages.
pub fn pages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("browser")
}

/// Answers one request with a file.
fn give(stream: TcpStream, folder: &Path) -> anyhow::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(stream.try_clone()?.take(REQUEST_BYTES)).lines();
    let asked = lines.next().context("a request")??;
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let path = asked.split(' ').nth(1).unwrap_or_default();
    let path = Path::new(
        path.split('?')
            .next()
            .unwrap_or_default()
            .trim_start_matches('/'),
    );
    let inside = path
        .components()
        .all(|it| matches!(it, Component::Normal(_)));
    let file = inside.then(|| std::fs::read(folder.join(path)));
    let mut stream = stream;
    let Some(Ok(bytes)) = file else {
        stream.write_all(
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        )?;
        return Ok(());
    };
    let kind = match path.extension().and_then(|it| it.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some(_) | None => "application/octet-stream",
    };
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        bytes.len()
    )?;
    stream.write_all(&bytes)?;
    Ok(())
}
