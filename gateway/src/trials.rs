//! Tries the ways to RabbitMQ and Redis that are to come: of several lines in such a file the first is in use, and the operator puts another one there only when
//! every gateway has said that the server takes it.
//!
//! A line is tried on a connection of its own, which is closed at once. What was taken once is not tried again as long as it stands in the file.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use chat_gateway_config::{Broker, GatewayConfig, RabbitMq, Redis, SecretLines};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{broker, live::Current, redis_server, settings};

/// Time between two looks at a file.
const EVERY: Duration = Duration::from_secs(2);

/// A server, and the file with the ways to it.
enum Server {
    Rabbitmq(RabbitMq),
    Redis(Redis),
}

impl Server {
    fn file(&self) -> &PathBuf {
        match self {
            Self::Rabbitmq(rabbitmq) => &rabbitmq.uri_file,
            Self::Redis(redis) => &redis.url_file,
        }
    }

    /// Whether it lets somebody in who comes by this line.
    async fn takes(&self, line: &str) -> bool {
        match self {
            Self::Rabbitmq(rabbitmq) => broker::rabbitmq_takes(rabbitmq, line).await,
            Self::Redis(redis) => redis_server::takes(redis, line).await,
        }
    }
}

/// One server's lines, and what is known of them.
struct Trial {
    server: Server,
    /// Ids of lines that the server took.
    taken: BTreeSet<String>,
}

impl Trial {
    fn of(server: Server) -> Self {
        Self { server, taken: BTreeSet::new() }
    }

    /// Ids of the lines that are known to be good, in the order of the file. The first is in use, which is told elsewhere: it counts as good. `None` while the
    /// file cannot be read, when nothing is known anew.
    async fn look(&mut self) -> Option<Vec<String>> {
        let lines = SecretLines::parse(&settings::read(self.server.file()).ok()?).ok()?;
        let ids = lines.ids();
        self.taken.retain(|id| ids.contains(id));
        self.taken.insert(SecretLines::id(lines.first()));
        for line in lines.iter().skip(1) {
            let id = SecretLines::id(line);
            if !self.taken.contains(&id) && self.server.takes(line).await {
                self.taken.insert(id);
            }
        }
        Some(ids.into_iter().filter(|id| self.taken.contains(id)).collect())
    }
}

/// Looks and tries until it is stopped, and tells in [`Current::taken`].
pub(crate) async fn run(config: GatewayConfig, current: Arc<Current>, stop: CancellationToken) {
    let mut rabbitmq = match config.broker {
        Broker::Rabbitmq(rabbitmq) => Some(Trial::of(Server::Rabbitmq(rabbitmq))),
        _ => None,
    };
    let mut redis = config.redis.map(|redis| Trial::of(Server::Redis(redis)));
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let look = async { tokio::join!(look(rabbitmq.as_mut()), look(redis.as_mut())) };
        let Some((rabbitmq, redis)) = stop.run_until_cancelled(look).await else { return };
        current.tell_ways(rabbitmq, redis);
    }
}

async fn look(trial: Option<&mut Trial>) -> Option<Vec<String>> {
    trial?.look().await
}
