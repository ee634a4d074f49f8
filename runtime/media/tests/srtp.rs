//! Replays the fuzz corpus of SRTP on stable, with random and mutated stories, and lets the two
//! ends of a call keep to what the other says in SDP.

use std::path::Path;

use jackfield_media::srtp::sdes::{self, Crypto};
use jackfield_media::srtp::{Receiver, Sender, Suite};
use vocab::Rng;

#[path = "properties/srtp.rs"]
mod srtp;

fn files() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/srtp");
    let entries = std::fs::read_dir(&folder).expect("the folder is in the repository");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("readable").path())
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| std::fs::read(path).expect("readable"))
        .collect()
}

#[test]
fn every_file_of_the_corpus_holds_the_properties() {
    let files = files();
    assert!(files.len() >= 8, "the corpus is there");
    files.iter().for_each(|bytes| srtp::check(bytes));
}

#[test]
fn so_do_prefixes_and_mutations_of_them() {
    let mut rng = Rng::from_u64(3711);
    for bytes in files() {
        for end in 0..bytes.len() {
            srtp::check(&bytes[..end]);
        }
        for _ in 0..500 {
            let mut bytes = bytes.clone();
            for _ in 0..=rng.below(8) {
                let at = rng.below(bytes.len() as u64) as usize;
                match rng.below(4) {
                    0 => bytes[at] ^= 1 << rng.below(8),
                    1 => bytes[at] = rng.u32() as u8,
                    2 => drop(bytes.drain(at..(at + 9).min(bytes.len() - 1).max(at))),
                    _ => bytes.insert(at, 0x80),
                }
            }
            srtp::check(&bytes);
        }
    }
}

#[test]
fn so_do_random_bytes() {
    let mut rng = Rng::from_u64(7714);
    for _ in 0..5_000 {
        let mut bytes = vec![0; rng.below(400) as usize];
        rng.fill(&mut bytes);
        srtp::check(&bytes);
        // Mostly packets: version 2, and lengths that are met.
        for at in (1..bytes.len().saturating_sub(32)).step_by(34) {
            bytes[at + 1] = 32;
            bytes[at + 2] = 0x80 | bytes[at + 2] & 0x20;
            bytes[at + 10..at + 14].fill(0);
        }
        srtp::check(&bytes);
    }
}

/// What a caller of the module does: offer, choose, answer, and each with two contexts.
#[test]
fn two_ends_that_agreed_hear_each_other() {
    let (mut here, mut there) = (Rng::from_u64(1), Rng::from_u64(2));
    for suite in Suite::ALL {
        let offered = sdes::offer(&Suite::ALL, &mut here);
        let values: Vec<String> = offered.iter().map(Crypto::to_value).collect();
        let chosen = sdes::choose(values.iter().map(String::as_str), &[suite]).expect("offered");
        let answer = chosen.answer(&mut there);
        let heard = Crypto::parse(&answer.to_value()).expect("what we write we read");
        let ours = sdes::accepted(&offered, &heard).expect("one of ours");

        let ways = [(&ours.key, &chosen.key), (&answer.key, &heard.key)];
        for (sent, received) in ways {
            let (mut sender, mut receiver) = (Sender::new(sent), Receiver::new(received));
            let mut buf = [0; 64];
            buf[0] = 0x80;
            let len = sender.protect(&mut buf, 40).expect("a packet");
            assert_eq!(receiver.unprotect(&mut buf[..len]), Ok(40));
        }
    }
}
