//! The one connection to Redis that limits and presence share: kept alive in the background, never waited for.

use std::{path::PathBuf, sync::Arc, time::Duration};

use chat_gateway_config::stats::Component;
use redis::{
    Client, ErrorKind, FromRedisValue, RedisError, ScriptInvocation,
    aio::{ConnectionLike, MultiplexedConnection},
};
use tokio::{
    sync::{RwLock, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::settings;

/// How often the connection is tried: bounds how long a lost Redis goes unnoticed.
const PING_EVERY: Duration = Duration::from_secs(1);
/// A new connection or a ping that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(2);
/// A command that takes longer has failed: callers stand in the path of a message.
const COMMAND: Duration = Duration::from_millis(100);

/// Why a command had no effect that counts.
#[derive(Debug, thiserror::Error)]
#[error("Redis is away")]
pub struct Away;

/// A shared, cheap handle.
#[derive(Clone)]
pub struct RedisLink {
    connection: Arc<RwLock<Option<MultiplexedConnection>>>,
    state: watch::Receiver<Component>,
}

impl RedisLink {
    /// Starts the background task; the URL file is read anew before each connection.
    pub fn start(url_file: PathBuf, stop: CancellationToken) -> Self {
        let (sender, state) = watch::channel(component(false, "Starting", "not connected yet"));
        let connection = Arc::new(RwLock::new(None));
        let keeper = Keeper {
            url_file,
            connection: Arc::clone(&connection),
            sender,
        };
        tokio::spawn(async move { stop.run_until_cancelled_owned(keeper.run()).await });
        Self { connection, state }
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
        match timeout(COMMAND, script.invoke_async(&mut connection)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a Redis command failed");
                Err(Away)
            }
            Err(_) => Err(Away),
        }
    }
}

struct Keeper {
    url_file: PathBuf,
    connection: Arc<RwLock<Option<MultiplexedConnection>>>,
    sender: watch::Sender<Component>,
}

impl Keeper {
    async fn run(self) {
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

    async fn check(&self) -> Component {
        let held = self.connection.read().await.clone();
        let outcome = match held {
            Some(connection) => ping(connection).await,
            None => self.connect().await,
        };
        match outcome {
            Ok(()) => component(true, "Connected", "Redis answers"),
            Err(down) => {
                *self.connection.write().await = None;
                down
            }
        }
    }

    async fn connect(&self) -> Result<(), Component> {
        let url = settings::read(&self.url_file).map_err(|error| component(false, "SecretMissing", &error.to_string()))?;
        let client = Client::open(url).map_err(|_| component(false, "InvalidUrl", "the Redis URL is malformed; use redis://:password@host:6379"))?;
        let connection = timeout(PATIENCE, client.get_multiplexed_async_connection())
            .await
            .map_err(|_| component(false, "Timeout", "Redis did not answer within 2 s"))?
            .map_err(|error| describe(&error))?;
        ping(connection.clone()).await?;
        *self.connection.write().await = Some(connection);
        Ok(())
    }
}

async fn ping(mut connection: impl ConnectionLike) -> Result<(), Component> {
    match timeout(PATIENCE, redis::cmd("PING").query_async::<String>(&mut connection)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(describe(&error)),
        Err(_) => Err(component(false, "Timeout", "Redis did not answer within 2 s")),
    }
}

fn describe(error: &RedisError) -> Component {
    if error.kind() == ErrorKind::AuthenticationFailed || matches!(error.code(), Some("WRONGPASS" | "NOAUTH" | "NOPERM")) {
        return component(false, "AuthenticationFailed", "Redis refuses the user or password of the URL");
    }
    if error.is_connection_refusal() {
        return component(false, "ConnectionRefused", "nothing listens at the address of the Redis URL");
    }
    if error.is_timeout() {
        return component(false, "Timeout", "Redis did not answer in time");
    }
    // Without `detail()`: it may repeat the URL.
    component(false, "ConnectionFailed", &format!("the connection to Redis failed ({:?})", error.kind()))
}

fn component(available: bool, reason: &str, message: &str) -> Component {
    Component {
        available,
        reason: reason.into(),
        message: message.into(),
    }
}
