//! What holds for any stream. Used by the tests and by the fuzz target `sip_stream`.

use jackfield_sip::message::{Frame, Framer};

/// Cuts a stream in one piece and in pieces of the given sizes (each at least 1).
///
/// # Panics
/// If the two find different frames.
pub(crate) fn check(stream: &[u8], sizes: impl Iterator<Item = usize>) {
    let whole = frames(stream, std::iter::once(stream.len()));
    let pieces = frames(stream, sizes);
    assert_eq!(whole, pieces);
}

/// What a framer finds, in words. An error ends the list; sizes that run out leave one last piece.
fn frames(stream: &[u8], mut sizes: impl Iterator<Item = usize>) -> Vec<String> {
    let mut framer = Framer::new();
    let mut found = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let size = sizes.next().unwrap_or(rest.len()).clamp(1, rest.len());
        let (piece, after) = rest.split_at(size);
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
