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
use chat_gateway_config::probe;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tracing::Instrument;

use crate::{
    codec::Codec,
    connection::{self, Accepted, Permit, Source},
    http::{ClientAddress, Seated},
    hub::Hub,
    pipeline::Pipeline,
    protocol::{ErrorCode, WireError},
    services::Services,
};

/// A path through which WebSockets come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// `GET /v1/ws`: the sub-protocol `chat.v1.cbor`, or else JSON.
    Chat,
    /// `GET /connection/websocket`: `centrifuge-protobuf`, or else JSON.
    Centrifuge,
}

impl Door {
    /// The sub-protocols of this door, the preferred one first, each with its codec.
    fn sub_protocols(self) -> &'static [(&'static str, Codec)] {
        match self {
            // Who offers both wants the compact one where it is to be had.
            Self::Chat => &[("chat.v1.cbor", Codec::ChatCbor), ("chat.v1", Codec::Chat)],
            Self::Centrifuge => {
                &[("centrifuge-protobuf", Codec::CentrifugeProtobuf), ("centrifuge-json", Codec::CentrifugeJson)]
            }
        }
    }

    /// The codec of clients that ask for none.
    fn default_codec(self) -> Codec {
        match self {
            Self::Chat => Codec::Chat,
            Self::Centrifuge => Codec::CentrifugeJson,
        }
    }
}

/// Seconds after which a refused client should try again, drawn from this range so that a crowd does not return as one.
const RETRY_SECONDS: std::ops::RangeInclusive<u32> = 1..=5;

/// Answers an upgrade request at a door: 101 and a connection, 503 when the gateway is full, draining or has a crowd before it, 426 for what is no upgrade. It came
/// from `peer`, and `client` is whom limits by address are about.
pub fn upgrade(
    services: Arc<Services>,
    hub: Arc<Hub>,
    (peer, client): (SocketAddr, ClientAddress),
    door: Door,
    request: Request,
) -> Response {
    if services.entrance.turns_away() {
        return refuse("this gateway takes no new connections");
    }
    if services.entrance.turnstile.is_crowded() {
        return refuse("too many clients come to this gateway at the same time");
    }
    let is_probe = request.headers().contains_key(probe::HEADER);
    let chosen = door.sub_protocols().iter().find(|(name, _)| offers(request.headers(), name));
    let (mut response, upgrade) = match handshake(request) {
        Ok(accepted) => accepted,
        Err(refusal) => return *refusal,
    };
    let permit = match is_probe {
        true => Some(Permit::for_the_probe()),
        false => Permit::take(&services.counters, services.config.get().max_connections),
    };
    let Some(permit) = permit else {
        services.counters.turned_away.fetch_add(1, Ordering::Relaxed);
        return refuse("this gateway has all the connections it takes");
    };
    if let Some((name, _)) = chosen {
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(name));
    }
    let codec = chosen.map_or(door.default_codec(), |(_, codec)| *codec);
    let pipeline = Arc::new(Pipeline::new(services, hub));
    let source = Source { client, peer: peer.ip() };
    let serve = async move {
        match accepted(upgrade).await {
            Ok(accepted) => connection::serve(pipeline, accepted, (codec, source), permit).await,
            Err(error) => tracing::debug!(%error, "the client did not wait for its upgrade"),
        }
    };
    tokio::spawn(serve.instrument(tracing::debug_span!("connection", %peer)));
    response
}

/// The answer to an upgrade request by RFC 6455, and what becomes of the connection when it is sent.
///
/// # Errors
/// The answer to what is no upgrade: 426, which names the version that would do.
pub fn handshake(request: Request) -> Result<(Response, OnUpgrade), Box<Response>> {
    let (parts, body) = request.into_parts();
    drop(body);
    let mut request = Request::from_parts(parts, ());
    match create_response_with_body(&request, Body::empty) {
        Ok(response) => Ok((response, hyper::upgrade::on(&mut request))),
        Err(error) => Err(Box::new(no_upgrade(&error.to_string()))),
    }
}

/// The socket of an upgraded connection, without what HTTP kept around it.
///
/// # Errors
/// The client left before it saw the answer.
pub async fn accepted(upgrade: OnUpgrade) -> Result<Accepted<Seated>, UpgradeError> {
    let parts = upgrade.await?.downcast::<TokioIo<Seated>>().map_err(|_| UpgradeError::Foreign)?;
    Ok(Accepted { stream: parts.io.into_inner(), early: parts.read_buf.to_vec() })
}

/// Why an upgraded connection cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    /// The client left before it saw the answer.
    #[error("the connection ended during the upgrade")]
    Gone(#[from] hyper::Error),
    /// It did not come through this gateway's listener, which is a defect.
    #[error("the connection is not over TCP")]
    Foreign,
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
