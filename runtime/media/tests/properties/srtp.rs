//! What holds for SRTP contexts and key attributes whatever comes. Shared by the corpus replay
//! beside this and by the fuzz target in `tests/fuzz`.

use jackfield_media::srtp::sdes::{self, Crypto};
use jackfield_media::srtp::{ADDED_BYTES_MAX, MasterKey, Mki, Receiver, Sender, Suite};
use vocab::Rng;

/// Nothing panics; what was protected and not touched comes back as it was, everything else is
/// refused; an attribute that is read is written so that it reads the same.
///
/// # Panics
/// If a property does not hold.
pub(crate) fn check(bytes: &[u8]) {
    attribute(bytes);
    let [first, story @ ..] = bytes else {
        return;
    };
    let suite = Suite::ALL[usize::from(*first) % Suite::ALL.len()];
    let mut key = MasterKey::random(suite, &mut Rng::from_u64(1));
    if let Some(mki) = Mki::new(7, *first >> 5) {
        key = key.with_mki(mki);
    }
    World::new(&key).play(story);
}

fn attribute(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(crypto) = Crypto::parse(text) else {
        assert_eq!(sdes::choose([text], &Suite::ALL), None);
        return;
    };
    assert_eq!(Crypto::parse(&crypto.to_value()), Ok(crypto.clone()));
    assert_eq!(sdes::choose([text], &Suite::ALL), Some(crypto));
}

struct World {
    sender: Sender,
    receiver: Receiver,
    /// Whether the receiver got all that was protected: else the two may guess roll-over counters
    /// apart.
    together: bool,
    taken: Vec<(bool, Vec<u8>)>,
}

impl World {
    fn new(key: &MasterKey) -> Self {
        Self {
            sender: Sender::new(key),
            receiver: Receiver::new(key),
            together: true,
            taken: Vec::new(),
        }
    }

    /// Reads the bytes as a story: one says what happens to a packet, the next how long it is.
    ///
    /// | bits | meaning |
    /// |---|---|
    /// | 0 | RTCP |
    /// | 1 to 3 | lost, changed, cut, longer (1 to 4); the one before again; sent as it is; arrives |
    /// | 4 to 7 | where it is changed or cut |
    fn play(mut self, mut story: &[u8]) {
        while let [control, len, rest @ ..] = story {
            let (packet, rest) = rest.split_at(usize::from(*len).min(rest.len()));
            story = rest;
            let is_rtcp = control & 1 == 1;
            let where_ = usize::from(*control >> 4);
            match *control >> 1 & 7 {
                5 => self.again(),
                6 => drop(self.unprotect(is_rtcp, packet)),
                what => {
                    if let Some(protected) = self.protect(is_rtcp, packet) {
                        self.travel(is_rtcp, packet, protected, what, where_);
                    }
                }
            }
        }
    }

    fn travel(&mut self, is_rtcp: bool, plain: &[u8], whole: Vec<u8>, what: u8, at: usize) {
        let mut packet = whole.clone();
        let at = at * packet.len() / 16;
        match what {
            1 => return self.together = false,
            2 => packet[at] ^= 1 << (at % 8),
            3 => packet.truncate(at),
            4 => packet.insert(at, 0x80),
            _ => {}
        }
        if packet != whole {
            assert_eq!(self.unprotect(is_rtcp, &packet), None, "forged");
        }
        match self.unprotect(is_rtcp, &whole) {
            Some(got) => {
                assert_eq!(got, plain);
                self.taken.push((is_rtcp, whole));
            }
            None => assert!(!self.together, "good packets arrive"),
        }
    }

    fn again(&mut self) {
        if let Some((is_rtcp, packet)) = self.taken.last().cloned() {
            assert_eq!(self.unprotect(is_rtcp, &packet), None, "replayed");
        }
    }

    fn protect(&mut self, is_rtcp: bool, packet: &[u8]) -> Option<Vec<u8>> {
        let mut buf = packet.to_vec();
        buf.resize(packet.len() + ADDED_BYTES_MAX, 0);
        let len = match is_rtcp {
            true => self.sender.protect_rtcp(&mut buf, packet.len()),
            false => self.sender.protect(&mut buf, packet.len()),
        };
        buf.truncate(len.ok()?);
        assert!(buf.len() > packet.len());
        Some(buf)
    }

    fn unprotect(&mut self, is_rtcp: bool, packet: &[u8]) -> Option<Vec<u8>> {
        let mut buf = packet.to_vec();
        let len = match is_rtcp {
            true => self.receiver.unprotect_rtcp(&mut buf),
            false => self.receiver.unprotect(&mut buf),
        };
        buf.truncate(len.ok()?);
        assert!(buf.len() < packet.len());
        Some(buf)
    }
}
