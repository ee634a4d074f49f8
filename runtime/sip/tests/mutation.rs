//! Whatever arrives, nothing panics, and what is read can be written and read again.

use std::path::Path;

use jackfield_sip::message::parse;
use vocab::Rng;

#[path = "properties/message.rs"]
mod message;
#[path = "properties/stream.rs"]
mod stream;

/// Pieces that matter to the grammar, put in at random places.
const PIECES: [&[u8]; 24] = [
    b"\r\n",
    b"\r",
    b"\n",
    b" ",
    b"\t",
    b"\0",
    b",",
    b";",
    b"\"",
    b"<",
    b">",
    b":",
    b"=",
    b"\\",
    b"@",
    b"%",
    b"[",
    b"]",
    b"\r\n ",
    b"\r\n\r\n",
    b"SIP/2.0",
    b"\xff",
    b"99999999999",
    b"z9hG4bK",
];

#[test]
fn mutated_messages_never_panic_and_survive_writing() {
    let seeds = seeds();
    let mut rng = Rng::from_u64(2026);
    let mut read = 0;
    for _ in 0..10_000 {
        let seed = &seeds[rng.below(seeds.len() as u64) as usize];
        read += usize::from(message::check(&mutate(&mut rng, seed)));
    }
    assert!(
        read > 1_000,
        "most mutations must not be refused at once: {read} were read"
    );
}

#[test]
fn noise_never_panics() {
    let mut rng = Rng::from_u64(7);
    for _ in 0..10_000 {
        let mut bytes = vec![0; rng.below(200) as usize];
        rng.fill(&mut bytes);
        message::check(&bytes);
    }
}

#[test]
fn streams_cut_anywhere_give_the_same_frames() {
    let seeds = seeds();
    let mut rng = Rng::from_u64(11);
    for _ in 0..1_000 {
        let mut stream = Vec::new();
        for _ in 0..rng.below(4) + 1 {
            let seed = &seeds[rng.below(seeds.len() as u64) as usize];
            match parse(seed) {
                // Written by us it has a Content-Length, so that more can follow.
                Ok(message) if rng.chance(0.8) => stream.extend(message.to_bytes()),
                Ok(_) | Err(_) => stream.extend(mutate(&mut rng, seed)),
            }
        }
        stream::check(
            &stream,
            std::iter::from_fn(|| Some(rng.below(60) as usize + 1)),
        );
    }
}

fn mutate(rng: &mut Rng, seed: &[u8]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..rng.below(4) + 1 {
        let at = rng.below(bytes.len() as u64 + 1) as usize;
        match rng.below(5) {
            0 => bytes.truncate(at.max(bytes.len() / 2)),
            1 if at < bytes.len() => bytes[at] = rng.u32() as u8,
            2 => {
                let end = (at + rng.below(30) as usize).min(bytes.len());
                bytes.drain(at..end);
            }
            3 => {
                let end = (at + rng.below(60) as usize).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                let to = rng.below(bytes.len() as u64 + 1) as usize;
                bytes.splice(to..to, copy);
            }
            _ => {
                let piece = PIECES[rng.below(PIECES.len() as u64) as usize];
                bytes.splice(at..at, piece.iter().copied());
            }
        }
    }
    bytes
}

fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/rfc/4475"));
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder of vectors")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "dat"))
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| std::fs::read(path).expect("a vector"))
        .collect()
}
