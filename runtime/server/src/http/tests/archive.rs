//! The index of recordings, how they are kept, holds, and the audit trail.

use std::time::Duration;

use media::wav;
use store::Format;
use vocab::record::CallEventKind;
use vocab::recording::{SegmentEnd, SegmentStart};
use vocab::{Party, Pii, RecordingId, Wall};

use super::support::{Server, TOKEN, VAULT_TOKEN, ask, call, events, started};
use crate::archive::{self, Key, Keys, Policies, Policy, Written};

const AT: i64 = 1_795_270_987_000_000;

/// Segment `n` of a call: of a leg that said nothing but this number.
fn written(n: u16, channels: u16, frames: u64) -> Written {
    let recording = RecordingId::segment(call(0), n);
    Written {
        recording,
        about: Some(SegmentStart {
            tenant: "demo".parse().unwrap(),
            interaction: call(0),
            recording,
            leg: n,
            party: Party::E164(format!("+8621555012{n:02}")),
            channels,
        }),
        channels,
        at: Wall(AT + i64::from(n) * 1_000_000),
        frames,
        lasting: Duration::from_micros(frames * 125 + 20_000),
        end: SegmentEnd::Moved,
    }
}

/// A voice: something that Opus keeps.
fn voice(channels: usize, frames: usize) -> Vec<i16> {
    let sample = |n: usize| ((n as f64 * 0.35).sin() * 6_000.0) as i16;
    (0..frames * channels)
        .map(|n| sample(n / channels))
        .collect()
}

fn key(n: u8) -> Key {
    Key::parse(&format!("{n:02x}").repeat(32)).unwrap()
}

fn policy(format: Format, with: Option<Key>) -> Policies {
    let policy = Policy {
        format,
        keep: None,
        keys: Keys::new(with.clone()),
        key: with,
    };
    Policies::from([("demo".parse().unwrap(), policy)])
}

/// Keeps a recording, and holds its call.
pub(super) async fn keep_one(server: &Server) {
    server.finish(written(1, 2, 800), &voice(2, 800)).await;
    let hold = format!("/api/v1/calls/{}/hold", call(0));
    let placed = server.put(&hold, "{\"reason\": \"a complaint\"}").await;
    assert_eq!(placed.status, 201, "{}", placed.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_finished_is_in_the_index_and_heard_however_it_is_kept() {
    for (format, with) in [
        (Format::Wav, None),
        (Format::Wav, Some(key(1))),
        (Format::Opus, None),
        (Format::Opus, Some(key(1))),
    ] {
        let shown = format!("{format:?} {with:?}");
        let server = Server::keeping(Some(TOKEN), policy(format, with.clone())).await;
        let samples = voice(2, 20_000);
        let one = written(1, 2, 20_000);
        let id = one.recording;
        server.finish(one, &samples).await;

        let about = server.json(&format!("/api/v1/recordings/{id}/about")).await;
        assert_eq!(about["tenant"], "demo", "{shown}");
        assert_eq!(about["party"], "tel:+862155501201");
        assert_eq!((&about["leg"], &about["channels"]), (&1.into(), &2.into()));
        assert_eq!(
            (&about["length_ms"], &about["gap_ms"]),
            (&2_500.into(), &20.into())
        );
        assert_eq!(
            (&about["end"], &about["format"]),
            (&"moved".into(), &format.name().into())
        );
        assert_eq!(about["key"].as_str(), with.as_ref().map(Key::id));
        let list = server.json("/api/v1/recordings?tenant=demo").await;
        assert_eq!(list["items"][0], about);

        let path = format!("/api/v1/recordings/{id}");
        let whole = server.ask("GET", &path).await;
        assert_eq!(
            (whole.status, whole.header("content-type")),
            (200, Some("audio/wav"))
        );
        let expected = wav::write(&samples, 2);
        assert_eq!(whole.body.len(), expected.len(), "{shown}");
        assert_eq!(whole.body == expected, format == Format::Wav, "{shown}");
        let part = server
            .ask_with("GET", &path, &[("Range", "bytes=40000-40099")])
            .await;
        assert_eq!((part.status, part.body.len()), (206, 100));
        assert!(format == Format::Opus || part.body == whole.body[40_000..40_100]);

        let opus = server.ask("GET", &format!("{path}?format=opus")).await;
        match format {
            Format::Wav => assert_eq!((opus.status, opus.code().as_str()), (406, "not_coded")),
            Format::Opus => {
                assert_eq!(opus.header("content-type"), Some("audio/ogg"));
                assert!(opus.body.starts_with(b"OggS") && opus.body.len() < whole.body.len() / 3);
                assert_eq!(about["bytes"], opus.body.len());
            }
        }
        // On the disk it is not readable if it is encrypted, and what is kept is what the index says.
        let folder = server.recordings.join(&id.to_string()[..4]);
        let file = std::fs::read_dir(&folder)
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        let bytes = std::fs::read(&file).unwrap();
        assert_eq!(
            bytes.starts_with(b"JFSEAL1"),
            with.is_some(),
            "{}",
            file.display()
        );
        let verified = server.post(&format!("{path}/verify"), "").await;
        assert_eq!(
            (verified.status, &verified.json()["same"]),
            (200, &true.into())
        );
        assert_eq!(verified.json()["sha256"], about["sha256"]);

        let mut changed = bytes.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        std::fs::write(&file, changed).unwrap();
        let verified = server.post(&format!("{path}/verify"), "").await;
        match with {
            // It is not even decrypted.
            Some(_) => assert_eq!(verified.status, 500, "{shown}"),
            None => assert_eq!(verified.json()["same"], false, "{shown}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_of_a_call_are_one_recording_however_they_are_kept() {
    let server = Server::keeping(Some(TOKEN), policy(Format::Opus, Some(key(1)))).await;
    let began = |n, leg, channels| CallEventKind::SegmentStarted {
        recording: RecordingId::segment(call(0), n),
        leg,
        channels,
    };
    // An event each second: segments begin at 3 s and at 5 s.
    let kinds = vec![
        started(),
        CallEventKind::Answered,
        began(1, 1, 2),
        began(2, 2, 1),
        began(3, 1, 2),
    ];
    server.keep(&events("demo", call(0), kinds)).await;
    server.finish(written(1, 2, 8_000), &voice(2, 8_000)).await;
    server.finish(written(2, 1, 8_000), &voice(1, 8_000)).await;
    // The last one is still being written.
    let live = RecordingId::segment(call(0), 3);
    std::fs::write(
        archive::live(&server.recordings, live),
        wav::write(&[7; 16_000], 2),
    )
    .unwrap();
    let whole = server
        .ask("GET", &format!("/api/v1/calls/{}/recording", call(0)))
        .await;
    assert_eq!(whole.status, 200);
    let heard = wav::read(&whole.body).unwrap();
    assert_eq!(
        heard.len(),
        3 * 8_000,
        "one second of each, and one of silence"
    );
    assert!(heard[8_100..15_900].iter().all(|sample| *sample == 0));
    assert!(heard[..8_000].iter().any(|sample| *sample > 3_000));
    assert!(heard[16_000..].iter().all(|sample| *sample == 7));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_misses_audio_is_found() {
    let server = Server::start(Some(TOKEN)).await;
    let short = Written {
        lasting: Duration::from_millis(1_500),
        ..written(1, 1, 8_000)
    };
    server.finish(short, &voice(1, 8_000)).await;
    server.finish(written(2, 1, 8_000), &voice(1, 8_000)).await;
    let gaps = server.json("/api/v1/recordings?gaps=true").await;
    let gaps = gaps["items"].as_array().unwrap();
    assert_eq!(gaps.len(), 1);
    assert_eq!(
        (&gaps[0]["leg"], &gaps[0]["gap_ms"]),
        (&1.into(), &500.into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_is_asked_page_by_page_and_by_what_is_known() {
    let server = Server::start(Some(TOKEN)).await;
    for n in 1..=3 {
        server.finish(written(n, 1, 800), &voice(1, 800)).await;
    }
    let ids = async |query: &str| {
        let page = server.json(&format!("/api/v1/recordings?{query}")).await;
        let items = page["items"].as_array().unwrap().iter();
        let legs: Vec<u64> = items.map(|item| item["leg"].as_u64().unwrap()).collect();
        (legs, page["next"].as_str().map(str::to_owned))
    };
    let (first, next) = ids("limit=2").await;
    assert_eq!(first, [3, 2]);
    let (last, end) = ids(&format!("limit=2&after={}", next.unwrap())).await;
    assert_eq!((last, end), (vec![1], None));
    assert_eq!(ids("party=tel:%2B862155501202").await.0, [2]);
    assert_eq!(ids(&format!("call={}", call(0))).await.0, [3, 2, 1]);
    assert_eq!(
        ids(&format!("interaction={}", call(1))).await.0,
        [] as [u64; 0]
    );
    assert_eq!(ids("tenant=other").await.0, [] as [u64; 0]);
    let since = Wall(AT + 2_000_000).rfc3339();
    assert_eq!(ids(&format!("since={since}")).await.0, [3, 2]);
    assert_eq!(ids(&format!("until={since}")).await.0, [1]);
    for query in [
        "party=1001",
        "limit=0",
        "after=x",
        "since=today",
        "colour=red",
        "gaps=perhaps",
    ] {
        let answer = server
            .ask("GET", &format!("/api/v1/recordings?{query}"))
            .await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "bad_parameter"),
            "{query}"
        );
    }
    let unknown = server
        .ask("GET", &format!("/api/v1/recordings/{}-s9/about", call(0)))
        .await;
    assert_eq!(
        (unknown.status, unknown.code().as_str()),
        (404, "recording_not_found")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_stays_and_what_is_deleted_is_gone() {
    let server = Server::start(Some(TOKEN)).await;
    server.keep(&events("demo", call(0), vec![started()])).await;
    let one = written(1, 1, 8_000);
    let id = one.recording;
    server.finish(one, &voice(1, 8_000)).await;
    let recording = format!("/api/v1/recordings/{id}");
    let hold = format!("/api/v1/calls/{}/hold", call(0));

    let bad = server.put(&hold, "{\"reason\": \"\"}").await;
    assert_eq!((bad.status, bad.code().as_str()), (400, "bad_parameter"));
    let placed = server
        .put(&hold, "{\"reason\": \"complaint 4711\", \"by\": \"li.na\"}")
        .await;
    assert_eq!(placed.status, 201);
    assert_eq!(placed.json()["reason"], "complaint 4711");
    let again = server.put(&hold, "{\"reason\": \"another\"}").await;
    assert_eq!(
        (again.status, &again.json()["reason"]),
        (200, &"complaint 4711".into())
    );
    assert_eq!(
        server.json("/api/v1/holds?tenant=demo").await["items"][0]["by"],
        "li.na"
    );
    assert_eq!(
        server.json(&format!("{recording}/about")).await["held"],
        true
    );
    let refused = server.ask("DELETE", &recording).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "held"));

    assert_eq!(
        server
            .ask("DELETE", &format!("{hold}?by=wang"))
            .await
            .status,
        204
    );
    assert_eq!(server.ask("DELETE", &hold).await.status, 404);
    let file = archive::plain(&server.recordings, id);
    assert!(file.exists());
    let deleted = server
        .ask("DELETE", &format!("{recording}?by=wang&reason=asked%20for"))
        .await;
    assert_eq!(deleted.status, 204);
    server.until(async || !file.exists()).await;
    assert!(!file.exists(), "its file is removed");
    assert_eq!(server.ask("GET", &recording).await.status, 404);
    assert_eq!(
        server.ask("DELETE", &recording).await.code(),
        "recording_deleted"
    );
    let about = server.json(&format!("{recording}/about")).await;
    assert_eq!(
        (&about["deleted_by"], &about["local"]),
        (&"wang".into(), &false.into())
    );
    let listed = server.json("/api/v1/recordings").await;
    assert!(listed["items"].as_array().unwrap().is_empty());

    let trail = server.json(&format!("/api/v1/audit?object={id}")).await;
    assert_eq!(trail["items"][0]["action"], "recording.deleted");
    assert_eq!(trail["items"][0]["detail"], "asked for");
    let all = server.json("/api/v1/audit?limit=2").await;
    let actions: Vec<_> = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["action"].clone())
        .collect();
    assert_eq!(actions, ["recording.deleted", "hold.lifted"]);
    let rest = server
        .json(&format!("/api/v1/audit?before={}", all["next"]))
        .await;
    assert_eq!(rest["items"][0]["action"], "hold.placed");
    assert_eq!(rest["items"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_is_noted_once() {
    let server = Server::start(Some(TOKEN)).await;
    let one = written(1, 1, 8_000);
    let path = format!("/api/v1/recordings/{}", one.recording);
    server.finish(one, &voice(1, 8_000)).await;
    for range in ["bytes=0-99", "bytes=100-199", "bytes=200-"] {
        let part = server.ask_with("GET", &path, &[("Range", range)]).await;
        assert_eq!(part.status, 206);
    }
    let trail = server.json("/api/v1/audit?action=recording.listened").await;
    assert_eq!(trail["items"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_taken_with_a_token_of_its_own_and_once() {
    let server = Server::start(Some(TOKEN)).await;
    let token = vocab::SecretToken(7);
    let keep = || {
        let now = crate::clock::Clock::start().now();
        server.vault.put(
            now,
            node::Secret {
                token,
                tenant: "demo".parse().unwrap(),
                call: call(0),
                digits: Pii::new("4111111111111111".to_owned()),
            },
        );
    };
    keep();
    let path = format!("/api/v1/secrets/{token}/take");
    let ask = async |token: &str| {
        let bearer = format!("Bearer {token}");
        ask(server.address, "POST", &path, &[("Authorization", &bearer)]).await
    };
    // The API's token, which opens all else, does not open it; nor does the vault's open all else.
    for wrong in [TOKEN, "another"] {
        let refused = ask(wrong).await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (401, "unauthorized")
        );
        assert!(!refused.text().contains("4111"));
    }
    let other = [("Authorization", &*format!("Bearer {VAULT_TOKEN}"))];
    let calls = super::support::ask(server.address, "GET", "/api/v1/calls", &other).await;
    assert_eq!(calls.status, 401);

    let taken = ask(VAULT_TOKEN).await;
    assert_eq!(
        (taken.status, taken.header("cache-control")),
        (200, Some("no-store"))
    );
    assert_eq!(taken.json()["digits"], "4111111111111111");
    assert_eq!(taken.json()["call"], call(0).to_string());
    let again = ask(VAULT_TOKEN).await;
    assert_eq!((again.status, again.code().as_str()), (410, "secret_gone"));
    let trail = server.json("/api/v1/audit?action=secret.taken").await;
    assert_eq!(trail["items"][0]["detail"], "16 digits");
    assert!(!trail.to_string().contains("4111"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_old_is_deleted_unless_it_is_held() {
    let mut policies = policy(Format::Wav, None);
    let keep = Some(Duration::from_secs(86_400));
    policies.values_mut().for_each(|policy| policy.keep = keep);
    let server = Server::keeping(Some(TOKEN), policies).await;
    for n in [0, 1] {
        server.keep(&events("demo", call(n), vec![started()])).await;
    }
    let of = |n: u64, at: Wall| {
        let one = written(1, 1, 8_000);
        let recording = RecordingId::segment(call(n), 1);
        let about = one
            .about
            .clone()
            .map(|about| SegmentStart { recording, ..about });
        Written {
            recording,
            about,
            at,
            ..one
        }
    };
    let now = crate::clock::Clock::start().now().wall;
    let old = Wall(now.0 - 2 * 86_400 * 1_000_000);
    server.finish(of(0, old), &voice(1, 8_000)).await;
    server.finish(of(1, old), &voice(1, 8_000)).await;
    server.finish(of(2, now), &voice(1, 8_000)).await;
    let hold = format!("/api/v1/calls/{}/hold", call(1));
    assert_eq!(
        server
            .put(&hold, "{\"reason\": \"a complaint\"}")
            .await
            .status,
        201
    );

    server.archive.sweep().await;
    let there =
        |n: u64| archive::plain(&server.recordings, RecordingId::segment(call(n), 1)).exists();
    assert_eq!([there(0), there(1), there(2)], [false, true, true]);
    let gone = server
        .json(&format!("/api/v1/recordings/{}-s1/about", call(0)))
        .await;
    assert_eq!(gone["deleted_by"], "retention");
    let trail = server.json("/api/v1/audit?by=retention").await;
    assert_eq!(trail["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(trail["items"][0]["detail"], "older than 1 days");
    // Once the hold is lifted its time has come as well.
    assert_eq!(server.ask("DELETE", &hold).await.status, 204);
    server.archive.sweep().await;
    assert_eq!([there(0), there(1), there(2)], [false, false, true]);
}
