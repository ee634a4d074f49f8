//! Goal: `/phone` is a phone. Newcomers hear the menu with it; two of them talk, hold, transfer, and go on
//! talking when a page is loaded anew; and who may not sign in is told why.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use jackfield_tests::peers::chromium::{Chromium, HEARD_HZ, Page};
use jackfield_tests::peers::prompt::Prompt;
use jackfield_tests::peers::until;
use jackfield_tests::shell::{Folder, Server, Setup};
use serde_json::{Value, json};

/// Keeps what the page plays, as the phones of the libraries do; and the microphone is as it is, since what
/// is heard at the other end is compared with what was spoken.
const TAP: &str = r#"(() => {
  const devices = navigator.mediaDevices;
  const open = devices.getUserMedia.bind(devices);
  const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  devices.getUserMedia = ({ audio }) => open({ audio: { ...audio, ...plain } });
  let context, chunks = [], of = null, leave = () => {};
  const turn = () => {
    const call = globalThis.phone?.calls?.find((it) => it.state === "up" && it.remote);
    if (!call || call.remote === of) return;
    leave();
    of = call.remote;
    context ??= new AudioContext({ sampleRate: 8000 });
    const source = context.createMediaStreamSource(of);
    const tap = context.createScriptProcessor(1024, 1, 1);
    tap.onaudioprocess = ({ inputBuffer }) => chunks.push(inputBuffer.getChannelData(0).slice());
    source.connect(tap).connect(context.destination);
    leave = () => { source.disconnect(); tap.disconnect(); };
  };
  setInterval(turn, 50);
  globalThis.forget = () => { chunks = []; };
  globalThis.samples = () => chunks.reduce((sum, it) => sum + it.length, 0);
  globalThis.heard = () => {
    const samples = new Int16Array(globalThis.samples());
    let at = 0;
    for (const chunk of chunks) for (const it of chunk) samples[at++] = Math.max(-1, Math.min(1, it)) * 32767;
    const bytes = new Uint8Array(samples.buffer);
    let text = "";
    for (let from = 0; from < bytes.length; from += 32768) text += String.fromCharCode(...bytes.subarray(from, from + 32768));
    return btoa(text);
  };
})()"#;

/// The demo, whose 1020 rings 1001.
struct House {
    server: Server,
    microphones: Folder,
}

/// One page.
struct Phone {
    browser: Rc<RefCell<Chromium>>,
    page: Page,
    who: String,
}

impl House {
    fn new(name: &str) -> Self {
        let mut setup = Setup::demo(name);
        setup.browsers = true;
        setup.http = "websocket = true".to_owned();
        let end = "[menu.end]\nprompt = { pause_ms = 100 }\ntimeout_s = 1\ntries = 1\noption.0 = \"hangup\"\n";
        let ring = "start = { transfer = \"1001\", timeout_s = 20, failed = { menu = \"end\" } }\n";
        setup
            .files
            .insert("ring.toml".to_owned(), format!("{ring}{end}"));
        let route = "[[tenant.route]]\nnumber = \"1020\"\nplugin = \"ivr-menu\"\n\
                     config = \"ring.toml\"\ngrant = [\"dial\"]\nfallback = \"sorry\"\n";
        setup.tenants = format!("{}\n{route}", setup.tenants);
        Self {
            server: Server::start(setup).expect("a server"),
            microphones: Folder::new(&format!("{name}-microphones")),
        }
    }

    /// A browser into which this is spoken, again and again.
    fn browser(&self, spoken: &Prompt) -> Rc<RefCell<Chromium>> {
        let name = spoken.name().replace('/', "-");
        let path: PathBuf = self.microphones.path().join(format!("{name}.wav"));
        let bytes = media::wav::write(spoken.samples(), 1);
        std::fs::write(&path, bytes).expect("a microphone");
        let browser = Chromium::start(&format!("page-{name}"), &path).expect("a browser");
        Rc::new(RefCell::new(browser))
    }

    fn open(&self, browser: &Rc<RefCell<Chromium>>, fragment: &str) -> Phone {
        let url = format!("http://{}/phone{fragment}", self.server.http);
        let page = browser.borrow_mut().open_with(&url, TAP).expect("the page");
        let who = fragment.split('&').next().unwrap_or_default().to_owned();
        Phone {
            browser: Rc::clone(browser),
            page,
            who,
        }
    }

    /// A page that is signed in with credentials that were issued for it.
    fn phone(&self, browser: &Rc<RefCell<Chromium>>, user: &str) -> Phone {
        let path = format!("/api/v1/phones/{user}/credentials");
        let (status, made) = self
            .server
            .post(&path, &json!({ "ttl_s": 600 }))
            .expect("an answer");
        assert_eq!(status, 200, "{made}");
        let value = |name: &str| made[name].as_str().expect("text").to_owned();
        let fragment = format!(
            "#user={user}&login={}&password={}",
            value("login"),
            value("password")
        );
        let phone = self.open(browser, &fragment);
        phone.online();
        phone
    }
}

impl Phone {
    #[track_caller]
    fn eval(&self, what: &str) -> Value {
        let found = self.browser.borrow_mut().eval(&self.page, what);
        found.unwrap_or_else(|error| panic!("{}: {error:#}", self.who))
    }

    #[track_caller]
    fn until(&self, what: &str) -> Value {
        let found = self.browser.borrow_mut().until(&self.page, what);
        found.unwrap_or_else(|error| panic!("{}: {error:#}", self.who))
    }

    #[track_caller]
    fn online(&self) {
        self.until("document.querySelector('#line').dataset.state === 'online'");
    }

    /// Presses a button once it can be pressed.
    #[track_caller]
    fn click(&self, selector: &str) {
        let there = format!("document.querySelector('{selector}:not(:disabled)') !== null");
        self.until(&there);
        self.eval(&format!("document.querySelector('{selector}').click()"));
    }

    #[track_caller]
    fn dial(&self, number: &str) {
        for key in number.chars() {
            self.click(&format!("#keys [data-key=\"{key}\"]"));
        }
        self.click("#call");
    }

    /// Waits until its only call is in this state.
    #[track_caller]
    fn is(&self, state: &str) {
        self.until(&format!(
            "document.querySelector('.call')?.dataset.state === '{state}'"
        ));
    }

    #[track_caller]
    fn idle(&self) {
        self.until("document.querySelector('.call') === null");
    }

    #[track_caller]
    fn text(&self, selector: &str) -> String {
        let text = self.eval(&format!(
            "document.querySelector('{selector}')?.textContent ?? ''"
        ));
        text.as_str().expect("text").trim().to_owned()
    }

    #[track_caller]
    fn heard(&self, samples: usize) -> Vec<i16> {
        self.until(&format!("samples() >= {samples}"));
        self.browser.borrow_mut().heard(&self.page).expect("audio")
    }

    #[track_caller]
    fn hears(&self, spoken: &Prompt) {
        self.eval("forget()");
        // Wherever it begins, in twice its length there is all of it; a player that has just begun anew
        // stretches what comes first.
        let heard = self.heard(2 * spoken.samples().len() + 2 * HEARD_HZ as usize);
        let heard = &heard[HEARD_HZ as usize..];
        spoken.assert_like(heard, &self.who);
    }

    /// Pictures, for who wants to look at them, in the folder that `JACKFIELD_PICTURES` names.
    #[allow(clippy::disallowed_methods)] // A test's own environment.
    fn picture(&self, name: &str) {
        let Ok(folder) = std::env::var("JACKFIELD_PICTURES") else {
            return;
        };
        for size in [(1_440, 900), (390, 844)] {
            let bytes = self
                .browser
                .borrow_mut()
                .picture(&self.page, size)
                .expect("a picture");
            let file = PathBuf::from(&folder).join(format!("{name}-{}.png", size.0));
            std::fs::write(file, bytes).expect("a file");
        }
    }
}

#[test]
fn a_newcomer_calls_the_menu_and_hears_it() {
    let house = House::new("phone-menu");
    let browser = house.browser(&Prompt::of_demo("en/hello"));
    let phone = house.phone(&browser, "1002");
    assert_eq!(
        phone.eval("location.hash"),
        "",
        "no secret stays in the address"
    );
    phone.eval("document.querySelector('#language').textContent === '中文' || document.querySelector('#language').click()");
    phone.picture("idle");
    phone.dial("1000");
    phone.is("up");
    let welcome = Prompt::of_demo("common/welcome");
    let heard = phone.heard(welcome.samples().len() + HEARD_HZ as usize);
    welcome.assert_like(&heard, "the page");
    assert_eq!(phone.text(".call .state"), "In call");
    phone.eval("forget()");
    phone.click("#keys [data-key=\"1\"]");
    let main = Prompt::of_demo("zh-CN/main");
    let heard = phone.heard(main.samples().len() + 2 * HEARD_HZ as usize);
    main.assert_like(&heard, "the page");
    // The language is changed while one talks.
    phone.click("#language");
    assert_eq!(phone.text(".call .state"), "通话中");
    assert_eq!(phone.text(".call .pressed"), "已按键 1");
    let loud = phone.until("document.querySelector('#me').value");
    assert!(
        loud.as_f64().is_some_and(|loud| loud > 0.1),
        "the microphone is shown: {loud}"
    );
    phone.picture("menu");
    phone.click(".call [data-act=hang_up]");
    phone.idle();
    assert!(phone.text("#history li").contains("1000"));
    let calls = house.server.calls().expect("calls");
    assert_eq!((calls.len(), &calls[0]["ended_by"]), (1, &"far".into()));
    // Nobody is there.
    phone.dial("1234");
    phone.until("!document.querySelector('#notice').hidden");
    assert_eq!(phone.text("#notice"), "未接通: 号码不存在");
    phone.picture("failed");
    phone.click("#leave");
    phone.until("!document.querySelector('#login').hidden");
    let gone = || {
        let registered = house.server.json("/api/v1/registrations")?;
        Ok((registered["items"] == json!([])).then_some(()))
    };
    until("it has signed out", gone).expect("nobody is registered");
}

#[test]
fn two_talk_hold_load_anew_and_transfer() {
    let house = House::new("phone-talk");
    let (one, two) = (
        Prompt::of_demo("en/transferring"),
        Prompt::of_demo("zh-CN/no_input"),
    );
    let (first, second) = (house.browser(&one), house.browser(&two));
    let (caller, called) = (house.phone(&first, "1002"), house.phone(&second, "1001"));
    caller.dial("1020");
    called.is("incoming");
    assert_eq!(called.text(".call strong"), "1002");
    called.picture("incoming");
    called.click(".call [data-act=answer]");
    for phone in [&caller, &called] {
        phone.is("up");
    }
    caller.hears(&two);
    called.hears(&one);

    caller.click(".call [data-act=hold]");
    caller.until("phone.calls[0].held");
    caller.picture("held");
    called.eval("forget()");
    let heard = called.heard(2 * one.samples().len());
    let there = one.likeness_in(&heard);
    assert!(there < 0.5, "on hold it is not heard: {there}");
    caller.click(".call [data-act=resume]");
    caller.hears(&two);
    called.hears(&one);

    // The page is loaded anew, and the call goes on.
    caller.eval("location.reload()");
    caller
        .until("document.readyState === 'complete' && globalThis.phone?.calls[0]?.state === 'up'");
    caller.hears(&two);
    called.hears(&one);
    let registered = house
        .server
        .json("/api/v1/registrations")
        .expect("registrations");
    for user in registered["items"].as_array().expect("users") {
        assert_eq!(user["contacts"].as_array().map(Vec::len), Some(1), "{user}");
    }

    // The called sends the caller to the menu.
    called.click(".call [data-act=transfer]");
    called.picture("transfer");
    called.eval("document.querySelector('.transfer input').value = '1000'");
    caller.eval("forget()");
    called.click(".transfer button[value=now]");
    let welcome = Prompt::of_demo("common/welcome");
    let heard = caller.heard(welcome.samples().len() + 4 * HEARD_HZ as usize);
    welcome.assert_like(&heard, "who was transferred");
    called.idle();
    caller.click(".call [data-act=hang_up]");
    caller.idle();
}

#[test]
fn who_may_not_sign_in_is_told_why() {
    let house = House::new("phone-refused");
    let browser = house.browser(&Prompt::of_demo("en/hello"));
    let phone = house.open(&browser, "");
    phone.until("!document.querySelector('#login').hidden");
    phone.eval("document.querySelector('#language').textContent === '中文' || document.querySelector('#language').click()");
    phone.picture("login");
    phone.eval("(user.value = '1002', password.value = 'wrong', login.requestSubmit())");
    phone.until("!notice.hidden");
    assert_eq!(phone.text("#notice"), "Extension or password is wrong.");
    phone.picture("wrong");
    // Nothing is left of what was wrong, and the right one lets in.
    phone.eval("(user.value = '1002', password.value = 'secret-two', login.requestSubmit())");
    phone.online();
    assert_eq!(phone.text("#notice"), "");
    // A tab that is loaded anew is still signed in.
    phone.eval("location.reload()");
    phone.until("document.readyState === 'complete' && globalThis.phone?.state === 'online'");
}
