//! Streams in pieces.

use vocab::Rng;

use super::{Frame, FrameError, Framer, State};
use crate::limits;
use crate::message::{Message, ParseError, parse};

const PING: &[u8] = b"\r\n\r\n";

fn message(n: usize, body: &str) -> Vec<u8> {
    format!(
        "OPTIONS sip:b SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK{n}\r\n\
         From: <sip:a>;tag=1\r\nTo: <sip:b>\r\nCall-ID: c\r\nCSeq: {n} OPTIONS\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// All frames, the bytes being pushed in pieces of the lengths that `size` gives.
fn frames(bytes: &[u8], mut size: impl FnMut() -> usize) -> Result<Vec<Frame>, FrameError> {
    let mut framer = Framer::new();
    let mut frames = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(size().clamp(1, rest.len()));
        framer.push(piece);
        while let Some(frame) = framer.next()? {
            frames.push(frame);
        }
        rest = after;
    }
    Ok(frames)
}

#[test]
fn any_pieces_give_the_same_frames() {
    let one = message(1, "");
    let two = message(2, "body\r\n\r\nwith an empty line");
    let three = message(3, &"x".repeat(3000));
    let stream = [PING, &one, &two, b"\r\n", &three, PING, PING, &one].concat();
    let whole = |bytes: &[u8]| Frame::Message(parse(bytes).expect("a message"));
    let expected = [
        Frame::Ping,
        whole(&one),
        whole(&two),
        whole(&three),
        Frame::Ping,
        Frame::Ping,
        whole(&one),
    ];
    assert_eq!(frames(&stream, || usize::MAX).as_deref(), Ok(&expected[..]));
    assert_eq!(frames(&stream, || 1).as_deref(), Ok(&expected[..]));
    let mut rng = Rng::from_u64(4);
    for _ in 0..50 {
        let found = frames(&stream, || rng.below(700) as usize + 1);
        assert_eq!(found.as_deref(), Ok(&expected[..]));
    }
}

#[test]
fn broken_messages_do_not_end_the_stream() {
    let good = message(1, "x");
    let bad = String::from_utf8(good.clone())
        .expect("text")
        .replace("Call-ID:", "Call-ID");
    let found = frames(&[bad.as_bytes(), &good].concat(), || 7).expect("no end");
    assert!(matches!(
        &found[0],
        Frame::Bad(ParseError::Reply { status: 400, .. })
    ));
    assert_eq!(found[1], Frame::Message(parse(&good).expect("a message")));
}

#[test]
fn a_stream_ends_where_the_next_message_cannot_be_found() {
    let text = String::from_utf8(message(1, "")).expect("text");
    let change = |from: &str, to: &str| text.replace(from, to).into_bytes();
    let too_large = format!("Content-Length: {}", limits::BODY_BYTES_MAX + 1);
    for (bytes, expected) in [
        (
            change("Content-Length: 0\r\n", ""),
            "no usable content length",
        ),
        (
            change("Content-Length: 0", "Content-Length: -1"),
            "no usable content length",
        ),
        (
            change("Content-Length: 0", "Content-Length: 0\r\nl: 1"),
            "no usable content length",
        ),
        (change("Content-Length: 0", &too_large), "body too large"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), "not SIP"),
        (vec![b'x'; limits::HEAD_BYTES_MAX + 1], "head too large"),
        (
            change(
                "Call-ID: c",
                &format!("X: {}", "y".repeat(limits::HEAD_BYTES_MAX)),
            ),
            "head too large",
        ),
    ] {
        let error = frames(&bytes, || 1000).expect_err(expected);
        assert_eq!(error.to_string(), expected);
        if let FrameError::NoLength(error) | FrameError::BodyTooLarge(error) = error {
            assert!(error.response().is_some(), "the sender is told");
        }
    }
}

#[test]
fn a_failed_stream_stays_failed_and_holds_nothing() {
    let mut framer = Framer::new();
    framer.push(b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(framer.next(), Err(FrameError::NotSip));
    framer.push(&message(1, ""));
    assert_eq!(framer.next(), Err(FrameError::NotSip));
    assert_eq!(framer.buffer.capacity(), 0);
}

#[test]
fn the_largest_message_passes() {
    let bytes = message(1, &"x".repeat(limits::BODY_BYTES_MAX));
    let found = frames(&bytes, || 1400).expect("frames");
    assert!(matches!(&found[..], [Frame::Message(Message::Request(_))]));
}

#[test]
fn bytes_are_searched_once() {
    let mut framer = Framer::new();
    let bytes = message(1, "");
    for (n, byte) in bytes[..bytes.len() - 1].iter().enumerate() {
        framer.push(&[*byte]);
        assert_eq!(framer.next(), Ok(None));
        let State::Head { scanned } = framer.state else {
            panic!("within the head")
        };
        assert_eq!(
            scanned,
            n + 1,
            "the next search starts behind what was seen"
        );
    }
}

#[test]
fn an_idle_stream_is_cheap() {
    let mut framer = Framer::new();
    framer.push(&message(1, &"x".repeat(50_000)));
    assert!(matches!(framer.next(), Ok(Some(Frame::Message(_)))));
    assert_eq!(framer.next(), Ok(None));
    assert_eq!(framer.buffer.capacity(), 0);
}
