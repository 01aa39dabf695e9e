//! Checks an upgrade request, answers it, and hands the socket to a connection.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{handshake::server::create_response_with_body, protocol::Role},
};
use tracing::Instrument;

use crate::{
    connection::{self, Permit},
    hub::Hub,
    pipeline::Pipeline,
    protocol::{ErrorCode, WireError},
    services::Services,
};

/// The sub-protocol that this gateway speaks.
const SUB_PROTOCOL: &str = "chatcluster.v1";

/// Seconds after which a refused client should try again, drawn from this range so that a crowd does not return as one.
const RETRY_SECONDS: std::ops::RangeInclusive<u32> = 1..=5;

/// Answers `GET /v1/ws`: 101 and a connection, 503 when the gateway is full or draining, 426 for what is no upgrade.
pub fn upgrade(services: Arc<Services>, hub: Arc<Hub>, peer: SocketAddr, request: Request) -> Response {
    if services.draining.load(Ordering::Relaxed) {
        return refuse("this gateway stops");
    }
    let (parts, body) = request.into_parts();
    drop(body);
    let mut request = Request::from_parts(parts, ());
    let mut response = match create_response_with_body(&request, Body::empty) {
        Ok(response) => response,
        Err(error) => return no_upgrade(&error.to_string()),
    };
    let Some(permit) = Permit::take(&services.counters, services.config.max_connections) else {
        return refuse("this gateway has all the connections it takes");
    };
    if offers(request.headers(), SUB_PROTOCOL) {
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUB_PROTOCOL));
    }
    let upgrade = hyper::upgrade::on(&mut request);
    let pipeline = Arc::new(Pipeline::new(services, hub));
    let serve = async move {
        match upgrade.await {
            Ok(upgraded) => {
                let config = Some(connection::socket_config());
                let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, config).await;
                connection::serve(pipeline, socket, permit).await;
            }
            Err(error) => tracing::debug!(%error, "the client did not wait for its upgrade"),
        }
    };
    tokio::spawn(serve.instrument(tracing::debug_span!("connection", %peer)));
    response
}

/// Whether a client lists the sub-protocol.
fn offers(headers: &HeaderMap, protocol: &str) -> bool {
    headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|offered| offered.trim() == protocol)
}

fn refuse(why: &str) -> Response {
    let seconds = rand::random_range(RETRY_SECONDS);
    let after = std::time::Duration::from_secs(u64::from(seconds));
    let error = WireError::new(ErrorCode::Unavailable, why).retry_after(after);
    let mut response = answer(StatusCode::SERVICE_UNAVAILABLE, &error);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// 426 names the version that would do, as RFC 6455 section 4.4 wants.
fn no_upgrade(why: &str) -> Response {
    let error = WireError::new(ErrorCode::BadRequest, format!("not a WebSocket upgrade: {why}"));
    let mut response = answer(StatusCode::UPGRADE_REQUIRED, &error);
    response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    response.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    response
}

fn answer(status: StatusCode, error: &WireError) -> Response {
    let body = serde_json::json!({ "error": error }).to_string();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
