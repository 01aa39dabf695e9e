//! A broker that gateways reach through [`Proxy`]s alone.

use chat_gateway_config::{Broker, RabbitMq as RabbitConfig, Redis as RedisConfig, SaslMechanism};

use super::{
    free_port,
    kafka::{self, Kafka},
    proxy::Proxy,
    rabbitmq::RabbitMq,
    redis::Redis,
    redis_cluster::{PRIMARIES, RedisCluster},
    redis_sentinel::RedisSentinel,
    server::{Server, Service},
    stage::BrokerService,
};

/// A broker that can be put behind proxies.
pub trait Proxied: Service {
    /// Starts it, with a proxy before each of its ports that gateways use.
    async fn proxied() -> (Self, Vec<Proxy>);

    /// How gateways reach it through those.
    fn config_by(&self, proxies: &[Proxy]) -> Broker;
}

/// See the module's documentation.
pub struct Behind<B> {
    pub broker: B,
    pub proxies: Vec<Proxy>,
}

impl<B: Proxied> Service for Behind<B> {
    async fn start() -> Self {
        let (broker, proxies) = B::proxied().await;
        Self { broker, proxies }
    }

    async fn up(&self) {
        self.broker.up().await;
    }

    fn servers(&self) -> Vec<&Server> {
        self.broker.servers()
    }
}

impl<B: Proxied> BrokerService for Behind<B> {
    fn config(&self) -> Broker {
        self.broker.config_by(&self.proxies)
    }
}

impl Proxied for RabbitMq {
    async fn proxied() -> (Self, Vec<Proxy>) {
        let broker = Self::start().await;
        let proxy = Proxy::start(0, broker.port()).await;
        (broker, vec![proxy])
    }

    fn config_by(&self, proxies: &[Proxy]) -> Broker {
        Broker::Rabbitmq(RabbitConfig::at(self.uri_file_at(proxies[0].port())))
    }
}

impl Proxied for Redis {
    async fn proxied() -> (Self, Vec<Proxy>) {
        let broker = Self::start().await;
        let proxy = Proxy::start(0, broker.port()).await;
        (broker, vec![proxy])
    }

    fn config_by(&self, proxies: &[Proxy]) -> Broker {
        Broker::RedisPubSub(RedisConfig::at(self.url_file_at("secret", proxies[0].port())))
    }
}

/// So many ports that are free, each with a proxy before it, and the ports of those.
async fn ports<const N: usize>() -> ([u16; N], Vec<Proxy>, [u16; N]) {
    let (ports, announced) = ([0; N].map(|_| free_port()), [0; N].map(|_| free_port()));
    let mut proxies = Vec::new();
    for (port, announced) in ports.into_iter().zip(announced) {
        proxies.push(Proxy::start(announced, port).await);
    }
    (ports, proxies, announced)
}

impl Proxied for RedisSentinel {
    /// The sentinels know the servers by the proxies, and so does everybody who asks them.
    async fn proxied() -> (Self, Vec<Proxy>) {
        let (ports, proxies, announced) = ports().await;
        (Self::start_on(ports, announced).await, proxies)
    }

    fn config_by(&self, _proxies: &[Proxy]) -> Broker {
        self.config()
    }
}

impl Proxied for RedisCluster {
    /// The nodes send clients to the proxies.
    async fn proxied() -> (Self, Vec<Proxy>) {
        let (ports, proxies, announced) = ports::<PRIMARIES>().await;
        (Self::start_on(ports.into(), announced.into()).await, proxies)
    }

    fn config_by(&self, _proxies: &[Proxy]) -> Broker {
        self.config()
    }
}

impl Proxied for Kafka {
    /// It sends clients of one listener, which asks for credentials, to the proxy.
    async fn proxied() -> (Self, Vec<Proxy>) {
        let broker = Self::start().await;
        let (announced, port) = broker.proxied_listener();
        let proxy = Proxy::start(announced, port).await;
        (broker, vec![proxy])
    }

    fn config_by(&self, proxies: &[Proxy]) -> Broker {
        let mut config = self.sasl_config(SaslMechanism::ScramSha512, kafka::USER, "secret");
        config.bootstrap_servers = vec![format!("127.0.0.1:{}", proxies[0].port())];
        Broker::Kafka(config)
    }
}
