//! Goal: every SRTP suite against libsrtp, both ways: what we protect it takes, and the other way
//! round, and the packets are the same to the byte. 70,000 packets in each, so that the sequence
//! numbers turn over, of all lengths and with every part a header can have, and reports between
//! them. Packets that are lost, late, repeated and forged are refused for the same reasons. Master
//! key identifiers stand where it has them.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use jackfield_tests::oracle;
use media::srtp::{ADDED_BYTES_MAX, Error, MasterKey, Mki, Receiver, Sender, Suite};
use vocab::Rng;

/// Packets of each suite and direction: more than there are sequence numbers.
const PACKETS: usize = 70_000;

/// Packets on their way to the other program at once. What they and their answers take must fit
/// into two pipes, or both ends wait for each other.
const BATCH: usize = 50;

/// Statuses of libsrtp (`srtp_err_status_t`).
const BAD_PARAM: u8 = 2;
const AUTH_FAIL: u8 = 7;
const REPLAY_FAIL: u8 = 9;
const REPLAY_OLD: u8 = 10;
const CANT_CHECK: u8 = 14;
const PARSE_ERR: u8 = 21;
const BAD_MKI: u8 = 25;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Rtp,
    Rtcp,
}

fn compile() -> anyhow::Result<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    oracle::compile(folder, "libsrtp", "srtp2", "libsrtp2-dev")
}

/// libsrtp with one key and in one direction.
struct Libsrtp {
    process: Child,
    input: Option<ChildStdin>,
    output: ChildStdout,
}

impl Libsrtp {
    fn start(program: &Path, direction: &str, key: &MasterKey) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.args([direction, key.suite().name(), &hex(key.expose())]);
        if let Some(mki) = key.mki() {
            let bytes = mki.value().to_be_bytes();
            command.arg(hex(&bytes[4 - usize::from(mki.len_bytes())..]));
        }
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = process.stdin.take();
        let output = process.stdout.take().context("its output")?;
        Ok(Self {
            process,
            input,
            output,
        })
    }

    /// What it makes of each packet: the packet, or its status.
    fn pass(&mut self, packets: &[(Kind, Vec<u8>)]) -> anyhow::Result<Vec<Result<Vec<u8>, u8>>> {
        let mut answers = Vec::with_capacity(packets.len());
        for batch in packets.chunks(BATCH) {
            let mut bytes = Vec::new();
            for (kind, packet) in batch {
                bytes.push(if *kind == Kind::Rtp { b'p' } else { b'c' });
                bytes.extend_from_slice(&u16::try_from(packet.len())?.to_be_bytes());
                bytes.extend_from_slice(packet);
            }
            self.input
                .as_mut()
                .context("its input")?
                .write_all(&bytes)?;
            for _ in batch {
                answers.push(self.answer().context("libsrtp ended")?);
            }
        }
        Ok(answers)
    }

    fn answer(&mut self) -> anyhow::Result<Result<Vec<u8>, u8>> {
        let mut head = [0; 3];
        self.output.read_exact(&mut head)?;
        let mut packet = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))];
        self.output.read_exact(&mut packet)?;
        Ok(if head[0] == 0 {
            Ok(packet)
        } else {
            Err(head[0])
        })
    }
}

impl Drop for Libsrtp {
    fn drop(&mut self) {
        drop(self.input.take());
        drop(self.process.wait());
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A packet with a payload of any length up to two of 20 ms, at times with contributors and an
/// extension.
fn rtp(rng: &mut Rng, sequence: u16, ssrc: u32) -> Vec<u8> {
    let parts = rng.below(8);
    let (contributors, extension) = (parts & 1, parts & 2 != 0);
    let mut packet = vec![0x80 | (contributors as u8 * 3), 0x60];
    packet[0] |= if extension { 0x10 } else { 0 };
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&rng.u32().to_be_bytes());
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.resize(packet.len() + contributors as usize * 12, 0x11);
    if extension {
        packet.extend_from_slice(&[0xbe, 0xde, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8]);
    }
    let at = packet.len();
    packet.resize(at + rng.below(321) as usize, 0);
    rng.fill(&mut packet[at..]);
    packet
}

/// A receiver report, and a goodbye behind some of them.
fn rtcp(rng: &mut Rng, ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x81, 201, 0, 7];
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.resize(32, 0);
    rng.fill(&mut packet[8..]);
    if rng.chance(0.5) {
        packet.extend_from_slice(&[0x81, 203, 0, 1]);
        packet.extend_from_slice(&ssrc.to_be_bytes());
    }
    packet
}

/// A call of 70,000 packets from just before a turn, with a report now and then.
fn call(rng: &mut Rng) -> Vec<(Kind, Vec<u8>)> {
    let ssrc = rng.u32();
    let mut packets = Vec::with_capacity(PACKETS + PACKETS / 250);
    for n in 0..PACKETS {
        let sequence = (65_000 + n) as u16;
        packets.push((Kind::Rtp, rtp(rng, sequence, ssrc)));
        if n % 250 == 0 {
            packets.push((Kind::Rtcp, rtcp(rng, ssrc)));
        }
    }
    packets
}

fn protect(sender: &mut Sender, kind: Kind, packet: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut buf = packet.to_vec();
    buf.resize(packet.len() + ADDED_BYTES_MAX, 0);
    let len = match kind {
        Kind::Rtp => sender.protect(&mut buf, packet.len())?,
        Kind::Rtcp => sender.protect_rtcp(&mut buf, packet.len())?,
    };
    buf.truncate(len);
    Ok(buf)
}

fn protect_all(
    sender: &mut Sender,
    packets: &[(Kind, Vec<u8>)],
) -> anyhow::Result<Vec<(Kind, Vec<u8>)>> {
    packets
        .iter()
        .map(|(kind, packet)| Ok((*kind, protect(sender, *kind, packet)?)))
        .collect()
}

fn unprotect(receiver: &mut Receiver, kind: Kind, packet: &[u8]) -> Result<Vec<u8>, Error> {
    let mut buf = packet.to_vec();
    let len = match kind {
        Kind::Rtp => receiver.unprotect(&mut buf)?,
        Kind::Rtcp => receiver.unprotect_rtcp(&mut buf)?,
    };
    buf.truncate(len);
    Ok(buf)
}

/// The suites; and those of each kind again with identifiers.
fn keys(rng: &mut Rng) -> Vec<MasterKey> {
    let mut keys: Vec<_> = Suite::ALL
        .into_iter()
        .map(|suite| MasterKey::random(suite, rng))
        .collect();
    let [short, long] = [(0x5a, 1), (0x0102_0304, 4)].map(|(value, len)| Mki::new(value, len));
    for (suite, mki) in [
        (Suite::AesCm128HmacSha1_80, short),
        (Suite::AeadAes128Gcm, long),
    ] {
        let mki = mki.expect("it fits");
        keys.push(MasterKey::random(suite, rng).with_mki(mki));
    }
    keys
}

#[test]
fn libsrtp_takes_what_we_protect() -> anyhow::Result<()> {
    let program = compile()?;
    let mut rng = Rng::from_u64(3711);
    for key in keys(&mut rng) {
        let plain = call(&mut rng);
        let protected = protect_all(&mut Sender::new(&key), &plain)?;
        let got = Libsrtp::start(&program, "unprotect", &key)?.pass(&protected)?;
        for (n, (got, (_, plain))) in got.iter().zip(&plain).enumerate() {
            ensure!(got.as_ref() == Ok(plain), "{key:?}: packet {n}: {got:?}");
        }
    }
    Ok(())
}

#[test]
fn we_take_what_libsrtp_protects_and_it_is_the_same() -> anyhow::Result<()> {
    let program = compile()?;
    let mut rng = Rng::from_u64(6188);
    for key in keys(&mut rng) {
        let plain = call(&mut rng);
        let (mut sender, mut receiver) = (Sender::new(&key), Receiver::new(&key));
        // It counts reports from one, as the standard leaves open; we from zero.
        let (_, report) = plain.iter().find(|it| it.0 == Kind::Rtcp).context("one")?;
        protect(&mut sender, Kind::Rtcp, report)?;
        let got = Libsrtp::start(&program, "protect", &key)?.pass(&plain)?;
        for (n, (got, (kind, plain))) in got.iter().zip(&plain).enumerate() {
            let Ok(got) = got else {
                bail!("{key:?}: packet {n}: {got:?}");
            };
            let ours = protect(&mut sender, *kind, plain)?;
            ensure!(*got == ours, "{key:?}: packet {n}, {kind:?}, differs");
            let read = unprotect(&mut receiver, *kind, got);
            let read = read.with_context(|| format!("{key:?}: packet {n}"))?;
            ensure!(
                read == *plain,
                "{key:?}: packet {n}, {kind:?}, reads as another"
            );
        }
    }
    Ok(())
}

/// Packets around a turn that a bad network loses, delays and repeats, and some that are forged:
/// both take and refuse the same ones.
#[test]
fn both_think_alike_of_a_bad_network() -> anyhow::Result<()> {
    let program = compile()?;
    let mut rng = Rng::from_u64(7714);
    for key in keys(&mut rng) {
        let ssrc = rng.u32();
        let mut sender = Sender::new(&key);
        let mut arriving = Vec::new();
        for n in 0..2_000_u32 {
            let plain = rtp(&mut rng, (64_600 + n) as u16, ssrc);
            arriving.push((Kind::Rtp, protect(&mut sender, Kind::Rtp, &plain)?));
            if n % 10 == 0 {
                let plain = rtcp(&mut rng, ssrc);
                arriving.push((Kind::Rtcp, protect(&mut sender, Kind::Rtcp, &plain)?));
            }
        }
        for at in 0..arriving.len() - 300 {
            match rng.below(200) {
                0..10 => arriving.swap(at, at + rng.below(8) as usize),
                // Later than the window is wide.
                10 => arriving.swap(at, at + rng.below(300) as usize),
                11..20 => arriving[at + rng.below(300) as usize] = arriving[at].clone(),
                20..30 => {
                    let packet = &mut arriving[at].1;
                    let bit = rng.below(packet.len() as u64 * 8) as usize;
                    // A changed source or number would only change what is asked first.
                    if bit >= 12 * 8 {
                        packet[bit / 8] ^= 1 << (bit % 8);
                    }
                }
                _ => {}
            }
        }
        let mut receiver = Receiver::new(&key);
        let theirs = Libsrtp::start(&program, "unprotect", &key)?.pass(&arriving)?;
        let (mut refused, mut taken) = (0, 0);
        for (n, (theirs, (kind, packet))) in theirs.into_iter().zip(&arriving).enumerate() {
            let ours = unprotect(&mut receiver, *kind, packet);
            match (&ours, &theirs) {
                (Ok(ours), Ok(theirs)) if ours == theirs => taken += 1,
                (Err(Error::Tag), Err(AUTH_FAIL))
                | (Err(Error::Replayed), Err(REPLAY_FAIL))
                | (Err(Error::Old), Err(REPLAY_OLD))
                // We look at the identifier before the number.
                | (Err(Error::Mki), Err(BAD_MKI | REPLAY_FAIL | REPLAY_OLD))
                | (Err(Error::Clear), Err(CANT_CHECK))
                // An extension that is longer than the packet.
                | (Err(Error::Truncated), Err(BAD_PARAM | PARSE_ERR)) => refused += 1,
                _ => bail!("{key:?}: packet {n}, {kind:?}: {ours:?}, but libsrtp {theirs:?}"),
            }
        }
        ensure!(taken > 1_000 && refused > 100, "{taken} and {refused}");
    }
    Ok(())
}
