//! Certificates that the user gives for a RabbitMQ and a Redis: what becomes of them, what is refused, and that renewed ones restart nothing.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the failure")]

mod support;

use chat_crds::chat_cluster::{CaSecretRef, RedisPubSub, RedisTls, TlsSecretRef};
use chat_operator::{
    build,
    reconcile::{Dereferenced, deadlines, referenced_secrets},
};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use support::{problem, set};

/// The Secrets with certificates, what each has under which key, and the field that names it.
const SECRETS: [(&str, &str, &str); 4] = [
    ("my-rabbitmq-ca", "ca.crt", "spec.broker.rabbitmq.tls.caSecretRef"),
    ("rabbitmq-certificate", "tls.crt", "spec.broker.rabbitmq.tls.clientCertificateSecretRef"),
    ("my-redis-ca", "roots.pem", "spec.redis.tls.caSecretRef"),
    ("redis-certificate", "tls.crt", "spec.redis.tls.clientCertificateSecretRef"),
];

fn fetched() -> Dereferenced {
    support::fetched(support::cluster("mutual-tls"))
}

/// The same with the Redis as the broker.
fn over_redis(redis: RedisPubSub) -> Dereferenced {
    let mut fetched = fetched();
    fetched.cluster.spec.broker.rabbitmq = None;
    fetched.cluster.spec.broker.redis_pub_sub = Some(redis);
    fetched
}

/// The configuration file of gateways.
fn config(fetched: &Dereferenced) -> String {
    let mut cluster = support::validated(fetched).unwrap();
    cluster.completed_migrations.extend(build::migration_name(&cluster).unwrap());
    let children = build::build(&cluster).unwrap().children().unwrap();
    let maps = children.iter().map(|child| serde_json::to_value(&child.object).unwrap());
    let mut configs = maps.filter_map(|map| {
        let text = map["data"]["config.json"].as_str()?;
        text.contains("\"broker\"").then(|| text.to_owned())
    });
    configs.next().unwrap()
}

fn renewed(year: i32) -> String {
    let mut params = CertificateParams::new(vec!["gateway".to_owned()]).unwrap();
    params.not_after = date_time_ymd(year, 1, 1);
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
}

#[test]
fn renewed_certificates_and_their_ends_reach_gateways_and_conditions_without_a_revision() {
    let mut fetched = fetched();
    let name = |fetched: &Dereferenced| build::deployment_name(&support::validated(fetched).unwrap()).unwrap();
    let before = name(&fetched);
    assert!(deadlines(&support::validated(&fetched).unwrap(), &fetched).is_empty(), "made up, and read by nobody");
    for (year, (secret, key, _)) in (2040..).zip(SECRETS) {
        set(&mut fetched, secret, key, &renewed(year));
    }
    assert_eq!(name(&fetched), before);
    let ends = deadlines(&support::validated(&fetched).unwrap(), &fetched);
    for (year, (secret, ..)) in (2040..).zip(SECRETS) {
        let end = ends.iter().find(|end| end.secret == secret).unwrap_or_else(|| panic!("{secret}: {ends:?}"));
        assert_eq!(end.ends, date_time_ymd(year, 1, 1).unix_timestamp(), "{}", end.what);
    }
}

#[test]
fn what_is_missing_or_of_no_use_is_named() {
    let all = referenced_secrets(&fetched().cluster);
    for (secret, key, field) in SECRETS {
        assert!(all.iter().any(|name| name == secret), "a change of {secret} is heard of");
        let mut without = fetched();
        without.secrets.insert(secret.to_owned(), None);
        let (terminal, reason, message) = problem(&without);
        assert!(!terminal && reason == "SecretNotFound", "{reason}");
        assert!(message.contains(field) && message.contains(secret), "{message}");
        let mut wrong = fetched();
        set(&mut wrong, secret, key, "nothing");
        let (_, reason, message) = problem(&wrong);
        assert!(reason == "SecretInvalid" && message.contains(field) && message.contains(key), "{message}");
    }
    let mut encrypted = fetched();
    let key = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    set(&mut encrypted, "redis-certificate", "tls.key", key);
    assert!(problem(&encrypted).2.contains("not encrypted"));
}

#[test]
fn there_are_no_certificates_without_tls_and_no_name_without_a_certificate() {
    let mut plain = fetched();
    set(&mut plain, "my-rabbitmq", "connection_string", "amqp://user:made-up@h/chat");
    let (_, reason, message) = problem(&plain);
    assert_eq!(reason, "SecretInvalid");
    assert!(message.contains("spec.broker.rabbitmq.uriSecretRef") && message.contains("start with amqps://"));
    let mut plain = fetched();
    set(&mut plain, "my-redis", "url", "redis://:made-up@h");
    let (_, reason, message) = problem(&plain);
    assert!(reason == "SecretInvalid" && message.contains("begin with rediss://") && !message.contains("made-up"));

    let mut nameless = fetched();
    set(&mut nameless, "my-rabbitmq", "connection_string", "amqps://h/chat?auth_mechanism=external");
    support::validated(&nameless).unwrap();
    let tls = nameless.cluster.spec.broker.rabbitmq.as_mut().unwrap().tls.as_mut().unwrap();
    tls.client_certificate_secret_ref = None;
    let (_, reason, message) = problem(&nameless);
    assert_eq!(reason, "SecretInvalid");
    assert!(message.starts_with("spec.broker.rabbitmq.tls.clientCertificateSecretRef"), "{message}");

    let mut elsewhere = fetched();
    elsewhere.cluster.spec.broker.rabbitmq.as_mut().unwrap().uri_secret_ref = None;
    let (terminal, _, message) = problem(&elsewhere);
    assert!(terminal && message.contains("spec.broker.rabbitmq: tls goes with uriSecretRef"), "{message}");
    let mut elsewhere = fetched();
    elsewhere.cluster.spec.redis.as_mut().unwrap().url_secret_ref = None;
    assert!(problem(&elsewhere).2.contains("spec.redis: tls goes with urlSecretRef"));
    let apart = over_redis(RedisPubSub { url_secret_ref: None, tls: Some(RedisTls::default()) });
    assert!(problem(&apart).2.contains("spec.broker.redisPubSub: tls goes with urlSecretRef"));
}

#[test]
fn a_redis_brings_messages_by_its_own_certificates() {
    let shared = config(&over_redis(RedisPubSub::default()));
    assert_eq!(shared.matches("/redis-client/tls.key").count(), 2, "{shared}");
    let from = fetched().cluster.spec.redis.unwrap().url_secret_ref;
    let tls = RedisTls {
        ca_secret_ref: Some(CaSecretRef { name: "my-kafka-ca".to_owned(), key: None }),
        client_certificate_secret_ref: Some(TlsSecretRef { name: "gateway-certificate".to_owned() }),
    };
    let apart = over_redis(RedisPubSub { url_secret_ref: from, tls: Some(tls) });
    assert!(referenced_secrets(&apart.cluster).contains(&"my-kafka-ca".to_owned()));
    let apart = config(&apart);
    for file in ["/redis-pubsub-ca/ca.crt", "/redis-pubsub-client/tls.key", "/redis-ca/ca.crt", "/redis-client/tls.crt"]
    {
        assert_eq!(apart.matches(file).count(), 1, "{file}: {apart}");
    }
}

#[test]
fn with_certificates_it_is_the_same_broker() {
    let hash = |fetched: &Dereferenced| build::broker_hash(&support::validated(fetched).unwrap()).unwrap();
    let mut fetched = fetched();
    let with = hash(&fetched);
    fetched.cluster.spec.broker.rabbitmq.as_mut().unwrap().tls = None;
    assert_eq!(hash(&fetched), with);
}
