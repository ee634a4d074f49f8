//! Known packets of the standards and of libsrtp, and what contexts remember.

use super::keys::SessionKeys;
use super::*;
use crate::rtp::Header;
use vocab::Rng;

/// The buffer's size in most tests.
const ROOM: usize = 300;

fn key(suite: Suite, n: u64) -> MasterKey {
    MasterKey::random(suite, &mut Rng::from_u64(n))
}

fn pair(suite: Suite) -> (Sender, Receiver) {
    let key = key(suite, 1);
    (Sender::new(&key), Receiver::new(&key))
}

/// 20 ms of G.711.
fn rtp(ssrc: u32, sequence: u16) -> Vec<u8> {
    let header = Header {
        sequence,
        ssrc,
        ..Header::default()
    };
    let mut packet = header.to_bytes().to_vec();
    packet.extend((0..160).map(|n| n as u8 ^ sequence as u8));
    packet
}

fn rtcp(ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 3];
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(b"whatever");
    packet
}

fn protect(sender: &mut Sender, packet: &[u8]) -> Result<Vec<u8>, Error> {
    let mut buf = vec![0xee; ROOM];
    buf[..packet.len()].copy_from_slice(packet);
    let len = sender.protect(&mut buf, packet.len())?;
    assert_eq!(len, packet.len() + sender.rtp_added_bytes());
    assert!(buf[len..].iter().all(|byte| *byte == 0xee));
    buf.truncate(len);
    Ok(buf)
}

fn protect_rtcp(sender: &mut Sender, packet: &[u8]) -> Result<Vec<u8>, Error> {
    let mut buf = vec![0xee; ROOM];
    buf[..packet.len()].copy_from_slice(packet);
    let len = sender.protect_rtcp(&mut buf, packet.len())?;
    assert_eq!(len, packet.len() + sender.rtcp_added_bytes());
    assert!(buf[len..].iter().all(|byte| *byte == 0xee));
    buf.truncate(len);
    Ok(buf)
}

fn unprotect(receiver: &mut Receiver, packet: &[u8]) -> Result<Vec<u8>, Error> {
    let mut buf = packet.to_vec();
    let len = receiver.unprotect(&mut buf)?;
    buf.truncate(len);
    Ok(buf)
}

fn unprotect_rtcp(receiver: &mut Receiver, packet: &[u8]) -> Result<Vec<u8>, Error> {
    let mut buf = packet.to_vec();
    let len = receiver.unprotect_rtcp(&mut buf)?;
    buf.truncate(len);
    Ok(buf)
}

/// A packet of each kind as libsrtp's test driver has them: both first in their stream, except that
/// it counts RTCP from one.
fn check_libsrtp(suite: Suite, key: &str, srtp: &str, srtcp: &str) {
    let key = MasterKey::new(suite, &hex(key)).expect("as long as it is");
    let body = "abababababababababababababababab";
    let (plain, protected) = (hex(&format!("800f1234decafbadcafebabe{body}")), hex(srtp));
    let mut sender = Sender::new(&key);
    assert_eq!(protect(&mut sender, &plain), Ok(protected.clone()));
    let mut receiver = Receiver::new(&key);
    assert_eq!(unprotect(&mut receiver, &protected), Ok(plain));
    let (plain, protected) = (hex(&format!("81c8000bcafebabe{body}")), hex(srtcp));
    assert!(protect_rtcp(&mut sender, &plain).is_ok());
    assert_eq!(protect_rtcp(&mut sender, &plain), Ok(protected.clone()));
    assert_eq!(unprotect_rtcp(&mut receiver, &protected), Ok(plain));
}

#[test]
fn libsrtp_packets_of_aes_cm_128() {
    check_libsrtp(
        Suite::AesCm128HmacSha1_80,
        "e1f97a0d3e018be0d64fa32c06de41390ec675ad498afeebb6960b3aabe6",
        "800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb",
        "81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798",
    );
}

#[test]
fn libsrtp_packets_of_aead_aes_128_gcm() {
    check_libsrtp(
        Suite::AeadAes128Gcm,
        "000102030405060708090a0b0c0d0e0fa0a1a2a3a4a5a6a7a8a9aaab",
        "800f1234decafbadcafebabec5002ede04cfdd2eb91159e0880aa06e
         d2976826f796b201df3131a127e8a392",
        "81c8000bcafebabec98b8b5df0392a55852b6c21ac8e7025
         c52c6fbea2b3b446ea31123ba88ce61e80000001",
    );
}

#[test]
fn a_packet_of_aes_256_cm() {
    // The key of RFC 6188 §7.2; the packet is one that other stacks test with.
    let key = "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6
               3b04803de51ee7c96423ab5b78d2";
    let key = MasterKey::new(Suite::Aes256CmHmacSha1_80, &hex(key)).expect("46 bytes");
    let plain = hex("800f1234decafbadcafebabeabababababababababababababababab");
    let protected =
        hex("800f1234decafbadcafebabef1d9de17ff251ff1aa007774b0b4b40da08d9d9a5b3a55d8873b");
    assert_eq!(protect(&mut Sender::new(&key), &plain), Ok(protected));
}

/// The packets of RFC 7714 §16 and §17, whose keys are session keys.
fn rfc_7714(suite: Suite) -> (Sender, Receiver) {
    let all: Vec<u8> = (0..32).collect();
    let (encryption, salt) = (&all[..suite.key_bytes()], b"Quid pro quo");
    let protection = || {
        let keys = SessionKeys::of(suite, encryption, salt);
        Protection::of(&key(suite, 1), &keys, &keys)
    };
    (Sender::of(protection()), Receiver::of(protection()))
}

#[test]
fn rfc_7714_section_16() {
    let plain = [
        &hex("8040f17b8041f8d35501a0b2")[..],
        b"Gallia est omnis divisa in partes tres",
    ]
    .concat();
    for (suite, protected) in [
        (
            Suite::AeadAes128Gcm,
            "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a
             51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce",
        ),
        (
            Suite::AeadAes256Gcm,
            "8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a02
             76ffae0f1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13",
        ),
    ] {
        let (mut sender, mut receiver) = rfc_7714(suite);
        let protected = hex(protected);
        assert_eq!(protect(&mut sender, &plain), Ok(protected.clone()));
        assert_eq!(unprotect(&mut receiver, &protected), Ok(plain.clone()));
    }
}

#[test]
fn rfc_7714_section_17() {
    let plain = hex(
        "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61
         deadbeefdeadbeefdeadbeefdeadbeefdeadbeef",
    );
    for (suite, protected) in [
        (
            Suite::AeadAes128Gcm,
            "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda
             4ce09b4686303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4",
        ),
        (
            Suite::AeadAes256Gcm,
            "81c8000d4d617273d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be
             8415f658c61de0476f1b6fad1d1eb30c4446839f57ff6f6cb26ac3be800005d4",
        ),
    ] {
        let (mut sender, mut receiver) = rfc_7714(suite);
        for _ in 0..0x5d4 {
            assert!(protect_rtcp(&mut sender, &plain).is_ok());
        }
        let protected = hex(protected);
        assert_eq!(protect_rtcp(&mut sender, &plain), Ok(protected.clone()));
        assert_eq!(unprotect_rtcp(&mut receiver, &protected), Ok(plain.clone()));
    }
    // §17.3 is authenticated, but not encrypted.
    let clear = [&plain[..], &hex("841dd9683dd78ec92ae58790125f62b3000005d4")].concat();
    let (_, mut receiver) = rfc_7714(Suite::AeadAes128Gcm);
    assert_eq!(unprotect_rtcp(&mut receiver, &clear), Err(Error::Clear));
}

#[test]
fn every_suite_takes_what_it_made_and_encrypts_all_but_the_head() {
    for suite in Suite::ALL {
        let (mut sender, mut receiver) = pair(suite);
        let mut plain = vec![0xb1, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        plain.extend_from_slice(&[0, 0, 0, 9, 0xbe, 0xde, 0, 1, 1, 2, 3, 4]);
        let head = plain.len();
        plain.extend_from_slice(&[7; 31]);
        let protected = protect(&mut sender, &plain).expect("good");
        assert_eq!(protected[..head], plain[..head]);
        assert!(!protected.windows(4).any(|four| four == [7; 4]));
        assert_eq!(protected.len(), plain.len() + suite.rtp_tag_bytes());
        assert_eq!(unprotect(&mut receiver, &protected), Ok(plain));

        let plain = rtcp(3);
        let protected = protect_rtcp(&mut sender, &plain).expect("good");
        assert_eq!(protected[..8], plain[..8]);
        assert!(!protected.windows(4).any(|four| four == b"what"));
        let added = suite.rtcp_tag_bytes() + 4;
        assert_eq!(protected.len(), plain.len() + added);
        assert_eq!(unprotect_rtcp(&mut receiver, &protected), Ok(plain));
    }
}

#[test]
fn empty_payloads_are_authenticated() {
    for suite in Suite::ALL {
        let (mut sender, mut receiver) = pair(suite);
        let plain = &rtp(1, 1)[..12];
        let protected = protect(&mut sender, plain).expect("good");
        assert_eq!(unprotect(&mut receiver, &protected).as_deref(), Ok(plain));
        let plain = &rtcp(1)[..8];
        let protected = protect_rtcp(&mut sender, plain).expect("good");
        assert_eq!(
            unprotect_rtcp(&mut receiver, &protected).as_deref(),
            Ok(plain)
        );
    }
}

/// 200 packets around the turn, in every order that a jittery network makes, with every seventh
/// lost: the rest arrives.
#[test]
fn numbers_roll_over_with_loss_and_reordering() {
    let mut rng = Rng::from_u64(65_535);
    for suite in Suite::ALL {
        let (mut sender, mut receiver) = pair(suite);
        // Twice around, without the packets between: they come in leaps of less than half.
        let mut sequences: Vec<u32> = (0..6).map(|leap| 40_000 + leap * 30_000).collect();
        sequences.extend(196_400..196_800);
        let mut packets: Vec<_> = sequences
            .iter()
            .map(|at| {
                let plain = rtp(7, *at as u16);
                (protect(&mut sender, &plain).expect("in order"), plain)
            })
            .collect();
        for at in 6..packets.len() - 20 {
            packets.swap(at, at + rng.below(20) as usize);
        }
        for (n, (protected, plain)) in packets.into_iter().enumerate() {
            if n < 6 || n % 7 != 0 {
                assert_eq!(unprotect(&mut receiver, &protected), Ok(plain), "{n}");
            }
        }
    }
}

#[test]
fn a_turn_that_is_missed_is_still_seen() {
    let (mut sender, mut receiver) = pair(Suite::AesCm128HmacSha1_80);
    let packets: Vec<_> = [65_534, 65_535, 0, 1]
        .map(|sequence| protect(&mut sender, &rtp(1, sequence)).expect("in order"))
        .into();
    assert!(unprotect(&mut receiver, &packets[0]).is_ok());
    assert!(unprotect(&mut receiver, &packets[3]).is_ok());
    // Of the turn before, and late.
    assert!(unprotect(&mut receiver, &packets[1]).is_ok());
    assert!(unprotect(&mut receiver, &packets[2]).is_ok());
    for packet in packets {
        assert_eq!(unprotect(&mut receiver, &packet), Err(Error::Replayed));
    }
}

#[test]
fn replays_are_refused() {
    for suite in Suite::ALL {
        let (mut sender, mut receiver) = pair(suite);
        let first = protect(&mut sender, &rtp(1, 100)).expect("good");
        assert!(unprotect(&mut receiver, &first).is_ok());
        assert_eq!(unprotect(&mut receiver, &first), Err(Error::Replayed));
        for sequence in 101..300 {
            let packet = protect(&mut sender, &rtp(1, sequence)).expect("good");
            assert!(unprotect(&mut receiver, &packet).is_ok());
        }
        assert_eq!(unprotect(&mut receiver, &first), Err(Error::Old));

        let first = protect_rtcp(&mut sender, &rtcp(1)).expect("good");
        let second = protect_rtcp(&mut sender, &rtcp(1)).expect("good");
        assert!(unprotect_rtcp(&mut receiver, &second).is_ok());
        assert!(unprotect_rtcp(&mut receiver, &first).is_ok());
        assert_eq!(unprotect_rtcp(&mut receiver, &first), Err(Error::Replayed));
    }
}

#[test]
fn a_sender_uses_no_number_twice() {
    let (mut sender, _) = pair(Suite::AeadAes128Gcm);
    assert!(protect(&mut sender, &rtp(1, 500)).is_ok());
    assert_eq!(protect(&mut sender, &rtp(1, 500)), Err(Error::Replayed));
    assert!(protect(&mut sender, &rtp(1, 499)).is_ok());
    assert_eq!(protect(&mut sender, &rtp(1, 300)), Err(Error::Old));
    assert!(protect(&mut sender, &rtp(2, 500)).is_ok());
}

#[test]
fn whatever_is_wrong_leaves_a_receiver_as_it_was() {
    for suite in Suite::ALL {
        let (mut sender, mut receiver) = pair(suite);
        let mut stranger = Sender::new(&key(suite, 2));
        let packet = protect(&mut sender, &rtp(1, 10)).expect("good");
        assert!(unprotect(&mut receiver, &packet).is_ok());
        let next = protect(&mut sender, &rtp(1, 11)).expect("good");
        let report = protect_rtcp(&mut sender, &rtcp(1)).expect("good");
        let before = receiver.sources.clone();

        // Far ahead, so that it would push all others out of the window.
        let forged = protect(&mut stranger, &rtp(1, 30_000)).expect("good");
        assert_eq!(unprotect(&mut receiver, &forged), Err(Error::Tag));
        let forged = protect(&mut stranger, &rtp(99, 1)).expect("good");
        assert_eq!(unprotect(&mut receiver, &forged), Err(Error::Tag));
        let forged = protect_rtcp(&mut stranger, &rtcp(1)).expect("good");
        assert_eq!(unprotect_rtcp(&mut receiver, &forged), Err(Error::Tag));
        for (packet, is_rtcp) in [(&next, false), (&report, true)] {
            for bit in 0..packet.len() * 8 {
                let mut packet = packet.clone();
                packet[bit / 8] ^= 1 << (bit % 8);
                let result = match is_rtcp {
                    true => unprotect_rtcp(&mut receiver, &packet),
                    false => unprotect(&mut receiver, &packet),
                };
                assert!(result.is_err(), "{suite:?}: bit {bit}");
            }
        }
        assert_eq!(receiver.sources, before);
        assert!(unprotect(&mut receiver, &next).is_ok());
        assert!(unprotect_rtcp(&mut receiver, &report).is_ok());
    }
}

#[test]
fn what_is_no_packet_is_refused() {
    for suite in Suite::ALL {
        let (mut sender, mut receiver) = pair(suite);
        let plain = rtp(1, 1);
        for (change, error) in [
            ((0, 0x40), Error::Version),
            ((0, 0xc0), Error::Version),
            ((0, 0x8f), Error::Truncated),
            ((0, 0x90), Error::Truncated),
        ] {
            let mut short = plain[..20].to_vec();
            short[change.0] = change.1;
            short[14..].fill(0xff);
            assert_eq!(protect(&mut sender, &short), Err(error));
        }
        assert_eq!(protect(&mut sender, &plain[..11]), Err(Error::Truncated));
        let report = rtcp(1);
        assert_eq!(
            protect_rtcp(&mut sender, &report[..7]),
            Err(Error::Truncated)
        );
        let version = [&[0], &report[1..]].concat();
        assert_eq!(protect_rtcp(&mut sender, &version), Err(Error::Version));
        assert_eq!(sender.sources, Default::default());

        let good = protect(&mut sender, &plain).expect("good");
        for len in 0..good.len() {
            assert!(unprotect(&mut receiver, &good[..len]).is_err());
        }
        let good = protect_rtcp(&mut sender, &report).expect("good");
        for len in 0..good.len() {
            assert!(unprotect_rtcp(&mut receiver, &good[..len]).is_err());
        }
        assert_eq!(receiver.sources, Default::default());
    }
}

#[test]
fn a_buffer_without_room_is_refused() {
    let (mut sender, _) = pair(Suite::AeadAes128Gcm);
    let mut buf = rtp(1, 1);
    let len = buf.len();
    assert_eq!(sender.protect(&mut buf, len), Err(Error::Length));
    assert_eq!(sender.protect(&mut buf, len + 1), Err(Error::Length));
    assert_eq!(sender.protect_rtcp(&mut buf, len), Err(Error::Length));
    assert_eq!(buf, rtp(1, 1));
    buf.extend_from_slice(&[0; 16]);
    assert_eq!(sender.protect(&mut buf, len), Ok(len + 16));
}

#[test]
fn identifiers_stand_where_the_standards_say() {
    let mki = Mki::new(0x01ab, 2).expect("fits");
    for suite in Suite::ALL {
        let key = key(suite, 1).with_mki(mki);
        let (mut sender, mut receiver) = (Sender::new(&key), Receiver::new(&key));
        let (plain, report) = (rtp(1, 1), rtcp(1));
        let protected = protect(&mut sender, &plain).expect("good");
        let behind = if suite.is_gcm() {
            0
        } else {
            suite.rtp_tag_bytes()
        };
        let at = protected.len() - behind - 2;
        assert_eq!(protected[at..at + 2], [1, 0xab]);
        let mut other = protected.clone();
        other[at] = 2;
        assert_eq!(unprotect(&mut receiver, &other), Err(Error::Mki));
        assert_eq!(unprotect(&mut receiver, &protected), Ok(plain));
        let protected = protect_rtcp(&mut sender, &report).expect("good");
        assert_eq!(unprotect_rtcp(&mut receiver, &protected), Ok(report));
    }
}

#[test]
fn a_new_key_goes_on_where_the_old_one_was() {
    for suite in Suite::ALL {
        let (mut sender, mut receiver) = pair(suite);
        for sequence in [65_535, 0] {
            let packet = protect(&mut sender, &rtp(1, sequence)).expect("good");
            assert!(unprotect(&mut receiver, &packet).is_ok());
        }
        assert!(protect_rtcp(&mut sender, &rtcp(1)).is_ok());
        let same = key(suite, 1);
        sender.rekey(&same);
        let report = protect_rtcp(&mut sender, &rtcp(1)).expect("good");
        let index = report.len() - sender.rtcp_added_bytes();
        let index = index + sender.protection.rtcp_added().index.end - 1;
        assert_eq!(report[index], 1, "with the same key it counts on");

        sender.rekey(&key(suite, 3));
        let packet = protect(&mut sender, &rtp(1, 1)).expect("good");
        let report = protect_rtcp(&mut sender, &rtcp(1)).expect("good");
        assert_eq!(report[index], 0);
        assert_eq!(unprotect(&mut receiver, &packet), Err(Error::Tag));
        receiver.rekey(&key(suite, 3));
        assert!(unprotect(&mut receiver, &packet).is_ok());
        assert!(unprotect_rtcp(&mut receiver, &report).is_ok());
    }
}

#[test]
fn a_far_end_may_begin_again_with_a_new_key() {
    for suite in Suite::ALL {
        let (mut sender, mut receiver) = pair(suite);
        for sequence in [65_535, 0] {
            let packet = protect(&mut sender, &rtp(1, sequence)).expect("good");
            assert!(unprotect(&mut receiver, &packet).is_ok());
        }
        let new = key(suite, 3);
        receiver.rekey(&new);
        let kept = receiver.sources.clone();
        let forged = protect(&mut Sender::new(&key(suite, 4)), &rtp(1, 1)).expect("good");
        assert_eq!(unprotect(&mut receiver, &forged), Err(Error::Tag));
        assert_eq!(receiver.sources, kept);
        // Wherever it begins, and although it is not where it was.
        for first in [1_u16, 20_000, 40_000, 65_533] {
            receiver.sources.clone_from(&kept);
            let mut sender = Sender::new(&new);
            for after in [0, 2, 3, 1] {
                let plain = rtp(1, first.wrapping_add(after));
                let packet = protect(&mut sender, &plain).expect("good");
                assert_eq!(unprotect(&mut receiver, &packet), Ok(plain));
                assert_eq!(unprotect(&mut receiver, &packet), Err(Error::Replayed));
            }
        }
    }
}

#[test]
fn contexts_go_from_thread_to_thread() {
    fn check<T: Send>() {}
    check::<(Sender, Receiver)>();
}

#[test]
fn contexts_do_not_print_keys() {
    let (sender, receiver) = pair(Suite::AeadAes256Gcm);
    assert_eq!(
        format!("{sender:?} {receiver:?}"),
        "Sender(AEAD_AES_256_GCM) Receiver(AEAD_AES_256_GCM)"
    );
}
