//! A Kafka that Strimzi runs: where it is, and how one signs in, taken from its own objects and Secrets.

use std::collections::BTreeMap;

use chat_crds::chat_cluster as crd;
use chat_gateway_config::{SaslMechanism, SecurityProtocol, is_address};
use serde::de::DeserializeOwned;

use super::{
    References, SecretKey, ValidateError,
    engines::{Reader, waits},
    invalid,
};
use crate::{
    engines::{CLUSTER_LABEL, EngineId, KafkaCluster, KafkaListener, KafkaTopic, KafkaUser, Proof},
    names::{Names, key},
    reconcile::validated::{GivenCertificate, KafkaEngine, Sasl},
    sensitive::Sensitive,
};

const CLUSTER: &str = "spec.broker.kafka.clusterRef";
const LISTENER: &str = "spec.broker.kafka.listener";
const USER: &str = "spec.broker.kafka.userRef";
const TOPIC: &str = "spec.broker.kafka.topicRef";
/// Keys in the Secret of a KafkaUser.
const USER_PASSWORD: &str = "password";
const USER_CERTIFICATE: &str = "user.crt";
const USER_KEY: &str = "user.key";
/// How the keys of authorities end.
const CERTIFICATE: &str = ".crt";

/// What is made of a Kafka of Strimzi.
pub(super) struct Strimzi {
    /// What the operator keeps of it.
    pub(super) engine: KafkaEngine,
    /// Whether with TLS and with SASL.
    pub(super) protocol: SecurityProtocol,
    /// Where its authorities are kept; `None` without TLS.
    pub(super) ca: Option<SecretKey>,
    /// Credentials, where they are a password.
    pub(super) sasl: Option<Sasl>,
    /// The Secret with the certificate to show, where they are one.
    pub(super) client_certificate: Option<GivenCertificate>,
    /// The topic of a KafkaTopic.
    pub(super) topic: Option<String>,
}

impl References<'_> {
    /// The way to a Kafka of Strimzi.
    pub(super) fn strimzi(&self, spec: &crd::Kafka, name: &str) -> Result<Strimzi, ValidateError> {
        let id = EngineId::kafka(name);
        let cluster: KafkaCluster = self.engine(CLUSTER, &id)?;
        let trouble = cluster.trouble();
        let user = spec.user_ref.as_ref().map(|from| self.kafka_user(name, &from.name)).transpose()?;
        let proof = user.as_ref().map_or(Proof::Nothing, |user| user.proof);
        let listener = listener(&cluster, &id, spec.listener.as_deref(), proof)?;
        let topic = spec.topic_ref.as_ref().map(|from| self.kafka_topic(name, &from.name)).transpose()?;

        let servers = cluster.bootstrap_servers(name, &self.namespace(), listener);
        let servers = servers.filter(|servers| servers.split(',').all(|server| is_address(server.trim())));
        let Some(servers) = servers else {
            let missing = format!("its status has no addresses of listener {}", listener.name);
            return Err(waits(CLUSTER, &id, trouble.as_deref().unwrap_or(&missing)));
        };
        let mut values = BTreeMap::from([(key::BOOTSTRAP_SERVERS, Sensitive::new(servers))]);
        let kept = Names::new(self.cluster_name()).kafka();
        let at = |key: &str| SecretKey { secret: kept.clone(), key: key.to_owned() };
        let mut ca = None;
        if listener.tls {
            values.insert(key::CA, self.kafka_authorities(&cluster, name, listener, trouble.as_deref())?);
            ca = Some(at(key::CA));
        }
        let mut sasl = None;
        let mut client_certificate = None;
        if let Some(user) = user {
            match user.proof {
                Proof::Scram => {
                    let username = user.username;
                    sasl = Some(Sasl { mechanism: SaslMechanism::ScramSha512, username, password: at(key::PASSWORD) });
                }
                Proof::Certificate => {
                    let shown = user.values.iter().find(|(key, _)| *key == key::TLS_CERTIFICATE);
                    client_certificate =
                        shown.map(|(_, content)| GivenCertificate { secret: kept.clone(), content: content.clone() });
                }
                Proof::Nothing => {}
            }
            values.extend(user.values);
        }
        let protocol = match (listener.tls, sasl.is_some()) {
            (true, true) => SecurityProtocol::SaslSsl,
            (true, false) => SecurityProtocol::Ssl,
            (false, true) => SecurityProtocol::SaslPlaintext,
            (false, false) => SecurityProtocol::Plaintext,
        };
        let engine = KafkaEngine { place: format!("{id} {}", listener.name), values };
        Ok(Strimzi { engine, protocol, ca, sasl, client_certificate, topic })
    }

    /// All authorities that the servers' certificates may be of: while one takes another's place, servers have the one or the other.
    fn kafka_authorities(
        &self,
        cluster: &KafkaCluster,
        name: &str,
        listener: &KafkaListener,
        trouble: Option<&str>,
    ) -> Result<Sensitive, ValidateError> {
        let id = EngineId::kafka(name);
        if listener.has_own_certificate() {
            let told = cluster.certificates(listener);
            let missing = || {
                let missing = format!("its status has no certificates of listener {}", listener.name);
                waits(CLUSTER, &id, trouble.unwrap_or(&missing))
            };
            return if told.is_empty() { Err(missing()) } else { Ok(Sensitive::new(lines(told))) };
        }
        let secret = KafkaCluster::ca_secret(name);
        let newest = Reader { references: self, id: &id, trouble }.authorities(CLUSTER, &secret)?;
        let held = self.0.secrets.get(&secret).and_then(Option::as_ref);
        let older = held.into_iter().flatten().filter(|(key, _)| key.as_str() != key::CA && key.ends_with(CERTIFICATE));
        let older =
            older.map(|(_, value)| value.expose()).filter(|value| value.contains("-----BEGIN CERTIFICATE-----"));
        let all: Vec<&str> = std::iter::once(newest.expose()).chain(older).collect();
        Ok(Sensitive::new(lines(&all)))
    }

    fn kafka_user(&self, cluster: &str, name: &str) -> Result<User, ValidateError> {
        let id = EngineId::kafka_user(name);
        let user: KafkaUser = self.part(USER, &id, cluster)?;
        let proof = user.proof().map_err(|other| {
            invalid(&format!(
                "{USER}: {id} has the authentication {other}; name one with scram-sha-512 or tls, or give addresses and Secrets in place of clusterRef"
            ))
        })?;
        let trouble = user.trouble();
        let (Some(username), Some(secret)) = (user.username(), user.secret()) else {
            return Err(waits(USER, &id, trouble.as_deref().unwrap_or("its status names no Secret")));
        };
        let reader = Reader { references: self, id: &id, trouble: trouble.as_deref() };
        let value = |key: &str| reader.value(USER, &SecretKey { secret: secret.to_owned(), key: key.to_owned() });
        let values = match proof {
            Proof::Certificate => {
                vec![(key::TLS_CERTIFICATE, value(USER_CERTIFICATE)?), (key::TLS_KEY, value(USER_KEY)?)]
            }
            Proof::Scram | Proof::Nothing => vec![(key::PASSWORD, value(USER_PASSWORD)?)],
        };
        Ok(User { proof, username: username.to_owned(), values })
    }

    fn kafka_topic(&self, cluster: &str, name: &str) -> Result<String, ValidateError> {
        let id = EngineId::kafka_topic(name);
        let topic: KafkaTopic = self.part(TOPIC, &id, cluster)?;
        match topic.trouble() {
            Some(trouble) if !topic.has_begun() => Err(waits(TOPIC, &id, &trouble)),
            _ => Ok(topic.topic(name)),
        }
    }

    /// A user or topic, which must be of this Kafka: the operator of another one would make it there.
    fn part<View: DeserializeOwned + Default>(
        &self,
        field: &str,
        id: &EngineId,
        cluster: &str,
    ) -> Result<View, ValidateError> {
        let view = self.engine(field, id)?;
        let owner = self.0.engines.get(id).and_then(|found| found.label(CLUSTER_LABEL));
        if owner == Some(cluster) {
            return Ok(view);
        }
        let is = owner.map_or_else(|| "is of no Kafka".to_owned(), |other| format!("is of Kafka {other}"));
        Err(invalid(&format!(
            "{field}: {id} {is} by its label {CLUSTER_LABEL}; set that to {cluster}, or name another one"
        )))
    }
}

/// Who gateways are.
struct User {
    proof: Proof,
    username: String,
    /// What its Secret has, under the keys of the Secret that is kept.
    values: Vec<(&'static str, Sensitive)>,
}

/// The listener that the spec names, or the one that is meant.
fn listener<'a>(
    cluster: &'a KafkaCluster,
    id: &EngineId,
    named: Option<&str>,
    proof: Proof,
) -> Result<&'a KafkaListener, ValidateError> {
    let all = || {
        let each = cluster.listeners().iter();
        let each: Vec<String> = each.map(|one| format!("{} ({})", one.name, one.authentication())).collect();
        if each.is_empty() { "none".to_owned() } else { each.join(", ") }
    };
    let fits = |one: &&KafkaListener| one.proof() == Ok(proof);
    let has = match proof {
        Proof::Nothing => "no userRef is set",
        Proof::Scram => "the KafkaUser of userRef has scram-sha-512",
        Proof::Certificate => "the KafkaUser of userRef has tls",
    };
    if let Some(named) = named {
        let Some(found) = cluster.listeners().iter().find(|one| one.name == named) else {
            return Err(invalid(&format!("{LISTENER}: {id} has no listener {named}; it has {}", all())));
        };
        return Some(found).filter(fits).ok_or_else(|| {
            let asks = found.authentication();
            invalid(&format!("{LISTENER}: listener {named} of {id} has the authentication {asks} and {has}; change one of them, or name another listener of {}", all()))
        });
    }
    let fitting: Vec<&KafkaListener> =
        cluster.listeners().iter().filter(|one| one.is_internal()).filter(fits).collect();
    let secure: Vec<&KafkaListener> = fitting.iter().copied().filter(|one| one.tls).collect();
    match (fitting.as_slice(), secure.as_slice()) {
        ([one], _) | (_, [one]) => Ok(one),
        ([], _) => Err(invalid(&format!(
            "{LISTENER}: no internal listener of {id} fits, since {has}; name one of {}, or set userRef to a KafkaUser that fits",
            all()
        ))),
        _ => Err(invalid(&format!("{LISTENER}: more than one internal listener of {id} fits; name one of {}", all()))),
    }
}

/// Each of them with an end of line.
fn lines(texts: &[impl AsRef<str>]) -> String {
    texts.iter().map(|text| format!("{}\n", text.as_ref().trim())).collect()
}
