//! Goal: browsers are phones. Chromium, with SIP.js and with JsSIP as published, registers over secure
//! WebSockets, calls and is called, and what is spoken at one end is heard at the other.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use jackfield_tests::peers::capture::Capture;
use jackfield_tests::peers::chromium::{Chromium, HEARD_HZ, Page, pages, serve};
use jackfield_tests::peers::prompt::{Prompt, encoded};
use jackfield_tests::peers::{require, spawn};
use jackfield_tests::shell::{Folder, Server, Setup, free_port, project};
use media::Codec;
use media::rtp::Header;
use serde_json::Value;
use server::clock::Clock;

const LIBRARIES: [&str; 2] = ["sipjs", "jssip"];

/// The demo, for browsers; 1000 is its menu, and 1020 rings 1001.
struct House {
    server: Server,
    wss: String,
    pages: SocketAddr,
    microphones: Folder,
}

/// A page that is a phone, and its browser.
struct Phone {
    browser: Rc<RefCell<Chromium>>,
    page: Page,
    who: String,
}

impl House {
    fn new(name: &str) -> Self {
        let wss = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let pages = serve(pages()).expect("a port for pages");
        let mut setup = Setup::demo(name);
        setup.browsers = true;
        setup.media = "bind = [\"127.0.0.1\", \"::1\"]\n".to_owned();
        setup.sip = format!("wss = [\"{wss}\"]\norigins = [\"http://{pages}\"]");
        let end = "[menu.end]\nprompt = { pause_ms = 100 }\ntimeout_s = 1\ntries = 1\noption.0 = \"hangup\"\n";
        let ring = "start = { transfer = \"1001\", timeout_s = 20, failed = { menu = \"end\" } }\n";
        let ring = format!("{ring}{end}");
        setup.files.insert("ring.toml".to_owned(), ring);
        let route = "[[tenant.route]]\nnumber = \"1020\"\nplugin = \"ivr-menu\"\n\
                     config = \"ring.toml\"\ngrant = [\"dial\"]\nfallback = \"sorry\"\n";
        setup.tenants = format!("[tls]\nself_signed = true\n\n{}\n{route}", setup.tenants);
        Self {
            server: Server::start(setup).expect("a server"),
            wss: format!("wss://{wss}"),
            pages,
            microphones: Folder::new(&format!("{name}-microphones")),
        }
    }

    /// A browser into which this is spoken, again and again.
    fn browser(&self, spoken: &Prompt) -> Rc<RefCell<Chromium>> {
        let name = spoken.name().replace('/', "-");
        let path: PathBuf = self.microphones.path().join(format!("{name}.wav"));
        let bytes = media::wav::write(spoken.samples(), 1);
        std::fs::write(&path, bytes).expect("a microphone");
        let browser = Chromium::start(&name, &path).expect("a browser");
        Rc::new(RefCell::new(browser))
    }

    fn phone(
        &self,
        browser: &Rc<RefCell<Chromium>>,
        library: &str,
        user: &str,
        more: &str,
    ) -> Phone {
        let password = if user == "1001" {
            "secret-one"
        } else {
            "secret-two"
        };
        let url = format!(
            "http://{}/page/index.html?library={library}&url={}&user={user}\
             &password={password}{more}",
            self.pages, self.wss
        );
        let page = browser.borrow_mut().open(&url).expect("a page");
        let phone = Phone {
            browser: Rc::clone(browser),
            page,
            who: format!("{library}{more}"),
        };
        phone.until("globalThis.last && last('connected')");
        phone
    }

    fn registered(&self, browser: &Rc<RefCell<Chromium>>, library: &str, user: &str) -> Phone {
        let phone = self.phone(browser, library, user, "");
        phone.tell("phone.register()");
        phone.until("last('registered')");
        phone
    }
}

impl Phone {
    #[track_caller]
    fn tell(&self, what: &str) {
        let told = self.browser.borrow_mut().tell(&self.page, what);
        told.unwrap_or_else(|error| panic!("{}: {error:#}", self.who));
    }

    #[track_caller]
    fn until(&self, what: &str) -> Value {
        let found = self.browser.borrow_mut().until(&self.page, what);
        found.unwrap_or_else(|error| panic!("{}: {error:#}", self.who))
    }

    /// What it has heard since it was told to forget what was before, once there is as much.
    #[track_caller]
    fn heard(&self, samples: usize) -> Vec<i16> {
        self.until(&format!("samples() >= {samples}"));
        let heard = self.browser.borrow_mut().heard(&self.page);
        let heard = heard.expect("audio");
        if heard.iter().all(|sample| *sample == 0) {
            let stats = self.stats();
            panic!("{}: nothing is heard: {stats}", self.who);
        }
        heard
    }

    /// Makes sure that it hears all of this, which is said again and again.
    #[track_caller]
    fn hears(&self, spoken: &Prompt) {
        // Wherever it begins, in twice its length there is all of it; a player that has just begun anew
        // stretches what comes first.
        let heard = self.heard(2 * spoken.samples().len() + 2 * HEARD_HZ as usize);
        spoken.assert_like(&heard[HEARD_HZ as usize..], &self.who);
    }

    fn stats(&self) -> Value {
        let stats = self.browser.borrow_mut().eval(&self.page, "stats()");
        stats.expect("stats")
    }

    fn close(self) {
        self.browser.borrow_mut().close(self.page).expect("closed");
    }
}

/// Makes sure that two hear each other.
#[track_caller]
fn talk((first, one): (&Phone, &Prompt), (second, two): (&Phone, &Prompt)) {
    first.tell("forget()");
    second.tell("forget()");
    first.hears(two);
    second.hears(one);
}

#[test]
fn they_call_the_menu_and_press_a_key() {
    let house = House::new("webrtc-menu");
    let welcome = Prompt::of_demo("common/welcome");
    let main = Prompt::of_demo("zh-CN/main");
    let browser = house.browser(&Prompt::of_demo("en/hello"));
    let codecs = [("", "audio/opus"), ("&codec=audio/pcmu", "audio/PCMU")];
    let kinds = LIBRARIES.map(|library| codecs.map(|(more, codec)| (library, more, codec)));
    let phones: Vec<(Phone, &str)> = kinds
        .as_flattened()
        .iter()
        .map(|(library, more, codec)| (house.phone(&browser, library, "1002", more), *codec))
        .collect();
    for (phone, _) in &phones {
        phone.tell("phone.call('1000')");
    }
    for (phone, codec) in &phones {
        phone.until("last('up') && last('listening')");
        let heard = phone.heard(welcome.samples().len() + HEARD_HZ as usize);
        welcome.assert_like(&heard, &phone.who);
        let other = main.likeness_in(&heard);
        assert!(other < 0.4, "the measure tells prompts apart: {other}");
        let stats = phone.stats();
        assert_eq!(stats["codec"], *codec, "{stats}");
        assert_eq!(stats["state"], "connected", "{stats}");
        phone.tell("forget()");
        phone.tell("phone.press('1')");
    }
    for (phone, _) in &phones {
        let heard = phone.heard(main.samples().len() + 2 * HEARD_HZ as usize);
        main.assert_like(&heard, &phone.who);
        phone.tell("phone.hangup()");
        phone.until("last('over')");
    }
    let calls = house.server.calls().expect("calls");
    assert_eq!(calls.len(), phones.len());
    for call in calls {
        assert_eq!(call["ended_by"], "far", "{call}");
    }
}

/// The audio of a phone that another program signals for: it says this again and again, and keeps what
/// it hears until it is told to stop.
struct Line {
    port: u16,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<i16>>,
}

impl Line {
    fn open(spoken: &Prompt) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        socket.set_nonblocking(true).expect("it is a socket");
        let port = socket.local_addr().expect("bound").port();
        let stop = Arc::new(AtomicBool::new(false));
        let codes = encoded(Codec::Pcmu, spoken.samples());
        let stopped = Arc::clone(&stop);
        #[allow(clippy::disallowed_methods)] // A thread of the test.
        let thread = std::thread::spawn(move || {
            let mut heard = Capture::new(Codec::Pcmu);
            let (clock, mut next) = (Clock::start(), None);
            let frames: Vec<&[u8]> = codes.chunks_exact(160).collect();
            let (mut far, mut sent) = (None, 0_usize);
            while !stopped.load(Ordering::Relaxed) {
                let mut bytes = [0; 1_500];
                while let Ok((count, from)) = socket.recv_from(&mut bytes) {
                    heard.take(clock.now().mono, &bytes[..count]);
                    far = Some(from);
                }
                let now = clock.now().mono;
                while let Some(far) = far
                    && now >= *next.get_or_insert(now)
                {
                    next = next.map(|next| next + Duration::from_millis(20));
                    let header = Header {
                        payload_type: 0,
                        sequence: (sent % 65_536) as u16,
                        timestamp: (sent * 160) as u32,
                        ssrc: 7,
                        marker: sent == 0,
                    };
                    let mut packet = header.to_bytes().to_vec();
                    packet.extend(frames[sent % frames.len()]);
                    drop(socket.send_to(&packet, far));
                    sent += 1;
                }
                std::thread::park_timeout(Duration::from_millis(2));
            }
            heard.heard()
        });
        Self { port, stop, thread }
    }

    fn close(self) -> Vec<i16> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("it ends")
    }
}

#[test]
fn a_sipp_caller_and_a_browser_hear_each_other() {
    require("sipp", "sip-tester").expect("sipp");
    let house = House::new("webrtc-sipp");
    let (one, two) = (
        Prompt::of_demo("en/transferring"),
        Prompt::of_demo("zh-CN/no_input"),
    );
    let browser = house.browser(&one);
    for (more, codec) in [("&codec=audio/opus", "audio/opus"), ("", "audio/PCMU")] {
        let called = house.phone(&browser, "jssip", "1001", more);
        called.tell("phone.register()");
        called.until("last('registered')");
        let line = Line::open(&two);
        let mut sipp = Command::new("sipp");
        sipp.arg(house.server.sip.to_string())
            .arg("-sf")
            .arg(project("tests/tests/sipp/talks.xml"))
            .args(["-s", "1020", "-i", "127.0.0.1", "-m", "1"])
            .args(["-p", &free_port().to_string()])
            .args(["-key", "rtp_port", &line.port.to_string()])
            .args(["-auth_uri", &format!("1020@{}", house.server.sip)])
            .args(["-timeout", "60s", "-timeout_error", "-nostdin"])
            .current_dir(house.server.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let mut sipp = spawn(&mut sipp).expect("sipp runs");
        let rung = called.until("last('rung')");
        assert_eq!(rung["from"], "1002");
        called.tell("phone.answer()");
        called.until("last('up') && last('listening')");
        called.tell("forget()");
        called.hears(&two);
        let stats = called.stats();
        assert_eq!(stats["codec"], codec, "{stats}");
        called.tell("phone.hangup()");
        called.until("last('over')");
        let status = sipp.wait().expect("it ends");
        assert!(status.success(), "sipp ended with {status}");
        one.assert_like(&line.close(), "sipp");
        called.close();
    }
}

#[test]
fn they_come_by_tcp_and_by_ipv6() {
    let house = House::new("webrtc-ways");
    let welcome = Prompt::of_demo("common/welcome");
    let main = Prompt::of_demo("zh-CN/main");
    let browser = house.browser(&Prompt::of_demo("en/hello"));
    let ways = [("&only=tcp", "tcp", 4), ("&only=six", "udp", 6)];
    for (more, protocol, family) in ways {
        let phone = house.phone(&browser, "sipjs", "1002", more);
        phone.tell("phone.call('1000')");
        phone.until("last('up') && last('listening')");
        let heard = phone.heard(welcome.samples().len() + HEARD_HZ as usize);
        welcome.assert_like(&heard, &phone.who);
        let stats = phone.stats();
        assert_eq!(
            (&stats["protocol"], &stats["family"]),
            (&protocol.into(), &family.into()),
            "{stats}"
        );
        phone.tell("forget()");
        phone.tell("phone.press('1')");
        let heard = phone.heard(main.samples().len() + 2 * HEARD_HZ as usize);
        main.assert_like(&heard, &phone.who);
        phone.tell("phone.hangup()");
        phone.until("last('over')");
        phone.close();
    }
}

#[test]
fn they_talk_with_each_other_on_hold_and_on_another_way() {
    let house = House::new("webrtc-bridge");
    let one = Prompt::of_demo("en/transferring");
    let two = Prompt::of_demo("zh-CN/no_input");
    let (first, second) = (house.browser(&one), house.browser(&two));
    for (calls, rings) in [("sipjs", "jssip"), ("jssip", "sipjs")] {
        let called = house.registered(&second, rings, "1001");
        let caller = house.phone(&first, calls, "1002", "");
        caller.tell("phone.call('1020')");
        let rung = called.until("last('rung')");
        assert_eq!(rung["from"], "1002");
        called.tell("phone.answer()");
        for phone in [&called, &caller] {
            phone.until("last('up') && last('listening')");
        }
        talk((&caller, &one), (&called, &two));

        caller.tell("phone.hold()");
        called.tell("forget()");
        let heard = called.heard(2 * one.samples().len());
        let there = one.likeness_in(&heard);
        assert!(there < 0.5, "{calls}: on hold it is not heard: {there}");
        caller.tell("phone.resume()");
        talk((&caller, &one), (&called, &two));

        let name = "phone.connection().localDescription.sdp.match(/ice-ufrag:.*/)[0]";
        let before = caller.until(name);
        caller.tell("phone.restart()");
        assert_ne!(caller.until(name), before, "it has looked for another way");
        talk((&caller, &one), (&called, &two));

        called.tell("phone.hangup()");
        for phone in [called, caller] {
            phone.until("last('over')");
            phone.close();
        }
    }
}
