//! Every message of RFC 4475, given to a whole endpoint, gets the answer the RFC asks for.

#![allow(clippy::unwrap_used)] // A panic is how a test fails, in its helpers too.

mod world;

use std::path::PathBuf;

use expect_test::expect;
use jackfield_sip::{ConnId, Input};

use world::{World, describe, line};

const BOB: usize = 1;

fn vectors() -> Vec<(String, Vec<u8>)> {
    let folder: PathBuf = [
        env!("CARGO_MANIFEST_DIR"),
        "..",
        "..",
        "tests",
        "rfc",
        "4475",
    ]
    .iter()
    .collect();
    let mut vectors: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .expect("the folder of vectors")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "dat"))
        .map(|path| {
            let name = path
                .file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            (name, std::fs::read(path).expect("a vector"))
        })
        .collect();
    // By section: 3.1.1.2 before 3.1.1.10.
    vectors.sort_by_key(|(name, _)| {
        let section = name.split('-').next().unwrap_or_default();
        section
            .split('.')
            .map(|part| part.parse().unwrap_or(0))
            .collect::<Vec<u32>>()
    });
    vectors
}

/// All that an endpoint says and tells about a datagram.
fn answer(bytes: &[u8]) -> String {
    let mut world = World::new(1);
    let remote = "198.51.100.7:5060".parse().unwrap();
    world.feed(BOB, Input::Datagram { remote, bytes });
    let answers: Vec<String> = world.outside.iter().map(|(_, bytes)| line(bytes)).collect();
    let events = world.peers[BOB].events.iter().map(describe);
    let all: Vec<String> = answers.into_iter().chain(events).collect();
    if all.is_empty() {
        "(nothing)".to_owned()
    } else {
        all.join(", ")
    }
}

#[test]
fn each_message_gets_its_answer() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 49);
    let table: Vec<String> = vectors
        .iter()
        .map(|(name, bytes)| format!("{name:24}{}\n", answer(bytes)))
        .collect();
    expect![[r#"
        3.1.1.1-wsinv           481 Call/Transaction Does Not Exist (INVITE)
        3.1.1.2-intmeth         501 Not Implemented (!interesting-Method0123456789_*+`.%indeed'~)
        3.1.1.3-esc01           100 Trying (INVITE), Incoming
        3.1.1.4-escnull         401 Unauthorized (REGISTER)
        3.1.1.5-esc02           501 Not Implemented (RE%47IST%45R)
        3.1.1.6-lwsdisp         200 OK (OPTIONS)
        3.1.1.7-longreq         100 Trying (INVITE), Incoming
        3.1.1.8-dblreq          401 Unauthorized (REGISTER)
        3.1.1.9-semiuri         200 OK (OPTIONS)
        3.1.1.10-transports     200 OK (OPTIONS)
        3.1.1.11-mpart01        405 Method Not Allowed (MESSAGE)
        3.1.1.12-unreason       (nothing)
        3.1.1.13-noreason       (nothing)
        3.1.2.1-badinv01        400 Bad Via (INVITE)
        3.1.2.2-clerr           400 Content-Length beyond the datagram (INVITE)
        3.1.2.3-ncl             400 bad Content-Length (INVITE)
        3.1.2.4-scalar02        400 bad CSeq: number out of range
        3.1.2.5-scalarlg        (nothing)
        3.1.2.6-quotbal         400 bad To: unterminated quoted string (INVITE)
        3.1.2.7-ltgtruri        400 bad request URI: bad URI scheme (INVITE)
        3.1.2.8-lwsruri         400 white space in the request line (INVITE)
        3.1.2.9-lwsstart        400 white space in the request line (INVITE)
        3.1.2.10-trws           400 white space after the version (OPTIONS)
        3.1.2.11-escruri        400 headers in the request URI (INVITE)
        3.1.2.12-baddate        100 Trying (INVITE), Incoming
        3.1.2.13-regbadct       400 bad Contact: URI needs angle brackets (REGISTER)
        3.1.2.14-badaspec       200 OK (OPTIONS)
        3.1.2.15-baddn          200 OK (OPTIONS)
        3.1.2.16-badvers        505 unknown version (OPTIONS)
        3.1.2.17-mismatch01     400 CSeq has another method (INVITE)
        3.1.2.18-mismatch02     501 Not Implemented (INVITE)
        3.1.2.19-bigcode        (nothing)
        3.2.1-badbranch         200 OK (OPTIONS)
        3.3.1-insuf             400 missing From (INVITE)
        3.3.2-unkscm            416 Unsupported URI Scheme (OPTIONS)
        3.3.3-novelsc           416 Unsupported URI Scheme (OPTIONS)
        3.3.4-unksm2            401 Unauthorized (REGISTER)
        3.3.5-bext01            420 Bad Extension (OPTIONS)
        3.3.6-invut             415 Unsupported Media Type (INVITE)
        3.3.7-regaut01          401 Unauthorized (REGISTER)
        3.3.8-multi01           400 bad From: several values (INVITE)
        3.3.9-mcl01             400 several values of Content-Length (OPTIONS)
        3.3.10-bcast            (nothing)
        3.3.11-zeromf           200 OK (OPTIONS)
        3.3.12-cparam01         401 Unauthorized (REGISTER)
        3.3.13-cparam02         401 Unauthorized (REGISTER)
        3.3.14-regescrt         401 Unauthorized (REGISTER)
        3.3.15-sdp01            406 Not Acceptable (INVITE)
        3.4.1-inv2543           100 Trying (INVITE), Incoming
    "#]]
    .assert_eq(&table.concat());
}

#[test]
fn whatever_is_cut_off_or_changed_is_survived() {
    let mut rng = vocab::Rng::from_u64(3);
    let mut world = World::new(1);
    world.ladder = None;
    let remote = "198.51.100.7:5060".parse().unwrap();
    let mut conn = 0;
    for (_, vector) in vectors() {
        for _ in 0..40 {
            let mut bytes = vector.clone();
            let at = rng.below(bytes.len() as u64) as usize;
            match rng.below(3) {
                0 => bytes.truncate(at),
                1 => bytes[at] = rng.below(256) as u8,
                _ => drop(bytes.remove(at)),
            }
            world.feed(
                BOB,
                Input::Datagram {
                    remote,
                    bytes: &bytes,
                },
            );
            // And once more over a stream, behind a good message.
            conn += 1;
            let stream = |bytes| Input::Stream {
                conn: ConnId(conn),
                remote,
                bytes,
            };
            world.feed(BOB, stream(b"\r\n\r\n"));
            world.feed(BOB, stream(&bytes));
            world.feed(BOB, Input::StreamClosed { conn: ConnId(conn) });
        }
    }
    assert_eq!(world.counts(BOB).streams, 0);
    // Calls that came about are refused, and then nothing is left.
    while let Some(event) = world.peers[BOB].events.pop_front() {
        if let jackfield_sip::Event::Incoming { dialog, .. } = event {
            world.respond(BOB, dialog, 486);
        }
    }
    world.settle();
}
