//! The one connection to Redis that limits and presence share: kept alive in the background, never waited for. Where sentinels name the
//! server, they are asked for each connection anew.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use chat_gateway_config::{Redis, stats::Component};
use redis::{Client, FromRedisValue, ScriptInvocation, aio::MultiplexedConnection};
use tokio::{
    sync::{RwLock, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::redis_server::{Greeting, Place, Way, describe, down, greet};

/// How often the connection is tried: bounds how long a lost Redis goes unnoticed.
const PING_EVERY: Duration = Duration::from_secs(1);
/// A new connection or a ping that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(2);
/// A command that takes longer has failed: callers stand in the path of a message.
const COMMAND: Duration = Duration::from_millis(100);
/// Commands in a row that may go unanswered before the connection is given up. One alone may be a pause of this very process; many
/// would make every message of every user wait, until a ping notices.
const UNANSWERED: u32 = 3;

/// Why a command had no effect that counts.
#[derive(Debug, thiserror::Error)]
#[error("Redis is away")]
pub struct Away;

/// A shared, cheap handle.
#[derive(Clone)]
pub struct RedisLink {
    connection: Arc<RwLock<Option<MultiplexedConnection>>>,
    unanswered: Arc<AtomicU32>,
    state: watch::Receiver<Component>,
}

impl RedisLink {
    /// Starts the background task; URL and certificates are read anew before each connection.
    pub fn start(redis: Redis, stop: CancellationToken) -> Self {
        let (sender, state) = watch::channel(down("Starting", "not connected yet"));
        let connection = Arc::new(RwLock::new(None));
        let keeper = Keeper { redis, connection: Arc::clone(&connection), place: None, sender };
        tokio::spawn(async move { stop.run_until_cancelled_owned(keeper.run()).await });
        Self { connection, unanswered: Arc::default(), state }
    }

    /// How the connection stands.
    pub fn state(&self) -> watch::Receiver<Component> {
        self.state.clone()
    }

    /// Runs a script, within 100 ms or not at all.
    ///
    /// # Errors
    /// [`Away`] when there is no connection, or no answer in time.
    pub async fn invoke<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, Away> {
        if !self.state.borrow().available {
            return Err(Away);
        }
        let mut connection = self.connection.read().await.clone().ok_or(Away)?;
        let outcome = timeout(COMMAND, script.invoke_async(&mut connection)).await;
        let Ok(answer) = outcome else {
            if self.unanswered.fetch_add(1, Relaxed) + 1 >= UNANSWERED {
                *self.connection.write().await = None;
            }
            return Err(Away);
        };
        self.unanswered.store(0, Relaxed);
        answer.map_err(|error| {
            tracing::debug!(%error, "a Redis command failed");
            Away
        })
    }
}

struct Keeper {
    redis: Redis,
    connection: Arc<RwLock<Option<MultiplexedConnection>>>,
    /// The server at the other end of the connection.
    place: Option<Place>,
    sender: watch::Sender<Component>,
}

impl Keeper {
    async fn run(mut self) {
        let mut ticks = tokio::time::interval(PING_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let now = self.check().await;
            self.sender.send_if_modified(|before| {
                let changed = *before != now;
                if before.available != now.available {
                    tracing::info!(available = now.available, reason = now.reason, message = now.message, "Redis");
                }
                *before = now;
                changed
            });
        }
    }

    async fn check(&mut self) -> Component {
        let held = self.connection.read().await.clone();
        let outcome = match (held, &self.place) {
            (Some(connection), Some(place)) => is_alive(connection, place).await,
            _ => self.connect().await,
        };
        match outcome {
            Ok(()) => Component { available: true, reason: "Connected".into(), message: "Redis answers".into() },
            Err(down) => {
                *self.connection.write().await = None;
                down
            }
        }
    }

    async fn connect(&mut self) -> Result<(), Component> {
        let found = Place::find(Way::read(&self.redis)?, &self.redis).await?;
        let place = found.ok_or_else(|| no_cluster("the Redis URL"))?;
        let client = Client::open(place.connection_info().clone()).map_err(|error| describe(&error))?;
        let mut connection = timeout(PATIENCE, client.get_multiplexed_async_connection())
            .await
            .map_err(|_| too_slow())?
            .map_err(|error| describe(&error))?;
        // A user who may not ask has no server's word against it; what follows tells whether it is of use.
        let greeting: Greeting =
            timeout(PATIENCE, greet(&mut connection)).await.ok().and_then(Result::ok).unwrap_or_default();
        if greeting.is_cluster() {
            return Err(no_cluster("the server of the Redis URL"));
        }
        is_alive(connection.clone(), &place).await?;
        self.place = Some(place);
        *self.connection.write().await = Some(connection);
        Ok(())
    }
}

async fn is_alive(mut connection: MultiplexedConnection, place: &Place) -> Result<(), Component> {
    let asked = async {
        match place {
            Place::Named(_) => redis::cmd("PING").query_async::<String>(&mut connection).await.map(drop),
            Place::Elected(..) => {
                return place.accept(&greet(&mut connection).await.map_err(|error| describe(&error))?);
            }
        }
        .map_err(|error| describe(&error))
    };
    timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(too_slow()))
}

fn too_slow() -> Component {
    down("Timeout", "Redis did not answer within 2 s")
}

/// The scripts of limits and presence have keys in several slots.
fn no_cluster(what: &str) -> Component {
    let why = "is a Redis Cluster's, which keeps no limits and presence; use a single Redis (redis://) or one behind sentinels \
               (redis-sentinel://), and the cluster as the broker (spec.broker.redisPubSub.urlSecretRef)";
    down("ClusterUnsupported", format!("{what} {why}"))
}
