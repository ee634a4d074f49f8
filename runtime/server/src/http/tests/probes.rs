//! What machines ask without a token.

use std::io;
use std::sync::atomic::Ordering;

use super::support::{Server, ask};
use crate::disk::{Part, Trouble};

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
async fn a_server_that_cannot_write_is_not_ready() {
    let server = Server::start(None).await;
    let ready = async || ask(server.address, "GET", "/readyz", &[]).await;
    let error = io::Error::from(io::ErrorKind::StorageFull);
    for (trouble, code) in [
        (Trouble::Full, "disk_full"),
        (Trouble::Broken, "disk_failing"),
    ] {
        server.disk.failed(Part::Recordings, trouble, &error);
        let answer = ready().await;
        assert_eq!((answer.status, answer.code().as_str()), (503, code));
    }
    server.disk.wrote(Part::Recordings);
    assert_eq!(ready().await.status, 200);
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
