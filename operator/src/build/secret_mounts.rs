//! Volumes and mounts that bring Secrets into the pods of gateways, migrations and movers, always under the same file names, and the
//! volume of an embedded database.

use k8s_openapi::api::core::v1::{ConfigMapVolumeSource, Volume, VolumeMount};

use super::{
    persistent_volume_claim::data_volume,
    pod::{mount, mount_read_only, secret_volume},
};
use crate::{
    names::{key, path},
    reconcile::{
        Broker, GivenCertificate, KafkaServers, Redis, SecretKey, Shard, ShardBackend, SigningKey, ValidatedCluster,
        Way,
    },
};

/// Folder of the URL of a Redis that only brings messages.
pub(super) const PUBSUB: &str = "redis-pubsub";

/// Folder of the way to a RabbitMQ that another operator runs: another one than that of a managed RabbitMQ, so that a change between the two is
/// another revision.
pub(super) const BROKER: &str = "broker";

/// Folders of certificates on the way to a RabbitMQ, to the Redis of limits and presence, and to one that only brings messages: what is believed,
/// and what is shown.
pub(super) const RABBITMQ_TLS: [&str; 2] = ["rabbitmq-ca", "rabbitmq-client"];
pub(super) const REDIS_TLS: [&str; 2] = ["redis-ca", "redis-client"];
pub(super) const PUBSUB_TLS: [&str; 2] = ["redis-pubsub-ca", "redis-pubsub-client"];

/// Folders of what gateways need for Kafka: one for each, since the Secrets may be others.
pub(super) const KAFKA_CA: &str = "kafka-ca";
pub(super) const KAFKA_PASSWORD: &str = "kafka";
/// Those of the certificate that gateways show, and of addresses that may change.
pub(super) const KAFKA_CLIENT: &str = "kafka-client";
pub(super) const KAFKA_SERVERS: &str = "kafka-servers";

/// Folder of the authorities of the issuer with this place in the list.
pub(super) fn issuer_ca(nth: usize) -> String {
    format!("oidc-ca-{nth}")
}

/// Volumes of a pod and where its container sees them.
#[derive(Debug, Default)]
pub(super) struct Mounts {
    pub(super) volumes: Vec<Volume>,
    pub(super) mounts: Vec<VolumeMount>,
}

impl Mounts {
    /// The configuration file from the ConfigMap `name`.
    pub(super) fn config(name: String) -> Self {
        let mut mounts = Self::default();
        mounts.config_map("config", name, path::CONFIG_DIR);
        mounts
    }

    /// What gateways take while they run. A folder as a whole: a single file of a ConfigMap would stay as it was when the pod started.
    pub(super) fn live(mut self, cluster: &ValidatedCluster) -> Self {
        self.config_map("live", cluster.names.gateway_live(), path::LIVE_DIR);
        self
    }

    fn config_map(&mut self, volume: &str, name: String, folder: &str) {
        let source = ConfigMapVolumeSource { name, default_mode: Some(0o444), ..ConfigMapVolumeSource::default() };
        self.volumes.push(Volume { name: volume.to_owned(), config_map: Some(source), ..Volume::default() });
        self.mounts.push(mount_read_only(volume, folder));
    }

    /// Everything that a gateway reads, and nothing that only the migration may read.
    pub(super) fn gateway_secrets(mut self, cluster: &ValidatedCluster) -> Self {
        let names = &cluster.names;
        match &cluster.signing_key {
            SigningKey::Generated(_) => {
                self.add("signing-key", &names.signing_key(), &[(key::SIGNING_KEY, key::SIGNING_KEY)])
            }
            SigningKey::Given(from) => self.add("signing-key", &from.secret, &[(&from.key, key::SIGNING_KEY)]),
        }
        self.add("admin", &names.admin_token(), &[(key::TOKEN, key::TOKEN)]);
        for (nth, issuer) in cluster.oidc.iter().enumerate() {
            if let Some(ca) = &issuer.ca {
                self.add_key(&issuer_ca(nth), &ca.from, key::CA);
            }
        }
        match &cluster.broker {
            Broker::Managed { .. } => self.add("rabbitmq", &names.rabbitmq(), &[(key::URI, key::URI)]),
            Broker::External(way) => self.add_way("rabbitmq", RABBITMQ_TLS, way, key::URI),
            Broker::Engine(engine) => {
                let ca = engine.ca.iter().map(|_| (key::CA, key::CA));
                let items: Vec<(&str, &str)> = std::iter::once((key::URI, key::URI)).chain(ca).collect();
                self.add(BROKER, &names.broker(), &items);
            }
            Broker::Redis(way) => self.add_way(PUBSUB, PUBSUB_TLS, way, key::URL),
            Broker::Kafka(kafka) => {
                if let Some(from) = &kafka.ca {
                    self.add_key(KAFKA_CA, from, key::CA);
                }
                if let Some(sasl) = &kafka.sasl {
                    self.add_key(KAFKA_PASSWORD, &sasl.password, key::PASSWORD);
                }
                if let Some(shown) = &kafka.client_certificate {
                    self.add_shown(KAFKA_CLIENT, shown);
                }
                if let KafkaServers::Engine(_) = &kafka.servers {
                    let servers = (key::BOOTSTRAP_SERVERS, key::BOOTSTRAP_SERVERS);
                    self.add(KAFKA_SERVERS, &names.kafka(), &[servers]);
                }
            }
            // Mounted as `redis` below, or nowhere.
            Broker::SharedRedis | Broker::InProcess => {}
        }
        match &cluster.redis {
            Some(Redis::Managed { .. }) => self.add("redis", &names.redis(), &[(key::URL, key::URL)]),
            Some(Redis::External(way)) => self.add_way("redis", REDIS_TLS, way, key::URL),
            None => {}
        }
        if cluster.embedded().is_none() {
            // All of them, whichever they are when the gateway looks.
            self.add(path::SHARDS, &names.gateway_shards(), &[]);
        }
        self
    }

    /// The volume of an embedded database, if there is one.
    pub(super) fn data(mut self, cluster: &ValidatedCluster) -> Self {
        if cluster.embedded().is_some() {
            self.volumes.push(data_volume(cluster, "data"));
            self.mounts.push(mount("data", path::DATA_DIR));
        }
        self
    }

    /// The URIs of every shard, those of the owner of its tables included.
    pub(super) fn shards(mut self, cluster: &ValidatedCluster) -> Self {
        for shard in cluster.shards() {
            let (secret, items) = shard_items(cluster, shard);
            let items: Vec<(&str, &str)> = items.iter().map(|(key, file)| (key.as_str(), *file)).collect();
            self.add(&format!("shard-{}", shard.name), &secret, &items);
        }
        self
    }

    fn add_key(&mut self, folder: &str, from: &SecretKey, file: &str) {
        self.add(folder, &from.secret, &[(&from.key, file)]);
    }

    /// A URI, and certificates for it where there are any.
    fn add_way(&mut self, folder: &str, [believed, shown]: [&str; 2], way: &Way, file: &str) {
        self.add_key(folder, &way.uri, file);
        if let Some(ca) = &way.ca {
            self.add_key(believed, &ca.from, key::CA);
        }
        if let Some(certificate) = &way.client_certificate {
            self.add_shown(shown, certificate);
        }
    }

    fn add_shown(&mut self, folder: &str, shown: &GivenCertificate) {
        self.add(folder, &shown.secret, &[key::TLS_CERTIFICATE, key::TLS_KEY].map(|key| (key, key)));
    }

    fn add(&mut self, folder: &str, secret: &str, items: &[(&str, &str)]) {
        self.volumes.push(secret_volume(folder, secret, items));
        self.mounts.push(mount_read_only(folder, format!("{}/{folder}", path::SECRETS_DIR)));
    }
}

fn shard_items(cluster: &ValidatedCluster, shard: &Shard) -> (String, Vec<(String, &'static str)>) {
    let own = || cluster.names.shard(&shard.name);
    let (secret, uri, migration_uri) = match &shard.backend {
        ShardBackend::Managed(managed) => (own(), managed.credentials.uri_key(), key::MIGRATION_URI),
        ShardBackend::Engine(_) => (own(), key::URI.to_owned(), key::MIGRATION_URI),
        ShardBackend::External { uri, migration_uri, .. } => {
            (uri.secret.clone(), uri.key.clone(), migration_uri.key.as_str())
        }
    };
    (secret, vec![(uri, key::URI), (migration_uri.to_owned(), key::MIGRATION_URI)])
}
