//! The one connection to Redis that limits and presence share: kept alive in the background, never waited for.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use chat_gateway_config::stats::Component;
use redis::{
    Client, ErrorKind, FromRedisValue, IntoConnectionInfo as _, RedisError, ScriptInvocation,
    aio::{ConnectionLike, MultiplexedConnection},
    io::tcp::TcpSettings,
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
    /// Starts the background task; the URL file is read anew before each connection.
    pub fn start(url_file: PathBuf, stop: CancellationToken) -> Self {
        let (sender, state) = watch::channel(component(false, "Starting", "not connected yet"));
        let connection = Arc::new(RwLock::new(None));
        let keeper = Keeper { url_file, connection: Arc::clone(&connection), sender };
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
        let url =
            settings::read(&self.url_file).map_err(|error| component(false, "SecretMissing", &error.to_string()))?;
        let malformed =
            |_| component(false, "InvalidUrl", "the Redis URL is malformed; use redis://:password@host:6379");
        // Commands are small and waited for one by one: Nagle's algorithm would add up to 40 ms to some.
        let at_once = TcpSettings::default().set_nodelay(true);
        let address = url.into_connection_info().map_err(malformed)?.set_tcp_settings(at_once);
        let client = Client::open(address).map_err(malformed)?;
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

/// What an error means to a person, without credentials.
pub(crate) fn describe(error: &RedisError) -> Component {
    if error.kind() == ErrorKind::AuthenticationFailed
        || matches!(error.code(), Some("WRONGPASS" | "NOAUTH" | "NOPERM"))
    {
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
    Component { available, reason: reason.into(), message: message.into() }
}
