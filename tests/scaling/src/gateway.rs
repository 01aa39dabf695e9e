//! The admin port of a gateway that is only played: the operator's protocol, answered from the model.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
    },
};

use chat_crds::chat_cluster::DEFAULT_SLOTS;
use chat_gateway_config::{
    delivery::DeliveryStats,
    stats::{Component, GatewayStats, HealthCounters, MessageCounters, Moved, Moves, ShardStats},
};
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, Response, StatusCode, body::Bytes, header, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::world::World;

/// Name of the one shard, which owns all slots.
pub(crate) const SHARD: &str = "a";
/// Connections of a gateway whose people are not simulated.
const IDLE: u32 = 100;

/// Messages that a gateway delivers between two questions, and the milliseconds that one takes.
const DELIVERED: u64 = 1_000;
const TOOK_MS: i64 = 20;

/// A gateway that is played.
#[derive(Debug)]
pub(crate) struct Stub {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) world: Arc<World>,
    /// Whether the operator has told it to take nobody new.
    pub(crate) cordoned: AtomicBool,
    /// Messages that it has delivered, and the milliseconds that they took in sum by the clocks of sender and gateway.
    pub(crate) delivered: (AtomicU64, AtomicI64),
}

impl Stub {
    /// Answers at the address until the task is ended.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener) {
        loop {
            let Ok((socket, _)) = listener.accept().await else { continue };
            let stub = Arc::clone(&self);
            let service = service_fn(move |request| {
                let stub = Arc::clone(&stub);
                async move { Ok::<_, std::convert::Infallible>(stub.answer(request).await) }
            });
            // Who hangs up is no trouble of ours.
            tokio::spawn(
                async move { drop(http1::Builder::new().serve_connection(TokioIo::new(socket), service).await) },
            );
        }
    }

    async fn answer(&self, request: Request<hyper::body::Incoming>) -> Response<Full<Bytes>> {
        if self.world.with(&self.namespace, |side| side.stalled) == Some(true) {
            // Longer than anybody waits.
            tokio::time::sleep(std::time::Duration::from_secs(30)).await;
        }
        let authorized = request.headers().get(header::AUTHORIZATION);
        if !authorized.is_some_and(|value| value.as_bytes().starts_with(b"Bearer ")) {
            return plain(StatusCode::UNAUTHORIZED, Bytes::new());
        }
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/stats") => json(&self.stats()),
            (&Method::PUT, "/cordon") => self.cordon(true),
            (&Method::DELETE, "/cordon") => self.cordon(false),
            (&Method::POST, "/moves") => match request.into_body().collect().await.map(|body| body.to_bytes()) {
                Ok(body) => self.moves(&body),
                Err(_) => plain(StatusCode::BAD_REQUEST, Bytes::new()),
            },
            _ => plain(StatusCode::NOT_FOUND, Bytes::new()),
        }
    }

    fn stats(&self) -> GatewayStats {
        let known = self.world.with(&self.namespace, |side| {
            let (connections, turned_away) =
                side.fleet.gateway(&self.name).map_or((0, 0), |one| (one.connections, one.turned_away));
            (connections, turned_away, side.skew)
        });
        let (connections, turned_away, skew) = known.unwrap_or((IDLE, 0, 0));
        let is_ahead = self.name.bytes().fold(0_u8, u8::wrapping_add) % 2 == 0;
        let ahead = if is_ahead { skew } else { -skew };
        let (delivered, took) = &self.delivered;
        let timed = delivered.fetch_add(DELIVERED, Relaxed) + DELIVERED;
        let all = DELIVERED.cast_signed() * (TOOK_MS + ahead);
        let timed_raw_ms = took.fetch_add(all, Relaxed) + all;
        let fine = || Component { available: true, reason: "Connected".to_owned(), message: String::new() };
        GatewayStats {
            gateway: self.name.clone(),
            connections,
            rooms: 0,
            draining: false,
            cordoned: self.cordoned.load(Relaxed),
            clock_ms: Some(jiff::Timestamp::now().as_millisecond() + ahead),
            limit: 0,
            ready_seconds: None,
            messages: MessageCounters::default(),
            health: HealthCounters { turned_away, timed, timed_raw_ms, ..HealthCounters::default() },
            delivery: Some(DeliveryStats::default()),
            broker: fine(),
            redis: fine(),
            shards: vec![ShardStats {
                name: SHARD.to_owned(),
                slots: DEFAULT_SLOTS.unsigned_abs(),
                component: fine(),
                uris: Vec::new(),
            }],
            issuers: Vec::new(),
            live: None,
        }
    }

    fn cordon(&self, on: bool) -> Response<Full<Bytes>> {
        self.cordoned.store(on, Relaxed);
        self.world.with(&self.namespace, |side| side.fleet.set_cordoned(&self.name, on));
        plain(StatusCode::NO_CONTENT, Bytes::new())
    }

    fn moves(&self, body: &[u8]) -> Response<Full<Bytes>> {
        let Ok(Moves { count, within_ms, .. }) = serde_json::from_slice(body) else {
            return plain(StatusCode::BAD_REQUEST, Bytes::new());
        };
        let asked = self.world.with(&self.namespace, |side| side.fleet.ask(&self.name, count, within_ms));
        json(&Moved { asked: asked.unwrap_or_default() })
    }
}

/// Listens where a gateway of this number has its admin port.
///
/// # Errors
/// The address is taken, by another run with the same number of a cluster.
pub(crate) async fn listen(network: u8, number: u32) -> std::io::Result<(SocketAddr, TcpListener)> {
    // All of 127.0.0.0/8 is this machine. The last octet leaves out what may mean a whole network.
    let [third, last] = [number / 250, number % 250 + 1].map(|octet| u8::try_from(octet).unwrap_or(u8::MAX));
    let address = SocketAddr::from(([127, network, third, last], 8081));
    Ok((address, TcpListener::bind(address).await?))
}

fn json(value: &impl serde::Serialize) -> Response<Full<Bytes>> {
    match serde_json::to_vec(value) {
        Ok(body) => plain(StatusCode::OK, body.into()),
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, Bytes::new()),
    }
}

fn plain(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}
