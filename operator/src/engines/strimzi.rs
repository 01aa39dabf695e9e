//! What is read of a Kafka, a KafkaUser and a KafkaTopic of Strimzi: where the Kafka is, whose Secret opens it, how they are. The fields are the
//! same in `v1beta2` and `v1`.

use serde::Deserialize;

use super::condition::Condition;

/// The label by which users and topics belong to a Kafka.
pub const CLUSTER_LABEL: &str = "strimzi.io/cluster";

/// A Kafka, without everything that is of no concern here. Every field may be absent: its operator fills them one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KafkaCluster {
    spec: KafkaSpec,
    status: KafkaStatus,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct KafkaSpec {
    kafka: Servers,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Servers {
    listeners: Vec<KafkaListener>,
}

/// A listener as the spec of a Kafka has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KafkaListener {
    /// Its name.
    pub name: String,
    /// Its port.
    pub port: u16,
    /// Whether with TLS.
    pub tls: bool,
    #[serde(rename = "type")]
    type_: String,
    authentication: Option<Authentication>,
    configuration: Configuration,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Authentication {
    #[serde(rename = "type")]
    type_: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Configuration {
    broker_cert_chain_and_key: Option<Chain>,
}

/// A certificate of one's own; where it is does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
struct Chain {}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct KafkaStatus {
    cluster_id: Option<String>,
    listeners: Vec<ListenerStatus>,
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ListenerStatus {
    name: String,
    bootstrap_servers: Option<String>,
    certificates: Vec<String>,
}

/// How a client proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Not at all.
    Nothing,
    /// With a password, by SCRAM-SHA-512.
    Scram,
    /// With a certificate.
    Certificate,
}

impl Proof {
    /// Of a type of authentication; an error has the type of one that gateways do not speak.
    fn of(authentication: Option<&Authentication>) -> Result<Self, &str> {
        match authentication.map(|authentication| authentication.type_.as_str()) {
            None => Ok(Self::Nothing),
            Some("scram-sha-512") => Ok(Self::Scram),
            Some("tls") => Ok(Self::Certificate),
            Some(other) => Err(other),
        }
    }
}

impl KafkaListener {
    /// What it asks of clients.
    ///
    /// # Errors
    /// The type of authentication, when gateways do not speak it.
    pub fn proof(&self) -> Result<Proof, &str> {
        Proof::of(self.authentication.as_ref())
    }

    /// Its type of authentication, for people.
    #[must_use]
    pub fn authentication(&self) -> &str {
        self.authentication.as_ref().map_or("none", |authentication| &authentication.type_)
    }

    /// Whether it is for clients inside this Kubernetes.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        self.type_ == "internal"
    }

    /// Whether its certificate is not of the Kafka's own authority.
    #[must_use]
    pub const fn has_own_certificate(&self) -> bool {
        self.configuration.broker_cert_chain_and_key.is_some()
    }
}

impl KafkaCluster {
    /// All listeners.
    #[must_use]
    pub fn listeners(&self) -> &[KafkaListener] {
        &self.spec.kafka.listeners
    }

    /// Where the servers of a listener are, separated by commas, when the Kafka is called `name`; `None` until they are anywhere.
    #[must_use]
    pub fn bootstrap_servers(&self, name: &str, namespace: &str, listener: &KafkaListener) -> Option<String> {
        let said = self.told(listener).and_then(|told| told.bootstrap_servers.clone());
        // A pass of Strimzi that failed may leave the listeners out; the Service of an internal one has this name whatever happens.
        let known = || {
            let begun = self.status.cluster_id.is_some() && listener.is_internal();
            begun.then(|| format!("{name}-kafka-bootstrap.{namespace}.svc:{}", listener.port))
        };
        said.filter(|said| !said.is_empty()).or_else(known)
    }

    /// The certificates by which servers of a listener are known, as its operator says.
    #[must_use]
    pub fn certificates(&self, listener: &KafkaListener) -> &[String] {
        self.told(listener).map_or(&[], |told| &told.certificates)
    }

    fn told(&self, listener: &KafkaListener) -> Option<&ListenerStatus> {
        self.status.listeners.iter().find(|told| told.name == listener.name)
    }

    /// The Secret with the authorities of the servers' certificates, those before the newest included, each under a key that ends with `.crt`.
    #[must_use]
    pub fn ca_secret(name: &str) -> String {
        format!("{name}-cluster-ca-cert")
    }

    /// Why it is not ready, in its operator's own words; `None` when it is.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        trouble(&self.status.conditions)
    }
}

/// A KafkaUser, as little of it as is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KafkaUser {
    spec: UserSpec,
    status: UserStatus,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct UserSpec {
    authentication: Option<Authentication>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct UserStatus {
    username: Option<String>,
    secret: Option<String>,
    conditions: Vec<Condition>,
}

impl KafkaUser {
    /// How it proves who it is.
    ///
    /// # Errors
    /// The type of authentication, when gateways do not speak it or when its operator makes no Secret for it.
    pub fn proof(&self) -> Result<Proof, &str> {
        match Proof::of(self.spec.authentication.as_ref())? {
            Proof::Nothing => Err("none"),
            proof => Ok(proof),
        }
    }

    /// Its name at Kafka.
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        self.status.username.as_deref().filter(|name| !name.is_empty())
    }

    /// The Secret with its password or certificate.
    #[must_use]
    pub fn secret(&self) -> Option<&str> {
        self.status.secret.as_deref().filter(|name| !name.is_empty())
    }

    /// Why it is not ready, in its operator's own words; `None` when it is.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        trouble(&self.status.conditions)
    }
}

/// A KafkaTopic, as little of it as is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KafkaTopic {
    spec: TopicSpec,
    status: TopicStatus,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct TopicSpec {
    topic_name: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct TopicStatus {
    topic_name: Option<String>,
    topic_id: Option<String>,
    conditions: Vec<Condition>,
}

impl KafkaTopic {
    /// What the topic of the object `name` is called at Kafka.
    #[must_use]
    pub fn topic(&self, name: &str) -> String {
        let said = [&self.status.topic_name, &self.spec.topic_name];
        said.into_iter().flatten().find(|said| !said.is_empty()).cloned().unwrap_or_else(|| name.to_owned())
    }

    /// Whether the topic is known to exist. Gateways that come before it would make it themselves, as far as they may, otherwise than the object says.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.status.topic_id.is_some() || self.trouble().is_none()
    }

    /// Why it is not ready, in its operator's own words; `None` when it is.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        trouble(&self.status.conditions)
    }
}

/// `Ready` is True or absent, and what is wrong has conditions of other types.
fn trouble(conditions: &[Condition]) -> Option<String> {
    let is_true =
        |type_: &str| conditions.iter().find(|condition| condition.type_ == type_ && condition.status == "True");
    if is_true("Ready").is_some() {
        return None;
    }
    // Warnings stand beside a Kafka that is ready, too, and are never why it is not.
    let others = || conditions.iter().find(|condition| condition.type_ != "Warning");
    let Some(told) = is_true("NotReady").or_else(others) else {
        return Some("its operator has said nothing of it yet".to_owned());
    };
    let said = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let why = match (said(&told.reason), said(&told.message)) {
        (Some(reason), Some(message)) => Some(format!("{reason}: {message}")),
        (reason, message) => reason.or(message),
    };
    Some(why.unwrap_or_else(|| format!("{} is {}", told.type_, told.status)))
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;

    fn read<View: DeserializeOwned>(object: Value) -> View {
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn addresses_are_those_that_the_status_has_or_the_internal_service() {
        let listener = json!({ "name": "tls", "port": 9093, "type": "internal", "tls": true });
        let of = |status: Value| {
            let kafka: KafkaCluster =
                read(json!({ "spec": { "kafka": { "listeners": [listener] } }, "status": status }));
            kafka.bootstrap_servers("k", "chat", &kafka.listeners()[0])
        };
        assert_eq!(of(json!({})), None, "nothing was made yet");
        assert_eq!(of(json!({ "clusterId": "x" })).as_deref(), Some("k-kafka-bootstrap.chat.svc:9093"));
        let told = json!({ "listeners": [{ "name": "tls", "bootstrapServers": "a:1,b:2", "addresses": [] }] });
        assert_eq!(of(told).as_deref(), Some("a:1,b:2"));
    }

    #[test]
    fn what_a_listener_asks_for_is_what_a_user_may_have() {
        let of = |authentication: Value| read::<KafkaListener>(json!({ "authentication": authentication }));
        assert_eq!(KafkaListener::default().proof(), Ok(Proof::Nothing));
        assert_eq!(of(json!({ "type": "scram-sha-512" })).proof(), Ok(Proof::Scram));
        assert_eq!(of(json!({ "type": "tls" })).proof(), Ok(Proof::Certificate));
        assert_eq!(of(json!({ "type": "custom", "sasl": true })).proof(), Err("custom"));
        let user = |spec: Value| read::<KafkaUser>(json!({ "spec": spec }));
        assert_eq!(user(json!({})).proof(), Err("none"));
        assert_eq!(user(json!({ "authentication": { "type": "tls-external" } })).proof(), Err("tls-external"));
        assert_eq!(user(json!({ "authentication": { "type": "tls" } })).proof(), Ok(Proof::Certificate));
    }

    #[test]
    fn a_topic_is_called_as_its_operator_says() {
        let topic = |object: Value| read::<KafkaTopic>(object).topic("chat");
        assert_eq!(topic(json!({})), "chat");
        assert_eq!(topic(json!({ "spec": { "topicName": "Chat_1" } })), "Chat_1");
        assert_eq!(topic(json!({ "spec": { "topicName": "new" }, "status": { "topicName": "old" } })), "old");
        assert!(!KafkaTopic::default().has_begun());
        assert!(read::<KafkaTopic>(json!({ "status": { "topicId": "x" } })).has_begun());
    }

    #[test]
    fn what_keeps_it_from_being_ready_is_said_in_its_operators_words() {
        let with =
            |conditions: Value| read::<KafkaCluster>(json!({ "status": { "conditions": conditions } })).trouble();
        let warning = json!({ "type": "Warning", "status": "True", "reason": "Odd", "message": "odd" });
        let not_ready = json!({ "type": "NotReady", "status": "True", "reason": "TimeoutException", "message": "Exceeded timeout of 300000ms", "lastTransitionTime": "2026-01-01T00:00:00Z" });
        assert_eq!(with(json!([warning, { "type": "Ready", "status": "True" }])), None);
        assert_eq!(
            with(json!([warning, not_ready])).as_deref(),
            Some("TimeoutException: Exceeded timeout of 300000ms")
        );
        assert_eq!(
            with(json!([{ "type": "ReconciliationPaused", "status": "True" }])).as_deref(),
            Some("ReconciliationPaused is True")
        );
        assert_eq!(with(json!([warning])).as_deref(), Some("its operator has said nothing of it yet"));
    }
}
