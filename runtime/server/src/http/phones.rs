//! `/sip`: phones in browsers come in here as WebSockets (RFC 7118), and go on to the control
//! thread with their connection. They prove who they are as every phone does, so no token is asked.

// A connection is taken over after its answer, so somebody must wait for that.
#![allow(clippy::disallowed_methods)]

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::downcast;

use super::door::Visitor;
use super::{App, Shared};
use crate::control::{Handle, Message};
use crate::net::websocket::{Refusal, SUBPROTOCOL, Upgrade};

/// The routes of this module.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/sip", get(connect))
}

async fn connect(State(app): Shared, mut request: Request) -> Response {
    let Some(origins) = &app.websocket else {
        return refuse(Refusal {
            status: 404,
            reason: "Not Found",
            why: "phones do not connect here: set websocket = true under [http]",
        });
    };
    let headers = request.headers();
    let upgrade = Upgrade {
        upgrade: text(headers, &header::UPGRADE),
        version: text(headers, &header::SEC_WEBSOCKET_VERSION),
        key: text(headers, &header::SEC_WEBSOCKET_KEY),
        protocol: text(headers, &header::SEC_WEBSOCKET_PROTOCOL),
        origin: text(headers, &header::ORIGIN),
        host: text(headers, &header::HOST),
    };
    let accept = match upgrade.accept(origins) {
        Ok(accept) => accept,
        Err(refusal) => return refuse(refusal),
    };
    // It ends with the answer that is given here, or with the connection.
    let upgraded = hyper::upgrade::on(&mut request);
    let control = app.control.clone();
    tokio::spawn(async move {
        if let Ok(upgraded) = upgraded.await {
            hand_over(upgraded, &control);
        }
    });
    let headers = [
        (header::UPGRADE, "websocket".to_owned()),
        (header::CONNECTION, "Upgrade".to_owned()),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
        (header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL.to_owned()),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// Gives the connection to the control thread, which owns all that carry SIP.
fn hand_over(upgraded: hyper::upgrade::Upgraded, control: &Handle) {
    let Ok(parts) = downcast::<TokioIo<Visitor>>(upgraded) else {
        unreachable!("every connection of HTTP came through its door");
    };
    let Some((stream, tls)) = parts.io.into_inner().into_parts() else {
        return;
    };
    if let Ok(socket) = stream.into_std()
        && let Ok(remote) = socket.peer_addr()
    {
        // Is its mailbox full, the connection is closed: the phone comes again.
        drop(control.try_send(Message::WebSocket {
            socket,
            remote,
            tls,
            read: parts.read_buf.to_vec(),
        }));
    }
}

fn refuse(refusal: Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
    let headers = [
        (header::SEC_WEBSOCKET_VERSION, "13"),
        (header::CONTENT_TYPE, "text/plain"),
    ];
    (status, headers, format!("{}\n", refusal.why)).into_response()
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
