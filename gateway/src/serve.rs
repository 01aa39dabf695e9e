//! Puts a gateway together: reads the secrets, connects the parts, opens the two ports. Nothing here waits for a backend: a gateway starts
//! while they are away, and is ready when it has seen them all.

use std::{
    net::SocketAddr,
    num::NonZero,
    pin::pin,
    sync::{Arc, OnceLock, atomic::Ordering::Relaxed},
    time::Duration,
};

use arc_swap::ArcSwap;
use axum::{
    extract::{ConnectInfo, Request, State},
    response::IntoResponse as _,
    routing::{MethodRouter, get},
};
use chat_gateway_config::{Embedded, GatewayConfig, Timeouts, stats::Component};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::{mpsc, watch},
};
use tokio_util::sync::CancellationToken;

use crate::{
    admin::{self, Admin},
    auth::{Accounts, Authenticator, Ed25519Tokens, PasswordError, PasswordPool, RefreshTokens, oidc::Issuers},
    broker::{self, Broker, Delivery},
    delivery::Books,
    entrance::Entrance,
    hints::Hints,
    http::{self, ClientAddress, Doors, Http, Places},
    hub::Hub,
    limiter::{Limiter, LocalLimiter, RedisLimiter},
    live::{Current, Follower, ShardsFolder, Swaps},
    outgoing::RootsError,
    presence::{MemoryPresence, Presence, RedisPresence},
    redis_link::RedisLink,
    services::{Counters, Services},
    settings::SettingsError,
    shutdown,
    store::{
        Store,
        postgres::PostgresStore,
        sqlite::{self, OpenError, SqliteStore},
    },
    traces::Tracer,
    transport::{self, Door},
    trials,
    turnstile::Turnstile,
};

/// Connections that wait to be accepted; Linux takes `net.core.somaxconn` (4,096) where that is less. A client that finds no place tries again
/// after a second, then after two more: too late for thousands that come back together.
const BACKLOG: u32 = 16_384;

/// Connections on the admin port: the operator's, the kubelet's, a scraper's, and a person's.
const ADMIN_CONNECTIONS: usize = 40;

/// Why a gateway cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A file of the configuration cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The roots of an issuer, or of the public authorities, cannot be used.
    #[error(transparent)]
    Roots(#[from] RootsError),
    /// A port cannot be opened.
    #[error("failed to listen on {field} {address}: {source}; is another process there?")]
    Listen {
        /// The field of the configuration.
        field: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The embedded database cannot be opened.
    #[error("database.embedded: {0}")]
    Embedded(#[from] OpenError),
    /// argon2 does not run.
    #[error(transparent)]
    Passwords(#[from] PasswordError),
}

impl ServeError {
    /// Whether only another configuration helps: trying again with this one is no use.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        matches!(self, Self::Settings(_) | Self::Roots(_) | Self::Embedded(OpenError::Newer { .. }))
    }
}

/// Serves until SIGTERM or SIGINT, then drains.
///
/// # Errors
/// [`ServeError`], all of them before the first client is served.
pub async fn run(config: GatewayConfig, name: String) -> Result<(), ServeError> {
    run_following(config, None, name).await
}

/// As [`run`], with shards that come and go as a folder has them; the configuration has those that it named first.
///
/// # Errors
/// [`ServeError`], all of them before the first client is served.
pub async fn run_following(
    config: GatewayConfig,
    shards: Option<ShardsFolder>,
    name: String,
) -> Result<(), ServeError> {
    run_to_the_end(config, shards, name, broker::start).await
}

/// As [`run`], with a broker that `join` makes of the configuration and the gateway's name.
///
/// # Errors
/// [`ServeError`], all of them before the first client is served.
pub async fn run_over(config: GatewayConfig, name: String, join: impl Join) -> Result<(), ServeError> {
    run_to_the_end(config, None, name, join).await
}

async fn run_to_the_end(
    config: GatewayConfig,
    shards: Option<ShardsFolder>,
    name: String,
    join: impl Join,
) -> Result<(), ServeError> {
    let stop = CancellationToken::new();
    // Listened to from the very first: as process 1 of its container it would otherwise ignore the signal.
    let mut asked_to_stop = pin!(shutdown::requested());
    let store = tokio::select! {
        biased;
        // While it waits for a predecessor there is nothing to drain.
        () = &mut asked_to_stop => return Ok(()),
        store = open_store(&config, shards) => store?,
    };
    let gateway = Gateway::start_over(config, name, store, join, stop).await?;
    asked_to_stop.await;
    gateway.drain().await;
    Ok(())
}

/// Connects a gateway to its broker, as [`broker::start`] does.
pub trait Join: FnOnce(&GatewayConfig, &str) -> (Arc<dyn Broker>, mpsc::Receiver<Delivery>) {}

impl<F: FnOnce(&GatewayConfig, &str) -> (Arc<dyn Broker>, mpsc::Receiver<Delivery>)> Join for F {}

/// A gateway that serves.
pub struct Gateway {
    services: Arc<Services>,
    hub: Arc<Hub>,
    /// Where clients connect to.
    pub address: SocketAddr,
    /// Where probes and the operator connect to.
    pub admin_address: SocketAddr,
    stop: CancellationToken,
}

impl Gateway {
    /// Starts serving, with this store; `stop` ends everything at once.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn start(
        config: GatewayConfig,
        name: String,
        store: Arc<dyn Store>,
        stop: CancellationToken,
    ) -> Result<Self, ServeError> {
        Self::start_over(config, name, store, broker::start, stop).await
    }

    /// As [`Gateway::start`], with a broker of another make.
    async fn start_over(
        config: GatewayConfig,
        name: String,
        store: Arc<dyn Store>,
        join: impl Join,
        stop: CancellationToken,
    ) -> Result<Self, ServeError> {
        let files = Follower::open(config)?;
        let config = files.config();
        let keys = Arc::new(files.keyring());
        let life = config.auth.sessions.access_seconds;
        let own = Ed25519Tokens::over(Arc::clone(&keys), &config.cluster, life);
        let refresh = RefreshTokens::over(Arc::clone(&keys));
        let tokens_of_admins = Arc::new(ArcSwap::from_pointee(files.admin_tokens()));
        let passwords = Arc::new(PasswordPool::new(std::thread::available_parallelism().map_or(1, NonZero::get))?);
        let clients = listen("listen", config.listen)?;
        let admins = listen("adminListen", config.admin_listen)?;
        let agent = config.agent_listen.map(|address| listen("agentListen", address)).transpose()?;

        let issuers = Issuers::start(&config.auth.oidc, &stop)?;
        let accounts = Arc::new(Accounts::new(Arc::clone(&store)));
        let tokens = Authenticator::new(own, issuers.clone(), Arc::clone(&accounts));
        let shared = Shared::start(&config, &name, &stop);
        let (broker, deliveries) = join(&config, &name);
        let shards = admin::watch_shards(Arc::clone(&store), &config, stop.clone());
        let turnstile = Turnstile::to_shards(config.database.shards.len());
        let slots = if config.database.embedded.is_some() { sqlite::SLOTS } else { config.database.slots };
        let counters = Arc::new(Counters::default());
        let tracer = Tracer::start(&config, &name, Arc::clone(&counters), &stop)?;
        let swaps = Swaps { config: Arc::new(Current::new(config)), keys, admin_tokens: Arc::clone(&tokens_of_admins) };
        files.tell(&swaps);
        let services = Arc::new(Services {
            limiter: shared.limiter,
            presence: shared.presence,
            gateway: name,
            config: Arc::clone(&swaps.config),
            store,
            broker,
            tokens: Arc::new(tokens),
            issuers,
            counters,
            books: Arc::new(Books::new(slots)),
            entrance: Entrance::new(turnstile),
            hints: Hints::default(),
            tracer,
        });
        let ways = GatewayConfig::clone(&swaps.config.get());
        tokio::spawn(trials::run(ways, Arc::clone(&swaps.config), stop.clone()));
        tokio::spawn(files.run(swaps, stop.clone()));
        let hub = Hub::start(Arc::clone(&services), deliveries, &stop);
        let config = services.config.get();
        let gateway = Self {
            address: clients.local_addr().map_err(|source| listen_error("listen", config.listen, source))?,
            admin_address: admins
                .local_addr()
                .map_err(|source| listen_error("adminListen", config.admin_listen, source))?,
            services: Arc::clone(&services),
            hub: Arc::clone(&hub),
            stop: stop.clone(),
        };
        let admins_hub = Arc::clone(&hub);
        let http = Http::new(Arc::clone(&services), passwords, Arc::new(refresh), accounts, hub);
        let doors = Doors { chat: websocket(Door::Chat), centrifuge: websocket(Door::Centrifuge) };
        let router = http::router(http, &doors);
        let places = Places::of_this_process(config.database.shards.len());
        warn_of_few_places(&places, config.max_connections);
        tokio::spawn(http::serve(clients, router, config.http.timeouts, places, stop.clone()));
        let (redis, ready_since) = (shared.state, OnceLock::new());
        let admin = Arc::new(Admin { services, hub: admins_hub, redis, shards, tokens: tokens_of_admins, ready_since });
        if let Some(agent) = agent {
            tokio::spawn(admin::agent::serve(agent, Arc::clone(&admin), stop.clone()));
        }
        let (admins_places, times) = (Places::new(ADMIN_CONNECTIONS), Timeouts::default());
        tokio::spawn(http::serve(admins, admin::router(admin), times, admins_places, stop));
        tracing::info!(address = %gateway.address, admin = %gateway.admin_address, gateway = gateway.services.gateway, "serving");
        Ok(gateway)
    }

    /// Takes no new WebSockets, asks the clients to move, and ends when they have or the time is over. Both ports stay open meanwhile:
    /// probes go on, and who comes by an old address gets an answer that says where the matter stands.
    pub async fn drain(self) {
        let time = Duration::from_secs(self.services.config.get().drain_seconds.into());
        let connections = self.services.counters.connections.load(Relaxed);
        tracing::info!(connections, seconds = time.as_secs(), "draining");
        self.services.entrance.drain();
        self.hub.drain(time).await;
        let left = self.services.counters.connections.load(Relaxed);
        tracing::info!(left, "drained");
        self.services.tracer.finish().await;
        self.stop.cancel();
    }
}

/// The store that the configuration names.
async fn open_store(config: &GatewayConfig, shards: Option<ShardsFolder>) -> Result<Arc<dyn Store>, ServeError> {
    Ok(match (&config.database.embedded, shards) {
        (Some(Embedded { file, wait_seconds }), _) => {
            Arc::new(SqliteStore::open_within(file, Duration::from_secs((*wait_seconds).into())).await?)
        }
        (None, Some(shards)) => Arc::new(PostgresStore::start_following(config, shards)),
        (None, None) => Arc::new(PostgresStore::start(config)),
    })
}

/// What gateways share through Redis, or keep to themselves where there is none.
struct Shared {
    limiter: Arc<dyn Limiter>,
    presence: Arc<dyn Presence>,
    state: watch::Receiver<Component>,
}

impl Shared {
    fn start(config: &GatewayConfig, name: &str, stop: &CancellationToken) -> Self {
        let Some(redis) = &config.redis else {
            return Self {
                limiter: Arc::new(LocalLimiter::default()),
                presence: Arc::new(MemoryPresence::default()),
                state: watch::Sender::new(broker::connected("in this process")).subscribe(),
            };
        };
        let life = Duration::from_secs(config.presence.gateway_seconds.into());
        let link = RedisLink::start(redis.clone(), stop.clone());
        Self {
            limiter: Arc::new(RedisLimiter::new(link.clone(), &config.cluster)),
            state: link.state(),
            presence: Arc::new(RedisPresence::start(link, &config.cluster, name, life, stop.clone())),
        }
    }
}

/// A way in for WebSockets.
fn websocket(door: Door) -> MethodRouter<Http> {
    get(
        move |State(http): State<Http>,
              ConnectInfo(peer): ConnectInfo<SocketAddr>,
              address: ClientAddress,
              request: Request| async move {
            if let Err(refused) = http.admit_origin(request.headers()) {
                return refused.into_response();
            }
            match http.admit_handshake(address).await {
                Ok(()) => transport::upgrade(http.services, http.hub, (peer, address), door, request),
                Err(refused) => refused.into_response(),
            }
        },
    )
}

fn warn_of_few_places(places: &Places, most: u32) {
    let places = places.left();
    if places < most as usize {
        tracing::warn!(
            maxConnections = most,
            places,
            "the limit on open files leaves fewer connections than maxConnections; raise it (ulimit -n, LimitNOFILE)"
        );
    }
}

fn listen(field: &'static str, address: SocketAddr) -> Result<TcpListener, ServeError> {
    listen_at(address).map_err(|source| listen_error(field, address, source))
}

/// As `TcpListener::bind`, with a longer queue.
fn listen_at(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn listen_error(field: &'static str, address: SocketAddr, source: std::io::Error) -> ServeError {
    ServeError::Listen { field, address, source }
}
