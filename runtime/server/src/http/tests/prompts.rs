//! Prompts over HTTP: uploaded, listed, heard, undone, deleted.

use node::{Catalogue, EarlyMedia, NumberPlan, Park, Tenant};
use serde_json::json;
use vocab::{Clip, TenantId};

use super::support::{Answer, Server, TOKEN};

const MP3: &[u8] = include_bytes!("../../../../media/src/sound/tone.mp3");
const OPUS: &[u8] = include_bytes!("../../../../media/src/sound/tone.opus");

/// Where the prompts of the tests are.
pub(super) const ALL: &str = "/api/v1/tenants/demo/prompts";

/// A tenant whose folder has a greeting of 0.1 s, and more.
pub(super) fn tenant(id: &str) -> Tenant {
    let names = ["greeting", "digits/1"];
    let clips = names.map(|name| (name.to_owned(), Clip::new(name, vec![0; 800])));
    let languages = ["en", "zh-CN"].map(|language| (language.to_owned(), clips.clone().into()));
    Tenant {
        id: id.parse().unwrap(),
        time_zone: "UTC".to_owned(),
        language: "en".to_owned(),
        phones: [].into(),
        routes: [].into(),
        trunks: Vec::new(),
        numbers: NumberPlan::default(),
        groups: [].into(),
        park: Park {
            slots: 701..=702,
            timeout: std::time::Duration::from_secs(20),
        },
        early_media: EarlyMedia::default(),
        follow_redirects: false,
        catalogue: Catalogue::new(languages.into()),
        consent: None,
        record_made: false,
        beep: None,
    }
}

/// Two tenants with the same folder.
pub(super) fn configure(server: &Server) {
    server.configure([tenant("demo"), tenant("other")]);
}

/// One upload that is as it should be.
pub(super) async fn upload(server: &Server) {
    let answer = put(server, "en/greeting", OPUS).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
}

async fn start() -> Server {
    let server = Server::start(Some(TOKEN)).await;
    configure(&server);
    server
}

/// Milliseconds of what a call would hear now.
async fn heard(server: &Server, tenant: &str, language: &str, name: &str) -> Option<u128> {
    let tenant: TenantId = tenant.parse().unwrap();
    let (language, name) = (language.to_owned(), name.to_owned());
    let look = move |node: &node::Node| {
        let clip = node.catalogue(&tenant)?.find(&language, &name)?;
        Some(clip.duration().as_millis())
    };
    server.query(look).await
}

async fn put(server: &Server, prompt: &str, file: &[u8]) -> Answer {
    server.put_file(&format!("{ALL}/{prompt}"), file).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_heard_at_once_and_undone_at_once() {
    let server = start().await;
    assert_eq!(heard(&server, "demo", "en", "greeting").await, Some(100));
    let first = put(&server, "en/greeting?by=li.na", MP3).await;
    assert_eq!(first.status, 201, "{}", first.text());
    let row = first.json();
    assert_eq!(
        (&row["version"], &row["by"], &row["kind"]),
        (&json!(1), &json!("li.na"), &json!("mp3"))
    );
    let length = row["length_ms"].as_u64().map(u128::from);
    assert!(length.is_some_and(|it| (1_000..1_100).contains(&it)));
    assert_eq!(heard(&server, "demo", "en", "greeting").await, length);
    assert_eq!(heard(&server, "demo", "zh-CN", "greeting").await, Some(100));
    assert_eq!(heard(&server, "other", "en", "greeting").await, Some(100));

    let again = put(&server, "en/greeting", MP3).await;
    assert_eq!((again.status, &again.json()["version"]), (200, &json!(1)));
    let second = put(&server, "en/greeting", OPUS).await;
    assert_eq!(
        (second.status, &second.json()["kind"]),
        (201, &json!("opus"))
    );
    // One that the folder does not have, in a language that it does not have.
    assert_eq!(put(&server, "de/digits%2F9", OPUS).await.status, 201);
    assert!(heard(&server, "demo", "de", "digits/9").await.is_some());

    let versions = server.json(&format!("{ALL}/en/greeting/versions")).await;
    let versions = versions["items"].as_array().unwrap();
    let versions: Vec<_> = versions
        .iter()
        .map(|it| (it["version"].as_u64().unwrap(), it["active"] == true))
        .collect();
    assert_eq!(versions, [(2, true), (1, false), (0, false)]);

    for (version, expected) in [(1, length), (0, Some(100))] {
        let path = format!("{ALL}/en/greeting/activate");
        let body = format!("{{\"version\": {version}, \"by\": \"wang\"}}");
        let answer = server.post(&path, &body).await;
        assert_eq!(
            (answer.status, &answer.json()["version"]),
            (200, &json!(version))
        );
        assert_eq!(heard(&server, "demo", "en", "greeting").await, expected);
    }
    let path = format!("{ALL}/en/greeting?by=wang");
    assert_eq!(server.ask("DELETE", &path).await.status, 204);
    assert_eq!(heard(&server, "demo", "en", "greeting").await, Some(100));
    let again = server.ask("DELETE", &path).await;
    assert_eq!(
        (again.status, again.code().as_str()),
        (409, "prompt_in_folder")
    );

    let trail = server.json("/api/v1/audit?tenant=demo").await;
    let trail: Vec<_> = trail["items"].as_array().unwrap().iter().rev().collect();
    let told: Vec<_> = trail
        .iter()
        .map(|it| ["by", "action", "object", "detail"].map(|name| it[name].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ["li.na", "prompt.uploaded", "en/greeting", "version 1"],
            ["api", "prompt.uploaded", "en/greeting", "version 2"],
            ["api", "prompt.uploaded", "de/digits/9", "version 1"],
            ["wang", "prompt.activated", "en/greeting", "version 1"],
            ["wang", "prompt.activated", "en/greeting", "version 0"],
            ["wang", "prompt.deleted", "en/greeting", "2 versions"],
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn prompts_are_listed_a_page_at_a_time() {
    let server = start().await;
    put(&server, "en/greeting", OPUS).await;
    put(&server, "common/beep", OPUS).await;
    let mut found = Vec::new();
    let mut after = String::new();
    loop {
        let page = server.json(&format!("{ALL}?limit=2{after}")).await;
        for item in page["items"].as_array().unwrap() {
            let text = |name: &str| item[name].as_str().unwrap().to_owned();
            let version = item["version"].as_u64().unwrap();
            found.push((text("language"), text("name"), version));
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={}", next.replace('/', "%2F")),
            None => break,
        }
    }
    let expected = [
        ("common", "beep", 1),
        ("en", "digits/1", 0),
        ("en", "greeting", 1),
        ("zh-CN", "digits/1", 0),
        ("zh-CN", "greeting", 0),
    ];
    let expected = expected.map(|(language, name, n)| (language.to_owned(), name.to_owned(), n));
    assert_eq!(found, expected);
    let english = server.json(&format!("{ALL}?language=en")).await;
    assert_eq!(english["items"].as_array().map(Vec::len), Some(2));
    let none = server
        .json("/api/v1/tenants/other/prompts?language=common")
        .await;
    assert_eq!(none, json!({"items": [], "next": null}));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_can_be_listened_to() {
    let server = start().await;
    put(&server, "en/digits%2F1", MP3).await;
    put(&server, "en/digits%2F1", OPUS).await;
    let path = format!("{ALL}/en/digits%2F1/audio");
    let mut lengths = Vec::new();
    for query in ["", "?version=2", "?version=1", "?version=0"] {
        let answer = server.ask("GET", &format!("{path}{query}")).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("audio/wav"));
        let samples = media::wav::read(&answer.body).unwrap();
        lengths.push(samples.len());
        if query != "?version=0" {
            // A tone at half of full scale, and not silence or noise.
            let peak = samples.iter().copied().max();
            assert!(
                peak.is_some_and(|peak| (12_000..21_000).contains(&peak)),
                "{peak:?}"
            );
        }
    }
    assert_eq!((lengths[0], lengths[3]), (lengths[1], 800));
    let named = server.ask("GET", &path).await;
    let named = named.header("content-disposition").map(str::to_owned);
    assert_eq!(
        named.as_deref(),
        Some("inline; filename=\"digits-1-2.wav\"")
    );
    let missing = server.ask("GET", &format!("{path}?version=3")).await;
    assert_eq!(
        (missing.status, missing.code().as_str()),
        (404, "version_not_found")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused_with_what_to_do() {
    let server = start().await;
    let cut = &MP3[..3];
    for (prompt, file, status, code) in [
        ("en/greeting", &b"hello"[..], 415, "not_sound"),
        (
            "en/greeting",
            b"--form\r\nContent-Disposition: x",
            415,
            "not_sound",
        ),
        ("en/greeting", b"", 415, "not_sound"),
        ("en/greeting", cut, 400, "bad_sound"),
        ("en/..%2F..%2Fpasswd", MP3, 400, "bad_parameter"),
        ("..%2Fen/greeting", MP3, 400, "bad_parameter"),
        ("EN/greeting", MP3, 400, "bad_parameter"),
        ("zh-cn/greeting", MP3, 400, "bad_parameter"),
        ("en/greeting?who=me", MP3, 400, "bad_parameter"),
        ("en/greeting?by=", MP3, 400, "bad_parameter"),
    ] {
        let answer = put(&server, prompt, file).await;
        let told = answer.text().to_owned();
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{prompt} {told}"
        );
    }
    let listed = server.json(ALL).await;
    let uploaded = listed["items"].as_array().unwrap().iter();
    assert_eq!(uploaded.filter(|it| it["version"] != 0).count(), 0);

    let long = [("Content-Length", "67108865")];
    let answer = server
        .ask_with("PUT", &format!("{ALL}/en/greeting"), &long)
        .await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "too_large"));

    for (method, path, status, code) in [
        (
            "GET",
            "/api/v1/tenants/nobody/prompts",
            404,
            "tenant_not_found",
        ),
        ("GET", "/api/v1/tenants/No/prompts", 404, "not_found"),
        (
            "PUT",
            "/api/v1/tenants/nobody/prompts/en/a",
            404,
            "tenant_not_found",
        ),
        (
            "DELETE",
            "/api/v1/tenants/demo/prompts/en/a",
            404,
            "prompt_not_found",
        ),
        (
            "GET",
            "/api/v1/tenants/demo/prompts/en/a/versions",
            404,
            "prompt_not_found",
        ),
        (
            "GET",
            "/api/v1/tenants/demo/prompts/en/a/audio",
            404,
            "prompt_not_found",
        ),
        (
            "GET",
            "/api/v1/tenants/demo/prompts/en/greeting/audio?version=x",
            400,
            "bad_parameter",
        ),
        (
            "GET",
            "/api/v1/tenants/demo/prompts?after=x",
            400,
            "bad_parameter",
        ),
        (
            "GET",
            "/api/v1/tenants/demo/prompts?limit=0",
            400,
            "bad_parameter",
        ),
    ] {
        let answer = server.ask(method, path).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{path}"
        );
    }
    let activate = format!("{ALL}/en/greeting/activate");
    for (body, status, code) in [
        ("{\"version\": 1}", 404, "version_not_found"),
        ("{\"version\": -1}", 400, "bad_body"),
        ("{}", 400, "bad_body"),
    ] {
        let answer = server.post(&activate, body).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{body}"
        );
    }
    let already = server.post(&activate, "{\"version\": 0}").await;
    assert_eq!(already.status, 200, "it is in force already");
}
