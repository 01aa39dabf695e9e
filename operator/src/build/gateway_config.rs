//! The gateways' configuration file, its ConfigMap, and the Deployment of those who read it at their start.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use chat_gateway_config as config;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::ConfigMap};

use super::{
    BuildError, gateway,
    meta::{self, Role},
    secret_mounts::{
        BROKER, KAFKA_CA, KAFKA_CLIENT, KAFKA_PASSWORD, KAFKA_SERVERS, PUBSUB, PUBSUB_TLS, RABBITMQ_TLS, REDIS_TLS,
        issuer_ca,
    },
};
use crate::{
    hash::Hasher,
    names::{Component, key, path, port},
    reconcile::{Broker, Database, Issuer, Kafka, KafkaServers, Redis, ValidatedCluster, Way},
};

/// Slots of an embedded database, always.
const EMBEDDED_SLOTS: u32 = 1_024;

/// Whether a configuration is for gateways, or for the migration and movers, which alone see the owner's credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    Gateway,
    Migration,
}

/// The ConfigMap of the gateways and the Deployment that carries its hash.
pub(super) fn build_gateway_config(cluster: &ValidatedCluster) -> Result<(ConfigMap, Deployment), BuildError> {
    let json = render(cluster, Reader::Gateway)?;
    let hash = match &cluster.gateways.followed {
        Some(followed) => followed.config_hash.clone(),
        None => config_hash(cluster)?,
    };
    let deployment = gateway::build_deployment(cluster, &hash);
    // A gateway of an old revision that starts anew reads what it was made for. The newest values of the live configuration stand here, too, for
    // gateways of a version that knows no other file.
    let name = deployment.metadata.name.clone().unwrap_or_default();
    Ok((build_config_map(cluster, Role::of(Component::Gateway), name, json), deployment))
}

/// Names what a gateway read once, at its start, before gateways followed the token of the admin port and the authorities of issuers: revisions are named as
/// they always were, so that nobody is restarted for a better name.
fn config_hash(cluster: &ValidatedCluster) -> Result<String, BuildError> {
    let hash = Hasher::new().text(&lasting_config(cluster)?).text(cluster.admin_token.expose());
    let authorities = cluster.oidc.iter().filter_map(|issuer| issuer.ca.as_ref());
    let hash = authorities.fold(hash, |hash, ca| hash.text(ca.content.expose()));
    Ok(with_place(hash, cluster).finish())
}

/// Names the configuration without what gateways follow.
pub(super) fn lasting_hash(cluster: &ValidatedCluster) -> Result<String, BuildError> {
    Ok(with_place(Hasher::new().text(&lasting_config(cluster)?), cluster).finish())
}

/// The Secret that leads to an engine has one name whichever that is: another engine is for another revision all the same.
fn with_place(hash: Hasher, cluster: &ValidatedCluster) -> Hasher {
    match place(&cluster.broker) {
        Some(place) => hash.text(place),
        None => hash,
    }
}

fn lasting_config(cluster: &ValidatedCluster) -> Result<String, BuildError> {
    // What a gateway reads once, at its start. URIs are read at every connection, and what is in the live configuration while it runs, so they need
    // no restart. Signing keys are followed, too.
    let mut lasting = config::LiveConfig::without(&config(cluster, Reader::Gateway));
    // They follow the list of shards, too: people need not connect anew since there is one more database.
    lasting.database.shards.clear();
    Ok(serde_json::to_string_pretty(&lasting)?)
}

/// What gateways of every revision take while they run.
pub(super) fn build_live_config(cluster: &ValidatedCluster) -> Result<ConfigMap, BuildError> {
    Ok(ConfigMap {
        metadata: meta::owned(cluster, Role::of(Component::Gateway), cluster.names.gateway_live()),
        data: Some(BTreeMap::from([(path::LIVE_FILE.to_owned(), render_live(cluster)?)])),
        ..ConfigMap::default()
    })
}

/// The live configuration as its file has it.
pub(super) fn render_live(cluster: &ValidatedCluster) -> Result<String, BuildError> {
    Ok(serde_json::to_string_pretty(&config::LiveConfig {
        log_level: Some(cluster.gateways.log_level),
        max_connections: Some(cluster.gateways.connections),
        limits: Some(cluster.gateways.limits),
        passwords: Some(cluster.passwords),
        trusted_proxies: Some(trusted_proxies(cluster)),
        allowed_origins: Some(cluster.gateways.allowed_origins.clone()),
        rates: None,
        signing_key: Some(cluster.signer.clone()),
    })?)
}

/// A ConfigMap that holds one configuration file.
pub(super) fn build_config_map(cluster: &ValidatedCluster, role: Role<'_>, name: String, json: String) -> ConfigMap {
    ConfigMap {
        metadata: meta::owned(cluster, role, name),
        data: Some(BTreeMap::from([(path::CONFIG_FILE.to_owned(), json)])),
        ..ConfigMap::default()
    }
}

/// The configuration file.
pub(super) fn render(cluster: &ValidatedCluster, reader: Reader) -> Result<String, BuildError> {
    Ok(serde_json::to_string_pretty(&config(cluster, reader))?)
}

fn config(cluster: &ValidatedCluster, reader: Reader) -> config::GatewayConfig {
    let any = |port: i32| SocketAddr::from(([0, 0, 0, 0], u16::try_from(port).unwrap_or_default()));
    config::GatewayConfig {
        cluster: cluster.key.to_string(),
        listen: any(port::GATEWAY_HTTP),
        admin_listen: any(port::GATEWAY_ADMIN),
        agent_listen: cluster.gateways.expose.tier().map(|_| any(port::GATEWAY_AGENT)),
        // Named by a variable, which gateways of a version that does not know it pass over.
        live_file: None,
        admin_token_file: secret_file("admin", key::TOKEN),
        drain_seconds: cluster.gateways.drain_seconds,
        max_connections: cluster.gateways.connections,
        limits: cluster.gateways.limits,
        auth: config::Auth {
            passwords: cluster.passwords,
            signing_key_file: secret_file("signing-key", key::SIGNING_KEY),
            sessions: config::SessionLimits::default(),
            oidc: cluster.oidc.iter().enumerate().map(issuer_config).collect(),
        },
        http: config::Http {
            trusted_proxies: trusted_proxies(cluster),
            allowed_origins: cluster.gateways.allowed_origins.clone(),
            rates: config::Rates::default(),
            timeouts: config::Timeouts::default(),
        },
        broker: broker_config(cluster),
        redis: cluster.redis.as_ref().map(redis_config),
        presence: config::Presence::default(),
        database: database_config(cluster, reader),
        // A migration and a mover carry no message.
        tracing: cluster.gateways.tracing.clone().filter(|_| reader == Reader::Gateway),
    }
}

/// Nobody but the tier gets to the gateways where there is one, and it names one address: the client's. Its own are not known beforehand.
fn trusted_proxies(cluster: &ValidatedCluster) -> Vec<config::Cidr> {
    match cluster.gateways.expose.tier() {
        Some(_) => config::Cidr::ALL.to_vec(),
        None => cluster.gateways.trusted_proxies.clone(),
    }
}

fn issuer_config((nth, issuer): (usize, &Issuer)) -> config::Oidc {
    let ca_file = issuer.ca.as_ref().map(|_| secret_file(&issuer_ca(nth), key::CA));
    config::Oidc { ca_file, ..issuer.config.clone() }
}

fn database_config(cluster: &ValidatedCluster, reader: Reader) -> config::Database {
    match &cluster.database {
        Database::Shards { slots, shards } => config::Database {
            slots: *slots,
            shards: shards
                .iter()
                .filter(|shard| reader == Reader::Migration || cluster.fleet.served.contains(&shard.name))
                .map(|shard| shard_config(&shard.name, reader))
                .collect(),
            embedded: None,
        },
        Database::Embedded(_) => config::Database {
            slots: EMBEDDED_SLOTS,
            shards: Vec::new(),
            embedded: Some(config::Embedded {
                file: [path::DATA_DIR, path::DATA_FILE].iter().collect(),
                // As long as the pod before it may take to end.
                wait_seconds: cluster.gateways.drain_seconds.saturating_add(gateway::GRACE_AFTER_DRAIN.unsigned_abs()),
            }),
        },
    }
}

/// The Redis of limits and presence, which may bring messages, too.
fn redis_config(redis: &Redis) -> config::Redis {
    let way = match redis {
        Redis::Managed { .. } => None,
        Redis::External(way) => Some(&**way),
    };
    redis_on("redis", REDIS_TLS, way)
}

fn redis_on(folder: &str, tls: [&str; 2], way: Option<&Way>) -> config::Redis {
    let (ca_file, client_certificate) = certificate_files(tls, way);
    config::Redis { url_file: secret_file(folder, key::URL), ca_file, client_certificate }
}

/// Files with what is believed and with what is shown, as far as the user gives it.
fn certificate_files(
    [believed, shown]: [&str; 2],
    way: Option<&Way>,
) -> (Option<PathBuf>, Option<config::ClientCertificate>) {
    let ca = way.and_then(|way| way.ca.as_ref()).map(|_| secret_file(believed, key::CA));
    (ca, way.and_then(|way| way.client_certificate.as_ref()).map(|_| client_certificate(shown)))
}

fn client_certificate(folder: &str) -> config::ClientCertificate {
    config::ClientCertificate {
        certificate_file: secret_file(folder, key::TLS_CERTIFICATE),
        key_file: secret_file(folder, key::TLS_KEY),
    }
}

fn broker_config(cluster: &ValidatedCluster) -> config::Broker {
    match &cluster.broker {
        Broker::Managed { .. } => config::Broker::Rabbitmq(config::RabbitMq::at(secret_file("rabbitmq", key::URI))),
        Broker::External(way) => {
            let (ca_file, client_certificate) = certificate_files(RABBITMQ_TLS, Some(way));
            let uri_file = secret_file("rabbitmq", key::URI);
            config::Broker::Rabbitmq(config::RabbitMq { uri_file, ca_file, client_certificate })
        }
        Broker::Engine(engine) => config::Broker::Rabbitmq(config::RabbitMq {
            uri_file: secret_file(BROKER, key::URI),
            ca_file: engine.ca.as_ref().map(|_| secret_file(BROKER, key::CA)),
            client_certificate: None,
        }),
        Broker::SharedRedis => config::Broker::RedisPubSub(match &cluster.redis {
            Some(redis) => redis_config(redis),
            None => redis_on("redis", REDIS_TLS, None),
        }),
        Broker::Redis(way) => config::Broker::RedisPubSub(redis_on(PUBSUB, PUBSUB_TLS, Some(way))),
        Broker::Kafka(kafka) => config::Broker::Kafka(kafka_config(kafka)),
        Broker::InProcess => config::Broker::InProcess(config::InProcess {}),
    }
}

/// Names the broker that gateways of `cluster` reach each other by: kind, places and Secrets. What a Secret holds is not in it, since running
/// gateways follow that.
pub(super) fn broker_hash(cluster: &ValidatedCluster) -> Result<String, BuildError> {
    let secret = match &cluster.broker {
        Broker::External(way) | Broker::Redis(way) => Some(&way.uri),
        Broker::SharedRedis => match &cluster.redis {
            Some(Redis::External(way)) => Some(&way.uri),
            Some(Redis::Managed { .. }) | None => None,
        },
        Broker::Managed { .. } | Broker::Engine(_) | Broker::Kafka(_) | Broker::InProcess => None,
    };
    let mut broker = broker_config(cluster);
    // Those who show a certificate and those who do not yet reach each other all the same.
    match &mut broker {
        config::Broker::Rabbitmq(rabbitmq) if matches!(cluster.broker, Broker::External(_)) => {
            *rabbitmq = config::RabbitMq::at(rabbitmq.uri_file.clone());
        }
        config::Broker::RedisPubSub(redis) => *redis = config::Redis::at(redis.url_file.clone()),
        _ => {}
    }
    let hash = Hasher::new().text(&serde_json::to_string(&broker)?);
    let hash = match secret {
        Some(from) => hash.text(&from.secret).text(&from.key),
        None => hash,
    };
    Ok(match place(&cluster.broker) {
        Some(place) => hash.text(place).finish(),
        None => hash.finish(),
    })
}

/// Names the engine of another operator that a broker is.
fn place(broker: &Broker) -> Option<&str> {
    match broker {
        Broker::Engine(engine) => Some(&engine.place),
        Broker::Kafka(kafka) => match &kafka.servers {
            KafkaServers::Engine(engine) => Some(&engine.place),
            KafkaServers::Given(_) => None,
        },
        _ => None,
    }
}

fn kafka_config(kafka: &Kafka) -> config::Kafka {
    let (bootstrap_servers, bootstrap_servers_file) = match &kafka.servers {
        KafkaServers::Given(servers) => (servers.clone(), None),
        KafkaServers::Engine(_) => (Vec::new(), Some(secret_file(KAFKA_SERVERS, key::BOOTSTRAP_SERVERS))),
    };
    config::Kafka {
        bootstrap_servers,
        bootstrap_servers_file,
        topic: kafka.topic.clone(),
        partitions: kafka.partitions.unwrap_or(config::Kafka::PARTITIONS),
        replication_factor: kafka.replication_factor,
        security_protocol: kafka.protocol,
        ca_file: kafka.ca.as_ref().map(|_| secret_file(KAFKA_CA, key::CA)),
        sasl: kafka.sasl.as_ref().map(|sasl| config::Sasl {
            mechanism: sasl.mechanism,
            username: sasl.username.clone(),
            password_file: secret_file(KAFKA_PASSWORD, key::PASSWORD),
        }),
        client_certificate: kafka.client_certificate.as_ref().map(|_| client_certificate(KAFKA_CLIENT)),
    }
}

fn shard_config(name: &str, reader: Reader) -> config::Shard {
    let folder = format!("shard-{name}");
    let (uri_file, migration_uri_file) = match reader {
        Reader::Gateway => (secret_file(path::SHARDS, name), None),
        Reader::Migration => (secret_file(&folder, key::URI), Some(secret_file(&folder, key::MIGRATION_URI))),
    };
    config::Shard { name: name.to_owned(), uri_file, migration_uri_file }
}

fn secret_file(folder: &str, file: &str) -> PathBuf {
    [path::SECRETS_DIR, folder, file].iter().collect()
}
