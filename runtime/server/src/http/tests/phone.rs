//! The phone in a page, and what browsers log in with.

use node::{Phone, Tenant};
use vocab::Pii;

use super::document::check;
use super::prompts::tenant;
use super::support::{Server, TOKEN, ask};

async fn start() -> Server {
    let server = Server::start(Some(TOKEN)).await;
    let password = Pii::new("a-long-password".to_owned());
    server.configure([Tenant {
        phones: [("1001".to_owned(), Phone { password })].into(),
        ..tenant("demo")
    }]);
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_issued_for_a_while_and_noted() {
    let server = start().await;
    let path = "/api/v1/phones/1001/credentials";
    let made = server.post(path, "{\"ttl_s\": 600}").await;
    assert_eq!(made.status, 200, "{}", made.text());
    let made = made.json();
    let body = "responses/200/content/application~1json/schema";
    check(
        &format!("/paths/~1phones~1{{user}}~1credentials/post/{body}"),
        &made,
    );
    assert_eq!(
        (&made["user"], &made["realm"]),
        (&"1001".into(), &"jackfield".into())
    );
    let login = made["login"].as_str().unwrap();
    let (user, seconds) = login.split_once('~').unwrap();
    assert_eq!(user, "1001");
    let until: i64 = seconds.parse().unwrap();
    let noted = server.json("/api/v1/audit?action=phone.credentials").await;
    let noted = &noted["items"][0];
    assert_eq!(
        (&noted["object"], &noted["tenant"]),
        (&"1001".into(), &"demo".into())
    );
    let detail = format!("until {}", made["until"].as_str().unwrap());
    assert_eq!(noted["detail"], detail);
    assert!(
        !noted
            .to_string()
            .contains(made["password"].as_str().unwrap())
    );

    // An hour, if nothing is said.
    let hour = server.post(path, "{}").await.json();
    let hour: i64 = hour["login"].as_str().unwrap()[5..].parse().unwrap();
    assert!((hour - until - 3_000).abs() <= 1, "{hour} {until}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_credentials_of_no_phone_or_for_ever() {
    let server = start().await;
    let path = "/api/v1/phones/1001/credentials";
    for (path, body, status, code) in [
        (
            "/api/v1/phones/1009/credentials",
            "{}",
            404,
            "phone_not_found",
        ),
        (path, "{\"ttl_s\": 59}", 400, "bad_body"),
        (path, "{\"ttl_s\": 86401}", 400, "bad_body"),
        (path, "{\"ttl\": 600}", 400, "bad_body"),
    ] {
        let answer = server.post(path, body).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{path} {body}"
        );
    }
    let stranger = ask(
        server.address,
        "POST",
        path,
        &[("Content-Type", "application/json")],
    )
    .await;
    assert_eq!(stranger.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_shown_to_everybody_and_runs_nothing_else() {
    let server = start().await;
    for (path, kind) in [
        ("/phone", "text/html"),
        ("/phone/page.js", "text/javascript"),
        ("/phone/phone.css", "text/css"),
        ("/phone/icon.svg", "image/svg+xml"),
    ] {
        let answer = ask(server.address, "GET", path, &[]).await;
        assert_eq!(answer.status, 200, "{path}");
        let header = |name: &str| answer.header(name).unwrap_or_default().to_owned();
        assert!(header("content-type").starts_with(kind), "{path}");
        let policy = header("content-security-policy");
        assert!(policy.contains("default-src 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(header("x-content-type-options"), "nosniff");
    }
    let answer = ask(server.address, "GET", "/phone/", &[]).await;
    assert_eq!(answer.header("location"), Some("/phone"));
}
