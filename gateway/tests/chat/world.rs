//! Several gateways, one store, one exchange.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use chat_gateway::{
    auth::{Claims, TokenError, Tokens, names, oidc::Issuers},
    broker::{Broker, Delivery, MemoryExchange},
    codec::Codec,
    connection::{self, Accepted, Permit, Source},
    delivery::Books,
    entrance::Entrance,
    hints::Hints,
    http::ClientAddress,
    hub::Hub,
    limiter::LocalLimiter,
    live::Current,
    model::{SessionId, User},
    pipeline::Pipeline,
    presence::{MemoryPresence, Presence},
    services::{Counters, Services},
    store::{NewUser, Store, memory::MemoryStore},
    traces::Tracer,
};
use chat_gateway_config::{
    Auth, Broker as BrokerConfig, Database, GatewayConfig, Http, Limits, Passwords, Presence as PresenceConfig,
    RabbitMq, Redis, SessionLimits,
};
use tokio::{
    io::{DuplexStream, duplex},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use crate::{
    centrifuge_client::Centrifuge,
    client::Client,
    faulty::{Faults, FaultyBroker, Switches},
};

/// Bytes that a pipe between client and gateway holds: small, so that a client that does not read is felt soon.
const PIPE: usize = 16 * 1024;

pub(crate) struct World {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) exchange: MemoryExchange,
    pub(crate) gateways: Vec<Gateway>,
    pub(crate) switches: Arc<Switches>,
}

pub(crate) struct Gateway {
    pub(crate) services: Arc<Services>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) stop: CancellationToken,
}

impl World {
    /// A world without faults.
    pub(crate) fn new(gateways: usize) -> Self {
        Self::with(gateways, Faults::default(), limits())
    }

    pub(crate) fn with(gateways: usize, faults: Faults, limits: Limits) -> Self {
        Self::configured(gateways, faults, &config(limits))
    }

    pub(crate) fn configured(gateways: usize, faults: Faults, config: &GatewayConfig) -> Self {
        let store = Arc::new(MemoryStore::new());
        let exchange = MemoryExchange::new();
        let presence = Arc::new(MemoryPresence::default());
        let switches = Arc::new(Switches::default());
        let gateways = (0..gateways)
            .map(|nth| {
                let (broker, deliveries) = exchange.join();
                let broker = FaultyBroker { inner: Arc::new(broker), faults, switches: Arc::clone(&switches) };
                let parts = Parts {
                    store: Arc::clone(&store) as _,
                    broker: Arc::new(broker),
                    presence: Arc::clone(&presence) as _,
                };
                Gateway::start(nth, parts, deliveries, config.clone())
            })
            .collect();
        Self { store, exchange, gateways, switches }
    }

    /// Makes an account.
    pub(crate) async fn user(&self, name: &str) -> User {
        let user = user(name);
        self.store.create_user(NewUser { user: user.clone(), password_hash: String::new() }).await.unwrap();
        user
    }

    /// A signed-in client of a gateway.
    pub(crate) async fn client(&self, gateway: usize, name: &str) -> Client {
        let mut client = self.socket(gateway);
        client.hello(name, &[]).await;
        client
    }

    /// A client that has said nothing yet.
    pub(crate) fn socket(&self, gateway: usize) -> Client {
        Client::new(self.pipe(gateway, Codec::Chat))
    }

    /// A client that has said nothing yet, from somewhere else.
    pub(crate) fn socket_from(&self, gateway: usize, address: [u8; 4]) -> Client {
        let (near, far) = duplex(PIPE);
        self.gateways[gateway].serve_from(ClientAddress(address.into()), far, Codec::Chat);
        Client::new(near)
    }

    /// A client that has said nothing yet, with frames in CBOR.
    pub(crate) fn binary_socket(&self, gateway: usize) -> Client {
        Client::binary(self.pipe(gateway, Codec::ChatCbor))
    }

    /// A client of the Centrifuge door that has said nothing yet.
    pub(crate) async fn centrifuge(&self, gateway: usize) -> Centrifuge {
        Centrifuge::new(self.pipe(gateway, Codec::CentrifugeJson)).await
    }

    /// The client's end of a connection in this language.
    pub(crate) fn pipe(&self, gateway: usize, codec: Codec) -> DuplexStream {
        let (near, far) = duplex(PIPE);
        self.serve(gateway, far, codec);
        near
    }

    fn serve(&self, gateway: usize, stream: DuplexStream, codec: Codec) {
        self.gateways[gateway].serve(stream, codec);
    }
}

/// What a gateway is made of, but for what all have alike.
pub(crate) struct Parts {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) presence: Arc<dyn Presence>,
}

impl Gateway {
    pub(crate) fn start(nth: usize, parts: Parts, deliveries: mpsc::Receiver<Delivery>, config: GatewayConfig) -> Self {
        let services = Arc::new(Services {
            gateway: format!("gateway-{nth}"),
            config: Arc::new(Current::new(config)),
            store: parts.store,
            broker: parts.broker,
            limiter: Arc::new(LocalLimiter::default()),
            presence: parts.presence,
            tokens: Arc::new(NameTokens),
            issuers: Issuers::default(),
            counters: Arc::new(Counters::default()),
            books: Arc::new(Books::new(1_024)),
            entrance: Entrance::default(),
            hints: Hints::default(),
            tracer: Tracer::default(),
        });
        let stop = CancellationToken::new();
        let hub = Hub::start(Arc::clone(&services), deliveries, &stop);
        Self { services, hub, stop }
    }

    /// Serves the far end of a client's pipe.
    pub(crate) fn serve(&self, stream: DuplexStream, codec: Codec) {
        self.serve_from(ClientAddress([127, 0, 0, 1].into()), stream, codec);
    }

    fn serve_from(&self, address: ClientAddress, stream: DuplexStream, codec: Codec) {
        let permit = Permit::take(&self.services.counters, 10_000).unwrap();
        let pipeline = Arc::new(Pipeline::new(Arc::clone(&self.services), Arc::clone(&self.hub)));
        let source = Source { client: address, peer: address.0 };
        tokio::spawn(async move {
            let accepted = Accepted { stream, early: Vec::new() };
            connection::serve(pipeline, accepted, (codec, source), permit).await;
        });
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.gateways.iter().for_each(|gateway| gateway.stop.cancel());
    }
}

pub(crate) fn user(name: &str) -> User {
    User { id: names::user_id(name), name: name.to_owned(), display_name: name.to_owned() }
}

/// Limits that no test meets by accident.
pub(crate) fn limits() -> Limits {
    Limits { messages_per_second: 100_000, message_burst: 100_000, message_bytes: 8_192, rooms_per_connection: 50 }
}

pub(crate) fn config(limits: Limits) -> GatewayConfig {
    let nowhere = PathBuf::new;
    GatewayConfig {
        cluster: "test/chat".into(),
        listen: ([127, 0, 0, 1], 0).into(),
        admin_listen: ([127, 0, 0, 1], 0).into(),
        agent_listen: None,
        live_file: None,
        admin_token_file: nowhere(),
        drain_seconds: 10,
        max_connections: 2,
        limits,
        auth: Auth {
            passwords: Passwords::Enabled,
            signing_key_file: nowhere(),
            sessions: SessionLimits::default(),
            oidc: Vec::new(),
        },
        http: Http::default(),
        broker: BrokerConfig::Rabbitmq(RabbitMq::at(nowhere())),
        redis: Some(Redis::at(nowhere())),
        presence: PresenceConfig::default(),
        database: Database { slots: 1_024, shards: Vec::new(), embedded: None },
        tracing: None,
    }
}

/// The name is the token; `old:` in front has expired, `soon:` ends two seconds from now, and a session's id in front is of that session.
struct NameTokens;

#[async_trait]
impl Tokens for NameTokens {
    fn issue(&self, user: &User, session: SessionId) -> (String, u32) {
        (format!("{session}:{}", user.name), 3_600)
    }

    async fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        let now = jiff::Timestamp::now().as_second();
        match token.split_once(':') {
            Some(("old", _)) => Err(TokenError::Expired),
            Some(("soon", name)) => Ok(Claims { user: user(name), session: None, expires_at: now + 2 }),
            Some((session, name)) => match session.parse() {
                Ok(id) => Ok(Claims { user: user(name), session: Some(SessionId(id)), expires_at: now + 3_600 }),
                Err(_) => Err(TokenError::Invalid),
            },
            None => Ok(Claims { user: user(token), session: None, expires_at: now + 3_600 }),
        }
    }
}
