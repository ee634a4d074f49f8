//! What machines ask without a token.

use std::sync::atomic::Ordering;

use super::support::{Server, ask};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_ready_until_it_drains() {
    let server = Server::start(None).await;
    let get = async |path| ask(server.address, "GET", path, &[]).await;
    assert_eq!(get("/healthz").await.text(), "ok\n");
    assert_eq!(get("/readyz").await.text(), "ready\n");

    server.status.ready.store(false, Ordering::Release);
    let answer = get("/readyz").await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "starting"));

    server.status.ready.store(true, Ordering::Release);
    server.status.draining.store(true, Ordering::Release);
    let answer = get("/readyz").await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "draining"));
    assert_eq!(
        get("/healthz").await.status,
        200,
        "a server that drains is well"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_served_as_text() {
    let server = Server::start(None).await;
    let answer = ask(server.address, "GET", "/metrics", &[]).await;
    let kind = answer.header("content-type").unwrap();
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    assert!(
        answer.text().contains("\njackfield_calls "),
        "{}",
        answer.text()
    );
}
