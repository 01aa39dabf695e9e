//! Where Redis is, and whether the server that was reached is the one that is meant: what everything that connects to Redis shares.
//!
//! Whatever is wrong comes as a [`Component`], a word for conditions and a sentence for people, without credentials.

mod address;
mod greeting;
mod reason;
mod sentinel;

use std::path::Path;

use chat_gateway_config::{RedisUrl, Sentinels, stats::Component};
use redis::{ConnectionInfo, IntoConnectionInfo as _};

pub(crate) use self::{
    address::connection_info,
    greeting::{Greeting, greet},
    reason::{describe, down},
};
use crate::settings;

/// Reads the URL; done anew for each connection, since passwords change.
pub(crate) fn read(url_file: &Path) -> Result<RedisUrl, Component> {
    let url = settings::read(url_file).map_err(|error| down("SecretMissing", error.to_string()))?;
    RedisUrl::parse(&url).map_err(|error| down("InvalidUrl", format!("the Redis URL is malformed: {error}")))
}

/// One server that takes everything, as a URL names it or the sentinels do.
pub(crate) enum Place {
    /// Named by the URL.
    Named(ConnectionInfo),
    /// What the sentinels call the primary at this moment, and those that were asked.
    Elected(ConnectionInfo, Sentinels),
}

impl Place {
    /// Finds the server of a URL that is not a cluster's; `None` for one that is.
    pub(crate) async fn find(url: RedisUrl) -> Result<Option<Self>, Component> {
        match url {
            RedisUrl::Standalone(url) => {
                // The parser's words may repeat the text, password included.
                let malformed = |_| {
                    let right = "use redis://:password@host:6379, with rediss:// for TLS";
                    down("InvalidUrl", format!("the Redis URL is malformed; {right}"))
                };
                let named = url.into_connection_info().map_err(malformed)?;
                Ok(Some(Self::Named(named.set_tcp_settings(address::at_once()))))
            }
            RedisUrl::Sentinel(sentinels) => {
                let primary = sentinel::primary(&sentinels).await?;
                let info = connection_info(&primary, sentinels.tls, &sentinels.credentials);
                let info = info.map_err(|error| describe(&error))?;
                let redis = info.redis_settings().clone().set_db(sentinels.database);
                Ok(Some(Self::Elected(info.set_redis_settings(redis), sentinels)))
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
        let Self::Elected(info, sentinels) = self else { return true };
        match sentinel::primary(sentinels).await {
            Ok(primary) => address::addr(&primary, sentinels.tls) == *info.addr(),
            Err(_) => true,
        }
    }
}
