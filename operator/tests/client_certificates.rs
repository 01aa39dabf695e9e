//! Certificates that the user gives for a PostgreSQL and a Kafka: what becomes of them, what is refused, and that renewed ones restart nothing.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the failure")]

mod support;

use chat_operator::{
    build,
    reconcile::{Broker, Dereferenced, EngineShard, ShardBackend, ValidatedCluster, referenced_secrets},
};

use support::{problem, set};

fn fetched() -> Dereferenced {
    support::fetched(support::cluster("client-certificates"))
}

fn shard(cluster: &ValidatedCluster) -> &EngineShard {
    match &cluster.shards()[0].backend {
        ShardBackend::Engine(engine) => engine,
        other => panic!("{other:?}"),
    }
}

#[test]
fn certificates_are_in_the_uris_each_in_that_of_whose_it_is() {
    let cluster = support::validated(&fetched()).unwrap();
    let engine = shard(&cluster);
    let (uri, owner) = (engine.uri.expose(), engine.migration_uri.expose());
    let begins = "postgresql://chat_gateway@db-c.example.com:5432/chat?sslmode=verify-full&sslrootcert=-----BEGIN%20CERTIFICATE-----%0APGCA%0A";
    assert!(uri.starts_with(begins), "{uri}");
    assert!(uri.contains("&sslcert=-----BEGIN%20CERTIFICATE-----%0AGATEWAY%0A") && uri.contains("%0AGATEWAYKEY%0A"));
    assert!(!uri.contains("OWNER"), "{uri}");
    assert!(
        owner.starts_with("postgresql://owner@db-c.example.com:5432/chat?sslmode=verify-ca&sslrootcert="),
        "{owner}"
    );
    assert!(owner.contains("%0AOWNER%0A") && owner.contains("%0AOWNERKEY%0A") && !owner.contains("GATEWAY"));
    let Broker::Kafka(kafka) = &cluster.broker else { panic!("{:?}", cluster.broker) };
    assert_eq!(kafka.client_certificate.as_ref().unwrap().secret, "gateway-certificate");
}

#[test]
fn the_gateways_certificate_is_the_owners_where_there_is_no_other() {
    let mut fetched = fetched();
    fetched.cluster.spec.database.shards.as_mut().unwrap()[0].tls.as_mut().unwrap().migration_certificate_secret_ref =
        None;
    let cluster = support::validated(&fetched).unwrap();
    assert!(shard(&cluster).migration_uri.expose().contains("%0AGATEWAY%0A"));
}

#[test]
fn renewed_certificates_reach_gateways_without_a_revision() {
    let mut fetched = fetched();
    let names = |fetched: &Dereferenced| {
        let cluster = support::validated(fetched).unwrap();
        let uri = shard(&cluster).uri.expose().to_owned();
        (build::deployment_name(&cluster).unwrap(), build::migration_name(&cluster).unwrap(), uri)
    };
    let before = names(&fetched);
    let renewed = "-----BEGIN CERTIFICATE-----\nRENEWED\n-----END CERTIFICATE-----\n";
    set(&mut fetched, "gateway-certificate", "tls.crt", renewed);
    set(&mut fetched, "my-postgres-ca", "ca.crt", renewed);
    let after = names(&fetched);
    assert_eq!(after.0, before.0);
    assert_ne!(after.1, before.1, "as with any URI that changes");
    assert!(after.2 != before.2 && after.2.contains("RENEWED"));
}

#[test]
fn what_is_missing_or_of_no_use_is_named() {
    let all = referenced_secrets(&fetched().cluster);
    for (secret, field) in [
        ("my-postgres-ca", "spec.database.shards[c].tls.caSecretRef"),
        ("gateway-certificate", "spec.broker.kafka.clientCertificateSecretRef"),
        ("owner-certificate", "spec.database.shards[c].tls.migrationCertificateSecretRef"),
    ] {
        assert!(all.iter().any(|name| name == secret), "a change of {secret} is heard of");
        let mut without = fetched();
        without.secrets.insert(secret.to_owned(), None);
        let (terminal, reason, message) = problem(&without);
        assert!(!terminal && reason == "SecretNotFound", "{reason}");
        assert!(message.contains(field) && message.contains(secret), "{message}");
    }
    for (key, value) in [
        ("tls.crt", "nothing"),
        ("tls.key", "nothing"),
        ("tls.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA\n-----END ENCRYPTED PRIVATE KEY-----\n"),
    ] {
        let mut wrong = fetched();
        set(&mut wrong, "owner-certificate", key, value);
        let (_, reason, message) = problem(&wrong);
        assert_eq!(reason, "SecretInvalid");
        assert!(message.contains("migrationCertificateSecretRef") && message.contains(key), "{message}");
    }
    let mut unverified = fetched();
    set(&mut unverified, "my-shard-c", "uri", "postgresql://chat_gateway@db/chat?sslmode=require");
    let (_, reason, message) = problem(&unverified);
    assert!(reason == "SecretInvalid" && message.contains("sslmode=require"), "{message}");
    let mut elsewhere = fetched();
    elsewhere.cluster.spec.database.shards.as_mut().unwrap()[0].url_secret_ref = None;
    let (terminal, _, message) = problem(&elsewhere);
    assert!(terminal && message.contains("tls goes with urlSecretRef"), "{message}");
}

#[test]
fn a_shard_that_is_being_left_keeps_its_certificates() {
    let mut fetched = fetched();
    let shard = fetched.cluster.spec.database.shards.as_mut().unwrap().remove(0);
    let left = serde_json::json!({
        "name": shard.name, "available": true, "slots": 7, "urlSecretRef": shard.url_secret_ref, "tls": shard.tls,
    });
    fetched.cluster.spec.database.shards = support::cluster("external-backends").spec.database.shards;
    fetched.cluster.status = serde_json::from_value(serde_json::json!({ "conditions": [], "shards": [left] })).unwrap();
    let cluster = support::validated(&fetched).unwrap();
    let left = cluster.shards().iter().find(|shard| shard.name == "c").unwrap();
    assert!(left.is_leaving);
    let ShardBackend::Engine(engine) = &left.backend else { panic!("{:?}", left.backend) };
    assert!(engine.uri.expose().contains("%0AGATEWAY%0A"));
    assert!(referenced_secrets(&fetched.cluster).contains(&"owner-certificate".to_owned()));
}
