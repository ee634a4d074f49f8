//! What is heard, packet by packet: a carrier before it answers, and music on hold.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use jackfield_tests::peers::capture::Capture;
use jackfield_tests::peers::lab::{Lab, Scenario, same};
use jackfield_tests::peers::prompt::{Prompt, encoded, voice};
use jackfield_tests::peers::raw::Raw;
use jackfield_tests::peers::talker::{Talker, sdp};
use jackfield_tests::shell::PATIENCE;
use media::Codec;
use media::rtp::Header;
use media::tone::{Region, Tone};
use server::clock::Clock;

pub(crate) const SCENARIOS: &[(&str, Scenario)] = &[
    ("carrier-speaks", carrier_speaks),
    ("carrier-busy", carrier_busy),
    ("music", music),
];

/// How long a network sends a busy tone, at least: two and a half times its tone and its pause are
/// needed to know it by.
const BUSY: Duration = Duration::from_secs(3);

/// Samples of a packet (RFC 3551 §4.2: 20 ms).
const PACKET: usize = 160;

/// How often the carrier says what it has to say: a machine that stands still tears it now and then.
const TIMES: usize = 6;

/// Audio of so many milliseconds from the beginning of a clip.
fn first(name: &str, samples: &[i16], ms: usize) -> Prompt {
    Prompt::new(name, samples[..ms * 8].to_vec())
}

/// A user who calls with our own phone, and what went over its sockets.
fn call(lab: &Lab, name: &str, number: &str) -> anyhow::Result<(std::process::Child, String)> {
    let file = lab.server.folder.path().join(format!("{name}.pcap"));
    let file = file.to_str().context("a path")?.to_owned();
    let args = ["--from", "caller", "--password-env", "SECRET"];
    let more = ["--codec", "pcmu", "--pcap", &file];
    let phone = lab.server.phone(number, &[&args[..], &more[..]].concat())?;
    Ok((phone, file))
}

/// Sends audio, a packet every 20 ms.
fn speak(rtp: &UdpSocket, to: SocketAddr, codes: &[u8], header: &mut Header) -> anyhow::Result<()> {
    for payload in codes.chunks(PACKET) {
        header.sequence = header.sequence.wrapping_add(1);
        header.timestamp = header.timestamp.wrapping_add(PACKET as u32);
        rtp.send_to(&[&header.to_bytes()[..], payload].concat(), to)?;
        std::thread::park_timeout(Duration::from_millis(20));
    }
    Ok(())
}

/// The announcement of a network, which then refuses the call: the caller hears it as it was sent.
fn carrier_speaks(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let carrier = lab.carrier(7);
    let raw = Raw::udp_at(lab.server.sip, carrier.port)?;
    let mut far = Talker::new(name, raw);
    let (phone, file) = call(lab, name, &carrier.before)?;
    far.expect("INVITE")?;
    let rtp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    far.answer("183 Session Progress", "", &sdp(rtp.local_addr()?.port()))?;
    let announcement = first("announcement", voice().samples(), 400);
    let codes = encoded(Codec::Pcmu, announcement.samples());
    let mut header = Header {
        ssrc: 7,
        ..Header::default()
    };
    for _ in 0..TIMES {
        speak(&rtp, far.audio()?, &codes, &mut header)?;
    }
    far.answer("486 Busy Here", "", "")?;
    far.expect("ACK")?;
    let said = phone.wait_with_output()?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    ensure!(said.contains("486"), "{said}");
    let heard = Capture::of_phone(Codec::Pcmu, file.as_ref())?;
    heard.check(&[announcement])
}

/// A network that tells in tones alone that somebody is busy, as many do: the caller hears them, and its
/// call ends as busy at once, not when nobody has answered for a minute.
fn carrier_busy(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let carrier = lab.carrier(9);
    let raw = Raw::udp_at(lab.server.sip, carrier.port)?;
    let mut far = Talker::new(name, raw);
    let (phone, file) = call(lab, name, &carrier.before)?;
    far.expect("INVITE")?;
    let rtp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    far.answer("183 Session Progress", "", &sdp(rtp.local_addr()?.port()))?;
    let tone = Tone::busy(Region::China).render(BUSY);
    let codes = encoded(Codec::Pcmu, &tone);
    let mut header = Header {
        ssrc: 9,
        ..Header::default()
    };
    speak(&rtp, far.audio()?, &codes, &mut header)?;
    let cancel = far.expect("CANCEL")?;
    far.reply(&cancel, "200 OK", "", "")?;
    far.answer("487 Request Terminated", "", "")?;
    far.expect("ACK")?;
    let said = phone.wait_with_output()?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    ensure!(said.contains("486"), "{said}");
    let heard = Capture::of_phone(Codec::Pcmu, file.as_ref())?;
    // What came before the way was open is not heard.
    heard.check(&[first("a busy tone", &tone[PACKET * 20..], 1_000)])
}

/// A user who dials, holds the call, and is hung up on.
const HOLDS: &str = "
    > INVITE sdp
    <? 100
    < 401
    > ACK
    > INVITE sdp login
    <? 100
    <? 180
    < 200
    > ACK
    > INVITE sdp:sendonly
    <? 100
    < 200
        body: a=recvonly
    > ACK
    < BYE
    > 200
";

/// Whoever is put on hold hears the music from its beginning.
fn music(lab: &Lab, name: &str) -> anyhow::Result<()> {
    let phone = lab.phone();
    let mut held = lab.talker(&format!("{name}-held"), &phone, false)?;
    let caller = lab.caller(name, &phone.before, HOLDS).start()?;
    held.expect("INVITE")?;
    let rtp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    rtp.set_read_timeout(Some(PATIENCE))?;
    held.answer("200 OK", "", &sdp(rtp.local_addr()?.port()))?;
    held.expect("ACK")?;
    let tune = first("music on hold", &media::music::on_hold().samples, 1_000);
    let codes = encoded(Codec::Pcmu, tune.samples());
    let mut heard = Capture::new(Codec::Pcmu);
    let clock = Clock::start();
    let mut packet = [0; 1_500];
    while heard.find(&codes, 0).is_none() {
        let length = rtp.recv(&mut packet).context("no music")?;
        heard.take(clock.now().mono, &packet[..length]);
    }
    heard.check(&[tune])?;
    held.hang_up()?;
    caller.end_soon()?;
    same(
        &lab.story(name)?,
        "asks dial, leg.dialed, call.answered, leg.bridged, leg.held, leg.unbridged, \
         dial answered, ended normal near",
    )
}
