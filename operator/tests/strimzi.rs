//! A Kafka that Strimzi runs: what is made of its objects and Secrets, what is said of those that are not there or do not go together, and that all
//! of it is followed. Strimzi itself runs in none of these tests: the objects are samples, held against a hand-written part of its definitions.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the failure")]

mod support;

use chat_crds::chat_cluster::{EngineRef, KafkaObjectRef};
use chat_gateway_config::{SaslMechanism, SecurityProtocol};
use chat_operator::{
    build,
    engines::{EngineId, EngineKind, Found},
    names::ClusterKey,
    reconcile::{
        Broker, Dereferenced, Kafka, KafkaEngine, KafkaServers, Outcome, engine_remarks, reconcile, secrets_of_engines,
    },
    sensitive::Sensitive,
};
use k8s_openapi::ByteString;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use support::api_server::ApiServer;
use support::problem;

fn fetched() -> Dereferenced {
    support::fetched(support::cluster("strimzi"))
}

/// The cluster with its spec of Kafka changed.
fn with(change: impl FnOnce(&mut chat_crds::chat_cluster::Kafka)) -> Dereferenced {
    let mut fetched = fetched();
    change(fetched.cluster.spec.broker.kafka.as_mut().unwrap());
    fetched
}

fn kafka_of(fetched: &Dereferenced) -> Kafka {
    match support::validated(fetched).unwrap().broker {
        Broker::Kafka(kafka) => *kafka,
        other => panic!("{other:?}"),
    }
}

fn engine_of(kafka: &Kafka) -> &KafkaEngine {
    match &kafka.servers {
        KafkaServers::Engine(engine) => engine,
        KafkaServers::Given(servers) => panic!("{servers:?}"),
    }
}

fn value<'a>(kafka: &'a Kafka, key: &str) -> &'a str {
    engine_of(kafka).values.get(key).unwrap_or_else(|| panic!("{key}")).expose()
}

/// The engine with its object changed.
fn change(fetched: &mut Dereferenced, id: &EngineId, change: impl FnOnce(&mut DynamicObject)) {
    let Some(Found::There(object)) = fetched.engines.get_mut(id) else { panic!("{id}") };
    change(object);
}

fn my_kafka() -> EngineId {
    EngineId::kafka("my-kafka")
}

fn reference(name: &str) -> Option<KafkaObjectRef> {
    Some(KafkaObjectRef { name: name.to_owned() })
}

#[test]
fn the_way_to_a_kafka_is_made_of_its_own_objects() {
    let kafka = kafka_of(&fetched());
    assert_eq!(value(&kafka, "bootstrapServers"), "my-kafka-kafka-bootstrap.chat.svc:9093");
    assert_eq!((kafka.protocol, kafka.topic.as_deref()), (SecurityProtocol::SaslSsl, Some("Chat_Messages")));
    let sasl = kafka.sasl.as_ref().unwrap();
    assert_eq!((sasl.mechanism, sasl.username.as_str()), (SaslMechanism::ScramSha512, "chat"));
    assert_eq!((sasl.password.secret.as_str(), value(&kafka, "password")), ("demo-kafka", "made-up-12"));
    let ca = value(&kafka, "ca.crt");
    assert!(ca.contains("KAFKA2") && ca.contains("KAFKA1"), "servers may still have the one before: {ca}");
    assert!(!ca.contains("made-up"), "{ca}");
    assert!(kafka.client_certificate.is_none());
}

#[test]
fn a_user_with_a_certificate_takes_the_listener_that_asks_for_one() {
    let kafka = kafka_of(&with(|kafka| kafka.user_ref = reference("chat-tls")));
    assert_eq!(value(&kafka, "bootstrapServers"), "my-kafka-kafka-bootstrap.chat.svc:9094");
    assert_eq!(kafka.protocol, SecurityProtocol::Ssl);
    assert_eq!(kafka.client_certificate.as_ref().map(|shown| shown.secret.as_str()), Some("demo-kafka"));
    assert!(value(&kafka, "tls.crt").contains("USER") && value(&kafka, "tls.key").contains("USERKEY"));
    assert!(!value(&kafka, "ca.crt").contains("CLIENTS"), "the authority of clients vouches for no server");
}

#[test]
fn without_a_user_gateways_take_the_listener_that_asks_for_nothing() {
    let kafka =
        kafka_of(&with(|kafka| (kafka.user_ref, kafka.topic_ref, kafka.topic) = (None, None, Some("t".into()))));
    assert_eq!(value(&kafka, "bootstrapServers"), "my-kafka-kafka-bootstrap.chat.svc:9092");
    assert_eq!((kafka.protocol, kafka.topic.as_deref()), (SecurityProtocol::Plaintext, Some("t")));
    assert!(kafka.ca.is_none() && kafka.sasl.is_none());
}

#[test]
fn a_listener_of_another_kind_is_taken_when_it_is_named() {
    let mut outside = with(|kafka| kafka.listener = Some("outside".to_owned()));
    let (_, reason, message) = problem(&outside);
    assert_eq!(reason, "ClusterNotReady");
    assert!(message.contains("no addresses of listener outside"), "{message}");
    let told = json!({ "name": "outside", "bootstrapServers": "203.0.113.7:9095", "certificates": ["-----BEGIN CERTIFICATE-----\nMINE\n-----END CERTIFICATE-----\n"] });
    change(&mut outside, &my_kafka(), |kafka| {
        kafka.data["status"]["listeners"].as_array_mut().unwrap().push(told);
        kafka.data["spec"]["kafka"]["listeners"][3]["configuration"] =
            json!({ "brokerCertChainAndKey": { "secretName": "mine", "certificate": "tls.crt", "key": "tls.key" } });
    });
    let kafka = kafka_of(&outside);
    assert_eq!(value(&kafka, "bootstrapServers"), "203.0.113.7:9095");
    assert_eq!(
        value(&kafka, "ca.crt").trim(),
        "-----BEGIN CERTIFICATE-----\nMINE\n-----END CERTIFICATE-----",
        "a certificate of one's own is not of the Kafka's authority"
    );
}

#[test]
fn a_missing_object_is_told_from_a_kind_that_is_not_served() {
    for (id, field) in [
        (my_kafka(), "clusterRef"),
        (EngineId::kafka_user("chat"), "userRef"),
        (EngineId::kafka_topic("chat-messages"), "topicRef"),
    ] {
        let mut fetched = fetched();
        fetched.engines.insert(id.clone(), Found::Nothing);
        let (_, reason, message) = problem(&fetched);
        assert_eq!(reason, "ClusterNotFound");
        assert!(
            message.contains(&format!("spec.broker.kafka.{field}: there is no {id} of kafka.strimzi.io")),
            "{message}"
        );
        fetched.engines.insert(id, Found::NotServed);
        let (_, reason, message) = problem(&fetched);
        assert_eq!(reason, "KindNotServed");
        assert!(message.contains(field) && message.contains("Strimzi"), "{message}");
    }
}

#[test]
fn what_is_being_made_is_waited_for_in_its_operators_words() {
    let not_ready = json!([{ "type": "NotReady", "status": "True", "reason": "Creating", "message": "Kafka cluster is being deployed" }]);
    for (id, field) in [
        (my_kafka(), "clusterRef"),
        (EngineId::kafka_user("chat"), "userRef"),
        (EngineId::kafka_topic("chat-messages"), "topicRef"),
    ] {
        let mut fetched = fetched();
        change(&mut fetched, &id, |object| object.data["status"] = json!({ "conditions": not_ready }));
        let (terminal, reason, message) = problem(&fetched);
        assert!(!terminal && reason == "ClusterNotReady", "{reason}");
        let wanted = format!("spec.broker.kafka.{field}: {id} is not ready: Creating: Kafka cluster is being deployed");
        assert!(message.contains(&wanted), "{message}");
    }
    let mut without = fetched();
    without.secrets.insert("chat-password".to_owned(), None);
    assert_eq!(problem(&without).1, "SecretNotFound");
}

/// A roll of Kafka's servers must not keep the operator from its work.
#[test]
fn a_kafka_in_trouble_is_told_of_and_changes_nothing() {
    let mut fetched = fetched();
    let before = value(&kafka_of(&fetched), "bootstrapServers").to_owned();
    let not_ready = json!({ "clusterId": "abc", "conditions": [{ "type": "NotReady", "status": "True", "reason": "FatalProblem", "message": "a pod is away" }] });
    change(&mut fetched, &my_kafka(), |kafka| kafka.data["status"] = not_ready);
    assert_eq!(value(&kafka_of(&fetched), "bootstrapServers"), before, "its status lost the listeners");
    change(&mut fetched, &EngineId::kafka_topic("chat-messages"), |topic| {
        topic.data["status"]["conditions"] = json!([]);
    });
    assert_eq!(
        engine_remarks(&fetched.cluster, &fetched.engines).broker.as_deref(),
        Some(
            "Kafka my-kafka is not ready: FatalProblem: a pod is away; KafkaTopic chat-messages is not ready: its operator has said nothing of it yet"
        )
    );
}

#[test]
fn what_does_not_go_together_is_refused_with_the_way_out() {
    let refused = |fetched: &Dereferenced, parts: &[&str]| {
        let (terminal, reason, message) = problem(fetched);
        assert!(terminal && reason == "InvalidSpec", "{reason}: {message}");
        for part in parts {
            assert!(message.contains(part), "{part}: {message}");
        }
    };
    refused(
        &with(|kafka| kafka.listener = Some("tls2".to_owned())),
        &["spec.broker.kafka.listener", "tls2", "tls (scram-sha-512), mtls (tls)"],
    );
    refused(
        &with(|kafka| kafka.listener = Some("mtls".to_owned())),
        &["spec.broker.kafka.listener", "has the authentication tls", "the KafkaUser of userRef has scram-sha-512"],
    );
    let mut oauth = fetched();
    change(&mut oauth, &my_kafka(), |kafka| {
        for listener in kafka.data["spec"]["kafka"]["listeners"].as_array_mut().unwrap() {
            listener["authentication"] = json!({ "type": "oauth" });
        }
    });
    refused(&oauth, &["no internal listener of Kafka my-kafka fits", "plain (oauth)"]);
    let mut two = fetched();
    change(&mut two, &my_kafka(), |kafka| {
        let again = json!({ "name": "again", "port": 9096, "type": "internal", "tls": true, "authentication": { "type": "scram-sha-512" } });
        kafka.data["spec"]["kafka"]["listeners"].as_array_mut().unwrap().push(again);
    });
    refused(&two, &["more than one internal listener"]);
    let mut external = fetched();
    change(&mut external, &EngineId::kafka_user("chat"), |user| {
        user.data["spec"]["authentication"] = json!({ "type": "tls-external" });
    });
    refused(&external, &["spec.broker.kafka.userRef", "tls-external"]);
    for (id, field) in [(EngineId::kafka_user("chat"), "userRef"), (EngineId::kafka_topic("chat-messages"), "topicRef")]
    {
        let mut other = fetched();
        change(&mut other, &id, |object| {
            object.metadata.labels = Some([("strimzi.io/cluster".to_owned(), "theirs".to_owned())].into());
        });
        refused(&other, &[field, "is of Kafka theirs by its label strimzi.io/cluster; set that to my-kafka"]);
    }
    refused(
        &with(|kafka| kafka.bootstrap_servers = vec!["kafka:9092".to_owned()]),
        &["spec.broker.kafka", "bootstrapServers"],
    );
    refused(&with(|kafka| kafka.cluster_ref = None), &["listener, userRef and topicRef go with clusterRef"]);
    refused(&with(|kafka| kafka.topic = Some("chat".to_owned())), &["set topic or topicRef"]);
}

#[test]
fn secrets_of_engines_are_known_for_their_watch() {
    let fetched = fetched();
    let secrets = secrets_of_engines(&fetched.cluster, &fetched.engines);
    assert_eq!(secrets.into_iter().collect::<Vec<_>>(), ["chat-password", "my-kafka-cluster-ca-cert"]);
}

#[test]
fn renewed_authorities_another_password_and_other_addresses_reach_gateways_without_a_revision() {
    let mut fetched = fetched();
    let names = |fetched: &Dereferenced| {
        let cluster = support::validated(fetched).unwrap();
        (build::deployment_name(&cluster).unwrap(), build::broker_hash(&cluster).unwrap())
    };
    let before = names(&fetched);
    let set = |fetched: &mut Dereferenced, secret: &str, key: &str, value: &str| {
        let values = fetched.secrets.get_mut(secret).unwrap().as_mut().unwrap();
        values.insert(key.to_owned(), Sensitive::new(value));
    };
    let ca = "-----BEGIN CERTIFICATE-----\nKAFKA3\n-----END CERTIFICATE-----\n";
    set(&mut fetched, "my-kafka-cluster-ca-cert", "ca.crt", ca);
    set(&mut fetched, "chat-password", "password", "another");
    change(&mut fetched, &my_kafka(), |kafka| {
        kafka.data["status"]["listeners"][1]["bootstrapServers"] = json!("a.example.com:9093,b.example.com:9093");
    });
    assert_eq!(names(&fetched), before);
    let kafka = kafka_of(&fetched);
    assert!(value(&kafka, "ca.crt").contains("KAFKA3"));
    assert_eq!(value(&kafka, "password"), "another");
    assert_eq!(value(&kafka, "bootstrapServers"), "a.example.com:9093,b.example.com:9093");

    fetched.cluster.spec.broker.kafka.as_mut().unwrap().cluster_ref = Some(EngineRef { name: "other".to_owned() });
    let other = fetched.engines[&my_kafka()].clone();
    fetched.engines.insert(EngineId::kafka("other"), other);
    let ca = fetched.secrets["my-kafka-cluster-ca-cert"].clone();
    fetched.secrets.insert("other-cluster-ca-cert".to_owned(), ca);
    for id in [EngineId::kafka_user("chat"), EngineId::kafka_topic("chat-messages")] {
        change(&mut fetched, &id, |object| {
            object.metadata.labels = Some([("strimzi.io/cluster".to_owned(), "other".to_owned())].into());
        });
    }
    let moved = names(&fetched);
    assert!(moved.0 != before.0 && moved.1 != before.1, "another Kafka is another revision");
}

#[test]
fn the_samples_have_the_shape_of_the_published_definitions() {
    let definitions: Value = serde_yaml_ng::from_str(&support::file("strimzi-crds.yaml")).unwrap();
    let mut seen = 0;
    for (id, found) in support::engines() {
        let Some(definition) = definitions.get(id.kind.name()) else { continue };
        let Found::There(object) = found else { panic!("{id}") };
        for part in ["spec", "status"] {
            let validator = jsonschema::validator_for(&definition[part]).unwrap();
            let errors: Vec<String> =
                validator.iter_errors(&object.data[part]).map(|error| format!("{id} {part}: {error}")).collect();
            assert_eq!(errors, [""; 0]);
        }
        seen += 1;
    }
    assert_eq!(seen, 4);
}

/// Real passes over an API server: of a Strimzi that serves the old version, then the new one only; then the password changes.
#[tokio::test]
async fn passes_follow_strimzi_from_one_version_to_the_next() {
    let path = |version: &str, plural: &str| format!("/apis/kafka.strimzi.io/{version}/namespaces/chat/{plural}");
    let kinds = [
        (EngineKind::Kafka, "kafkas", "my-kafka"),
        (EngineKind::KafkaUser, "kafkausers", "chat"),
        (EngineKind::KafkaTopic, "kafkatopics", "chat-messages"),
    ];
    let (server, client) = ApiServer::start(&support::cluster("strimzi")).await;
    let context = support::context(client);
    let key = ClusterKey::new("chat", "demo");
    support::put_user_secrets(&server);
    let reason = || support::reason_of_ready(&server);
    let kept = |key: &str| {
        let secret = server.get("/api/v1/namespaces/chat/secrets/demo-kafka").unwrap();
        let value: ByteString = serde_json::from_value(secret["data"][key].clone()).unwrap();
        String::from_utf8(value.0).unwrap()
    };
    let put = |version: &str| {
        for (kind, plural, name) in kinds {
            let Some(Found::There(object)) = support::engines().remove(&EngineId { kind, name: name.to_owned() })
            else {
                panic!()
            };
            let mut object: Value = serde_json::to_value::<DynamicObject>(*object).unwrap();
            object["apiVersion"] = json!(format!("kafka.strimzi.io/{version}"));
            server.put(&format!("{}/{name}", path(version, plural)), object);
        }
    };
    let pass = async || reconcile(&context, &key).await.unwrap().outcome;

    assert!(matches!(pass().await, Outcome::Waiting(_)), "no watch tells when a kind is served");
    assert_eq!(reason(), "KindNotServed");
    put("v1beta2");
    pass().await;
    assert_eq!(kept("bootstrapServers"), "my-kafka-kafka-bootstrap.chat.svc:9093");
    assert_eq!(kept("password"), "made-up-12");
    assert_eq!(context.engines.version(EngineKind::Kafka), Some("v1beta2"));
    for secret in ["my-kafka-cluster-ca-cert", "chat-password"] {
        assert_eq!(
            context.engines.users_of("chat", secret),
            std::slice::from_ref(&key),
            "a change of {secret} is heard of"
        );
    }
    for (_, plural, name) in kinds {
        server.remove(&format!("{}/{name}", path("v1beta2", plural))).unwrap();
    }
    put("v1");
    let secret = "/api/v1/namespaces/chat/secrets/chat-password";
    let mut changed = server.get(secret).unwrap();
    changed["data"]["password"] = serde_json::to_value(ByteString(b"rotated".to_vec())).unwrap();
    server.put(secret, changed);
    pass().await;
    assert_eq!(kept("password"), "rotated");
    for (kind, ..) in kinds {
        assert_eq!(context.engines.version(kind), Some("v1"), "where it is watched from now on");
    }
}
