//! Brokers that ask gateways for certificates: who is refused and how that is told, and that each connection shows what the files have at that moment.

use std::path::PathBuf;

use chat_gateway::broker::{self, RabbitSettings, RedisPubSubSettings};
use chat_gateway_config::{RabbitMq as RabbitConfig, Redis as RedisConfig};

use super::{
    End, rabbit, reason, room,
    support::{
        authority::Authority, rabbitmq::RabbitMq, redis_cluster::RedisCluster, redis_sentinel::RedisSentinel,
        server::Service, wallet::Wallet,
    },
};

const NAME: &str = "gateway";

fn on_redis(redis: RedisConfig) -> End {
    let (broker, deliveries) = broker::on_redis_pubsub(RedisPubSubSettings::new(redis, "test/demo"));
    End { broker: std::sync::Arc::new(broker), deliveries }
}

fn on_rabbitmq(RabbitConfig { uri_file, ca_file, client_certificate }: RabbitConfig) -> End {
    rabbit(RabbitSettings { ca_file, client_certificate, ..RabbitSettings::new(uri_file, NAME) })
}

/// Waits until it is away for want of trust, and looks for these words.
async fn untrusted(end: &End, words: &[&str]) {
    reason(end, "TlsFailed").await;
    let message = end.broker.state().borrow().component.message.clone();
    for word in words {
        assert!(message.contains(word), "{word}: {message}");
    }
    assert!(!message.contains("PRIVATE"), "{message}");
}

/// Everything about Redis, whichever it is.
async fn certificates_are_asked_for(servers: &impl Service, authority: &Authority, url_file: PathBuf) {
    let (ours, strangers) = (authority.client(NAME, 1), Authority::new("somebody else's").client(NAME, 2));
    let wallet = Wallet::new(&authority.certificate(), &strangers);
    let config = wallet.redis(url_file);
    let without = on_redis(RedisConfig { client_certificate: None, ..config.clone() });
    untrusted(&without, &["is shown none", "set tls.clientCertificateSecretRef"]).await;
    let doubting = on_redis(RedisConfig { ca_file: None, ..config.clone() });
    untrusted(&doubting, &["UnknownIssuer", "tls.caSecretRef"]).await;
    let mut end = on_redis(config);
    untrusted(&end, &["refuses the certificate", "tls.clientCertificateSecretRef"]).await;
    wallet.show(&ours);
    end.available().await;
    end.broker.bind(room(1)).await.unwrap();
    end.hears(room(1), "by certificate").await;

    // What stands is not touched by what is no use, and what is of use again is taken.
    wallet.show(&strangers);
    end.hears(room(1), "still").await;
    servers.kill();
    servers.up().await;
    untrusted(&end, &["refuses the certificate"]).await;
    wallet.show(&authority.client(NAME, 3));
    end.hears(room(1), "by another").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_behind_sentinels_asks_for_certificates() {
    let authority = Authority::new("ours");
    let servers = RedisSentinel::start_encrypted(&authority).await;
    certificates_are_asked_for(&servers, &authority, servers.url_file()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_cluster_asks_for_certificates() {
    let authority = Authority::new("ours");
    let nodes = RedisCluster::start_encrypted(&authority).await;
    certificates_are_asked_for(&nodes, &authority, nodes.url_file()).await;
}

/// A RabbitMQ with the plugin for it takes the name in a certificate for the user.
#[tokio::test(flavor = "multi_thread")]
async fn rabbitmq_asks_for_certificates() {
    let server = RabbitMq::start().await;
    let (authority, strangers) = (Authority::new("ours"), Authority::new("somebody else's"));
    server.demand_certificates(&[&authority]);
    server.kill();
    server.up().await;
    let wallet = Wallet::new(&server.authority(), &strangers.client(NAME, 2));
    let config = wallet.rabbitmq(server.tls_uri_file("guest:guest@", ""));
    let field = "spec.broker.rabbitmq.tls.clientCertificateSecretRef";
    let without = on_rabbitmq(RabbitConfig { client_certificate: None, ..config.clone() });
    untrusted(&without, &["is shown none", field]).await;
    let doubting = on_rabbitmq(RabbitConfig { ca_file: None, ..config.clone() });
    untrusted(&doubting, &["UnknownIssuer", "spec.broker.rabbitmq.tls.caSecretRef"]).await;
    let mut end = on_rabbitmq(config);
    untrusted(&end, &["refuses the certificate", field]).await;
    wallet.show(&authority.client(NAME, 1));
    end.available().await;
    end.broker.bind(room(1)).await.unwrap();
    end.hears(room(1), "by certificate and password").await;

    // There is no user of this name yet.
    let named = on_rabbitmq(wallet.rabbitmq(server.tls_uri_file("", "?auth_mechanism=external")));
    reason(&named, "AuthenticationFailed").await;
    server.ctl(&["await_startup"]);
    server.ctl(&["add_user", NAME, "unused"]);
    server.ctl(&["set_permissions", "-p", "/", NAME, ".*", ".*", ".*"]);
    named.available().await;
    named.broker.bind(room(2)).await.unwrap();
    let mut named = named;
    named.hears(room(2), "by certificate alone").await;
}
