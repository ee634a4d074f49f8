//! Whatever arrives, nothing panics, and what is read can be written and read again.

use std::path::Path;

use jackfield_sip::auth::{Challenge, Verifier};
use jackfield_sip::limits;
use jackfield_sip::message::{
    Frame, Framer, Message, ParseError, Supports, check_request, check_response, parse,
};
use vocab::{Mono, Rng};

const SUPPORTS: Supports<'static> = Supports {
    extensions: &["timer"],
    content_types: &["application/sdp"],
};

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
    for _ in 0..20_000 {
        let seed = &seeds[rng.below(seeds.len() as u64) as usize];
        let bytes = mutate(&mut rng, seed);
        read += usize::from(examine(&bytes));
    }
    assert!(
        read > 2_000,
        "most mutations must not be refused at once: {read} were read"
    );
}

#[test]
fn noise_never_panics() {
    let mut rng = Rng::from_u64(7);
    for _ in 0..20_000 {
        let mut bytes = vec![0; rng.below(200) as usize];
        rng.fill(&mut bytes);
        examine(&bytes);
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
        let whole = frames(&stream, stream.len().max(1), None);
        let pieces = frames(&stream, 60, Some(&mut rng));
        assert_eq!(whole, pieces);
    }
}

/// Does with a datagram what an endpoint would, and says whether it was a message.
fn examine(bytes: &[u8]) -> bool {
    let message = match parse(bytes) {
        Ok(message) => message,
        Err(error) => {
            if let Some(answer) = error.response() {
                assert!(!matches!(
                    parse(&answer.to_bytes()),
                    Err(ParseError::Reply { .. })
                ));
            }
            return false;
        }
    };
    let written = message.to_bytes();
    assert_eq!(
        parse(&written),
        Ok(message.clone()),
        "{}",
        String::from_utf8_lossy(bytes)
    );
    let headers = message.headers();
    let _ = (
        headers.vias(),
        headers.contacts(),
        headers.routes(),
        headers.record_routes(),
    );
    let _ = (
        headers.expires(),
        headers.reasons(),
        headers.retry_after(),
        headers.content_type(),
    );
    let _ = (
        message.summary(),
        message.masked(),
        Challenge::choose(headers),
    );
    match &message {
        Message::Request(request) => {
            if let Err(refusal) = check_request(request, &SUPPORTS) {
                let answer = refusal.response(request).with_to_tag("t");
                assert!(parse(&answer.to_bytes()).is_ok());
            }
            let mut verifier = Verifier::new("example.com", [1; 32], limits::NONCE_LIFETIME);
            verifier.verify(Mono(1), request, |_| Some("secret"));
        }
        Message::Response(response) => {
            let _ = check_response(response);
        }
    }
    true
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

/// What a framer makes of a stream given in pieces of up to `most` bytes. An error ends the list.
fn frames(stream: &[u8], most: usize, mut rng: Option<&mut Rng>) -> Vec<String> {
    let mut framer = Framer::new();
    let mut found = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let size = match rng.as_deref_mut() {
            Some(rng) => rng.below(most as u64) as usize + 1,
            None => most,
        };
        let (piece, after) = rest.split_at(size.min(rest.len()));
        framer.push(piece);
        rest = after;
        loop {
            match framer.next() {
                Ok(Some(Frame::Message(message))) => {
                    found.push(String::from_utf8_lossy(&message.to_bytes()).into_owned());
                }
                Ok(Some(frame @ (Frame::Bad(_) | Frame::Ping))) => found.push(format!("{frame:?}")),
                Ok(None) => break,
                Err(error) => {
                    found.push(error.to_string());
                    return found;
                }
            }
        }
    }
    found
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
