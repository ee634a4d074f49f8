//! Recordings, whole and in part.

use media::wav;
use vocab::RecordingId;
use vocab::record::CallEventKind;
use vocab::recording::SegmentEnd;

use super::support::{Server, TOKEN, call, events, started};
use crate::recorder;

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_is_sent_whole_or_in_part() {
    let server = Server::start(Some(TOKEN)).await;
    let id = RecordingId::of_call(call(0));
    // Longer than what is read at a time.
    let file: Vec<u8> = (0..200_003u32).map(|n| (n % 251) as u8).collect();
    server.record(id, &file);
    let path = format!("/api/v1/calls/{}/recording", call(0));

    let whole = server.ask("GET", &path).await;
    assert_eq!(
        (whole.status, whole.header("content-length")),
        (200, Some("200003"))
    );
    assert_eq!(whole.header("content-type"), Some("audio/wav"));
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    assert!(whole.body == file, "every byte is there");
    let head = server.ask("HEAD", &path).await;
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("200003"))
    );
    assert!(head.body.is_empty());

    for (range, first, last) in [
        ("bytes=0-0", 0, 0),
        ("bytes=44-99999", 44, 99_999),
        ("bytes=200000-", 200_000, 200_002),
        ("bytes=-3", 200_000, 200_002),
    ] {
        let part = server.ask_with("GET", &path, &[("Range", range)]).await;
        assert_eq!(part.status, 206, "{range}");
        let said = format!("bytes {first}-{last}/200003");
        assert_eq!(part.header("content-range"), Some(said.as_str()));
        assert!(part.body == file[first..=last], "{range}");
    }
    let beyond = server
        .ask_with("GET", &path, &[("Range", "bytes=200003-")])
        .await;
    assert_eq!(
        (beyond.status, beyond.code().as_str()),
        (416, "range_not_satisfiable")
    );
    assert_eq!(beyond.header("content-range"), Some("bytes */200003"));

    let tag = whole.header("etag").unwrap();
    for (known, status) in [(tag, 206), ("\"another\"", 200)] {
        let headers = [("Range", "bytes=0-9"), ("If-Range", known)];
        assert_eq!(
            server.ask_with("GET", &path, &headers).await.status,
            status,
            "{known}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_is_cut_says_so() {
    let server = Server::start(Some(TOKEN)).await;
    for (n, cut) in [(1, false), (2, true)] {
        let id = RecordingId::message(call(0), n);
        let mut file = wav::write(&[7; 800], 1);
        if cut {
            file.extend(recorder::CUT);
        }
        server.record(id, &file);
        let path = format!("/api/v1/recordings/{id}");
        for headers in [&[][..], &[("Range", "bytes=0-43")]] {
            let answer = server.ask_with("GET", &path, headers).await;
            let said = answer.header("recording-cut");
            assert_eq!(said, cut.then_some("true"), "{path}");
        }
    }
}

/// Samples of both sides for so many seconds; `n` tells what they hold.
fn stereo(n: i16, seconds: usize) -> Vec<i16> {
    [n, -n].repeat(8_000 * seconds)
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_are_sent_in_a_row_at_their_times() {
    let server = Server::start(Some(TOKEN)).await;
    let began = |n, leg, channels| CallEventKind::SegmentStarted {
        recording: RecordingId::segment(call(0), n),
        leg,
        channels,
    };
    let ended = |n| CallEventKind::SegmentEnded {
        recording: RecordingId::segment(call(0), n),
        end: SegmentEnd::Paused,
        length: std::time::Duration::from_secs(1),
    };
    // An event each second: the first segment begins at 2 s, the one after the pause at 5 s, and one
    // of which the disk took nothing at 6 s.
    let kinds = vec![
        started(),
        CallEventKind::Answered,
        began(1, 1, 2),
        began(2, 2, 1),
        ended(1),
        began(3, 1, 2),
        began(4, 1, 2),
    ];
    server.keep(&events("demo", call(0), kinds)).await;
    let id = |n| RecordingId::segment(call(0), n);
    server.record(id(1), &wav::write(&stereo(100, 1), 2));
    server.record(id(2), &wav::write(&[7; 8_000], 1));
    // It is being written: its header does not tell the length.
    let mut live = wav::header(2, 0).to_vec();
    live.extend(stereo(200, 2).iter().flat_map(|it| it.to_le_bytes()));
    server.record(id(3), &live);

    let path = format!("/api/v1/calls/{}/recording", call(0));
    let whole = server.ask("GET", &path).await;
    assert_eq!(whole.status, 200);
    let silence = vec![0; 2 * 2 * 8_000];
    let expected = [stereo(100, 1), silence, stereo(200, 2)].concat();
    assert!(whole.body == wav::write(&expected, 2), "all of it in order");
    let length = whole.body.len().to_string();
    assert_eq!(whole.header("content-length"), Some(length.as_str()));
    let head = server.ask("HEAD", &path).await;
    assert_eq!(head.header("content-length"), Some(length.as_str()));
    // From the first segment over the silence into the next one.
    let range = [("Range", "bytes=32000-96100")];
    let part = server.ask_with("GET", &path, &range).await;
    assert_eq!(part.status, 206);
    assert!(part.body == whole.body[32_000..=96_100]);

    // The last one is cut, and so the whole is.
    let mut cut = wav::write(&stereo(200, 2), 2);
    cut.extend(recorder::CUT);
    server.record(id(3), &cut);
    let whole = server.ask("GET", &path).await;
    assert_eq!(whole.header("recording-cut"), Some("true"));
    assert!(whole.body.ends_with(recorder::CUT));
    assert_eq!(wav::read(&whole.body).expect("a WAV file").len(), 5 * 8_000);
    let other = server
        .ask("GET", &format!("/api/v1/recordings/{}", id(2)))
        .await;
    assert_eq!((other.status, other.body.len()), (200, 44 + 16_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_recordings_are_found() {
    let server = Server::start(Some(TOKEN)).await;
    server.record(RecordingId::message(call(0), 1), b"a message");
    std::fs::write(server.recordings.join("secret.wav"), b"secret").unwrap();
    let id = call(0);
    let message = server
        .ask("GET", &format!("/api/v1/recordings/{id}-m1"))
        .await;
    assert_eq!((message.status, message.text()), (200, "a message"));
    let name = format!("inline; filename=\"{id}-m1.wav\"");
    assert_eq!(message.header("content-disposition"), Some(name.as_str()));
    for (path, code) in [
        (format!("/api/v1/recordings/{id}-m2"), "recording_not_found"),
        (format!("/api/v1/recordings/{id}"), "recording_not_found"),
        (
            format!("/api/v1/calls/{id}/recording"),
            "recording_not_found",
        ),
        ("/api/v1/recordings/secret".to_owned(), "not_found"),
        ("/api/v1/recordings/..%2Fsecret".to_owned(), "not_found"),
        (format!("/api/v1/recordings/{id}-m0"), "not_found"),
        (format!("/api/v1/recordings/{id}.wav"), "not_found"),
        ("/api/v1/recordings/../secret".to_owned(), "no_such_path"),
    ] {
        let answer = server.ask("GET", &path).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, code),
            "{path}"
        );
    }
}
