//! How each broker comes to be full and to refuse credentials: there is one implementation for each column of the table, and all of them must
//! say all of it.

use std::path::{Path, PathBuf};

use chat_gateway_config::Broker;
use redis::aio::MultiplexedConnection;

use crate::support::{
    behind::{Behind, Proxied},
    kafka::Kafka,
    proxy::Way,
    rabbitmq::RabbitMq,
    redis::{Redis, admin},
    redis_cluster::RedisCluster,
    redis_sentinel::RedisSentinel,
    stage::BrokerService as _,
};

/// How the gateways notice something.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sign {
    /// `/stats`, and with it the condition `BrokerAvailable`, has this reason for as long as it lasts.
    Reason(&'static str),
    /// They say that the broker is away, maybe for a moment only.
    Away,
    /// They read from the store what they may have missed, although all servers answer again at once.
    CatchUp,
    /// The client library connects anew and goes on where it was.
    Nothing,
}

/// A column of the table.
pub(crate) trait Suffers: Proxied {
    /// As the table calls it.
    const NAME: &str;
    /// What gateways say of connections that were cut.
    const CUT: Sign;
    /// What gateways say of one that is full.
    const FULL: Sign;

    /// Leaves it no room for more, or gives it room again.
    async fn fill(&self, full: bool);

    /// Has it refuse the credentials in the file until [`Suffers::accept`] has put others there.
    async fn refuse(&self, file: &Path) {
        change(file, |right| right.replace(":secret@", ":wrong@").replace("guest:guest@", "guest:wrong@"));
    }

    /// Puts credentials into the file that it accepts.
    async fn accept(&self, file: &Path) {
        change(file, |wrong| wrong.replace("guest:wrong@", "guest:guest@").replace(":wrong@", ":secret@"));
    }
}

fn change(file: &Path, how: impl Fn(&str) -> String) {
    let there = std::fs::read_to_string(file).unwrap();
    let then = how(&there);
    assert_ne!(there, then, "{}", file.display());
    std::fs::write(file, then).unwrap();
}

/// The file that holds the broker's credentials.
pub(crate) fn secret<B: Suffers>(broker: &Behind<B>) -> PathBuf {
    match broker.config() {
        Broker::Rabbitmq(rabbitmq) => rabbitmq.uri_file,
        Broker::RedisPubSub(redis) => redis.url_file,
        Broker::Kafka(kafka) => kafka.sasl.unwrap().password_file,
        Broker::InProcess(_) => panic!("it has no credentials"),
    }
}

/// Has every open connection reset when it has passed less than the smallest frame with a message has.
pub(crate) fn cut<B>(broker: &Behind<B>, way: Way) {
    broker.proxies.iter().for_each(|proxy| proxy.cut_after(way, 100));
}

impl Suffers for RabbitMq {
    const NAME: &str = "RabbitMQ";
    const CUT: Sign = Sign::Away;
    const FULL: Sign = Sign::Reason("Blocked");

    /// Short of memory, it reads no more from who publishes.
    async fn fill(&self, full: bool) {
        self.allow_memory(if full { 1 } else { 512 });
    }
}

impl Suffers for Kafka {
    const NAME: &str = "Kafka";
    const CUT: Sign = Sign::Nothing;
    const FULL: Sign = Sign::Away;

    /// Over its quota it has who publishes wait, in the end for longer than a publish may take.
    async fn fill(&self, full: bool) {
        self.set_quota(full.then_some(1_000.0)).await;
    }

    /// Who is connected stays so; hence the password is another one in Kafka itself.
    async fn refuse(&self, _file: &Path) {
        self.change_password("changed").await;
    }

    async fn accept(&self, file: &Path) {
        change(file, |_| "changed".into());
    }
}

/// Has Redis cut off a subscriber for whom more waits than one long text.
async fn hold_back(servers: Vec<MultiplexedConnection>, full: bool) {
    let limit = if full { "pubsub 8kb 0 0" } else { "pubsub 32mb 8mb 60" };
    for mut server in servers {
        let mut command = redis::cmd("CONFIG");
        command.arg("SET").arg("client-output-buffer-limit").arg(limit);
        command.query_async::<()>(&mut server).await.unwrap();
    }
}

impl Suffers for Redis {
    const NAME: &str = "Redis";
    const CUT: Sign = Sign::Away;
    const FULL: Sign = Sign::Away;

    async fn fill(&self, full: bool) {
        hold_back(vec![admin(self.port(), "secret").await], full).await;
    }
}

impl Suffers for RedisSentinel {
    const NAME: &str = "Redis with sentinels";
    const CUT: Sign = Sign::Away;
    const FULL: Sign = Sign::Away;

    async fn fill(&self, full: bool) {
        hold_back(self.admins().await, full).await;
    }
}

impl Suffers for RedisCluster {
    const NAME: &str = "Redis Cluster";
    const CUT: Sign = Sign::CatchUp;
    const FULL: Sign = Sign::CatchUp;

    async fn fill(&self, full: bool) {
        let mut nodes = Vec::new();
        for index in 0..crate::support::redis_cluster::PRIMARIES {
            nodes.push(self.node(index).await);
        }
        hold_back(nodes, full).await;
    }
}
