//! The admin port: probes, the operator's statistics, metrics. Nothing here is for chat clients; a NetworkPolicy keeps them away.

pub mod agent;
mod asker;
mod health;
mod rooms;
mod slots;

use std::{
    sync::{Arc, OnceLock, atomic::Ordering::Relaxed},
    time::Duration,
};

use arc_swap::ArcSwap;
use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use chat_gateway_config::{
    AdminTokens,
    agent::Capacity,
    hints::Peers,
    stats::{Component, GatewayStats, HealthCounters, MessageCounters, Moved, Moves, ShardStats},
};
use jiff::Timestamp;
use tokio::{sync::watch, time::Instant};

use self::asker::Operator;
pub use health::watch_shards;

use crate::{
    audit::{Act, Outcome, Record},
    hub::{Hub, Whom},
    metrics,
    services::Services,
};

/// Longest time over which clients may be asked to spread themselves.
const LONGEST_SPREAD: Duration = Duration::from_secs(60);

/// What the admin port answers from.
pub struct Admin {
    /// The gateway's parts.
    pub services: Arc<Services>,
    /// The connections.
    pub hub: Arc<Hub>,
    /// Redis as the limiter and presence see it.
    pub redis: watch::Receiver<Component>,
    /// The shards, asked every few seconds.
    pub shards: watch::Receiver<Vec<ShardStats>>,
    /// Bearer tokens of `/stats` and of orders, as their file has them now.
    pub tokens: Arc<ArcSwap<AdminTokens>>,
    /// When everything was reachable first: from then on a lost broker or Redis does not make the gateway unready.
    pub ready_since: OnceLock<Instant>,
}

impl Admin {
    fn stats(&self) -> GatewayStats {
        let counters = &self.services.counters;
        let small = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        GatewayStats {
            gateway: self.services.gateway.clone(),
            connections: small(counters.connections.load(Relaxed)),
            rooms: small(counters.rooms.load(Relaxed)),
            draining: self.services.entrance.is_draining(),
            cordoned: self.services.entrance.is_cordoned(),
            clock_ms: Some(Timestamp::now().as_millisecond()),
            limit: self.services.config.get().max_connections,
            ready_seconds: self.ready_since.get().map(|since| small(since.elapsed().as_secs())),
            messages: MessageCounters {
                accepted: counters.accepted.load(Relaxed),
                delivered: counters.delivered.load(Relaxed),
                backfilled: counters.backfilled.load(Relaxed),
                duplicates: counters.duplicates.load(Relaxed),
                shed: counters.shed.load(Relaxed),
                slow_closed: counters.slow_closed.load(Relaxed),
            },
            health: HealthCounters {
                signed_in: counters.signed_in.load(Relaxed),
                sign_ins_refused: counters.sign_ins_refused.load(Relaxed),
                carried_out: counters.carried_out.load(Relaxed),
                failed: counters.failed.load(Relaxed),
                turned_away: counters.turned_away.load(Relaxed),
                timed: counters.timed.load(Relaxed),
                timed_ms: counters.timed_ms.load(Relaxed),
                timed_raw_ms: counters.timed_raw_ms.load(Relaxed),
                taken: counters.taken.load(Relaxed),
            },
            delivery: Some(self.services.books.stats()),
            broker: self.services.broker.state().borrow().component.clone(),
            redis: self.redis.borrow().clone(),
            shards: self.shards.borrow().clone(),
            issuers: self.services.issuers.stats(),
            live: self.services.config.taken(),
        }
    }

    /// Ready to serve: see the module `health`.
    fn ready(&self) -> Result<(), String> {
        let stats = self.stats();
        let verdict = health::ready(&stats, self.ready_since.get().is_some());
        if verdict.is_ok() {
            self.ready_since.get_or_init(Instant::now);
        }
        verdict
    }

    /// What a load balancer is told.
    fn capacity(&self) -> Capacity {
        let Services { counters, config, entrance, .. } = &*self.services;
        Capacity {
            connections: counters.connections.load(Relaxed),
            limit: config.get().max_connections,
            age: self.ready_since.get().map(Instant::elapsed),
            closed: entrance.turns_away(),
        }
    }
}

/// The routes of the admin port.
pub fn router(admin: Arc<Admin>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/stats", get(stats))
        .route("/slots", get(slots::answer))
        .route("/rooms", get(rooms::answer))
        .route("/delivery", get(delivery))
        .route("/metrics", get(exposition))
        .route("/cordon", put(cordon).delete(uncordon))
        .route("/moves", post(moves))
        .route("/peers", put(peers))
        .with_state(admin)
}

async fn readyz(State(admin): State<Arc<Admin>>) -> Response {
    match admin.ready() {
        Ok(()) => "ok\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn stats(State(admin): State<Arc<Admin>>, _: Operator) -> Response {
    admin.services.hints.asked();
    Json(admin.stats()).into_response()
}

async fn delivery(State(admin): State<Arc<Admin>>, _: Operator) -> Response {
    Json(admin.services.books.delivery(&admin.services.gateway)).into_response()
}

/// Takes nobody new, and says so on `/readyz`, until it is told otherwise or the operator is away. Who is connected stays.
async fn cordon(State(admin): State<Arc<Admin>>, operator: Operator) -> Response {
    // The operator says it again and again, which is no news.
    if admin.services.entrance.cordon(true) {
        operator.ordered(Act::Cordon).write(Outcome::Done);
        tracing::info!("cordoned");
    }
    StatusCode::NO_CONTENT.into_response()
}

async fn uncordon(State(admin): State<Arc<Admin>>, operator: Operator) -> Response {
    if admin.services.entrance.cordon(false) {
        operator.ordered(Act::Uncordon).write(Outcome::Done);
        tracing::info!("uncordoned");
    }
    StatusCode::NO_CONTENT.into_response()
}

/// Asks some clients to connect elsewhere.
async fn moves(State(admin): State<Arc<Admin>>, operator: Operator, body: Bytes) -> Response {
    let Moves { count, within_ms, settled, through } = match serde_json::from_slice(&body) {
        Ok(moves) => moves,
        Err(error) => {
            operator.ordered(Act::MoveClients).write(Outcome::Failed("bad_request"));
            return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response();
        }
    };
    admin.services.entrance.order();
    let within = Duration::from_millis(within_ms.into()).min(LONGEST_SPREAD);
    let whom = match (settled, through.as_slice()) {
        (false, []) => Whom::Anybody,
        (true, []) => Whom::Settled,
        (false, peers) => Whom::Through(peers),
        (true, _) => {
            operator.ordered(Act::MoveClients).write(Outcome::Failed("bad_request"));
            let refusal = "settled and through exclude each other; leave one out\n";
            return (StatusCode::BAD_REQUEST, refusal).into_response();
        }
    };
    let asked = admin.hub.move_clients(usize::try_from(count).unwrap_or(usize::MAX), within, whom);
    let asked = u32::try_from(asked).unwrap_or(u32::MAX);
    let outcome = if asked > 0 { Outcome::Done } else { Outcome::Unchanged };
    Record { asked: Some(asked), ..operator.ordered(Act::MoveClients) }.write(outcome);
    Json(Moved { asked }).into_response()
}

/// Learns which gateways take clients.
async fn peers(State(admin): State<Arc<Admin>>, _: Operator, body: Bytes) -> Response {
    match serde_json::from_slice::<Peers>(&body) {
        Ok(peers) => {
            admin.services.hints.learn(peers);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}

async fn exposition(State(admin): State<Arc<Admin>>) -> Response {
    match metrics::render(&admin.services.counters, &admin.stats()) {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
