//! Too much at once.

use std::sync::Arc;

use axum::routing::get;
use axum::{Router, middleware};
use tokio::sync::Semaphore;

use super::support::{ask, serve};
use crate::http::bounds::{Room, keep};

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::disallowed_methods)] // A client for the test.
async fn one_more_than_there_is_room_for_is_refused() {
    let (begun, go_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (tell, wait) = (Arc::clone(&begun), Arc::clone(&go_on));
    let slow = move || async move {
        tell.add_permits(1);
        wait.acquire().await.unwrap().forget();
        "done"
    };
    let layer = middleware::from_fn_with_state(Room::with(1), keep);
    let address = serve(Router::new().route("/", get(slow)).layer(layer)).await;

    let first = tokio::spawn(async move { ask(address, "GET", "/", &[]).await });
    begun.acquire().await.unwrap().forget();
    let second = ask(address, "GET", "/", &[]).await;
    assert_eq!((second.status, second.code().as_str()), (503, "overloaded"));
    assert_eq!(second.header("retry-after"), Some("1"));
    go_on.add_permits(2);
    assert_eq!(first.await.unwrap().text(), "done");
    assert_eq!(
        ask(address, "GET", "/", &[]).await.status,
        200,
        "there is room again"
    );
}
