//! What holds for the session description parser whatever bytes it is given. Shared by the corpus
//! replay beside this and by the fuzz target in `tests/fuzz`.

use std::net::SocketAddr;

use jackfield_media::negotiate::{self, Capabilities};
use jackfield_media::sdp::{Description, Reason};

/// Nothing panics; what is read can be written and read again as the same; what is negotiated is
/// consistent on both sides.
///
/// # Panics
/// If a property does not hold.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(description) = Description::parse(bytes) else {
        return;
    };
    same_again(&description);
    let caps = Capabilities::default();
    let near: SocketAddr = "192.0.2.100:4000".parse().expect("an address");
    let offer = negotiate::offer(&caps, near, 1, 1);
    let _ = negotiate::accept(&offer, &description);
    let Ok((answer, ours)) = negotiate::answer(&description, &caps, near, 1, 1) else {
        return;
    };
    same_again(&answer);
    assert_eq!(answer.media.len(), description.media.len());
    let in_use = answer.media.iter().filter(|media| media.port != 0).count();
    assert_eq!(in_use, 1, "one stream is taken, all others are refused");
    // The far end takes its first audio section in use for the one we took, which is so if we did
    // not pass over one.
    if let Ok(theirs) = negotiate::accept(&description, &answer) {
        assert_eq!(theirs.remote_rtp, near);
        assert_eq!(theirs.payload_type, ours.payload_type);
        assert_eq!(theirs.codec, ours.codec);
        assert_eq!(theirs.send, ours.receive);
        assert_eq!(theirs.receive, ours.send);
    }
}

/// Writing and reading changes nothing. Spelled out, a description may outgrow a limit.
fn same_again(description: &Description) {
    match Description::parse(&description.to_bytes()) {
        Ok(again) => assert_eq!(&again, description),
        Err(error) => assert!(
            matches!(
                error.reason,
                Reason::TooLong | Reason::TooManyLines | Reason::LineTooLong
            ),
            "what we write we must read: {error}"
        ),
    }
}
