//! What a server says of itself in answer to `HELLO`, which every user may send: its role, its kind and its version. It does as a sign of
//! life at the same time.

use std::collections::HashMap;

use redis::{FromRedisValue, RedisError, Value, aio::ConnectionLike};

/// See the module's documentation.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Greeting {
    role: String,
    mode: String,
    version: String,
}

impl Greeting {
    /// Whether the server takes writes.
    pub(crate) fn is_primary(&self) -> bool {
        self.role == "master"
    }

    /// Whether it is a node of a Redis Cluster.
    pub(crate) fn is_cluster(&self) -> bool {
        self.mode == "cluster"
    }

    /// Whether its version has sharded Pub/Sub. Valkey gives the version of Redis that it is compatible with.
    pub(crate) fn has_sharded_pubsub(&self) -> bool {
        self.version.split('.').next().and_then(|major| major.parse::<u32>().ok()).is_none_or(|major| major >= 7)
    }

    /// The version.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }
}

/// Asks for it.
pub(crate) async fn greet(connection: &mut impl ConnectionLike) -> Result<Greeting, RedisError> {
    let said: HashMap<String, Value> = redis::cmd("HELLO").query_async(connection).await?;
    let mut greeting = Greeting::default();
    for (name, value) in said {
        let field = match name.as_str() {
            "role" => &mut greeting.role,
            "mode" => &mut greeting.mode,
            "version" => &mut greeting.version,
            _ => continue,
        };
        *field = String::from_redis_value(value)?;
    }
    Ok(greeting)
}
