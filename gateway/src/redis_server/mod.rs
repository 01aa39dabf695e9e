//! Where Redis is, and whether the server that was reached is the one that is meant: what everything that connects to Redis shares.
//!
//! Whatever is wrong comes as a [`Component`], a word for conditions and a sentence for people, without credentials.

mod address;
mod certificates;
mod greeting;
mod reason;
mod sentinel;

use std::time::Duration;

use chat_gateway_config::{Redis, RedisUrl, Sentinels, stats::Component};
use redis::{Client, ConnectionInfo, IntoConnectionInfo as _};
use tokio::time::timeout;

pub(crate) use self::{
    address::connection_info,
    certificates::Certificates,
    greeting::{Greeting, greet},
    reason::{describe, down},
};
use crate::settings;

/// The way to a Redis as it is at this moment.
pub(crate) struct Way {
    /// Where it is.
    pub(crate) url: RedisUrl,
    /// What is believed and shown on the way.
    pub(crate) certificates: Certificates,
}

impl Way {
    /// Reads it; done anew for each connection, since passwords change and certificates are renewed.
    pub(crate) fn read(redis: &Redis) -> Result<Self, Component> {
        let url = settings::read(&redis.url_file).map_err(|error| down("SecretMissing", error.to_string()))?;
        // The others are to come, or on their way out.
        let url = url.lines().next().unwrap_or_default();
        let malformed = |error| down("InvalidUrl", format!("the Redis URL is malformed: {error}"));
        Ok(Self { url: RedisUrl::parse(url).map_err(malformed)?, certificates: Certificates::read(redis)? })
    }
}

/// Time to be let in, with an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether the one server that a URL names lets somebody in who comes by it. Not for sentinels and clusters, whose passwords are not the operator's to change.
pub(crate) async fn takes(redis: &Redis, url: &str) -> bool {
    let (Ok(url @ RedisUrl::Standalone(_)), Ok(certificates)) = (RedisUrl::parse(url), Certificates::read(redis))
    else {
        return false;
    };
    let Ok(Some(place)) = Place::find(Way { url, certificates }, redis).await else { return false };
    let Ok(client) = Client::open(place.connection_info().clone()) else { return false };
    let ask = async {
        let mut connection = client.get_multiplexed_async_connection().await?;
        redis::cmd("PING").query_async::<String>(&mut connection).await
    };
    timeout(PATIENCE, ask).await.is_ok_and(|answer| answer.is_ok())
}

/// One server that takes everything, as a URL names it or the sentinels do.
pub(crate) enum Place {
    /// Named by the URL.
    Named(ConnectionInfo),
    /// What the sentinels call the primary at this moment, and those that were asked.
    Elected(ConnectionInfo, Box<Electors>),
}

/// Sentinels, and what they are asked with.
pub(crate) struct Electors {
    sentinels: Sentinels,
    /// Where certificates are read from for each question: those of the first may have ended when the last is put.
    redis: Redis,
}

impl Place {
    /// Finds the server of a URL that is not a cluster's; `None` for one that is.
    pub(crate) async fn find(way: Way, redis: &Redis) -> Result<Option<Self>, Component> {
        let Way { url, certificates } = way;
        match url {
            RedisUrl::Standalone(url) => {
                // The parser's words may repeat the text, password included.
                let malformed = |_| {
                    let right = "use redis://:password@host:6379, with rediss:// for TLS";
                    down("InvalidUrl", format!("the Redis URL is malformed; {right}"))
                };
                let named = url.into_connection_info().map_err(malformed)?;
                let named = certificates.on(named)?;
                Ok(Some(Self::Named(named.set_tcp_settings(address::at_once()))))
            }
            RedisUrl::Sentinel(sentinels) => {
                let primary = sentinel::primary(&sentinels, &certificates).await?;
                let info = connection_info(&primary, sentinels.tls, &sentinels.credentials, &certificates)?;
                let settings = info.redis_settings().clone().set_db(sentinels.database);
                let electors = Electors { sentinels, redis: redis.clone() };
                Ok(Some(Self::Elected(info.set_redis_settings(settings), Box::new(electors))))
            }
            RedisUrl::Cluster(_) => Ok(None),
        }
    }

    /// How to connect to it.
    pub(crate) fn connection_info(&self) -> &ConnectionInfo {
        match self {
            Self::Named(info) | Self::Elected(info, _) => info,
        }
    }

    /// The same, in another form of the protocol.
    pub(crate) fn speaking(&self, protocol: redis::ProtocolVersion) -> ConnectionInfo {
        let info = self.connection_info().clone();
        let redis = info.redis_settings().clone().set_protocol(protocol);
        info.set_redis_settings(redis)
    }

    /// Checks how a server introduces itself: one that sentinels named must still be the primary. A replica answers, too, and even takes
    /// publishes, which nobody but its own subscribers would hear.
    pub(crate) fn accept(&self, greeting: &Greeting) -> Result<(), Component> {
        match self {
            Self::Elected(..) if !greeting.is_primary() => {
                Err(down("NotPrimary", "the server that the sentinels named is a replica; they are asked again"))
            }
            _ => Ok(()),
        }
    }

    /// Asks the sentinels whether they still mean this server: one that they cannot reach may go on serving some of the gateways, while
    /// others are with its successor. Sentinels that do not answer say nothing against it.
    pub(crate) async fn is_current(&self) -> bool {
        let Self::Elected(info, electors) = self else { return true };
        let Electors { sentinels, redis } = &**electors;
        let Ok(certificates) = Certificates::read(redis) else { return true };
        match sentinel::primary(sentinels, &certificates).await {
            Ok(primary) => address::addr(&primary, sentinels.tls) == *info.addr(),
            Err(_) => true,
        }
    }
}
