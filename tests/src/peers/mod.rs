//! Real peers: sipp and baresip as processes, and an RTP end of our own for those without ears.
//!
//! - [`prompt`] is what callers should hear, [`capture`] what arrived, packet by packet.
//! - [`lines`] is many RTP ends on one loop: each follows a script of what it hears and does then.
//! - [`sipp`] signals for such lines; a control connection tells it when each call is over.
//! - [`kamailio`] is a proxy between phones and several nodes.
//! - [`baresip`] is a whole phone, told what to do over its own control connection.
//! - [`browser`] is the libraries of pages in browsers, in Node.
//! - [`chromium`] is a real browser, whose pages talk by WebRTC.
//! - [`menu`] is the walk through the demo that all of them make.
//! - [`scenario`] is one side of one call, as a ladder that sipp keeps to.
//! - [`dns`] is a DNS server whose zone the test holds in its hand.
//! - [`talker`] is somebody who is called and does what the test says next.
//! - [`record`] reads what the server kept.
//!
//! Nothing here asserts a duration. Waits end with an event or, should it never come, with
//! [`PATIENCE`](crate::shell::PATIENCE).

pub mod baresip;
pub mod browser;
pub mod capture;
pub mod chromium;
pub mod dns;
pub mod kamailio;
pub mod lab;
pub mod lines;
pub mod menu;
pub mod prompt;
pub mod raw;
pub mod record;
pub mod scenario;
pub mod sipp;
pub mod talker;

use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use server::clock::Clock;

use crate::shell::PATIENCE;

/// Time between two looks at something that tells nobody when it changes.
const LOOK: Duration = Duration::from_millis(50);

/// What the server gives its own audio threads.
const AUDIO_NICENESS: &str = "-11";

/// Looks until there is something; at most [`PATIENCE`].
///
/// For what has no events: files of other programs, and counters.
///
/// # Errors
/// If there is nothing in time, with `what` was waited for; or the first error of `look`.
pub fn until<T>(
    what: &str,
    mut look: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let clock = Clock::start();
    let end = clock.now().mono + PATIENCE;
    loop {
        if let Some(found) = look().with_context(|| what.to_owned())? {
            return Ok(found);
        }
        if clock.now().mono >= end {
            bail!("{what}: not within {PATIENCE:?}");
        }
        std::thread::park_timeout(LOOK);
    }
}

/// Gives the calling thread the priority of audio, where the system allows it: it stands for phones
/// that have a processor of their own.
fn hurry() {
    // "<process>/task/<thread>"
    let Ok(name) = std::fs::read_link("/proc/thread-self") else {
        return;
    };
    let Some(thread) = name.file_name() else {
        return;
    };
    let mut renice = Command::new("renice");
    renice.args(["-n", AUDIO_NICENESS, "-p"]).arg(thread);
    drop(renice.stdout(Stdio::null()).stderr(Stdio::null()).status());
}

/// Waits for a packet of µ-law audio.
///
/// # Errors
/// If none comes, or something else does.
pub fn hear(rtp: &UdpSocket) -> anyhow::Result<()> {
    let mut packet = [0; 1_500];
    let length = rtp.recv(&mut packet).context("no audio")?;
    // RFC 3550 §5.1: version 2, payload type 0; 20 ms are 160 samples.
    ensure!(
        packet[0] >> 6 == 2 && packet[1] & 0x7f == 0 && length == 12 + 160,
        "not a packet of audio: {:?}",
        &packet[..length]
    );
    Ok(())
}

/// Starts a program while this process starts no other. Until it is itself, a child has copies of
/// all our sockets: a port that is just being handed over to another one would still be taken.
///
/// # Errors
/// If it does not start.
pub fn spawn(command: &mut Command) -> std::io::Result<Child> {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    command.spawn()
}

/// Makes sure that a program is there.
///
/// # Errors
/// If not, with the command that installs it.
pub fn require(program: &str, package: &str) -> anyhow::Result<()> {
    let mut command = Command::new(program);
    command
        .arg("-v")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    match spawn(&mut command).and_then(|mut child| child.wait()) {
        Ok(_) => Ok(()),
        Err(error) => bail!(
            "{program} does not run ({error}); \
             install it: sudo apt-get install -y --no-install-recommends {package}"
        ),
    }
}
