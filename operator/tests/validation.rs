//! What is refused and why, and that credentials are neither lost, nor changed, nor shown.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the failure")]

mod support;

use chat_operator::{
    build::{self, ChildId, Kind},
    reconcile::{Dereferenced, LockedVolume, expected_children, referenced_secrets},
    sensitive::Sensitive,
};
use serde_json::json;

use support::problem;

/// The cluster with everything that it needs existing, as the API server would have it after a first pass.
fn settled(name: &str) -> Dereferenced {
    let mut fetched = support::fetched(support::cluster(name));
    let resources = build::build(&support::validated(&fetched).unwrap()).unwrap();
    for child in resources.children().unwrap() {
        fetched.live.insert(child.id, child.object);
    }
    fetched
}

#[test]
fn a_missing_secret_is_named_with_the_way_out() {
    let mut fetched = support::fetched(support::cluster("external-backends"));
    fetched.secrets.insert("my-redis".to_owned(), None);
    let (terminal, reason, message) = problem(&fetched);
    assert!(!terminal, "a Secret may still come");
    assert_eq!(reason, "SecretNotFound");
    assert!(message.contains("spec.redis.urlSecretRef") && message.contains("my-redis"), "{message}");
}

#[test]
fn a_missing_key_and_a_wrong_scheme_are_named_without_the_value() {
    let mut fetched = support::fetched(support::cluster("external-backends"));
    let redis = fetched.secrets.get("my-redis").cloned();
    fetched.secrets.insert("my-rabbitmq".to_owned(), redis.unwrap());
    assert_eq!(problem(&fetched).1, "SecretKeyNotFound");

    let mut fetched = support::fetched(support::cluster("external-backends"));
    let values = fetched.secrets.get_mut("my-rabbitmq").unwrap().as_mut().unwrap();
    values.insert("connection_string".to_owned(), Sensitive::new("http://u:hunter2@h"));
    let (_, reason, message) = problem(&fetched);
    assert_eq!(reason, "SecretInvalid");
    assert!(!message.contains("hunter2"), "{message}");
}

/// The schema cannot know what a cron pattern or a time zone is, or that a day never comes.
#[test]
fn schedules_that_cannot_be_used_are_named_with_the_way_out() {
    let with = |cron: &str, zone: &str| {
        let mut fetched = support::fetched(support::cluster("minimal"));
        let autoscaling = json!({
            "mode": "Native",
            "maxReplicas": 5,
            "schedules": [
                { "name": "show", "cron": cron, "timeZone": zone, "durationMinutes": 60, "minReplicas": 4 },
            ],
        });
        fetched.cluster.spec.gateways.get_or_insert_default().autoscaling =
            Some(serde_json::from_value(autoscaling).unwrap());
        fetched
    };
    let settings = support::validated(&with("45 19 * * 6", "Europe/Berlin")).unwrap().gateways.autoscaling.unwrap();
    assert_eq!((settings.min, settings.max, settings.target, settings.floors.len()), (2, 5, 70, 1));
    for (cron, zone, way_out) in [
        ("0 0 30 2 *", "UTC", "schedules[show].cron: never comes"),
        ("every saturday", "UTC", "schedules[show].cron"),
        ("45 19 * * 6", "Mars/Olympus", "schedules[show].timeZone"),
    ] {
        let (terminal, reason, message) = problem(&with(cron, zone));
        assert!(terminal && reason == "InvalidSpec" && message.contains(way_out), "{message}");
    }
}

#[test]
fn every_kind_of_redis_is_taken_where_it_works_and_refused_with_the_way_out_elsewhere() {
    let with = |name: &str, url: &str| {
        let mut fetched = support::fetched(support::cluster(name));
        let values = fetched.secrets.get_mut("my-redis").unwrap().as_mut().unwrap();
        values.insert("url".to_owned(), Sensitive::new(url));
        fetched
    };
    let sentinel = "rediss-sentinel://:hunter2@one:26379,two/mymaster?sentinelPassword=hunter3";
    let cluster = "redis-cluster://:hunter2@one:6379,two:6379";
    for (name, url) in [
        ("external-backends", "redis://:hunter2@one:6379"),
        ("external-backends", sentinel),
        ("redis-pubsub-apart", sentinel),
        ("redis-pubsub-apart", cluster),
    ] {
        support::validated(&with(name, url)).unwrap();
    }
    for (name, url, way_out) in [
        ("external-backends", cluster, "spec.broker.redisPubSub.urlSecretRef"),
        ("external-backends", "http://:hunter2@one", "redis-sentinel://"),
        ("redis-pubsub-apart", "redis-sentinel://:hunter2@one", "the name of the service"),
        ("redis-pubsub-apart", "redis-cluster://:hunter2@one/3", "one database"),
    ] {
        let (terminal, reason, message) = problem(&with(name, url));
        assert!(!terminal && reason == "SecretInvalid", "{message}");
        assert!(message.contains(way_out) && !message.contains("hunter2"), "{message}");
    }
}

#[test]
fn an_issuer_that_no_gateway_would_ask_is_refused_with_its_field() {
    let mut cluster = support::cluster("everything");
    let auth = cluster.spec.auth.as_mut().unwrap();
    // The schema refuses it as well; an operator that is newer than the schema must not pass it on.
    auth.oidc[0].issuer = "http://id.example.org".to_owned();
    let (terminal, reason, message) = problem(&support::fetched(cluster));
    assert!(terminal && reason == "InvalidSpec");
    assert!(message.contains("spec.auth.oidc[].issuer") && message.contains("https"), "{message}");
}

#[test]
fn a_network_that_is_none_is_refused_with_an_example() {
    let mut cluster = support::cluster("everything");
    // It passes the schema's pattern.
    cluster.spec.gateways.as_mut().unwrap().trusted_proxies = vec!["10.0.0.0/64".to_owned()];
    let (terminal, reason, message) = problem(&support::fetched(cluster));
    assert!(terminal && reason == "InvalidSpec");
    assert!(message.contains("spec.gateways.trustedProxies") && message.contains("10.0.0.0/8"), "{message}");
}

#[test]
fn an_origin_that_is_none_is_refused_with_an_example() {
    let mut cluster = support::cluster("everything");
    // It passes the schema's pattern.
    cluster.spec.gateways.as_mut().unwrap().allowed_origins = vec!["https://app.example.org:99999".to_owned()];
    let (terminal, reason, message) = problem(&support::fetched(cluster));
    assert!(terminal && reason == "InvalidSpec");
    assert!(
        message.contains("spec.gateways.allowedOrigins") && message.contains("https://chat.example.org"),
        "{message}"
    );
}

#[test]
fn an_endpoint_that_is_none_is_refused_with_an_example() {
    let mut cluster = support::cluster("traced");
    // It passes the schema's rule.
    let tracing = cluster.spec.gateways.as_mut().unwrap().tracing.as_mut().unwrap();
    tracing.endpoint = "http://collector:99999".to_owned();
    let (terminal, reason, message) = problem(&support::fetched(cluster));
    assert!(terminal && reason == "InvalidSpec");
    assert!(
        message.contains("spec.gateways.tracing.endpoint") && message.contains("http://collector.observability:4318"),
        "{message}"
    );
}

#[test]
fn what_kafka_needs_is_named_when_it_is_missing() {
    let without = |secret: &str| {
        let mut fetched = support::fetched(support::cluster("kafka"));
        fetched.secrets.insert(secret.to_owned(), None);
        problem(&fetched)
    };
    for (secret, field) in [
        ("my-kafka-ca", "spec.broker.kafka.caSecretRef"),
        ("my-kafka-user", "spec.broker.kafka.sasl.passwordSecretRef"),
    ] {
        let (terminal, reason, message) = without(secret);
        assert!(!terminal && reason == "SecretNotFound", "{reason}");
        assert!(message.contains(field) && message.contains(secret), "{message}");
    }
    let mut fetched = support::fetched(support::cluster("kafka"));
    let values = fetched.secrets.get_mut("my-kafka-ca").unwrap().as_mut().unwrap();
    values.insert("ca.crt".to_owned(), Sensitive::new("hunter2"));
    let (_, reason, message) = problem(&fetched);
    assert!(reason == "SecretInvalid" && message.contains("PEM") && !message.contains("hunter2"), "{message}");
}

#[test]
fn an_issuers_authorities_are_named_when_they_are_missing_and_roll_the_gateways_when_they_change() {
    let with = |value: Option<&str>| {
        let mut fetched = support::fetched(support::cluster("everything"));
        let values = value.map(|value| [("roots.pem".to_owned(), Sensitive::new(value))].into());
        fetched.secrets.insert("my-issuer-ca".to_owned(), values);
        fetched
    };
    let (terminal, reason, message) = problem(&with(None));
    assert!(!terminal && reason == "SecretNotFound", "{reason}");
    assert!(message.contains("spec.auth.oidc[0].caSecretRef") && message.contains("my-issuer-ca"), "{message}");
    let (_, reason, message) = problem(&with(Some("hunter2")));
    assert!(reason == "SecretInvalid" && message.contains("PEM") && !message.contains("hunter2"), "{message}");

    let template = |certificate: &str| {
        let pem = format!("-----BEGIN CERTIFICATE-----\n{certificate}\n-----END CERTIFICATE-----\n");
        let cluster = support::migrated_from(with(Some(&pem)));
        let children = build::build(&cluster).unwrap().children().unwrap();
        let gateways = children.into_iter().find(|child| child.id.kind == Kind::Deployment).unwrap();
        gateways.object.data["spec"]["template"].clone()
    };
    assert_eq!(template("AAAA"), template("AAAA"));
    assert_ne!(template("AAAA"), template("BBBB"), "a gateway reads them at its start only");
}

#[test]
fn a_shard_without_a_migration_key_is_used_with_one_uri() {
    let cluster = support::migrated("external-backends");
    let job = build::build(&cluster).unwrap().jobs.remove(0);
    let text = serde_json::to_string(&job).unwrap();
    assert!(text.contains(r#"{"key":"dsn","path":"uri"},{"key":"dsn","path":"migrationUri"}"#), "{text}");
    assert!(text.contains(r#"{"key":"migrationUri","path":"migrationUri"}"#), "{text}");
}

/// Shards that begin with different backups would own a slot twice, or not at all; and a schedule that never comes makes no backup.
#[test]
fn backups_that_would_not_serve_are_named_with_the_way_out() {
    let mut fetched = settled("backups");
    let shards = fetched.cluster.spec.database.shards.as_mut().unwrap();
    let mut restore = shards[1].managed.clone().unwrap().restore.unwrap();
    restore.backup = "other/20260201T030000Z".to_owned();
    shards[0].managed.as_mut().unwrap().restore = Some(restore);
    let (_, _, message) = problem(&fetched);
    assert!(message.contains("of shards a and b name different backups"), "{message}");

    let mut fetched = settled("backups");
    fetched.cluster.spec.database.backup.as_mut().unwrap().cron = "0 3 30 2 *".to_owned();
    let (_, _, message) = problem(&fetched);
    assert!(message.contains("spec.database.backup.cron: never comes"), "{message}");
}

#[test]
fn existing_credentials_are_kept_whatever_they_are() {
    for name in support::FIXTURES {
        let mut fetched = settled(name);
        let before = build::build(&support::validated(&fetched).unwrap()).unwrap();
        // Another source of chance, and a token that a person edited.
        let edited = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": format!("{}-admin-token", fetched.cluster.metadata.name.clone().unwrap()),
                          "labels": { "chatcluster.dev/cluster": "demo" } },
            "data": { "token": "bXktb3du" }
        });
        support::insert(&mut fetched.live, Kind::Secret, edited);
        let after = build::build(&support::validated(&fetched).unwrap()).unwrap();
        for (old, new) in before.secrets.iter().zip(&after.secrets) {
            let token = old.metadata.name.as_deref().unwrap().ends_with("-admin-token");
            assert_eq!(old.data == new.data, !token, "{name}: {:?}", old.metadata.name);
        }
        let tokens = after.secrets.iter().filter_map(|secret| secret.data.as_ref()?.get("token"));
        assert!(tokens.into_iter().all(|token| token.0 == b"my-own"));
    }
}

#[test]
fn a_key_that_was_taken_out_of_a_generated_secret_is_not_made_anew() {
    let mut fetched = settled("minimal");
    let id = ChildId::new(Kind::Secret, "demo-shard-a");
    let mut secret = fetched.live.get(&id).unwrap().clone();
    secret.data["data"].as_object_mut().unwrap().remove("password");
    fetched.live.insert(id, secret);
    let (_, reason, message) = problem(&fetched);
    assert_eq!(reason, "SecretKeyNotFound");
    assert!(message.contains("demo-shard-a"), "{message}");
}

#[test]
fn a_volume_without_its_password_is_never_given_a_new_one() {
    let mut fetched = support::fetched(support::cluster("minimal"));
    fetched.locked_volumes.insert("a".to_owned(), LockedVolume::Kept);
    let (terminal, reason, message) = problem(&fetched);
    assert!(terminal);
    assert_eq!(reason, "CredentialsLost");
    assert!(message.contains("data-demo-shard-a-0"), "{message}");
    fetched.locked_volumes.insert("a".to_owned(), LockedVolume::Leaving);
    assert_eq!(problem(&fetched).1, "PredecessorLeaving");
}

fn kafka(spec: &mut chat_crds::ChatClusterSpec) -> &mut chat_crds::chat_cluster::Kafka {
    spec.broker.kafka.as_mut().unwrap()
}

#[test]
fn parts_that_do_not_go_together_are_refused_even_where_an_older_schema_lets_them_in() {
    let with = |name: &str, edit: &dyn Fn(&mut chat_crds::ChatClusterSpec)| {
        let mut cluster = support::cluster(name);
        edit(&mut cluster.spec);
        problem(&support::fetched(cluster))
    };
    let shards = support::cluster("minimal").spec.database.shards;
    let redis = support::cluster("minimal").spec.redis;
    let refused = [
        (
            with("embedded", &|spec| spec.gateways.get_or_insert_default().replicas = Some(2)),
            "spec.gateways.replicas: spec.broker.inProcess reaches one gateway only",
        ),
        (with("embedded", &|spec| spec.gateways = None), "spec.gateways.replicas"),
        (with("embedded", &|spec| spec.redis.clone_from(&redis)), "spec.redis"),
        (with("minimal", &|spec| spec.redis = None), "spec.redis"),
        (with("minimal", &|spec| spec.broker.in_process = Some(chat_crds::chat_cluster::InProcess {})), "spec.broker"),
        (with("kafka", &|spec| spec.broker.rabbitmq = support::cluster("minimal").spec.broker.rabbitmq), "spec.broker"),
        (with("kafka", &|spec| kafka(spec).sasl = None), "spec.broker.kafka.sasl"),
        (with("kafka", &|spec| kafka(spec).security_protocol = None), "spec.broker.kafka.sasl"),
        (
            with("kafka", &|spec| (kafka(spec).security_protocol, kafka(spec).sasl) = (None, None)),
            "spec.broker.kafka.caSecretRef",
        ),
        (with("kafka", &|spec| kafka(spec).partitions = Some(0)), "spec.broker.kafka.partitions"),
        (
            with("kafka", &|spec| kafka(spec).bootstrap_servers = vec!["kafka:99999".to_owned()]),
            "spec.broker.kafka.bootstrapServers",
        ),
        (with("minimal", &|spec| spec.database.shards = None), "spec.database.shards"),
        (with("embedded", &|spec| spec.database.shards.clone_from(&shards)), "spec.database: set exactly one"),
        (
            with("minimal", &|spec| {
                spec.database = support::cluster("embedded").spec.database;
            }),
            "spec.database.embedded",
        ),
    ];
    for ((terminal, reason, message), expected) in refused {
        assert!(
            terminal && reason == "InvalidSpec" && message.starts_with(expected),
            "{expected}: {reason}: {message}"
        );
    }
}

#[test]
fn no_secret_value_is_in_any_debug_text() {
    for name in support::FIXTURES {
        let fetched = settled(name);
        let validated = support::validated(&fetched).unwrap();
        let resources = build::build(&validated).unwrap();
        let text = format!("{fetched:?} {validated:?} {resources:?} {:?}", resources.children().unwrap());
        assert!(text.contains("<redacted>"), "the text shows that there is something");
        let values = resources.secrets.iter().flat_map(|secret| secret.data.iter().flatten());
        for (key, value) in values.filter(|(key, _)| !["username", "bootstrapServers"].contains(&key.as_str())) {
            let value = String::from_utf8(value.0.clone()).unwrap();
            assert!(!text.contains(&value), "{name}: {key} is shown");
        }
        assert!(!text.contains("made-up"), "{name}: a user's value is shown");
    }
}

#[test]
fn every_child_without_a_hash_in_its_name_is_looked_for_before_it_is_made() {
    for name in support::FIXTURES {
        let cluster = support::migrated(name);
        let expected: Vec<ChildId> = expected_children(&support::cluster(name));
        for child in build::build(&cluster).unwrap().children().unwrap() {
            // Nobody has such a name by chance.
            let hashed = ["-migrate-", "-gateway-"].iter().any(|part| child.id.name.contains(part));
            assert!(hashed || expected.contains(&child.id), "{name}: {} could overwrite a foreign object", child.id);
        }
    }
}

#[test]
fn queries_to_a_prometheus_come_with_what_they_are_asked_with() {
    let mut cluster = support::cluster("minimal");
    let prometheus = json!({
        "url": "https://prometheus.example.org",
        "tokenSecretRef": { "name": "reader" },
        "queries": [{ "name": "errors", "query": "sum(errors{pod=~\"{cluster}-gateway-{revision}-.*\"})", "max": "0.25" }],
    });
    let gateways = json!({ "rollout": { "analysis": { "prometheus": prometheus } } });
    cluster.spec.gateways = Some(serde_json::from_value(gateways).unwrap());
    assert!(referenced_secrets(&cluster).contains(&"reader".to_owned()), "a change of it is watched for");
    let mut fetched = support::fetched(cluster);
    fetched.secrets.insert("reader".to_owned(), None);
    let (terminal, reason, message) = problem(&fetched);
    assert!(!terminal && reason == "SecretNotFound", "{reason}");
    assert!(message.contains("spec.gateways.rollout.analysis.prometheus.tokenSecretRef"), "{message}");
    fetched.secrets.insert("reader".to_owned(), Some([("token".to_owned(), Sensitive::new("t"))].into()));
    let consultation = support::validated(&fetched).unwrap().gateways.rollout.consultation.unwrap();
    assert_eq!(consultation.source.token, Some(Sensitive::new("t")));
    assert_eq!((consultation.queries[0].min, consultation.queries[0].max), (None, Some(0.25)));
    let without_bounds = |fetched: &mut Dereferenced| {
        let rollout = fetched.cluster.spec.gateways.as_mut().unwrap().rollout.as_mut().unwrap();
        rollout.analysis.as_mut().unwrap().prometheus.as_mut().unwrap().queries[0].max = None;
    };
    without_bounds(&mut fetched);
    assert_eq!(problem(&fetched).1, "InvalidSpec", "by a schema that is older");
}

#[test]
fn another_broker_has_another_hash_and_another_password_has_not() {
    let hash = |fetched: &Dereferenced| build::broker_hash(&support::validated(fetched).unwrap()).unwrap();
    let mut fetched = support::fetched(support::cluster("external-backends"));
    let before = hash(&fetched);
    let values = fetched.secrets.get_mut("my-rabbitmq").unwrap().as_mut().unwrap();
    values.insert("connection_string".to_owned(), Sensitive::new("amqp://u:another@h"));
    assert_eq!(hash(&fetched), before, "gateways follow what the Secret says");
    let moved = fetched.secrets.get("my-rabbitmq").cloned().unwrap();
    fetched.secrets.insert("moved".to_owned(), moved);
    fetched.cluster.spec.broker.rabbitmq.as_mut().unwrap().uri_secret_ref.as_mut().unwrap().name = "moved".to_owned();
    assert_ne!(hash(&fetched), before);
    let kinds = ["minimal", "redis-pubsub", "redis-pubsub-apart", "kafka", "in-process"];
    let mut all = kinds.map(|name| hash(&support::fetched(support::cluster(name)))).to_vec();
    all.push(before);
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), kinds.len() + 1);
}
